use std::time::Duration;

use shared::flows::ingest::{Memory, Settings};
use shared::testing::{Fault, World};

use super::*;

const EVENT: &str = include_str!("../../../../events/ingest.json");
const WAMID: &str = "wamid.HBgLMTU1NTAxMDAxMjMVAgASGBQzQUV4YW1wbGU=";

async fn run(world: &World, event: &Value) -> Value {
    let parts: &shared::testing::Parts = world;
    let settings = Settings { burst: Duration::from_secs(3), retention: None };
    let memory = Memory::default();
    let ingest = Ingest {
        store: &parts.store,
        inbound: &parts.queues,
        answers: &parts.queues,
        fetches: &parts.queues,
        clock: &parts.clock,
        settings: &settings,
        memory: &memory,
    };
    handle(&ingest, Trigger::parse(event.clone())).await
}

fn sample() -> Value {
    serde_json::from_str(EVENT).unwrap()
}

/// The sample with more messages of the queue: its own, and these bodies.
fn with(bodies: &[&str]) -> Value {
    let mut event = sample();
    for (index, body) in bodies.iter().enumerate() {
        let mut record = event["Records"][0].clone();
        record["messageId"] = format!("extra-{index}").into();
        record["body"] = (*body).into();
        event["Records"].as_array_mut().unwrap().push(record);
    }
    event
}

fn failures(response: &Value) -> Vec<&str> {
    let failures = response["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_sample_event_is_recorded() {
    let world = World::new();
    let response = run(&world, &sample()).await;
    assert!(failures(&response).is_empty());
    let known = world.store.with(|t| t.messages[&WAMID.parse().unwrap()].clone());
    assert_eq!(known.at.as_second(), 1_795_262_400);
}

#[tokio::test]
async fn a_message_that_fails_comes_again_alone() {
    let world = World::new();
    world.steps.fault_next("record_message", Fault::FailBefore);
    let response = run(&world, &with(&["nonsense"])).await;
    assert_eq!(failures(&response), ["059f36b4-87a3-44ab-83d2-661975830a7d"]);
    assert_eq!(world.store.with(|t| (t.messages.len(), t.quarantine.len())), (0, 1));
    assert!(failures(&run(&world, &sample()).await).is_empty());
    assert_eq!(world.store.with(|t| t.messages.len()), 1);
}

#[tokio::test]
async fn what_nobody_understands_is_kept_and_does_not_fail() {
    let world = World::new();
    let response = run(
        &world,
        &with(&[
            "",
            "[]",
            "{\"object\":\"page\"}",
            "{\"object\":\"whatsapp_business_account\",\"entry\":[1]}",
        ]),
    )
    .await;
    assert!(failures(&response).is_empty());
    assert_eq!(world.store.with(|t| t.quarantine.len()), 4);
}

#[tokio::test]
async fn events_that_are_not_of_the_queue_do_nothing() {
    let world = World::new();
    for event in [json!({"source": "switchboard.schedule", "job": "x"}), json!(5)] {
        run(&world, &event).await;
    }
    assert_eq!(world.steps.count(), 0);
}
