//! A bot's settings, and what its rules answer.

mod hours;
mod read;
mod rule;

use std::time::Duration;

use serde_json::{Map, Value, json};

pub use hours::{BusinessHours, Day, OpenRange, TimeOfDay};
pub use read::{InvalidSettings, LARGEST_SETTINGS};
pub use rule::{Rule, When};

use super::Timestamp;
use super::content::text_of;
use super::ids::{BotId, ModelName};
use super::money::Usd;

/// How long an answer may get: Meta's limit of a text body (Meta, text messages, 2026-05-21).
pub const LONGEST_TEXT: usize = 4096;
/// How many messages before the one that it answers a model sees, where a bot does not say it.
const HISTORY: usize = 20;

/// What a model answers if it thinks that a person is needed; nobody writes it by chance.
const PERSON_NEEDED: &str = "[[person-needed]]";

/// What a bot does on its own. A bot exists as soon as a caller's claim names it; until somebody sets
/// these, the defaults hold. The bounds are those of [`BotSettings::read`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct BotSettings {
    /// Whether it answers at all.
    pub enabled: bool,
    /// The languages that the model may answer in, as BCP 47 tags; the customer's own where there are none.
    pub languages: Vec<String>,
    /// What the language model is told about its task.
    pub instructions: String,
    /// What is answered before any model is asked; the first that matches counts.
    pub rules: Vec<Rule>,
    /// Whether a language model answers what no rule does.
    pub model_enabled: bool,
    /// Which model of the deployment; `None` = its first.
    pub model: Option<ModelName>,
    /// How much the model may cost in a calendar month (UTC); `None` = no matter.
    pub monthly_budget_usd: Option<Usd>,
    /// When somebody is there; `None` = always.
    pub business_hours: Option<BusinessHours>,
    /// How a customer gets a person.
    pub hand_over: HandOver,
    /// How long a customer must have been silent before the answer, at least; `None` = as the deployment
    /// says, which is also the least.
    pub burst_seconds: Option<u64>,
    /// How many messages before the one that it answers a model sees.
    pub history_messages: usize,
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            languages: Vec::new(),
            instructions: "You answer customers of this business on WhatsApp, briefly and in their language."
                .to_owned(),
            rules: Vec::new(),
            model_enabled: true,
            model: None,
            monthly_budget_usd: None,
            business_hours: None,
            hand_over: HandOver::default(),
            burst_seconds: None,
            history_messages: HISTORY,
        }
    }
}

/// How a customer gets a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct HandOver {
    /// Found as whole words, in any case: the customer asks for a person.
    pub keywords: Vec<String>,
    /// For how many minutes the bot is silent then.
    pub minutes: u64,
    /// What it says before; `None` = nothing.
    pub answer: Option<Saying>,
    /// Whether the model, too, may decide that a person is needed.
    pub by_model: bool,
}

impl Default for HandOver {
    fn default() -> Self {
        Self { keywords: Vec::new(), minutes: 60, answer: None, by_model: false }
    }
}

impl HandOver {
    /// Whether this message asks for a person.
    #[must_use]
    pub fn is_asked_by(&self, content: &Value) -> bool {
        let text = text_of(content).unwrap_or_default();
        self.keywords.iter().any(|keyword| rule::says(text, keyword))
    }

    /// Whether this answer of the model says that a person is needed. Such an answer is never sent,
    /// whatever else is in it: what a model says beside the word is not what it was asked for.
    #[must_use]
    pub fn is_wanted_by(&self, answer: &str) -> bool {
        self.by_model && answer.to_ascii_lowercase().contains(PERSON_NEEDED)
    }

    /// For how long the bot is silent.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_secs(self.minutes * 60)
    }
}

/// What a bot says: a message in Meta's form, without a recipient. Of any type that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(try_from = "Value")]
pub struct Saying(Map<String, Value>);

impl Saying {
    /// A plain text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut message = Map::new();
        message.insert("type".to_owned(), json!("text"));
        message.insert("text".to_owned(), json!({ "body": text }));
        Self(message)
    }

    /// Meta's `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// `type` and the object of that name.
    #[must_use]
    pub fn message(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// A text is the short form of a message of type text.
impl TryFrom<Value> for Saying {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(text) => Ok(Self::text(&text)),
            Value::Object(message) => Ok(Self(message)),
            _ => Err("a message is text or an object"),
        }
    }
}

impl BotSettings {
    /// The first rule that matches a message, and its place from 0.
    #[must_use]
    pub fn rule_for(&self, content: &Value) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.when.is_met_by(content))
    }

    /// The business hours, if nobody is there now.
    #[must_use]
    pub fn closed_at(&self, now: Timestamp) -> Option<&BusinessHours> {
        self.business_hours.as_ref().filter(|hours| !hours.is_open(now))
    }

    /// What the model is told: the instructions, in which language to answer, and how to call a person.
    #[must_use]
    pub fn task(&self) -> String {
        let language = match self.languages.as_slice() {
            [] => "Answer in the language that the customer writes.".to_owned(),
            [first, ..] => format!(
                "Answer in the language that the customer writes if it is one of these, else in {first}: {}.",
                self.languages.join(", ")
            ),
        };
        let person = match self.hand_over.by_model {
            true => format!(
                "\n\nIf the customer needs or wants a person of the business, or you cannot help, answer with \
                 exactly {PERSON_NEEDED} and nothing else."
            ),
            false => String::new(),
        };
        format!("{}\n\n{language}{person}", self.instructions)
    }
}

/// A bot with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Whose settings these are.
    pub id: BotId,
    /// Counts the changes of the settings; 0 = nobody set any yet.
    pub version: u64,
    /// What it does.
    pub settings: BotSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_hears_in_which_languages_it_may_answer() {
        let free = BotSettings::default().task();
        assert!(free.ends_with("Answer in the language that the customer writes."), "{free}");
        let languages = vec!["de-CH".to_owned(), "fr".to_owned()];
        let bound = BotSettings { languages, ..BotSettings::default() }.task();
        assert!(bound.contains("else in de-CH: de-CH, fr."), "{bound}");
    }

    #[test]
    fn a_person_is_asked_for_by_a_whole_word_in_what_was_written() {
        let keywords = vec!["human".to_owned()];
        let hand_over = HandOver { keywords, ..HandOver::default() };
        let text = |body: &str| json!({"type": "text", "text": {"body": body}});
        assert!(hand_over.is_asked_by(&text("A HUMAN, please")));
        assert!(!hand_over.is_asked_by(&text("Humanity")));
        assert!(!hand_over.is_asked_by(&json!({"type": "audio", "audio": {"id": "human"}})));
    }

    #[test]
    fn the_model_hears_how_to_call_a_person_only_if_it_may_and_is_understood_however_it_says_it() {
        let hand_over = HandOver { by_model: true, ..HandOver::default() };
        for answer in [PERSON_NEEDED, " [[PERSON-needed]]\n", "I am sorry. [[person-needed]] Bye."] {
            assert!(hand_over.is_wanted_by(answer), "{answer}");
            assert!(!HandOver::default().is_wanted_by(answer), "{answer}");
        }
        assert!(!hand_over.is_wanted_by("A person is needed."));
        assert!(!BotSettings::default().task().contains(PERSON_NEEDED));
        let asked = BotSettings { hand_over, ..BotSettings::default() }.task();
        assert!(asked.contains("exactly [[person-needed]]"), "{asked}");
    }

    #[test]
    fn records_of_before_are_read_as_they_were_meant() {
        let old = json!({"enabled": true, "rules": [{"keyword": "hours", "text": "9 to 5"}]});
        let settings: BotSettings = serde_json::from_value(old).unwrap();
        let answer = Saying::text("9 to 5");
        assert_eq!(settings.rules, [Rule { when: When::Keyword("hours".to_owned()), answer }]);
        assert_eq!(settings.hand_over, HandOver::default());
        let again = serde_json::from_value(serde_json::to_value(&settings).unwrap());
        assert_eq!(settings, again.unwrap());
    }
}
