//! Large things in numbered parts.

use super::expression::Expression;
use super::table::{Item, Range, Table};
use super::values::{binary, n, number, s, seconds};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::parcel::PartHeader;
use crate::ports::EraseBlobs;

/// The table `blobs`: one item per part.
#[derive(Debug, Clone)]
pub struct Blobs(Table);

impl Blobs {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

/// The count belongs to the name: the same bytes may be cut differently on the queue and in a record.
fn blob_id(name: &str, count: u32) -> String {
    format!("{name}#{count}")
}

impl crate::ports::Blobs for Blobs {
    async fn put_part(&self, header: &PartHeader, bytes: &[u8], expires_at: Option<Timestamp>) -> Stored<()> {
        let mut part = Item::from([
            ("blobId".to_owned(), s(blob_id(&header.name, header.count))),
            ("part".to_owned(), n(i64::from(header.index))),
            ("bytes".to_owned(), binary(bytes)),
        ]);
        // A part that is kept longer replaces one that would go: what refers to it must find it.
        let condition = match expires_at {
            None => Expression::when("attribute_not_exists(#blobId) OR attribute_exists(#expiresAt)"),
            Some(at) => {
                part.insert("expiresAt".to_owned(), seconds(at));
                Expression::when("attribute_not_exists(#blobId) OR #expiresAt < :expiresAt")
                    .value("expiresAt", seconds(at))
            }
        };
        self.0.put("dynamodb PutItem on blobs", part, condition).await?;
        Ok(())
    }

    async fn parts(&self, name: &str, count: u32) -> Stored<Option<Vec<Vec<u8>>>> {
        let range = Range {
            index: None,
            condition: "#blobId = :blobId",
            values: vec![("blobId", s(blob_id(name, count)))],
            attributes: &[],
            ascending: true,
            consistent: true,
            limit: None,
        };
        let parts = self.0.query("dynamodb Query on blobs", range).await?;
        let is_complete = (0..i64::from(count)).eq(parts.iter().filter_map(|part| number(part, "part")));
        Ok(is_complete.then(|| parts.into_iter().filter_map(bytes).collect()))
    }
}

fn bytes(mut part: Item) -> Option<Vec<u8>> {
    Some(part.remove("bytes")?.as_b().ok()?.as_ref().to_vec())
}

impl EraseBlobs for Blobs {
    async fn erase_parts(&self, name: &str, count: u32) -> Stored<()> {
        for index in 0..count {
            let key = [("blobId".to_owned(), s(blob_id(name, count))), ("part".to_owned(), n(index.into()))];
            self.0.delete_at("dynamodb DeleteItem on blobs", key.into(), Expression::default()).await?;
        }
        Ok(())
    }
}
