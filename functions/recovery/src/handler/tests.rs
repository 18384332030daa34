use std::time::Duration;

use shared::domain::letter::{DeadQueue, Letter};
use shared::domain::parcel::{Content, Parcel};
use shared::flows::recovery::Settings;
use shared::testing::{Fault, Parts, World};

use super::*;

const ARCHIVE: &str = include_str!("../../../../events/recovery-schedule.json");
const REDRIVE: &str = include_str!("../../../../events/recovery-redrive.json");
const REPLAY: &str = include_str!("../../../../events/recovery-replay.json");

async fn run(world: &World, event: Value) -> Result<Value, RecoveryError> {
    let parts: &Parts = world;
    let settings = Settings { archive_after: Settings::ARCHIVE_AFTER, budget: Duration::from_secs(40) };
    let recovery = Recovery {
        store: &parts.store,
        dead: &parts.queues,
        inbound: &parts.queues,
        clock: &parts.clock,
        random: &parts.random,
        settings: &settings,
    };
    handle(&recovery, event).await
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn bury(world: &World, body: &str, age: Duration) {
    let now = world.clock.now();
    let parcel = Parcel { content: Content::Body(body.to_owned()), received_at: now, silent: false };
    world.queues.bury(DeadQueue::Inbound, Letter::from(&parcel), now - age);
}

#[tokio::test]
async fn the_sample_of_the_schedule_archives_what_is_old() {
    let world = World::new();
    bury(&world, "{}", Settings::ARCHIVE_AFTER + Duration::from_secs(1));
    bury(&world, "[]", Duration::from_secs(1));
    let done = run(&world, event(ARCHIVE)).await.unwrap();
    assert_eq!(done, json!({"archived": 1, "left": 1, "more": false}));
}

#[tokio::test]
async fn the_sample_redrive_only_looks() {
    let world = World::new();
    bury(&world, "{}", Duration::from_secs(1));
    let done = run(&world, event(REDRIVE)).await.unwrap();
    assert_eq!((&done["moved"], &done["dryRun"]), (&1.into(), &true.into()));
    assert_eq!(world.queues.dead(DeadQueue::Inbound).len(), 1);
}

#[tokio::test]
async fn the_sample_replay_finds_nothing_in_an_empty_quarantine() {
    let world = World::new();
    let done = run(&world, event(REPLAY)).await.unwrap();
    assert_eq!((&done["replayed"], &done["nextCursor"]), (&0.into(), &Value::Null));
}

#[tokio::test]
async fn what_is_no_job_is_refused_by_name_and_a_failure_is_told() {
    let world = World::new();
    for event in
        [json!(null), json!({"job": "else"}), json!({"job": "redrive", "queue": "inbound", "dryrun": true})]
    {
        let refused = run(&world, event).await;
        assert!(matches!(refused, Err(RecoveryError::Request(_))), "{refused:?}");
    }
    assert_eq!(world.steps.count(), 0);
    world.steps.fault_next("receive_dead", Fault::FailBefore);
    assert!(matches!(run(&world, event(REDRIVE)).await, Err(RecoveryError::Store(_))));
}
