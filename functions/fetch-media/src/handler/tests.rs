use std::time::Duration;

use serde_json::json;
use shared::domain::media::{MediaFile, MediaState};
use shared::flows::media::Settings;
use shared::flows::tokens::Tokens;
use shared::ports::{Clock, NoteMedia};
use shared::testing::{Fault, MetaFile, Parts, World};

use super::*;

const EVENT: &str = include_str!("../../../../events/fetch-media.json");
const SCHEDULE: &str = include_str!("../../../../events/fetch-media-schedule.json");

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn run(world: &World, event: Value) -> Result<Value, StoreError> {
    let parts: &Parts = world;
    let fetching = Fetching {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        files: &parts.files,
        queue: &parts.queues,
        clock: &parts.clock,
        tokens: &Tokens::default(),
        settings: &Settings { claim: Duration::from_secs(90), kept: Duration::from_secs(1000) },
    };
    handle(&fetching, Trigger::parse(event)).await
}

/// The file of the sample is noted, and at Meta.
async fn noted() -> (World, Value) {
    let world = World::new();
    let (client, _) = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    let mut sample = event(EVENT);
    let body = sample["Records"][0]["body"].as_str().unwrap();
    let mut fetch: Fetch = serde_json::from_str(body).unwrap();
    fetch.phone_number_id = client.phone_number_id.clone();
    sample["Records"][0]["body"] = json!(serde_json::to_string(&fetch).unwrap());
    let now = world.clock.now();
    let file = MediaFile {
        key: fetch.key.clone(),
        phone_number_id: client.phone_number_id.clone(),
        conversation_id: format!("{}.US.ada", client.phone_number_id).parse().unwrap(),
        message_id: "wamid.P".parse().unwrap(),
        mime_type: None,
        sha256: None,
        filename: None,
        noted_at: now,
        state: MediaState::Pending { due_at: now, attempts: 0 },
        expires_at: None,
    };
    world.store.note_media(&file).await.unwrap();
    let at_meta = MetaFile {
        phone_number_id: client.phone_number_id,
        mime_type: "application/pdf".to_owned(),
        bytes: b"%PDF-1.7".to_vec(),
        stale: 0,
    };
    world.graph.with(|meta| meta.files.insert(fetch.key.media_id.to_string(), at_meta));
    (world, sample)
}

#[tokio::test]
async fn a_message_of_the_queue_fetches_its_file() {
    let (world, sample) = noted().await;
    assert_eq!(run(&world, sample).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(world.files.all().len(), 1);
}

#[tokio::test]
async fn a_failure_of_ours_comes_again_and_nonsense_does_not() {
    let (world, sample) = noted().await;
    world.steps.fault_next("put_file", Fault::FailBefore);
    let failures = run(&world, sample).await.unwrap();
    assert_eq!(failures["batchItemFailures"].as_array().map(Vec::len), Some(1));
    let mut nonsense = event(EVENT);
    nonsense["Records"][0]["body"] = "nonsense".into();
    assert_eq!(run(&world, nonsense).await.unwrap(), json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn the_schedule_asks_for_what_is_due() {
    let (world, _) = noted().await;
    assert_eq!(run(&world, event(SCHEDULE)).await.unwrap(), json!({"asked": 1}));
    assert_eq!(world.queues.take_media().len(), 1);
    assert_eq!(run(&world, json!({})).await.unwrap(), json!({}));
}
