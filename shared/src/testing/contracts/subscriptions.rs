use std::collections::BTreeSet;
use std::time::Duration;

use super::{Ids, Must, at, early, eventually};
use crate::domain::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryKey, Failure, Job, Packet, Progress};
use crate::domain::event::EventKind;
use crate::domain::ids::{EventId, SubscriptionKey};
use crate::domain::seal::Sealed;
use crate::domain::subscription::{Health, Off, Subscription};
use crate::ports::{
    DeadDeliveries, Deliveries, EraseDeliveries, ListSubscriptions, NoteCalls, ReadSubscriptions, SendJobs,
    WriteSubscriptions,
};

fn key(ids: &Ids, n: u32) -> SubscriptionKey {
    SubscriptionKey::new(&ids.bot(0), &format!("sub_{}", ids.text(n)).parse().expect("a subscription's id"))
}

fn subscription(ids: &Ids, n: u32) -> Subscription {
    Subscription {
        key: key(ids, n),
        url: format!("https://hooks.partner.example/{n}"),
        kinds: EventKind::ALL.into_iter().take(n as usize).collect(),
        off: None,
        secret: Sealed::new(vec![1, 2, 3]),
        previous: Vec::new(),
        request: Some(ids.text(n)),
        version: 1,
        health: Health::default(),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// [`ListSubscriptions`], [`ReadSubscriptions`], [`WriteSubscriptions`] and [`NoteCalls`].
pub async fn subscriptions<S>(store: &S, unique: &str)
where
    S: ListSubscriptions + ReadSubscriptions + WriteSubscriptions + NoteCalls,
{
    let ids = Ids::new("subscriptions", unique);
    one_is_added_changed_by_version_and_deleted(store, &ids).await;
    calls_of_a_failing_address_take_turns(store, &ids).await;
    nothing_notes_what_is_gone(store, &ids).await;
}

async fn one_is_added_changed_by_version_and_deleted<S>(store: &S, ids: &Ids)
where
    S: ListSubscriptions + ReadSubscriptions + WriteSubscriptions,
{
    let (one, two) = (subscription(ids, 1), subscription(ids, 2));
    assert_eq!(store.subscription(&one.key).await.must(), None);
    assert_eq!(store.add_subscription(&one).await.must(), None);
    assert_eq!(store.add_subscription(&two).await.must(), None);
    let taken = Subscription { url: "https://elsewhere.example/".to_owned(), ..one.clone() };
    assert_eq!(store.add_subscription(&taken).await.must(), Some(one.clone()), "the first one stays");
    assert_eq!(store.subscriptions_of(&ids.bot(0)).await.must(), [one.clone(), two.clone()]);
    assert!(store.subscriptions_of(&ids.bot(9)).await.must().is_empty(), "another bot's");

    let changed = Subscription {
        url: "https://hooks.partner.example/new".to_owned(),
        kinds: BTreeSet::from([EventKind::TokenDead]),
        off: Some(Off::Caller),
        secret: Sealed::new(vec![9]),
        previous: vec![(one.secret.clone(), at(60)), (Sealed::new(vec![8]), at(50))],
        request: None,
        version: 2,
        updated_at: at(7),
        ..one.clone()
    };
    assert!(store.save_subscription(&changed, 1).await.must());
    assert_eq!(store.subscription(&one.key).await.must(), Some(changed.clone()));
    assert!(!store.save_subscription(&one, 1).await.must(), "somebody changed it");
    let on = Subscription { off: None, previous: Vec::new(), version: 3, ..changed };
    assert!(store.save_subscription(&on, 2).await.must());
    assert_eq!(store.subscription(&one.key).await.must(), Some(on), "what it has not any more is gone");
    for _ in 0..2 {
        store.delete_subscription(&one.key).await.must();
    }
    assert!(!store.save_subscription(&one, 3).await.must(), "it is gone");
    assert_eq!(store.subscriptions_of(&ids.bot(0)).await.must(), [two]);
}

async fn calls_of_a_failing_address_take_turns<S>(store: &S, ids: &Ids)
where
    S: ReadSubscriptions + WriteSubscriptions + NoteCalls,
{
    let it = subscription(ids, 3);
    let health = async || store.subscription(&it.key).await.must().expect("it is there").health;
    store.add_subscription(&it).await.must();
    store.note_failure(&it.key, at(1), None).await.must();
    store.note_failure(&it.key, at(2), None).await.must();
    assert_eq!(health().await, Health { failures: 2, failing_since: Some(at(1)), paused_until: None });
    assert!(store.take_call(&it.key, at(3), at(33)).await.must());
    assert!(!store.take_call(&it.key, at(32), at(62)).await.must(), "somebody has the turn");
    assert!(store.take_call(&it.key, at(33), at(63)).await.must(), "it ran out");
    store.note_failure(&it.key, at(34), Some(at(94))).await.must();
    let failing = Health { failures: 3, failing_since: Some(at(1)), paused_until: Some(at(94)) };
    assert_eq!(health().await, failing);
    store.note_success(&it.key).await.must();
    assert_eq!(health().await, Health::default());
    store.note_gone(&it.key, at(100)).await.must();
    store.note_gone(&it.key, at(200)).await.must();
    let gone = store.subscription(&it.key).await.must().expect("it is there");
    assert_eq!((gone.off, gone.updated_at, gone.version), (Some(Off::Gone), at(100), 2), "noted once");
    store.note_failure(&it.key, at(300), Some(at(400))).await.must();
    let on = Subscription { off: None, version: 3, ..gone };
    assert!(store.save_subscription(&on, 2).await.must());
    assert_eq!(health().await, Health::default(), "a change makes it healthy");
}

async fn nothing_notes_what_is_gone<S>(store: &S, ids: &Ids)
where
    S: ReadSubscriptions + WriteSubscriptions + NoteCalls,
{
    let gone = key(ids, 4);
    assert!(!store.take_call(&gone, at(0), at(30)).await.must());
    store.note_failure(&gone, at(0), Some(at(1))).await.must();
    store.note_success(&gone).await.must();
    store.note_gone(&gone, at(0)).await.must();
    assert_eq!(store.subscription(&gone).await.must(), None);
}

fn event(ids: &Ids, n: u32) -> EventId {
    format!("evt_{}-{n:04}", ids.hash).parse().expect("an event's id")
}

fn delivery(ids: &Ids, n: u32, progress: Progress) -> Delivery {
    Delivery {
        packet: Packet {
            subscription: key(ids, 1),
            event_id: event(ids, n),
            kind: EventKind::MessageReceived,
            at: at(0),
            conversation_id: Some(ids.conversation(n % 2)),
            body: format!("{{\"n\":{n},\"text\":\"é\u{fffe}\"}}"),
        },
        progress,
        attempts: n,
        failure: [Some(Failure::Status { status: 503 }), Some(Failure::Timeout), None][n as usize % 3],
        expires_at: at(1_000_000),
    }
}

/// [`Deliveries`], [`DeadDeliveries`] and [`EraseDeliveries`].
pub async fn deliveries<S: Deliveries + DeadDeliveries + EraseDeliveries>(store: &S, unique: &str) {
    let ids = Ids::new("deliveries", unique);
    one_copy_has_a_delivery_until_it_has_ended(store, &ids).await;
    what_is_due_is_found(store, &ids).await;
    the_dead_are_listed_and_revived(store, &ids).await;
    what_is_of_a_conversation_goes(store, &ids).await;
}

async fn one_copy_has_a_delivery_until_it_has_ended<S: Deliveries>(store: &S, ids: &Ids) {
    let pending = |due_at| Progress::Pending { due_at };
    let new = delivery(ids, 1, pending(at(60)));
    let claimed = async |now, until| store.claim_delivery(&new.key(), now, until).await.must();
    assert_eq!(claimed(at(60), at(90)).await, None, "it is not there");
    assert!(store.add_delivery(&new).await.must());
    assert!(!store.add_delivery(&delivery(ids, 1, pending(at(999)))).await.must(), "it is known");
    assert_eq!(claimed(at(59), at(90)).await, None, "it is not due");
    let first = Delivery { progress: pending(at(90)), ..new.clone() };
    assert_eq!(claimed(at(60), at(90)).await, Some(first));
    assert_eq!(claimed(at(89), at(120)).await, None, "somebody has it");
    let second = claimed(at(90), at(180)).await;
    assert_eq!(second, Some(Delivery { progress: pending(at(180)), ..new.clone() }), "the claim ran out");
    let later = Delivery { progress: pending(at(500)), attempts: 7, failure: None, ..new.clone() };
    assert!(!store.save_delivery(&later, at(90)).await.must(), "of the one that lost it");
    assert!(store.save_delivery(&later, at(180)).await.must());
    assert!(!store.save_delivery(&new, at(180)).await.must(), "it was given back");
    let third = claimed(at(500), at(590)).await;
    assert_eq!(third, Some(Delivery { progress: pending(at(590)), ..later }));
    let dead = Delivery { progress: Progress::Dead { since: at(501) }, ..new.clone() };
    assert!(store.save_delivery(&dead, at(590)).await.must());
    assert_eq!(claimed(at(9999), at(10_000)).await, None, "it is dead");
    for _ in 0..2 {
        store.forget_delivery(&new.key()).await.must();
    }
    assert!(!store.save_delivery(&new, at(590)).await.must(), "what is gone does not come back");
    assert!(store.add_delivery(&new).await.must(), "it is gone");
    store.forget_delivery(&new.key()).await.must();
}

async fn what_is_due_is_found<S: Deliveries>(store: &S, ids: &Ids) {
    let all: Vec<Delivery> = (10..30)
        .map(|n| delivery(ids, n, Progress::Pending { due_at: early(1000 + i64::from(n)) }))
        .collect();
    for it in &all {
        store.add_delivery(it).await.must();
    }
    store.add_delivery(&delivery(ids, 30, Progress::Dead { since: early(1000) })).await.must();
    let due = async |seconds: i64| {
        let mut due = store.due_deliveries(early(seconds), 100).await.must();
        due.retain(|key| key.subscription == all[0].packet.subscription);
        due
    };
    let keys = |all: &[Delivery]| all.iter().map(Delivery::key).collect::<Vec<DeliveryKey>>();
    eventually("the due ones", async || due(1024).await, |it| *it == keys(&all[..15])).await;
    store.claim_delivery(&all[0].key(), early(1024), early(1100)).await.must();
    eventually("without the claimed", async || due(1024).await, |it| *it == keys(&all[1..15])).await;
    for n in 10..=30 {
        store.forget_delivery(&delivery(ids, n, Progress::Dead { since: at(0) }).key()).await.must();
    }
    eventually("none", async || due(9999).await, Vec::is_empty).await;
}

async fn the_dead_are_listed_and_revived<S: Deliveries + DeadDeliveries>(store: &S, ids: &Ids) {
    let dead: Vec<Delivery> =
        (40..45).map(|n| delivery(ids, n, Progress::Dead { since: at(i64::from(n)) })).collect();
    for it in &dead {
        store.add_delivery(it).await.must();
    }
    let of = key(ids, 1);
    let list = async |since: Option<Timestamp>, after: Option<&str>, limit| {
        store.dead_deliveries(&of, since, after, limit).await.must()
    };
    let names = |all: &[Delivery]| all.iter().map(|it| it.packet.event_id.clone()).collect::<Vec<_>>();
    let listed = async |since| {
        let page = list(since, None, 100).await;
        page.items.into_iter().map(|it| it.event_id).collect::<Vec<_>>()
    };
    eventually("all dead", async || listed(None).await, |it| *it == names(&dead)).await;
    assert_eq!(listed(Some(at(42))).await, names(&dead[2..]), "that moment included");
    let first = list(None, None, 3).await;
    assert_eq!(first.items.len(), 3);
    let shown = &first.items[1];
    assert_eq!(
        (shown.kind.as_str(), shown.attempts, shown.failure),
        ("message.received", 41, dead[1].failure)
    );
    assert_eq!((shown.at, shown.since, shown.expires_at), (at(0), at(41), at(1_000_000)));
    let rest = list(None, first.next.as_deref(), 3).await;
    assert_eq!((rest.items.len(), rest.next), (2, None));
    assert!(store.dead_deliveries(&key(ids, 2), None, None, 9).await.must().items.is_empty(), "another's");

    assert!(store.revive_delivery(&dead[0].key(), at(100)).await.must());
    assert!(!store.revive_delivery(&dead[0].key(), at(100)).await.must(), "it is not dead");
    assert!(!store.revive_delivery(&delivery(ids, 49, dead[0].progress).key(), at(100)).await.must());
    eventually("without the revived", async || listed(None).await, |it| *it == names(&dead[1..])).await;
    let anew = store.claim_delivery(&dead[0].key(), at(100), at(190)).await.must().expect("it is due");
    assert_eq!((anew.attempts, anew.failure), (0, None));
    assert_eq!(anew.packet, dead[0].packet, "as it was");
    for it in dead {
        store.forget_delivery(&it.key()).await.must();
    }
}

async fn what_is_of_a_conversation_goes<S: Deliveries + EraseDeliveries>(store: &S, ids: &Ids) {
    let all: Vec<Delivery> =
        (50..56).map(|n| delivery(ids, n, Progress::Pending { due_at: at(i64::from(n)) })).collect();
    for it in &all {
        store.add_delivery(it).await.must();
    }
    let mut erased = 0;
    let erase = async || {
        erased += store.erase_deliveries(&ids.conversation(0), 2).await.must();
        erased
    };
    // An index is of a moment ago, so one that is gone may be counted once more.
    eventually("all of the conversation are gone", erase, |erased| *erased >= 3).await;
    for (n, it) in all.iter().enumerate() {
        let found = store.claim_delivery(&it.key(), at(100), at(190)).await.must();
        assert_eq!(found.is_some(), n % 2 == 1, "{n}");
        store.forget_delivery(&it.key()).await.must();
    }
}

/// [`SendJobs`]: whatever their number and size, all arrive.
pub async fn jobs(queue: &impl SendJobs, mut received: impl AsyncFnMut() -> Vec<Job>, unique: &str) {
    let ids = Ids::new("jobs", unique);
    let packet =
        |n, body: String| Packet { body, ..delivery(&ids, n, Progress::Dead { since: at(0) }).packet };
    let mut sent: Vec<Job> =
        (0..13).map(|n| Job::Tell(packet(n, "{}\u{ffff}\u{fffe}\u{1}".to_owned()))).collect();
    sent.extend((20..28).map(|n| Job::Tell(packet(n, "x".repeat(200 * 1024)))));
    sent.push(Job::Again(DeliveryKey { subscription: key(&ids, 1), event_id: event(&ids, 99) }));
    queue.send_jobs(&[], Duration::ZERO).await.must();
    queue.send_jobs(&sent, Duration::ZERO).await.must();
    let missing = async || {
        let received = received().await;
        sent.iter().filter(|job| !received.contains(job)).count()
    };
    eventually("jobs that did not arrive", missing, |missing| *missing == 0).await;
}
