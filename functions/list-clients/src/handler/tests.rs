use serde_json::json;
use shared::domain::client::{Pause, PauseReason};
use shared::testing::{Fault, Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/list-clients.json");

/// Two numbers of a-bot, none of b-bot, three of demo-bakery, one of somebody else.
async fn world() -> World {
    let world = World::new();
    for (bot, numbers) in [("a-bot", 1..=2), ("demo-bakery", 3..=5), ("other-bot", 6..=6)] {
        for n in numbers {
            world.active_client(&bot.parse().unwrap(), n).await;
        }
    }
    world
}

async fn list(world: &World, sample: &Sample) -> Result<Response<Body>, ApiError> {
    handle(&world.store, &world.clock, &sample.request()).await
}

fn mine() -> Sample {
    Sample::of(EVENT).claims(json!({"bots": "[demo-bakery b-bot a-bot]", "sub": "x"}))
}

/// All pages of this size, as the ids of their clients.
async fn pages(world: &World, sample: Sample, limit: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        assert!(pages.len() < 20, "it never ends");
        let sample = sample.clone().query(&[("limit", limit), ("cursor", &cursor)]);
        let (status, answer) = answered(list(world, &sample).await);
        assert_eq!(status, 200);
        let items = answer["items"].as_array().unwrap();
        pages.push(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect());
        match answer["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn the_sample_event_lists_the_bots_clients_with_every_member_of_the_contract() {
    let (status, answer) = answered(list(&world().await, &Sample::of(EVENT)).await);
    assert_eq!((status, answer["items"].as_array().unwrap().len()), (200, 3));
    let item = answer["items"][0].as_object().unwrap();
    for member in [
        "id",
        "botId",
        "clientName",
        "wabaId",
        "phoneNumberId",
        "businessId",
        "displayPhoneNumber",
        "verifiedName",
        "qualityRating",
        "status",
        "onboardedAt",
        "lastMessageAt",
        "createdAt",
        "updatedAt",
    ] {
        assert!(item.contains_key(member), "{member}");
    }
    assert_eq!((&item["status"], answer["nextCursor"].is_null()), (&json!("active"), true));
}

#[tokio::test]
async fn pages_of_any_size_show_every_client_of_the_callers_bots_once() {
    let world = world().await;
    for limit in ["1", "2", "3", "4", "5", "100"] {
        let pages = pages(&world, mine(), limit).await;
        let size: usize = limit.parse().unwrap();
        assert!(pages.iter().all(|page| page.len() <= size), "{pages:?}");
        let mut all = pages.concat();
        all.sort();
        let expected: Vec<String> = (1..=5).map(|n| format!("1170000{n:05}")).collect();
        assert_eq!(all, expected, "limit {limit}");
    }
}

#[tokio::test]
async fn an_admin_sees_all_and_may_ask_for_one_bot() {
    let world = world().await;
    let admin = || Sample::of(EVENT).claims(json!({"role": "admin", "sub": "x"}));
    assert_eq!(pages(&world, admin(), "2").await.concat().len(), 6);
    let (_, answer) = answered(list(&world, &admin().query(&[("botId", "other-bot")])).await);
    assert_eq!(answer["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_foreign_bot_is_an_unknown_one() {
    let world = world().await;
    for bot in ["other-bot", "no-bot"] {
        assert_eq!(
            refused(list(&world, &mine().query(&[("botId", bot)])).await),
            (404, "bot_not_found".to_owned())
        );
    }
}

#[tokio::test]
async fn a_forged_cursor_shows_nobody_elses_clients() {
    let world = world().await;
    for cursor in ["other-bot.", "other-bot.1170000000", ".1170000000", ".", "zzz."] {
        let (status, answer) = answered(list(&world, &mine().query(&[("cursor", cursor)])).await);
        assert_eq!(status, 200);
        let foreign = answer["items"].as_array().unwrap().iter().any(|item| item["botId"] == "other-bot");
        assert!(!foreign, "{cursor}");
    }
    for cursor in ["nonsense", "a b.1", "demo-bakery.x"] {
        assert_eq!(
            refused(list(&world, &mine().query(&[("cursor", cursor)])).await),
            (400, "invalid_parameter".to_owned())
        );
    }
}

#[tokio::test]
async fn callers_who_may_not_and_limits_out_of_bounds_read_nothing() {
    let world = world().await;
    let before = world.steps.count();
    for (sample, expected) in [
        (mine().nobody(), (401, "unauthenticated")),
        (mine().page("[demo-bakery]"), (403, "scope_insufficient")),
        (mine().query(&[("limit", "0")]), (400, "invalid_parameter")),
        (mine().query(&[("limit", "101")]), (400, "invalid_parameter")),
        (mine().query(&[("botId", "a b")]), (400, "invalid_parameter")),
    ] {
        let (status, code) = refused(list(&world, &sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    assert_eq!(world.steps.count(), before);
}

#[tokio::test]
async fn a_store_that_is_down_is_503() {
    let world = world().await;
    world.steps.fault_next("clients_of", Fault::FailBefore);
    assert_eq!(refused(list(&world, &mine()).await), (503, "temporarily_unavailable".to_owned()));
}

#[tokio::test]
async fn what_metas_events_told_is_shown() {
    use shared::domain::account::{Ban, Change, Noted, Restriction};
    use shared::ports::{Clock, NoteAccounts};
    let world = world().await;
    let now = world.clock.now();
    let later = now + std::time::Duration::from_secs(60);
    let restriction = |kind: &str, until| Change::Restriction(Restriction { kind: kind.to_owned(), until });
    let phone =
        world.store.with(|t| t.clients.values().find(|c| c.bot_id.as_ref() == "demo-bakery").cloned());
    let phone = phone.unwrap().phone_number_id;
    for change in [
        Change::Ban(Ban::Disabled),
        Change::MessagingLimit("TIER_2K".to_owned()),
        Change::Quality("RED".to_owned()),
        Change::Violation("SPAM".to_owned()),
        restriction("RESTRICTED_OVER", Some(now)),
        restriction("RESTRICTED_BIZ_INITIATED_MESSAGING", Some(later)),
    ] {
        world.store.note_account(&phone, &Noted { at: now, change }, now).await.unwrap();
    }
    let (_, answer) = answered(list(&world, &Sample::of(EVENT)).await);
    let item = answer["items"].as_array().unwrap().iter().find(|item| item["id"] == phone.as_ref()).unwrap();
    assert_eq!((&item["status"], &item["statusReason"]), (&json!("suspended"), &json!("banned")));
    assert_eq!((&item["messagingLimit"], &item["qualityRating"]), (&json!("TIER_2K"), &json!("RED")));
    let restrictions = json!([{"type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "until": later.to_string()}]);
    assert_eq!(item["restrictions"], restrictions);
    assert_eq!(item["warnings"], json!([{"type": "violation", "detail": "SPAM", "at": now.to_string()}]));
}

#[tokio::test]
async fn what_stops_a_client_is_told_and_what_does_not_is_left_out() {
    let world = world().await;
    let at = |text: &str| text.parse().unwrap();
    let pause = Pause {
        reason: PauseReason::Payment,
        since: at("2026-11-21T10:00:00Z"),
        until: at("2026-11-21T11:00:00Z"),
    };
    world.store.with(|t| {
        let mut clients = t.clients.values_mut().filter(|client| client.bot_id.as_ref() == "demo-bakery");
        clients.next().unwrap().pause = Some(pause);
        clients.next().unwrap().reconnect_since = Some(pause.since);
    });
    let (_, answer) = answered(list(&world, &Sample::of(EVENT)).await);
    let told = json!({"reason": "payment", "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T11:00:00Z"});
    let (first, second, third) = (&answer["items"][0], &answer["items"][1], &answer["items"][2]);
    assert_eq!((&first["pause"], first.get("needsReconnect")), (&told, None));
    assert_eq!((second.get("pause"), &second["needsReconnect"]), (None, &json!(true)));
    assert_eq!((third.get("pause"), third.get("needsReconnect")), (None, None));
    assert_eq!(third["messagesPerSecond"], 80);
}
