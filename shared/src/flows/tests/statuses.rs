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

/// An answer was sent, its call's answer was lost, and these statuses come in this order, each in a
/// webhook of its own or all in one.
async fn after(order: &[usize], together: bool) -> (Statuses, Option<Sending>, Option<Answer>) {
    let world = World::new();
    let process = Process::default();
    let (phone, sent) = uncertain_answer(&world, &process).await;
    let phone = &phone;
    let statuses: Vec<_> = order.iter().map(|index| status(&world, &sent, STATES[*index])).collect();
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
    (answer.statuses, answer.sending, question.answer)
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
        mut order in prop::collection::vec(0..STATES.len(), 1..8), together in any::<bool>(), seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let expected = runtime.block_on(after(&order, false));
        prop_assert_eq!(&expected.1, &Some(Sending::Accepted));
        prop_assert!(matches!(expected.2, Some(Answer::Answered(_))));
        let turn = usize::try_from(seed % order.len() as u64).unwrap();
        order.rotate_left(turn);
        order.push(order[0]);
        prop_assert_eq!(runtime.block_on(after(&order, together)), expected);
    }
}
