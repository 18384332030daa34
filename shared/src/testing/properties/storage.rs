//! What is stored comes back.

use aws_lambda_events::sqs::{SqsMessage, SqsMessageAttribute};

use super::Choices;
use crate::domain::Timestamp;
use crate::domain::parcel::Content;
use crate::domain::raw::{PART_SIZE, Packed, Raw, gunzip, gzip, join, sha256};
use crate::queue::{attribute, nudge, parcel};

/// Any bytes: packed for a record and back they are the same; as stored bytes they are refused or
/// unpacked, never more than they are; as a message of a queue they are kept.
pub fn raws(input: &[u8]) {
    let packed = Packed::new(input);
    let back = match &packed.raw {
        Raw::Plain(text) => text.clone().into_bytes(),
        Raw::Gzip(bytes) => gunzip(bytes).expect("just compressed"),
        Raw::Parts(list) => {
            assert_eq!(list.count as usize, packed.parts.len());
            assert!(packed.parts.iter().all(|part| part.len() <= PART_SIZE));
            join(&packed.parts, &list.sha256).expect("just packed")
        }
    };
    assert!(back == input, "came back changed");
    let _ = gunzip(input);
    damaged_parts(input);
    queue_message(input);
}

/// Parts that are cut elsewhere are the same whole; changed ones are refused.
fn damaged_parts(input: &[u8]) {
    let name = sha256(input);
    let whole = gzip(input);
    let cut = usize::from(input.first().copied().unwrap_or_default()).min(whole.len());
    let parts = [whole[..cut].to_vec(), whole[cut..].to_vec()];
    assert!(join(&parts, &name).is_ok_and(|whole| whole == input));
    assert!(join(&parts, &sha256(b"another")).is_err() || input == b"another");
    let [first, second] = parts;
    for damaged in [vec![first.clone()], vec![second.clone()], vec![second, first], vec![input.to_vec()]] {
        // Whatever it unpacks to, nothing but the original has its name.
        assert!(join(&damaged, &name).is_err() || damaged.concat() == whole, "accepted");
    }
}

fn queue_message(input: &[u8]) {
    let mut choices = Choices(input);
    let mut message = SqsMessage::default();
    for name in [attribute::KIND, attribute::RECEIVED_AT, attribute::NAME, attribute::INDEX, attribute::COUNT]
    {
        let mut value = SqsMessageAttribute::default();
        value.string_value = Some(choices.text());
        message.message_attributes.insert(name.to_owned(), value);
    }
    let body = choices.text();
    message.body = Some(body.clone());
    match parcel(&message, Timestamp::UNIX_EPOCH).content {
        Content::Body(kept) | Content::Part { base64: kept, .. } => assert_eq!(kept, body),
    }
    let _ = nudge(&message);
}
