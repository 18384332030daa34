use shared::flows::token_care::Settings;
use shared::testing::{Fault, Parts, World};

use super::*;

const TOKENS: &str = include_str!("../../../../events/token-care-schedule.json");
const SYSTEM: &str = include_str!("../../../../events/token-care-system-schedule.json");

async fn run(world: &World, event: &str) -> Result<Value, StoreError> {
    let parts: &Parts = world;
    let care = TokenCare {
        store: &parts.store,
        seal: &parts.seal,
        graph: &parts.graph,
        vault: &parts.vault,
        clock: &parts.clock,
        settings: &Settings {
            app_id: "1234567890".to_owned(),
            partner: Some("5550000000001".parse().unwrap()),
        },
    };
    handle(&care, Trigger::parse(serde_json::from_str(event).unwrap())).await
}

#[tokio::test]
async fn the_schedule_looks_at_the_tokens_that_are_due_and_at_no_other() {
    let world = World::new();
    let _ = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    assert_eq!(run(&world, TOKENS).await.unwrap(), json!({"due": 1}));
    assert_eq!(world.graph.calls("token_facts"), 1);
    assert_eq!(run(&world, TOKENS).await.unwrap(), json!({"due": 0}));
}

#[tokio::test]
async fn the_other_schedule_looks_at_the_system_users_token_alone() {
    let world = World::new();
    let (_, signed_up) = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    world.vault.replace_system_token(&signed_up.token).await.unwrap();
    assert_eq!(run(&world, SYSTEM).await.unwrap(), json!({}));
    assert_eq!(world.steps.log().iter().filter(|name| **name == "system_token").count(), 1);
    assert_eq!(world.steps.log().iter().filter(|name| **name == "due_care").count(), 0);
}

#[tokio::test]
async fn what_is_no_job_of_ours_does_nothing() {
    let world = World::new();
    for event in ["{}", r#"{"source": "switchboard.schedule", "job": "other"}"#] {
        assert_eq!(run(&world, event).await.unwrap(), json!({}));
    }
    assert_eq!(world.steps.count(), 0);
}

#[tokio::test]
async fn a_schedule_that_cannot_look_fails_so_that_it_is_known() {
    let world = World::new();
    world.steps.fault_next("due_care", Fault::FailBefore);
    assert!(run(&world, TOKENS).await.is_err());
}
