//! Recording of messages, and of what Meta reports of them.

use aws_sdk_dynamodb::types::ReturnValue;

use super::super::Stored;
use super::super::expression::Expression;
use super::super::table::Write;
use super::super::values::{s, seconds, text};
use super::record::{self, status_attribute, status_value};
use super::sends::resolved;
use super::{KEY, Messages, UPDATE};
use crate::domain::Timestamp;
use crate::domain::ids::{MessageId, PhoneNumberId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::status::{StatusEvent, StatusFact, StatusKey, Statuses};
use crate::error::StoreError;
use crate::ports::{RecordMessages, Recorded};

/// A status is news if the state is new, or its fact comes before the one that is known.
const IS_NEWS: &str = "(attribute_not_exists(#fact) OR #fact.#rank > :rank)";

/// Where a wamid of an outgoing message is. No incoming message's id begins like this.
fn wamid_key(wamid: &Wamid) -> String {
    format!("wamid#{wamid}")
}

/// Sets a status under `condition` if it is news.
fn merging(condition: &str, key: &StatusKey, fact: &StatusFact) -> Stored<Expression> {
    Ok(Expression::when(&format!("{condition} AND {IS_NEWS}"))
        .name("fact", status_attribute(key))
        .value("rank", s(fact.rank()))
        .set("fact", status_value(fact)?))
}

impl RecordMessages for Messages {
    async fn record_message(&self, message: &Message) -> Stored<Recorded> {
        self.put_new(message).await
    }

    async fn apply_status(
        &self,
        phone: &PhoneNumberId,
        status: &StatusEvent,
        expires_at: Option<Timestamp>,
    ) -> Stored<Option<Message>> {
        let ours = match &status.intent {
            Some(intent) => self.merge_into_send(intent, phone, &status.key, &status.fact).await?,
            None => None,
        };
        let message = match ours {
            Some(message) => message,
            None => match self.leave_under_wamid(phone, status, expires_at).await? {
                None => return Ok(None),
                Some(id) => match self.merge_into_send(&id, phone, &status.key, &status.fact).await? {
                    None => return Ok(None),
                    Some(message) => message,
                },
            },
        };
        self.prove_accepted(message, &status.wamid).await.map(Some)
    }
}

impl Messages {
    /// Merges a status into a send of this number; `None` if there is no such send.
    async fn merge_into_send(
        &self,
        id: &MessageId,
        phone: &PhoneNumberId,
        key: &StatusKey,
        fact: &StatusFact,
    ) -> Stored<Option<Message>> {
        let change = merging("attribute_exists(#sendState) AND #phoneNumberId = :phone", key, fact)?
            .value("phone", s(phone.as_ref()));
        // Refused, there is either no such send, or the status is no news: the item says which.
        let (Write::Done(item) | Write::Refused(item)) =
            self.0.update(UPDATE, (KEY, id.as_ref()), change).await?;
        let is_ours = item.contains_key("sendState") && text(&item, "phoneNumberId") == Some(phone.as_ref());
        if is_ours { record::message(item).map(Some) } else { Ok(None) }
    }

    /// Leaves a status under its wamid until the message is known; answers the message if it is.
    async fn leave_under_wamid(
        &self,
        phone: &PhoneNumberId,
        status: &StatusEvent,
        expires_at: Option<Timestamp>,
    ) -> Stored<Option<MessageId>> {
        let change = merging("attribute_not_exists(#pointsTo)", &status.key, &status.fact)?
            .set("phoneNumberId", s(phone.as_ref()));
        let change = match expires_at {
            Some(at) => change.set("expiresAt", seconds(at)),
            None => change,
        };
        match self.0.update(UPDATE, (KEY, &wamid_key(&status.wamid)), change).await? {
            Write::Done(_) => Ok(None),
            Write::Refused(known) => text(&known, "pointsTo")
                .map(|id| id.parse().map_err(|e| StoreError::corrupt("messages", e)))
                .transpose(),
        }
    }

    /// A status proves that Meta took the message.
    async fn prove_accepted(&self, message: Message, wamid: &Wamid) -> Stored<Message> {
        let is_settled = matches!(message.sending, Some(Sending::Accepted | Sending::Refused(_)));
        if is_settled && message.wamid.as_ref() == Some(wamid) {
            return Ok(message);
        }
        self.link(wamid, &message).await?;
        let open = "#sendState IN (:intended, :notSent, :uncertain)";
        let change = accepted(Expression::when(open), wamid)
            .value("intended", s("intended"))
            .value("notSent", s("not_sent"))
            .value("uncertain", s("uncertain"));
        match self.0.update(UPDATE, (KEY, message.id.as_ref()), change).await? {
            Write::Done(item) => record::message(item),
            Write::Refused(_) => self.name_by_wamid(&message.id, wamid).await,
        }
    }

    /// Gives a send that ended before its status came its wamid.
    async fn name_by_wamid(&self, id: &MessageId, wamid: &Wamid) -> Stored<Message> {
        let change =
            Expression::when("attribute_exists(#sendState)").set_if_missing("wamid", s(wamid.as_ref()));
        match self.0.update(UPDATE, (KEY, id.as_ref()), change).await? {
            Write::Done(item) | Write::Refused(item) => record::message(item),
        }
    }

    /// Makes a message findable by its wamid and merges the statuses that waited there. Comes before
    /// the message has its wamid: a message that has it needs no second look.
    pub(super) async fn link(&self, wamid: &Wamid, message: &Message) -> Stored<()> {
        let mut change = Expression::default().set("pointsTo", s(message.id.as_ref()));
        change = match message.expires_at {
            Some(at) => change.set("expiresAt", seconds(at)),
            None => change.remove("expiresAt"),
        };
        let key = wamid_key(wamid);
        let (Write::Done(old) | Write::Refused(old)) =
            self.0.update_returning(UPDATE, (KEY, &key), change, ReturnValue::AllOld).await?;
        self.merge_waiting(&message.id, &message.phone_number_id, &record::statuses(&old)?).await
    }

    async fn merge_waiting(&self, id: &MessageId, phone: &PhoneNumberId, waiting: &Statuses) -> Stored<()> {
        for (key, fact) in waiting.iter() {
            self.merge_into_send(id, phone, key, fact).await?;
        }
        Ok(())
    }
}

/// Makes a send an accepted one.
pub(super) fn accepted(change: Expression, wamid: &Wamid) -> Expression {
    resolved(change)
        .set("sendState", s("accepted"))
        .set_if_missing("wamid", s(wamid.as_ref()))
        .remove("sendUntil")
        .remove("sendError")
}
