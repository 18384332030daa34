//! Answers of a language model: which one is asked, what it sees, what it costs.

use super::files::{Files, LOOK_AGAIN};
use super::generate::Said;
use super::{Ended, FIRST_PAUSE, HISTORY, Records, Reply, attempts, none, recipient, span};
use crate::domain::answer::{Asked, NoAnswer, Why};
use crate::domain::bot::Bot;
use crate::domain::content::line_of;
use crate::domain::conversation::Conversation;
use crate::domain::draft::Draft;
use crate::domain::message::Message;
use crate::domain::model::Model;
use crate::domain::money::{Month, Usd};
use crate::error::{Chain, ModelError, StoreError};
use crate::flows::content_of;
use crate::ports::{
    Clock, Complete, Completion, MessageGraph, Prompt, Random, ReadFiles, Seal, SendNudges, TokenGraph, Turn,
};
use crate::telemetry::metric;

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
    /// What the bot's model says, or why nothing is said, for now or for good.
    pub(super) async fn by_model(
        &self,
        bot: &Bot,
        message: &Message,
        conversation: &Conversation,
        history: &[Message],
    ) -> Result<Result<Said, Ended>, StoreError> {
        let Some(model) = self.chosen(bot) else { return Ok(Err(none(NoAnswer::NoRule))) };
        if self.is_used_up(bot, &model).await? {
            return Ok(Err(none(NoAnswer::Budget)));
        }
        let Some(prompt) = self.prompt(bot, &model, message, history).await? else {
            return Ok(Err(Ended::Early(LOOK_AGAIN)));
        };
        let (text, asked) = match self.ask(bot, &model, prompt, message).await? {
            Ok(answer) => answer,
            Err(ended) => return Ok(Err(ended)),
        };
        if bot.settings.hand_over.is_wanted_by(&text) {
            return self.hand_over(&bot.settings.hand_over, Some(asked), conversation).await;
        }
        Ok(Ok(Said { draft: Draft::text(recipient(conversation), &text), why: Why::Model(asked) }))
    }

    fn chosen(&self, bot: &Bot) -> Option<Model> {
        if !bot.settings.model_enabled {
            return None;
        }
        let wanted = bot.settings.model.as_ref();
        self.model.model(wanted).or_else(|| {
            let model = self.model.model(None)?;
            tracing::warn!(botId = %bot.id, model = wanted.map(AsRef::as_ref), instead = %model.name, "the bot's model is not configured any more");
            Some(model)
        })
    }

    /// Whether the bot's models cost this month what they may. With a model whose prices nobody knows no budget
    /// can be kept: such a bot's is used up.
    async fn is_used_up(&self, bot: &Bot, model: &Model) -> Result<bool, StoreError> {
        let Some(budget) = bot.settings.monthly_budget_usd else { return Ok(false) };
        if model.prices.is_none() {
            tracing::warn!(botId = %bot.id, model = %model.name, "the bot has a budget, and its model no prices");
            return Ok(true);
        }
        Ok(self.store().spent(&bot.id, &Month::of(self.now())).await? >= budget)
    }

    /// The partner's instructions, and the conversation as the model sees it: oldest first, ending with the
    /// message. `None` = a file of it is still being fetched.
    async fn prompt(
        &self,
        bot: &Bot,
        model: &Model,
        message: &Message,
        history: &[Message],
    ) -> Result<Option<Prompt>, StoreError> {
        let earlier = bot.settings.history_messages;
        let longer = match earlier.saturating_add(1) {
            wanted if wanted > HISTORY => {
                Some(self.store().recent_messages(&message.conversation_id, wanted).await?)
            }
            _ => None,
        };
        let seen = seen(message, longer.as_deref().unwrap_or(history), earlier);
        let Some(mut files) = self.files_of(model, &seen).await? else { return Ok(None) };
        let turns = seen.into_iter().map(|message| turn(message, &mut files)).collect();
        Ok(Some(Prompt { instructions: bot.settings.task(), turns }))
    }

    async fn ask(
        &self,
        bot: &Bot,
        model: &Model,
        prompt: Prompt,
        message: &Message,
    ) -> Result<Result<(String, Asked), Ended>, StoreError> {
        let asked_at = self.now();
        let completion = match self.complete(model, prompt).await {
            Ok(completion) => completion,
            Err(error) => {
                tracing::warn!(wamid = %message.id, model = %model.name, error = %Chain(&error), "no answer from the model");
                return Ok(Err(match error {
                    ModelError::Unavailable(_) => Ended::Later(FIRST_PAUSE, NoAnswer::GivenUp),
                    ModelError::Refused { .. } => none(NoAnswer::ModelFailed),
                }));
            }
        };
        let tokens = completion.prompt_tokens.zip(completion.completion_tokens);
        let cost_usd = model.prices.zip(tokens).map(|(prices, (input, output))| prices.cost(input, output));
        if let Some(cost) = cost_usd {
            self.count(bot, cost).await?;
        }
        if completion.text.is_empty() {
            tracing::warn!(wamid = %message.id, model = %model.name, "the model answered without text");
            let again = attempts(message) == 0;
            return Ok(Err(match again {
                true => Ended::Later(FIRST_PAUSE, NoAnswer::GivenUp),
                false => none(NoAnswer::ModelFailed),
            }));
        }
        let asked = Asked {
            name: model.name.to_string(),
            prompt_tokens: completion.prompt_tokens,
            completion_tokens: completion.completion_tokens,
            cost_usd,
            ms: u64::try_from(span(asked_at, self.now()).as_millis()).unwrap_or(u64::MAX),
        };
        Ok(Ok((completion.text, asked)))
    }

    /// A file may be why a model refuses: then it is asked without any. Else the file would silence the bot for the
    /// messages after it, too.
    async fn complete(&self, model: &Model, mut prompt: Prompt) -> Result<Completion, ModelError> {
        match self.model.complete(model, &prompt).await {
            Err(ModelError::Refused { status }) if prompt.turns.iter().any(|turn| !turn.files.is_empty()) => {
                tracing::warn!(model = %model.name, status, "the model refused, and is asked without files");
                prompt.turns.iter_mut().for_each(|turn| turn.files.clear());
                self.model.complete(model, &prompt).await
            }
            answer => answer,
        }
    }

    /// Counts what was spent before anything else may fail. Of all copies one crosses the budget's line, and
    /// reports it.
    async fn count(&self, bot: &Bot, cost: Usd) -> Result<(), StoreError> {
        let month = Month::of(self.now());
        let sum = self.store().add_spending(&bot.id, &month, cost).await?;
        let before = sum.micros().saturating_sub(cost.micros());
        if let Some(budget) = bot.settings.monthly_budget_usd
            && before < budget.micros()
            && sum >= budget
        {
            tracing::warn!(metric = metric::BUDGET_USED_UP, botId = %bot.id, month = month.as_ref(), "the monthly budget is used up");
        }
        Ok(())
    }
}

/// At most `most` messages before this one, oldest first, and this one.
fn seen<'m>(message: &'m Message, history: &'m [Message], most: usize) -> Vec<&'m Message> {
    let mut earlier: Vec<&Message> =
        history.iter().filter(|m| m.id != message.id && m.time_key() < message.time_key()).collect();
    earlier.sort_by_key(|m| m.time_key());
    let begin = earlier.len().saturating_sub(most);
    let mut seen = earlier.split_off(begin);
    seen.push(message);
    seen
}

fn turn(message: &Message, files: &mut Files) -> Turn {
    let content = content_of(message);
    let line = if content.is_null() { String::new() } else { line_of(&content) };
    Turn {
        from_customer: message.origin.is_inbound(),
        text: if line.trim().is_empty() { format!("[{}]", message.kind) } else { line },
        files: files.remove(&message.id).into_iter().collect(),
    }
}
