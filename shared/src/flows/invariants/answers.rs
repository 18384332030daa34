//! P2 and P6: at most one answer, and exactly one or a named reason; nobody acts for another's bot.

use std::collections::{BTreeMap, BTreeSet};

use super::{Heard, Held, Outside, hold};
use crate::domain::answer::{Answer, NoAnswer, Why, wants_answer};
use crate::domain::client::ClientStatus;
use crate::domain::conversation::SERVICE_WINDOW;
use crate::domain::ids::MessageId;
use crate::domain::message::{Message, Origin, Sending};
use crate::ports::Clock;
use crate::testing::{Tables, World};

/// Our id in a message that Meta took.
pub(super) fn intent(sent: &crate::testing::SentMessage) -> &str {
    sent.message["biz_opaque_callback_data"].as_str().unwrap_or_default()
}

/// Meta took nothing twice.
pub(super) fn at_most_once(world: &World) -> Held {
    world.graph.with(|meta| {
        let mut ids = BTreeSet::new();
        for sent in &meta.sent {
            hold("P2", ids.insert(intent(sent)), || format!("{} was sent twice", intent(sent)))?;
        }
        Ok(())
    })
}

/// What Meta took, by our id.
fn taken(world: &World) -> BTreeMap<String, crate::testing::SentMessage> {
    world.graph.sent().into_iter().map(|sent| (intent(&sent).to_owned(), sent)).collect()
}

/// What a judgement of an answer needs.
struct Court<'a> {
    tables: &'a Tables,
    taken: &'a BTreeMap<String, crate::testing::SentMessage>,
    /// Ids of ours that a status brought back.
    proven: BTreeSet<&'a str>,
    now: crate::domain::Timestamp,
    long_outage: bool,
}

/// Every customer's message is answered, or has a reason that is true.
pub(super) fn exactly_once(world: &World, heard: &Heard, long_outage: bool) -> Held {
    let taken = taken(world);
    let proven =
        heard.statuses.iter().filter_map(|(_, status)| status["biz_opaque_callback_data"].as_str()).collect();
    let now = world.clock.now();
    world.store.with(|tables| {
        let court = Court { tables, taken: &taken, proven, now, long_outage };
        for message in tables.messages.values() {
            match message.origin {
                Origin::Customer => court.answer(message)?,
                Origin::Bot => court.ended(message)?,
                Origin::Api => {}
                _ => court.unanswered(message)?,
            }
        }
        spending(tables)
    })
}

/// What the models of a bot cost is counted before their answers are sent.
fn spending(tables: &Tables) -> Held {
    let mut said: BTreeMap<_, u64> = BTreeMap::new();
    for message in tables.messages.values() {
        let cost = message.why.as_ref().and_then(Why::asked).and_then(|asked| asked.cost_usd);
        if let (Some(cost), Some(bot)) = (cost, &message.bot_id) {
            *said.entry(bot).or_default() += cost.micros();
        }
    }
    for (bot, said) in said {
        let counted = tables.spending.iter().filter(|((of, _), _)| of == bot);
        let counted: u64 = counted.map(|(_, sum)| sum.micros()).sum();
        hold("P2", counted >= said, || format!("{bot}: answers cost {said}, and {counted} was counted"))?;
    }
    Ok(())
}

impl Court<'_> {
    fn answer(&self, question: &Message) -> Held {
        let known = self.tables.clients.contains_key(&question.phone_number_id);
        let Some(answer) = &question.answer else {
            return hold("P2", !known || question.bot_id.is_none(), || {
                format!("{}: it was never asked whether to answer", question.id)
            });
        };
        let own = MessageId::answer_to(&question.id);
        let was_taken = self.taken.contains_key(own.as_ref());
        let right = match answer {
            Answer::Pending { .. } => false,
            Answer::Answered(by) => *by == own && was_taken,
            Answer::None(reason, by) => {
                let unproven = !self.proven.contains(own.as_ref());
                // Meta may have it while nobody knows: only then a reason stands beside an answer.
                (!was_taken || (*reason == NoAnswer::SendUncertain && unproven))
                    && self.is_true(*reason, by.as_ref(), question)
            }
        };
        hold("P2", right, || format!("{}: {answer:?} at rest; taken by Meta: {was_taken}", question.id))
    }

    /// What is not live, or not the customer's, is never answered.
    fn unanswered(&self, message: &Message) -> Held {
        let settled = matches!(message.answer, None | Some(Answer::None(NoAnswer::NotLive, None)));
        let right = settled && !self.taken.contains_key(MessageId::answer_to(&message.id).as_ref());
        hold("P2", right, || {
            format!("{}: {:?} for a message of {:?}", message.id, message.answer, message.origin)
        })
    }

    /// Whether a reason is the case.
    fn is_true(&self, reason: NoAnswer, by: Option<&MessageId>, question: &Message) -> bool {
        let settings = question.bot_id.as_ref().and_then(|bot| self.tables.bots.get(bot));
        let sending = by.and_then(|by| self.tables.messages.get(by)).and_then(|m| m.sending.as_ref());
        let conversation = self.tables.conversations.get(&question.conversation_id);
        match reason {
            NoAnswer::Superseded => self.is_superseded(by, question),
            NoAnswer::BotOff => settings.is_some_and(|settings| !settings.enabled),
            NoAnswer::NoRule => settings.is_some_and(|settings| !settings.model_enabled),
            NoAnswer::Budget => settings.is_some_and(|settings| settings.monthly_budget_usd.is_some()),
            NoAnswer::Away => settings.is_some_and(|settings| settings.business_hours.is_some()),
            NoAnswer::Human => conversation.is_some_and(|known| known.paused_until.is_some()),
            NoAnswer::WindowClosed => {
                sending.is_some() || question.at.duration_since(self.now).unsigned_abs() >= SERVICE_WINDOW
            }
            NoAnswer::Type => {
                !wants_answer(&question.kind) || question.conversation_id.as_ref().contains("group:")
            }
            NoAnswer::ClientInactive => {
                let client = self.tables.clients.get(&question.phone_number_id);
                client.is_none_or(|c| {
                    let other = Some(&c.bot_id) != question.bot_id.as_ref();
                    c.status() != ClientStatus::Active || c.reconnect_since.is_some() || other
                })
            }
            NoAnswer::SendUncertain => {
                !matches!(sending, None | Some(Sending::Accepted | Sending::Refused(_)))
            }
            // What Meta wants tried twice more at most stays unsent.
            NoAnswer::RefusedByMeta => matches!(sending, Some(Sending::Refused(_) | Sending::NotSent)),
            NoAnswer::ModelFailed | NoAnswer::GivenUp => self.long_outage,
            _ => false,
        }
    }

    /// By the answer to a later message of the same conversation.
    fn is_superseded(&self, by: Option<&MessageId>, question: &Message) -> bool {
        self.tables.messages.values().any(|later| {
            later.conversation_id == question.conversation_id
                && later.time_key() > question.time_key()
                && Some(&MessageId::answer_to(&later.id)) == by
        })
    }

    /// An answer that was begun has an outcome.
    fn ended(&self, answer: &Message) -> Held {
        let right = match &answer.sending {
            Some(Sending::Accepted) => self.taken.contains_key(answer.id.as_ref()),
            Some(Sending::Refused(_)) => !self.taken.contains_key(answer.id.as_ref()),
            Some(Sending::Uncertain) => !self.proven.contains(answer.id.as_ref()),
            // Proven not to have been sent: its question has another end.
            Some(Sending::NotSent) => !self.taken.contains_key(answer.id.as_ref()),
            _ => false,
        };
        hold("P2", right, || format!("{}: {:?} at rest", answer.id, answer.sending))?;
        self.followed(answer)
    }

    /// What an answer that may have gone out says holds from then on: the bot is silent, or the customer knows
    /// that nobody is there and hears it once.
    fn followed(&self, answer: &Message) -> Held {
        let conversation = self.tables.conversations.get(&answer.conversation_id);
        let right = match &answer.why {
            Some(Why::HandOver { paused_until, .. }) => {
                conversation.is_some_and(|known| known.paused_until >= Some(*paused_until))
            }
            Some(Why::Away {}) => {
                let is_noted = conversation.is_some_and(|known| known.away_at >= Some(answer.at));
                let again = |other: &&Message| {
                    other.id != answer.id
                        && other.why == answer.why
                        && other.conversation_id == answer.conversation_id
                };
                is_noted && !self.tables.messages.values().any(|other| again(&other))
            }
            Some(Why::Rule(_) | Why::Model(_)) => true,
            None => false,
        };
        hold("P2", right, || format!("{}: {:?} without what follows", answer.id, answer.why))
    }
}

/// An order is sent once at most; who was told that it was accepted, was told the truth, and always the same.
pub(super) fn orders(world: &World, outside: &Outside) -> Held {
    let taken = taken(world);
    for (order, id, told) in &outside.orders {
        let accepted: Vec<_> = told.iter().filter(|(status, _)| *status == 200).collect();
        for answer in &accepted {
            let sent = taken.get(id.as_ref());
            let wamid = &answer.1["wamid"];
            let same = sent.is_some_and(|sent| *wamid == sent.wamid.as_ref());
            hold("P2", same, || format!("{}: {answer:?}, but Meta took {sent:?}", order.key))?;
            hold("P2", answer == &accepted[0], || format!("{}: two different answers", order.key))?;
        }
        let refused = told.iter().any(|(status, _)| *status == 422);
        hold("P2", !refused || !taken.contains_key(id.as_ref()), || {
            format!("{}: said to be refused, but Meta took it", order.key)
        })?;
    }
    Ok(())
}

/// P6: records name the bot of their number; nothing leaves from a number for another's bot, and to nobody
/// but who is meant.
pub(super) fn tenants(world: &World, outside: &Outside) -> Held {
    let taken = taken(world);
    for (order, id, told) in &outside.orders {
        let owner = order.from.as_ref().and_then(|from| {
            world.store.with(|tables| tables.clients.get(from).map(|client| client.bot_id.clone()))
        });
        let own = owner.is_none_or(|owner| owner == order.bot);
        let acted = taken.contains_key(id.as_ref()) || told.iter().any(|(status, _)| *status < 300);
        hold("P6", own || !acted, || format!("{} acted for another's bot", order.key))?;
    }
    world.store.with(|tables| {
        for message in tables.messages.values() {
            let client = tables.clients.get(&message.phone_number_id);
            let right = client.is_none_or(|c| message.bot_id.as_ref().is_none_or(|bot| *bot == c.bot_id));
            hold("P6", right, || format!("{} is another bot's", message.id))?;
        }
        for sent in taken.values() {
            let id: MessageId = intent(sent).parse().expect("our own id");
            let Some(record) = tables.messages.get(&id) else {
                return hold("P2", false, || format!("{id} was sent without an intent"));
            };
            let to = sent.message["to"].as_str();
            let right = record.phone_number_id == sent.phone_number_id
                && to.is_none_or(|to| {
                    record.customer.wa_id.as_ref().is_some_and(|known| known.as_ref() == to)
                });
            hold("P6", right, || format!("{id} went from or to somebody else"))?;
        }
        Ok(())
    })
}
