//! The fakes keep the contracts, and do what tests rely on them for.

use secrecy::ExposeSecret;

use std::time::Duration;

use serde_json::json;

use super::{Fault, GraphFault, World, contracts, refusal};
use crate::domain::ids::{BotId, GrantId};
use crate::domain::letter::DeadQueue;
use crate::domain::model::Models;
use crate::domain::seal::SealContext;
use crate::domain::secret::Pin;
use crate::error::{GraphError, ModelError, StoreError};
use crate::ports::{
    AccountGraph, Clock, Complete, MessageGraph, PartnerGraph, Prompt, Random, ReadBots, Seal, TokenGraph,
    Turn,
};

macro_rules! contracts {
    ($($part:ident: $($contract:ident),*;)*) => {$($(
        #[tokio::test]
        async fn $contract() {
            let world = World::new();
            // Twice in one world: a contract minds nothing but its own data.
            contracts::$contract(&world.$part, "first").await;
            contracts::$contract(&world.$part, "second").await;
        }
    )*)*};
}

contracts! {
    store: accounts, offboardings, bots, spending, clients, checks, check_rounds, grants, due_care, onboardings, due_onboardings, business_leases,
        incoming_messages, message_lists, answers, sends, unresolved_sends, statuses, customers,
        conversations, conversation_claims, events, blobs, idempotency, emptying_quarantine, event_lists,
        rates, recipient_marks, conversation_lists, erasing, conversation_pauses, messages_out_of_a_history,
        templates, template_syncs, media, due_media, subscriptions, deliveries;
    seal: seal_contexts, seal_integrity;
    vault: system_tokens;
}

#[tokio::test]
async fn quarantine() {
    let world = World::new();
    contracts::quarantine(&world.store, "first").await;
    let received = world.store.with(|t| t.quarantine.values().map(|q| q.received_at).collect::<Vec<_>>());
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|at| *at == received[0]), "a repetition changed something");
}

#[tokio::test]
async fn inbound() {
    let world = World::new();
    let received = async || world.queues.inbound().into_iter().map(|delayed| delayed.item).collect();
    contracts::inbound(&world.queues, received, "first").await;
    assert!(world.steps.count() > 5, "each batch call is a step");
    assert!(!world.queues.take_inbound().is_empty() && world.queues.inbound().is_empty());
}

#[tokio::test]
async fn nudges() {
    let world = World::new();
    let received = async || world.queues.answers().into_iter().map(|delayed| delayed.item).collect();
    contracts::nudges(&world.queues, received, "first").await;
    assert_eq!(world.queues.take_answers().last().unwrap().delay, Duration::from_secs(900));
    assert!(world.queues.answers().is_empty());
}

#[tokio::test]
async fn fetches() {
    let world = World::new();
    let mut arrived = Vec::new();
    let received = async || {
        arrived.extend(world.queues.take_media());
        arrived.clone()
    };
    contracts::fetches(&world.queues, received, "first").await;
}

#[tokio::test]
async fn jobs() {
    let world = World::new();
    let mut arrived = Vec::new();
    let received = async || {
        arrived.extend(world.queues.take_events().into_iter().map(|delayed| delayed.item));
        arrived.clone()
    };
    contracts::jobs(&world.queues, received, "first").await;
}

#[tokio::test]
async fn files() {
    let world = World::new();
    let now = world.clock.now();
    let open = async |link: String| world.files.open(&link, now).map(|file| file.bytes);
    contracts::files(&world.files, open, now, "first").await;
    assert!(world.files.all().is_empty());
}

#[tokio::test]
async fn upload_links() {
    let world = World::new();
    let now = world.clock.now();
    let put = async |link: String, kind: &'static str, bytes: &'static [u8]| {
        world.files.put_at(&link, kind, bytes, now)
    };
    contracts::upload_links(&world.files, put, now, "first").await;
}

#[tokio::test]
async fn dead_letters() {
    let world = World::new();
    let now = world.clock.now();
    let bury = async |letter| world.queues.bury(DeadQueue::Inbound, letter, now);
    contracts::dead_letters(&world.queues, bury, "first").await;
    contracts::dead_letters(&world.queues, bury, "second").await;
}

#[tokio::test]
async fn sending_back() {
    let world = World::new();
    let received = async || world.queues.inbound().into_iter().map(|delayed| delayed.item).collect();
    contracts::sending_back(&world.queues, received, "first").await;
}

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

#[tokio::test]
async fn a_failed_call_is_one_call_and_a_crash_lasts_until_the_restart() {
    let world = World::new();
    let bot = bot();
    let ask = async || world.store.bot(&bot).await.is_ok();
    world.steps.fault_next("bot", Fault::FailBefore);
    world.steps.fault_at(2, Fault::CrashAfter);
    assert_eq!([ask().await, ask().await, ask().await, ask().await], [false, true, false, false]);
    assert!(world.steps.is_dead());
    world.steps.restart();
    assert!(ask().await);
    assert_eq!((world.steps.count(), world.steps.log()[0]), (5, "bot"));
    world.steps.fault_next("bot", Fault::CrashBefore);
    world.steps.clear_faults();
    assert!(ask().await);
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_took_effect() {
    let world = World::new();
    let signed_up = world.graph.sign_up(1);
    world.steps.fault_next("exchange_code", Fault::FailBefore);
    assert!(matches!(world.graph.exchange_code(&signed_up.code).await, Err(GraphError::NotSent(_))));
    world.steps.fault_next("exchange_code", Fault::FailAfter);
    assert!(matches!(world.graph.exchange_code(&signed_up.code).await, Err(GraphError::Unclear(_))));
    let spent = world.graph.exchange_code(&signed_up.code).await.unwrap_err();
    assert_eq!(spent.refusal().map(|e| (e.code, e.subcode)), Some((100, Some(36009))));
    assert_eq!((world.graph.calls("exchange_code"), world.graph.acts("exchange_code")), (2, 1));
}

#[tokio::test]
async fn a_client_is_onboarded_at_this_meta_as_at_the_real_one() {
    let world = World::new();
    let graph = &world.graph;
    let it = graph.sign_up(1);
    let token = graph.exchange_code(&it.code).await.unwrap();
    assert_eq!(graph.token_facts(&token).await.unwrap().waba_ids(), std::slice::from_ref(&it.waba_id));
    assert_eq!(graph.client_business(&token).await.unwrap().as_ref(), Some(&it.business_id));
    assert_eq!(
        graph.account(&it.waba_id, &token).await.unwrap().owner_business_id,
        Some(it.business_id.clone())
    );
    assert_eq!(graph.numbers(&it.waba_id, &token).await.unwrap()[0].id, it.phone_number_id);
    assert!(!graph.is_subscribed(&it.waba_id, &token).await.unwrap());
    graph.subscribe(&it.waba_id, &token).await.unwrap();
    assert!(graph.is_subscribed(&it.waba_id, &token).await.unwrap());

    assert!(graph.share_credit(&it.waba_id, "USD").await.is_err(), "the system user is not assigned yet");
    let system_user = graph.system_user().await.unwrap();
    assert!(!graph.is_assigned(&it.waba_id, &system_user).await.unwrap());
    graph.assign(&it.waba_id, &system_user).await.unwrap();
    assert!(graph.is_assigned(&it.waba_id, &system_user).await.unwrap());
    let allocation = graph.share_credit(&it.waba_id, "USD").await.unwrap();
    assert_eq!(graph.allocations(&it.business_id).await.unwrap(), std::slice::from_ref(&allocation));
    let funding = graph.account(&it.waba_id, &token).await.unwrap().primary_funding_id;
    assert_eq!(graph.receiving_credential(&allocation).await.unwrap(), funding);
    assert!(graph.fetch_business_token(&it.business_id).await.is_ok());

    let refused = graph.account(&graph.sign_up(2).waba_id, &token).await.unwrap_err();
    assert_eq!(refused.refusal().map(|e| e.code), Some(100), "another client's account is not seen");
}

#[tokio::test]
async fn registering_minds_pins_and_counts_every_call() {
    let world = World::new();
    let graph = &world.graph;
    let it = graph.sign_up(1);
    let pin = |digits: &str| Pin::try_from(digits.to_owned()).unwrap();
    let register = async |digits: &str| {
        let done = graph.register(&it.phone_number_id, &pin(digits), &it.token).await;
        done.map_err(|e| e.refusal().map(|e| e.code))
    };
    let message = json!({"type": "text"});
    assert!(graph.send(&it.phone_number_id, &message, &it.token).await.is_err(), "not registered yet");
    graph.with(|meta| meta.numbers.get_mut(&it.phone_number_id).unwrap().pin = Some("111111".to_owned()));
    assert_eq!(register("222222").await, Err(Some(133_005)));
    assert_eq!(register("111111").await, Ok(()));
    assert_eq!(register("222222").await, Ok(()), "a repeat succeeds");
    graph.with(|meta| {
        let known = &meta.numbers[&it.phone_number_id];
        assert_eq!((known.pin.as_deref(), known.register_calls), (Some("111111"), 3), "and changes no PIN");
    });
    for _ in 0..7 {
        assert_eq!(register("111111").await, Ok(()));
    }
    assert_eq!(register("111111").await, Err(Some(133_016)));
}

#[tokio::test]
async fn a_send_fails_in_every_way_and_the_world_knows_what_was_sent() {
    let world = World::new();
    let (client, it) = world.active_client(&bot(), 1).await;
    let message = json!({"type": "text", "text": {"body": "Hi"}});
    let send = async || world.graph.send(&client.phone_number_id, &message, &it.token).await;
    world.graph.fail_next("send", GraphFault::NotSent);
    world.graph.fail_next("send", GraphFault::UnclearBefore);
    world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_026, "Undeliverable")));
    world.graph.fail_at(3, GraphFault::UnclearAfter);
    assert!(matches!(send().await, Err(GraphError::NotSent(_))));
    assert!(matches!(send().await, Err(GraphError::Unclear(_))));
    assert!(matches!(send().await, Err(GraphError::Refused(_))));
    assert_eq!(world.graph.sent(), []);
    assert!(matches!(send().await, Err(GraphError::Unclear(_))));
    let sent = world.graph.sent();
    assert_eq!((sent.len(), &sent[0].message), (1, &message));
    assert_ne!(send().await.unwrap(), sent[0].wamid);
    world.graph.with(|meta| meta.tokens.clear());
    assert_eq!(send().await.unwrap_err().refusal().map(|e| e.code), Some(190));
}

#[tokio::test]
async fn an_active_client_is_whole() {
    let world = World::new();
    let (client, it) = world.active_client(&bot(), 1).await;
    let grant = world.store.with(|tables| tables.grants[&client.grant_id].clone());
    let token =
        world.seal.open(grant.token.as_ref().unwrap(), SealContext::GrantToken(&grant.id)).await.unwrap();
    assert_eq!(token.expose_secret(), it.token.expose());
    let other = GrantId::new(&"other".parse().unwrap(), &it.business_id);
    let moved = world.seal.open(grant.token.as_ref().unwrap(), SealContext::GrantToken(&other)).await;
    assert!(matches!(moved, Err(StoreError::Unsealable(_))));
}

#[tokio::test]
async fn the_model_repeats_the_customer_or_does_as_scripted() {
    let world = World::new();
    let turns = vec![Turn { from_customer: true, text: "Hi".to_owned(), files: Vec::new() }];
    let prompt = Prompt { instructions: String::new(), turns };
    let echo = world.model.model(None).unwrap();
    assert_eq!(world.model.complete(&echo, &prompt).await.unwrap().text, "You said: Hi");
    world.model.script(Err(ModelError::Refused { status: 400 }));
    world.model.script(Ok("Hello".to_owned()));
    assert!(matches!(world.model.complete(&echo, &prompt).await, Err(ModelError::Refused { .. })));
    assert_eq!(world.model.complete(&echo, &prompt).await.unwrap().text, "Hello");
    assert_eq!((world.model.prompts().len(), &world.model.asked()[2]), (3, &echo.name));
    world.model.set_models(Models::default());
    assert!(world.model.model(None).is_none());
}

#[test]
fn time_stands_still_and_randomness_repeats() {
    let (world, same) = (World::new(), World::new());
    let start = world.clock.now();
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.clock.now(), start + Duration::from_secs(60));
    world.clock.set(start);
    assert_eq!(world.clone().clock.now(), start);
    let bytes = world.random.bytes();
    assert_eq!(bytes, same.random.bytes());
    assert_ne!(bytes, world.random.bytes());
}
