use serde_json::json;

use super::{Ids, Must, at, early, eventually};
use crate::domain::Timestamp;
use crate::domain::ids::{MessageId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::meta_error::MetaError;
use crate::domain::status::{MOST_BODIES, StatusEvent, StatusFact, StatusKey, Statuses};
use crate::ports::{
    AppliedStatus, ReadMessages, RecordMessages, RecordSends, Recorded, SendOutcome, UnresolvedSends,
};

const EXPIRY: i64 = 1_000_000;

/// [`RecordSends`], as long as no status comes.
pub async fn sends(store: &(impl RecordSends + ReadMessages), unique: &str) {
    let ids = Ids::new("sends", unique);
    an_intent_is_written_once(store, &ids).await;
    each_outcome_is_recorded(store, &ids).await;
    only_an_unsent_message_is_tried_again(store, &ids).await;
    what_meta_took_stays_taken(store, &ids).await;
    what_an_older_attempt_says_is_no_news(store, &ids).await;
}

/// Also what a write does that is repeated because its answer was lost, after somebody else tried again.
async fn what_an_older_attempt_says_is_no_news(store: &(impl RecordSends + ReadMessages), ids: &Ids) {
    let intent = begun(store, ids, 12).await;
    assert_eq!(finished(store, &intent.id, at(30), &SendOutcome::NotSent).await, Sending::NotSent);
    assert!(store.retake_send(&intent.id, at(60)).await.must());
    let retaken = known(store, &intent.id).await;
    for old in [SendOutcome::NotSent, SendOutcome::Refused(refusal()), SendOutcome::Uncertain] {
        let standing = Sending::Intended { until: at(60) };
        assert_eq!(finished(store, &intent.id, at(30), &old).await, standing, "{old:?}");
        assert_eq!(known(store, &intent.id).await, retaken);
    }
    assert_eq!(finished(store, &intent.id, at(60), &SendOutcome::Uncertain).await, Sending::Uncertain);
    assert_eq!(finished(store, &intent.id, at(30), &SendOutcome::NotSent).await, Sending::Uncertain);
    assert_eq!(
        finished(store, &intent.id, at(60), &SendOutcome::NotSent).await,
        Sending::NotSent,
        "its own call"
    );
    assert!(store.retake_send(&intent.id, at(90)).await.must());
    let accepted = store.finish_send(&intent.id, at(60), &SendOutcome::Accepted(ids.wamid(12))).await.must();
    assert_eq!((accepted.sending, accepted.wamid), (Some(Sending::Accepted), Some(ids.wamid(12))), "proof");
}

async fn begun(store: &impl RecordSends, ids: &Ids, n: u32) -> Message {
    let intent = ids.outgoing(n, at(30));
    assert_eq!(store.begin_send(&intent).await.must(), Recorded::New);
    intent
}

/// The send after the attempt whose claim ends then.
async fn finished(
    store: &impl RecordSends,
    id: &MessageId,
    attempt: Timestamp,
    outcome: &SendOutcome,
) -> Sending {
    let message = store.finish_send(id, attempt, outcome).await.must();
    assert_eq!(message.id, *id);
    message.sending.expect("it is a send")
}

async fn known(store: &impl ReadMessages, id: &MessageId) -> Message {
    store.message(id).await.must().expect("it was recorded")
}

fn refusal() -> MetaError {
    MetaError {
        status: 400,
        code: 131_026,
        subcode: Some(2_494_055),
        details: "Message undeliverable".to_owned(),
        fbtrace_id: Some("A1b".to_owned()),
        is_transient: false,
    }
}

async fn an_intent_is_written_once(store: &(impl RecordSends + ReadMessages), ids: &Ids) {
    let intent = begun(store, ids, 1).await;
    assert_eq!(known(store, &intent.id).await, intent);
    let other = Message { kind: "image".to_owned(), ..intent.clone() };
    assert_eq!(store.begin_send(&other).await.must(), Recorded::Known(Box::new(intent.clone())));
    assert_eq!(known(store, &intent.id).await, intent);
    let raced = ids.outgoing(2, at(30));
    let (a, b) = tokio::join!(store.begin_send(&raced), store.begin_send(&raced));
    let news = [a.must(), b.must()].iter().filter(|r| **r == Recorded::New).count();
    assert_eq!(news, 1, "of two copies, one sends");
}

async fn each_outcome_is_recorded(store: &(impl RecordSends + ReadMessages), ids: &Ids) {
    for (n, outcome, sending) in [
        (3, SendOutcome::Accepted(ids.wamid(3)), Sending::Accepted),
        (4, SendOutcome::NotSent, Sending::NotSent),
        (5, SendOutcome::Refused(refusal()), Sending::Refused(refusal())),
        (6, SendOutcome::Uncertain, Sending::Uncertain),
    ] {
        let intent = begun(store, ids, n).await;
        let wamid = matches!(outcome, SendOutcome::Accepted(_)).then(|| ids.wamid(n));
        for _ in 0..2 {
            assert_eq!(finished(store, &intent.id, at(30), &outcome).await, sending);
            let expected = Message { wamid: wamid.clone(), sending: Some(sending.clone()), ..intent.clone() };
            assert_eq!(known(store, &intent.id).await, expected, "also when repeated");
        }
    }
}

async fn only_an_unsent_message_is_tried_again(store: &(impl RecordSends + ReadMessages), ids: &Ids) {
    assert!(!store.retake_send(&ids.intent(99), at(60)).await.must(), "unknown");
    assert_eq!(store.message(&ids.intent(99)).await.must(), None);
    let intent = begun(store, ids, 7).await;
    assert!(!store.retake_send(&intent.id, at(60)).await.must(), "intended, even if its claim ran out");
    finished(store, &intent.id, at(30), &SendOutcome::NotSent).await;
    let (a, b) = tokio::join!(store.retake_send(&intent.id, at(60)), store.retake_send(&intent.id, at(60)));
    assert_eq!([a.must(), b.must()].map(usize::from).iter().sum::<usize>(), 1, "of two copies, one tries");
    let retaken = Message { sending: Some(Sending::Intended { until: at(60) }), ..intent.clone() };
    assert_eq!(known(store, &intent.id).await, retaken);
    for (n, outcome) in [
        (8, SendOutcome::Accepted(ids.wamid(8))),
        (9, SendOutcome::Refused(refusal())),
        (10, SendOutcome::Uncertain),
    ] {
        let intent = begun(store, ids, n).await;
        let sending = finished(store, &intent.id, at(30), &outcome).await;
        assert!(!store.retake_send(&intent.id, at(60)).await.must(), "{outcome:?}");
        assert_eq!(known(store, &intent.id).await.sending, Some(sending));
    }
}

async fn what_meta_took_stays_taken(store: &(impl RecordSends + ReadMessages), ids: &Ids) {
    let intent = begun(store, ids, 11).await;
    finished(store, &intent.id, at(30), &SendOutcome::Uncertain).await;
    let accepted = SendOutcome::Accepted(ids.wamid(11));
    assert_eq!(finished(store, &intent.id, at(30), &accepted).await, Sending::Accepted, "a late answer");
    for late in [SendOutcome::Uncertain, SendOutcome::NotSent, SendOutcome::Refused(refusal())] {
        assert_eq!(finished(store, &intent.id, at(30), &late).await, Sending::Accepted, "{late:?}");
        let message = known(store, &intent.id).await;
        assert_eq!((message.sending, message.wamid), (Some(Sending::Accepted), Some(ids.wamid(11))));
    }
}

/// [`UnresolvedSends`]. Beside other data: only ids of this run are looked at in the list.
pub async fn unresolved_sends(
    store: &(impl RecordSends + RecordMessages + ReadMessages + UnresolvedSends),
    unique: &str,
) {
    let ids = Ids::new("unresolved", unique);
    // Their claims all end at `early(30)`, long before anything that other tests intend.
    for n in 1..=6 {
        let sending = Some(Sending::Intended { until: early(30 + i64::from(n)) });
        store.begin_send(&Message { sending, ..ids.outgoing(n, early(0)) }).await.must();
    }
    finished(store, &ids.intent(2), early(32), &SendOutcome::Uncertain).await;
    finished(store, &ids.intent(3), early(33), &SendOutcome::Accepted(ids.wamid(3))).await;
    finished(store, &ids.intent(4), early(34), &SendOutcome::Refused(refusal())).await;
    finished(store, &ids.intent(5), early(35), &SendOutcome::NotSent).await;
    let told = Told { store, ids: &ids };
    told.tell(6, News::Sent).await;
    let listed = async || {
        let open = store.unresolved_sends(early(100), 100).await.must();
        open.into_iter().filter(|id| (1..=6).any(|n| *id == ids.intent(n))).collect::<Vec<_>>()
    };
    let open = [1, 2].map(|n| ids.intent(n));
    eventually("open sends are listed, the oldest claim first", listed, |found| *found == open).await;
    assert!(store.retake_send(&ids.intent(5), early(90)).await.must());
    let open = [1, 2, 5].map(|n| ids.intent(n));
    eventually("a send that is tried again is open again", listed, |found| *found == open).await;
    for n in [1, 2] {
        assert!(!store.give_up_send(&ids.intent(n), early(20)).await.must(), "its claim is newer");
        for _ in 0..2 {
            assert!(store.give_up_send(&ids.intent(n), early(80)).await.must(), "also when repeated");
            assert_eq!(known(store, &ids.intent(n)).await.sending, Some(Sending::Uncertain));
        }
    }
    for n in [3, 4, 5, 6, 99] {
        let before = store.message(&ids.intent(n)).await.must();
        assert!(!store.give_up_send(&ids.intent(n), early(80)).await.must(), "{n}: known, newer or unknown");
        assert_eq!(store.message(&ids.intent(n)).await.must(), before);
    }
    let open = [ids.intent(5)];
    eventually("what was given up is not listed", listed, |found| *found == open).await;
    finished(store, &ids.intent(5), early(90), &SendOutcome::NotSent).await;
    // Late, but proof.
    told.tell(1, News::Sent).await;
    assert_eq!(known(store, &ids.intent(1)).await.sending, Some(Sending::Accepted));
}

/// [`RecordMessages::apply_status`], together with [`RecordSends`]: any order, repetition and subset of
/// what is known of a message ends in the same state.
pub async fn statuses(store: &(impl RecordMessages + RecordSends + ReadMessages), unique: &str) {
    let ids = Ids::new("statuses", unique);
    let told = Told { store, ids: &ids };
    told.any_order_ends_the_same().await;
    told.without_the_calls_answer_it_ends_the_same().await;
    told.a_status_proves_that_meta_took_it().await;
    told.another_numbers_intent_is_not_touched().await;
    told.the_earliest_of_a_state_is_kept().await;
    told.what_waited_comes_along_in_full().await;
    told.what_has_no_room_is_told_by_its_facts().await;
}

struct Told<'a, S> {
    store: &'a S,
    ids: &'a Ids,
}

/// Something that we learn of a send.
#[derive(Debug, Clone, Copy, PartialEq)]
enum News {
    Finished,
    Sent,
    DeliveredWithoutIntent,
    Read,
}

const NEWS: [News; 4] = [News::Finished, News::Sent, News::DeliveredWithoutIntent, News::Read];

/// A status of `seconds` as a webhook body, with more than facts in it.
fn event(wamid: Wamid, intent: Option<MessageId>, key: StatusKey, seconds: i64, price: &str) -> StatusEvent {
    let status = json!({"id": wamid, "status": key.state, "recipient_participant_id": key.participant,
        "timestamp": seconds, "pricing": {"billable": true, "category": price}, "new": {"\u{e4}": [1.50, null]}});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"changes": [{"field": "messages", "value": {"statuses": [status]}}]}]})
    .to_string();
    StatusEvent { wamid, intent, key, fact: StatusFact::new(at(seconds), &body), body }
}

fn state(name: &str) -> StatusKey {
    StatusKey { state: name.to_owned(), participant: None }
}

impl<S: RecordMessages + RecordSends + ReadMessages> Told<'_, S> {
    fn status(&self, n: u32, with_intent: bool, name: &str, seconds: i64) -> StatusEvent {
        let intent = with_intent.then(|| self.ids.intent(n));
        event(self.ids.wamid(n), intent, state(name), seconds, "service")
    }

    /// Applies a status that there is room for.
    async fn apply(&self, status: &StatusEvent) -> Option<Message> {
        let applied = self.store.apply_status(&self.ids.phone(0), status, Some(at(EXPIRY))).await.must();
        assert!(applied.body_kept, "{:?}", status.key);
        applied.message
    }

    /// What is known once all this was told of message `n`.
    fn statuses_of<const N: usize>(&self, n: u32, states: [(&str, i64); N]) -> Statuses {
        let known = states.map(|(name, seconds)| self.status(n, false, name, seconds));
        known.iter().collect()
    }

    async fn tell(&self, n: u32, news: News) {
        let status = match news {
            News::Finished => {
                let outcome = SendOutcome::Accepted(self.ids.wamid(n));
                let sending = finished(self.store, &self.ids.intent(n), at(30), &outcome).await;
                assert_eq!(sending, Sending::Accepted);
                return;
            }
            News::Sent => self.status(n, true, "sent", 1),
            News::DeliveredWithoutIntent => self.status(n, false, "delivered", 2),
            News::Read => self.status(n, true, "read", 3),
        };
        let answered = self.apply(&status).await;
        if status.intent.is_some() {
            let message = answered.expect("its intent is known");
            assert!(message.statuses.iter().any(|(key, _)| *key == status.key), "as it then stands");
        }
    }

    /// The message after all the statuses of [`NEWS`].
    fn settled(&self, intent: Message, n: u32) -> Message {
        Message {
            wamid: Some(self.ids.wamid(n)),
            sending: Some(Sending::Accepted),
            statuses: self.statuses_of(n, [("sent", 1), ("delivered", 2), ("read", 3)]),
            ..intent
        }
    }

    async fn any_order_ends_the_same(&self) {
        for (n, order) in (100..).zip(permutations(&NEWS)) {
            let intent = begun(self.store, self.ids, n).await;
            for news in &order {
                self.tell(n, *news).await;
            }
            let expected = self.settled(intent.clone(), n);
            assert_eq!(known(self.store, &intent.id).await, expected, "after {order:?}");
            self.tell(n, order[0]).await;
            assert_eq!(known(self.store, &intent.id).await, expected, "a redelivery changes nothing");
        }
    }

    async fn without_the_calls_answer_it_ends_the_same(&self) {
        let rest = NEWS.into_iter().filter(|news| *news != News::Finished).collect::<Vec<_>>();
        for (n, order) in (200..).zip(permutations(&rest)) {
            let intent = begun(self.store, self.ids, n).await;
            for news in &order {
                self.tell(n, *news).await;
            }
            let expected = self.settled(intent.clone(), n);
            assert_eq!(known(self.store, &intent.id).await, expected, "after {order:?}");
        }
    }

    async fn a_status_proves_that_meta_took_it(&self) {
        for (n, before) in
            [(300, None), (301, Some(SendOutcome::NotSent)), (302, Some(SendOutcome::Uncertain))]
        {
            let intent = begun(self.store, self.ids, n).await;
            if let Some(outcome) = &before {
                finished(self.store, &intent.id, at(30), outcome).await;
            }
            let message = self.apply(&self.status(n, true, "failed", 1)).await.expect("its intent is known");
            assert_eq!(message.sending, Some(Sending::Accepted), "after {before:?}");
            assert_eq!(message.wamid, Some(self.ids.wamid(n)));
            assert_eq!(known(self.store, &intent.id).await, message);
            let late = before.unwrap_or(SendOutcome::Uncertain);
            assert_eq!(finished(self.store, &intent.id, at(30), &late).await, Sending::Accepted);
        }
        let by_wamid: Wamid = self.ids.wamid(310);
        let begun = begun(self.store, self.ids, 310).await;
        let waiting = self.status(310, false, "sent", 1);
        assert_eq!(self.apply(&waiting).await, None, "no message is known by this wamid yet");
        finished(self.store, &begun.id, at(30), &SendOutcome::Accepted(by_wamid)).await;
        assert_eq!(
            known(self.store, &begun.id).await.statuses,
            self.statuses_of(310, [("sent", 1)]),
            "it waited"
        );
        let message = self.apply(&self.status(310, false, "read", 3)).await.expect("now it is");
        assert_eq!(message.statuses, self.statuses_of(310, [("sent", 1), ("read", 3)]));
    }

    async fn another_numbers_intent_is_not_touched(&self) {
        let intent = begun(self.store, self.ids, 320).await;
        let status = self.status(320, true, "sent", 1);
        let applied = self.store.apply_status(&self.ids.phone(1), &status, Some(at(EXPIRY))).await.must();
        assert_eq!(applied, AppliedStatus { message: None, body_kept: true });
        assert_eq!(known(self.store, &intent.id).await, intent);
        let unknown = self.status(321, true, "sent", 1);
        assert_eq!(self.apply(&unknown).await, None, "nobody's intent");
        assert_eq!(self.store.message(&self.ids.intent(321)).await.must(), None);
    }

    async fn the_earliest_of_a_state_is_kept(&self) {
        let intent = begun(self.store, self.ids, 330).await;
        let of = |key: StatusKey, with_intent: bool, seconds, price: &str| {
            let intent = with_intent.then(|| self.ids.intent(330));
            event(self.ids.wamid(330), intent, key, seconds, price)
        };
        let group = |name: &str, participant: &str| StatusKey {
            state: name.to_owned(),
            participant: Some(participant.to_owned()),
        };
        let told = [
            of(state("sent"), true, 5, "none"),
            of(state("sent"), false, 4, "utility"),
            of(state("sent"), true, 4, "marketing"),
            of(state("sent"), true, 6, "none"),
            of(group("read", "15550100124"), true, 7, "none"),
            of(group("read", "US.ab#c"), true, 9, "none"),
            of(group("read", "US.ab#c"), true, 8, "none"),
            of(state("read"), true, 9, "none"),
            of(state("payment.captured"), true, 9, "none"),
        ];
        for status in told.iter().chain(&told) {
            self.apply(status).await;
        }
        let known = known(self.store, &intent.id).await;
        assert_eq!(
            known.statuses,
            told.iter().collect(),
            "of every fact the earliest, and all that was said"
        );
        assert_eq!(known.statuses.bodies().count(), told.len());
    }

    /// Statuses that wait for their message do so in full, too.
    async fn what_waited_comes_along_in_full(&self) {
        let intent = begun(self.store, self.ids, 340).await;
        let told = [
            self.status(340, false, "sent", 2),
            self.status(340, false, "sent", 1),
            self.status(340, false, "sent", 3),
            self.status(340, false, "read", 3),
        ];
        for status in &told {
            assert_eq!(self.apply(status).await, None);
        }
        let outcome = SendOutcome::Accepted(self.ids.wamid(340));
        finished(self.store, &intent.id, at(30), &outcome).await;
        assert_eq!(known(self.store, &intent.id).await.statuses, told.iter().collect());
    }

    /// Many or large statuses do not make the item burst: their facts stay, and it is said that they do not.
    async fn what_has_no_room_is_told_by_its_facts(&self) {
        let intent = begun(self.store, self.ids, 350).await;
        for with_intent in [true, false] {
            let n = if with_intent { 350 } else { 351 };
            let (mut kept, mut told) = (0, 0);
            for seconds in 1..=14 {
                let mut status = self.status(n, with_intent, &format!("s{seconds}"), seconds);
                status.body.push_str(&" ".repeat(7000));
                status.fact = StatusFact::new(status.fact.at, &status.body);
                for _ in 0..2 {
                    let applied =
                        self.store.apply_status(&self.ids.phone(0), &status, Some(at(EXPIRY))).await.must();
                    kept += usize::from(applied.body_kept);
                    told += usize::from(applied.message.is_some());
                }
            }
            assert!((14..=2 * MOST_BODIES / 7000).contains(&kept), "{kept}, the same when repeated");
            assert_eq!(told, if with_intent { 28 } else { 0 });
        }
        let mut large = self.status(350, true, "large", 20);
        large.body.push_str(&" ".repeat(10_000));
        let applied = self.store.apply_status(&self.ids.phone(0), &large, Some(at(EXPIRY))).await.must();
        assert!(!applied.body_kept);
        let known = known(self.store, &intent.id).await.statuses;
        assert_eq!(known.times().len(), 15);
        assert!(known.bodies().map(|(_, body)| body.len()).sum::<usize>() <= MOST_BODIES);
    }
}

fn permutations(news: &[News]) -> Vec<Vec<News>> {
    if news.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |index: usize| {
        let mut rest = news.to_vec();
        let first = rest.remove(index);
        permutations(&rest).into_iter().map(move |tail| [vec![first], tail].concat())
    };
    (0..news.len()).flat_map(with_first).collect()
}
