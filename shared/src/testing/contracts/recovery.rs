use std::time::Duration;

use super::{Ids, Must, at, eventually};
use crate::domain::letter::{DeadLetter, DeadQueue, FedQueue, Letter};
use crate::domain::parcel::{Content, Parcel, PartHeader};
use crate::domain::raw::Raw;
use crate::ports::{
    AccountEvent, DeadLetters, EmptyQuarantine, ListEvents, Quarantine, Quarantined, RecordEvents, SendBack,
    Shelf,
};

/// [`EmptyQuarantine`] beside [`Quarantine`].
pub async fn emptying_quarantine(store: &(impl EmptyQuarantine + Quarantine), unique: &str) {
    pages_of_a_shelf(store, unique).await;
    a_mark_is_of_one_and_is_lost_to_whoever_quarantines(store, unique).await;
}

fn item(ids: &Ids, n: u32, seconds: i64) -> Quarantined {
    Quarantined {
        id: ids.text(n),
        reason: "not_a_webhook".to_owned(),
        received_at: at(seconds),
        raw: Raw::Plain(format!("nonsense {n}")),
    }
}

async fn pages_of_a_shelf(store: &(impl EmptyQuarantine + Quarantine), unique: &str) {
    let ids = Ids::new("shelves", unique);
    // A day that no other run uses, and dead letters between its items.
    let day = 24 * 60 * 60 * i64::from(u16::from_str_radix(&ids.text(0)[..4], 16).expect("a hash is hex"));
    // Two at the same time: a page may end between them.
    let mine: Vec<Quarantined> =
        [1, 2, 2, 3, 4].into_iter().zip(1..).map(|(second, n)| item(&ids, n, day + second)).collect();
    for quarantined in &mine {
        store.quarantine(quarantined).await.must();
    }
    let dead = Quarantined { reason: FedQueue::Answers.reason().to_owned(), ..item(&ids, 9, day + 2) };
    store.quarantine(&dead).await.must();
    assert_eq!(store.quarantined(&dead.id).await.must(), Some(dead.clone()));
    assert_eq!(store.quarantined(&ids.text(77)).await.must(), None);

    let shelf = Shelf::of(&mine[0]);
    let read = async |shelf: Shelf, limit: usize| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.quarantined_on(shelf, after.as_deref(), limit).await.must();
            assert!(page.items.len() <= limit);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 2, 3, 100] {
        let ids_of = |items: &[Quarantined]| {
            let mut ids: Vec<_> = items.iter().map(|i| (i.received_at, i.id.clone())).collect();
            let in_order = ids.is_sorted_by_key(|(at, _)| *at);
            ids.sort();
            (ids, in_order)
        };
        let ask = async || ids_of(&read(shelf, limit).await);
        eventually("the shelf of a day, in order", ask, |found| *found == ids_of(&mine)).await;
    }
    let ask = async || read(Shelf::DeadLetters(FedQueue::Answers), 100).await;
    eventually("dead letters have a shelf of their own", ask, |found| found.contains(&dead)).await;

    // The item where a page ended may be gone when the next one is asked for.
    let page = store.quarantined_on(shelf, None, 2).await.must();
    for gone in &page.items {
        assert!(store.mark_quarantined(&gone.id, "t").await.must());
        assert!(store.remove_quarantined(&gone.id, "t").await.must());
    }
    let ask = async || store.quarantined_on(shelf, page.next.as_deref(), 100).await.must().items.len();
    eventually("the rest of the shelf", ask, |rest| *rest == 3).await;
}

async fn a_mark_is_of_one_and_is_lost_to_whoever_quarantines(
    store: &(impl EmptyQuarantine + Quarantine),
    unique: &str,
) {
    let ids = Ids::new("marks", unique);
    let item = item(&ids, 1, 0);
    assert!(!store.mark_quarantined(&item.id, "one").await.must(), "nothing is made by a mark");
    assert_eq!(store.quarantined(&item.id).await.must(), None);
    store.quarantine(&item).await.must();
    assert!(!store.remove_quarantined(&item.id, "one").await.must(), "not marked");
    assert!(store.mark_quarantined(&item.id, "one").await.must());
    assert!(store.mark_quarantined(&item.id, "two").await.must());
    assert!(!store.remove_quarantined(&item.id, "one").await.must(), "somebody else takes it");
    assert_eq!(store.quarantined(&item.id).await.must(), Some(item.clone()), "a mark changes nothing else");

    let again = Quarantined { reason: "no_id".to_owned(), ..item.clone() };
    store.quarantine(&again).await.must();
    assert!(!store.remove_quarantined(&item.id, "two").await.must(), "it was quarantined again");
    assert_eq!(store.quarantined(&item.id).await.must(), Some(again.clone()), "with the newest reason");
    store.quarantine(&item).await.must();
    assert_eq!(store.quarantined(&item.id).await.must(), Some(again), "without a mark nothing changes");

    assert!(store.mark_quarantined(&item.id, "three").await.must());
    assert!(store.remove_quarantined(&item.id, "three").await.must());
    assert!(!store.remove_quarantined(&item.id, "three").await.must(), "it is gone");
    assert_eq!(store.quarantined(&item.id).await.must(), None);
    assert!(!store.mark_quarantined(&item.id, "four").await.must());
}

/// [`ListEvents`] beside [`RecordEvents`].
pub async fn event_lists(store: &(impl ListEvents + RecordEvents), unique: &str) {
    let ids = Ids::new("event lists", unique);
    let event = |n: u32, kind: &str, dated| AccountEvent {
        owner: ids.text(0),
        kind: kind.to_owned(),
        at: at(i64::from(n)),
        hash: ids.text(n),
        dated,
        business_id: None,
        raw: Raw::Plain(format!("{{\"n\":{n}}}")),
    };
    let events = [
        event(1, "account_update:PARTNER_ADDED", true),
        event(2, "account_update:PARTNER_ADDED", true),
        event(3, "flows", false),
        event(4, "flows", false),
        event(5, "security", true),
    ];
    for event in events.iter().rev() {
        store.record_event(event).await.must();
    }
    let foreign = AccountEvent { owner: ids.text(99), ..event(6, "security", true) };
    store.record_event(&foreign).await.must();
    for limit in [1, 2, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.events_of(&ids.text(0), after.as_deref(), limit).await.must();
            assert!(page.items.len() <= limit);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort_by_key(|event| event.at);
        assert_eq!(found, events);
    }
    assert!(store.events_of(&ids.text(50), None, 10).await.must().items.is_empty());
}

/// [`DeadLetters`] of queues that nobody else uses. `bury` puts a letter on the dead-letter queue of
/// `inbound`.
pub async fn dead_letters(queues: &impl DeadLetters, mut bury: impl AsyncFnMut(Letter), unique: &str) {
    const HIDDEN: Duration = Duration::from_secs(600);
    const QUEUE: DeadQueue = DeadQueue::Inbound;
    let ids = Ids::new("dead letters", unique);
    let letters: Vec<Letter> = parcels(&ids).iter().map(Letter::from).collect();
    assert_eq!(queues.receive_dead(QUEUE, HIDDEN).await.must(), []);
    for letter in &letters {
        bury(letter.clone()).await;
    }
    let receive_all = async || {
        let mut received: Vec<DeadLetter> = Vec::new();
        loop {
            let some = queues.receive_dead(QUEUE, HIDDEN).await.must();
            assert!(some.len() <= 10);
            if some.is_empty() {
                return received;
            }
            received.extend(some);
        }
    };
    let received = receive_all().await;
    let said = |letters: &[DeadLetter]| {
        let mut said: Vec<Letter> = letters.iter().map(|dead| dead.letter.clone()).collect();
        said.sort();
        said
    };
    let mut all = letters.clone();
    all.sort();
    assert_eq!(said(&received), all, "each once, as it was");

    assert_eq!(queues.receive_dead(QUEUE, HIDDEN).await.must(), [], "they are hidden");
    queues.release_dead(QUEUE, &received).await.must();
    let again = receive_all().await;
    assert_eq!(said(&again), all, "they show again");
    let sent = |letters: &[DeadLetter]| {
        let mut sent: Vec<_> = letters.iter().map(|dead| (dead.id.clone(), dead.sent_at)).collect();
        sent.sort();
        sent
    };
    assert_eq!(sent(&received), sent(&again), "id and time stay the same");

    queues.delete_dead(QUEUE, &again).await.must();
    queues.delete_dead(QUEUE, &[]).await.must();
    queues.release_dead(QUEUE, &[]).await.must();
    assert_eq!(receive_all().await, []);
}

fn parcels(ids: &Ids) -> Vec<Parcel> {
    let body = |n: u32| Parcel {
        content: Content::Body(format!("{{\"{}\":\"é\\n\"}}", ids.text(n))),
        received_at: at(i64::from(n)),
        silent: n.is_multiple_of(3),
    };
    let header = PartHeader { name: ids.text(100), index: 1, count: 2 };
    let content = Content::Part { header, base64: "QUJD".repeat(50_000) };
    (0..12).map(body).chain([Parcel { content, ..body(12) }]).collect()
}

/// [`SendBack`]: what is put back on `inbound` is received as it was sent the first time. `received` answers
/// what arrived so far; others' parcels may be among it.
pub async fn sending_back(
    queues: &impl SendBack,
    mut received: impl AsyncFnMut() -> Vec<Parcel>,
    unique: &str,
) {
    let ids = Ids::new("sending back", unique);
    let parcels = parcels(&ids);
    let letters: Vec<Letter> = parcels.iter().map(Letter::from).collect();
    queues.send_back(FedQueue::Inbound, &[]).await.must();
    queues.send_back(FedQueue::Inbound, &letters).await.must();
    let missing = async || {
        let received = received().await;
        parcels.iter().filter(|parcel| !received.contains(parcel)).count()
    };
    eventually("letters that did not arrive", missing, |missing| *missing == 0).await;
}
