use std::time::Duration;

use shared::flows::events::deliver::OpenedSecrets;
use shared::testing::World;

use super::*;

async fn run(world: &World, event: &str) -> Value {
    let delivering = Delivering {
        store: &world.store,
        seal: &world.seal,
        targets: &world.targets,
        queue: &world.queues,
        clock: &world.clock,
        secrets: &OpenedSecrets::default(),
        claim: Duration::from_secs(90),
    };
    handle(&delivering, Trigger::parse(serde_json::from_str(event).unwrap())).await.unwrap()
}

#[tokio::test]
async fn the_samples_are_understood_and_find_nothing_to_do() {
    let world = World::new();
    let job = run(&world, include_str!("../../../../events/deliver-events.json")).await;
    assert_eq!(job, json!({"batchItemFailures": []}));
    assert_eq!(world.steps.log(), ["claim_delivery"], "it looked for the delivery");
    let sweep = run(&world, include_str!("../../../../events/deliver-events-schedule.json")).await;
    assert_eq!(sweep, json!({"asked": 0}));
}

#[tokio::test]
async fn what_is_no_job_of_this_version_comes_again_and_ends_among_the_dead_letters() {
    for body in ["nonsense", r#"{"later": {"kind": "of another version"}}"#] {
        let event = json!({"Records": [{"messageId": "1", "body": body}]});
        let answer = run(&World::new(), &event.to_string()).await;
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    }
}
