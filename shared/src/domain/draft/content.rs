//! Limits of every type but `template` and `interactive` (Meta, message pages, 2026-05-21).

use super::member::{Checked, Member};
use crate::domain::bot::LONGEST_TEXT;

/// Captions of pictures, films and documents.
const LONGEST_CAPTION: usize = 1024;
/// Contact cards of one message (Meta: 257, fewer advised).
const MOST_CARDS: usize = 257;
/// Meta gives no limit for these texts; this bounds what we keep.
const FREE: usize = 4096;
/// The longest emoji, a family with skin colours, has 20 UTF-16 units.
const LONGEST_EMOJI: usize = 64;

pub(super) fn text(at: &Member<'_>) -> Checked {
    at.text("body", 1..=LONGEST_TEXT)?;
    at.flag("preview_url")
}

pub(super) fn image_or_video(at: &Member<'_>) -> Checked {
    file(at)?;
    at.optional_text("caption", LONGEST_CAPTION)?;
    at.forbid("filename", "only a document has one")
}

pub(super) fn document(at: &Member<'_>) -> Checked {
    file(at)?;
    at.optional_text("caption", LONGEST_CAPTION)?;
    at.optional_text("filename", FREE).map(drop)
}

pub(super) fn audio(at: &Member<'_>) -> Checked {
    file(at)?;
    without_words(at)?;
    at.flag("voice")
}

pub(super) fn sticker(at: &Member<'_>) -> Checked {
    file(at)?;
    without_words(at)
}

fn without_words(at: &Member<'_>) -> Checked {
    at.forbid("caption", "audio and stickers have none")?;
    at.forbid("filename", "only a document has one")
}

/// A file: an uploaded one, or an address at which Meta fetches it.
pub(super) fn file(at: &Member<'_>) -> Checked {
    match (at.has("id"), at.has("link")) {
        (true, false) => at.text("id", 1..=FREE).map(drop),
        (false, true) => at.link("link"),
        _ => at.refuse("must have either id (an uploaded file) or link"),
    }
}

pub(super) fn location(at: &Member<'_>) -> Checked {
    at.number("latitude", 90.0)?;
    at.number("longitude", 180.0)?;
    at.optional_text("name", FREE)?;
    at.optional_text("address", FREE).map(drop)
}

pub(super) fn contacts(at: &Member<'_>) -> Checked {
    at.items(1..=MOST_CARDS)?.iter().try_for_each(card)
}

fn card(card: &Member<'_>) -> Checked {
    let name = card.object("name")?;
    name.text("formatted_name", 1..=FREE)?;
    texts(&name, &["first_name", "last_name", "middle_name", "prefix", "suffix"])?;
    card.optional_text("birthday", FREE)?;
    each(card, "phones", &["phone", "wa_id", "type"])?;
    each(card, "emails", &["email", "type"])?;
    each(card, "urls", &["url", "type"])?;
    each(card, "addresses", &["street", "city", "state", "zip", "country", "country_code", "type"])?;
    match card.optional("org")? {
        Some(org) => texts(&org, &["company", "department", "title"]),
        None => Ok(()),
    }
}

fn each(card: &Member<'_>, name: &str, members: &[&str]) -> Checked {
    card.optional_list(name, FREE)?.iter().try_for_each(|entry| texts(entry, members))
}

fn texts(at: &Member<'_>, members: &[&str]) -> Checked {
    members.iter().try_for_each(|name| at.optional_text(name, FREE).map(drop))
}

pub(super) fn reaction(at: &Member<'_>) -> Checked {
    at.text("message_id", 1..=1000)?;
    // The empty one takes the reaction back.
    let emoji = at.text("emoji", 0..=LONGEST_EMOJI)?;
    if emoji.is_empty() || is_one_emoji(emoji) {
        return Ok(());
    }
    at.refuse_member("emoji", "must be one emoji, or empty to take the reaction back")
}

/// Whether the text can be one emoji: one sign with what belongs to it (skin, joiner, keycap, flag). Which
/// signs are emojis changes each year, and Meta knows; letters are none.
fn is_one_emoji(text: &str) -> bool {
    const JOINER: char = '\u{200d}';
    let belongs = |c: char| matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{20e3}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}');
    let is_flag_half = |c: char| matches!(c, '\u{1f1e6}'..='\u{1f1ff}');
    let is_plain = |c: char| c.is_ascii() && !(text.ends_with('\u{20e3}') && "0123456789#*".contains(c));
    let (mut signs, mut before) = (0, None);
    for c in text.chars() {
        if is_plain(c) || c.is_whitespace() || c.is_control() {
            return false;
        }
        let goes_on = belongs(c) || c == JOINER || before == Some(JOINER);
        let ends_flag = is_flag_half(c) && before.is_some_and(is_flag_half);
        if !goes_on && !ends_flag {
            signs += 1;
        }
        // A third half begins another flag.
        before = (!ends_flag).then_some(c);
    }
    signs == 1
}

/// What a message quotes.
pub(super) fn context(at: &Member<'_>, kind: &str) -> Checked {
    if kind == "reaction" {
        return at.refuse("must not be there: a reaction names its message itself");
    }
    at.text("message_id", 1..=1000).map(drop)
}

#[cfg(test)]
mod tests {
    use super::is_one_emoji;

    #[test]
    fn one_emoji_is_told_from_two_and_from_text() {
        for one in ["👍", "👍🏽", "❤️", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "ℹ️", "🅰"]
        {
            assert!(is_one_emoji(one), "{one}");
        }
        for other in ["👍👍", "ok", "👍 ", "🇩🇪🇫🇷", "1", "x️⃣", "❤️🔥", " "] {
            assert!(!is_one_emoji(other), "{other}");
        }
    }
}
