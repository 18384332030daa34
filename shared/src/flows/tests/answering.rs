//! P2 and P3 in the plain cases: a burst gets one answer, and two copies of everything answer once.

use std::time::Duration;

use serde_json::json;

use super::cloud::Cloud;
use crate::domain::answer::{Answer, NoAnswer};
use crate::domain::ids::{MessageId, PhoneNumberId};
use crate::flows::testing::{Process, bot, message, parcel, text, until_due, webhook};
use crate::testing::World;

/// A burst of two, with things of other kinds beside it.
fn first_webhook(world: &World, phone: &PhoneNumberId) -> String {
    let reaction = json!({"from": "15550100124", "id": "wamid.R", "timestamp": "1795262400", "type": "reaction",
                          "reaction": {"emoji": "+", "message_id": "wamid.0"}});
    let messages =
        json!([text(world, "wamid.A", "Hello"), text(world, "wamid.B", "Anybody there?"), reaction]);
    let foreign = json!([{"id": "wamid.ELSEWHERE", "status": "read", "timestamp": "1795262400"}]);
    webhook(phone, json!({"messages": messages, "statuses": foreign}))
}

fn answer(world: &World, id: &str) -> Answer {
    message(world, id).answer.expect("the client is known")
}

#[tokio::test]
async fn without_faults_a_burst_gets_one_answer_and_the_next_message_another() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let phone = client.phone_number_id;
    let mut cloud = Cloud::new(world.clone(), false);
    cloud.deliver(first_webhook(&world, &phone).as_bytes()).await;
    cloud.come_to_rest().await;
    cloud
        .deliver(webhook(&phone, json!({"messages": [text(&world, "wamid.C", "And now?")]})).as_bytes())
        .await;
    cloud.come_to_rest().await;
    assert_eq!(cloud.judge(), Ok(()));
    assert_eq!(world.graph.sent().len(), 2);
    let by = MessageId::answer_to(&"wamid.B".parse().unwrap());
    assert_eq!(answer(&world, "wamid.A"), Answer::None(NoAnswer::Superseded, Some(by.clone())));
    assert_eq!(answer(&world, "wamid.B"), Answer::Answered(by));
    assert!(matches!(answer(&world, "wamid.C"), Answer::Answered(_)));
    assert_eq!(answer(&world, "wamid.R"), Answer::None(NoAnswer::Type, None));
}

#[tokio::test]
async fn two_copies_of_everything_at_once_answer_once() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let parcel = parcel(&world, first_webhook(&world, &client.phone_number_id));
    let (one, two) = (Process::default(), Process::default());
    let (left, right) = tokio::join!(async { one.ingest(&world).parcel(&parcel).await }, async {
        two.ingest(&world).parcel(&parcel).await
    });
    assert!(left.is_ok() && right.is_ok());
    let nudges = world.queues.take_answers();
    for nudge in &nudges {
        until_due(&world, &nudge.item.message_id);
        let (left, right) = tokio::join!(async { one.reply(&world).nudge(&nudge.item).await }, async {
            two.reply(&world).nudge(&nudge.item).await
        });
        assert!(left.is_ok() && right.is_ok());
    }
    assert_eq!(world.graph.sent().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(answer(&world, "wamid.B"), Answer::Answered(_)));
}
