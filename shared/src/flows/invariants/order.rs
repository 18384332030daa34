//! P3: answers of one conversation are made one at a time and in order. Watched while it happens: what one
//! attempt could know is gone afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::intent;
use super::{Held, hold};
use crate::domain::answer::Answer;
use crate::domain::ids::{ConversationId, MessageId};
use crate::testing::{Tables, World};

/// What one attempt at an answer could see when it began.
#[derive(Debug, Clone)]
pub(in crate::flows) struct Glance {
    attempt: usize,
    /// Messages that waited for an answer, and were listed.
    pending: BTreeSet<MessageId>,
}

/// Looks on.
#[derive(Debug, Default)]
pub(in crate::flows) struct Watch {
    attempts: usize,
    /// How many of Meta's messages were looked at.
    sent: usize,
    /// Which attempt took which conversation last, under which owner.
    claims: BTreeMap<ConversationId, (String, usize)>,
    /// Conversations that living attempts took.
    held: BTreeSet<(ConversationId, usize)>,
}

impl Watch {
    /// An attempt begins.
    pub(in crate::flows) fn begin(&mut self, world: &World) -> Glance {
        self.attempts += 1;
        let lagging = world.store.is_lagging();
        let pending = world.store.with(|tables| {
            let waiting = tables.messages.values().filter(|m| is_pending(m.answer.as_ref()) && !lagging);
            waiting.map(|message| message.id.clone()).collect()
        });
        Glance { attempt: self.attempts, pending }
    }

    /// The attempt, and nobody else, did something.
    pub(in crate::flows) fn step(&mut self, world: &World, glance: &Glance) -> Held {
        world.store.with(|tables| self.note_claims(tables, glance));
        let sent = world
            .graph
            .with(|meta| meta.sent[self.sent..].iter().map(|s| intent(s).to_owned()).collect::<Vec<_>>());
        self.sent += sent.len();
        world.store.with(|tables| sent.iter().try_for_each(|id| self.judge(tables, glance, id)))
    }

    /// The attempt is over, or its process dead.
    pub(in crate::flows) fn end(&mut self, glance: &Glance) {
        self.held.retain(|(_, attempt)| *attempt != glance.attempt);
    }

    fn note_claims(&mut self, tables: &Tables, glance: &Glance) {
        for (id, lease) in &tables.conversation_claims {
            if self.claims.get(id).is_none_or(|(owner, _)| *owner != lease.owner) {
                self.claims.insert(id.clone(), (lease.owner.clone(), glance.attempt));
                self.held.insert((id.clone(), glance.attempt));
            }
        }
        let held = &mut self.held;
        self.claims.retain(|id, (_, attempt)| {
            let stays = tables.conversation_claims.contains_key(id);
            if !stays {
                held.remove(&(id.clone(), *attempt));
            }
            stays
        });
    }

    fn judge(&self, tables: &Tables, glance: &Glance, sent: &str) -> Held {
        let answer = sent.parse().ok().and_then(|id: MessageId| tables.messages.get(&id));
        let question = answer.and_then(|answer| tables.messages.get(answer.reply_to.as_ref()?));
        let Some(question) = question.filter(|question| question.origin.is_inbound()) else { return Ok(()) };
        let conversation = &question.conversation_id;
        let other = self.held.iter().find(|(id, attempt)| id == conversation && *attempt != glance.attempt);
        hold("P3", other.is_none(), || format!("{sent}: two answers were made at once"))?;
        let overtaken = glance.pending.iter().filter_map(|id| tables.messages.get(id)).find(|earlier| {
            earlier.conversation_id == *conversation
                && earlier.time_key() < question.time_key()
                && is_pending(earlier.answer.as_ref())
        });
        hold("P3", overtaken.is_none(), || {
            format!(
                "{} was answered while {} still waited",
                question.id,
                overtaken.map_or("-", |m| m.id.as_ref())
            )
        })
    }
}

fn is_pending(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Answer::Pending { .. }))
}
