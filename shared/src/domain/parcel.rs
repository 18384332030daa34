//! What travels on the queue `inbound`: parcels of webhook elements, each at most 1 MiB.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Timestamp;
use super::raw::{gzip, sha256};
use super::webhook;

/// Largest SQS message and largest sum of one batch call, in bytes (AWS, SQS quotas, 2026).
pub const SQS_LIMIT: usize = 1024 * 1024;
/// Room for message attributes, which count towards the limit.
const PARCEL_LIMIT: usize = SQS_LIMIT - 1024;
/// Compressed bytes of one part, so that its base64 form and one DynamoDB item both hold it.
const PART_LIMIT: usize = 390_000;

/// One queue message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What is in it.
    pub content: Content,
    /// When the webhook was received.
    pub received_at: Timestamp,
    /// A replay that was not asked to answer: what is new in it is recorded, and nothing is sent.
    pub silent: bool,
}

/// What is in a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A webhook body: the one that came, or some elements of it in the same form.
    Body(String),
    /// A piece of something larger than one queue message, or that SQS does not take as text.
    Part {
        /// Which piece of what.
        header: PartHeader,
        /// Base64 of the compressed bytes' piece.
        base64: String,
    },
}

/// Names a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// SHA-256 of the whole, uncompressed, in hex.
    pub name: String,
    /// Which piece, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Content {
    /// Bytes on the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Part { base64, .. } => base64.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Packs a signed body: whole if it fits one queue message, else its elements in as few parcels as
/// hold them; what fits nowhere in compressed parts. Nothing is dropped.
#[must_use]
pub fn pack(body: &[u8], received_at: Timestamp) -> Vec<Parcel> {
    let contents = match std::str::from_utf8(body) {
        Ok(text) if is_sqs_text(text) => match text.len() {
            0..=PARCEL_LIMIT => vec![Content::Body(text.to_owned())],
            _ => split(text),
        },
        _ => parts(body),
    };
    contents.into_iter().map(|content| Parcel { content, received_at, silent: false }).collect()
}

fn split(text: &str) -> Vec<Content> {
    let Ok(pieces) = webhook::pieces(text) else { return parts(text.as_bytes()) };
    webhook::regroup(&pieces, PARCEL_LIMIT)
        .into_iter()
        .flat_map(
            |body| {
                if body.len() <= PARCEL_LIMIT { vec![Content::Body(body)] } else { parts(body.as_bytes()) }
            },
        )
        .collect()
}

fn parts(whole: &[u8]) -> Vec<Content> {
    let name = sha256(whole);
    let compressed = gzip(whole);
    let chunks: Vec<&[u8]> = compressed.chunks(PART_LIMIT).collect();
    let count = u32::try_from(chunks.len()).expect("a webhook has few parts");
    (0..)
        .zip(chunks)
        .map(|(index, chunk)| Content::Part {
            header: PartHeader { name: name.clone(), index, count },
            base64: STANDARD.encode(chunk),
        })
        .collect()
}

/// Groups parcels so that each group fits one batch call: at most 10, at most 1 MiB together.
#[must_use]
pub fn batches(parcels: &[Parcel]) -> Vec<&[Parcel]> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut size = 0;
    for (index, parcel) in parcels.iter().enumerate() {
        let len = parcel.content.len() + (SQS_LIMIT - PARCEL_LIMIT);
        if index > start && (size + len > SQS_LIMIT || index - start == 10) {
            batches.push(&parcels[start..index]);
            start = index;
            size = 0;
        }
        size += len;
    }
    if start < parcels.len() {
        batches.push(&parcels[start..]);
    }
    batches
}

/// Whether SQS takes the text: it refuses some characters that JSON allows
/// (AWS, SQS `SendMessage`, 2026: `#x9 | #xA | #xD | #x20–#xD7FF | #xE000–#xFFFD | #x10000–#x10FFFF`).
fn is_sqs_text(text: &str) -> bool {
    !text.is_empty()
        && !text
            .chars()
            .any(|c| matches!(c, '\u{fffe}' | '\u{ffff}') || (c < ' ' && !matches!(c, '\t' | '\n' | '\r')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::raw::gunzip;
    use super::*;

    fn unpack(parcels: &[Parcel]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        let mut pending: Vec<u8> = Vec::new();
        for parcel in parcels {
            match &parcel.content {
                Content::Body(body) => bodies.push(body.clone().into_bytes()),
                Content::Part { header, base64 } => {
                    pending.extend(STANDARD.decode(base64).unwrap());
                    if header.index + 1 == header.count {
                        let whole = gunzip(&std::mem::take(&mut pending)).unwrap();
                        assert_eq!(sha256(&whole), header.name);
                        bodies.push(whole);
                    }
                }
            }
        }
        bodies
    }

    fn body_of(messages: usize, text_len: usize) -> String {
        let messages: Vec<_> = (0..messages)
            .map(|i| {
                json!({"from": "15550100123", "id": format!("wamid.{i}"), "timestamp": "1795000000",
                            "type": "text", "text": {"body": "x".repeat(text_len)}})
            })
            .collect();
        json!({"object": "whatsapp_business_account", "entry": [{"id": "228", "changes": [{"field": "messages",
            "value": {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "117"},
                      "contacts": [{"wa_id": "15550100123", "profile": {"name": "A"}}], "messages": messages}}]}]})
        .to_string()
    }

    #[test]
    fn a_usual_body_is_one_parcel_and_unchanged() {
        let body = body_of(50, 100);
        let parcels = pack(body.as_bytes(), Timestamp::UNIX_EPOCH);
        assert_eq!(unpack(&parcels), [body.into_bytes()]);
    }

    #[test]
    fn a_small_body_travels_as_it_came() {
        let odd = "{ \"object\" : \"whatsapp_business_account\",\n\t\"entry\":[] }  ";
        let [parcel] = &pack(odd.as_bytes(), Timestamp::UNIX_EPOCH)[..] else { panic!("one parcel") };
        assert_eq!(parcel.content, Content::Body(odd.to_owned()));
        let full = "x".repeat(PARCEL_LIMIT);
        assert_eq!(pack(full.as_bytes(), Timestamp::UNIX_EPOCH)[0].content, Content::Body(full));
    }

    #[test]
    fn characters_that_sqs_refuses_travel_in_parts_and_its_neighbours_as_text() {
        let is_text = |c: char| {
            let parcels = pack(format!("a{c}b").as_bytes(), Timestamp::UNIX_EPOCH);
            matches!(parcels[0].content, Content::Body(_))
        };
        for refused in ['\u{0}', '\u{8}', '\u{b}', '\u{c}', '\u{e}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(!is_text(refused), "{refused:?}");
        }
        for taken in
            ['\t', '\n', '\r', ' ', '\u{7f}', '\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{10000}', '\u{10ffff}']
        {
            assert!(is_text(taken), "{taken:?}");
        }
    }

    #[test]
    fn three_megabytes_of_a_thousand_messages_cost_three_calls() {
        let body = body_of(1000, 2900);
        assert!((2_950_000..3_145_728).contains(&body.len()), "{}", body.len());
        let parcels = pack(body.as_bytes(), Timestamp::UNIX_EPOCH);
        assert_eq!(batches(&parcels).len(), 3);
        let ids: usize = unpack(&parcels)
            .iter()
            .map(|body| webhook::pieces(std::str::from_utf8(body).unwrap()).unwrap().len())
            .sum();
        assert_eq!(ids, 1000);
    }

    #[test]
    fn what_cannot_be_parsed_or_sent_as_text_travels_whole() {
        let broken = format!("{{\"object\":\"{}", "x".repeat(2_900_000));
        for body in [broken.as_bytes(), b"\xff\xfe not utf-8", "a\u{0001}b".as_bytes(), b""] {
            let parcels = pack(body, Timestamp::UNIX_EPOCH);
            assert!(parcels.iter().all(|p| p.content.len() <= PARCEL_LIMIT));
            assert_eq!(unpack(&parcels), [body]);
        }
    }

    #[test]
    fn one_element_larger_than_a_queue_message_travels_in_parts() {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "228", "changes": [
            {"field": "history", "value": {"history": [{"x": "y".repeat(2_900_000)}]}}]}]})
        .to_string();
        let parcels = pack(body.as_bytes(), Timestamp::UNIX_EPOCH);
        let bodies = unpack(&parcels);
        let pieces = webhook::pieces(std::str::from_utf8(&bodies[0]).unwrap()).unwrap();
        assert_eq!((bodies.len(), pieces.len()), (1, 1));
    }

    #[test]
    fn a_batch_holds_at_most_ten_and_one_mebibyte() {
        let parcel = |len| Parcel {
            content: Content::Body("x".repeat(len)),
            received_at: Timestamp::UNIX_EPOCH,
            silent: false,
        };
        assert_eq!(batches(&vec![parcel(10); 21]).iter().map(|b| b.len()).collect::<Vec<_>>(), [10, 10, 1]);
        assert_eq!(batches(&vec![parcel(10); 10]).len(), 1);
        assert_eq!(batches(&vec![parcel(600_000); 3]).len(), 3);
        // Of each message's share, what its attributes may take is kept free.
        let reserve = SQS_LIMIT - PARCEL_LIMIT;
        let half = SQS_LIMIT / 2 - reserve;
        assert_eq!(batches(&[parcel(half), parcel(half)]).len(), 1);
        assert_eq!(batches(&[parcel(half), parcel(half + 1)]).len(), 2);
        let (first, rest) = (parcel(half + 1), vec![parcel(half); 2]);
        let sizes: Vec<_> = batches(&[vec![first], rest].concat()).iter().map(|b| b.len()).collect();
        assert_eq!(sizes, [1, 2], "each batch is measured anew");
        assert!(batches(&[]).is_empty());
    }
}
