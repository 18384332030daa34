//! How a secret looks.

/// Whether the text holds a token of Meta's: `EAA` and at least 20 letters or digits. Message ids are
/// base64, in which the same letters occur by chance, but never at the start of a word.
pub(crate) fn has_token(text: &str) -> bool {
    text.match_indices("EAA").any(|(at, _)| {
        let starts_word = text[..at].chars().next_back().is_none_or(|c| " \t\n\"'=:&,([{".contains(c));
        let length = text[at..].chars().take_while(char::is_ascii_alphanumeric).count();
        starts_word && length >= 23
    })
}
