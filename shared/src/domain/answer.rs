//! Whether and how an incoming message was answered. Kept on the message: it is the list of what is due.

use super::Timestamp;
use super::ids::MessageId;
use super::money::Usd;

/// The state of the automatic answer to one incoming message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Not decided yet; found by the sweep from `due_at` on if no nudge comes.
    Pending {
        /// When it is due.
        due_at: Timestamp,
        /// How often it was tried.
        attempts: u32,
    },
    /// Answered by this message.
    Answered(MessageId),
    /// There is no answer, for a reason. With a message: the one that was tried.
    None(NoAnswer, Option<MessageId>),
}

/// Why a message has no automatic answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// A later message of the same burst got the answer.
    Superseded,
    /// The bot is switched off.
    BotOff,
    /// No rule matched, and there is no language model to ask.
    NoRule,
    /// A person writes in this conversation, or was asked for.
    Human,
    /// Nobody was there, and the customer knew it or the bot says nothing then.
    Away,
    /// The 24 hours are over.
    WindowClosed,
    /// A type that gets no answer: reactions, edits, system messages.
    Type,
    /// Not a live message: history, echoes, standby.
    NotLive,
    /// The client cannot send: off-boarded, suspended or not yet active.
    ClientInactive,
    /// The bot's models cost as much this month as they may.
    Budget,
    /// The language model gave nothing usable, time and again.
    ModelFailed,
    /// The send's outcome is unknown; it is never repeated. A status may still resolve it.
    SendUncertain,
    /// Meta refused the answer for good.
    RefusedByMeta,
    /// Meta takes nothing of the client for longer than an answer is worth waiting for: payment, or a lock.
    Paused,
    /// A dependency was down for longer than an answer is worth waiting for.
    GivenUp,
    /// First recorded by a replay that was not asked to answer.
    Replayed,
}

impl NoAnswer {
    /// The word in records and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::BotOff => "bot_off",
            Self::NoRule => "no_rule",
            Self::Human => "human",
            Self::Away => "away",
            Self::WindowClosed => "window_closed",
            Self::Type => "type",
            Self::NotLive => "not_live",
            Self::ClientInactive => "client_inactive",
            Self::Budget => "budget",
            Self::ModelFailed => "model_failed",
            Self::SendUncertain => "send_uncertain",
            Self::RefusedByMeta => "refused_by_meta",
            Self::Paused => "paused",
            Self::GivenUp => "given_up",
            Self::Replayed => "replayed",
        }
    }
}

/// Why the bot sent what it sent. Kept on its message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Why {
    /// The rule at this place, from 0, in the settings as they were then.
    Rule(usize),
    /// Nobody was there.
    Away {},
    /// A person is needed.
    HandOver {
        /// Until when the bot is silent.
        paused_until: Timestamp,
        /// The model that decided so; `None` = the customer asked for it by a keyword.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Asked>,
    },
    /// A language model wrote it.
    Model(Asked),
}

impl Why {
    /// What was asked of a model for it.
    #[must_use]
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Model(asked) => Some(asked),
            Self::HandOver { model, .. } => model.as_ref(),
            Self::Rule(_) | Self::Away {} => None,
        }
    }
}

/// A call of a language model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The model's name in the configuration of then.
    pub name: String,
    /// Tokens of the prompt, if told.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, if told.
    pub completion_tokens: Option<u64>,
    /// What it cost, if the model has prices and told its tokens.
    pub cost_usd: Option<Usd>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Whether a message of this type is something that a customer expects an answer to.
#[must_use]
pub fn wants_answer(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "image"
            | "audio"
            | "video"
            | "document"
            | "sticker"
            | "location"
            | "contacts"
            | "interactive"
            | "button"
            | "order"
    )
}

/// A note on the queue `answers` that something may be due. Losing it or doubling it does no harm.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nudge {
    /// The incoming message.
    pub message_id: MessageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_called_the_same_in_answers_and_in_records() {
        for reason in [
            NoAnswer::Superseded,
            NoAnswer::BotOff,
            NoAnswer::NoRule,
            NoAnswer::Human,
            NoAnswer::Away,
            NoAnswer::WindowClosed,
            NoAnswer::Type,
            NoAnswer::NotLive,
            NoAnswer::ClientInactive,
            NoAnswer::Budget,
            NoAnswer::ModelFailed,
            NoAnswer::SendUncertain,
            NoAnswer::RefusedByMeta,
            NoAnswer::Paused,
            NoAnswer::GivenUp,
            NoAnswer::Replayed,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
