//! One test for each rule of receiving.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;
use crate::domain::parcel::Content;
use crate::testing::{Fault, MemorySecret, World};

const MINUTE: Duration = Duration::from_secs(60);

fn secret() -> AppSecret {
    AppSecret::try_from("not-a-real-app-secret".to_owned()).unwrap()
}

fn signature(body: &[u8]) -> String {
    signature_of(secret().expose(), body)
}

fn signature_of(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn signed(world: &World, body: &[u8]) -> Result<(), ReceiveError> {
    receive(&world.queues, &world.clock, &Kept::fixed(secret()), Some(&signature(body)), body).await
}

#[tokio::test]
async fn signed_bodies_that_nobody_understands_are_kept_too() {
    for body in [&b"nonsense"[..], b"", b"\xff\xfe", b"{\"object\":\"page\"}", b"[1,2"] {
        let world = World::new();
        signed(&world, body).await.unwrap();
        assert_eq!(world.queues.inbound().len(), 1, "{body:?}");
    }
}

#[tokio::test]
async fn a_forged_body_leaves_no_trace() {
    let world = World::new();
    let other = signature(b"another body");
    for header in [None, Some(other.as_str())] {
        let refused =
            receive(&world.queues, &world.clock, &Kept::fixed(secret()), header, b"{}").await.unwrap_err();
        assert!(matches!(refused, ReceiveError::Forged(_)));
    }
    assert_eq!(world.steps.count(), 0);
}

#[tokio::test]
async fn a_webhook_of_three_megabytes_costs_three_calls_and_one_that_fails_is_not_taken() {
    let world = World::new();
    let message = |n: usize| {
        serde_json::json!({"from": "15550100123", "id": format!("wamid.{n}"), "type": "text",
                           "text": {"body": "x".repeat(2900)}})
    };
    let messages: Vec<_> = (0..1000).map(message).collect();
    let body =
        crate::flows::testing::webhook(&"117".parse().unwrap(), serde_json::json!({ "messages": messages }));
    signed(&world, body.as_bytes()).await.unwrap();
    assert_eq!(world.steps.log(), ["send_inbound"; 3]);
    let bytes: usize = world
        .queues
        .take_inbound()
        .iter()
        .map(|queued| match &queued.item.content {
            Content::Body(body) => body.len(),
            Content::Part { .. } => 0,
        })
        .sum();
    assert!(bytes >= body.len(), "nothing is dropped");
    world.steps.fault_at(4, Fault::FailBefore);
    assert!(matches!(signed(&world, body.as_bytes()).await.unwrap_err(), ReceiveError::Store(_)));
}

/// The app's secret in the store, and a process that read it.
async fn rotating(world: &World, value: &str) -> (MemorySecret, Kept<AppSecret>) {
    let secret = MemorySecret::new(world.steps.clone(), value);
    let kept = Kept::read(secret.clone(), world.clone()).await.unwrap();
    (secret, kept)
}

async fn takes(world: &World, secrets: &Kept<AppSecret>, signed_with: &str) -> bool {
    let header = signature_of(signed_with, b"{}");
    receive(&world.queues, &world.clock, secrets, Some(&header), b"{}").await.is_ok()
}

#[tokio::test]
async fn while_the_secret_changes_either_signs() {
    let world = World::new();
    let (_, secrets) = rotating(&world, r#"["new","old"]"#).await;
    assert!(takes(&world, &secrets, "new").await && takes(&world, &secrets, "old").await);
    assert!(!takes(&world, &secrets, "other").await);
    assert_eq!(
        world.steps.log(),
        ["read_secret", "send_inbound", "send_inbound"],
        "the good path reads nothing"
    );
}

#[tokio::test]
async fn a_running_process_takes_a_new_secret_a_minute_after_it_read_the_old_one() {
    let world = World::new();
    let (secret, secrets) = rotating(&world, "old").await;
    secret.set(r#"["new","old"]"#);
    assert!(!takes(&world, &secrets, "new").await, "read less than a minute ago: Meta delivers it again");
    world.clock.advance(MINUTE);
    assert!(takes(&world, &secrets, "new").await && takes(&world, &secrets, "old").await);
    secret.set("new");
    assert!(takes(&world, &secrets, "old").await, "until something does not match");
    world.clock.advance(MINUTE);
    assert!(!takes(&world, &secrets, "other").await);
    assert!(!takes(&world, &secrets, "old").await, "the old one ends");
}

#[tokio::test]
async fn a_storm_of_forged_webhooks_reads_the_secret_once_a_minute() {
    let world = World::new();
    let (_, secrets) = rotating(&world, "right").await;
    let reads = |world: &World| world.steps.log().iter().filter(|call| **call == "read_secret").count();
    for minute in 1..=3 {
        world.clock.advance(MINUTE);
        let forged = (0..1000).map(|_| takes(&world, &secrets, "wrong"));
        assert!(!futures_util::future::join_all(forged).await.contains(&true));
        assert_eq!(reads(&world), 1 + minute);
        assert!(takes(&world, &secrets, "right").await);
        // The wall clock can be set; that opens nothing.
        world.clock.set(world.clock.now() + 10 * MINUTE);
        assert!(!takes(&world, &secrets, "wrong").await);
        assert_eq!(reads(&world), 1 + minute);
    }
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_known_secret_in_force() {
    let world = World::new();
    let (secret, secrets) = rotating(&world, "old").await;
    secret.set("new");
    world.clock.advance(MINUTE);
    world.steps.fault_next("read_secret", Fault::FailBefore);
    assert!(!takes(&world, &secrets, "new").await);
    assert!(takes(&world, &secrets, "old").await);
    world.clock.advance(MINUTE);
    assert!(takes(&world, &secrets, "new").await);
}
