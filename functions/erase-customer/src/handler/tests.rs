use serde_json::json;
use shared::testing::{Fault, Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/erase-customer.json");
const CUSTOMER: &str = "12125550142";

/// Two numbers of demo-bakery and one of another bot, each with a conversation with the customer.
async fn world() -> (World, [Client; 3]) {
    let world = World::new();
    let mut clients = Vec::new();
    for (n, bot) in [(1, "demo-bakery"), (2, "demo-bakery"), (3, "other-bot")] {
        let (client, _) = world.active_client(&bot.parse().unwrap(), n).await;
        world.conversation_with(&client, CUSTOMER).await;
        clients.push(client);
    }
    (world, clients.try_into().unwrap())
}

fn left(world: &World) -> usize {
    world.store.with(|tables| tables.conversations.len() + tables.aliases.len())
}

#[tokio::test]
async fn the_customer_goes_from_all_numbers_of_the_bot_and_from_no_others() {
    let (world, [.., foreign]) = world().await;
    let request = Sample::of(EVENT).request();
    let answer = answered(handle(&world.store, &world.files, &world.clock, &request).await);
    let erased = json!({"messages": 0, "events": 0, "large": 0, "files": 0, "names": 2});
    assert_eq!(answer, (200, json!({"done": true, "erased": erased, "nextCursor": null})));
    assert_eq!(left(&world), 2);
    assert!(
        world
            .store
            .with(|t| t.conversations.values().all(|it| it.phone_number_id == foreign.phone_number_id))
    );
    let again = handle(&world.store, &world.files, &world.clock, &request).await;
    assert_eq!(refused(again), (404, "customer_not_found".to_owned()));
}

#[tokio::test]
async fn one_number_may_be_named_and_a_foreign_one_is_unknown() {
    let (world, [first, _, foreign]) = world().await;
    let named = |client: &Client| {
        Sample::of(EVENT).query(&[("phoneNumberId", client.phone_number_id.as_ref())]).request()
    };
    let refusal = refused(handle(&world.store, &world.files, &world.clock, &named(&foreign)).await);
    assert_eq!((refusal, left(&world)), ((404, "client_not_found".to_owned()), 6));
    assert_eq!(answered(handle(&world.store, &world.files, &world.clock, &named(&first)).await).0, 200);
    assert_eq!(left(&world), 4);
}

#[tokio::test]
async fn a_bad_cursor_is_refused_and_a_failure_may_be_repeated() {
    let (world, _) = world().await;
    let request = Sample::of(EVENT).query(&[("cursor", "nonsense")]).request();
    let refusal = refused(handle(&world.store, &world.files, &world.clock, &request).await);
    assert_eq!(refusal, (400, "invalid_parameter".to_owned()));
    world.steps.fault_next("erase_conversation", Fault::FailBefore);
    let request = Sample::of(EVENT).request();
    let (status, problem) = answered(handle(&world.store, &world.files, &world.clock, &request).await);
    assert_eq!((status, &problem["retryable"]), (503, &json!(true)));
    assert_eq!(answered(handle(&world.store, &world.files, &world.clock, &request).await).0, 200);
}
