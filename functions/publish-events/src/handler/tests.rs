use std::time::Duration;

use shared::domain::delivery::Job;
use shared::domain::event::EventKind;
use shared::domain::seal::Sealed;
use shared::domain::subscription::{Health, Subscription};
use shared::flows::events::publish::Known;
use shared::ports::WriteSubscriptions;
use shared::testing::{Fault, World};

use super::*;

const EVENT: &str = include_str!("../../../../events/publish-events.json");

fn event() -> Value {
    serde_json::from_str(EVENT).unwrap()
}

async fn subscribed() -> World {
    let world = World::new();
    let now = world.clock.now();
    let subscription = Subscription {
        key: "demo-bakery.sub_1".parse().unwrap(),
        url: "https://hooks.partner.example/".to_owned(),
        kinds: EventKind::ALL.into_iter().collect(),
        off: None,
        secret: Sealed::new(vec![1]),
        previous: Vec::new(),
        request: None,
        version: 1,
        health: Health::default(),
        created_at: now,
        updated_at: now,
    };
    world.store.add_subscription(&subscription).await.unwrap();
    world
}

async fn publish(world: &World, event: &Value) -> Result<Value, StoreError> {
    let known = Known::new(Duration::ZERO);
    let publishing =
        Publishing { store: &world.store, queue: &world.queues, clock: &world.clock, known: &known };
    handle(&publishing, event).await
}

#[tokio::test]
async fn the_sample_is_a_message_to_be_told() {
    let world = subscribed().await;
    assert_eq!(publish(&world, &event()).await.unwrap(), json!({"batchItemFailures": []}));
    let jobs = world.queues.take_events();
    let Job::Tell(packet) = &jobs[0].item else { panic!("it was told before") };
    let body: Value = serde_json::from_str(&packet.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["text"]), (&json!("message.received"), &json!("Are you open?")));
    assert_eq!(body["timestamp"], "2026-11-21T12:00:00Z");
    assert_eq!(body["sequence"], "0000000000000000000421000000000000000001");
    publish(&world, &event()).await.unwrap();
    assert_eq!(world.queues.take_events(), jobs, "told again it is the same job");
}

#[tokio::test]
async fn what_cannot_be_read_holds_nobody_up() {
    let world = subscribed().await;
    let mut event = event();
    let good = event["Records"][0].clone();
    let mut bad = good.clone();
    bad["dynamodb"]["NewImage"]["at"] = json!({"S": "yesterday"});
    let mut gone = good.clone();
    gone["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    event["Records"] = json!([bad, gone, good]);
    assert_eq!(publish(&world, &event).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(world.queues.take_events().len(), 1);
    for nothing in [json!({}), json!({"Records": []}), json!(7)] {
        publish(&world, &nothing).await.unwrap();
    }
}

#[tokio::test]
async fn what_fails_comes_again_from_there_on() {
    let world = subscribed().await;
    world.steps.fault_next("subscriptions_of", Fault::FailBefore);
    assert!(publish(&world, &event()).await.is_err(), "nothing was published");
    let mut event = event();
    let mut second = event["Records"][0].clone();
    second["dynamodb"]["SequenceNumber"] = json!("422000000000000000001");
    second["eventID"] = json!("another");
    event["Records"].as_array_mut().unwrap().push(second);
    world.steps.fault_at(world.steps.count() + 1, Fault::FailBefore);
    let answer = publish(&world, &event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "422000000000000000001"}]}));
    assert_eq!(world.queues.take_events().len(), 1, "the first is on its way");
}
