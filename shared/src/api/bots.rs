//! What bots do on their own, and in which conversations they are silent.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::bot::{Bot, BotSettings};
use crate::domain::ids::{BotId, ModelName, PhoneNumberId};
use crate::domain::model::{FileKind, Model, Models};
use crate::domain::money::{Month, Usd};

/// Members of a bot that nobody sets: whoever sends a bot back as it was shown may leave them in.
pub const SHOWN_ONLY: [&str; 2] = ["models", "spent"];

/// A bot with all its settings.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Bot"))]
#[serde(rename_all = "camelCase")]
pub struct BotView<'a> {
    bot_id: &'a BotId,
    /// Counts the changes of the settings; 0 = nobody set any yet.
    version: u64,
    /// What `model` may name.
    models: Vec<ModelView<'a>>,
    spent: Spent<'a>,
    #[serde(flatten)]
    settings: &'a BotSettings,
}

/// What may be known of a model: not where it is, nor what its provider calls it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Model"))]
#[serde(rename_all = "camelCase")]
struct ModelView<'a> {
    name: &'a ModelName,
    /// The files that it takes.
    takes: &'a [FileKind],
    /// Whether a budget can be kept with it.
    has_prices: bool,
}

/// What the model cost.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Spent<'a> {
    /// This one, in UTC.
    month: &'a Month,
    usd: Usd,
    budget_usd: Option<Usd>,
}

impl<'a> BotView<'a> {
    /// The bot as it is shown, with what the model cost this month.
    #[must_use]
    pub fn of(bot: &'a Bot, models: &'a Models, month: &'a Month, usd: Usd) -> Self {
        let view = |model: &'a Model| ModelView {
            name: &model.name,
            takes: &model.takes,
            has_prices: model.prices.is_some(),
        };
        Self {
            bot_id: &bot.id,
            version: bot.version,
            models: models.iter().map(view).collect(),
            spent: Spent { month, usd, budget_usd: bot.settings.monthly_budget_usd },
            settings: &bot.settings,
        }
    }
}

/// What became of the pauses in the conversations with a customer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Pauses {
    /// The conversations.
    pub items: Vec<ConversationPause>,
}

/// The pause of one conversation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConversationPause {
    /// The number.
    pub phone_number_id: PhoneNumberId,
    /// What `customer` takes; null in a group.
    pub customer: Option<String>,
    /// Until when the bot is silent; null = it answers.
    pub paused_until: Option<Timestamp>,
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) use described::operations;

/// Bodies, for the description. They are read by [`BotSettings::read`] and the function's own checks.
#[cfg(feature = "openapi")]
mod described {
    #![expect(dead_code, reason = "only described")]

    use schemars::JsonSchema;
    use serde_json::{Map, Value, json};

    use super::super::describe::Operation;
    use super::{BotView, Pauses};
    use crate::domain::Timestamp;
    use crate::domain::bot::Day;
    use crate::domain::ids::{BotId, ModelName, PhoneNumberId};
    use crate::domain::money::Usd;

    /// All settings; a member that is missing or null gets its default.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    struct BotSettingsRequest {
        /// The version that was read; without it whatever is there is replaced.
        version: Option<u64>,
        /// The bot of the path, if at all.
        bot_id: Option<BotId>,
        /// Whether it answers at all.
        enabled: Option<bool>,
        /// BCP 47 tags of the languages that the model may answer in; any where there are none.
        #[schemars(length(max = 20), inner(regex(pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")))]
        languages: Option<Vec<String>>,
        /// What the model is told about its task.
        #[schemars(length(max = 8000))]
        instructions: Option<String>,
        /// The first that matches answers.
        #[schemars(length(max = 200))]
        rules: Option<Vec<NewRule>>,
        /// Whether the model answers what no rule does.
        model_enabled: Option<bool>,
        /// One of `models`; null = the first.
        model: Option<ModelName>,
        /// How much the model may cost in a calendar month (UTC).
        monthly_budget_usd: Option<Usd>,
        /// When somebody is there; null = always.
        business_hours: Option<NewBusinessHours>,
        /// How a customer gets a person.
        hand_over: Option<NewHandOver>,
        /// For how long a customer must have been silent before the answer.
        #[schemars(range(min = 1, max = 60))]
        burst_seconds: Option<u64>,
        /// How many messages before the one that it answers the model sees.
        #[schemars(range(min = 0, max = 50))]
        history_messages: Option<u64>,
        /// Ignored: what nobody sets may be sent back as it was shown.
        models: Option<Value>,
        /// Ignored.
        spent: Option<Value>,
    }

    /// Exactly one of `keyword`, `pattern` and `choice`, and one of `answer` and `text`.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields, extend("minProperties" = 2, "maxProperties" = 2))]
    struct NewRule {
        /// Found in the text as whole words, in any case.
        #[schemars(length(min = 1, max = 200))]
        keyword: Option<String>,
        /// A regular expression, found anywhere in the text.
        #[schemars(length(min = 1, max = 500))]
        pattern: Option<String>,
        /// The id of a reply button or list row, or the payload of a template's button.
        #[schemars(length(min = 1, max = 256))]
        choice: Option<String>,
        /// What is sent.
        answer: Option<Said>,
        /// The short form of a text.
        #[schemars(length(min = 1, max = 4096))]
        text: Option<String>,
    }

    /// A text, or a message of any type in Meta's form: `type`, and the object of that name.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    enum Said {
        Text(#[schemars(length(min = 1, max = 4096))] String),
        Message(Map<String, Value>),
    }

    /// When somebody is there.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    struct NewBusinessHours {
        /// An IANA name.
        #[schemars(extend("examples" = ["Europe/Berlin"]))]
        time_zone: String,
        /// Open within any of these.
        weekly: Vec<NewRange>,
        /// What is said outside of them, once in 12 hours.
        away: Option<Said>,
    }

    /// Hours of some days.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct NewRange {
        #[schemars(length(min = 1, max = 7))]
        days: Vec<Day>,
        /// Open from then on.
        #[schemars(extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
        from: String,
        /// Closed from then on; later than `from`. `24:00` ends a day.
        #[schemars(extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"))]
        to: String,
    }

    /// How a customer gets a person.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    struct NewHandOver {
        /// Found as whole words, in any case.
        #[schemars(length(max = 50))]
        keywords: Option<Vec<String>>,
        /// For how many minutes the bot is silent then.
        #[schemars(range(min = 5, max = 10_080))]
        minutes: Option<u64>,
        /// What it says before.
        answer: Option<Said>,
        /// Whether the model, too, may decide that a person is needed.
        by_model: Option<bool>,
    }

    /// Until when the bot is silent: exactly one of `until` and `minutes`.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    struct PauseRequest {
        /// Within a year.
        until: Option<Timestamp>,
        #[schemars(range(min = 1, max = 525_600))]
        minutes: Option<u64>,
        /// Only under this number.
        phone_number_id: Option<PhoneNumberId>,
    }

    pub(in crate::api) fn operations() -> Vec<Operation> {
        let path = "/api/whatsapp/bots/{botId}";
        let get = Operation::new("get", path, "getBot", "Shows a bot's settings")
            .of_a_bot()
            .answer::<BotView<'_>>(200, "The bot. One that nobody set up has the defaults.");
        let put = Operation::new("put", path, "putBot", "Replaces a bot's settings")
            .of_a_bot()
            .body::<BotSettingsRequest>(json!({
                "instructions": "You work for a bakery.",
                "rules": [{"keyword": "hours", "text": "We open at nine."}],
                "handOver": {"keywords": ["human"], "minutes": 120},
            }))
            .problem(400, "invalid_settings")
            .problem(409, "settings_changed")
            .answer::<BotView<'_>>(200, "The bot as it is now.");
        let path = "/api/whatsapp/conversations/{botId}/{customer}/pause";
        let pause = with_customer(Operation::new("put", path, "pauseBot", "Silences the bot for a customer"))
            .body::<PauseRequest>(json!({"minutes": 90}))
            .answer::<Pauses>(200, "The conversations.");
        let resume = with_customer(Operation::new(
            "delete",
            path,
            "resumeBot",
            "Lets the bot answer a customer again",
        ))
        .answer::<Pauses>(200, "The conversations.");
        vec![get, put, pause, resume]
    }

    fn with_customer(operation: Operation) -> Operation {
        operation
            .of_a_bot()
            .path::<String>(
                "customer",
                "Any name of the customer: a phone number or a BSUID.",
                "customer_not_found",
            )
            .query::<PhoneNumberId>("phoneNumberId", "Only under this number.")
            .problem(404, "client_not_found")
            .problem(400, "phone_number_required")
    }
}
