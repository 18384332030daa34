//! Language models that answer predictably.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;
use super::steps::Steps;
use crate::domain::ids::ModelName;
use crate::domain::model::{Model, Models};
use crate::error::ModelError;
use crate::ports::{Complete, Completion, Prompt};

/// The model that there is where a test says nothing else. Each token costs a millionth of a dollar.
const ECHO: &str = r#"[{"name": "echo", "provider": "openai", "baseUrl": "https://models.example/v1", "model": "m",
    "usdPerMillionInputTokens": 1, "usdPerMillionOutputTokens": 1}]"#;

/// Each model answers `You said: …` with the last turn, or what a test scripted. A turn is a token, an answer
/// is one, too.
#[derive(Debug)]
pub struct FakeModel {
    steps: Steps,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    models: Models,
    asked: Vec<(ModelName, Prompt)>,
    scripted: VecDeque<Result<String, ModelError>>,
}

impl FakeModel {
    /// One whose calls pass `steps`. It has one model, `echo`.
    ///
    /// # Panics
    /// Never: its setting is right.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        let models = ECHO.parse().expect("a list of models");
        Self { steps, state: Mutex::new(State { models, asked: Vec::new(), scripted: VecDeque::new() }) }
    }

    /// Which models there are.
    pub fn set_models(&self, models: Models) {
        lock(&self.state).models = models;
    }

    /// What the next call answers; said twice, the next two.
    pub fn script(&self, answer: Result<String, ModelError>) {
        lock(&self.state).scripted.push_back(answer);
    }

    /// Forgets what was scripted.
    pub fn forget_script(&self) {
        lock(&self.state).scripted.clear();
    }

    /// Everything that was asked, in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<Prompt> {
        lock(&self.state).asked.iter().map(|(_, prompt)| prompt.clone()).collect()
    }

    /// Which model was asked each time.
    #[must_use]
    pub fn asked(&self) -> Vec<ModelName> {
        lock(&self.state).asked.iter().map(|(model, _)| model.clone()).collect()
    }
}

impl Complete for FakeModel {
    fn model(&self, name: Option<&ModelName>) -> Option<Model> {
        lock(&self.state).models.chosen(name).cloned()
    }

    async fn complete(&self, model: &Model, prompt: &Prompt) -> Result<Completion, ModelError> {
        let answer = self.steps.pass("complete", || {
            let mut state = lock(&self.state);
            state.asked.push((model.name.clone(), prompt.clone()));
            state.scripted.pop_front()
        });
        let answer = answer.await.map_err(|e| ModelError::Unavailable(e.into()))?;
        let text = answer.unwrap_or_else(|| {
            let last = prompt.turns.last().map_or("", |turn| turn.text.as_str());
            Ok(format!("You said: {last}"))
        })?;
        Ok(Completion { text, prompt_tokens: Some(prompt.turns.len() as u64), completion_tokens: Some(1) })
    }
}
