use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::answer::{Answer, Asked, NoAnswer, Why};
use shared::domain::client::Client;
use shared::domain::conversation::CustomerNames;
use shared::domain::ids::MessageId;
use shared::domain::message::{Origin, Sending};
use shared::domain::money::Usd;
use shared::domain::raw::Raw;
use shared::domain::status::{StatusFact, StatusKey, Statuses};
use shared::http::MOST_NUMBERS;
use shared::ports::{Clock, RecordMessages};
use shared::testing::{Fault, Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/list-messages.json");
const CUSTOMER: &str = "15550100123";
const BSUID: &str = "US.abc";

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

/// A customer's message to a client.
async fn received(world: &World, client: &Client, id: &str, from: &str) -> Message {
    let names =
        CustomerNames { wa_id: from.parse().ok(), bsuid: from.parse().ok(), ..CustomerNames::default() };
    let key = world.store.resolve_customer(&client.phone_number_id, &names).await.unwrap();
    let message = json!({"id": id, "type": "text", "text": {"body": format!("Text of {id}")}});
    let body = json!({"entry": [{"changes": [{"value": {"messages": [message]}}]}]});
    let message = Message {
        id: id.parse().unwrap(),
        wamid: id.parse().ok(),
        origin: Origin::Customer,
        bot_id: Some(client.bot_id.clone()),
        phone_number_id: client.phone_number_id.clone(),
        conversation_id: ConversationId::new(&client.phone_number_id, &key),
        customer: names,
        kind: "text".to_owned(),
        at: world.clock.now(),
        recorded_at: world.clock.now(),
        raw: Raw::Plain(body.to_string()),
        reply_to: None,
        answer: Some(Answer::None(NoAnswer::BotOff, None)),
        sending: None,
        why: None,
        statuses: Statuses::default(),
        expires_at: None,
    };
    world.store.record_message(&message).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    message
}

/// Two numbers of demo-bakery with three messages each, in turn; one of another bot with one.
async fn world() -> (World, [Client; 3]) {
    let world = World::new();
    let (first, _) = world.active_client(&bot(), 1).await;
    let (second, _) = world.active_client(&bot(), 2).await;
    let (foreign, _) = world.active_client(&"other-bot".parse().unwrap(), 3).await;
    for n in 0..3 {
        received(&world, &first, &format!("wamid.1{n}"), CUSTOMER).await;
        received(&world, &second, &format!("wamid.2{n}"), "15550100777").await;
    }
    received(&world, &foreign, "wamid.FOREIGN", CUSTOMER).await;
    (world, [first, second, foreign])
}

async fn list(world: &World, sample: &Sample) -> Result<Response<Body>, ApiError> {
    handle(&world.store, &sample.request()).await
}

async fn ids(world: &World, query: &[(&str, &str)]) -> (Vec<String>, Option<String>) {
    let (status, answer) = answered(list(world, &Sample::of(EVENT).query(query)).await);
    assert_eq!(status, 200, "{answer}");
    let ids =
        answer["items"].as_array().unwrap().iter().map(|item| item["messageId"].as_str().unwrap().to_owned());
    (ids.collect(), answer["nextCursor"].as_str().map(str::to_owned))
}

const ALL: [&str; 6] = ["wamid.22", "wamid.12", "wamid.21", "wamid.11", "wamid.20", "wamid.10"];

#[tokio::test]
async fn the_sample_event_lists_all_the_bots_messages_newest_first() {
    let (world, _) = world().await;
    let (status, answer) = answered(list(&world, &Sample::of(EVENT)).await);
    assert_eq!(status, 200);
    let item = &answer["items"][0];
    for (member, value) in
        [("direction", "inbound"), ("origin", "customer"), ("type", "text"), ("text", "Text of wamid.22")]
    {
        assert_eq!(item[member], value);
    }
    assert_eq!((&item["content"]["body"], &item["statuses"]), (&json!("Text of wamid.22"), &json!({})));
    assert_eq!((&item["answer"]["state"], &item["answer"]["reason"]), (&json!("none"), &json!("bot_off")));
    assert_eq!(item["customer"], "15550100777");
    assert_eq!(item["customerIds"], json!({"waId": "15550100777"}));
    assert_eq!(ids(&world, &[]).await, (ALL.map(str::to_owned).to_vec(), None));
}

#[tokio::test]
async fn pages_of_any_size_show_every_message_once_and_in_order() {
    let (world, _) = world().await;
    for limit in ["1", "2", "4", "5", "6"] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            assert!(all.len() <= ALL.len(), "it never ends");
            let (page, next) = ids(&world, &[("limit", limit), ("cursor", &cursor)]).await;
            all.extend(page);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(all, ALL, "limit {limit}");
    }
}

#[tokio::test]
async fn one_number_one_customer_and_a_span_of_time_narrow_the_list() {
    let (world, [first, ..]) = world().await;
    let phone = first.phone_number_id.as_ref();
    assert_eq!(ids(&world, &[("phoneNumberId", phone)]).await.0, ["wamid.12", "wamid.11", "wamid.10"]);
    for customer in ["15550100777", "+15550100777"] {
        assert_eq!(ids(&world, &[("customer", customer)]).await.0, ["wamid.22", "wamid.21", "wamid.20"]);
    }
    for unknown in ["15550100000", "nonsense", BSUID] {
        assert!(ids(&world, &[("customer", unknown)]).await.0.is_empty());
    }
    let at = |id: &str| world.store.with(|t| t.messages[&id.parse::<MessageId>().unwrap()].at.to_string());
    let (from, to) = (at("wamid.20"), at("wamid.21"));
    assert_eq!(ids(&world, &[("from", &from), ("to", &to)]).await.0, ["wamid.21", "wamid.11", "wamid.20"]);
}

#[tokio::test]
async fn a_customer_is_found_by_every_name() {
    let (world, [first, ..]) = world().await;
    let names =
        CustomerNames { wa_id: CUSTOMER.parse().ok(), bsuid: BSUID.parse().ok(), ..CustomerNames::default() };
    world.store.resolve_customer(&first.phone_number_id, &names).await.unwrap();
    received(&world, &first, "wamid.13", BSUID).await;
    let expected = ["wamid.13", "wamid.12", "wamid.11", "wamid.10"];
    for name in [CUSTOMER, BSUID] {
        assert_eq!(ids(&world, &[("customer", name)]).await.0, expected);
    }
}

#[tokio::test]
async fn a_foreign_bot_or_number_answers_as_an_unknown_one() {
    let (world, [_, _, foreign]) = world().await;
    for bot in ["other-bot", "no-bot", "a b"] {
        let sample = Sample::of(EVENT).path("botId", bot);
        assert_eq!(refused(list(&world, &sample).await), (404, "bot_not_found".to_owned()), "{bot}");
    }
    for phone in [foreign.phone_number_id.as_ref(), "1170000099999"] {
        let sample = Sample::of(EVENT).query(&[("phoneNumberId", phone)]);
        assert_eq!(refused(list(&world, &sample).await), (404, "client_not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_number_that_changed_hands_shows_nothing_of_the_bot_that_left() {
    let (world, [_, _, foreign]) = world().await;
    world.store.with(|t| t.clients.get_mut(&foreign.phone_number_id).unwrap().bot_id = bot());
    let phone = foreign.phone_number_id.as_ref();
    for query in
        [vec![("phoneNumberId", phone)], vec![("phoneNumberId", phone), ("customer", CUSTOMER)], vec![]]
    {
        assert!(!ids(&world, &query).await.0.contains(&"wamid.FOREIGN".to_owned()), "{query:?}");
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused_or_shows_the_callers_own_only() {
    let (world, _) = world().await;
    for cursor in ["nonsense", "123#x", "00000000000000a#x", "000000000000000#"] {
        let sample = Sample::of(EVENT).query(&[("cursor", cursor)]);
        assert_eq!(refused(list(&world, &sample).await), (400, "invalid_parameter".to_owned()), "{cursor}");
    }
    let own: Vec<String> = ids(&world, &[("cursor", "999999999999999#wamid.FOREIGN")]).await.0;
    assert_eq!(own, ALL);
}

#[tokio::test]
async fn callers_who_may_not_and_ill_formed_parameters_read_nothing() {
    let (world, _) = world().await;
    let before = world.steps.count();
    let with = |name: &str, value: &str| Sample::of(EVENT).query(&[(name, value)]);
    for (sample, expected) in [
        (Sample::of(EVENT).nobody(), (401, "unauthenticated")),
        (Sample::of(EVENT).page("[demo-bakery]"), (403, "scope_insufficient")),
        (with("limit", "0"), (400, "invalid_parameter")),
        (with("from", "yesterday"), (400, "invalid_parameter")),
        (with("to", "1795262400"), (400, "invalid_parameter")),
        (with("phoneNumberId", "x"), (400, "invalid_parameter")),
    ] {
        let (status, code) = refused(list(&world, &sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    assert_eq!(world.steps.count(), before);
}

#[tokio::test]
async fn a_bot_with_very_many_numbers_names_one() {
    let world = World::new();
    for n in 0..=u32::try_from(MOST_NUMBERS).unwrap() {
        world.active_client(&bot(), n + 1).await;
    }
    assert_eq!(refused(list(&world, &Sample::of(EVENT)).await), (400, "phone_number_required".to_owned()));
}

#[tokio::test]
async fn an_outgoing_message_shows_its_statuses_price_errors_and_why_it_was_sent() {
    let (world, [first, ..]) = world().await;
    let mut message = received(&world, &first, "wamid.OUT", CUSTOMER).await;
    let at = message.at;
    let mut tell = |state: &str, status: Value| {
        let body = json!({"entry": [{"changes": [{"value": {"statuses": [status]}}]}]}).to_string();
        let fact = StatusFact::new(at, &body);
        message.statuses.keep(fact.hash.clone(), body);
        message.statuses.merge(StatusKey { state: state.to_owned(), participant: None }, fact);
    };
    tell("sent", json!({"pricing": {"billable": true}}));
    tell("failed", json!({"errors": [{"code": 131_026}], "pricing": null}));
    message.origin = Origin::Bot;
    message.answer = None;
    message.why = Some(Why::Model(Asked {
        name: "m1".to_owned(),
        prompt_tokens: Some(7),
        completion_tokens: None,
        cost_usd: Some(Usd::from_micros(120)),
        ms: 850,
    }));
    message.sending = Some(Sending::Accepted);
    message.reply_to = Some("wamid.12".parse().unwrap());
    message.raw = Raw::Plain(json!({"type": "text", "text": {"body": "Hi"}}).to_string());
    world.store.with(|t| t.messages.insert(message.id.clone(), message));
    let (_, answer) = answered(list(&world, &Sample::of(EVENT).query(&[("limit", "1")])).await);
    let item = &answer["items"][0];
    assert_eq!(
        (&item["direction"], &item["text"], &item["sending"]),
        (&json!("outbound"), &json!("Hi"), &json!("accepted"))
    );
    assert_eq!(item["statuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["failed", "sent"]);
    assert_eq!((&item["pricing"]["billable"], &item["errors"][0]["code"]), (&json!(true), &json!(131_026)));
    assert_eq!((&item["replyTo"], item.get("answer")), (&json!("wamid.12"), None));
    let model =
        json!({"name": "m1", "promptTokens": 7, "completionTokens": null, "costUsd": 0.000_12, "ms": 850});
    assert_eq!(item["why"], json!({ "model": model }));
}

#[tokio::test]
async fn what_others_wrote_and_what_is_old_says_so_and_every_type_has_a_text() {
    let (world, [first, ..]) = world().await;
    let inside = |place: &str, message: Value| {
        let mut value = json!({});
        let mut at = &mut value;
        let steps: Vec<&str> = place.split('/').collect();
        for step in &steps[..steps.len() - 1] {
            at[*step] = json!([{}]);
            at = &mut at[*step][0];
        }
        at[steps[steps.len() - 1]] = json!([message]);
        Raw::Plain(json!({"entry": [{"changes": [{"value": value}]}]}).to_string())
    };
    let revoke = json!({"type": "revoke", "revoke": {"original_message_id": "wamid.10"}});
    let played = json!({"type": "audio", "audio": {"voice": true}, "history_context": {"status": "PLAYED"}});
    let pin = json!({"type": "location", "location": {"latitude": 1.5, "longitude": 2}, "referral": {"source_id": "9"}});
    for (origin, kind, raw, [direction, name, text]) in [
        (Origin::App, "revoke", inside("message_echoes", revoke), ["outbound", "app", "[deleted a message]"]),
        (
            Origin::HistoryIn,
            "audio",
            inside("history/threads/messages", played.clone()),
            ["inbound", "history", "[voice message]"],
        ),
        (Origin::HistoryOut, "audio", inside("messages", played), ["outbound", "history", "[voice message]"]),
        (Origin::Customer, "location", inside("messages", pin), ["inbound", "customer", "[location] 1.5, 2"]),
    ] {
        let id = format!("wamid.{origin:?}{direction}");
        let mut message = received(&world, &first, &id, CUSTOMER).await;
        (message.origin, message.kind, message.raw) = (origin, kind.to_owned(), raw);
        world.store.with(|t| t.messages.insert(message.id.clone(), message));
        let (_, answer) = answered(list(&world, &Sample::of(EVENT).query(&[("limit", "1")])).await);
        let item = &answer["items"][0];
        assert_eq!(
            (&item["direction"], &item["origin"], &item["text"]),
            (&json!(direction), &json!(name), &json!(text))
        );
        assert_eq!(item.get("refersTo").is_some(), kind == "revoke");
        assert_eq!(item.get("historyStatus").is_some(), kind == "audio");
        assert_eq!(item.get("referral").is_some(), kind == "location");
        assert!(item["content"].is_object(), "{item}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_503() {
    let (world, _) = world().await;
    world.steps.fault_next("list_messages", Fault::FailBefore);
    assert_eq!(refused(list(&world, &Sample::of(EVENT)).await), (503, "temporarily_unavailable".to_owned()));
}

#[tokio::test]
async fn a_page_full_of_a_former_owners_messages_leads_on_to_ones_own() {
    let world = World::new();
    let (own, _) = world.active_client(&bot(), 1).await;
    let other = Client { bot_id: "other-bot".parse().unwrap(), ..own.clone() };
    received(&world, &own, "wamid.OWN", CUSTOMER).await;
    for n in 0..3 {
        received(&world, &other, &format!("wamid.OTHER{n}"), CUSTOMER).await;
    }
    let (mut all, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(before) = cursor {
        let (page, next) = ids(&world, &[("customer", CUSTOMER), ("limit", "1"), ("cursor", &before)]).await;
        all.extend(page);
        cursor = next;
    }
    assert_eq!(all, ["wamid.OWN"]);
}

#[tokio::test]
async fn a_cursor_leads_on_from_any_message_whatever_its_id() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let mut expected = Vec::new();
    for (n, tail) in
        ["#", "##1#", "%23", "a b", "+", "&cursor=x", "ä😀", "\"", "/?=", "\u{202e}", "'"].iter().enumerate()
    {
        if n % 3 == 0 {
            world.clock.advance(Duration::from_millis(1));
        }
        expected.push(received(&world, &client, &format!("wamid.{tail}"), CUSTOMER).await);
    }
    expected.sort_by_key(|message| std::cmp::Reverse(message.time_key()));
    let expected: Vec<String> = expected.into_iter().map(|message| message.id.to_string()).collect();
    for limit in ["1", "2", "3", "100"] {
        let (mut all, mut cursor) = (Vec::new(), Some(String::new()));
        while let Some(before) = cursor {
            let (page, next) = ids(&world, &[("limit", limit), ("cursor", &before)]).await;
            all.extend(page);
            cursor = next;
        }
        assert_eq!(all, expected, "pages of {limit}");
    }
}
