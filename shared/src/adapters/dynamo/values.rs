//! Values in the form in which items hold them.

use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::Stored;
use super::table::Item;
use crate::domain::Timestamp;
use crate::domain::raw::{PartList, Raw};
use crate::error::StoreError;

/// Over how many keys the entries of an index are spread that many writers share.
const SHARDS: u8 = 8;

/// A string.
pub(super) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(super) fn n(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A time in milliseconds.
pub(super) fn millis(at: Timestamp) -> AttributeValue {
    n(at.as_millisecond())
}

/// A time in seconds, rounded up: nothing is deleted early.
pub(super) fn seconds(at: Timestamp) -> AttributeValue {
    n(whole_seconds(at))
}

/// Binary.
pub(super) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// A string attribute.
pub(super) fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

/// A number attribute.
pub(super) fn number(item: &Item, attribute: &str) -> Option<i64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// A time attribute in milliseconds.
pub(super) fn time(item: &Item, attribute: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(number(item, attribute)?).ok()
}

/// All shards of an index.
pub(super) fn shards() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| shard.to_string())
}

/// The shard of an id.
pub(super) fn shard(id: &str) -> String {
    (Sha256::digest(id.as_bytes())[0] % SHARDS).to_string()
}

/// A record as an item, `Null` where it has nothing.
pub(super) fn with_nulls(table: &'static str, record: &impl Serialize) -> Stored<Item> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(record).map_err(|e| StoreError::corrupt(table, e))
}

/// A record as an item.
pub(super) fn item(table: &'static str, record: &impl Serialize) -> Stored<Item> {
    let mut item = with_nulls(table, record)?;
    item.retain(|_, value| !value.is_null());
    Ok(item)
}

/// A value that is more than a string or a number.
pub(super) fn nested(table: &'static str, value: &impl Serialize) -> Stored<AttributeValue> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(value).map_err(|e| StoreError::corrupt(table, e))
}

/// The record that an item is.
pub(super) fn record<T: DeserializeOwned>(table: &'static str, item: Item) -> Stored<T> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|e| StoreError::corrupt(table, e))
}

fn whole_seconds(at: Timestamp) -> i64 {
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

/// A time, stored as milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Millis(pub(super) Timestamp);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(self.0.as_millisecond())
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(d)?).map(Self).map_err(D::Error::custom)
    }
}

/// When DynamoDB may delete a record, stored as seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(whole_seconds(self.0))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Timestamp::from_second(i64::deserialize(d)?).map(Self).map_err(D::Error::custom)
    }
}

/// Bytes, stored as binary.
#[derive(Clone)]
pub(super) struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        d.deserialize_byte_buf(Visitor)
    }
}

/// [`Raw`] as attributes of a record, of which one is there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawFields {
    raw: Option<String>,
    raw_gzip: Option<Bytes>,
    raw_parts: Option<PartList>,
}

impl From<&Raw> for RawFields {
    fn from(raw: &Raw) -> Self {
        let none = Self { raw: None, raw_gzip: None, raw_parts: None };
        match raw {
            Raw::Plain(text) => Self { raw: Some(text.clone()), ..none },
            Raw::Gzip(bytes) => Self { raw_gzip: Some(Bytes(bytes.clone())), ..none },
            Raw::Parts(list) => Self { raw_parts: Some(list.clone()), ..none },
        }
    }
}

impl RawFields {
    /// The one that is there.
    pub(super) fn into_raw(self) -> Option<Raw> {
        let plain = self.raw.map(Raw::Plain);
        plain.or(self.raw_gzip.map(|bytes| Raw::Gzip(bytes.0))).or(self.raw_parts.map(Raw::Parts))
    }
}
