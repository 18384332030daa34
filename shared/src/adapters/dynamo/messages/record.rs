//! A message as an item.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::super::Stored;
use super::super::table::Item;
use super::super::values::{Millis, RawFields, Seconds, nested, record, shard};
use super::TABLE;
use crate::domain::answer::{Answer, NoAnswer, Why};
use crate::domain::conversation::CustomerNames;
use crate::domain::ids::{BotId, ConversationId, MessageId, PhoneNumberId, Wamid};
use crate::domain::message::{Message, Origin, Sending};
use crate::domain::meta_error::MetaError;
use crate::domain::status::{StatusFact, StatusKey, Statuses};
use crate::error::StoreError;

/// What the names of status attributes begin with: `status#read`, in a group `status#read#<participant>`.
const STATUS: &str = "status#";
/// What the names of the attributes begin with that hold statuses as they came.
const STATUS_BODY: &str = "statusBody#";

/// A message without its statuses, which have an attribute each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    message_id: MessageId,
    wamid: Option<Wamid>,
    origin: Origin,
    bot_id: Option<BotId>,
    phone_number_id: PhoneNumberId,
    conversation_id: ConversationId,
    number_key: String,
    time_key: String,
    customer: CustomerNames,
    #[serde(rename = "type")]
    kind: String,
    at: Millis,
    recorded_at: Millis,
    #[serde(flatten)]
    raw: RawFields,
    reply_to: Option<MessageId>,
    #[serde(flatten)]
    answer: AnswerFields,
    why: Option<Why>,
    #[serde(flatten)]
    sending: SendFields,
    expires_at: Option<Seconds>,
}

/// The word that an answer's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerState {
    Pending,
    Answered,
    None,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerFields {
    pub(super) answer_state: Option<AnswerState>,
    pub(super) answer_reason: Option<NoAnswer>,
    pub(super) answer_message_id: Option<MessageId>,
    pub(super) answer_attempts: Option<u32>,
    pub(super) due_at: Option<Millis>,
    /// Where the index `due` lists it; absent unless the answer is pending.
    pub(super) due_key: Option<String>,
}

impl AnswerFields {
    pub(super) fn new(id: &MessageId, answer: Option<&Answer>) -> Self {
        match answer {
            None => Self::default(),
            Some(Answer::Pending { due_at, attempts }) => Self {
                answer_state: Some(AnswerState::Pending),
                answer_attempts: Some(*attempts),
                due_at: Some(Millis(*due_at)),
                due_key: Some(shard(id.as_ref())),
                ..Self::default()
            },
            Some(Answer::Answered(by)) => Self {
                answer_state: Some(AnswerState::Answered),
                answer_message_id: Some(by.clone()),
                ..Self::default()
            },
            Some(Answer::None(reason, tried)) => Self {
                answer_state: Some(AnswerState::None),
                answer_reason: Some(*reason),
                answer_message_id: tried.clone(),
                ..Self::default()
            },
        }
    }

    fn into_answer(self) -> Stored<Option<Answer>> {
        let Some(state) = self.answer_state else { return Ok(None) };
        let answer = match state {
            AnswerState::Pending => self
                .due_at
                .map(|at| Answer::Pending { due_at: at.0, attempts: self.answer_attempts.unwrap_or(0) }),
            AnswerState::Answered => self.answer_message_id.map(Answer::Answered),
            AnswerState::None => {
                self.answer_reason.map(|reason| Answer::None(reason, self.answer_message_id))
            }
        };
        answer.map(Some).ok_or_else(|| StoreError::corrupt(TABLE, "an answer's state without its parts"))
    }
}

/// Where the index `due` lists a send whose outcome is open. Apart from the answers: other readers.
pub(super) fn send_due_key(shard: &str) -> String {
    format!("send#{shard}")
}

/// The word that a send's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SendState {
    Intended,
    Accepted,
    NotSent,
    Refused,
    Uncertain,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendFields {
    pub(super) send_state: Option<SendState>,
    pub(super) send_until: Option<Millis>,
    pub(super) send_error: Option<MetaError>,
}

impl From<Option<&Sending>> for SendFields {
    fn from(sending: Option<&Sending>) -> Self {
        let state = |state| Self { send_state: Some(state), ..Self::default() };
        match sending {
            None => Self::default(),
            Some(Sending::Intended { until }) => {
                Self { send_until: Some(Millis(*until)), ..state(SendState::Intended) }
            }
            Some(Sending::Accepted) => state(SendState::Accepted),
            Some(Sending::NotSent) => state(SendState::NotSent),
            Some(Sending::Refused(error)) => {
                Self { send_error: Some(error.clone()), ..state(SendState::Refused) }
            }
            Some(Sending::Uncertain) => state(SendState::Uncertain),
        }
    }
}

impl SendFields {
    fn into_sending(self) -> Stored<Option<Sending>> {
        let Some(state) = self.send_state else { return Ok(None) };
        let sending = match state {
            SendState::Intended => self.send_until.map(|until| Sending::Intended { until: until.0 }),
            SendState::Accepted => Some(Sending::Accepted),
            SendState::NotSent => Some(Sending::NotSent),
            SendState::Refused => self.send_error.map(Sending::Refused),
            SendState::Uncertain => Some(Sending::Uncertain),
        };
        sending.map(Some).ok_or_else(|| StoreError::corrupt(TABLE, "a send's state without its parts"))
    }
}

impl From<&Message> for Record {
    fn from(message: &Message) -> Self {
        Self {
            message_id: message.id.clone(),
            wamid: message.wamid.clone(),
            origin: message.origin,
            bot_id: message.bot_id.clone(),
            phone_number_id: message.phone_number_id.clone(),
            conversation_id: message.conversation_id.clone(),
            number_key: message.number_key(),
            time_key: message.time_key(),
            customer: message.customer.clone(),
            kind: message.kind.clone(),
            at: Millis(message.at),
            recorded_at: Millis(message.recorded_at),
            raw: RawFields::from(&message.raw),
            reply_to: message.reply_to.clone(),
            answer: due_fields(message),
            why: message.why.clone(),
            sending: SendFields::from(message.sending.as_ref()),
            expires_at: message.expires_at.map(Seconds),
        }
    }
}

/// An incoming message is due for its answer, an outgoing one for its outcome.
fn due_fields(message: &Message) -> AnswerFields {
    match message.sending {
        Some(Sending::Intended { until }) => AnswerFields {
            due_at: Some(Millis(until)),
            due_key: Some(send_due_key(&shard(message.id.as_ref()))),
            ..AnswerFields::default()
        },
        _ => AnswerFields::new(&message.id, message.answer.as_ref()),
    }
}

/// The message that an item is.
pub(in crate::adapters::dynamo) fn message(item: Item) -> Stored<Message> {
    let statuses = statuses(&item)?;
    let record: Record = record(TABLE, item)?;
    let raw =
        record.raw.into_raw().ok_or_else(|| StoreError::corrupt(TABLE, "a message without raw bytes"))?;
    Ok(Message {
        id: record.message_id,
        wamid: record.wamid,
        origin: record.origin,
        bot_id: record.bot_id,
        phone_number_id: record.phone_number_id,
        conversation_id: record.conversation_id,
        customer: record.customer,
        kind: record.kind,
        at: record.at.0,
        recorded_at: record.recorded_at.0,
        raw,
        reply_to: record.reply_to,
        answer: record.answer.into_answer()?,
        why: record.why,
        sending: record.sending.into_sending()?,
        statuses,
        expires_at: record.expires_at.map(|t| t.0),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusRecord {
    at: Millis,
    /// Orders facts of the same state: the least one stays. Ends with the hash of the body.
    rank: String,
}

/// The attribute of a state and, in a group, of a participant.
pub(super) fn status_attribute(key: &StatusKey) -> String {
    match &key.participant {
        None => format!("{STATUS}{}", key.state),
        Some(participant) => format!("{STATUS}{}#{participant}", key.state),
    }
}

/// What such an attribute holds.
pub(super) fn status_value(fact: &StatusFact) -> Stored<AttributeValue> {
    nested(TABLE, &StatusRecord { at: Millis(fact.at), rank: fact.rank() })
}

/// The attribute of a status as it came: `statusBody#<hash>`.
pub(super) fn body_attribute(hash: &str) -> String {
    format!("{STATUS_BODY}{hash}")
}

/// All statuses of a message, or those that wait under a wamid.
pub(super) fn statuses(item: &Item) -> Stored<Statuses> {
    let mut statuses = Statuses::default();
    for (name, value) in item {
        if let Some(name) = name.strip_prefix(STATUS) {
            statuses.merge(status_key(name), status_fact(value)?);
        } else if let (Some(hash), Ok(body)) = (name.strip_prefix(STATUS_BODY), value.as_s()) {
            statuses.keep(hash.to_owned(), body.clone());
        }
    }
    Ok(statuses)
}

fn status_key(name: &str) -> StatusKey {
    match name.split_once('#') {
        None => StatusKey { state: name.to_owned(), participant: None },
        Some((state, participant)) => {
            StatusKey { state: state.to_owned(), participant: Some(participant.to_owned()) }
        }
    }
}

fn status_fact(value: &AttributeValue) -> Stored<StatusFact> {
    let record: StatusRecord = serde_dynamo::aws_sdk_dynamodb_1::from_attribute_value(value.clone())
        .map_err(|e| StoreError::corrupt(TABLE, e))?;
    let hash = record.rank.split_once(' ').map_or("", |(_, hash)| hash);
    Ok(StatusFact { at: record.at.0, hash: hash.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;

    proptest! {
        #[test]
        fn statuses_come_back_from_their_attributes_as_they_were(
            told in prop::collection::vec(("[^#\\p{Cc}]{1,64}", prop::option::of("\\PC{1,40}"), 0..9i64), 0..9),
        ) {
            let mut statuses = Statuses::default();
            for (state, participant, at) in told {
                let body = format!("{{\"at\":{at},\"of\":\"{state}\"}}");
                let fact = StatusFact::new(Timestamp::from_millisecond(at).unwrap(), &body);
                statuses.keep(fact.hash.clone(), body);
                statuses.merge(StatusKey { state, participant }, fact);
            }
            let facts = statuses.iter().map(|(k, fact)| (status_attribute(k), status_value(fact).unwrap()));
            let bodies = statuses.bodies().map(|(h, body)| (body_attribute(h), AttributeValue::S(body.to_owned())));
            let item: Item = facts.chain(bodies).collect();
            prop_assert_eq!(super::statuses(&item).unwrap(), statuses);
        }
    }
}
