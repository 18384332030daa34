use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::client::Client;
use shared::domain::conversation::{ConversationTouch, CustomerNames, RecipientMark, TouchedBy};
use shared::ports::{MarkRecipients, TouchConversations};
use shared::testing::{Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/list-conversations.json");

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

fn names(wa_id: Option<&str>, bsuid: Option<&str>) -> CustomerNames {
    let (wa_id, bsuid) = (wa_id.map(|id| id.parse().unwrap()), bsuid.map(|id| id.parse().unwrap()));
    CustomerNames { wa_id, bsuid, ..CustomerNames::default() }
}

/// A message between a client and a customer, a second after the last one.
async fn talk(world: &World, client: &Client, customer: &CustomerNames, by: TouchedBy) -> ConversationTouch {
    let key = world.store.resolve_customer(&client.phone_number_id, customer).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let touch = ConversationTouch {
        id: ConversationId::new(&client.phone_number_id, &key),
        bot_id: client.bot_id.clone(),
        customer: customer.clone(),
        at: world.clock.now(),
        by,
    };
    world.store.touch_conversation(&touch).await.unwrap();
    touch
}

/// Two numbers of demo-bakery and one of another bot, with customers 1, 2, 3 and 1, 4 and 5.
async fn world() -> (World, [Client; 3]) {
    let world = World::new();
    let (first, _) = world.active_client(&bot(), 1).await;
    let (second, _) = world.active_client(&bot(), 2).await;
    let (foreign, _) = world.active_client(&"other-bot".parse().unwrap(), 3).await;
    for (client, n) in [(&first, 1), (&second, 1), (&first, 2), (&second, 4), (&foreign, 5), (&first, 3)] {
        talk(&world, client, &names(Some(&format!("1555010000{n}")), None), TouchedBy::Customer).await;
    }
    (world, [first, second, foreign])
}

async fn list(world: &World, query: &[(&str, &str)]) -> Value {
    let request = Sample::of(EVENT).query(query).request();
    let (status, page) = answered(handle(&world.store, &world.clock, &request).await);
    assert_eq!(status, 200, "{page}");
    page
}

fn customers(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["customer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_newest_comes_first_across_numbers_and_pages() {
    let (world, [first, second, _]) = world().await;
    let all = list(&world, &[("limit", "10")]).await;
    assert_eq!(customers(&all), ["15550100003", "15550100004", "15550100002", "15550100001", "15550100001"]);
    assert_eq!(all["items"][0]["phoneNumberId"], first.phone_number_id.as_ref());
    let mut paged = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let mut query = vec![("limit", "2")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = list(&world, &query).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = Some(next.to_owned());
    }
    assert_eq!(json!(paged), all["items"]);
    let one = list(&world, &[("phoneNumberId", second.phone_number_id.as_ref())]).await;
    assert_eq!(customers(&one), ["15550100004", "15550100001"]);
}

#[tokio::test]
async fn it_tells_the_window_what_meta_says_and_until_when_a_person_writes() {
    let (world, [client, ..]) = world().await;
    let customer = names(Some("15550100009"), Some("US.nine"));
    let touch = talk(&world, &client, &customer, TouchedBy::Customer).await;
    for mark in [RecipientMark::Unreachable, RecipientMark::MarketingStopped] {
        let contact = ConversationTouch { at: world.clock.now() + Duration::from_secs(5), ..touch.clone() };
        world.store.mark_recipient(&contact, mark).await.unwrap();
    }
    let until = world.clock.now() + Duration::from_secs(60);
    for by in [TouchedBy::ReferredCustomer, TouchedBy::Business] {
        world.store.touch_conversation(&ConversationTouch { by, ..touch.clone() }).await.unwrap();
    }
    world.store.with(|t| t.conversations.get_mut(&touch.id).unwrap().paused_until = Some(until));
    let item = list(&world, &[("limit", "1")]).await["items"][0].clone();
    let marked = (touch.at + Duration::from_secs(5)).to_string();
    assert_eq!(
        item,
        json!({
            "botId": "demo-bakery", "phoneNumberId": client.phone_number_id, "customer": "15550100009",
            "customerIds": {"waId": "15550100009", "bsuid": "US.nine"}, "groupId": null,
            "lastMessageAt": touch.at, "windowEndsAt": touch.at + Duration::from_secs(24 * 60 * 60),
            "windowOpen": true, "freeUntil": touch.at + Duration::from_secs(72 * 60 * 60), "pausedUntil": until, "unreachableSince": marked, "marketingStoppedAt": marked,
        })
    );
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    let item = list(&world, &[("limit", "1")]).await["items"][0].clone();
    assert_eq!((&item["windowOpen"], &item["pausedUntil"]), (&json!(false), &Value::Null));
    world.clock.advance(Duration::from_secs(48 * 60 * 60));
    assert_eq!(list(&world, &[("limit", "1")]).await["items"][0]["freeUntil"], Value::Null);
}

#[tokio::test]
async fn one_customer_is_found_under_every_name_with_all_of_them() {
    let (world, [first, second, foreign]) = world().await;
    let both = names(Some("15550100009"), Some("US.nine"));
    talk(&world, &first, &both, TouchedBy::Customer).await;
    talk(&world, &second, &names(None, Some("US.nine")), TouchedBy::Customer).await;
    talk(&world, &foreign, &both, TouchedBy::Customer).await;
    let by_bsuid = list(&world, &[("customer", "US.nine")]).await;
    let numbers: Vec<&Value> =
        by_bsuid["items"].as_array().unwrap().iter().map(|it| &it["phoneNumberId"]).collect();
    assert_eq!(numbers, [second.phone_number_id.as_ref(), first.phone_number_id.as_ref()]);
    assert_eq!(by_bsuid["items"][1]["aliases"], json!(["15550100009", "US.nine"]));
    let by_phone = list(&world, &[("customer", "+15550100009")]).await;
    assert_eq!(by_phone["items"], json!([by_bsuid["items"][1]]));
    for nobody in ["15550100777", "not a name"] {
        assert_eq!(list(&world, &[("customer", nobody)]).await, json!({"items": [], "nextCursor": null}));
    }
}

#[tokio::test]
async fn a_foreign_bot_or_number_answers_as_an_unknown_one() {
    let (world, [_, _, foreign]) = world().await;
    let refuse = async |request| refused(handle(&world.store, &world.clock, &request).await);
    let request = Sample::of(EVENT).path("botId", "other-bot").request();
    assert_eq!(refuse(request).await, (404, "bot_not_found".to_owned()));
    let request = Sample::of(EVENT).query(&[("phoneNumberId", foreign.phone_number_id.as_ref())]).request();
    assert_eq!(refuse(request).await, (404, "client_not_found".to_owned()));
    let request = Sample::of(EVENT).query(&[("cursor", "anything")]).request();
    assert_eq!(refuse(request).await.0, 400);
}

#[tokio::test]
async fn a_conversation_of_the_bot_before_is_not_shown() {
    let (world, [client, ..]) = world().await;
    let customer = names(Some("15550100009"), None);
    let touch = talk(&world, &client, &customer, TouchedBy::Customer).await;
    let other = "other-bot".parse().unwrap();
    world.store.with(|t| t.conversations.get_mut(&touch.id).unwrap().bot_id = other);
    assert_eq!(list(&world, &[("customer", "15550100009")]).await["items"], json!([]));
    assert!(!customers(&list(&world, &[]).await).contains(&"15550100009"));
}
