use super::{Ids, Must, at, early, eventually};
use crate::domain::answer::{Answer, NoAnswer};
use crate::domain::message::Message;
use crate::ports::{Answers, ReadMessages, RecordMessages};

/// [`Answers`]. Beside other data: only ids of this run are looked at in the list of what is due.
pub async fn answers(store: &(impl RecordMessages + ReadMessages + Answers), unique: &str) {
    let ids = Ids::new("answers", unique);
    a_pending_answer_ends_once(store, &ids).await;
    an_uncertain_answer_is_resolved_by_its_send_only(store, &ids).await;
    where_no_answer_is_pending_nothing_happens(store, &ids).await;
    a_postponed_answer_is_due_later_and_counts_the_try(store, &ids).await;
    due_answers_are_listed_until_they_end(store, &ids).await;
}

async fn record(store: &impl RecordMessages, ids: &Ids, n: u32, answer: Option<Answer>) -> Message {
    let message = Message { answer, ..ids.incoming(n, at(0)) };
    store.record_message(&message).await.must();
    message
}

fn pending(seconds: i64) -> Option<Answer> {
    Some(Answer::Pending { due_at: early(seconds), attempts: 0 })
}

async fn answer_of(store: &impl ReadMessages, message: &Message) -> Option<Answer> {
    store.message(&message.id).await.must().expect("it was recorded").answer
}

async fn a_pending_answer_ends_once(store: &(impl RecordMessages + ReadMessages + Answers), ids: &Ids) {
    let ends = [
        Answer::Answered(ids.intent(1)),
        Answer::None(NoAnswer::Superseded, None),
        Answer::None(NoAnswer::RefusedByMeta, Some(ids.intent(2))),
    ];
    for (n, end) in (1..).zip(&ends) {
        let message = record(store, ids, n, pending(9_000_000)).await;
        assert!(store.settle_answer(&message.id, end).await.must());
        let settled = Message { answer: Some(end.clone()), ..message.clone() };
        assert_eq!(store.message(&message.id).await.must(), Some(settled), "nothing else changes");
        for other in &ends {
            let same = other == end;
            assert_eq!(store.settle_answer(&message.id, other).await.must(), same, "{end:?} then {other:?}");
            assert_eq!(answer_of(store, &message).await.as_ref(), Some(end));
        }
    }
    let raced = record(store, ids, 9, pending(9_000_000)).await;
    let (a, b) =
        tokio::join!(store.settle_answer(&raced.id, &ends[0]), store.settle_answer(&raced.id, &ends[1]));
    assert_eq!([a.must(), b.must()].map(usize::from).iter().sum::<usize>(), 1, "of two, one ends it");
}

async fn an_uncertain_answer_is_resolved_by_its_send_only(
    store: &(impl RecordMessages + ReadMessages + Answers),
    ids: &Ids,
) {
    let message = record(store, ids, 10, pending(9_000_000)).await;
    let uncertain = Answer::None(NoAnswer::SendUncertain, Some(ids.intent(3)));
    assert!(store.settle_answer(&message.id, &uncertain).await.must());
    let other = Answer::None(NoAnswer::GivenUp, None);
    assert!(!store.settle_answer(&message.id, &other).await.must());
    assert_eq!(answer_of(store, &message).await, Some(uncertain.clone()));
    let answered = Answer::Answered(ids.intent(3));
    assert!(store.settle_answer(&message.id, &answered).await.must());
    assert!(!store.settle_answer(&message.id, &uncertain).await.must());
    assert_eq!(answer_of(store, &message).await, Some(answered));
}

async fn where_no_answer_is_pending_nothing_happens(
    store: &(impl RecordMessages + ReadMessages + Answers),
    ids: &Ids,
) {
    let unknown = ids.incoming(20, at(0));
    assert!(!store.settle_answer(&unknown.id, &Answer::Answered(ids.intent(1))).await.must());
    store.postpone_answer(&unknown.id, at(5)).await.must();
    assert_eq!(store.message(&unknown.id).await.must(), None);
    for (n, answer) in [(21, None), (22, Some(Answer::None(NoAnswer::Type, None)))] {
        let message = record(store, ids, n, answer).await;
        assert!(!store.settle_answer(&message.id, &Answer::Answered(ids.intent(1))).await.must());
        store.postpone_answer(&message.id, at(5)).await.must();
        assert_eq!(store.message(&message.id).await.must(), Some(message));
    }
}

async fn a_postponed_answer_is_due_later_and_counts_the_try(
    store: &(impl RecordMessages + ReadMessages + Answers),
    ids: &Ids,
) {
    let message = record(store, ids, 30, pending(9_000_000)).await;
    for attempts in 1..=2 {
        let due_at = at(i64::from(attempts) * 10);
        store.postpone_answer(&message.id, due_at).await.must();
        assert_eq!(answer_of(store, &message).await, Some(Answer::Pending { due_at, attempts }));
    }
    assert!(store.settle_answer(&message.id, &Answer::Answered(ids.intent(1))).await.must());
}

async fn due_answers_are_listed_until_they_end(
    store: &(impl RecordMessages + ReadMessages + Answers),
    ids: &Ids,
) {
    for (n, answer) in [
        (41, pending(3000)),
        (42, pending(1000)),
        (43, pending(2000)),
        (44, pending(9_000_000)),
        (45, Some(Answer::None(NoAnswer::Type, None))),
        (46, None),
    ] {
        record(store, ids, n, answer).await;
    }
    let ours: Vec<_> = (41..=46).map(|n| ids.wamid(n)).collect();
    let due = async || {
        let due = store.due_answers(early(5000), 100).await.must();
        due.into_iter().filter(|id| ours.contains(id)).collect::<Vec<_>>()
    };
    let listed = eventually("due answers", due, |due| due.len() == 3).await;
    assert_eq!(listed, [42, 43, 41].map(|n| ids.wamid(n)), "the longest due first");
    assert_eq!(store.due_answers(early(5000), 1).await.must().len(), 1);
    store.postpone_answer(&ids.wamid(42), early(4000)).await.must();
    store.postpone_answer(&ids.wamid(43), early(8000)).await.must();
    let moved = [41, 42].map(|n| ids.wamid(n));
    eventually("postponed answers move", due, |due| *due == moved).await;
    for n in [41, 42, 43, 44] {
        let end = Answer::None(NoAnswer::GivenUp, None);
        assert!(store.settle_answer(&ids.wamid(n), &end).await.must());
    }
    eventually("ended answers are not due", due, Vec::is_empty).await;
}
