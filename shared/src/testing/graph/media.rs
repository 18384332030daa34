use super::{FakeGraph, Meta, refusal};
use crate::domain::ids::{MediaId, PhoneNumberId};
use crate::domain::meta_error::MetaError;
use crate::domain::raw::sha256;
use crate::domain::secret::AccessToken;
use crate::error::GraphError;
use crate::ports::{Download, MediaAddress, MediaGraph, MediaInfo, SampleFile};

/// A file at Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// The number that it belongs to.
    pub phone_number_id: PhoneNumberId,
    /// Its type.
    pub mime_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of its addresses are too old when they are used.
    pub stale: u32,
}

impl Meta {
    fn file(&mut self, id: &str, token: &AccessToken) -> Result<&mut MetaFile, MetaError> {
        let unseen = || MetaError { subcode: Some(33), ..refusal(400, 100, "Unsupported get request.") };
        let phone = self.files.get(id).ok_or_else(unseen)?.phone_number_id.clone();
        self.number_of(&phone, token)?;
        self.files.get_mut(id).ok_or_else(unseen)
    }
}

impl MediaGraph for FakeGraph {
    async fn media_info(
        &self,
        phone: &PhoneNumberId,
        id: &MediaId,
        token: &AccessToken,
    ) -> Result<MediaInfo, GraphError> {
        self.call("media_info", id.as_ref(), |meta| {
            let file = meta.file(id.as_ref(), token)?;
            if file.phone_number_id != *phone {
                return Err(refusal(400, 100, "Not of this number."));
            }
            Ok(MediaInfo {
                address: MediaAddress(id.to_string()),
                mime_type: Some(file.mime_type.clone()),
                sha256: Some(sha256(&file.bytes)),
                size: Some(file.bytes.len() as u64),
            })
        })
        .await
    }

    async fn download_media(
        &self,
        address: &MediaAddress,
        largest: usize,
        token: &AccessToken,
    ) -> Result<Download, GraphError> {
        self.call("download_media", &address.0, |meta| {
            let file = meta.file(&address.0, token)?;
            if file.stale > 0 {
                file.stale -= 1;
                return Ok(Download::Gone);
            }
            Ok(match file.bytes.len() {
                size if size > largest => Download::TooLarge,
                _ => Download::Complete(file.bytes.clone()),
            })
        })
        .await
    }

    async fn upload_media(
        &self,
        phone: &PhoneNumberId,
        file: SampleFile<'_>,
        token: &AccessToken,
    ) -> Result<MediaId, GraphError> {
        self.call("upload_media", phone.as_ref(), |meta| {
            meta.number_of(phone, token)?;
            let id = (880_001 + meta.files.len()).to_string();
            let (mime_type, bytes) = (file.mime_type.to_owned(), file.bytes.to_vec());
            let kept = MetaFile { phone_number_id: phone.clone(), mime_type, bytes, stale: 0 };
            meta.files.insert(id.clone(), kept);
            Ok(id.parse().expect("digits"))
        })
        .await
    }
}
