//! What a bot answers: by a rule, by what holds outside of business hours, by calling a person, by a model.

use std::time::Duration;

use super::{Ended, Records, Reply, none, recipient};
use crate::domain::answer::{Asked, NoAnswer, Why};
use crate::domain::bot::{Bot, BusinessHours, HandOver};
use crate::domain::conversation::{Conversation, pause_end};
use crate::domain::draft::Draft;
use crate::domain::message::Message;
use crate::error::StoreError;
use crate::flows::content_of;
use crate::ports::{Clock, Complete, MessageGraph, Random, ReadFiles, Seal, SendNudges, TokenGraph};

/// A customer hears once in this time that nobody is there.
pub(super) const AWAY_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);

/// An answer, ready to be sent.
pub(super) struct Said {
    pub(super) draft: Draft,
    pub(super) why: Why,
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
    /// The answer, or why there is none, for now or for good.
    pub(super) async fn generate(
        &self,
        bot: &Bot,
        message: &Message,
        conversation: &Conversation,
        history: &[Message],
    ) -> Result<Result<Said, Ended>, StoreError> {
        let content = content_of(message);
        if let Some((place, rule)) = bot.settings.rule_for(&content) {
            let draft = Draft::saying(recipient(conversation), &rule.answer);
            return Ok(Ok(Said { draft, why: Why::Rule(place) }));
        }
        if let Some(hours) = bot.settings.closed_at(self.now()) {
            return Ok(self.away(hours, conversation));
        }
        if bot.settings.hand_over.is_asked_by(&content) {
            return self.hand_over(&bot.settings.hand_over, None, conversation).await;
        }
        self.by_model(bot, message, conversation, history).await
    }

    fn away(&self, hours: &BusinessHours, conversation: &Conversation) -> Result<Said, Ended> {
        let is_known = conversation.away_at.is_some_and(|at| at + AWAY_AGAIN > self.now());
        match &hours.away {
            Some(away) if !is_known => {
                Ok(Said { draft: Draft::saying(recipient(conversation), away), why: Why::Away {} })
            }
            _ => Err(none(NoAnswer::Away)),
        }
    }

    /// With something to say the pause is noted with the answer; without, at once.
    pub(super) async fn hand_over(
        &self,
        hand_over: &HandOver,
        model: Option<Asked>,
        conversation: &Conversation,
    ) -> Result<Result<Said, Ended>, StoreError> {
        let paused_until = pause_end(self.now() + hand_over.pause());
        let Some(answer) = &hand_over.answer else {
            self.store().pause_conversation(&conversation.id, paused_until).await?;
            return Ok(Err(none(NoAnswer::Human)));
        };
        let draft = Draft::saying(recipient(conversation), answer);
        Ok(Ok(Said { draft, why: Why::HandOver { paused_until, model } }))
    }
}
