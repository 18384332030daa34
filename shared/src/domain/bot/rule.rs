//! Rules: what a bot says to what, without a model.

use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

use super::{LONGEST_TEXT, Saying};
use crate::domain::content::{choice_of, text_of};

/// How much memory a compiled pattern may take, in bytes. What a match costs grows with it, times the text.
const LARGEST_PATTERN: usize = 256 * 1024;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What it looks for: a member of the rule itself.
    #[serde(flatten)]
    pub when: When,
    /// Sent as it is.
    #[serde(alias = "text")]
    pub answer: Saying,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Found in the text as whole words, in any case.
    Keyword(String),
    /// A regular expression that is found in the text. Linear in the text, whatever the pattern; classes and
    /// `(?i)` know ASCII only.
    Pattern(String),
    /// The id of the button or list row that the customer chose, or a template button's payload.
    Choice(String),
}

impl When {
    /// Whether a message is what the rule looks for. A pattern that is none matches nothing.
    #[must_use]
    pub fn is_met_by(&self, content: &Value) -> bool {
        match self {
            Self::Keyword(keyword) => text_of(content).is_some_and(|text| says(text, keyword)),
            Self::Pattern(pattern) => text_of(content).is_some_and(|text| {
                let end = text.char_indices().nth(LONGEST_TEXT).map_or(text.len(), |(end, _)| end);
                compiled(pattern).is_ok_and(|pattern| pattern.is_match(&text[..end]))
            }),
            Self::Choice(id) => choice_of(content) == Some(id),
        }
    }
}

/// A pattern, ready to be used, or what is wrong with it.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build().map_err(|e| e.to_string())
}

/// Whether a keyword stands in a text as whole words, in any case.
pub(super) fn says(text: &str, keyword: &str) -> bool {
    let (text, keyword) = (words(text), words(keyword));
    !keyword.is_empty() && text.windows(keyword.len()).any(|found| found == keyword)
}

/// The words of a text in one case.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keyword_is_found_as_a_whole_word_in_any_case() {
        assert!(says("What are your HOURS?", "hours"));
        assert!(says("opening  hours, please", "opening hours"));
        assert!(says("öffnungszeiten?", "Öffnungszeiten"));
    }

    #[test]
    fn a_part_of_a_word_or_an_empty_keyword_matches_nothing() {
        assert!(!says("hours", "hour"));
        assert!(!says("anything", ""));
        assert!(!says("really?", "?"));
    }

    fn text(body: &str) -> Value {
        json!({"type": "text", "text": {"body": body}})
    }

    #[test]
    fn a_pattern_is_found_anywhere_in_the_text() {
        let when = When::Pattern(r"(?i)order\s+#?\d{4,}".to_owned());
        assert!(when.is_met_by(&text("Where is Order #12345?")));
        assert!(!when.is_met_by(&text("Where is order 12?")));
        assert!(!When::Pattern("(".to_owned()).is_met_by(&text("(")));
    }

    #[test]
    fn a_pattern_that_would_take_others_for_ever_ends_at_once() {
        let when = When::Pattern("(a+)+$".to_owned());
        assert!(!when.is_met_by(&text(&format!("{}b", "a".repeat(LONGEST_TEXT - 1)))));
    }

    #[test]
    fn a_pattern_that_grows_too_large_is_refused() {
        assert!(compiled(r"\w{3}").is_ok());
        assert!(compiled("(?:a{100}){100}{100}").is_err());
    }

    #[test]
    fn a_choice_is_known_by_its_id_whatever_its_words() {
        let chosen = |id: &str, title: &str| {
            let reply = json!({"id": id, "title": title});
            json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}})
        };
        let when = When::Choice("menu-hours".to_owned());
        assert!(when.is_met_by(&chosen("menu-hours", "Hours")));
        assert!(!when.is_met_by(&chosen("menu", "menu-hours")));
        assert!(!when.is_met_by(&text("menu-hours")));
    }
}
