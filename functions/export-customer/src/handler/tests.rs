use serde_json::{Value, json};
use shared::testing::{Fault, Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/export-customer.json");
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

async fn lines(world: &World, query: &[(&str, &str)]) -> Vec<Value> {
    let request = Sample::of(EVENT).query(query).request();
    let response = handle(&world.store, &world.clock, &request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/jsonl; charset=utf-8");
    let body = std::str::from_utf8(response.body()).unwrap().to_owned();
    assert!(body.ends_with('\n'));
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_record_is_a_line_and_the_last_one_says_that_nothing_is_missing() {
    let (world, [first, second, _]) = world().await;
    let lines = lines(&world, &[]).await;
    let told: Vec<_> = lines.iter().map(|line| (&line["record"], &line["phoneNumberId"])).collect();
    let of = |client: &Client| json!(client.phone_number_id);
    assert_eq!(
        told,
        [
            (&json!("conversation"), &of(&first)),
            (&json!("conversation"), &of(&second)),
            (&json!("end"), &Value::Null)
        ]
    );
    assert_eq!(lines[0]["aliases"], json!([CUSTOMER]));
}

#[tokio::test]
async fn one_number_may_be_named_and_strangers_are_unknown() {
    let (world, [_, second, foreign]) = world().await;
    let lines = lines(&world, &[("phoneNumberId", second.phone_number_id.as_ref())]).await;
    assert_eq!(lines.len(), 2);
    let request = Sample::of(EVENT).query(&[("phoneNumberId", foreign.phone_number_id.as_ref())]).request();
    let refusal = refused(handle(&world.store, &world.clock, &request).await);
    assert_eq!(refusal, (404, "client_not_found".to_owned()));
    let stranger = EVENT.replace(CUSTOMER, "12125550999");
    let refusal = refused(handle(&world.store, &world.clock, &Sample::of(&stranger).request()).await);
    assert_eq!(refusal, (404, "customer_not_found".to_owned()));
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_says() {
    let (world, [_, second, foreign]) = world().await;
    let at = |client: &Client, place: &str| format!("{}.{place}", client.phone_number_id);
    let rest = lines(&world, &[("cursor", &at(&second, "messages."))]).await;
    assert_eq!(rest, [json!({"record": "end"})], "the first number and the conversation were told");
    for (cursor, refusal) in [
        ("nonsense".to_owned(), (400, "invalid_parameter".to_owned())),
        (at(&second, "nowhere."), (400, "invalid_parameter".to_owned())),
        (at(&foreign, "messages."), (404, "customer_not_found".to_owned())),
    ] {
        let request = Sample::of(EVENT).query(&[("cursor", &cursor)]).request();
        assert_eq!(refused(handle(&world.store, &world.clock, &request).await), refusal, "{cursor}");
    }
}

#[tokio::test]
async fn when_time_is_up_the_last_line_says_where_to_go_on() {
    let (world, _) = world().await;
    // The second page read takes longer than there is.
    let slow = Slow { world: &world };
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for call in 0.. {
        assert!(call < 20, "it never ends");
        let query: Vec<(&str, &str)> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
        let request = Sample::of(EVENT).query(&query).request();
        let response = handle(&world.store, &slow, &request).await.unwrap();
        let body = std::str::from_utf8(response.body()).unwrap().to_owned();
        let mut lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.pop().unwrap();
        all.extend(lines);
        if last["record"] == "end" {
            assert!(call > 1, "time was up");
            break;
        }
        assert_eq!(last["record"], "more");
        cursor = last["nextCursor"].as_str().map(str::to_owned);
    }
    assert_eq!(all, lines(&world, &[]).await[..2]);
}

/// A clock that runs fast: each look at it takes a quarter of the time that a call has.
struct Slow<'a> {
    world: &'a World,
}

impl Clock for Slow<'_> {
    fn now(&self) -> shared::domain::Timestamp {
        self.world.clock.advance(ENOUGH_TIME / 4);
        self.world.clock.now()
    }
}

#[tokio::test]
async fn a_failure_may_be_repeated() {
    let (world, _) = world().await;
    world.steps.fault_next("list_messages", Fault::FailBefore);
    let request = Sample::of(EVENT).request();
    let (status, problem) = answered(handle(&world.store, &world.clock, &request).await);
    assert_eq!((status, &problem["retryable"]), (503, &json!(true)));
    assert_eq!(lines(&world, &[]).await.len(), 3);
}
