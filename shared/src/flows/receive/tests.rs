//! One test for each rule of receiving.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;
use crate::domain::parcel::Content;
use crate::testing::{Fault, World};

fn secret() -> AppSecret {
    AppSecret::try_from("not-a-real-app-secret".to_owned()).unwrap()
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret().expose().as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn signed(world: &World, body: &[u8]) -> Result<(), ReceiveError> {
    receive(&world.queues, &world.clock, &secret(), Some(&signature(body)), body).await
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
        let refused = receive(&world.queues, &world.clock, &secret(), header, b"{}").await.unwrap_err();
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
