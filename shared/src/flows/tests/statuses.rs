//! P7: the state of a message is right for any order, repetition and subset of its statuses.

use proptest::prelude::*;
use serde_json::json;

use crate::domain::answer::{Answer, NoAnswer, Nudge};
use crate::domain::ids::PhoneNumberId;
use crate::domain::message::Sending;
use crate::domain::status::Statuses;
use crate::domain::webhook::pieces;
use crate::flows::testing::{Process, bot, message, parcel, status, text, until_due, webhook};
use crate::ports::{Clock, RecordMessages};
use crate::testing::{Fault, SentMessage, World};

const STATES: [&str; 4] = ["sent", "delivered", "read", "failed"];

/// An answer to `wamid.Q` that Meta has taken, without our knowing: its number, and what Meta has.
async fn uncertain_answer(world: &World, process: &Process) -> (PhoneNumberId, SentMessage) {
    let (client, _) = world.active_client(&bot(), 1).await;
    let phone = client.phone_number_id;
    let question = webhook(&phone, json!({"messages": [text(world, "wamid.Q", "Hello")]}));
    process.ingest(world).parcel(&parcel(world, question)).await.unwrap();
    world.steps.fault_next("send", Fault::FailAfter);
    let nudge = Nudge { message_id: "wamid.Q".parse().unwrap() };
    until_due(world, &nudge.message_id);
    process.reply(world).nudge(&nudge).await.unwrap();
    (phone, world.graph.sent().remove(0))
}

/// A status: which state, and how many seconds after the call.
type Told = (usize, i64);

/// An answer was sent, its call's answer was lost, and these statuses come in this order, each in a
/// webhook of its own or all in one. Answers, too, what they say together.
async fn after(order: &[Told], together: bool) -> (Statuses, Option<Sending>, Option<Answer>, Statuses) {
    let world = World::new();
    let process = Process::default();
    let (phone, sent) = uncertain_answer(&world, &process).await;
    let phone = &phone;
    let told = |(state, seconds): &Told| {
        let mut status = status(&world, &sent, STATES[*state]);
        status["timestamp"] = (world.clock.now().as_second() + seconds).to_string().into();
        status
    };
    let statuses: Vec<_> = order.iter().map(told).collect();
    let said = webhook(phone, json!({ "statuses": statuses }));
    let said = pieces(&said).unwrap();
    let said = said.iter().map(|piece| piece.status(world.clock.now()).unwrap().event);
    let said: Statuses = said.collect::<Vec<_>>().iter().collect();
    if together {
        let body = webhook(phone, json!({ "statuses": statuses }));
        process.ingest(&world).parcel(&parcel(&world, body)).await.unwrap();
    } else {
        for status in statuses {
            let body = webhook(phone, json!({ "statuses": [status] }));
            process.ingest(&world).parcel(&parcel(&world, body)).await.unwrap();
        }
    }
    let question = message(&world, "wamid.Q");
    let id = crate::domain::ids::MessageId::answer_to(&question.id);
    let answer = message(&world, id.as_ref());
    (answer.statuses, answer.sending, question.answer, said)
}

/// Also what two statuses that are recorded at once look like: neither is the first.
#[tokio::test]
async fn a_status_that_was_recorded_and_no_more_leaves_the_proof_to_the_next() {
    let world = World::new();
    let process = Process::default();
    let (phone, sent) = uncertain_answer(&world, &process).await;
    let body = |state| webhook(&phone, json!({"statuses": [status(&world, &sent, state)]}));
    let first = body("sent");
    let first = pieces(&first).unwrap()[0].status(world.clock.now()).unwrap();
    world.store.apply_status(&phone, &first.event, None).await.unwrap();
    let unsettled = message(&world, "wamid.Q").answer;
    assert!(matches!(unsettled, Some(Answer::None(NoAnswer::SendUncertain, Some(_)))), "{unsettled:?}");
    process.ingest(&world).parcel(&parcel(&world, body("delivered"))).await.unwrap();
    assert!(matches!(message(&world, "wamid.Q").answer, Some(Answer::Answered(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn statuses_in_any_order_end_equal_and_resolve_what_was_uncertain(
        (order, other) in prop::collection::vec((0..STATES.len(), 0..3i64), 1..8).prop_flat_map(|order| {
            let again = [order.as_slice(), &order[..order.len().min(3)]].concat();
            (Just(order), Just(again).prop_shuffle())
        }),
        together in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = runtime.block_on(after(&order, false));
        prop_assert_eq!(&expected.0, &expected.3, "no more and no less than what was said");
        prop_assert_eq!(&expected.1, &Some(Sending::Accepted));
        prop_assert!(matches!(expected.2, Some(Answer::Answered(_))));
        prop_assert_eq!(runtime.block_on(after(&other, together)), expected);
    }
}
