//! P1 and P2: everything in a webhook that was answered 200 is recorded, and each customer's message
//! gets at most one answer, and exactly one unless a named reason says none, whichever call goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde_json::json;
use sha2::Sha256;

use crate::domain::answer::{Answer, NoAnswer, Nudge};
use crate::domain::ids::{MessageId, PhoneNumberId};
use crate::domain::message::Sending;
use crate::domain::parcel::Parcel;
use crate::domain::secret::AppSecret;
use crate::flows::receive::receive;
use crate::flows::testing::{
    FAULTS, PAST_ALL_CLAIMS, Process, bot, message, status, text, until_due, webhook,
};
use crate::testing::{Fault, World};

const SECRET: &str = "not-a-real-app-secret";
/// More turns than any single fault needs.
const TURNS: usize = 40;

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Lambda and SQS around the flows: what failed comes again, a dead process is replaced.
struct Cloud {
    world: World,
    process: Process,
    inbound: Vec<Parcel>,
    answers: Vec<Nudge>,
    nudges_first: bool,
}

impl Cloud {
    fn new(world: World, nudges_first: bool) -> Self {
        Self { world, process: Process::default(), inbound: Vec::new(), answers: Vec::new(), nudges_first }
    }

    /// Meta delivers a webhook until it is answered 200.
    async fn deliver(&mut self, body: &str) {
        let secret = AppSecret::try_from(SECRET.to_owned()).unwrap();
        for _ in 0..TURNS {
            let world = &self.world;
            let taken =
                receive(&world.queues, &world.clock, &secret, Some(&signature(body)), body.as_bytes()).await;
            if taken.is_ok() {
                return;
            }
            self.replace_the_dead();
        }
        panic!("the webhook was never taken");
    }

    fn replace_the_dead(&mut self) {
        if self.world.steps.is_dead() {
            self.world.steps.restart();
            self.process = Process::default();
        }
        self.world.clock.advance(PAST_ALL_CLAIMS);
    }

    /// Until nothing is on a queue and nothing is due.
    async fn come_to_rest(&mut self) {
        for _ in 0..TURNS {
            if self.nudges_first {
                self.work_on_answers().await;
                self.work_on_inbound().await;
            } else {
                self.work_on_inbound().await;
                self.work_on_answers().await;
            }
            self.replace_the_dead();
            // The schedule: a sweep that fails is made good by the next.
            let _ = self.process.reply(&self.world).sweep(100).await;
            let queued = !self.world.queues.inbound().is_empty() || !self.world.queues.answers().is_empty();
            if !queued && self.inbound.is_empty() && self.answers.is_empty() && !self.world.steps.is_dead() {
                return;
            }
        }
        panic!("the queues never came to rest: {:?}", self.world.steps.log());
    }

    async fn work_on_inbound(&mut self) {
        self.inbound.extend(self.world.queues.take_inbound().into_iter().map(|delayed| delayed.item));
        for parcel in std::mem::take(&mut self.inbound) {
            if self.process.ingest(&self.world).parcel(&parcel).await.is_err() {
                self.inbound.push(parcel);
            }
        }
    }

    async fn work_on_answers(&mut self) {
        self.answers.extend(self.world.queues.take_answers().into_iter().map(|delayed| delayed.item));
        for nudge in std::mem::take(&mut self.answers) {
            if self.process.reply(&self.world).nudge(&nudge).await.is_err() {
                self.answers.push(nudge);
            }
        }
    }

    /// Meta's statuses of everything that it took.
    async fn deliver_statuses(&mut self, phone: &PhoneNumberId) {
        let statuses: Vec<_> = self
            .world
            .graph
            .sent()
            .iter()
            .flat_map(|sent| [status(&self.world, sent, "sent"), status(&self.world, sent, "delivered")])
            .collect();
        self.deliver(&webhook(phone, json!({"statuses": statuses}))).await;
        self.come_to_rest().await;
    }
}

/// A burst of two, with things of other kinds beside it.
fn first_webhook(world: &World, phone: &PhoneNumberId) -> String {
    let reaction = json!({"from": "15550100124", "id": "wamid.R", "timestamp": "1795262400", "type": "reaction",
                          "reaction": {"emoji": "+", "message_id": "wamid.0"}});
    let messages =
        json!([text(world, "wamid.A", "Hello"), text(world, "wamid.B", "Anybody there?"), reaction]);
    let foreign = json!([{"id": "wamid.ELSEWHERE", "status": "read", "timestamp": "1795262400"}]);
    webhook(phone, json!({"messages": messages, "statuses": foreign}))
}

async fn scenario(faults: &[(usize, Fault)], nudges_first: bool) -> Cloud {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let phone = client.phone_number_id;
    for (k, fault) in faults {
        world.steps.fault_at(*k, *fault);
    }
    let mut cloud = Cloud::new(world.clone(), nudges_first);
    cloud.deliver(&first_webhook(&world, &phone)).await;
    cloud.come_to_rest().await;
    world.steps.clear_faults();
    cloud.deliver(&webhook(&phone, json!({"messages": [text(&world, "wamid.C", "And now?")]}))).await;
    cloud.come_to_rest().await;
    cloud
}

fn answer(world: &World, id: &str) -> Answer {
    message(world, id).answer.expect("the client is known")
}

/// The ids of ours that Meta took a message with, each of them once.
fn taken_once(world: &World, case: &str) -> BTreeSet<String> {
    let sent = world.graph.sent();
    let ids: BTreeSet<String> = sent
        .iter()
        .map(|sent| sent.message["biz_opaque_callback_data"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), sent.len(), "{case}: an answer was sent twice");
    ids
}

fn check(world: &World, case: &str, statuses_came: bool) {
    let taken = taken_once(world, case);
    for id in ["wamid.A", "wamid.B", "wamid.C"] {
        let own = MessageId::answer_to(&id.parse().unwrap());
        let was_taken = taken.contains(own.as_ref());
        match answer(world, id) {
            Answer::Pending { .. } => panic!("{case}: {id} is still pending at rest"),
            Answer::Answered(by) => assert!(was_taken && by == own, "{case}: {id} was never answered"),
            Answer::None(NoAnswer::SendUncertain, _) => {
                assert!(!(was_taken && statuses_came), "{case}: the status of {id}'s answer resolves it");
            }
            Answer::None(NoAnswer::Superseded, Some(by)) => {
                assert!(!was_taken && by != own, "{case}: {id} was answered and superseded");
            }
            other => panic!("{case}: {id} ended as {other:?}"),
        }
    }
    assert!(matches!(answer(world, "wamid.C"), Answer::Answered(_)), "{case}: the next message is answered");
    assert_eq!(answer(world, "wamid.R"), Answer::None(NoAnswer::Type, None), "{case}");
    let elsewhere = "wamid.ELSEWHERE".parse().unwrap();
    assert!(world.store.with(|t| t.wamids.contains_key(&elsewhere)), "{case}: the foreign status is kept");
    let undecided = world.store.with(|t| {
        t.messages
            .values()
            .filter(|m| matches!(m.sending, Some(Sending::Intended { .. } | Sending::NotSent)))
            .count()
    });
    assert_eq!(undecided, 0, "{case}: every send has an outcome");
}

#[tokio::test]
async fn without_faults_a_burst_gets_one_answer_and_the_next_message_another() {
    let cloud = scenario(&[], false).await;
    let world = &cloud.world;
    check(world, "no fault", false);
    assert_eq!(world.graph.sent().len(), 2);
    let by = MessageId::answer_to(&"wamid.B".parse().unwrap());
    assert_eq!(answer(world, "wamid.A"), Answer::None(NoAnswer::Superseded, Some(by.clone())));
    assert_eq!(answer(world, "wamid.B"), Answer::Answered(by));
}

#[tokio::test]
async fn whichever_call_goes_wrong_each_message_is_recorded_and_answered_at_most_once() {
    for nudges_first in [false, true] {
        let clean = scenario(&[], nudges_first).await.world.steps.log();
        for (k, step) in clean.iter().enumerate() {
            for fault in FAULTS {
                let case = format!("{fault:?} at {k} ({step}), nudges first: {nudges_first}");
                let mut cloud = scenario(&[(k, fault)], nudges_first).await;
                let world = cloud.world.clone();
                check(&world, &case, false);
                let phone = message(&world, "wamid.A").phone_number_id;
                cloud.deliver_statuses(&phone).await;
                check(&world, &case, true);
            }
        }
    }
}

#[tokio::test]
async fn two_copies_of_everything_at_once_answer_once() {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let parcel = crate::flows::testing::parcel(&world, first_webhook(&world, &client.phone_number_id));
    let (one, two) = (Process::default(), Process::default());
    let (left, right) = tokio::join!(async { one.ingest(&world).parcel(&parcel).await }, async {
        two.ingest(&world).parcel(&parcel).await
    });
    assert!(left.is_ok() && right.is_ok());
    let nudges = world.queues.take_answers();
    for nudge in &nudges {
        until_due(&world, &nudge.item.message_id);
        let (left, right) = tokio::join!(async { one.reply(&world).nudge(&nudge.item).await }, async {
            two.reply(&world).nudge(&nudge.item).await
        });
        assert!(left.is_ok() && right.is_ok());
    }
    assert_eq!(world.graph.sent().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(answer(&world, "wamid.B"), Answer::Answered(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_a_storm_of_faults_and_duplicates_the_same_holds(
        faults in prop::collection::vec((0..90usize, 0..FAULTS.len()), 0..7),
        nudges_first in any::<bool>(),
        duplicates in prop::collection::vec(prop::sample::select(vec!["wamid.A", "wamid.B", "wamid.C"]), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let faults: Vec<_> = faults.into_iter().map(|(k, index)| (k, FAULTS[index])).collect();
            let case = format!("{faults:?}, nudges first: {nudges_first}, again: {duplicates:?}");
            let mut cloud = scenario(&faults, nudges_first).await;
            let world = cloud.world.clone();
            check(&world, &case, false);
            let phone = message(&world, "wamid.A").phone_number_id;
            for wamid in duplicates {
                let again = text(&world, wamid, "Again");
                cloud.deliver(&webhook(&phone, json!({ "messages": [again] }))).await;
                cloud.answers.push(Nudge { message_id: wamid.parse().unwrap() });
            }
            cloud.deliver_statuses(&phone).await;
            check(&world, &case, true);
        });
    }
}
