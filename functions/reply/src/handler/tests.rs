use std::time::Duration;

use shared::domain::parcel::{Content, Parcel};
use shared::flows::ingest::{self, Ingest};
use shared::flows::pace::Pace;
use shared::flows::reply::Settings;
use shared::flows::send::Sender;
use shared::flows::tokens::Tokens;
use shared::testing::{Fault, Parts, World};

use super::*;

const EVENT: &str = include_str!("../../../../events/reply.json");
const SCHEDULE: &str = include_str!("../../../../events/reply-schedule.json");
const INBOUND: &str = include_str!("../../../../events/ingest.json");
const CLAIM: Duration = Duration::from_secs(90);

async fn run(world: &World, event: Value) -> Result<Value, StoreError> {
    let parts: &Parts = world;
    let (tokens, pace) = (Tokens::default(), Pace::default());
    let settings = Settings { claim: CLAIM, retention: None };
    let sender = Sender {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        tokens: &tokens,
        pace: &pace,
        claim: CLAIM,
    };
    let reply = Reply {
        sender,
        files: &parts.files,
        queue: &parts.queues,
        model: &parts.model,
        random: &parts.random,
        settings: &settings,
    };
    handle(&reply, Trigger::parse(event)).await
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The message of the sample of ingest has arrived at an active client.
async fn asked() -> World {
    let world = World::new();
    let (client, _) = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    let parts: &Parts = &world;
    let settings = ingest::Settings { burst: Duration::ZERO, retention: None };
    let memory = ingest::Memory::default();
    let ingest = Ingest {
        store: &parts.store,
        inbound: &parts.queues,
        answers: &parts.queues,
        fetches: &parts.queues,
        clock: &parts.clock,
        settings: &settings,
        memory: &memory,
    };
    let body = event(INBOUND)["Records"][0]["body"].as_str().unwrap().to_owned();
    let body = body.replace("117700000000001", client.phone_number_id.as_ref());
    let parcel = Parcel { content: Content::Body(body), received_at: world.clock.now(), silent: false };
    ingest.parcel(&parcel).await.unwrap();
    world
}

#[tokio::test]
async fn the_sample_events_are_handled_where_there_is_nothing_to_do() {
    let world = World::new();
    assert_eq!(run(&world, event(EVENT)).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(run(&world, event(SCHEDULE)).await.unwrap(), json!({"nudged": 0, "unresolved": 0 }));
    assert_eq!(world.graph.calls("send"), 0);
}

#[tokio::test]
async fn the_sample_nudge_answers_the_sample_message_once() {
    let world = asked().await;
    for _ in 0..2 {
        assert_eq!(run(&world, event(EVENT)).await.unwrap(), json!({"batchItemFailures": []}));
    }
    let sent = world.graph.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message["text"]["body"], "You said: What are your opening hours?");
}

#[tokio::test]
async fn a_nudge_that_fails_comes_again_and_what_is_no_nudge_does_not() {
    let world = asked().await;
    world.steps.fault_next("claim_conversation", Fault::FailBefore);
    let mut event = event(EVENT);
    let mut foreign = event["Records"][0].clone();
    foreign["messageId"] = "foreign".into();
    foreign["body"] = "nonsense".into();
    event["Records"].as_array_mut().unwrap().push(foreign);
    let response = run(&world, event).await.unwrap();
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a7d"}]});
    assert_eq!(response, expected);
    assert!(world.graph.sent().is_empty());
}

#[tokio::test]
async fn the_schedule_nudges_what_no_nudge_reached_and_says_so_when_it_cannot() {
    let world = asked().await;
    let _ = world.queues.take_answers();
    world.clock.advance(CLAIM + Duration::from_secs(1));
    assert_eq!(run(&world, event(SCHEDULE)).await.unwrap(), json!({"nudged": 1, "unresolved": 0 }));
    assert_eq!(world.queues.answers().len(), 1);
    world.steps.fault_next("due_answers", Fault::FailBefore);
    assert!(run(&world, event(SCHEDULE)).await.is_err());
}

#[tokio::test]
async fn another_schedule_or_an_unknown_event_does_nothing() {
    let world = asked().await;
    let before = world.steps.count();
    for event in [json!({"source": "switchboard.schedule", "job": "something-else"}), json!(null)] {
        assert_eq!(run(&world, event).await.unwrap(), json!({}));
    }
    assert_eq!(world.steps.count(), before);
}
