//! Changes as streams of our tables tell them to a function.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::messages::record::message;
use super::table::Item;
use super::{Stored, clients::client, grants::grant, onboardings::onboarding};
use crate::domain::Timestamp;
use crate::domain::change::{Change, Changed, Pair};
use crate::error::StoreError;

/// A sequence number has at most so many digits (AWS, DynamoDB Streams API reference, `StreamRecord`, 2026).
const DIGITS: usize = 40;

/// The records of an event of a stream, each with its sequence number; `None` if it is no such event.
#[must_use]
pub fn records(event: &Value) -> Option<Vec<(&str, &Value)>> {
    let records = event.get("Records")?.as_array()?;
    let with_number = |record| Some((Value::pointer(record, "/dynamodb/SequenceNumber")?.as_str()?, record));
    records.iter().map(with_number).collect()
}

/// A record of a stream that no version of ours wrote.
#[derive(Debug, thiserror::Error)]
#[error("a change of {key} cannot be read")]
pub struct Unreadable {
    /// The attribute that is the table's key.
    pub key: &'static str,
    /// What is wrong with it.
    #[source]
    pub source: StoreError,
}

/// The change that a record of a stream tells; `None` where it is of nothing that anybody is told of.
///
/// # Errors
/// [`Unreadable`]: it will not be readable another time either.
pub fn change(record: &Value) -> Result<Option<Change>, Unreadable> {
    let of = |name: &str| record.pointer(&format!("/dynamodb/{name}"));
    let Some(after) = of("NewImage").and_then(Value::as_object) else { return Ok(None) };
    let before = of("OldImage").and_then(Value::as_object);
    // Items that belong to no bot are not things but what leads to them, leases, or nobody's.
    if !after.contains_key("botId") {
        return Ok(None);
    }
    let (key, changed) = if after.contains_key("messageId") {
        ("messageId", pair(before, after, message).map(Changed::Message))
    } else if after.contains_key("onboardingId") && after.contains_key("steps") {
        ("onboardingId", pair(before, after, onboarding).map(Changed::Onboarding))
    } else if after.contains_key("phoneNumberId") {
        ("phoneNumberId", pair(before, after, client).map(Changed::Client))
    } else if after.contains_key("grantId") {
        ("grantId", pair(before, after, grant).map(Changed::Grant))
    } else {
        return Ok(None);
    };
    let unreadable = |source| Unreadable { key, source };
    let record_of = changed.map_err(unreadable)?;
    let envelope = || {
        let id = record.get("eventID")?.as_str()?.to_owned();
        let sequence = format!("{:0>DIGITS$}", of("SequenceNumber")?.as_str()?);
        // Seconds, possibly with a fraction.
        let seconds = of("ApproximateCreationDateTime")?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit")]
        let at = Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()?;
        Some((id, sequence, at))
    };
    let (id, sequence, at) = envelope()
        .ok_or_else(|| unreadable(StoreError::corrupt("a stream", "a record without its names")))?;
    Ok(Some(Change { id, sequence, at, record: record_of }))
}

fn pair<T>(
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
    read: impl Fn(Item) -> Stored<T>,
) -> Stored<Pair<T>> {
    let read = |image| item(image).ok_or_else(|| StoreError::corrupt("a stream", "no item")).and_then(&read);
    Ok(Pair { before: before.map(read).transpose()?.map(Box::new), after: Box::new(read(after)?) })
}

fn item(image: &Map<String, Value>) -> Option<Item> {
    image.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

/// A value in DynamoDB's JSON (AWS, DynamoDB Streams API reference, `AttributeValue`).
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let texts = || -> Option<Vec<String>> {
        value.as_array()?.iter().map(|it| Some(it.as_str()?.to_owned())).collect()
    };
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(value.as_str()?).ok()?)),
        "M" => AttributeValue::M(item(value.as_object()?)?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        _ => return None,
    })
}
