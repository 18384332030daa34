//! POSTs to the callback URL, and the GET handshake before it is used.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;

use super::wire;
use crate::clock;
use crate::graph::error::GraphError;
use crate::logs::Delivery;
use crate::random;
use crate::world::World;

/// Meta retries for days; here the pauses double from 0.2 s to 10 s and end after twelve tries (about 1 min).
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const TRIES: u32 = 12;

/// How an attempt to deliver ended.
pub(crate) struct Attempt {
    /// HTTP status; `None` if no answer came.
    pub(crate) status: Option<u16>,
    pub(crate) ms: u64,
}

/// One webhook, ready to be sent.
pub(super) struct Parcel {
    pub(super) body: Bytes,
    pub(super) field: Cow<'static, str>,
    /// For the log.
    pub(super) elements: Vec<String>,
}

/// Delivers until the answer is 200, the tries are used up, or the simulator was reset or stopped.
pub(super) async fn deliver(world: &Arc<World>, generation: u64, url: &str, parcel: Parcel) {
    let Parcel { body, field, elements } = parcel;
    let signature = wire::signature(&world.config.app_secret, &body);
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        if world.generation() != generation || world.is_stopping() {
            return;
        }
        let at = clock::wall_ms();
        let outcome = {
            // The permit ends with the attempt, so that pauses of failing deliveries hold nobody up.
            let _permit = world.parallel_deliveries.acquire().await;
            post_raw(world, url, body.clone(), Some(&signature)).await
        };
        world.deliveries.push(Delivery {
            at: clock::rfc3339(at),
            url: url.to_owned(),
            attempt,
            status: outcome.status,
            ms: outcome.ms,
            field: field.to_string(),
            elements: elements.clone(),
        });
        if outcome.status == Some(200) {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = world.stopped() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    tracing::warn!(%field, "a webhook was given up: the callback did not answer 200 in {TRIES} tries");
}

/// One POST of these very bytes.
pub(crate) async fn post_raw(world: &World, url: &str, body: Bytes, signature: Option<&str>) -> Attempt {
    let started = Instant::now();
    let mut request = world.http.post(url).header("content-type", "application/json").body(body);
    if let Some(signature) = signature {
        request = request.header("x-hub-signature-256", signature);
    }
    let status = match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            // Read to its end, so that the connection can be used again.
            let _ = answer.bytes().await;
            Some(status)
        }
        Err(_) => None,
    };
    Attempt { status, ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// Meta's verification of a callback: the URL must answer 200 with the challenge as its whole body.
pub(crate) async fn handshake(world: &World, url: &str, verify_token: &str) -> Result<(), GraphError> {
    let refused = |why: String| GraphError::parameter(format_args!("Callback verification failed: {why}"));
    if url.len() > 200 {
        return Err(refused("override_callback_uri may have 200 characters".to_owned()));
    }
    if verify_token.is_empty() {
        return Err(refused("verify_token is required with override_callback_uri".to_owned()));
    }
    let challenge = (100_000_000 + random::below(900_000_000)).to_string();
    let parameters = [
        ("hub.mode", "subscribe"),
        ("hub.challenge", challenge.as_str()),
        ("hub.verify_token", verify_token),
    ];
    let answer = world.http.get(url).query(&parameters).send().await;
    let answer = answer.map_err(|_| refused("the callback did not answer".to_owned()))?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    if status.as_u16() == 200 && body == challenge {
        Ok(())
    } else {
        Err(refused(format!("the callback answered HTTP {status} and not the challenge")))
    }
}
