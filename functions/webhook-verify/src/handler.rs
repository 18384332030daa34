//! The handshake: Meta sends the word that was typed into its dashboard, and wants its challenge back
//! (Meta, webhooks `create-webhook-endpoint`, 2026-05-21).

use lambda_http::{Body, Request};
use shared::domain::secret::VerifyToken;
use shared::http::{ApiError, Response, query_parameter};
use shared::kept::Kept;

/// A challenge is a number; this leaves room for longer ones.
const LONGEST_CHALLENGE: usize = 200;

pub(crate) async fn handle(
    tokens: &Kept<VerifyToken>, // secretsmanager:GetSecretValue on the verify token
    request: &Request,
) -> Result<Response<Body>, ApiError> {
    let parameter = |name| query_parameter::<String>(request, name).ok().flatten();
    let given = parameter("hub.verify_token").unwrap_or_default();
    if parameter("hub.mode").as_deref() != Some("subscribe") || !is_ours(tokens, &given).await {
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

/// A word that does not match may be newer than ours.
async fn is_ours(tokens: &Kept<VerifyToken>, given: &str) -> bool {
    let known = tokens.get();
    known.matches(given) || tokens.newer_than(&known).await.is_some_and(|newer| newer.matches(given))
}

/// It is sent back as it came: nothing that a browser could take for a page.
fn is_challenge(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_CHALLENGE
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lambda_http::request::from_str;
    use shared::testing::{MemorySecret, World};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    async fn answer_of(
        tokens: &Kept<VerifyToken>,
        change: impl Fn(&str) -> String,
    ) -> Result<(u16, String), String> {
        let event = change(include_str!("../../../events/webhook-verify.json"));
        match handle(tokens, &from_str(&event).unwrap()).await {
            Ok(response) => {
                Ok((response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn answer(change: impl Fn(&str) -> String) -> Result<(u16, String), String> {
        let token = VerifyToken::try_from("local-verify-token".to_owned()).unwrap();
        answer_of(&Kept::fixed(token), change).await
    }

    #[tokio::test]
    async fn while_the_word_changes_either_is_right_and_a_wrong_one_reads_it_once_a_minute() {
        let world = World::new();
        let secret = MemorySecret::new(world.steps.clone(), "local-verify-token");
        let tokens = Kept::<VerifyToken>::read(secret.clone(), world.clone()).await.unwrap();
        let word = async |word: &str| {
            answer_of(&tokens, |event| event.replace("local-verify-token", word)).await.is_ok()
        };
        secret.set(r#"["new-word","local-verify-token"]"#);
        assert!(!word("new-word").await, "read less than a minute ago");
        world.clock.advance(MINUTE);
        for _ in 0..1000 {
            assert!(!word("guessed").await);
        }
        assert!(word("new-word").await && word("local-verify-token").await);
        assert_eq!(world.steps.log(), ["read_secret"; 2]);
    }

    #[tokio::test]
    async fn the_right_word_gets_its_challenge_back() {
        assert_eq!(answer(str::to_owned).await, Ok((200, "1158201444".to_owned())));
    }

    #[tokio::test]
    async fn a_wrong_word_or_mode_is_forbidden() {
        for (from, to) in
            [("local-verify-token", "other"), ("local-verify-token", ""), ("subscribe", "unsubscribe")]
        {
            assert_eq!(
                answer(|event| event.replace(from, to)).await,
                Err("403 wrong_verify_token".to_owned()),
                "{to}"
            );
        }
    }

    #[tokio::test]
    async fn a_challenge_that_could_be_a_page_is_not_repeated() {
        let result = answer(|event| event.replace("1158201444", "%3Cscript%3E")).await;
        assert_eq!(result, Err("400 missing_challenge".to_owned()));
    }
}
