//! Nothing is lost on the way into the archive, out of it, or through a replay, whatever call goes wrong.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::domain::answer::{Answer, NoAnswer, Nudge};
use crate::domain::client::Client;
use crate::domain::ids::MessageId;
use crate::domain::letter::{DeadQueue, Letter};
use crate::domain::parcel::Parcel;
use crate::domain::raw::sha256;
use crate::domain::status::Statuses;
use crate::flows::testing::{
    CUSTOMER, FAULTS, Process, bot, message, parcel, status, text, until_due, webhook,
};
use crate::testing::{CountingRandom, Fault, FixedClock, MemoryQueues, MemoryStore, Parts, Tables, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
static SETTINGS: Settings =
    Settings { archive_after: Duration::from_secs(7 * 24 * 60 * 60), budget: Duration::from_secs(40) };

type TestRecovery<'a, I> = Recovery<'a, MemoryStore, MemoryQueues, I, FixedClock, CountingRandom>;

fn recovery<'a, I>(world: &'a World, inbound: &'a I) -> TestRecovery<'a, I> {
    let parts: &Parts = world;
    Recovery {
        store: &parts.store,
        dead: &parts.queues,
        inbound,
        clock: &parts.clock,
        random: &parts.random,
        settings: &SETTINGS,
    }
}

fn job(job: Value) -> Job {
    serde_json::from_value(job).unwrap()
}

/// A client, and what became of its webhooks.
struct Scene {
    world: World,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        Self { world, client }
    }

    async fn run(&self, wanted: Value) -> Result<Value, RecoveryError> {
        let outcome = recovery(&self.world, &self.world.queues).run(&job(wanted)).await?;
        Ok(serde_json::to_value(outcome).unwrap())
    }

    fn body(&self, wamid: &str) -> String {
        webhook(&self.client.phone_number_id, json!({"messages": [text(&self.world, wamid, "Hello")]}))
    }

    fn parcel(&self, wamid: &str) -> Parcel {
        parcel(&self.world, self.body(wamid))
    }

    /// A dead letter that was sent `days` ago.
    fn bury(&self, queue: DeadQueue, letter: impl Into<Letter>, days: u32) {
        self.world.queues.bury(queue, letter, self.world.clock.now() - DAY * days);
    }

    /// Something that was not understood when it came.
    async fn quarantine(&self, body: &str, reason: &str) -> String {
        use crate::ports::Quarantine as _;
        let raw = crate::flows::raws::keep(&self.world.store, body.as_bytes(), None).await.unwrap();
        let id = sha256(body.as_bytes());
        let (reason, received_at) = (reason.to_owned(), self.world.clock.now());
        let item = crate::ports::Quarantined { id: id.clone(), reason, received_at, raw };
        self.world.store.quarantine(&item).await.unwrap();
        id
    }

    fn tables<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        self.world.store.with(look)
    }

    fn quarantined(&self) -> BTreeSet<String> {
        self.tables(|t| t.quarantine.keys().cloned().collect())
    }

    /// A dead process is replaced, and hidden letters show again.
    fn next_day(&self) {
        self.world.steps.restart();
        self.world.queues.show_dead();
    }

    /// Ingest and reply until their queues are empty.
    async fn work(&self) {
        let process = Process::default();
        for parcel in self.world.queues.take_inbound() {
            process.ingest(&self.world).parcel(&parcel.item).await.unwrap();
        }
        for nudge in self.world.queues.take_answers() {
            until_due(&self.world, &nudge.item.message_id);
            process.reply(&self.world).nudge(&nudge.item).await.unwrap();
        }
    }

    /// How many calls a job makes where none goes wrong, by a run on a scene of its own.
    async fn calls_of(prepare: impl AsyncFn(&Self), wanted: &Value) -> Vec<&'static str> {
        let scene = Self::new().await;
        prepare(&scene).await;
        let before = scene.world.steps.count();
        scene.run(wanted.clone()).await.unwrap();
        scene.world.steps.log().split_off(before)
    }
}

fn letter_of(nudge: &str) -> Letter {
    Letter::from(&Nudge { message_id: nudge.parse().unwrap() })
}

// ---- the archive -----------------------------------------------------------------------------

#[tokio::test]
async fn old_dead_letters_go_to_quarantine_and_younger_ones_stay_where_the_alarm_sees_them() {
    let scene = Scene::new().await;
    for (wamid, days) in [("wamid.OLD", 8), ("wamid.YOUNG", 6), ("wamid.OLDER", 13)] {
        scene.bury(DeadQueue::Inbound, &scene.parcel(wamid), days);
    }
    scene.bury(DeadQueue::Answers, letter_of("wamid.A"), 10);
    scene.bury(DeadQueue::Schedules, letter_of("wamid.S"), 13);
    let done =
        scene.run(json!({"source": "switchboard.schedule", "job": "archive-dead-letters"})).await.unwrap();
    assert_eq!(done, json!({"archived": 3, "left": 1, "more": false}));
    let reasons = scene.tables(|t| t.quarantine.values().map(|q| q.reason.clone()).collect::<Vec<_>>());
    assert_eq!(reasons.iter().filter(|reason| *reason == "dead_letter:inbound").count(), 2);
    assert_eq!(reasons.iter().filter(|reason| *reason == "dead_letter:answers").count(), 1);
    let queues = &scene.world.queues;
    assert_eq!(queues.dead(DeadQueue::Inbound), [Letter::from(&scene.parcel("wamid.YOUNG"))]);
    assert_eq!((queues.visible_dead(DeadQueue::Inbound), queues.dead(DeadQueue::Answers).len()), (1, 0));
    assert_eq!(queues.dead(DeadQueue::Schedules).len(), 1, "they only wait to be thrown away");
}

#[tokio::test]
async fn an_operator_may_archive_all_of_them_now() {
    let scene = Scene::new().await;
    scene.bury(DeadQueue::Inbound, &scene.parcel("wamid.YOUNG"), 0);
    let done = scene.run(json!({"job": "archive-dead-letters", "olderThanDays": 0})).await.unwrap();
    assert_eq!(done["archived"], 1);
}

#[tokio::test]
async fn a_letter_that_cannot_be_archived_keeps_no_other_on_the_queue() {
    let scene = Scene::new().await;
    for n in 0..25 {
        scene.bury(DeadQueue::Inbound, &scene.parcel(&format!("wamid.{n}")), 9);
    }
    scene.world.steps.fault_next("quarantine", Fault::FailBefore);
    assert!(scene.run(json!({"job": "archive-dead-letters"})).await.is_err(), "somebody must hear of it");
    assert_eq!((scene.quarantined().len(), scene.world.queues.dead(DeadQueue::Inbound).len()), (24, 1));
    scene.next_day();
    scene.run(json!({"job": "archive-dead-letters"})).await.unwrap();
    assert_eq!((scene.quarantined().len(), scene.world.queues.dead(DeadQueue::Inbound).len()), (25, 0));
}

#[tokio::test]
async fn whichever_call_of_archiving_goes_wrong_every_letter_is_in_one_of_the_two_places() {
    let prepare = async |scene: &Scene| {
        for (wamid, days) in [("wamid.A", 8), ("wamid.B", 9), ("wamid.YOUNG", 1)] {
            scene.bury(DeadQueue::Inbound, &scene.parcel(wamid), days);
        }
        scene.bury(DeadQueue::Answers, letter_of("wamid.N"), 10);
    };
    let wanted = json!({"job": "archive-dead-letters"});
    let calls = Scene::calls_of(prepare, &wanted).await;
    for (k, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at {k} ({call})");
            let scene = Scene::new().await;
            prepare(&scene).await;
            scene.world.steps.fault_at(scene.world.steps.count() + k, fault);
            let _ = scene.run(wanted.clone()).await;
            let archived = scene.quarantined();
            let on_queues =
                [DeadQueue::Inbound, DeadQueue::Answers].map(|q| scene.world.queues.dead(q)).concat();
            let mut found: BTreeSet<String> =
                on_queues.iter().map(|letter| sha256(&serde_json::to_vec(letter).unwrap())).collect();
            found.extend(archived);
            assert_eq!(found.len(), 4, "{case}");
            scene.next_day();
            scene.run(wanted.clone()).await.unwrap();
            assert_eq!(scene.quarantined().len(), 3, "{case}");
            assert_eq!(scene.world.queues.visible_dead(DeadQueue::Inbound), 1, "{case}");
        }
    }
}

// ---- the way back ----------------------------------------------------------------------------

#[tokio::test]
async fn a_poisoned_element_dies_and_after_the_fix_a_redrive_gets_it_recorded_and_answered_once() {
    let scene = Scene::new().await;
    let (poisoned, process) = (scene.parcel("wamid.P"), Process::default());
    // SQS gives up after five tries.
    for _ in 0..5 {
        scene.world.steps.fault_next("record_message", Fault::FailBefore);
        assert!(process.ingest(&scene.world).parcel(&poisoned).await.is_err());
    }
    scene.bury(DeadQueue::Inbound, &poisoned, 0);
    let done = scene.run(json!({"job": "redrive", "queue": "inbound"})).await.unwrap();
    assert_eq!((&done["moved"], &done["more"]), (&1.into(), &false.into()));
    assert!(scene.world.queues.dead(DeadQueue::Inbound).is_empty());
    scene.work().await;
    assert!(matches!(message(&scene.world, "wamid.P").answer, Some(Answer::Answered(_))));
    assert_eq!(scene.world.graph.sent().len(), 1);
}

#[tokio::test]
async fn a_dead_nudge_is_followed_after_its_redrive() {
    let scene = Scene::new().await;
    Process::default().ingest(&scene.world).parcel(&scene.parcel("wamid.N")).await.unwrap();
    let _ = scene.world.queues.take_answers();
    scene.bury(DeadQueue::Answers, letter_of("wamid.N"), 0);
    scene.run(json!({"job": "redrive", "queue": "answers"})).await.unwrap();
    scene.work().await;
    assert_eq!(scene.world.graph.sent().len(), 1);
}

#[tokio::test]
async fn whichever_call_of_a_redrive_goes_wrong_all_letters_come_back_and_are_answered_once() {
    let prepare = async |scene: &Scene| {
        scene.bury(DeadQueue::Inbound, &scene.parcel("wamid.ARCHIVED"), 8);
        scene.run(json!({"job": "archive-dead-letters"})).await.unwrap();
        for n in 0..12 {
            scene.bury(DeadQueue::Inbound, &scene.parcel(&format!("wamid.{n}")), 1);
        }
    };
    let wanted = json!({"job": "redrive", "queue": "inbound"});
    let calls = Scene::calls_of(prepare, &wanted).await;
    for (k, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at {k} ({call})");
            let scene = Scene::new().await;
            prepare(&scene).await;
            scene.world.steps.fault_at(scene.world.steps.count() + k, fault);
            let _ = scene.run(wanted.clone()).await;
            scene.next_day();
            // What is back by now is worked on before the second try.
            scene.work().await;
            scene.run(wanted.clone()).await.unwrap();
            scene.work().await;
            assert_eq!(
                scene.tables(|t| t.messages.values().filter(|m| m.origin.is_inbound()).count()),
                13,
                "{case}"
            );
            assert_eq!(scene.world.queues.dead(DeadQueue::Inbound), [], "{case}");
            assert!(scene.quarantined().is_empty(), "{case}");
            let sent = scene.world.graph.sent();
            let answers: BTreeSet<_> =
                sent.iter().map(|s| s.message["biz_opaque_callback_data"].to_string()).collect();
            assert_eq!(answers.len(), sent.len(), "{case}: answered twice");
        }
    }
}

#[tokio::test]
async fn scheduled_runs_are_thrown_away_because_the_next_one_does_the_same() {
    let scene = Scene::new().await;
    scene.bury(DeadQueue::Schedules, letter_of("wamid.S"), 1);
    let done = scene.run(json!({"job": "redrive", "queue": "schedules"})).await.unwrap();
    assert_eq!((&done["moved"], &done["discarded"]), (&0.into(), &1.into()));
    assert_eq!(scene.world.queues.dead(DeadQueue::Schedules), []);
    assert!(scene.world.queues.inbound().is_empty() && scene.world.queues.answers().is_empty());
}

#[tokio::test]
async fn a_dry_run_names_what_would_be_moved_without_its_content_and_moves_nothing() {
    let scene = Scene::new().await;
    scene.bury(DeadQueue::Inbound, &scene.parcel("wamid.ARCHIVED"), 8);
    scene.run(json!({"job": "archive-dead-letters"})).await.unwrap();
    scene.bury(DeadQueue::Inbound, &scene.parcel("wamid.FRESH"), 1);
    let before = scene.tables(|t| t.clone().quarantine);
    let done = scene.run(json!({"job": "redrive", "queue": "inbound", "dryRun": true})).await.unwrap();
    assert_eq!((&done["moved"], &done["fromArchive"], &done["dryRun"]), (&2.into(), &1.into(), &true.into()));
    let letters = done["letters"].as_array().unwrap();
    assert_eq!((&letters[0]["kind"], &letters[0]["archived"]), (&"body".into(), &false.into()));
    assert_eq!((letters.len(), &letters[1]["archived"]), (2, &true.into()));
    assert!(!done.to_string().contains("wamid") && !done.to_string().contains(CUSTOMER), "{done}");
    assert_eq!(scene.world.queues.visible_dead(DeadQueue::Inbound), 1, "it shows again at once");
    assert!(scene.world.queues.inbound().is_empty());
    assert_eq!(scene.tables(|t| t.clone().quarantine), before);
}

#[tokio::test]
async fn a_redrive_with_a_limit_says_that_there_may_be_more_and_leaves_the_rest_visible() {
    let scene = Scene::new().await;
    for n in 0..15 {
        scene.bury(DeadQueue::Inbound, &scene.parcel(&format!("wamid.{n}")), 1);
    }
    let done = scene.run(json!({"job": "redrive", "queue": "inbound", "limit": 4})).await.unwrap();
    assert_eq!((&done["moved"], &done["more"]), (&4.into(), &true.into()));
    assert_eq!(scene.world.queues.inbound().len(), 4);
    assert_eq!(scene.world.queues.visible_dead(DeadQueue::Inbound), 11);
    let done = scene.run(json!({"job": "redrive", "queue": "inbound"})).await.unwrap();
    assert_eq!((&done["moved"], &done["more"]), (&11.into(), &false.into()));
}

#[tokio::test]
async fn a_letter_that_dies_again_during_the_run_does_not_keep_it_going_in_circles() {
    let scene = Scene::new().await;
    scene.world.queues.bury(
        DeadQueue::Inbound,
        &scene.parcel("wamid.AGAIN"),
        scene.world.clock.now() + Duration::from_secs(1),
    );
    let done = scene.run(json!({"job": "redrive", "queue": "inbound"})).await.unwrap();
    assert_eq!(done["moved"], 0);
    assert_eq!(scene.world.queues.dead(DeadQueue::Inbound).len(), 1);
}

// ---- replay ----------------------------------------------------------------------------------

/// A queue whose function is faster than whoever sends.
struct Eager<'a>(&'a World);

impl SendInbound for Eager<'_> {
    async fn send_inbound(&self, parcels: &[Parcel], delay: Duration) -> Result<(), StoreError> {
        self.0.queues.send_inbound(parcels, delay).await?;
        // On a thread of its own, as any function's copy. What it fails at stays on the queue.
        std::thread::scope(|scope| {
            let ingest = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let process = Process::default();
                for parcel in self.0.queues.inbound() {
                    runtime.block_on(process.ingest(self.0).parcel(&parcel.item))?;
                }
                let _ = self.0.queues.take_inbound();
                Ok(())
            });
            ingest.join().unwrap()
        })
    }
}

#[tokio::test]
async fn what_is_still_not_understood_stays_in_quarantine_even_if_ingest_is_faster_than_the_deletion() {
    let scene = Scene::new().await;
    let phone = &scene.client.phone_number_id;
    // Every form in which something is quarantined, under the id that ingest gives it.
    for body in [
        "nonsense".to_owned(),
        json!({"object": "page", "entry": []}).to_string(),
        webhook(
            phone,
            json!({"messages": [{"from": CUSTOMER, "type": "text"}], "contacts": [{"wa_id": CUSTOMER}]}),
        ),
        webhook(phone, json!({"statuses": [{"id": "wamid.X"}]})),
        webhook(phone, json!({"surprise": {"b": 1, "a": 2}})),
        json!({"object": "whatsapp_business_account", "entry": [5, {"id": 7, "time": "9", "changes": 3}]})
            .to_string(),
    ] {
        Process::default().ingest(&scene.world).parcel(&parcel(&scene.world, body)).await.unwrap();
    }
    let stuck = scene.quarantined();
    assert!(stuck.len() >= 6, "{stuck:?}");
    let fixed = scene.quarantine(&scene.body("wamid.FIXED"), "no_sender").await;
    let wanted = json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "dryRun": false});
    for _ in 0..2 {
        let eager = Eager(&scene.world);
        recovery(&scene.world, &eager).run(&job(wanted.clone())).await.unwrap();
        assert_eq!(scene.quarantined(), stuck, "{fixed} is understood now, the others are not");
    }
    assert_eq!(message(&scene.world, "wamid.FIXED").answer, Some(Answer::None(NoAnswer::Replayed, None)));
    // The same with a queue that is slower.
    scene.run(wanted).await.unwrap();
    assert!(scene.quarantined().is_empty(), "they are on the queue now");
    scene.work().await;
    assert_eq!(scene.quarantined(), stuck);
}

#[tokio::test]
async fn whichever_call_of_emptying_the_quarantine_goes_wrong_nothing_is_lost() {
    let prepare = async |scene: &Scene| {
        scene.quarantine("nonsense", "not_a_webhook").await;
        scene.quarantine(&scene.body("wamid.FIXED"), "no_sender").await
    };
    let wanted = json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "dryRun": false});
    let calls = Scene::calls_of(async |scene| drop(prepare(scene).await), &wanted).await;
    for eager in [false, true] {
        for (k, call) in calls.iter().enumerate() {
            for fault in FAULTS {
                let case = format!("{fault:?} at {k} ({call}), eager: {eager}");
                let scene = Scene::new().await;
                let fixed = prepare(&scene).await;
                scene.world.steps.fault_at(scene.world.steps.count() + k, fault);
                if eager {
                    let queue = Eager(&scene.world);
                    let _ = recovery(&scene.world, &queue).run(&job(wanted.clone())).await;
                } else {
                    let _ = scene.run(wanted.clone()).await;
                }
                scene.next_day();
                scene.work().await;
                let kept = scene.quarantined();
                let is_recorded = scene.tables(|t| !t.messages.is_empty());
                assert!(kept.contains(&sha256(b"nonsense")), "{case}");
                assert!(is_recorded || kept.contains(&fixed), "{case}");
                scene.world.steps.clear_faults();
                scene.run(wanted.clone()).await.unwrap();
                scene.work().await;
                assert_eq!(scene.quarantined(), [sha256(b"nonsense")].into(), "{case}");
                let answer = message(&scene.world, "wamid.FIXED").answer;
                assert_eq!(answer, Some(Answer::None(NoAnswer::Replayed, None)), "{case}");
                assert!(scene.world.graph.sent().is_empty(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn sends_stay_off_unless_asked_for() {
    for answers in [false, true] {
        let scene = Scene::new().await;
        scene.quarantine(&scene.body("wamid.NEW"), "no_sender").await;
        Process::default().ingest(&scene.world).parcel(&scene.parcel("wamid.WAITS")).await.unwrap();
        let _ = scene.world.queues.take_answers();
        for what in [
            json!({"quarantine": {"reason": "no_sender", "day": "2026-11-21"}}),
            json!({"messageId": "wamid.WAITS"}),
        ] {
            let mut wanted = json!({"job": "replay", "dryRun": false, "answers": answers});
            wanted.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            let done = scene.run(wanted).await.unwrap();
            assert_eq!((&done["replayed"], &done["answers"]), (&1.into(), &answers.into()));
        }
        scene.work().await;
        assert_eq!(scene.world.graph.sent().is_empty(), !answers);
        let new = message(&scene.world, "wamid.NEW").answer;
        let waits = message(&scene.world, "wamid.WAITS").answer;
        if !answers {
            assert_eq!(new, Some(Answer::None(NoAnswer::Replayed, None)));
            assert!(matches!(waits, Some(Answer::Pending { .. })), "the schedule finds it: {waits:?}");
        }
    }
}

#[tokio::test]
async fn what_fails_alone_in_a_silent_replay_stays_silent() {
    let scene = Scene::new().await;
    let messages = json!([text(&scene.world, "wamid.A", "x"), text(&scene.world, "wamid.B", "x")]);
    let body = webhook(&scene.client.phone_number_id, json!({ "messages": messages }));
    scene.quarantine(&body, "not_a_webhook").await;
    scene.run(json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "dryRun": false})).await.unwrap();
    scene.world.steps.fault_next("record_message", Fault::FailBefore);
    scene.work().await;
    assert_eq!(scene.world.queues.inbound().len(), 1);
    scene.work().await;
    for wamid in ["wamid.A", "wamid.B"] {
        assert_eq!(message(&scene.world, wamid).answer, Some(Answer::None(NoAnswer::Replayed, None)));
    }
}

#[tokio::test]
async fn a_replay_looks_only_unless_told_otherwise() {
    let scene = Scene::new().await;
    scene.quarantine("nonsense", "not_a_webhook").await;
    let before = scene.tables(|t| t.clone().quarantine);
    let done = scene.run(json!({"job": "replay", "quarantine": {"day": "2026-11-21"}})).await.unwrap();
    assert_eq!((&done["dryRun"], &done["replayed"]), (&true.into(), &1.into()));
    assert_eq!(done["items"][0]["kind"], "not_a_webhook");
    assert!(!done.to_string().contains("nonsense"));
    assert!(scene.world.queues.inbound().is_empty());
    assert_eq!(scene.tables(|t| (t.clone().quarantine, t.quarantine_marks.len())), (before, 0));
}

/// Runs a request again and again with the cursor of the run before; the ids that all runs name.
async fn all_pages(scene: &Scene, mut wanted: Value) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..100 {
        let done = scene.run(wanted.clone()).await.unwrap();
        let items = done["items"].as_array().cloned().unwrap_or_default();
        assert!(items.len() <= 2);
        found.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        if done["nextCursor"].is_null() {
            return found;
        }
        wanted["cursor"] = done["nextCursor"].clone();
    }
    panic!("it never ends: {found:?}")
}

#[tokio::test]
async fn messages_of_a_number_a_bot_and_a_time_are_found_in_pages_each_once() {
    let scene = Scene::new().await;
    let (other, _) = scene.world.active_client(&bot(), 2).await;
    let (foreign, _) = scene.world.active_client(&"demo-florist".parse().unwrap(), 3).await;
    let process = Process::default();
    let receive = async |phone: &crate::domain::ids::PhoneNumberId, wamid: &str| {
        let body = webhook(phone, json!({"messages": [text(&scene.world, wamid, "x")]}));
        process.ingest(&scene.world).parcel(&parcel(&scene.world, body)).await.unwrap();
        scene.world.clock.advance(Duration::from_secs(60));
    };
    // Before the number had a bot.
    scene.tables(|t| t.clients.remove(&scene.client.phone_number_id));
    receive(&scene.client.phone_number_id, "wamid.EARLY").await;
    scene.tables(|t| t.clients.insert(scene.client.phone_number_id.clone(), scene.client.clone()));
    for wamid in ["wamid.1", "wamid.2", "wamid.3"] {
        receive(&scene.client.phone_number_id, wamid).await;
    }
    receive(&other.phone_number_id, "wamid.OTHER").await;
    receive(&foreign.phone_number_id, "wamid.FOREIGN").await;
    scene.work().await;

    let ids = async |what: Value| {
        let mut wanted = json!({"job": "replay", "limit": 2});
        wanted.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        let mut ids = all_pages(&scene, wanted).await;
        ids.sort();
        ids
    };
    let phone = &scene.client.phone_number_id;
    assert_eq!(ids(json!({"phoneNumberId": phone})).await, ["wamid.1", "wamid.2", "wamid.3", "wamid.EARLY"]);
    assert_eq!(ids(json!({"botId": bot()})).await, ["wamid.1", "wamid.2", "wamid.3", "wamid.OTHER"]);
    assert_eq!(ids(json!({"botId": bot(), "phoneNumberId": phone})).await, ["wamid.1", "wamid.2", "wamid.3"]);
    let span = json!({"phoneNumberId": phone, "from": "2026-11-21T12:01:00Z", "to": "2026-11-21T12:02:30Z"});
    assert_eq!(ids(span).await, ["wamid.1", "wamid.2"]);
    assert_eq!(ids(json!({"messageId": "wamid.2"})).await, ["wamid.2"]);
}

#[tokio::test]
async fn replaying_what_is_recorded_changes_nothing() {
    let scene = Scene::new().await;
    Process::default().ingest(&scene.world).parcel(&scene.parcel("wamid.A")).await.unwrap();
    let change = json!({"object": "whatsapp_business_account", "entry": [{"id": "999", "time": 1_795_262_400,
        "changes": [{"field": "security", "value": {"x": 1}}]}]});
    Process::default().ingest(&scene.world).parcel(&parcel(&scene.world, change.to_string())).await.unwrap();
    scene.work().await;
    let before = scene.tables(|t| (t.messages.clone(), t.conversations.clone(), t.events.clone()));
    for what in [json!({"botId": bot()}), json!({"owner": "999"}), json!({"messageId": "wamid.A"})] {
        for answers in [false, true] {
            let mut wanted = json!({"job": "replay", "dryRun": false, "answers": answers});
            wanted.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            assert_eq!(scene.run(wanted).await.unwrap()["replayed"], 1, "{what}");
            scene.work().await;
        }
    }
    let after = scene.tables(|t| (t.messages.clone(), t.conversations.clone(), t.events.clone()));
    assert_eq!(before, after);
    assert_eq!(scene.world.graph.sent().len(), 1);
}

fn bodies_alone(statuses: &Statuses) -> Statuses {
    let mut alone = Statuses::default();
    statuses.bodies().for_each(|(hash, body)| alone.keep(hash.to_owned(), body.to_owned()));
    alone
}

#[tokio::test]
async fn of_an_outgoing_message_its_statuses_are_replayed() {
    let scene = Scene::new().await;
    Process::default().ingest(&scene.world).parcel(&scene.parcel("wamid.A")).await.unwrap();
    scene.work().await;
    let sent = scene.world.graph.sent().remove(0);
    let statuses = json!([status(&scene.world, &sent, "sent"), status(&scene.world, &sent, "read")]);
    let body = webhook(&scene.client.phone_number_id, json!({ "statuses": statuses }));
    Process::default().ingest(&scene.world).parcel(&parcel(&scene.world, body)).await.unwrap();
    let own = MessageId::answer_to(&"wamid.A".parse().unwrap());
    let told = message(&scene.world, own.as_ref());
    // As if a version that did not understand them had kept them only.
    scene.tables(|t| t.messages.get_mut(&own).unwrap().statuses = bodies_alone(&told.statuses));
    let replayed = scene.run(json!({"job": "replay", "messageId": own, "dryRun": false})).await.unwrap();
    assert_eq!((&replayed["replayed"], &replayed["skipped"]), (&1.into(), &0.into()));
    scene.work().await;
    assert_eq!(message(&scene.world, own.as_ref()), told);
}

#[tokio::test]
async fn days_of_the_quarantine_are_walked_in_pages_and_dead_letters_are_not_among_them() {
    let scene = Scene::new().await;
    let mut expected = Vec::new();
    for day in 0..4 {
        for n in 0..3 {
            expected.push(scene.quarantine(&format!("nonsense {day} {n}"), "not_a_webhook").await);
        }
        scene.world.clock.advance(DAY * 2);
    }
    scene.bury(DeadQueue::Inbound, &scene.parcel("wamid.DEAD"), 7);
    scene.run(json!({"job": "archive-dead-letters"})).await.unwrap();
    let wanted =
        |from: &str, to: &str| json!({"job": "replay", "quarantine": {}, "from": from, "to": to, "limit": 2});
    let mut found = all_pages(&scene, wanted("2026-11-21T12:00:00Z", "2026-11-25T12:00:00Z")).await;
    let mut middle = expected[..9].to_vec();
    found.sort();
    middle.sort();
    assert_eq!(found, middle);
    assert!(all_pages(&scene, wanted("2026-11-21T12:00:01Z", "2026-11-23T11:59:59Z")).await.is_empty());
    let dead =
        scene.tables(|t| t.quarantine.values().find(|q| q.reason.starts_with("dead")).unwrap().id.clone());
    let done =
        scene.run(json!({"job": "replay", "quarantine": {"id": dead}, "dryRun": false})).await.unwrap();
    assert_eq!((&done["skipped"], &done["replayed"]), (&1.into(), &0.into()), "a redrive moves it");
    assert!(scene.quarantined().contains(&dead));
}

#[tokio::test]
async fn an_element_that_no_queue_message_holds_is_replayed_in_parts_and_a_damaged_one_stops_nothing() {
    let scene = Scene::new().await;
    let mut noise = String::new();
    while noise.len() < 1_500_000 {
        noise.push_str(&sha256(noise.get(noise.len().saturating_sub(64)..).unwrap_or_default().as_bytes()));
    }
    let body = webhook(
        &scene.client.phone_number_id,
        json!({"messages": [text(&scene.world, "wamid.LARGE", &noise)]}),
    );
    scene.quarantine(&body, "no_sender").await;
    let damaged = scene.quarantine(&format!("nonsense {noise}"), "not_a_webhook").await;
    scene.tables(|t| t.blobs.retain(|(name, ..), _| !name.contains(&damaged)));
    let done = scene
        .run(json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "dryRun": false}))
        .await
        .unwrap();
    assert_eq!((&done["replayed"], &done["damaged"]), (&1.into(), &json!([damaged])));
    assert!(scene.world.queues.inbound().len() > 1);
    scene.work().await;
    let content = stored(&scene, "wamid.LARGE").await;
    assert_eq!(content["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"], noise.as_str());
    assert_eq!(scene.quarantined(), [damaged].into());
}

async fn stored(scene: &Scene, id: &str) -> Value {
    let raw = message(&scene.world, id).raw;
    serde_json::from_slice(&crate::flows::stored_bytes(&scene.world.store, &raw).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_request_that_is_not_clear_is_refused_and_nothing_is_done() {
    let scene = Scene::new().await;
    let before = scene.world.steps.count();
    for wanted in [
        json!({"job": "replay"}),
        json!({"job": "replay", "messageId": "wamid.A", "owner": "1"}),
        json!({"job": "replay", "botId": "a", "owner": "1"}),
        json!({"job": "replay", "owner": "1", "limit": 0}),
        json!({"job": "replay", "owner": "1", "limit": 1001}),
        json!({"job": "replay", "quarantine": {}}),
        json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "from": "2026-11-21T00:00:00Z"}),
        json!({"job": "replay", "botId": "a", "cursor": "nonsense"}),
        json!({"job": "replay", "quarantine": {"day": "2026-11-21"}, "cursor": "nonsense"}),
        json!({"job": "redrive", "queue": "inbound", "limit": 0}),
    ] {
        let refused = scene.run(wanted.clone()).await;
        assert!(matches!(refused, Err(RecoveryError::Request(_))), "{wanted}: {refused:?}");
    }
    assert_eq!(scene.world.steps.count(), before);
    for wanted in [
        json!({"job": "redrive", "queue": "elsewhere"}),
        json!({"job": "replay", "messageId": "wamid.A", "dryrun": false}),
        json!({"job": "replay", "quarantine": {"days": "2026-11-21"}}),
        json!({"job": "something-else"}),
        json!({"queue": "inbound"}),
    ] {
        assert!(serde_json::from_value::<Job>(wanted.clone()).is_err(), "{wanted}");
    }
}
