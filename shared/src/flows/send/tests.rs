//! One test for each rule of sending once.

use std::task::{Context, Waker};

use serde_json::json;

use super::*;
use crate::domain::conversation::{CustomerKey, CustomerNames};
use crate::domain::ids::ConversationId;
use crate::domain::message::Origin;
use crate::domain::raw::Raw;
use crate::domain::status::Statuses;
use crate::flows::testing::{
    CUSTOMER, PAST_ALL_CLAIMS, Process, bot, message, parcel, status, text_sent, webhook,
};
use crate::ports::ReadConversations;
use crate::testing::{Fault, GraphFault, World, refusal};

const ID: &str = "msg_0123456789abcdef0123456789abcdef";

fn recipient() -> Recipient {
    Recipient::Person(CustomerNames { wa_id: Some(CUSTOMER.parse().unwrap()), ..CustomerNames::default() })
}

/// A world with a client, and a process that sends for it.
struct Desk {
    world: World,
    process: Process,
    client: Client,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        Self { world, process: Process::default(), client }
    }

    fn intent(&self, body: &str) -> Message {
        let now = self.world.clock.now();
        let phone = self.client.phone_number_id.clone();
        let customer = CustomerNames { wa_id: Some(CUSTOMER.parse().unwrap()), ..CustomerNames::default() };
        Message {
            id: ID.parse().unwrap(),
            wamid: None,
            origin: Origin::Api,
            bot_id: Some(bot()),
            conversation_id: ConversationId::new(
                &phone,
                &CustomerKey::try_from(CUSTOMER.to_owned()).unwrap(),
            ),
            phone_number_id: phone,
            customer,
            kind: "text".to_owned(),
            at: now,
            recorded_at: now,
            raw: Raw::Plain(json!({"type": "text", "text": {"body": body}}).to_string()),
            reply_to: None,
            answer: None,
            sending: Some(self.process.sender(&self.world).intended()),
            why: None,
            statuses: Statuses::default(),
            expires_at: None,
        }
    }

    async fn deliver(&self, intent: &Message) -> Result<Delivery, StoreError> {
        self.process.sender(&self.world).deliver(&self.client, intent, &recipient()).await
    }

    fn sends(&self) -> usize {
        self.world.graph.calls("send")
    }

    fn sending(&self) -> Option<Sending> {
        message(&self.world, ID).sending
    }
}

#[tokio::test]
async fn delivered_twice_is_sent_once_and_both_times_accepted() {
    let it = Desk::new().await;
    let first = it.deliver(&it.intent("Hi")).await.unwrap();
    it.world.clock.advance(Duration::from_secs(1));
    let second = it.deliver(&it.intent("Hi")).await.unwrap();
    let wamid = it.world.graph.sent()[0].wamid.clone();
    assert!(matches!(first, Delivery::Accepted(Some(known)) if known == wamid));
    assert!(matches!(second, Delivery::Accepted(Some(known)) if known == wamid));
    assert_eq!(it.sends(), 1);
    assert_eq!(it.world.graph.sent()[0].message["biz_opaque_callback_data"], ID);
}

#[tokio::test]
async fn what_was_not_sent_is_sent_again_with_the_text_that_was_recorded() {
    let it = Desk::new().await;
    for fault in [GraphFault::NotSent, GraphFault::Refused(refusal(500, 131_000, "Something went wrong"))] {
        it.world.graph.fail_next("send", fault);
        assert!(matches!(it.deliver(&it.intent("First")).await.unwrap(), Delivery::NotSent { .. }));
        assert_eq!(it.sending(), Some(Sending::NotSent));
        it.world.clock.advance(Duration::from_secs(1));
    }
    assert!(matches!(it.deliver(&it.intent("Second")).await.unwrap(), Delivery::Accepted(_)));
    let sent = it.world.graph.sent();
    assert_eq!((sent.len(), text_sent(&sent[0])), (1, "First"));
}

#[tokio::test]
async fn an_intent_whose_claim_ran_out_becomes_uncertain_and_is_never_sent() {
    let it = Desk::new().await;
    it.world.steps.fault_next("send", Fault::CrashBefore);
    assert!(it.deliver(&it.intent("Hi")).await.is_err());
    it.world.steps.restart();
    it.world.clock.advance(Duration::from_secs(1));
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::InProgress(_)));
    it.world.clock.advance(PAST_ALL_CLAIMS);
    for _ in 0..2 {
        assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Uncertain));
    }
    assert_eq!((it.sending(), it.sends()), (Some(Sending::Uncertain), 0));
}

#[tokio::test]
async fn a_lost_answer_of_metas_is_uncertain_until_a_status_brings_our_id_back() {
    let it = Desk::new().await;
    it.world.graph.fail_next("send", GraphFault::UnclearAfter);
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Uncertain));
    let sent = it.world.graph.sent().remove(0);
    let body = webhook(&it.client.phone_number_id, json!({"statuses": [status(&it.world, &sent, "sent")]}));
    it.process.ingest(&it.world).parcel(&parcel(&it.world, body)).await.unwrap();
    let known = message(&it.world, ID);
    assert_eq!((known.sending, known.wamid), (Some(Sending::Accepted), Some(sent.wamid)));
    it.world.clock.advance(PAST_ALL_CLAIMS);
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Accepted(Some(_))));
    assert_eq!(it.sends(), 1);
}

#[tokio::test]
async fn our_own_write_repeated_because_its_answer_was_lost_is_still_sent_once() {
    let it = Desk::new().await;
    let intent = it.intent("Hi");
    it.world.store.with(|t| t.messages.insert(intent.id.clone(), intent.clone()));
    assert!(matches!(it.deliver(&intent).await.unwrap(), Delivery::Accepted(_)));
    assert!(matches!(it.deliver(&intent).await.unwrap(), Delivery::Accepted(_)));
    assert_eq!(it.sends(), 1);
}

#[tokio::test]
async fn what_meta_refuses_for_good_stays_refused_without_a_second_call() {
    let it = Desk::new().await;
    it.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_026, "Message undeliverable")));
    for _ in 0..2 {
        let delivery = it.deliver(&it.intent("Hi")).await.unwrap();
        assert!(matches!(delivery, Delivery::Refused(error) if error.code == 131_026));
        it.world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(it.sends(), 1);
}

#[tokio::test]
async fn what_meta_says_of_the_recipient_is_remembered_and_a_lost_mark_changes_nothing_else() {
    for (code, unreachable, refuses) in
        [(131_026, true, false), (131_050, false, true), (131_049, false, false)]
    {
        let it = Desk::new().await;
        it.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "Not to this customer")));
        it.deliver(&it.intent("Hi")).await.unwrap();
        let known = it.world.store.conversation(&it.intent("Hi").conversation_id).await.unwrap();
        let told = known.map(|known| (known.is_unreachable(), known.marks.refuses_marketing()));
        assert_eq!(told, (unreachable || refuses).then_some((unreachable, refuses)), "{code}");
    }
    let it = Desk::new().await;
    it.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_026, "Undeliverable")));
    it.world.steps.fault_next("mark_recipient", Fault::FailBefore);
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Refused(_)));
}

#[tokio::test]
async fn a_client_without_a_grant_has_no_token_and_nothing_is_intended() {
    let it = Desk::new().await;
    it.world.store.with(|t| t.grants.clear());
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::NoToken(_)));
    assert_eq!((it.sends(), it.world.store.with(|t| t.messages.len())), (0, 0));
}

#[tokio::test]
async fn the_token_is_opened_once_and_again_after_meta_did_not_accept_it() {
    let it = Desk::new().await;
    let opened = || it.world.steps.log().iter().filter(|step| **step == "open").count();
    let next = |id: &str| Message { id: id.parse().unwrap(), ..it.intent("Hi") };
    it.deliver(&next("msg_1")).await.unwrap();
    it.deliver(&next("msg_2")).await.unwrap();
    assert_eq!(opened(), 1);
    it.world.graph.fail_next("send", GraphFault::Refused(refusal(401, 190, "Access token has expired")));
    assert!(matches!(it.deliver(&next("msg_3")).await.unwrap(), Delivery::NotSent { .. }));
    it.deliver(&next("msg_4")).await.unwrap();
    assert_eq!(opened(), 2);
}

mod limits;
mod receipts;
mod stops;

#[tokio::test]
async fn of_two_who_try_again_at_once_one_sends() {
    let it = Desk::new().await;
    it.world.graph.fail_next("send", GraphFault::NotSent);
    it.deliver(&it.intent("Hi")).await.unwrap();
    it.world.clock.advance(PAST_ALL_CLAIMS);
    let (known, one, two) = (message(&it.world, ID), Process::default(), Process::default());
    let to = recipient();
    let (one, two) = (one.sender(&it.world), two.sender(&it.world));
    let (left, right) =
        tokio::join!(one.resume(&it.client, &known, &to), two.resume(&it.client, &known, &to));
    let ends = [left.unwrap(), right.unwrap()];
    assert!(ends.iter().any(|end| matches!(end, Delivery::Accepted(_))), "{ends:?}");
    assert!(ends.iter().any(|end| matches!(end, Delivery::InProgress(_))), "{ends:?}");
    assert_eq!(it.world.graph.sent().len(), 1);
}

#[tokio::test]
async fn a_status_proves_more_than_a_call_that_was_not_made() {
    let it = Desk::new().await;
    it.world.graph.fail_next("send", GraphFault::NotSent);
    let intent = it.intent("Hi");
    let mut delivering = std::pin::pin!(it.deliver(&intent));
    while it.world.steps.log().last() != Some(&"send") {
        assert!(delivering.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    it.world.store.with(|t| t.messages.get_mut(&intent.id).unwrap().sending = Some(Sending::Accepted));
    assert!(matches!(delivering.await.unwrap(), Delivery::Accepted(_)));
    assert_eq!(it.sending(), Some(Sending::Accepted));
}
