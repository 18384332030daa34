use proptest::prelude::*;
use serde_json::json;

use super::*;

fn event(state: &str, participant: Option<&str>, at: i64, price: Option<i64>) -> StatusEvent {
    let status = json!({"id": "wamid.1", "status": state, "recipient_participant_id": participant,
        "timestamp": at, "pricing": price.map(|price| json!({"price": price}))});
    let body = json!({"entry": [{"changes": [{"value": {"statuses": [status]}}]}]}).to_string();
    StatusEvent {
        wamid: "wamid.1".parse().unwrap(),
        intent: None,
        key: StatusKey { state: state.to_owned(), participant: participant.map(str::to_owned) },
        fact: StatusFact::new(Timestamp::from_second(at).unwrap(), &body),
        body,
    }
}

fn events() -> impl Strategy<Value = Vec<StatusEvent>> {
    let event = (
        prop::sample::select(vec!["sent", "delivered", "read", "played", "failed", "new"]),
        prop::option::of(prop::sample::select(vec!["1555", "1556"])),
        1..5i64,
        prop::option::of(0..2i64),
    )
        .prop_map(|(state, participant, at, price)| event(state, participant, at, price));
    prop::collection::vec(event, 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_ends_in_the_same_state(
        (events, other) in events().prop_flat_map(|events| {
            let repeated: Vec<_> = events.iter().chain(events.iter().take(4)).cloned().collect();
            (Just(events), Just(repeated).prop_shuffle())
        }),
    ) {
        let expected: Statuses = events.iter().collect();
        let state: Statuses = other.iter().collect();
        prop_assert_eq!(state.times(), expected.times());
        prop_assert_eq!((state.pricing(), state.errors()), (expected.pricing(), expected.errors()));
        prop_assert_eq!(state, expected);
    }

    #[test]
    fn what_parts_know_is_together_what_the_whole_knows(
        events in events(), parts in prop::collection::vec(0..3usize, 16),
    ) {
        let mut known: [Statuses; 3] = Default::default();
        for (event, part) in events.iter().zip(parts) {
            known[part].add(event);
        }
        let [mut all, second, third] = known;
        all.absorb(&third);
        all.absorb(&second);
        prop_assert_eq!(all, events.iter().collect::<Statuses>());
    }

    #[test]
    fn a_subset_says_nothing_that_was_not_told(events in events(), told in prop::collection::vec(any::<bool>(), 16)) {
        let subset: Vec<_> =
            events.iter().zip(told).filter(|(_, told)| *told).map(|(event, _)| event.clone()).collect();
        let state: Statuses = subset.iter().collect();
        for (key, fact) in state.iter() {
            prop_assert!(subset.iter().any(|event| event.key == *key && event.fact == *fact));
            prop_assert!(subset.iter().all(|event| event.key != *key || event.fact.at >= fact.at));
        }
        for event in &subset {
            prop_assert!(state.iter().any(|(key, _)| *key == event.key));
            prop_assert_eq!(state.body(&event.fact.hash), Some(event.body.as_str()));
        }
        prop_assert!(state.bodies().all(|(_, body)| subset.iter().any(|event| event.body == body)));
    }
}

#[test]
fn a_late_sent_does_not_undo_read() {
    let at = |s| Timestamp::from_second(s).unwrap();
    let statuses: Statuses = [event("read", None, 3, None), event("sent", None, 1, None)].iter().collect();
    assert_eq!(statuses.first("read"), Some(at(3)));
    assert_eq!(statuses.first("sent"), Some(at(1)));
    assert_eq!(statuses.first("delivered"), None);
}

#[test]
fn price_and_errors_are_read_out_of_what_meta_said() {
    let mut failed = event("failed", None, 2, None);
    failed.body = failed.body.replace("\"timestamp\"", "\"errors\":[{\"code\":131026}],\"timestamp\"");
    failed.fact = StatusFact::new(failed.fact.at, &failed.body);
    let statuses: Statuses = [failed, event("sent", None, 1, Some(7))].iter().collect();
    assert_eq!(statuses.errors(), Some(json!([{"code": 131_026}])));
    assert_eq!(statuses.pricing(), Some(json!({"price": 7})));
}

#[test]
fn facts_stay_where_bodies_have_no_room() {
    let mut statuses = Statuses::default();
    let long = |n: i64| {
        let mut event = event(&format!("s{n}"), None, n, None);
        event.body = event.body.replace("wamid.1", &"x".repeat(LONGEST_BODY - 200));
        event
    };
    for n in 1..40 {
        let event = long(n);
        let event = StatusEvent { fact: StatusFact::new(event.fact.at, &event.body), ..event };
        statuses.add(&event);
    }
    assert_eq!(statuses.times().len(), 39);
    assert!(statuses.bodies().map(|(_, body)| body.len()).sum::<usize>() <= MOST_BODIES);
    assert!(statuses.bodies().count() >= 8);
}
