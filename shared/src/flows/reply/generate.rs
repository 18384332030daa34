//! What a bot answers: by a rule, by what holds outside of business hours, by calling a person, by a model.

use std::time::Duration;

use serde_json::Value;

use super::{Ended, FIRST_PAUSE, HISTORY, Records, Reply, attempts, none, recipient, span};
use crate::domain::answer::{NoAnswer, Why};
use crate::domain::bot::{Bot, BusinessHours, HandOver};
use crate::domain::content::line_of;
use crate::domain::conversation::{Conversation, pause_end};
use crate::domain::draft::Draft;
use crate::domain::message::Message;
use crate::error::{Chain, ModelError, StoreError};
use crate::flows::content_of;
use crate::ports::{Clock, Complete, MessageGraph, Prompt, Random, Seal, SendNudges, TokenGraph, Turn};

/// A customer hears once in this time that nobody is there.
pub(super) const AWAY_AGAIN: Duration = Duration::from_secs(12 * 60 * 60);

/// An answer, ready to be sent.
pub(super) struct Said {
    pub(super) draft: Draft,
    pub(super) why: Why,
}

impl<S, K, G, Q, L, C, R> Reply<'_, S, K, G, Q, L, C, R>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
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
            return self.hand_over(&bot.settings.hand_over, conversation).await;
        }
        if !bot.settings.model_enabled || !self.model.is_configured() {
            return Ok(Err(none(NoAnswer::NoRule)));
        }
        let prompt = self.prompt(bot, message, &content, history).await?;
        Ok(self.ask(&prompt, message, conversation).await)
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
    async fn hand_over(
        &self,
        hand_over: &HandOver,
        conversation: &Conversation,
    ) -> Result<Result<Said, Ended>, StoreError> {
        let paused_until = pause_end(self.now() + hand_over.pause());
        let Some(answer) = &hand_over.answer else {
            self.store().pause_conversation(&conversation.id, paused_until).await?;
            return Ok(Err(none(NoAnswer::Human)));
        };
        let draft = Draft::saying(recipient(conversation), answer);
        Ok(Ok(Said { draft, why: Why::HandOver { paused_until } }))
    }

    /// The partner's instructions, and the conversation as the model sees it: oldest first, ending with the
    /// message.
    async fn prompt(
        &self,
        bot: &Bot,
        message: &Message,
        content: &Value,
        history: &[Message],
    ) -> Result<Prompt, StoreError> {
        let earlier = bot.settings.history_messages;
        let longer = match earlier.saturating_add(1) {
            wanted if wanted > HISTORY => {
                Some(self.store().recent_messages(&message.conversation_id, wanted).await?)
            }
            _ => None,
        };
        let turns = turns(message, content, longer.as_deref().unwrap_or(history), earlier);
        Ok(Prompt { instructions: bot.settings.task(), turns })
    }

    async fn ask(
        &self,
        prompt: &Prompt,
        message: &Message,
        conversation: &Conversation,
    ) -> Result<Said, Ended> {
        let asked_at = self.now();
        match self.model.complete(prompt).await {
            Ok(completion) => Ok(Said {
                draft: Draft::text(recipient(conversation), &completion.text),
                why: Why::Model {
                    name: completion.model,
                    prompt_tokens: completion.prompt_tokens,
                    completion_tokens: completion.completion_tokens,
                    ms: u64::try_from(span(asked_at, self.now()).as_millis()).unwrap_or(u64::MAX),
                },
            }),
            Err(error) => {
                tracing::warn!(wamid = %message.id, error = %Chain(&error), "no answer from the model");
                Err(match error {
                    ModelError::Unavailable(_) => Ended::Later(FIRST_PAUSE, NoAnswer::GivenUp),
                    ModelError::Empty if attempts(message) == 0 => {
                        Ended::Later(FIRST_PAUSE, NoAnswer::GivenUp)
                    }
                    _ => none(NoAnswer::ModelFailed),
                })
            }
        }
    }
}

/// The message, and at most `most` before it.
fn turns(message: &Message, content: &Value, history: &[Message], most: usize) -> Vec<Turn> {
    let mut earlier: Vec<&Message> =
        history.iter().filter(|m| m.id != message.id && m.time_key() < message.time_key()).collect();
    earlier.sort_by_key(|m| m.time_key());
    let begin = earlier.len().saturating_sub(most);
    let mut turns: Vec<Turn> = earlier[begin..].iter().map(|m| turn(m, &content_of(m))).collect();
    turns.push(turn(message, content));
    turns
}

fn turn(message: &Message, content: &Value) -> Turn {
    let text = if content.is_null() { format!("[{}]", message.kind) } else { line_of(content) };
    Turn { from_customer: message.origin.is_inbound(), text }
}
