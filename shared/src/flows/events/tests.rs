use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::deliver::{Delivering, OpenedSecrets};
use super::event_of;
use super::publish::{Known, Publishing};
use crate::domain::change::{Change, Changed, Pair};
use crate::domain::client::ClientStatus;
use crate::domain::conversation::CustomerNames;
use crate::domain::delivery::{Failure, Job, Progress};
use crate::domain::event::{EventKind, signature};
use crate::domain::ids::{ConversationId, SubscriptionKey, Wamid};
use crate::domain::message::{Message, Origin, Sending};
use crate::domain::onboarding::{Onboarding, Step};
use crate::domain::raw::Raw;
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::EventSecret;
use crate::domain::status::Statuses;
use crate::domain::subscription::{Health, Off, Subscription};
use crate::error::StoreError;
use crate::flows::testing::{bot, text, webhook};
use crate::ports::{Clock, Seal, Told};
use crate::testing::{Fault, World};

const URL: &str = "https://hooks.partner.example/in";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn key() -> SubscriptionKey {
    SubscriptionKey::new(&bot(), &"sub_1".parse().unwrap())
}

async fn sealed(world: &World, secret: &str) -> Sealed {
    world.seal.seal(secret, SealContext::SubscriptionSecret(&key())).await.unwrap()
}

/// A world in which the bot's messages are told to one address.
async fn subscribed() -> World {
    let world = World::new();
    let subscription = Subscription {
        key: key(),
        url: URL.to_owned(),
        kinds: EventKind::ALL.into_iter().collect(),
        off: None,
        secret: sealed(&world, SECRET).await,
        previous: Vec::new(),
        request: None,
        version: 1,
        health: Health::default(),
        created_at: world.clock.now(),
        updated_at: world.clock.now(),
    };
    world.store.with(|tables| tables.subscriptions.insert(key(), subscription));
    world
}

fn change_subscription(world: &World, change: impl FnOnce(&mut Subscription)) {
    world.store.with(|tables| change(tables.subscriptions.get_mut(&key()).unwrap()));
}

fn message(world: &World, origin: Origin) -> Message {
    let customer = CustomerNames { wa_id: "15550100123".parse().ok(), ..CustomerNames::default() };
    let phone = "117".parse().unwrap();
    let raw = webhook(&phone, json!({ "messages": [text(world, "wamid.A", "Hello")] }));
    Message {
        id: "wamid.A".parse().unwrap(),
        wamid: Some("wamid.A".parse::<Wamid>().unwrap()),
        origin,
        bot_id: Some(bot()),
        conversation_id: ConversationId::new(&phone, &customer.aliases()[0]),
        phone_number_id: phone,
        customer,
        kind: "text".to_owned(),
        at: world.clock.now(),
        recorded_at: world.clock.now(),
        raw: Raw::Plain(raw),
        reply_to: None,
        answer: None,
        why: None,
        sending: None,
        statuses: Statuses::default(),
        expires_at: None,
    }
}

fn change_of(world: &World, record: Changed) -> Change {
    Change { id: "write-1".to_owned(), sequence: "1".to_owned(), at: world.clock.now(), record }
}

fn written<T>(before: Option<T>, after: T) -> Pair<T> {
    Pair { before: before.map(Box::new), after: Box::new(after) }
}

fn received(world: &World) -> Change {
    change_of(world, Changed::Message(written(None, message(world, Origin::Customer))))
}

async fn publish(world: &World, known: &Known, changes: &[Change]) -> Result<usize, StoreError> {
    let publishing = Publishing { store: &world.store, queue: &world.queues, clock: &world.clock, known };
    publishing.publish(changes).await.map_err(|stopped| stopped.error)
}

async fn deliver(world: &World, job: &Job) -> Result<(), StoreError> {
    delivering(world, &OpenedSecrets::default()).deliver(job).await
}

type Whole<'w> = Delivering<
    'w,
    crate::testing::MemoryStore,
    crate::testing::FakeSeal,
    crate::testing::MemoryTargets,
    crate::testing::MemoryQueues,
    crate::testing::FixedClock,
>;

fn delivering<'w>(world: &'w World, secrets: &'w OpenedSecrets) -> Whole<'w> {
    Delivering {
        store: &world.store,
        seal: &world.seal,
        targets: &world.targets,
        queue: &world.queues,
        clock: &world.clock,
        secrets,
        claim: Duration::from_secs(90),
    }
}

/// Publishes the change of one message, and delivers what follows at once.
async fn tell(world: &World) {
    publish(world, &Known::new(Duration::ZERO), &[received(world)]).await.unwrap();
    for delayed in world.queues.take_events() {
        deliver(world, &delayed.item).await.unwrap();
    }
}

/// Time passes, in steps of a minute: the schedule runs, and what is on the queue is done.
async fn days(world: &World, days: u64) {
    for _ in 0..days * 24 * 60 {
        world.clock.advance(Duration::from_secs(60));
        delivering(world, &OpenedSecrets::default()).sweep(100).await.unwrap();
        for delayed in world.queues.take_events() {
            deliver(world, &delayed.item).await.unwrap();
        }
    }
}

fn kind_of(record: Changed) -> Option<EventKind> {
    event_of(&change_of(&World::new(), record), None).map(|event| event.kind)
}

#[tokio::test]
async fn a_message_is_told_signed_and_leaves_no_record() {
    let world = subscribed().await;
    tell(&world).await;
    let heard = world.targets.heard();
    assert_eq!(heard.len(), 1);
    let event: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(event["type"], "message.received");
    assert_eq!((&event["data"]["text"], &event["botId"]), (&json!("Hello"), &json!(bot())));
    let secret = EventSecret::try_from(SECRET.to_owned()).unwrap();
    assert_eq!(heard[0].signature, signature(&[secret], &heard[0].event_id, heard[0].at, &heard[0].body));
    assert!(world.store.with(|tables| tables.deliveries.is_empty()));
    tell(&world).await;
    assert_eq!(world.targets.heard()[1].event_id, heard[0].event_id, "told again it is the same event");
}

#[tokio::test]
async fn only_whoever_wants_it_is_told() {
    let world = subscribed().await;
    let known = Known::new(Duration::ZERO);
    let jobs = async || publish(&world, &known, &[received(&world)]).await.unwrap();
    assert_eq!(jobs().await, 1);
    change_subscription(&world, |it| it.kinds = BTreeSet::from([EventKind::MessageStatus]));
    assert_eq!(jobs().await, 0);
    change_subscription(&world, |it| {
        it.kinds.insert(EventKind::MessageReceived);
        it.off = Some(Off::Caller);
    });
    assert_eq!(jobs().await, 0);
}

#[tokio::test]
async fn a_bot_without_subscriptions_is_looked_up_once_in_a_while() {
    let world = World::new();
    let known = Known::new(Duration::from_secs(60));
    let changes = [received(&world), received(&world)];
    publish(&world, &known, &changes).await.unwrap();
    publish(&world, &known, &changes).await.unwrap();
    assert_eq!(world.steps.count(), 1);
    world.clock.advance(Duration::from_secs(60));
    publish(&world, &known, &changes).await.unwrap();
    assert_eq!(world.steps.count(), 2);
}

#[test]
fn of_messages_only_live_ones_and_what_became_of_ours_are_news() {
    let world = World::new();
    let of = |origin| message(&world, origin);
    let told = |before, after| kind_of(Changed::Message(written(before, after)));
    assert_eq!(told(None, of(Origin::Customer)), Some(EventKind::MessageReceived));
    assert_eq!(told(Some(of(Origin::HistoryIn)), of(Origin::Customer)), Some(EventKind::MessageReceived));
    assert_eq!(told(Some(of(Origin::Customer)), of(Origin::Customer)), None, "its answer was settled");
    for origin in [Origin::HistoryIn, Origin::HistoryOut, Origin::StandbyIn, Origin::StandbyOut] {
        assert_eq!(told(None, of(origin)), None, "{origin:?}");
    }
    let sending = |sending| Message { sending: Some(sending), ..of(Origin::Api) };
    let intended = || sending(Sending::Intended { until: world.clock.now() });
    assert_eq!(told(None, intended()), None);
    assert_eq!(told(Some(intended()), sending(Sending::Accepted)), Some(EventKind::MessageStatus));
    assert_eq!(told(Some(intended()), sending(Sending::Uncertain)), Some(EventKind::MessageStatus));
    assert_eq!(told(Some(sending(Sending::Accepted)), sending(Sending::Accepted)), None);
    assert_eq!(told(Some(sending(Sending::NotSent)), intended()), None);
}

#[tokio::test]
async fn of_clients_what_comes_with_each_message_is_no_news() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let told = |change: &dyn Fn(&mut crate::domain::client::Client)| {
        let mut after = client.clone();
        change(&mut after);
        kind_of(Changed::Client(written(Some(client.clone()), after)))
    };
    let now = world.clock.now() + Duration::from_secs(60);
    assert_eq!(told(&|_| {}), None);
    assert_eq!(told(&|it| it.last_message_at = Some(now)), None);
    assert_eq!(told(&|it| it.updated_at = now), None);
    assert_eq!(told(&|it| it.quality_rating = Some("RED".to_owned())), Some(EventKind::ClientUpdated));
    assert_eq!(told(&|it| it.stage = ClientStatus::Inactive), Some(EventKind::ClientUpdated));
    assert_eq!(told(&|it| it.reconnect_since = Some(now)), Some(EventKind::ClientUpdated));
    assert_eq!(told(&|it| it.last_webhook_at = Some(now)), Some(EventKind::ClientUpdated), "it receives");
}

#[test]
fn of_onboardings_a_step_that_ended_is_news_and_one_that_begins_is_none() {
    let now = World::new().clock.now();
    let begun = Onboarding::new("ob_1".parse().unwrap(), bot(), now);
    let mut done = begun.clone();
    done.done(Step::TokenStored, now, []);
    let mut later = done.clone();
    later.next_try_at = Some(now + Duration::from_secs(60));
    let told = |before: &Onboarding, after: &Onboarding| {
        kind_of(Changed::Onboarding(written(Some(before.clone()), after.clone())))
    };
    assert_eq!(told(&begun, &done), Some(EventKind::OnboardingUpdated));
    assert_eq!(told(&done, &later), None);
}

#[tokio::test]
async fn of_tokens_their_coming_end_and_their_death_are_news_and_nothing_sealed_is_told() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let grant = world.store.with(|tables| tables.grants[&client.grant_id].clone());
    let mut expiring = grant.clone();
    expiring.care.told_days = Some(14);
    let mut dead = expiring.clone();
    dead.dead_since = Some(world.clock.now());
    let told = |before: &crate::domain::grant::Grant, after: &crate::domain::grant::Grant| {
        let record = Changed::Grant(written(Some(before.clone()), after.clone()));
        event_of(&change_of(&world, record), None)
    };
    assert_eq!(told(&grant, &grant), None);
    let event = told(&grant, &expiring).unwrap();
    assert_eq!((event.kind, &event.data["daysLeft"]), (EventKind::TokenExpiring, &json!(14)));
    let event = told(&expiring, &dead).unwrap();
    assert_eq!(event.kind, EventKind::TokenDead);
    let members: Vec<_> = event.data.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["businessId", "wabaIds", "expiresAt", "daysLeft", "deadSince"]);

    // A planted secret in every sealed place of every record.
    let canary = Sealed::new(b"canary".to_vec());
    let mut planted = client.clone();
    planted.sealed_pin = Some(canary.clone());
    let mut onboarding = Onboarding::new("ob_1".parse().unwrap(), bot(), world.clock.now());
    onboarding.token = Some(canary.clone());
    onboarding.claims.pin = Some(canary.clone());
    let sealed = serde_json::to_value(&canary).unwrap();
    for record in
        [Changed::Client(written(None, planted.clone())), Changed::Onboarding(written(None, onboarding))]
    {
        let body = event_of(&change_of(&world, record), Some(&planted)).unwrap().body();
        assert!(!body.contains(sealed.as_str().unwrap()) && !body.contains("canary"), "{body}");
    }
}

#[tokio::test]
async fn what_fails_is_tried_ten_times_in_days_and_then_kept() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Failed(Failure::Status { status: 500 }));
    tell(&world).await;
    days(&world, 4).await;
    let heard = world.targets.heard();
    assert_eq!(heard.len(), 10);
    assert!(heard.iter().all(|it| it.event_id == heard[0].event_id && it.body == heard[0].body));
    let dead = world.store.with(|tables| tables.deliveries.values().next().unwrap().clone());
    assert!(dead.is_dead() && dead.attempts == 10, "{dead:?}");
    days(&world, 1).await;
    assert_eq!(world.targets.heard().len(), 10, "it is dead");
}

#[tokio::test]
async fn what_failed_once_is_told_some_seconds_later() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Failed(Failure::Timeout));
    tell(&world).await;
    world.targets.answer(URL, Told::Yes);
    let delayed = world.queues.take_events().pop().unwrap();
    assert!((5..=7).contains(&delayed.delay.as_secs()), "{:?}", delayed.delay);
    deliver(&world, &delayed.item).await.unwrap();
    assert_eq!(world.targets.heard().len(), 1, "it is not due yet");
    world.clock.advance(delayed.delay);
    deliver(&world, &delayed.item).await.unwrap();
    deliver(&world, &delayed.item).await.unwrap();
    assert_eq!(world.targets.heard().len(), 2);
    assert!(world.store.with(|tables| tables.deliveries.is_empty()));
    assert_eq!(world.store.with(|tables| tables.subscriptions[&key()].health), Health::default());
}

#[tokio::test]
async fn an_address_that_keeps_failing_is_called_by_one_at_a_time() {
    let world = subscribed().await;
    let since = world.clock.now();
    change_subscription(&world, |it| {
        it.health = Health { failures: 9, failing_since: Some(since), paused_until: None };
    });
    world.targets.answer(URL, Told::Failed(Failure::Timeout));
    for n in 0..20 {
        let change = Change { id: format!("write-{n}"), ..received(&world) };
        publish(&world, &Known::new(Duration::ZERO), &[change]).await.unwrap();
    }
    for delayed in world.queues.take_events() {
        deliver(&world, &delayed.item).await.unwrap();
    }
    assert_eq!(world.targets.heard().len(), 1, "the others wait");
    assert_eq!(world.store.with(|tables| tables.deliveries.len()), 20, "and none is lost");
    world.targets.answer(URL, Told::Yes);
    days(&world, 1).await;
    assert_eq!(world.targets.heard().len(), 21);
    assert!(world.store.with(|tables| tables.deliveries.is_empty()));
}

#[tokio::test]
async fn an_address_that_wants_no_more_is_switched_off_and_what_was_to_be_told_is_kept() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Gone);
    tell(&world).await;
    assert_eq!(world.store.with(|tables| tables.subscriptions[&key()].off), Some(Off::Gone));
    let dead = world.store.with(|tables| tables.deliveries.values().next().unwrap().clone());
    assert_eq!((dead.is_dead(), dead.failure), (true, Some(Failure::SwitchedOff)));
}

#[tokio::test]
async fn what_was_on_its_way_when_the_address_wanted_no_more_is_kept() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Gone);
    for n in 0..2 {
        let change = Change { id: format!("write-{n}"), ..received(&world) };
        publish(&world, &Known::new(Duration::ZERO), &[change]).await.unwrap();
    }
    for delayed in world.queues.take_events() {
        deliver(&world, &delayed.item).await.unwrap();
    }
    assert_eq!(world.targets.heard().len(), 1);
    let dead = || world.store.with(|tables| tables.deliveries.values().filter(|it| it.is_dead()).count());
    assert_eq!(dead(), 2);
    change_subscription(&world, |it| it.off = Some(Off::Caller));
    let job = Job::Tell(world.store.with(|t| t.deliveries.values().next().unwrap().packet.clone()));
    world.store.with(|tables| tables.deliveries.clear());
    deliver(&world, &job).await.unwrap();
    assert_eq!(dead(), 0, "whoever switches it off wants nothing");
}

#[tokio::test]
async fn what_waits_is_forgotten_if_its_kind_is_wanted_no_more() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Failed(Failure::Timeout));
    tell(&world).await;
    change_subscription(&world, |it| it.kinds = [EventKind::TokenDead].into());
    days(&world, 1).await;
    assert!(world.store.with(|tables| tables.deliveries.is_empty()));
    assert_eq!(world.targets.heard().len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_deleted_subscription_goes_with_it() {
    let world = subscribed().await;
    world.targets.answer(URL, Told::Failed(Failure::Timeout));
    tell(&world).await;
    world.store.with(|tables| tables.subscriptions.clear());
    days(&world, 1).await;
    assert!(world.store.with(|tables| tables.deliveries.is_empty()));
    assert_eq!(world.targets.heard().len(), 1);
}

#[tokio::test]
async fn while_a_secret_is_replaced_both_sign() {
    let world = subscribed().await;
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let (new_sealed, until) = (sealed(&world, new).await, world.clock.now() + Duration::from_secs(60));
    change_subscription(&world, |it| {
        it.previous = vec![(std::mem::replace(&mut it.secret, new_sealed), until)];
    });
    tell(&world).await;
    world.clock.advance(Duration::from_secs(60));
    tell(&world).await;
    let signed = |n: usize, secrets: &[&str]| {
        let heard = &world.targets.heard()[n];
        let secrets: Vec<_> =
            secrets.iter().map(|it| EventSecret::try_from((*it).to_owned()).unwrap()).collect();
        heard.signature == signature(&secrets, &heard.event_id, heard.at, &heard.body)
    };
    assert!(signed(0, &[new, SECRET]));
    assert!(signed(1, &[new]), "its time is over");
}

/// Every outside call from the change to the end of its event stops once, in each way. The change and the job come
/// again, as the stream and the queue bring them; the schedule does the rest.
#[tokio::test]
async fn whichever_call_stops_the_event_is_told_or_kept() {
    for answers in [Told::Yes, Told::Failed(Failure::Timeout), Told::Gone] {
        let run = async |fault: Option<(usize, Fault)>| {
            let world = subscribed().await;
            world.targets.answer(URL, answers);
            change_subscription(&world, |it| it.health.failures = 1);
            let first = world.steps.count();
            if let Some((call, fault)) = fault {
                world.steps.fault_at(first + call, fault);
            }
            let known = Known::new(Duration::ZERO);
            let mut published = false;
            let mut jobs: Vec<Job> = Vec::new();
            for _ in 0..4 {
                if !published {
                    published = publish(&world, &known, &[received(&world)]).await.is_ok();
                }
                world.steps.restart();
                jobs.extend(world.queues.take_events().into_iter().map(|delayed| delayed.item));
                let mut again = Vec::new();
                for job in jobs.drain(..) {
                    if deliver(&world, &job).await.is_err() {
                        again.push(job);
                    }
                    world.steps.restart();
                }
                jobs = again;
                world.clock.advance(Duration::from_secs(8 * 60));
                let _ = delivering(&world, &OpenedSecrets::default()).sweep(100).await;
                world.steps.restart();
            }
            let calls = world.steps.count() - first;
            let kept: Vec<Progress> =
                world.store.with(|tables| tables.deliveries.values().map(|it| it.progress).collect());
            let heard: BTreeSet<_> = world.targets.heard().into_iter().map(|it| it.event_id).collect();
            assert_eq!(heard.len(), 1, "{answers:?} {fault:?}: one event, by whatever name");
            match answers {
                Told::Yes => assert!(kept.is_empty(), "{fault:?}: {kept:?}"),
                Told::Failed(_) => {
                    assert!(matches!(kept.as_slice(), [Progress::Pending { .. }]), "{fault:?}: {kept:?}")
                }
                Told::Gone => {
                    let off = world.store.with(|tables| tables.subscriptions[&key()].off);
                    assert_eq!(off, Some(Off::Gone), "{fault:?}");
                    assert!(matches!(kept.as_slice(), [Progress::Dead { .. }]), "{fault:?}: {kept:?}");
                }
            }
            calls
        };
        let calls = run(None).await;
        for call in 0..calls {
            for fault in crate::flows::testing::FAULTS {
                run(Some((call, fault))).await;
            }
        }
    }
}
