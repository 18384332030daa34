//! The handshake: Meta sends the word that was typed into its dashboard, and wants its challenge back
//! (Meta, webhooks `create-webhook-endpoint`, 2026-05-21).

use lambda_http::{Body, Request};
use shared::domain::secret::VerifyToken;
use shared::http::{ApiError, Response, query_parameter};

/// A challenge is a number; this leaves room for longer ones.
const LONGEST_CHALLENGE: usize = 200;

pub(crate) fn handle(token: &VerifyToken, request: &Request) -> Result<Response<Body>, ApiError> {
    let parameter = |name| query_parameter::<String>(request, name).ok().flatten();
    let given = parameter("hub.verify_token").unwrap_or_default();
    if parameter("hub.mode").as_deref() != Some("subscribe") || !token.matches(&given) {
        return Err(ApiError::forbidden(
            "wrong_verify_token",
            "This is not the verification of our webhook.",
            "Type the verify token of this deployment into Meta's dashboard.",
        ));
    }
    let challenge = parameter("hub.challenge").filter(|c| is_challenge(c)).ok_or_else(|| {
        ApiError::bad_request(
            "missing_challenge",
            "hub.challenge is missing or ill-formed.",
            "Send Meta's challenge.",
        )
    })?;
    let mut response = Response::new(Body::Text(challenge));
    let headers = response.headers_mut();
    headers.insert("content-type", "text/plain".parse().expect("a valid header"));
    headers.insert("x-content-type-options", "nosniff".parse().expect("a valid header"));
    Ok(response)
}

/// It is sent back as it came: nothing that a browser could take for a page.
fn is_challenge(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_CHALLENGE
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use lambda_http::request::from_str;

    use super::*;

    fn answer(change: impl Fn(&str) -> String) -> Result<(u16, String), String> {
        let event = change(include_str!("../../../events/webhook-verify.json"));
        let token = VerifyToken::try_from("local-verify-token".to_owned()).unwrap();
        match handle(&token, &from_str(&event).unwrap()) {
            Ok(response) => {
                Ok((response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_right_word_gets_its_challenge_back() {
        assert_eq!(answer(str::to_owned), Ok((200, "1158201444".to_owned())));
    }

    #[test]
    fn a_wrong_word_or_mode_is_forbidden() {
        for (from, to) in
            [("local-verify-token", "other"), ("local-verify-token", ""), ("subscribe", "unsubscribe")]
        {
            assert_eq!(
                answer(|event| event.replace(from, to)),
                Err("403 wrong_verify_token".to_owned()),
                "{to}"
            );
        }
    }

    #[test]
    fn a_challenge_that_could_be_a_page_is_not_repeated() {
        let result = answer(|event| event.replace("1158201444", "%3Cscript%3E"));
        assert_eq!(result, Err("400 missing_challenge".to_owned()));
    }
}
