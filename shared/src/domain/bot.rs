//! A bot's settings, and what its rules answer.

use super::ids::BotId;

/// How long an answer may get: Meta's limit of a text body (Meta, text messages, 2026-05-21).
pub const LONGEST_TEXT: usize = 4096;

/// What a bot does on its own. A bot exists as soon as a caller's claim names it; until somebody sets
/// these, the defaults hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BotSettings {
    /// Whether it answers at all.
    pub enabled: bool,
    /// What the language model is told about its task.
    pub instructions: String,
    /// Keyword → text; the first match answers, before any model is asked.
    pub rules: Vec<Rule>,
    /// Whether a language model answers what no rule does.
    pub model_enabled: bool,
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            instructions: "You answer customers of this business on WhatsApp, briefly and in their language."
                .to_owned(),
            rules: Vec::new(),
            model_enabled: true,
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Found as a whole word, in any case.
    pub keyword: String,
    /// Sent as it is.
    pub text: String,
}

impl BotSettings {
    /// The text of the first rule whose keyword stands in `message` as whole words, in any case.
    #[must_use]
    pub fn rule_for(&self, message: &str) -> Option<&Rule> {
        let message = words(message);
        self.rules.iter().find(|rule| {
            let keyword = words(&rule.keyword);
            !keyword.is_empty() && message.windows(keyword.len()).any(|found| found == keyword)
        })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// A bot with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Whose settings these are.
    pub id: BotId,
    /// What it does.
    pub settings: BotSettings,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot(keyword: &str) -> BotSettings {
        let rules = vec![Rule { keyword: keyword.to_owned(), text: "9 to 5".to_owned() }];
        BotSettings { rules, ..BotSettings::default() }
    }

    #[test]
    fn a_keyword_is_found_as_a_whole_word_in_any_case() {
        assert!(bot("hours").rule_for("What are your HOURS?").is_some());
        assert!(bot("opening hours").rule_for("opening  hours, please").is_some());
        assert!(bot("Öffnungszeiten").rule_for("öffnungszeiten?").is_some());
    }

    #[test]
    fn a_part_of_a_word_or_an_empty_keyword_matches_nothing() {
        assert!(bot("hour").rule_for("hours").is_none());
        assert!(bot("").rule_for("anything").is_none());
        assert!(bot("?").rule_for("really?").is_none());
    }
}
