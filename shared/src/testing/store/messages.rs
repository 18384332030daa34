use super::{MemoryStore, Tables};
use crate::domain::Timestamp;
use crate::domain::answer::{Answer, NoAnswer};
use crate::domain::ids::{ConversationId, MessageId, PhoneNumberId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::status::{StatusEvent, Statuses};
use crate::error::StoreError;
use crate::ports::{
    Answers, AppliedStatus, ListMessages, Listing, Page, ReadMessages, RecordMessages, RecordSends, Recorded,
    SendOutcome, UnresolvedSends,
};

impl RecordMessages for MemoryStore {
    async fn record_message(&self, message: &Message) -> Result<Recorded, StoreError> {
        self.run("record_message", |tables| put_new(tables, message)).await
    }

    async fn apply_status(
        &self,
        phone: &PhoneNumberId,
        status: &StatusEvent,
        expires_at: Option<Timestamp>,
    ) -> Result<AppliedStatus, StoreError> {
        let ours = match &status.intent {
            Some(intent) => {
                self.run("apply_status (intent)", |t| by_intent(t, phone, intent, status)).await?
            }
            None => None,
        };
        let known = self
            .run("apply_status (wamid)", |tables| {
                let record = tables.wamids.entry(status.wamid.clone()).or_default();
                record.points_to = record.points_to.take().or_else(|| ours.clone());
                record.waiting.add(status);
                if record.points_to.is_none() {
                    record.expires_at = expires_at;
                }
                (record.points_to.clone(), record.waiting.clone())
            })
            .await?;
        let (id, came) = known;
        let kept = |statuses: &Statuses| statuses.body(&status.fact.hash).is_some();
        let Some(id) = id else { return Ok(AppliedStatus { message: None, body_kept: kept(&came) }) };
        let message = self.run("apply_status (message)", |t| merge(t, phone, &id, &came)).await?;
        let body_kept = message.as_ref().is_some_and(|message| kept(&message.statuses));
        Ok(AppliedStatus { message, body_kept })
    }
}

fn put_new(tables: &mut Tables, message: &Message) -> Recorded {
    match tables.messages.get(&message.id) {
        Some(known) if !known.gives_way_to(message) => Recorded::Known(Box::new(known.clone())),
        _ => {
            tables.messages.insert(message.id.clone(), message.clone());
            Recorded::New
        }
    }
}

/// Merges a status into the send that its callback data names; `None` if that is none of this number's.
fn by_intent(
    tables: &mut Tables,
    phone: &PhoneNumberId,
    intent: &MessageId,
    status: &StatusEvent,
) -> Option<MessageId> {
    let message = tables.messages.get_mut(intent)?;
    let sending = message.sending.as_mut().filter(|_| message.phone_number_id == *phone)?;
    if matches!(sending, Sending::Intended { .. } | Sending::NotSent | Sending::Uncertain) {
        *sending = Sending::Accepted;
    }
    tables.unresolved.remove(intent);
    message.wamid.get_or_insert_with(|| status.wamid.clone());
    message.statuses.add(status);
    Some(message.id.clone())
}

fn merge(tables: &mut Tables, phone: &PhoneNumberId, id: &MessageId, came: &Statuses) -> Option<Message> {
    let message = tables.messages.get_mut(id).filter(|message| message.phone_number_id == *phone)?;
    message.statuses.absorb(came);
    Some(message.clone())
}

impl ReadMessages for MemoryStore {
    async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.run("message", |tables| tables.messages.get(id).cloned()).await
    }

    async fn recent_messages(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let listing = Listing::Conversation(conversation.clone());
        self.query("recent_messages", |index, records| {
            let listed = newest_first(index, &listing).into_iter().take(limit);
            listed.filter_map(|m| records.messages.get(&m.id).cloned()).collect()
        })
        .await
    }
}

impl ListMessages for MemoryStore {
    async fn list_messages(
        &self,
        listing: &Listing,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<Message>, StoreError> {
        self.query("list_messages", |index, records| {
            let mut rest = newest_first(index, listing).into_iter().filter(|m| {
                from.is_none_or(|from| m.at >= from)
                    && to.is_none_or(|to| m.at <= to)
                    && before.is_none_or(|before| m.time_key().as_str() < before)
            });
            let listed: Vec<&Message> = rest.by_ref().take(limit).collect();
            let next = rest.next().and(listed.last()).map(|last| last.time_key());
            let items = listed.iter().filter_map(|m| records.messages.get(&m.id).cloned()).collect();
            Page { items, next }
        })
        .await
    }
}

fn newest_first<'a>(tables: &'a Tables, listing: &Listing) -> Vec<&'a Message> {
    let is_in = |message: &Message| match listing {
        Listing::Number(key) => message.number_key() == *key,
        Listing::Conversation(id) => message.conversation_id == *id,
    };
    let mut messages: Vec<&Message> = tables.messages.values().filter(|m| is_in(m)).collect();
    messages.sort_by_key(|m| std::cmp::Reverse(m.time_key()));
    messages
}

impl Answers for MemoryStore {
    async fn settle_answer(&self, id: &MessageId, answer: &Answer) -> Result<bool, StoreError> {
        self.run("settle_answer", |tables| {
            let Some(state) = tables.messages.get_mut(id).and_then(|m| m.answer.as_mut()) else {
                return false;
            };
            let open = match (&*state, answer) {
                (_, Answer::Pending { .. }) => false,
                (Answer::Pending { .. }, _)
                | (Answer::None(NoAnswer::SendUncertain, _), Answer::Answered(_)) => true,
                (ended, wanted) => ended == wanted,
            };
            if open {
                *state = answer.clone();
            }
            open
        })
        .await
    }

    async fn postpone_answer(&self, id: &MessageId, due_at: Timestamp) -> Result<(), StoreError> {
        self.run("postpone_answer", |tables| {
            if let Some(Answer::Pending { due_at: due, attempts }) =
                tables.messages.get_mut(id).and_then(|m| m.answer.as_mut())
            {
                *due = due_at;
                *attempts = attempts.saturating_add(1);
            }
        })
        .await
    }

    async fn due_answers(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        self.query("due_answers", |index, _| {
            let mut due: Vec<_> = index.messages.values().filter_map(|m| due_since(m, now)).collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, id)| id).collect()
        })
        .await
    }
}

fn due_since(message: &Message, now: Timestamp) -> Option<(Timestamp, MessageId)> {
    match message.answer {
        Some(Answer::Pending { due_at, .. }) if due_at < now => Some((due_at, message.id.clone())),
        _ => None,
    }
}

impl RecordSends for MemoryStore {
    async fn begin_send(&self, intent: &Message) -> Result<Recorded, StoreError> {
        self.run("begin_send", |tables| {
            let recorded = put_new(tables, intent);
            if let (Recorded::New, Some(Sending::Intended { until })) = (&recorded, &intent.sending) {
                tables.unresolved.insert(intent.id.clone(), *until);
                tables.attempts.insert(intent.id.clone(), *until);
            }
            recorded
        })
        .await
    }

    async fn retake_send(&self, id: &MessageId, until: Timestamp) -> Result<bool, StoreError> {
        self.run("retake_send", |tables| {
            match tables.messages.get_mut(id).and_then(|message| message.sending.as_mut()) {
                Some(sending @ Sending::NotSent) => {
                    *sending = Sending::Intended { until };
                    tables.unresolved.insert(id.clone(), until);
                    tables.attempts.insert(id.clone(), until);
                    true
                }
                _ => false,
            }
        })
        .await
    }

    async fn finish_send(
        &self,
        id: &MessageId,
        attempt: Timestamp,
        outcome: &SendOutcome,
    ) -> Result<Message, StoreError> {
        let message = self.run("finish_send (message)", |t| end_send(t, id, attempt, outcome)).await??;
        let SendOutcome::Accepted(wamid) = outcome else { return Ok(message) };
        let came = self.run("finish_send (wamid)", |tables| point(tables, wamid, id)).await?;
        let phone = &message.phone_number_id;
        let merged = self.run("finish_send (statuses)", |tables| merge(tables, phone, id, &came)).await?;
        Ok(merged.unwrap_or(message))
    }
}

fn end_send(
    tables: &mut Tables,
    id: &MessageId,
    attempt: Timestamp,
    outcome: &SendOutcome,
) -> Result<Message, StoreError> {
    let unknown = || StoreError::corrupt("messages", "there is no such send");
    let is_newest = tables.attempts.get(id) == Some(&attempt);
    let message = tables.messages.get_mut(id).ok_or_else(unknown)?;
    let sending = message.sending.as_mut().ok_or_else(unknown)?;
    match (&*sending, outcome) {
        (_, SendOutcome::Accepted(wamid)) => {
            *sending = Sending::Accepted;
            message.wamid.get_or_insert_with(|| wamid.clone());
        }
        _ if !is_newest => {}
        (Sending::Intended { .. }, SendOutcome::Uncertain) => *sending = Sending::Uncertain,
        (Sending::Intended { .. } | Sending::Uncertain, SendOutcome::NotSent) => *sending = Sending::NotSent,
        (Sending::Intended { .. } | Sending::Uncertain, SendOutcome::Refused(error)) => {
            *sending = Sending::Refused(error.clone());
        }
        // Accepted is proven; refused and not sent are known better than by who only waited in vain.
        (Sending::Accepted | Sending::Refused(_) | Sending::NotSent | Sending::Uncertain, _) => {}
    }
    if !matches!(sending, Sending::Intended { .. } | Sending::Uncertain) {
        tables.unresolved.remove(id);
    }
    Ok(message.clone())
}

impl UnresolvedSends for MemoryStore {
    async fn unresolved_sends(&self, before: Timestamp, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        self.run("unresolved_sends", |tables| {
            let open = tables.unresolved.iter().filter(|(_, until)| **until < before);
            let mut open: Vec<_> = open.map(|(id, until)| (*until, id.clone())).collect();
            open.sort();
            open.into_iter().take(limit).map(|(_, id)| id).collect()
        })
        .await
    }

    async fn give_up_send(&self, id: &MessageId, before: Timestamp) -> Result<bool, StoreError> {
        self.run("give_up_send", |tables| {
            let Some(sending) = tables.messages.get_mut(id).and_then(|m| m.sending.as_mut()) else {
                return false;
            };
            match tables.unresolved.get(id) {
                Some(until) if *until < before => {
                    *sending = Sending::Uncertain;
                    tables.unresolved.remove(id);
                    true
                }
                Some(_) => false,
                None => *sending == Sending::Uncertain,
            }
        })
        .await
    }
}

fn point(tables: &mut Tables, wamid: &Wamid, id: &MessageId) -> Statuses {
    let record = tables.wamids.entry(wamid.clone()).or_default();
    record.points_to.get_or_insert_with(|| id.clone());
    record.waiting.clone()
}
