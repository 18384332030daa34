//! The record of outgoing messages.

use super::super::Stored;
use super::super::expression::Expression;
use super::super::table::{Item, Write};
use super::super::values::{millis, nested, s, shard, shards};
use super::record::send_due_key;
use super::{GET, KEY, Messages, TABLE, UPDATE, record, statuses};
use crate::domain::Timestamp;
use crate::domain::ids::{MessageId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::error::StoreError;
use crate::ports::{RecordSends, Recorded, SendOutcome, UnresolvedSends};

impl RecordSends for Messages {
    async fn begin_send(&self, intent: &Message) -> Stored<Recorded> {
        self.put_new(intent).await
    }

    async fn retake_send(&self, id: &MessageId, until: Timestamp) -> Stored<bool> {
        let change = Expression::when("#sendState = :notSent")
            .value("notSent", s("not_sent"))
            .set("sendState", s("intended"))
            .set("sendUntil", millis(until))
            .set("dueKey", s(send_due_key(&shard(id.as_ref()))))
            .set("dueAt", millis(until));
        Ok(matches!(self.0.update(UPDATE, (KEY, id.as_ref()), change).await?, Write::Done(_)))
    }

    async fn finish_send(
        &self,
        id: &MessageId,
        attempt: Timestamp,
        outcome: &SendOutcome,
    ) -> Stored<Message> {
        // What is known of a send only grows: that nobody knows is said of an intended one only, and
        // that Meta did not take it never of one that Meta took.
        let open = "#sendState IN (:intended, :uncertain) AND #sendUntil = :attempt";
        let change = match outcome {
            SendOutcome::Accepted(wamid) => return self.accept(id, wamid).await,
            SendOutcome::NotSent => resolved(Expression::when(open))
                .value("uncertain", s("uncertain"))
                .set("sendState", s("not_sent")),
            SendOutcome::Refused(error) => resolved(Expression::when(open))
                .value("uncertain", s("uncertain"))
                .set("sendState", s("refused"))
                .set("sendError", nested(TABLE, error)?),
            // It stays listed among those whose outcome is open.
            SendOutcome::Uncertain => Expression::when("#sendState = :intended AND #sendUntil = :attempt")
                .set("sendState", s("uncertain")),
        };
        // The attempt stays named: only whoever made the call can say more of it.
        let change = change.value("intended", s("intended")).value("attempt", millis(attempt));
        match self.0.update(UPDATE, (KEY, id.as_ref()), change).await? {
            Write::Refused(item) if item.is_empty() => Err(no_such_send()),
            Write::Done(item) | Write::Refused(item) => send(item),
        }
    }
}

impl UnresolvedSends for Messages {
    async fn unresolved_sends(&self, before: Timestamp, limit: usize) -> Stored<Vec<MessageId>> {
        self.due(shards().map(|shard| send_due_key(&shard)), before, limit).await
    }

    async fn give_up_send(&self, id: &MessageId, before: Timestamp) -> Stored<bool> {
        let open = "#sendState IN (:intended, :uncertain) AND #dueAt < :before";
        let change = resolved(Expression::when(open))
            .value("intended", s("intended"))
            .value("uncertain", s("uncertain"))
            .value("before", millis(before))
            .set("sendState", s("uncertain"));
        match self.0.update(UPDATE, (KEY, id.as_ref()), change).await? {
            Write::Done(_) => Ok(true),
            Write::Refused(item) if item.is_empty() => Ok(false),
            Write::Refused(item) => {
                let is_listed = item.contains_key("dueKey");
                Ok(!is_listed && record::message(item)?.sending == Some(Sending::Uncertain))
            }
        }
    }
}

/// Takes a send off the list of those whose outcome is open.
pub(super) fn resolved(change: Expression) -> Expression {
    change.remove("dueKey").remove("dueAt")
}

impl Messages {
    async fn accept(&self, id: &MessageId, wamid: &Wamid) -> Stored<Message> {
        let item = self.0.get(GET, (KEY, id.as_ref())).await?.ok_or_else(no_such_send)?;
        self.link(wamid, &record::message(item)?).await?;
        let change = statuses::accepted(Expression::when("attribute_exists(#sendState)"), wamid);
        match self.0.update(UPDATE, (KEY, id.as_ref()), change).await? {
            Write::Done(item) => send(item),
            Write::Refused(_) => Err(no_such_send()),
        }
    }
}

fn send(item: Item) -> Stored<Message> {
    let message = record::message(item)?;
    if message.sending.is_some() { Ok(message) } else { Err(no_such_send()) }
}

fn no_such_send() -> StoreError {
    StoreError::corrupt(TABLE, "there is no such send")
}
