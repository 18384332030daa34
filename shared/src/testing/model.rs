//! A language model that answers predictably.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;
use super::steps::Steps;
use crate::error::ModelError;
use crate::ports::{Complete, Completion, Prompt};

/// Answers `You said: …` with the last turn, or what a test scripted.
#[derive(Debug, Default)]
pub struct FakeModel {
    steps: Steps,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    missing: bool,
    prompts: Vec<Prompt>,
    scripted: VecDeque<Result<String, ModelError>>,
}

impl FakeModel {
    /// One whose calls pass `steps`. It is configured.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, state: Mutex::default() }
    }

    /// Whether there is a model at all.
    pub fn set_configured(&self, configured: bool) {
        lock(&self.state).missing = !configured;
    }

    /// What the next call answers; said twice, the next two.
    pub fn script(&self, answer: Result<String, ModelError>) {
        lock(&self.state).scripted.push_back(answer);
    }

    /// Forgets what was scripted.
    pub fn forget_script(&self) {
        lock(&self.state).scripted.clear();
    }

    /// Everything that it was asked, in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<Prompt> {
        lock(&self.state).prompts.clone()
    }
}

impl Complete for FakeModel {
    fn is_configured(&self) -> bool {
        !lock(&self.state).missing
    }

    async fn complete(&self, prompt: &Prompt) -> Result<Completion, ModelError> {
        let answer = self.steps.pass("complete", || {
            let mut state = lock(&self.state);
            state.prompts.push(prompt.clone());
            state.scripted.pop_front()
        });
        let answer = answer.await.map_err(|e| ModelError::Unavailable(e.into()))?;
        let text = answer.unwrap_or_else(|| {
            let last = prompt.turns.last().map_or("", |turn| turn.text.as_str());
            Ok(format!("You said: {last}"))
        })?;
        let prompt_tokens = Some(prompt.turns.len() as u64);
        Ok(Completion { text, model: "echo".to_owned(), prompt_tokens, completion_tokens: Some(1) })
    }
}
