//! The use cases, each as small as it can be with every kind of call in it.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::cloud::{Cloud, Continues};
use super::{Case, Faults, Ran, Running};
use crate::domain::ids::PhoneNumberId;
use crate::domain::media::{MediaFile, MediaState};
use crate::domain::secret::AccessToken;
use crate::domain::template::Template;
use crate::error::ModelError;
use crate::flows::invariants::Broken;
use crate::flows::testing::{CUSTOMER, Order, PAST_ALL_CLAIMS, bot, status, text, webhook};
use crate::ports::{Clock, SystemTokens};
use crate::testing::{Fault, GraphFault, Lease, MetaFile, MetaToken, SignedUp, World, refusal};

macro_rules! cases {
    ($($list:ident: [$($name:literal => $run:expr,)*];)*) => {$(
        pub(super) const $list: &[Case] =
            &[$(Case { name: $name, run: |faults| -> Running { Box::pin($run(faults)) } }),*];
    )*};
}

cases! {
    ALL: [
        "receive" => receive,
        "ingest" => ingest,
        "ingest, of an older history and the owner's own words" => ingest_not_live,
        "ingest, after one element failed" => ingest_alone,
        "ingest, of something large" => ingest_large,
        "ingest, statuses of an uncertain answer" => ingest_statuses,
        "ingest, a status that nobody could be reached" => ingest_undeliverable,
        "ingest and reply, answers first" => answers_first,
        "reply" => reply,
        "reply, Meta says too fast" => reply_too_fast,
        "reply, too fast for the customer" => |faults| reply_refused(faults, 131_056),
        "reply, the number is held" => |faults| reply_refused(faults, 131_057),
        "reply, nobody pays" => |faults| reply_refused(faults, 131_042),
        "reply, its token is dead" => reply_dead_token,
        "reply, nobody told how it ended" => unresolved,
        "reply, the model is down" => reply_no_model,
        "reply, nobody is there" => reply_away,
        "reply, a person is asked for" => reply_hand_over,
        "reply, a person is asked for in silence" => reply_hand_over_silently,
        "reply, the model calls for a person" => reply_hand_over_by_model,
        "reply, with a budget" => reply_with_a_budget,
        "reply, with a picture for the model" => reply_with_a_picture,
        "reply, the model wants a long history" => reply_long_history,
        "reply, somebody else has the conversation" => reply_busy,
        "reply, its nudge was lost (sweep)" => sweep,
        "send" => send,
        "send, without a number" => send_from_the_only_one,
        "send, Meta says too fast" => send_too_fast,
        "send, to somebody who cannot be reached" => send_undeliverable,
        "mark read" => mark_read,
        "exchange" => exchange,
        "onboard" => onboard,
        "onboard, its token was lost" => onboard_lost,
        "onboard, credit was shared unseen" => onboard_shared,
        "resume" => resume,
        "leave" => leave,
        "reconcile" => reconcile,
        "reconcile, at night" => reconcile_at_night,
        "templates" => templates,
        "media" => media,
        "tokens that end" => tokens_that_end,
        "a token that died" => |faults| token_that_died(faults, true),
        "a token that died for good" => |faults| token_that_died(faults, false),
    ];
    IN_PAIRS: [
        "reply" => reply,
        "reply, Meta says too fast" => reply_too_fast,
        "send" => send,
        "exchange" => exchange,
        "onboard" => onboard,
    ];
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cloud with one active client.
async fn shop() -> (Cloud, PhoneNumberId) {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    (Cloud::new(world, false), client.phone_number_id)
}

/// A cloud in which two messages of one customer wait for an answer.
async fn shop_with_a_burst() -> (Cloud, PhoneNumberId) {
    let (mut cloud, phone) = shop().await;
    let world = cloud.world.clone();
    let messages = json!([text(&world, "wamid.A", "Hello"), text(&world, "wamid.B", "Anybody there?")]);
    cloud.deliver(webhook(&phone, json!({ "messages": messages })).as_bytes()).await;
    cloud.work_on_inbound().await;
    (cloud, phone)
}

/// Everything comes to rest, another message comes, then Meta's statuses; then all is checked.
async fn end(mut cloud: Cloud, phone: &PhoneNumberId) -> Ran {
    let scope = cloud.calls().len();
    cloud.come_to_rest().await;
    let calls = cloud.calls();
    cloud.world.steps.clear_faults();
    let mut held = cloud.rests();
    let next = text(&cloud.world, "wamid.NEXT", "And now?");
    cloud.deliver(webhook(phone, json!({ "messages": [next] })).as_bytes()).await;
    cloud.come_to_rest().await;
    cloud.deliver_statuses(phone).await;
    held = held.and_then(|()| cloud.judge());
    Ran { scope, calls, held }
}

async fn receive(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let world = cloud.world.clone();
    let long = "a".repeat(600 * 1024);
    let messages = json!([text(&world, "wamid.A", &long), text(&world, "wamid.B", &long)]);
    cloud.begin(&faults);
    cloud.deliver(webhook(&phone, json!({ "messages": messages })).as_bytes()).await;
    cloud.deliver(b"not a webhook").await;
    end(cloud, &phone).await
}

/// Elements of every kind, for a number of ours and for one that is nobody's.
fn all_kinds(world: &World, phone: &PhoneNumberId) -> String {
    let now = world.clock.now().as_second().to_string();
    let messages = json!([
        text(world, "wamid.A", "Hello"),
        text(world, "wamid.B", "Anybody there?"),
        {"from": "15550100124", "id": "wamid.R", "timestamp": now, "type": "reaction",
         "reaction": {"emoji": "+", "message_id": "wamid.0"}},
        {"from": "15550100125", "id": "wamid.S", "timestamp": now, "type": "system",
         "system": {"type": "user_changed_number", "body": "changed", "wa_id": "15550100126"}},
        {"from": "15550100127", "id": "wamid.U", "timestamp": now, "type": "hologram", "hologram": {"depth": 3}},
        {"from": "15550100128", "timestamp": now, "type": "text", "text": {"body": "without an id"}},
    ]);
    let statuses = json!([{"id": "wamid.ELSEWHERE", "status": "read", "timestamp": now}]);
    let body = webhook(phone, json!({"messages": messages, "statuses": statuses}));
    let mut body: Value = serde_json::from_str(&body).unwrap();
    let changes = body.pointer_mut("/entry/0/changes").and_then(Value::as_array_mut).unwrap();
    let added = json!({"event": "PARTNER_ADDED", "waba_info": {"waba_id": "228800000000002"}});
    changes.push(json!({"field": "account_update", "value": added}));
    changes.push(json!({"field": "something_new", "value": {"colour": "blue"}}));
    let holograms = json!({"metadata": {"phone_number_id": phone}, "holograms": [{"depth": 3}]});
    changes.push(json!({"field": "messages", "value": holograms}));
    let stranger =
        json!({"metadata": {"phone_number_id": "999"}, "messages": [text(world, "wamid.X", "Hi")]});
    changes.push(json!({"field": "messages", "value": stranger}));
    let waba = world.store.with(|tables| tables.clients[phone].waba_id.clone());
    let quality =
        json!({"display_phone_number": "15550100199", "event": "ONBOARDING", "current_limit": "TIER_1K"});
    let time = world.clock.now().as_second();
    let entry = json!({"id": waba, "time": time,
        "changes": [{"field": "phone_number_quality_update", "value": quality}]});
    body["entry"].as_array_mut().unwrap().push(entry);
    body.to_string()
}

async fn ingest(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let body = all_kinds(&cloud.world, &phone);
    cloud.deliver(body.as_bytes()).await;
    cloud.begin(&faults);
    cloud.work_on_inbound().await;
    end(cloud, &phone).await
}

/// What a client in coexistence brings: a thread of its history, in which a live message stands as well; words
/// that its owner wrote in the app; a call and a stop of marketing.
async fn ingest_not_live(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let world = cloud.world.clone();
    let metadata = json!({"display_phone_number": "15550100199", "phone_number_id": phone});
    let now = world.clock.now().as_second().to_string();
    let old = |id: &str, from: &str| {
        json!({"from": from, "id": id, "timestamp": "1791000000", "type": "text",
        "text": {"body": "Long ago"}, "history_context": {"status": "READ"}})
    };
    let thread = json!({"id": "15550100131", "messages": [
        old("wamid.H1", "15550100131"), old("wamid.H2", "15550100199")]});
    let alive = json!({"id": CUSTOMER, "messages": [text(&world, "wamid.LIVE", "Hello")]});
    let history =
        json!([{"metadata": {"phase": 0, "chunk_order": 1, "progress": 100}, "threads": [thread, alive]}]);
    let echo = json!({"from": "15550100199", "to": "15550100132", "id": "wamid.ECHO", "timestamp": now, "type": "text",
        "text": {"body": "I will look"}});
    let call = json!({"id": "wacid.1", "from": "15550100133", "event": "connect", "timestamp": now,
        "direction": "USER_INITIATED"});
    let stop = json!({"wa_id": "15550100134", "category": "marketing_messages", "value": "stop", "timestamp": 1_795_000_000});
    let change = |field: &str, name: &str, list: Value| json!({"field": field, "value": {"metadata": metadata, name: list}});
    let changes = json!([
        change("history", "history", history),
        change("smb_message_echoes", "message_echoes", json!([echo])),
        change("calls", "calls", json!([call])),
        change("user_preferences", "user_preferences", json!([stop])),
        change("messages", "messages", json!([text(&world, "wamid.LIVE", "Hello")])),
    ]);
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "228800000000002", "changes": changes}]});
    cloud.deliver(body.to_string().as_bytes()).await;
    cloud.begin(&faults);
    cloud.work_on_inbound().await;
    end(cloud, &phone).await
}

async fn ingest_alone(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let body = all_kinds(&cloud.world, &phone);
    cloud.deliver(body.as_bytes()).await;
    cloud.world.steps.fault_next("record_message", Fault::FailBefore);
    cloud.begin(&faults);
    cloud.work_on_inbound().await;
    cloud.work_on_inbound().await;
    end(cloud, &phone).await
}

/// Text that does not compress into one item, with a character that SQS does not take.
fn noise() -> &'static str {
    static NOISE: OnceLock<String> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut block = [0u8; 32];
        let mut text = String::from("\u{fffe}");
        while text.len() < 440 * 1024 {
            block = Sha256::digest(block).into();
            text.push_str(&STANDARD.encode(block));
        }
        text
    })
}

async fn ingest_large(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let message = text(&cloud.world, "wamid.A", noise());
    cloud.deliver(webhook(&phone, json!({ "messages": [message] })).as_bytes()).await;
    cloud.begin(&faults);
    cloud.work_on_inbound().await;
    end(cloud, &phone).await
}

async fn ingest_statuses(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.steps.fault_next("send", Fault::FailAfter);
    cloud.come_to_rest().await;
    cloud.begin(&faults);
    cloud.deliver_statuses(&phone).await;
    end(cloud, &phone).await
}

async fn ingest_undeliverable(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.come_to_rest().await;
    let mut failed = status(&cloud.world, &cloud.world.graph.sent()[0], "failed");
    failed["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    cloud.deliver(webhook(&phone, json!({ "statuses": [failed] })).as_bytes()).await;
    cloud.begin(&faults);
    cloud.work_on_inbound().await;
    end(cloud, &phone).await
}

/// Two webhooks from beginning to end, with work on the answers before the work on what came.
async fn answers_first(faults: Faults) -> Ran {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let phone = client.phone_number_id;
    let mut cloud = Cloud::new(world.clone(), true);
    cloud.begin(&faults);
    for (one, other) in [("wamid.A", "wamid.B"), ("wamid.C", "wamid.D")] {
        let messages = json!([text(&world, one, "Hello"), text(&world, other, "Anybody there?")]);
        cloud.deliver(webhook(&phone, json!({ "messages": messages })).as_bytes()).await;
        cloud.come_to_rest().await;
    }
    end(cloud, &phone).await
}

async fn reply(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.begin(&faults);
    cloud.work_on_answers().await;
    end(cloud, &phone).await
}

async fn reply_too_fast(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 130_429, "Too fast")));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn reply_refused(faults: Faults, code: i64) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "Not now")));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn reply_dead_token(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.graph.with(|meta| meta.tokens.values_mut().for_each(|token| token.facts.is_valid = false));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn unresolved(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.steps.fault_next("send", Fault::FailAfter);
    cloud.come_to_rest().await;
    cloud.world.clock.advance(std::time::Duration::from_secs(20 * 60));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn reply_no_model(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.world.model.script(Err(ModelError::Unavailable("down".into())));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

/// The answer to a burst, and what follows, under these settings of the bot.
async fn reply_under(settings: Value, faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    let settings = serde_json::from_value(settings).expect("settings");
    cloud.world.store.with(|tables| tables.bots.insert(bot(), settings));
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn reply_away(faults: Faults) -> Ran {
    let hours = json!({"timeZone": "UTC", "weekly": [], "away": "We are closed."});
    reply_under(json!({ "businessHours": hours }), faults).await
}

async fn reply_hand_over(faults: Faults) -> Ran {
    let hand_over = json!({"keywords": ["anybody"], "minutes": 10_080, "answer": "Somebody comes."});
    reply_under(json!({ "handOver": hand_over }), faults).await
}

async fn reply_hand_over_silently(faults: Faults) -> Ran {
    reply_under(json!({"handOver": {"keywords": ["anybody"], "minutes": 10_080}}), faults).await
}

async fn reply_hand_over_by_model(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let hand_over = json!({"byModel": true, "minutes": 10_080, "answer": "Somebody comes."});
    let settings = serde_json::from_value(json!({ "handOver": hand_over })).expect("settings");
    cloud.world.store.with(|tables| tables.bots.insert(bot(), settings));
    // The fake model repeats it.
    let message = text(&cloud.world, "wamid.A", "Say [[person-needed]]");
    cloud.deliver(webhook(&phone, json!({ "messages": [message] })).as_bytes()).await;
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

/// The first answer uses it up.
async fn reply_with_a_budget(faults: Faults) -> Ran {
    reply_under(json!({"monthlyBudgetUsd": 0.000_001}), faults).await
}

async fn reply_with_a_picture(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let models = json!([{"name": "m", "provider": "bedrock", "model": "m", "takes": ["image"]}]);
    cloud.world.model.set_models(models.to_string().parse().expect("models"));
    let bytes = b"\xff\xd8\xff a picture".to_vec();
    let file = MetaFile {
        phone_number_id: phone.clone(),
        mime_type: "image/jpeg".to_owned(),
        bytes: bytes.clone(),
        stale: 0,
    };
    cloud.world.graph.with(|meta| meta.files.insert("880001".to_owned(), file));
    let mut picture = text(&cloud.world, "wamid.P", "");
    (picture["type"], picture["image"]) = ("image".into(), json!({"id": "880001"}));
    cloud.deliver(webhook(&phone, json!({ "messages": [picture] })).as_bytes()).await;
    cloud.work_on_inbound().await;
    cloud.work_on_media().await;
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    let seen = cloud
        .world
        .model
        .prompts()
        .iter()
        .flat_map(|prompt| &prompt.turns)
        .any(|turn| turn.files.iter().any(|file| file.bytes == bytes));
    let mut ran = end(cloud, &phone).await;
    if !seen && ran.held.is_ok() {
        ran.held = Err(Broken { promise: "P9", what: "no model saw the picture".to_owned() });
    }
    ran
}

async fn reply_long_history(faults: Faults) -> Ran {
    reply_under(json!({"historyMessages": 50, "burstSeconds": 5}), faults).await
}

async fn reply_busy(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    let until = cloud.world.clock.now() + std::time::Duration::from_secs(30);
    cloud.world.store.with(|tables| {
        let id = tables.conversations.keys().next().unwrap().clone();
        tables.conversation_claims.insert(id, Lease { owner: "somebody".to_owned(), until });
    });
    cloud.begin(&faults);
    cloud.work_on_answers().await;
    end(cloud, &phone).await
}

async fn sweep(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    assert!(!cloud.world.queues.take_answers().is_empty());
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    end(cloud, &phone).await
}

async fn send(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    cloud.begin(&faults);
    cloud.order(&Order::new(bot(), Some(phone.clone()), "order-1")).await;
    // Another's caller gets nowhere.
    cloud.order(&Order::new("other-bot".parse().unwrap(), Some(phone.clone()), "order-2")).await;
    end(cloud, &phone).await
}

async fn send_from_the_only_one(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    cloud.begin(&faults);
    cloud.order(&Order::new(bot(), None, "order-1")).await;
    end(cloud, &phone).await
}

async fn send_too_fast(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    cloud.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 130_429, "Too fast")));
    cloud.begin(&faults);
    cloud.order(&Order::new(bot(), Some(phone.clone()), "order-1")).await;
    end(cloud, &phone).await
}

async fn send_undeliverable(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    cloud.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_026, "Undeliverable")));
    cloud.begin(&faults);
    cloud.order(&Order::new(bot(), Some(phone.clone()), "order-1")).await;
    end(cloud, &phone).await
}

async fn mark_read(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop_with_a_burst().await;
    cloud.begin(&faults);
    cloud.mark_read(&phone, "wamid.B").await;
    end(cloud, &phone).await
}

/// A cloud in which a signup has just finished, and Meta told of it.
async fn signup() -> (Cloud, SignedUp) {
    let world = World::new();
    let it = world.graph.sign_up(1);
    let mut cloud = Cloud::new(world, false);
    let added = json!({"event": "PARTNER_ADDED", "waba_info":
        {"waba_id": it.waba_id, "owner_business_id": it.business_id}});
    let time = cloud.world.clock.now().as_second();
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": it.business_id, "time": time,
        "changes": [{"field": "account_update", "value": added}]}]});
    cloud.deliver(body.to_string().as_bytes()).await;
    cloud.work_on_inbound().await;
    (cloud, it)
}

async fn signed_up(mut cloud: Cloud) -> Ran {
    let (scope, calls) = (cloud.calls().len(), cloud.calls());
    cloud.world.steps.clear_faults();
    let held = cloud.judge();
    Ran { scope, calls, held }
}

async fn exchange(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.begin(&faults);
    cloud.send_code(&it).await;
    let scope = cloud.calls().len();
    cloud.finish_signup(&it, Continues::BySchedule).await;
    Ran { scope, ..signed_up(cloud).await }
}

async fn onboard(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.send_code(&it).await;
    cloud.begin(&faults);
    cloud.finish_signup(&it, Continues::ByRequest).await;
    signed_up(cloud).await
}

async fn onboard_lost(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.world.steps.fault_next("exchange_code", Fault::FailAfter);
    cloud.send_code(&it).await;
    cloud.begin(&faults);
    cloud.finish_signup(&it, Continues::ByRequest).await;
    signed_up(cloud).await
}

async fn onboard_shared(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.send_code(&it).await;
    cloud.world.steps.fault_next("share_credit", Fault::FailAfter);
    cloud.begin(&faults);
    cloud.finish_signup(&it, Continues::ByRequest).await;
    signed_up(cloud).await
}

async fn resume(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.send_code(&it).await;
    cloud.begin(&faults);
    cloud.finish_signup(&it, Continues::BySchedule).await;
    signed_up(cloud).await
}

async fn leave(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.send_code(&it).await;
    cloud.finish_signup(&it, Continues::ByRequest).await;
    cloud.outside.signups.clear();
    let info = json!({"waba_id": it.waba_id, "owner_business_id": it.business_id});
    let time = cloud.world.clock.now().as_second();
    let change = json!({"field": "account_update", "value": {"event": "PARTNER_REMOVED", "waba_info": info}});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": it.waba_id, "time": time, "changes": [change]}]});
    cloud.deliver(body.to_string().as_bytes()).await;
    cloud.begin(&faults);
    cloud.finish_leaving().await;
    signed_up(cloud).await
}

/// Everything drifts that is ours to mend, and somebody asks until nothing is left.
async fn reconcile(faults: Faults) -> Ran {
    let (mut cloud, it) = signup().await;
    cloud.send_code(&it).await;
    cloud.finish_signup(&it, Continues::ByRequest).await;
    cloud.outside.signups.clear();
    cloud.world.graph.with(|meta| {
        let gone = meta.allocations.pop().unwrap();
        meta.revoked.push(gone);
        let waba = meta.wabas.get_mut(&it.waba_id).unwrap();
        (waba.subscribed, waba.funding) = (false, None);
        waba.assigned.clear();
        let number = &mut meta.numbers.get_mut(&it.phone_number_id).unwrap().number;
        number.status = Some("PENDING".to_owned());
        number.callback = Some("https://elsewhere.example/".to_owned());
        number.verified_name = Some("Corner Cafe".to_owned());
    });
    cloud.begin(&faults);
    cloud.finish_repair(&it.phone_number_id).await;
    let allocations = cloud.world.graph.with(|meta| meta.allocations.len());
    let mut ran = signed_up(cloud).await;
    if allocations != 1 && ran.held.is_ok() {
        ran.held = Err(Broken { promise: "P4", what: format!("{allocations} allocations") });
    }
    ran
}

async fn reconcile_at_night(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    cloud.begin(&faults);
    cloud.finish_nights(&phone).await;
    end(cloud, &phone).await
}

/// A customer's picture, whose first address is too old.
async fn media(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let bytes = b"\xff\xd8\xff a picture".to_vec();
    let file = MetaFile {
        phone_number_id: phone.clone(),
        mime_type: "image/jpeg".to_owned(),
        bytes: bytes.clone(),
        stale: 1,
    };
    cloud.world.graph.with(|meta| meta.files.insert("880001".to_owned(), file));
    let mut picture = text(&cloud.world, "wamid.P", "");
    (picture["type"], picture["image"]) = ("image".into(), json!({"id": "880001"}));
    cloud.deliver(webhook(&phone, json!({ "messages": [picture] })).as_bytes()).await;
    cloud.begin(&faults);
    cloud.come_to_rest().await;
    let kept: Vec<_> = cloud.world.files.all().into_values().map(|file| file.bytes).collect();
    let stored = cloud.world.store.with(|tables| {
        tables.media.values().filter(|file| matches!(file.state, MediaState::Stored(_))).count()
    });
    // Whoever was erased before a fetch ended leaves nothing, which the next note makes sure of.
    let erased = cloud.world.store.with(|tables| {
        let it = tables.media.values().next().map(MediaFile::fetch);
        tables.media.clear();
        it
    });
    if let Some(fetch) = erased {
        cloud.media.push(fetch);
        cloud.come_to_rest().await;
    }
    let left = cloud.world.files.all().len();
    let mut ran = end(cloud, &phone).await;
    if (kept.as_slice(), stored, left) != (&[bytes], 1, 0) && ran.held.is_ok() {
        let what = format!("{} files are kept, {stored} known as stored, {left} left", kept.len());
        ran.held = Err(Broken { promise: "P9", what });
    }
    ran
}

/// Events of templates, and then the list, of which one vanished.
async fn templates(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let waba = cloud.world.store.with(|tables| tables.clients[&phone].waba_id.clone());
    cloud.meta_lists(&waba, &["1", "2", "3"]);
    let time = cloud.world.clock.now().as_second();
    let event = |id: u32, field: &str, member: &str, word: &str| {
        json!({"field": field, "value": {"message_template_id": id, "message_template_name": "ready",
            "message_template_language": "en", member: word}})
    };
    let changes = json!([
        event(2, "message_template_status_update", "event", "PAUSED"),
        event(2, "message_template_components_update", "message_template_element", "Hello"),
        event(9, "message_template_quality_update", "new_quality_score", "RED"),
    ]);
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": waba, "time": time, "changes": changes}]});
    cloud.begin(&faults);
    cloud.deliver(body.to_string().as_bytes()).await;
    cloud.come_to_rest().await;
    cloud.world.clock.advance(PAST_ALL_CLAIMS);
    cloud.read_templates().await;
    let known = cloud.world.store.with(|tables| {
        let word = |it: &Template| it.status.as_ref().map_or("-", |known| &known.is.word).to_owned();
        tables.templates.values().map(word).collect::<Vec<_>>()
    });
    let expected = ["APPROVED", "APPROVED", "APPROVED", "DELETED"];
    let mut ran = end(cloud, &phone).await;
    if known != expected && ran.held.is_ok() {
        ran.held = Err(Broken { promise: "P8", what: format!("the templates are {known:?}") });
    }
    ran
}

/// A client's token and the system user's, which end in some days and are renewed.
async fn tokens_that_end(faults: Faults) -> Ran {
    let (mut cloud, phone) = shop().await;
    let world = cloud.world.clone();
    let end = world.clock.now() + DAY * 10;
    world.graph.with(|meta| {
        meta.new_tokens_end = Some(end + DAY * 50);
        let text = meta.tokens.keys().next().unwrap().clone();
        meta.tokens.get_mut(&text).unwrap().facts.expires_at = Some(end);
        let system = MetaToken { business_id: None, ..meta.tokens[&text].clone() };
        meta.tokens.insert("EAA-system".to_owned(), system);
    });
    world.vault.replace_system_token(&AccessToken::try_from("EAA-system".to_owned()).unwrap()).await.unwrap();
    // The client's first renewal fails, so the partner is told.
    world.graph.fail_next("derive_business_token", GraphFault::Refused(refusal(400, 1, "Not now.")));
    world.graph.fail_next("renew_token", GraphFault::Refused(refusal(400, 1, "Not now.")));
    cloud.begin(&faults);
    cloud.look_after_tokens().await;
    let renewed = world.store.with(|t| t.grants.values().all(|it| it.token_expires_at > Some(end)));
    // Of each token once, the system user's too.
    let told: Vec<String> = world.store.with(|t| {
        let told = t.events.values().filter(|it| it.kind == "switchboard.token_expiring");
        told.map(|it| it.owner.clone()).collect()
    });
    let once = told.iter().collect::<BTreeSet<_>>().len() == told.len();
    let mut ran = end_of_tokens(cloud, &phone).await;
    if !(renewed && once) && ran.held.is_ok() {
        ran.held = Err(Broken { promise: "P9", what: format!("renewed: {renewed}, told: {told:?}") });
    }
    ran
}

/// A client's token that Meta takes no more: another one takes its place, or the client must sign up again.
async fn token_that_died(faults: Faults, can_be_replaced: bool) -> Ran {
    let (mut cloud, phone) = shop().await;
    let world = cloud.world.clone();
    world.graph.with(|meta| {
        let business = meta.wabas.values().next().unwrap().owner.clone();
        meta.tokens.values_mut().for_each(|it| it.facts.is_valid = false);
        if !can_be_replaced {
            meta.uninstalled.insert(business);
        }
    });
    cloud.begin(&faults);
    cloud.look_after_tokens().await;
    let reconnect = world.store.with(|t| t.clients[&phone].reconnect_since.is_some());
    let dead = world.store.with(|t| t.grants.values().any(|it| it.dead_since.is_some()));
    let mut ran = end_of_tokens(cloud, &phone).await;
    if (dead, reconnect) != (!can_be_replaced, !can_be_replaced) && ran.held.is_ok() {
        ran.held = Err(Broken { promise: "P9", what: format!("dead: {dead}, must reconnect: {reconnect}") });
    }
    ran
}

/// As [`end`], but that what the schedules do afterwards is no part of the case.
async fn end_of_tokens(cloud: Cloud, phone: &PhoneNumberId) -> Ran {
    let (scope, calls) = (cloud.calls().len(), cloud.calls());
    Ran { scope, calls, ..end(cloud, phone).await }
}
