//! Answering: claim the conversation, decide, generate, send. The messages with a pending answer are the
//! list of what is due; a nudge only says where to look, so losing or doubling one does no harm.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::answer::{Answer, NoAnswer, Nudge, Why};
use crate::domain::bot::Bot;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::conversation::{Conversation, ConversationTouch, TouchedBy};
use crate::domain::draft::Recipient;
use crate::domain::ids::MessageId;
use crate::domain::message::{Message, Origin};
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::rate::scattered;
use crate::domain::raw::Raw;
use crate::domain::status::Statuses;
use crate::error::StoreError;
use crate::ports::{
    AddSpending, Answers, ClaimConversations, Clock, Complete, ConversationClaim, MessageGraph, NoteAway,
    PauseConversations, Random, ReadBots, ReadClients, ReadFiles, ReadMedia, ReadMessages, ReadSpending,
    Seal, SendNudges, TokenGraph, TouchConversations, UnresolvedSends,
};
use crate::telemetry::{measure, metric, unit};

use self::generate::Said;
use super::pace::{Held, HeldReason};
use super::send::{Delivery, SendRecords, Sender, span};

/// How much of a conversation is looked at: for the messages of a burst, and for the model's prompt, where a
/// bot does not want more.
const HISTORY: usize = 21;
/// For how long an outage of Meta or of the model is waited out. An answer that comes later is a surprise,
/// not an answer.
const WORTH_WAITING: Duration = Duration::from_secs(6 * 60 * 60);
/// Statuses come within seconds. A send that none has named for so long after its claim ended is reported,
/// and stays uncertain.
const STATUS_OVERDUE: Duration = Duration::from_secs(15 * 60);
/// How much a nudge may come before its time: the clocks of two machines.
const CLOCK_SKEW: Duration = Duration::from_secs(1);
/// How long a conversation in which somebody else is answering is left alone.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// First pause between tries; doubles, up to SQS's longest delay.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Postponed so often before, an answer counts as late: with pauses that double that is a minute.
const LATE_AFTER: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Settings of reply.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim on a conversation lasts; longer than one answer may take.
    pub claim: Duration,
    /// How long messages are kept; `None` = for ever.
    pub retention: Option<Duration>,
}

/// All records that reply uses.
pub trait Records:
    ReadMessages
    + Answers
    + SendRecords
    + UnresolvedSends
    + ClaimConversations
    + TouchConversations
    + PauseConversations
    + NoteAway
    + ReadBots
    + ReadSpending
    + AddSpending
    + ReadMedia
    + ReadClients
{
}
impl<T> Records for T where
    T: ReadMessages
        + Answers
        + SendRecords
        + UnresolvedSends
        + ClaimConversations
        + TouchConversations
        + PauseConversations
        + NoteAway
        + ReadBots
        + ReadSpending
        + AddSpending
        + ReadMedia
        + ReadClients
{
}

/// Reply with what it needs.
pub struct Reply<'a, S, K, G, F, Q, L, C, R> {
    /// Sending, with records, sealing, Meta and time.
    pub sender: Sender<'a, S, K, G, C>,
    /// Where the files of messages are kept.
    pub files: &'a F,
    /// The queue `answers`.
    pub queue: &'a Q,
    /// The language models.
    pub model: &'a L,
    /// For the claim's owner.
    pub random: &'a R,
    /// Settings.
    pub settings: &'a Settings,
}

/// How an attempt at an answer ended.
enum Ended {
    /// With this, recorded.
    With(Answer),
    /// Not yet: again after the pause. If that is not worth waiting for, this is why there is none.
    Later(Duration, NoAnswer),
    /// The customer may still be writing, or a file is on its way: looked at again after the pause. That is no
    /// try.
    Early(Duration),
}

impl<S, K, G, F, Q, L, C, R> Reply<'_, S, K, G, F, Q, L, C, R>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
    F: ReadFiles,
    Q: SendNudges,
    L: Complete,
    C: Clock,
    R: Random,
{
    fn store(&self) -> &S {
        self.sender.store
    }

    fn now(&self) -> Timestamp {
        self.sender.clock.now()
    }

    /// Follows a nudge.
    ///
    /// # Errors
    /// [`StoreError`]: the nudge comes again.
    pub async fn nudge(&self, nudge: &Nudge) -> Result<(), StoreError> {
        unit::message(&nudge.message_id);
        let Some(message) = self.store().message(&nudge.message_id).await? else {
            unit::outcome("unknown_message");
            return Ok(());
        };
        unit::client(&message.phone_number_id);
        message.bot_id.iter().for_each(unit::bot);
        let Some(due_at) = due(&message) else {
            unit::outcome("settled_before");
            return Ok(());
        };
        let now = self.now();
        if due_at > now + CLOCK_SKEW {
            unit::outcome("not_due");
            // It was put off for longer than a queue delays.
            return self.nudge_again(&message.id, span(now, due_at)).await;
        }
        let owner = hex::encode(self.random.bytes());
        let until = now + self.settings.claim;
        match self.store().claim_conversation(&message.conversation_id, &owner, now, until).await? {
            ConversationClaim::Won(mut conversation) => {
                let result = self.claimed(&nudge.message_id, &mut conversation).await;
                self.store().release_conversation(&conversation.id, &owner).await?;
                result
            }
            // Mostly it is given back long before its end.
            ConversationClaim::Busy(until) => {
                unit::outcome("conversation_busy");
                self.nudge_again(&message.id, span(now, until).min(BUSY_PAUSE)).await
            }
            // Recorded, but its conversation not yet: ingest died in between and comes again. Should it never,
            // the tries end.
            ConversationClaim::Unknown => {
                self.postpone(&message, FIRST_PAUSE, NoAnswer::GivenUp).await.map(drop)
            }
        }
    }

    /// Nudges whatever was due for a while: its own nudge was lost.
    ///
    /// # Errors
    /// [`StoreError`]: the next sweep finds the same.
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let overdue = self.now() - self.settings.claim;
        let due = self.store().due_answers(overdue, limit).await?;
        let nudges: Vec<Nudge> = due.into_iter().map(|message_id| Nudge { message_id }).collect();
        self.queue.send_nudges(&nudges, Duration::ZERO).await?;
        Ok(nudges.len())
    }

    /// Reports sends whose outcome nobody told, and waits for them no longer.
    ///
    /// # Errors
    /// [`StoreError`]: the next run finds those that are left.
    pub async fn report_unresolved(&self, limit: usize) -> Result<usize, StoreError> {
        let before = self.now() - STATUS_OVERDUE;
        let mut reported = 0;
        for id in self.store().unresolved_sends(before, limit).await? {
            if self.store().give_up_send(&id, before).await? {
                reported += 1;
                tracing::error!(metric = metric::SEND_UNCERTAIN, messageId = %id, "nobody told whether this was sent");
            }
        }
        Ok(reported)
    }

    async fn nudge_again(&self, id: &MessageId, pause: Duration) -> Result<(), StoreError> {
        let pause = pause.clamp(Duration::from_secs(1), LONGEST_PAUSE);
        self.queue.send_nudges(&[Nudge { message_id: id.clone() }], pause).await
    }

    /// With the conversation in our hands.
    async fn claimed(&self, id: &MessageId, conversation: &mut Conversation) -> Result<(), StoreError> {
        // Whoever had the claim before may have answered it.
        let Some(message) = self.store().message(id).await?.filter(is_pending) else {
            unit::outcome("settled_before");
            return Ok(());
        };
        let history = self.store().recent_messages(&conversation.id, HISTORY).await?;
        let (newest, older) = burst(message, &history);
        for superseded in older {
            if !self.supersede(&superseded, &newest, conversation).await? {
                // Answers come in order: the older one's next nudge goes on with the newest.
                return Ok(());
            }
        }
        if was_put_off(&newest, self.now()) {
            unit::outcome("not_due");
            return Ok(());
        }
        self.answer(&newest, conversation, &history).await.map(drop)
    }

    /// An older message of the burst is answered with the newest, unless its own answer is on its way.
    /// Whether it has ended.
    async fn supersede(
        &self,
        message: &Message,
        newest: &Message,
        conversation: &mut Conversation,
    ) -> Result<bool, StoreError> {
        if let Some(begun) = self.store().message(&MessageId::answer_to(&message.id)).await? {
            if was_put_off(message, self.now()) {
                unit::outcome("not_due");
                return Ok(false);
            }
            let ended = self.answer(message, conversation, &[]).await?;
            remember(conversation, &begun);
            return Ok(ended);
        }
        let answer = Answer::None(NoAnswer::Superseded, Some(MessageId::answer_to(&newest.id)));
        self.settle(message, &answer).await.map(|()| true)
    }

    /// Whether it has ended; else it comes again.
    async fn answer(
        &self,
        message: &Message,
        conversation: &Conversation,
        history: &[Message],
    ) -> Result<bool, StoreError> {
        match self.attempt(message, conversation, history).await? {
            Ended::With(answer) => self.settle(message, &answer).await.map(|()| true),
            Ended::Later(pause, otherwise) => self.postpone(message, pause, otherwise).await,
            Ended::Early(pause) => {
                unit::outcome("waits_for_more");
                self.nudge_again(&message.id, pause).await.map(|()| false)
            }
        }
    }

    async fn settle(&self, message: &Message, answer: &Answer) -> Result<(), StoreError> {
        let settled = self.store().settle_answer(&message.id, answer).await?;
        match answer {
            Answer::Pending { .. } => {}
            Answer::Answered(_) => {
                unit::outcome("answered");
                unit::count(measure::ANSWERED, settled.into());
            }
            Answer::None(reason, _) => {
                unit::outcome(reason.as_str());
                let is_closed = settled && *reason == NoAnswer::WindowClosed;
                unit::count(measure::WINDOW_CLOSED, is_closed.into());
            }
        }
        if settled && matches!(answer, Answer::None(NoAnswer::GivenUp, _)) {
            tracing::error!(metric = metric::ANSWER_GIVEN_UP, wamid = %message.id, "an outage lasted too long for an answer");
        }
        Ok(())
    }

    /// Tries again after the pause, or longer after several tries; ends the answer where that is too late.
    /// Whether it has ended.
    async fn postpone(
        &self,
        message: &Message,
        pause: Duration,
        otherwise: NoAnswer,
    ) -> Result<bool, StoreError> {
        let pause = pause.max(FIRST_PAUSE.saturating_mul(1 << attempts(message).min(9)).min(LONGEST_PAUSE));
        let pause = scattered(pause, self.random.bytes());
        let due_at = self.now() + pause;
        if due_at > message.recorded_at + WORTH_WAITING {
            return self.settle(message, &Answer::None(otherwise, None)).await.map(|()| true);
        }
        if otherwise == NoAnswer::GivenUp && attempts(message) == LATE_AFTER {
            tracing::error!(metric = metric::ANSWER_DELAYED, wamid = %message.id, "an answer is late");
        }
        unit::outcome("postponed");
        self.store().postpone_answer(&message.id, due_at).await?;
        self.nudge_again(&message.id, pause).await.map(|()| false)
    }

    async fn attempt(
        &self,
        message: &Message,
        conversation: &Conversation,
        history: &[Message],
    ) -> Result<Ended, StoreError> {
        let client = self.store().client(&message.phone_number_id).await?;
        let Some(client) = client.filter(|c| Some(&c.bot_id) == message.bot_id.as_ref()) else {
            return Ok(none(NoAnswer::ClientInactive));
        };
        let id = MessageId::answer_to(&message.id);
        // An answer that was begun is ended first, whatever has changed since.
        if let Some(begun) = self.store().message(&id).await? {
            let delivery = self.sender.resume(&client, &begun, &recipient(conversation)).await?;
            return self.ended(delivery, message, conversation, &begun).await;
        }
        let bot = self.store().bot(&client.bot_id).await?;
        if let Some(reason) = self.reason_against(&client, &bot, conversation) {
            return Ok(none(reason));
        }
        if let Some(pause) = self.burst_left(&bot, message) {
            return Ok(Ended::Early(pause));
        }
        if let Some(held) = self.sender.held(&client).await {
            // Before a model is paid for an answer that cannot go out.
            return Ok(self.held(&held));
        }
        let said = match self.generate(&bot, message, conversation, history).await? {
            Ok(said) => said,
            Err(ended) => return Ok(ended),
        };
        let intent = self.intent(id, message, said);
        let delivery = self.sender.deliver(&client, &intent, &recipient(conversation)).await?;
        self.ended(delivery, message, conversation, &intent).await
    }

    /// How long this bot waits for more of the customer's words. Its nudge has waited for the deployment's
    /// window already.
    fn burst_left(&self, bot: &Bot, message: &Message) -> Option<Duration> {
        let window = Duration::from_secs(bot.settings.burst_seconds?);
        let left = span(self.now(), message.recorded_at + window);
        (attempts(message) == 0 && !left.is_zero()).then_some(left)
    }

    fn held(&self, held: &Held) -> Ended {
        let otherwise = match held.reason {
            HeldReason::Paused(_) => NoAnswer::Paused,
            _ => NoAnswer::GivenUp,
        };
        Ended::Later(span(self.now(), held.until), otherwise)
    }

    fn reason_against(&self, client: &Client, bot: &Bot, conversation: &Conversation) -> Option<NoAnswer> {
        let now = self.now();
        let is_restricted = client.account.refuses(false, client.signed_up_at, now).is_some();
        if client.status() != ClientStatus::Active || is_restricted {
            return Some(NoAnswer::ClientInactive);
        }
        if !bot.settings.enabled {
            return Some(NoAnswer::BotOff);
        }
        if conversation.paused_until.is_some_and(|until| until > now) {
            return Some(NoAnswer::Human);
        }
        conversation.window_ends_at.is_none_or(|end| end <= now).then_some(NoAnswer::WindowClosed)
    }

    fn intent(&self, id: MessageId, question: &Message, said: Said) -> Message {
        let (now, draft) = (self.now(), said.draft);
        Message {
            id,
            wamid: None,
            origin: Origin::Bot,
            bot_id: question.bot_id.clone(),
            phone_number_id: question.phone_number_id.clone(),
            conversation_id: question.conversation_id.clone(),
            customer: question.customer.clone(),
            kind: draft.kind.clone(),
            // Listed after its question, also where our clock is behind Meta's.
            at: now.max(question.at + Duration::from_millis(1)),
            recorded_at: now,
            raw: Raw::Plain(draft.recorded().to_string()),
            reply_to: Some(question.id.clone()),
            answer: None,
            why: Some(said.why),
            sending: Some(self.sender.intended()),
            statuses: Statuses::default(),
            expires_at: self.settings.retention.map(|kept| now + kept),
        }
    }

    async fn ended(
        &self,
        delivery: Delivery,
        question: &Message,
        conversation: &Conversation,
        intent: &Message,
    ) -> Result<Ended, StoreError> {
        if !matches!(delivery, Delivery::Held(_) | Delivery::NoToken(_) | Delivery::InProgress(_)) {
            self.note(conversation, intent).await?;
        }
        Ok(match delivery {
            Delivery::Accepted(_) => {
                self.touch(conversation, intent).await?;
                Ended::With(Answer::Answered(intent.id.clone()))
            }
            Delivery::NotSent { error: Some(error), .. } if is_tried_enough(&error, attempts(question)) => {
                Ended::With(Answer::None(NoAnswer::RefusedByMeta, Some(intent.id.clone())))
            }
            Delivery::NotSent { pause, .. } => Ended::Later(pause, NoAnswer::GivenUp),
            Delivery::Held(held) => self.held(&held),
            Delivery::InProgress(until) => Ended::Later(span(self.now(), until), NoAnswer::GivenUp),
            Delivery::Uncertain => {
                Ended::With(Answer::None(NoAnswer::SendUncertain, Some(intent.id.clone())))
            }
            Delivery::NoToken(_) => none(NoAnswer::ClientInactive),
            Delivery::Refused(error) => {
                let reason = match error.remedy() {
                    Remedy::WindowClosed => NoAnswer::WindowClosed,
                    _ => NoAnswer::RefusedByMeta,
                };
                Ended::With(Answer::None(reason, Some(intent.id.clone())))
            }
        })
    }

    /// What an answer changes for the messages to come. Its intent is recorded and its question not settled:
    /// whoever dies in between comes again and notes the same.
    async fn note(&self, conversation: &Conversation, intent: &Message) -> Result<(), StoreError> {
        match &intent.why {
            Some(Why::Away {}) => self.store().note_away(&conversation.id, intent.at).await,
            Some(Why::HandOver { paused_until, .. }) => {
                self.store().pause_conversation(&conversation.id, *paused_until).await
            }
            Some(Why::Rule(_) | Why::Model(_)) | None => Ok(()),
        }
    }

    async fn touch(&self, conversation: &Conversation, sent: &Message) -> Result<(), StoreError> {
        let touch = ConversationTouch {
            id: conversation.id.clone(),
            bot_id: conversation.bot_id.clone(),
            customer: conversation.customer.clone(),
            at: sent.at,
            by: TouchedBy::Business,
        };
        self.store().touch_conversation(&touch).await
    }
}

fn none(reason: NoAnswer) -> Ended {
    Ended::With(Answer::None(reason, None))
}

fn is_pending(message: &Message) -> bool {
    due(message).is_some()
}

/// When its answer is due, if it waits for one.
fn due(message: &Message) -> Option<Timestamp> {
    match message.answer {
        Some(Answer::Pending { due_at, .. }) => Some(due_at),
        _ => None,
    }
}

/// Whether an answer was tried and has to wait: a nudge for another message must not bring it forward. The
/// time of one that was not tried yet is only its burst's.
fn was_put_off(message: &Message, now: Timestamp) -> bool {
    attempts(message) > 0 && due(message).is_some_and(|due_at| due_at > now + CLOCK_SKEW)
}

fn attempts(message: &Message) -> u32 {
    match message.answer {
        Some(Answer::Pending { attempts, .. }) => attempts,
        _ => 0,
    }
}

fn recipient(conversation: &Conversation) -> Recipient {
    Recipient::Person(conversation.customer.clone())
}

/// Whether Meta's table says to try such an error no more often.
fn is_tried_enough(error: &MetaError, attempts: u32) -> bool {
    matches!(error.remedy(), Remedy::Retry { again: Some(again) } if attempts >= again)
}

/// The newest message that waits for an answer, and the older ones that wait with it, oldest first.
fn burst(message: Message, history: &[Message]) -> (Message, Vec<Message>) {
    let mut pending: Vec<Message> =
        history.iter().filter(|m| m.id != message.id && is_pending(m)).cloned().collect();
    pending.push(message);
    pending.sort_by_key(Message::time_key);
    let newest = pending.pop().expect("the message itself is in it");
    (newest, pending)
}

/// The conversation as it is after an answer of which it does not know yet.
fn remember(conversation: &mut Conversation, answer: &Message) {
    match &answer.why {
        Some(Why::Away {}) => conversation.away_at = conversation.away_at.max(Some(answer.at)),
        Some(Why::HandOver { paused_until, .. }) => {
            conversation.paused_until = conversation.paused_until.max(Some(*paused_until));
        }
        Some(Why::Rule(_) | Why::Model(_)) | None => {}
    }
}

mod files;
mod generate;
mod model;
#[cfg(test)]
mod tests;
