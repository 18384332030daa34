//! Recording of messages, and of what Meta reports of them.

use aws_sdk_dynamodb::types::ReturnValue;

use super::super::Stored;
use super::super::expression::Expression;
use super::super::table::{Item, Write};
use super::super::values::{n, s, seconds, text};
use super::record::{self, body_attribute, status_attribute, status_value};
use super::sends::resolved;
use super::{KEY, Messages, UPDATE};
use crate::domain::Timestamp;
use crate::domain::ids::{MessageId, PhoneNumberId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::status::{MOST_BODIES, StatusEvent, StatusFact, StatusKey, Statuses};
use crate::error::StoreError;
use crate::ports::{AppliedStatus, RecordMessages, Recorded};

/// A fact is news if the state is new, or it comes before the one that is known.
const IS_NEWS: &str = "(attribute_not_exists(#fact) OR #fact.#rank > :rank)";
/// A body is kept with the message as long as it fits into the item.
const HAS_ROOM: &str = "(attribute_not_exists(#statusBytes) OR #statusBytes <= :room)";

/// Where a wamid of an outgoing message is. No incoming message's id begins like this.
pub(super) fn wamid_key(wamid: &Wamid) -> String {
    format!("wamid#{wamid}")
}

/// What a write adds to an item: a fact, the status as it came, or both.
#[derive(Clone, Copy, Default)]
struct Told<'a> {
    fact: Option<(&'a StatusKey, &'a StatusFact)>,
    /// Hash and text.
    body: Option<(&'a str, &'a str)>,
}

impl<'a> Told<'a> {
    fn of(status: &'a StatusEvent) -> Self {
        let body = status.small_body().map(|body| (status.fact.hash.as_str(), body));
        Self { fact: Some((&status.key, &status.fact)), body }
    }

    /// Makes the change, provided that all of it is new and fits.
    fn on(self, condition: &str, change: impl FnOnce(&str) -> Expression) -> Stored<Expression> {
        let fact = self.fact.map(|_| IS_NEWS);
        let known = self.body.filter(|_| self.fact.is_none()).map(|_| "attribute_not_exists(#body)");
        let body = self.body.map(|_| HAS_ROOM);
        let conditions: Vec<&str> = [Some(condition), fact, known, body].into_iter().flatten().collect();
        let mut change = change(&conditions.join(" AND "));
        if let Some((key, fact)) = self.fact {
            change = change
                .name("fact", status_attribute(key))
                .value("rank", s(fact.rank()))
                .set("fact", status_value(fact)?);
        }
        if let Some((hash, body)) = self.body {
            change = change
                .name("body", body_attribute(hash))
                .set("body", s(body))
                .assign("#statusBytes = if_not_exists(#statusBytes, :none) + :size")
                .value("none", n(0))
                .value("size", n(len(body)))
                .value("room", n(len_of(MOST_BODIES) - len(body)));
        }
        Ok(change)
    }

    /// What is left of it for an item that did not take all of it; `None` if there is nothing to add.
    fn rest(self, item: &Item) -> Stored<Option<Self>> {
        let statuses = record::statuses(item)?;
        let known = |key| statuses.iter().find(|(known, _)| *known == key).map(|(_, fact)| fact.rank());
        if self.fact.is_some_and(|(key, fact)| known(key).is_none_or(|known| known > fact.rank())) {
            return Ok(Some(Self { body: None, ..self }));
        }
        let lacks = self.body.filter(|(hash, _)| !item.contains_key(&body_attribute(hash)));
        Ok(lacks.map(|body| Self { fact: None, body: Some(body) }))
    }
}

fn len(text: &str) -> i64 {
    len_of(text.len())
}

fn len_of(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("what fits into an item fits into a number")
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
    ) -> Stored<AppliedStatus> {
        let told = Told::of(status);
        let ours = match &status.intent {
            Some(intent) => self.merge_into_send(intent, phone, told).await?,
            None => None,
        };
        let message = match ours {
            Some(message) => message,
            None => match self.leave_under_wamid(phone, status, expires_at).await? {
                Left::Waiting { body_kept } => return Ok(AppliedStatus { message: None, body_kept }),
                Left::Known(id) => match self.merge_into_send(&id, phone, told).await? {
                    None => return Ok(AppliedStatus { message: None, body_kept: false }),
                    Some(message) => message,
                },
            },
        };
        let message = self.prove_accepted(message, &status.wamid).await?;
        let body_kept = message.statuses.body(&status.fact.hash).is_some();
        Ok(AppliedStatus { message: Some(message), body_kept })
    }
}

/// What became of a status whose message is looked for by its wamid.
enum Left {
    /// It waits there.
    Waiting { body_kept: bool },
    /// This is the message.
    Known(MessageId),
}

impl Messages {
    /// Adds what was told to an item of `key`, in one write if all of it is new.
    async fn tell(
        &self,
        key: &str,
        told: Told<'_>,
        condition: &str,
        change: impl Fn(&str) -> Expression,
        is_meant: impl Fn(&Item) -> bool,
    ) -> Stored<Write> {
        let first = self.0.update(UPDATE, (KEY, key), told.on(condition, &change)?).await?;
        let Write::Refused(item) = first else { return Ok(first) };
        match told.rest(&item)? {
            Some(rest) if is_meant(&item) => {
                self.0.update(UPDATE, (KEY, key), rest.on(condition, change)?).await
            }
            _ => Ok(Write::Refused(item)),
        }
    }

    /// Merges a status into a send of this number; `None` if there is no such send.
    async fn merge_into_send(
        &self,
        id: &MessageId,
        phone: &PhoneNumberId,
        told: Told<'_>,
    ) -> Stored<Option<Message>> {
        let is_ours = |item: &Item| {
            item.contains_key("sendState") && text(item, "phoneNumberId") == Some(phone.as_ref())
        };
        let condition = "attribute_exists(#sendState) AND #phoneNumberId = :phone";
        let change = |condition: &str| Expression::when(condition).value("phone", s(phone.as_ref()));
        // Refused, there is either no such send, or the status is no news: the item says which.
        let (Write::Done(item) | Write::Refused(item)) =
            self.tell(id.as_ref(), told, condition, change, is_ours).await?;
        if is_ours(&item) { record::message(item).map(Some) } else { Ok(None) }
    }

    /// Leaves a status under its wamid until the message is known.
    async fn leave_under_wamid(
        &self,
        phone: &PhoneNumberId,
        status: &StatusEvent,
        expires_at: Option<Timestamp>,
    ) -> Stored<Left> {
        let change = |condition: &str| {
            let change = Expression::when(condition).set("phoneNumberId", s(phone.as_ref()));
            match expires_at {
                Some(at) => change.set("expiresAt", seconds(at)),
                None => change,
            }
        };
        let is_waiting = |item: &Item| !item.contains_key("pointsTo");
        let key = wamid_key(&status.wamid);
        let (Write::Done(item) | Write::Refused(item)) =
            self.tell(&key, Told::of(status), "attribute_not_exists(#pointsTo)", change, is_waiting).await?;
        match text(&item, "pointsTo") {
            None => Ok(Left::Waiting { body_kept: item.contains_key(&body_attribute(&status.fact.hash)) }),
            Some(id) => id.parse().map(Left::Known).map_err(|e| StoreError::corrupt("messages", e)),
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
        let with_body = |fact: &StatusFact| waiting.bodies().find(|(hash, _)| *hash == fact.hash);
        for (key, fact) in waiting.iter() {
            let told = Told { fact: Some((key, fact)), body: with_body(fact) };
            self.merge_into_send(id, phone, told).await?;
        }
        let is_told = |hash: &str| waiting.iter().any(|(_, fact)| fact.hash == hash);
        for body in waiting.bodies().filter(|(hash, _)| !is_told(hash)) {
            self.merge_into_send(id, phone, Told { fact: None, body: Some(body) }).await?;
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
