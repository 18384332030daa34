use secrecy::ExposeSecret;
use shared::domain::delivery::{Delivery, Failure, Progress};
use shared::ports::Deliveries;
use shared::testing::{Sample, World, answered, refused};

use super::*;

const CREATE: &str = include_str!("../../../../events/subscriptions.json");
const ALL: &str = "/api/whatsapp/subscriptions/{botId}";

fn desk(
    world: &World,
) -> Desk<
    '_,
    shared::testing::MemoryStore,
    shared::testing::FakeSeal,
    shared::testing::MemoryQueues,
    shared::testing::FixedClock,
    shared::testing::CountingRandom,
> {
    Desk {
        store: &world.store,
        seal: &world.seal,
        queue: &world.queues,
        clock: &world.clock,
        random: &world.random,
        reach: Reach::Public,
    }
}

async fn call(world: &World, sample: Sample) -> (u16, Value) {
    answered(desk(world).handle(&sample.request()).await)
}

async fn refuse(world: &World, sample: Sample) -> (u16, String) {
    refused(desk(world).handle(&sample.request()).await)
}

async fn created(world: &World) -> Value {
    let (status, it) = call(world, Sample::of(CREATE)).await;
    assert_eq!(status, 201, "{it}");
    it
}

fn one(method: &str, tail: &str, it: &Value) -> Sample {
    let id = it["subscriptionId"].as_str().unwrap();
    let names = [("botId", "demo-bakery"), ("subscriptionId", id)];
    Sample::of(CREATE).route(&format!("{method} {ALL}/{{subscriptionId}}{tail}"), &names).body(&json!({}))
}

#[tokio::test]
async fn the_sample_subscribes_and_shows_its_secret_this_once() {
    let world = World::new();
    let it = created(&world).await;
    let secret = it["secret"].as_str().unwrap();
    assert!(EventSecret::try_from(secret.to_owned()).is_ok());
    let list = Sample::of(CREATE).route(&format!("GET {ALL}"), &[("botId", "demo-bakery")]);
    let (status, all) = call(&world, list).await;
    assert_eq!((status, &all["items"][0]["url"]), (200, &it["url"]));
    assert!(!all.to_string().contains("whsec_"));
    let stored = world.store.with(|tables| format!("{tables:?}"));
    assert!(!stored.contains(&secret[6..]), "the secret lies in a table");
}

#[tokio::test]
async fn the_same_request_answers_the_same_and_another_body_is_refused() {
    let world = World::new();
    let keyed = || Sample::of(CREATE).header("idempotency-key", Some("k1"));
    let first = call(&world, keyed()).await;
    assert_eq!((first.0, call(&world, keyed()).await), (201, first.clone()));
    let other = keyed().body(&json!({"url": "https://other.example/", "events": ["message.status"]}));
    assert_eq!(refuse(&world, other).await, (422, "idempotency_key_reused".to_owned()));
    assert_eq!(world.store.with(|tables| tables.subscriptions.len()), 1);
    assert_eq!(world.store.with(|tables| tables.idempotency.len()), 0, "no answer with a secret is kept");
}

#[tokio::test]
async fn wrong_bodies_and_addresses_inside_are_refused() {
    let world = World::new();
    let url = "https://hooks.partner.example/";
    for (body, code) in [
        (json!({}), "missing_member"),
        (json!({"url": url}), "missing_member"),
        (json!({"url": url, "events": []}), "invalid_member"),
        (json!({"url": url, "events": ["ping"]}), "invalid_member"),
        (json!({"url": url, "events": ["message.received"], "secret": "mine"}), "invalid_member"),
        (json!({"url": "http://hooks.partner.example/", "events": ["message.received"]}), "invalid_member"),
        (json!({"url": "https://169.254.169.254/", "events": ["message.received"]}), "invalid_member"),
        (json!({"url": "https://localhost/", "events": ["message.received"]}), "invalid_member"),
    ] {
        assert_eq!(refuse(&world, Sample::of(CREATE).body(&body)).await, (400, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_bot_has_ten_subscriptions_at_most() {
    let world = World::new();
    for _ in 0..MOST {
        created(&world).await;
    }
    let more = refuse(&world, Sample::of(CREATE)).await;
    assert_eq!(more, (409, "too_many_subscriptions".to_owned()));
}

#[tokio::test]
async fn it_is_changed_switched_tested_and_deleted() {
    let world = World::new();
    let it = created(&world).await;
    let put = |body: Value| one("PUT", "", &it).body(&body);
    let (_, off) = call(&world, put(json!({"active": false}))).await;
    assert_eq!(
        (&off["active"], &off["offReason"], &off["url"]),
        (&json!(false), &json!("caller"), &it["url"])
    );
    let test = || one("POST", "/test", &it);
    assert_eq!(refuse(&world, test()).await, (409, "subscription_off".to_owned()));
    let (_, on) = call(&world, put(json!({"active": true, "events": ["token.dead"]}))).await;
    assert_eq!((&on["active"], &on["events"]), (&json!(true), &json!(["token.dead"])));
    let (status, sent) = call(&world, test()).await;
    let jobs = world.queues.take_events();
    let Job::Tell(packet) = &jobs[0].item else { panic!("no ping") };
    assert_eq!((status, sent["eventId"].as_str()), (202, Some(packet.event_id.as_ref())));
    assert_eq!(call(&world, one("DELETE", "", &it)).await.0, 200);
    assert_eq!(refuse(&world, test()).await, (404, "subscription_not_found".to_owned()));
}

#[tokio::test]
async fn a_new_secret_leaves_the_old_one_for_a_day() {
    let world = World::new();
    let it = created(&world).await;
    let rotate = || one("POST", "/rotate-secret", &it).header("idempotency-key", Some("k2"));
    let (status, new) = call(&world, rotate()).await;
    assert!(status == 200 && new["secret"] != it["secret"]);
    assert_eq!(new["previousSecretUntil"], "2026-11-22T12:00:00Z");
    assert_eq!(call(&world, rotate()).await.1["secret"], new["secret"], "the same request, the same secret");
    assert_eq!(earlier(&world).await, [it["secret"].clone()]);
}

/// What signs beside the present secret, the newest first.
async fn earlier(world: &World) -> Vec<Value> {
    let it = world.store.with(|tables| tables.subscriptions.values().next().unwrap().clone());
    let mut secrets = Vec::new();
    for sealed in it.secrets_at(world.clock.now()).skip(1) {
        let secret = world.seal.open(sealed, SealContext::SubscriptionSecret(&it.key)).await.unwrap();
        secrets.push(json!(secret.expose_secret()));
    }
    secrets
}

#[tokio::test]
async fn replaced_twice_in_a_day_each_secret_that_the_receiver_may_have_still_signs() {
    let world = World::new();
    let first = created(&world).await;
    let rotate = async || call(&world, one("POST", "/rotate-secret", &first)).await.1;
    let second = rotate().await;
    world.clock.advance(Duration::from_secs(60 * 60));
    let third = rotate().await;
    assert_eq!(third["previousSecretUntil"], "2026-11-22T13:00:00Z");
    assert_eq!(earlier(&world).await, [second["secret"].clone(), first["secret"].clone()]);
    world.clock.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(earlier(&world).await, [second["secret"].clone()], "each for a day");
    for _ in 0..9 {
        rotate().await;
    }
    assert_eq!(earlier(&world).await.len(), 4, "so many at most");
}

/// An event that could not be told to the one subscription.
async fn dead(world: &World, n: u8, since: Timestamp) {
    let key = world.store.with(|tables| tables.subscriptions.keys().next().unwrap().clone());
    let event = Event {
        id: EventId::random([n; 16]),
        kind: EventKind::MessageReceived,
        bot_id: key.bot_id(),
        at: world.clock.now(),
        sequence: String::new(),
        conversation_id: None,
        data: json!({"text": "content"}),
    };
    let dead = Delivery {
        packet: Packet::new(&event, &key),
        progress: Progress::Dead { since },
        attempts: 10,
        failure: Some(Failure::Status { status: 500 }),
        expires_at: world.clock.now(),
    };
    assert!(world.store.add_delivery(&dead).await.unwrap());
}

#[tokio::test]
async fn what_dies_while_dead_events_are_told_again_is_left_for_the_next_call() {
    let world = World::new();
    let it = created(&world).await;
    let now = world.clock.now();
    dead(&world, 1, now).await;
    dead(&world, 2, now + Duration::from_millis(1)).await;
    let replay = async || {
        let since = one("POST", "/replay", &it).body(&json!({"since": "2026-01-01T00:00:00Z"}));
        call(&world, since).await.1
    };
    assert_eq!(replay().await, json!({"replayed": 1, "more": false}));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(replay().await, json!({"replayed": 1, "more": false}));
}

#[tokio::test]
async fn dead_events_are_listed_and_told_again() {
    let world = World::new();
    let it = created(&world).await;
    for n in 0..3 {
        dead(&world, n, world.clock.now()).await;
    }
    let (_, page) = call(&world, one("GET", "/deliveries", &it).query(&[("limit", "2")])).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["lastFailure"], json!({"reason": "status", "status": 500}));
    assert!(page["nextCursor"].is_string() && !page.to_string().contains("content"));
    let replay = |body: Value| one("POST", "/replay", &it).body(&body);
    let id = page["items"][0]["eventId"].clone();
    assert_eq!(call(&world, replay(json!({"eventId": id}))).await.1["replayed"], 1);
    let again = refuse(&world, replay(json!({"eventId": id}))).await;
    assert_eq!(again, (404, "event_not_found".to_owned()));
    let (status, all) = call(&world, replay(json!({"since": "2026-01-01T00:00:00Z"}))).await;
    assert_eq!((status, all), (202, json!({"replayed": 2, "more": false})));
    assert_eq!(world.queues.take_events().len(), 3);
    for wrong in [json!({}), json!({"eventId": id, "since": "2026-01-01T00:00:00Z"}), json!({"since": 7})] {
        assert_eq!(refuse(&world, replay(wrong)).await.1, "invalid_member");
    }
}

#[tokio::test]
async fn a_foreign_bot_a_foreign_subscription_and_the_page_get_nothing() {
    let world = World::new();
    let it = created(&world).await;
    let stranger = |sample: Sample| sample.claims(json!({"bots": "[other]", "sub": "s"}));
    let not_found = (404, "bot_not_found".to_owned());
    assert_eq!(refuse(&world, stranger(Sample::of(CREATE))).await, not_found);
    for (method, tail) in [("PUT", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/replay")] {
        assert_eq!(refuse(&world, stranger(one(method, tail, &it))).await, not_found);
    }
    // Through a bot of one's own, by its id.
    let names = [("botId", "other"), ("subscriptionId", it["subscriptionId"].as_str().unwrap())];
    let through = Sample::of(CREATE).route(&format!("DELETE {ALL}/{{subscriptionId}}"), &names);
    let unknown = (404, "subscription_not_found".to_owned());
    assert_eq!(refuse(&world, stranger(through)).await, unknown);
    let page = refuse(&world, Sample::of(CREATE).page("[demo-bakery]")).await;
    assert_eq!(page, (403, "scope_insufficient".to_owned()));
    assert_eq!(world.store.with(|tables| tables.subscriptions.len()), 1);
}
