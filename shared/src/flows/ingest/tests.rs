//! One test for each rule of recording.

use serde_json::json;
use tracing::level_filters::LevelFilter;

use super::*;
use crate::domain::client::PauseReason;
use crate::domain::ids::Wamid;
use crate::domain::message::Sending;
use crate::domain::parcel::pack;
use crate::flows::stored_bytes;
use crate::flows::testing::{CUSTOMER, Process, bot, message, parcel, status, text, until_due, webhook};
use crate::ports::{ReadConversations, RecordSends, SendOutcome};
use crate::telemetry::testing::Lines;
use crate::testing::{Fault, World};

/// A client whose webhooks come in.
struct Inbox {
    world: World,
    process: Process,
    client: Client,
}

impl Inbox {
    async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        Self { world, process: Process::default(), client }
    }

    async fn take(&self, parcel: &Parcel) -> Result<Tally, StoreError> {
        self.process.ingest(&self.world).parcel(parcel).await
    }

    /// A webhook with these lists.
    async fn receive(&self, value: Value) -> Result<Tally, StoreError> {
        self.take(&parcel(&self.world, webhook(&self.client.phone_number_id, value))).await
    }

    /// A change of another field than `messages`.
    async fn change(&self, field: &str, value: Value) -> Tally {
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "999", "time": 1_795_262_400, "changes": [{"field": field, "value": value}]}]});
        self.take(&parcel(&self.world, body.to_string())).await.unwrap()
    }

    fn text(&self, wamid: &str) -> Value {
        text(&self.world, wamid, "Hello")
    }

    fn nudges(&self) -> usize {
        self.world.queues.answers().len()
    }

    fn quarantined(&self) -> Vec<String> {
        self.world.store.with(|t| t.quarantine.values().map(|item| item.reason.clone()).collect())
    }
}

#[tokio::test]
async fn a_message_is_recorded_as_it_came_and_nudged_after_the_burst_window() {
    let inbox = Inbox::new().await;
    let tally = inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    assert_eq!(tally, Tally { messages: 1, ..Tally::default() });
    let known = message(&inbox.world, "wamid.A");
    assert_eq!((known.bot_id.as_ref(), known.kind.as_str()), (Some(&bot()), "text"));
    assert_eq!(crate::flows::content_of(&known), inbox.text("wamid.A"));
    assert_eq!(inbox.world.queues.answers()[0].delay, Duration::from_secs(3));
    let (conversations, client) = inbox
        .world
        .store
        .with(|t| (t.conversations.clone(), t.clients[&inbox.client.phone_number_id].clone()));
    assert!(conversations[&known.conversation_id].window_ends_at.is_some());
    assert_eq!(client.last_message_at, Some(known.at));
}

#[tokio::test]
async fn a_client_receives_once_a_webhook_with_its_number_came_and_not_by_an_accounts_event() {
    let inbox = Inbox::new().await;
    let known = || inbox.world.store.with(|t| t.clients[&inbox.client.phone_number_id].clone());
    let named = json!({"event": "FLAGGED", "phone_number_id": inbox.client.phone_number_id});
    inbox.change("phone_number_quality_update", named).await;
    assert!(!known().receives());
    inbox.world.clock.advance(Duration::from_secs(60));
    let read = json!({"id": "wamid.ELSEWHERE", "status": "read",
        "timestamp": inbox.world.clock.now().as_second().to_string()});
    inbox.receive(json!({"statuses": [read]})).await.unwrap();
    let heard = inbox.world.clock.now();
    assert_eq!(
        (known().receives(), known().last_webhook_at, known().last_message_at),
        (true, Some(heard), None)
    );
    // Within the hour no status costs another write.
    let writes = || inbox.world.steps.log().iter().filter(|name| **name == "touch_client").count();
    let before = writes();
    inbox.world.clock.advance(Duration::from_secs(120));
    inbox.receive(json!({"statuses": [read]})).await.unwrap();
    assert_eq!(writes(), before);
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    assert_eq!((writes(), known().last_webhook_at), (before + 1, Some(inbox.world.clock.now())));
    // A new signup has to prove it anew.
    inbox.world.clock.advance(Duration::from_secs(60));
    let again = Client { signed_up_at: inbox.world.clock.now(), ..known() };
    assert!(!again.receives());
    assert!(known().receives());
}

/// The line of one webhook.
async fn line_of(inbox: &Inbox, value: Value) -> Value {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    unit::run("message", None, inbox.receive(value), |_| Some(unit::End::well())).await.unwrap();
    lines.all().pop().unwrap()
}

#[tokio::test]
async fn a_message_is_counted_once_with_its_age_and_a_status_with_what_failed() {
    let inbox = Inbox::new().await;
    let written = json!({"messages": [inbox.text("wamid.A"), inbox.text("wamid.B")]});
    inbox.world.clock.advance(Duration::from_millis(1500));
    let line = line_of(&inbox, written.clone()).await;
    assert_eq!(line["MessagesReceived"], 2);
    let named = line["wamid"].as_str().unwrap();
    assert!(named.contains("wamid.A") && named.contains("wamid.B"), "{line}");
    assert_eq!(line["StoredAge"].as_array().unwrap().len(), 2);
    assert!(line["StoredAge"][0].as_u64().unwrap() >= 1500, "{line}");
    assert_eq!((&line["clientId"], &line["botId"]), (&json!(inbox.client.phone_number_id), &json!(bot())));
    let again = line_of(&inbox, written).await;
    assert_eq!((again.get("MessagesReceived"), again.get("StoredAge")), (None, None));

    let failed = json!({"id": "wamid.OUT", "status": "failed", "timestamp": "1795262400",
        "errors": [{"code": 131_026, "title": "Message undeliverable"}], "recipient_id": CUSTOMER});
    let line = line_of(&inbox, json!({"statuses": [failed]})).await;
    assert_eq!((&line["failedCode"], &line["MessagesFailed"]), (&json!("131026"), &json!(1)));
    assert_eq!((&line["wamid"], &line["StatusesReceived"]), (&json!("wamid.OUT"), &json!(1)));
    assert!(!line.to_string().contains(CUSTOMER), "{line}");
}

#[tokio::test]
async fn a_second_arrival_changes_nothing_and_nudges_only_what_still_waits() {
    let inbox = Inbox::new().await;
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    let first = message(&inbox.world, "wamid.A");
    inbox.world.clock.advance(Duration::from_secs(5));
    inbox.receive(json!({"messages": [text(&inbox.world, "wamid.A", "Altered")]})).await.unwrap();
    assert_eq!(message(&inbox.world, "wamid.A"), first);
    assert_eq!(inbox.nudges(), 2);
    until_due(&inbox.world, &first.id);
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: first.id }).await.unwrap();
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    assert_eq!(inbox.nudges(), 2);
}

#[tokio::test]
async fn an_element_that_fails_goes_back_alone_and_the_rest_is_recorded() {
    let inbox = Inbox::new().await;
    inbox.world.steps.fault_next("record_message", Fault::FailBefore);
    let messages = json!([inbox.text("wamid.A"), inbox.text("wamid.B"), inbox.text("wamid.C")]);
    let tally = inbox.receive(json!({ "messages": messages })).await.unwrap();
    assert_eq!(tally.messages, 2);
    let back = inbox.world.queues.take_inbound();
    assert_eq!((back.len(), back[0].delay), (1, ALONE_AFTER));
    inbox.take(&back[0].item).await.unwrap();
    assert_eq!(inbox.world.store.with(|t| t.messages.len()), 3);
    assert!(inbox.world.queues.inbound().is_empty());
}

#[tokio::test]
async fn when_everything_fails_the_parcel_goes_back_as_it_is() {
    let inbox = Inbox::new().await;
    for messages in [json!([inbox.text("wamid.A")]), json!([inbox.text("wamid.A"), inbox.text("wamid.B")])] {
        for _ in messages.as_array().unwrap() {
            inbox.world.steps.fault_next("record_message", Fault::FailBefore);
        }
        assert!(inbox.receive(json!({ "messages": messages })).await.is_err());
    }
    assert!(inbox.world.queues.inbound().is_empty());
}

#[tokio::test]
async fn what_cannot_go_back_alone_keeps_the_whole_parcel_on_the_queue() {
    let inbox = Inbox::new().await;
    inbox.world.steps.fault_next("record_message", Fault::FailBefore);
    inbox.world.steps.fault_next("send_inbound", Fault::FailBefore);
    let messages = json!([inbox.text("wamid.A"), inbox.text("wamid.B")]);
    assert!(inbox.receive(json!({ "messages": messages })).await.is_err());
}

#[tokio::test]
async fn reactions_edits_and_system_messages_get_no_answer() {
    let inbox = Inbox::new().await;
    let kinds = ["reaction", "edit", "revoke", "system", "unsupported", "something_new"];
    let messages: Vec<_> = kinds
        .iter()
        .map(|kind| json!({"from": CUSTOMER, "id": format!("wamid.{kind}"), "timestamp": "1795262400", "type": kind}))
        .collect();
    inbox.receive(json!({ "messages": messages })).await.unwrap();
    for kind in kinds {
        let answer = message(&inbox.world, &format!("wamid.{kind}")).answer;
        assert_eq!(answer, Some(Answer::None(NoAnswer::Type, None)), "{kind}");
    }
    assert_eq!(inbox.nudges(), 0);
}

#[tokio::test]
async fn a_group_gets_no_answer_and_a_conversation_of_its_own() {
    let inbox = Inbox::new().await;
    let mut in_group = inbox.text("wamid.G");
    in_group["group_id"] = "G1".into();
    inbox.receive(json!({"messages": [in_group, inbox.text("wamid.A")]})).await.unwrap();
    let (group, private) = (message(&inbox.world, "wamid.G"), message(&inbox.world, "wamid.A"));
    assert_eq!(group.answer, Some(Answer::None(NoAnswer::Type, None)));
    assert_ne!(group.conversation_id, private.conversation_id);
}

#[tokio::test]
async fn a_message_to_an_unknown_number_is_recorded_without_bot_and_answer() {
    let inbox = Inbox::new().await;
    inbox.world.store.with(|t| t.clients.clear());
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    let known = message(&inbox.world, "wamid.A");
    assert_eq!((known.bot_id, known.answer), (None, None));
    assert_eq!(inbox.nudges(), 0);
}

#[tokio::test]
async fn a_customer_who_changed_number_or_id_stays_one_conversation() {
    let inbox = Inbox::new().await;
    let from = |wamid: &str, phone: &str, user: &str| json!({"from": phone, "from_user_id": user, "id": wamid, "timestamp": "1795262400", "type": "text", "text": {"body": "x"}});
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    inbox.receive(json!({"messages": [from("wamid.B", CUSTOMER, "US.old")]})).await.unwrap();
    let renamed = json!({"from": CUSTOMER, "id": "wamid.S", "timestamp": "1795262400", "type": "system", "system": {
        "type": "user_changed_number", "wa_id": "15550100999", "user_id": "US.new", "previous_user_id": "US.old"}});
    inbox.receive(json!({ "messages": [renamed] })).await.unwrap();
    inbox.receive(json!({"messages": [from("wamid.C", "15550100999", "US.new")]})).await.unwrap();
    let first = message(&inbox.world, "wamid.A").conversation_id;
    for wamid in ["wamid.B", "wamid.S", "wamid.C"] {
        assert_eq!(message(&inbox.world, wamid).conversation_id, first, "{wamid}");
    }
}

#[tokio::test]
async fn a_system_message_does_not_open_the_window() {
    let inbox = Inbox::new().await;
    let system =
        json!({"from": CUSTOMER, "id": "wamid.S", "timestamp": "1795262400", "type": "system", "system": {}});
    inbox.receive(json!({ "messages": [system] })).await.unwrap();
    let id = message(&inbox.world, "wamid.S").conversation_id;
    assert_eq!(inbox.world.store.with(|t| t.conversations[&id].window_ends_at), None);
}

/// One element that no queue message holds.
fn large(inbox: &Inbox) -> (String, Vec<Parcel>) {
    let mut noise = String::new();
    while noise.len() < 1_500_000 {
        noise.push_str(&sha256(noise.get(noise.len().saturating_sub(64)..).unwrap_or_default().as_bytes()));
    }
    let body =
        webhook(&inbox.client.phone_number_id, json!({"messages": [text(&inbox.world, "wamid.L", &noise)]}));
    let parcels = pack(body.as_bytes(), inbox.world.clock.now());
    (body, parcels)
}

#[tokio::test]
async fn parts_in_any_order_and_twice_become_one_message_and_its_bytes_are_kept() {
    let inbox = Inbox::new().await;
    let (body, mut parcels) = large(&inbox);
    assert!(parcels.len() > 1);
    parcels.reverse();
    let last = parcels.pop().unwrap();
    for parcel in parcels.iter().chain(&parcels) {
        assert_eq!(inbox.take(parcel).await.unwrap(), Tally::default());
    }
    for _ in 0..2 {
        assert_eq!(inbox.take(&last).await.unwrap().messages, 1);
    }
    let known = message(&inbox.world, "wamid.L");
    let kept = stored_bytes(&inbox.world.store, &known.raw).await.unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        kept["entry"][0]["changes"][0]["value"]["messages"],
        sent["entry"][0]["changes"][0]["value"]["messages"]
    );
}

#[tokio::test]
async fn damaged_parts_are_kept_in_quarantine() {
    let inbox = Inbox::new().await;
    let (_, mut parcels) = large(&inbox);
    for parcel in &mut parcels {
        if let Content::Part { base64, .. } = &mut parcel.content {
            *base64 = STANDARD.encode("something else");
        }
        inbox.take(parcel).await.unwrap();
    }
    let received_at = inbox.world.clock.now();
    let header = PartHeader { name: "n".to_owned(), index: 0, count: 1 };
    let content = Content::Part { header, base64: "not base64!".to_owned() };
    inbox.take(&Parcel { content, received_at, silent: false }).await.unwrap();
    let mut reasons = inbox.quarantined();
    reasons.sort();
    assert_eq!(reasons, ["damaged_part", "damaged_parts"]);
}

#[tokio::test]
async fn what_nobody_understands_is_kept_whole_with_its_reason() {
    let inbox = Inbox::new().await;
    let phone = &inbox.client.phone_number_id;
    for (body, reason) in [
        ("nonsense".to_owned(), "not_a_webhook"),
        (json!({"object": "page", "entry": []}).to_string(), "foreign_object"),
        (webhook(phone, json!({"messages": [{"from": CUSTOMER, "type": "text"}]})), "no_id"),
        (webhook(phone, json!({"messages": [{"id": "wamid.X", "type": "text"}]})), "no_sender"),
        (webhook(phone, json!({"statuses": [{"id": "wamid.X"}]})), "no_state"),
        (
            webhook(phone, json!({"messages": [inbox.text("wamid.Y")]})).replace(phone.as_ref(), "?"),
            "no_phone_number_id",
        ),
    ] {
        for _ in 0..2 {
            let tally = inbox.take(&parcel(&inbox.world, body.clone())).await.unwrap();
            assert_eq!(tally.quarantined, 1, "{reason}");
        }
        let kept =
            inbox.world.store.with(|t| std::mem::take(&mut t.quarantine)).into_values().collect::<Vec<_>>();
        assert_eq!((kept.len(), kept[0].reason.as_str()), (1, reason));
        assert!(!stored_bytes(&inbox.world.store, &kept[0].raw).await.unwrap().is_empty());
    }
    assert!(inbox.world.store.with(|t| t.messages.is_empty()));
}

#[tokio::test]
async fn changes_of_other_fields_are_events_and_partner_added_names_the_business() {
    let inbox = Inbox::new().await;
    let added =
        json!({"event": "PARTNER_ADDED", "waba_info": {"waba_id": "228", "owner_business_id": "339"}});
    for _ in 0..2 {
        assert_eq!(
            inbox.change("account_update", added.clone()).await,
            Tally { other: 1, ..Tally::default() }
        );
    }
    inbox.change("a_field_of_tomorrow", json!({"x": 1})).await;
    let events: Vec<_> = inbox.world.store.with(|t| t.events.values().cloned().collect());
    assert_eq!(events.len(), 2);
    let added = events.iter().find(|event| event.kind == "account_update:PARTNER_ADDED").unwrap();
    assert_eq!((added.owner.as_str(), added.business_id.as_ref().map(AsRef::as_ref)), ("228", Some("339")));
    assert!(events.iter().any(|event| event.kind == "a_field_of_tomorrow" && event.owner == "999"));
}

#[tokio::test]
async fn a_status_of_a_message_sent_elsewhere_waits_under_its_wamid() {
    let inbox = Inbox::new().await;
    let foreign = json!([{"id": "wamid.E", "status": "read", "timestamp": "1795262400"}]);
    assert_eq!(inbox.receive(json!({ "statuses": foreign })).await.unwrap().statuses, 1);
    let wamid: Wamid = "wamid.E".parse().unwrap();
    let record = inbox.world.store.with(|t| t.wamids[&wamid].clone());
    assert!(record.points_to.is_none() && record.waiting.first("read").is_some());
}

#[tokio::test]
async fn a_status_that_does_not_fit_beside_its_message_is_an_event_and_its_fact_still_counts() {
    let inbox = Inbox::new().await;
    let status = |padding: usize| {
        json!({"id": "wamid.X", "status": "read", "timestamp": "1795000000", "recipient_id": CUSTOMER,
               "new": "x".repeat(padding)})
    };
    for _ in 0..2 {
        inbox.receive(json!({"statuses": [status(20_000), status(10)]})).await.unwrap();
    }
    let wamid: Wamid = "wamid.X".parse().unwrap();
    let (waiting, events) = inbox.world.store.with(|t| (t.wamids[&wamid].waiting.clone(), t.events.clone()));
    assert_eq!(waiting.times().len(), 1);
    let bodies: Vec<Value> = waiting.bodies().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["entry"][0]["changes"][0]["value"]["statuses"], json!([status(10)]));
    let large: Vec<_> = events.values().collect();
    assert_eq!((large.len(), large[0].kind.as_str()), (1, "messages.statuses"));
    let kept = stored_bytes(&inbox.world.store, &large[0].raw).await.unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&kept).unwrap()["entry"][0]["changes"][0]["value"]["statuses"],
        json!([status(20_000)])
    );
    assert_eq!(inbox.quarantined(), Vec::<String>::new());
}

#[tokio::test]
async fn a_message_with_half_an_emoji_or_a_number_beyond_all_bounds_is_a_message() {
    let inbox = Inbox::new().await;
    for (wamid, member) in [
        ("wamid.EMOJI", r#""text":{"body":"Hi \ud83d"}"#),
        ("wamid.NUMBER", r#""text":{"body":"Hi"},"new":1e999"#),
        ("wamid.DEEP", &format!(r#""text":{{"body":"Hi"}},"new":{}{}"#, "[".repeat(300), "]".repeat(300))),
        ("wamid.TWICE", r#""text":{"body":"Hi"},"new":1,"new":2"#),
    ] {
        let body = webhook(&inbox.client.phone_number_id, json!({"messages": ["HERE"]})).replace(
            "\"HERE\"",
            &format!(
                r#"{{"from":"{CUSTOMER}","id":"{wamid}","timestamp":"1795262400","type":"text",{member}}}"#
            ),
        );
        inbox.take(&parcel(&inbox.world, body.clone())).await.unwrap();
        let known = message(&inbox.world, wamid);
        assert!(matches!(known.answer, Some(Answer::Pending { .. })), "{wamid}");
        let kept = stored_bytes(&inbox.world.store, &known.raw).await.unwrap();
        assert!(String::from_utf8(kept).unwrap().contains(member), "{wamid}");
    }
    let content = crate::flows::content_of(&message(&inbox.world, "wamid.EMOJI"));
    assert_eq!(content["text"]["body"], "Hi \u{fffd}");
    assert_eq!(inbox.quarantined(), Vec::<String>::new());
}

#[tokio::test]
async fn a_status_before_the_end_of_its_send_and_one_after_it_both_reach_the_message() {
    for lost in [false, true] {
        let inbox = Inbox::new().await;
        inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
        if lost {
            inbox.world.steps.fault_next("send", Fault::CrashAfter);
        }
        let nudge = Nudge { message_id: "wamid.A".parse().unwrap() };
        until_due(&inbox.world, &nudge.message_id);
        assert_eq!(inbox.process.reply(&inbox.world).nudge(&nudge).await.is_err(), lost);
        inbox.world.steps.restart();
        let sent = inbox.world.graph.sent().remove(0);
        inbox.receive(json!({"statuses": [status(&inbox.world, &sent, "delivered")]})).await.unwrap();
        let id = MessageId::answer_to(&nudge.message_id);
        let answer = message(&inbox.world, id.as_ref());
        assert!(answer.statuses.first("delivered").is_some(), "lost: {lost}");
        assert_eq!(answer.wamid, Some(sent.wamid));
        assert_eq!(
            message(&inbox.world, "wamid.A").answer,
            Some(Answer::Answered(id)),
            "the status proves it"
        );
    }
}

#[tokio::test]
async fn a_status_that_names_another_numbers_message_does_not_touch_it() {
    let inbox = Inbox::new().await;
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    let nudge = Nudge { message_id: "wamid.A".parse().unwrap() };
    until_due(&inbox.world, &nudge.message_id);
    inbox.process.reply(&inbox.world).nudge(&nudge).await.unwrap();
    let sent = inbox.world.graph.sent().remove(0);
    let body = webhook(
        &"1170000000666".parse().unwrap(),
        json!({"statuses": [status(&inbox.world, &sent, "failed")]}),
    );
    inbox.take(&parcel(&inbox.world, body)).await.unwrap();
    let answer = message(&inbox.world, MessageId::answer_to(&nudge.message_id).as_ref());
    assert!(answer.statuses.is_empty());
}

#[tokio::test]
async fn kept_messages_go_when_the_settings_say_so() {
    let inbox = Inbox::new().await;
    let settings = Settings { burst: Duration::ZERO, retention: Some(Duration::from_secs(60)) };
    let ingest = Ingest { settings: &settings, ..inbox.process.ingest(&inbox.world) };
    let body = webhook(&inbox.client.phone_number_id, json!({"messages": [inbox.text("wamid.A")]}));
    ingest.parcel(&parcel(&inbox.world, body)).await.unwrap();
    let until = inbox.world.clock.now() + Duration::from_secs(60);
    assert_eq!(message(&inbox.world, "wamid.A").expires_at, Some(until));
}

#[tokio::test]
async fn a_failure_that_stops_the_client_pauses_it_and_an_old_or_another_one_does_not() {
    let failed = |code: i64, at: Timestamp| {
        json!({"statuses": [{"id": "wamid.X", "status": "failed", "timestamp": at.as_second().to_string(),
               "recipient_id": CUSTOMER, "errors": [{"code": code, "title": "Stopped"}]}]})
    };
    for (code, minutes, reason) in [
        (131_042, 0, Some(PauseReason::Payment)),
        (131_031, 14, Some(PauseReason::Locked)),
        (131_042, 16, None),
        (131_026, 0, None),
    ] {
        let inbox = Inbox::new().await;
        let at = inbox.world.clock.now();
        inbox.world.clock.advance(Duration::from_secs(60 * minutes));
        for _ in 0..2 {
            inbox.receive(failed(code, at)).await.unwrap();
        }
        let pause = inbox.world.store.with(|t| t.clients[&inbox.client.phone_number_id].pause);
        let expected = reason.map(|reason| Pause::after(None, reason, inbox.world.clock.now()));
        assert_eq!(pause, expected, "{code} after {minutes} minutes");
    }
}

#[tokio::test]
async fn a_failure_marks_its_recipient_but_no_group_for_its_members() {
    for (participant, code, unreachable, refuses) in [
        (None, 131_026, true, false),
        (None, 131_050, false, true),
        (Some("15550100130"), 131_026, false, false),
    ] {
        let inbox = Inbox::new().await;
        inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
        let question = message(&inbox.world, "wamid.A");
        let until = inbox.world.clock.now();
        let sending = Some(Sending::Intended { until });
        let id = "msg_0123456789abcdef0123456789abcdef".parse().unwrap();
        let sent = Message { id, wamid: None, origin: Origin::Api, answer: None, sending, ..question };
        inbox.world.store.begin_send(&sent).await.unwrap();
        let taken = SendOutcome::Accepted("wamid.OUT".parse().unwrap());
        inbox.world.store.finish_send(&sent.id, until, &taken).await.unwrap();
        let at = until + Duration::from_secs(5);
        let failed = json!({"id": "wamid.OUT", "status": "failed", "timestamp": at.as_second().to_string(),
            "recipient_id": CUSTOMER, "recipient_participant_id": participant,
            "errors": [{"code": code, "title": "Not to this customer"}]});
        inbox.receive(json!({"statuses": [failed]})).await.unwrap();
        let known = inbox.world.store.conversation(&sent.conversation_id).await.unwrap().unwrap();
        assert_eq!(
            (known.is_unreachable(), known.marks.refuses_marketing()),
            (unreachable, refuses),
            "{code}"
        );
    }
}

mod accounts;
mod chats;
mod customers;
mod templates;
