//! Messages that are not a customer's live words: echoes, histories, and what another agent deals with.

use super::*;
use crate::domain::message::Origin;
use crate::ports::ListMessages;

const OWN: &str = "15550100199";

/// A text from `from` to `to`, where one is named.
fn said(id: &str, from: &str, to: Option<&str>, at: i64) -> Value {
    let mut said =
        json!({"from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": id}});
    if let Some(to) = to {
        said["to"] = to.into();
    }
    said
}

fn thread(messages: &[Value]) -> Value {
    json!([{"metadata": {"phase": 1, "chunk_order": 1, "progress": 50},
        "threads": [{"id": CUSTOMER, "context": {"wa_id": CUSTOMER, "user_id": "US.a", "username": "@ada"}, "messages": messages}]}])
}

impl Inbox {
    /// A change of another field, of this client's number.
    async fn chat(&self, field: &str, mut value: Value) -> Tally {
        value["metadata"] = json!({"display_phone_number": "+1 555-010-0199", "phone_number_id": self.client.phone_number_id});
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "228", "changes": [{"value": value, "field": field}]}]});
        self.take(&parcel(&self.world, body.to_string())).await.unwrap()
    }

    fn conversation(&self, wamid: &str) -> crate::domain::conversation::Conversation {
        let id = message(&self.world, wamid).conversation_id;
        self.world.store.with(|t| t.conversations[&id].clone())
    }

    fn now(&self) -> i64 {
        self.world.clock.now().as_second()
    }

    fn events(&self) -> Vec<String> {
        self.world.store.with(|t| t.events.values().map(|event| event.kind.clone()).collect())
    }
}

#[tokio::test]
async fn what_the_owner_writes_in_the_app_is_recorded_and_silences_the_bot_for_an_hour() {
    let inbox = Inbox::new().await;
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    let window = inbox.conversation("wamid.A").window_ends_at;
    inbox.world.clock.advance(Duration::from_secs(1));
    let echo = said("wamid.E", OWN, Some(CUSTOMER), inbox.now());
    for _ in 0..2 {
        assert_eq!(inbox.chat("smb_message_echoes", json!({"message_echoes": [echo]})).await.messages, 1);
    }
    let (known, conversation) = (message(&inbox.world, "wamid.E"), inbox.conversation("wamid.E"));
    assert_eq!((known.origin, known.answer.clone(), &known.sending), (Origin::App, None, &None));
    assert_eq!(crate::flows::content_of(&known), echo);
    assert_eq!(known.conversation_id, message(&inbox.world, "wamid.A").conversation_id);
    assert_eq!((conversation.window_ends_at, conversation.last_message_at), (window, known.at));
    assert_eq!(conversation.paused_until, Some(known.at + Duration::from_secs(3600)));
    let question = message(&inbox.world, "wamid.A");
    until_due(&inbox.world, &question.id);
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: question.id }).await.unwrap();
    let answer = message(&inbox.world, "wamid.A").answer;
    assert_eq!(answer, Some(Answer::None(NoAnswer::Human, None)));
    assert!(inbox.world.graph.sent().is_empty());
}

#[tokio::test]
async fn after_the_pause_the_bot_answers_again_and_an_older_echo_does_not_shorten_it() {
    let inbox = Inbox::new().await;
    let at = inbox.now();
    for (id, at) in [("wamid.E1", at), ("wamid.E0", at - 600)] {
        let echo = said(id, OWN, Some(CUSTOMER), at);
        inbox.chat("smb_message_echoes", json!({"message_echoes": [echo]})).await;
    }
    let paused_until = inbox.conversation("wamid.E1").paused_until.unwrap();
    assert_eq!(paused_until.as_second(), at + 3600);
    inbox.world.clock.set(paused_until);
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    let question = message(&inbox.world, "wamid.A");
    until_due(&inbox.world, &question.id);
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: question.id }).await.unwrap();
    assert!(matches!(message(&inbox.world, "wamid.A").answer, Some(Answer::Answered(_))));
}

#[tokio::test]
async fn another_apps_message_is_recorded_and_pauses_nothing() {
    let inbox = Inbox::new().await;
    let echo = said("wamid.O", OWN, Some(CUSTOMER), inbox.now());
    inbox.chat("message_echoes", json!({"message_echoes": [echo]})).await;
    let known = message(&inbox.world, "wamid.O");
    assert_eq!((known.origin, known.answer), (Origin::OtherApp, None));
    let conversation = inbox.conversation("wamid.O");
    assert_eq!((conversation.paused_until, conversation.window_ends_at), (None, None));
}

#[tokio::test]
async fn a_history_fills_the_conversation_in_both_directions_and_opens_answers_and_touches_nothing() {
    let inbox = Inbox::new().await;
    let old = inbox.now() - 3600;
    let messages = [
        said("wamid.H1", CUSTOMER, None, old),
        said("wamid.H2", OWN, Some(CUSTOMER), old + 1),
        said("wamid.H3", OWN, None, old + 2),
        json!({"from_user_id": "US.a", "id": "wamid.H4", "timestamp": (old + 3).to_string(), "type": "media_placeholder",
               "history_context": {"status": "PLAYED"}}),
    ];
    let tally = inbox.chat("history", json!({"history": thread(&messages)})).await;
    assert_eq!(tally, Tally { messages: 4, ..Tally::default() });
    let not_live = Some(Answer::None(NoAnswer::NotLive, None));
    for (id, origin, answer) in [
        ("wamid.H1", Origin::HistoryIn, &not_live),
        ("wamid.H2", Origin::HistoryOut, &None),
        ("wamid.H3", Origin::HistoryOut, &None),
        ("wamid.H4", Origin::HistoryIn, &not_live),
    ] {
        let known = message(&inbox.world, id);
        assert_eq!((known.origin, &known.answer), (origin, answer), "{id}");
        assert_eq!(known.customer.wa_id.as_ref().map(AsRef::as_ref), Some(CUSTOMER), "{id}");
        assert_eq!(known.customer.username.as_deref(), Some("ada"), "{id}");
        assert_eq!(known.conversation_id, message(&inbox.world, "wamid.H1").conversation_id, "{id}");
    }
    let content = crate::flows::content_of(&message(&inbox.world, "wamid.H4"));
    assert_eq!(content["history_context"]["status"], "PLAYED");
    let conversation = inbox.conversation("wamid.H1");
    assert_eq!((conversation.window_ends_at, conversation.paused_until), (None, None));
    assert_eq!(conversation.last_message_at.as_second(), old + 3);
    let client = inbox.world.store.with(|t| t.clients[&inbox.client.phone_number_id].clone());
    assert_eq!((client.last_message_at, inbox.nudges()), (None, 0));
}

#[tokio::test]
async fn a_live_message_is_answered_whether_a_history_brings_it_before_or_after() {
    for history_first in [true, false] {
        let inbox = Inbox::new().await;
        let live = inbox.text("wamid.A");
        let history = json!({"history": thread(std::slice::from_ref(&live))});
        if history_first {
            inbox.chat("history", history.clone()).await;
            assert_eq!(inbox.nudges(), 0);
        }
        inbox.receive(json!({"messages": [live]})).await.unwrap();
        inbox.chat("history", history).await;
        let known = message(&inbox.world, "wamid.A");
        assert_eq!((known.origin, inbox.nudges()), (Origin::Customer, 1), "history first: {history_first}");
        assert!(matches!(known.answer, Some(Answer::Pending { .. })));
        assert!(inbox.conversation("wamid.A").window_ends_at.is_some());
    }
}

#[tokio::test]
async fn a_medium_takes_the_place_of_its_placeholder_and_never_the_other_way_round() {
    let inbox = Inbox::new().await;
    let placeholder =
        json!({"from": CUSTOMER, "id": "wamid.M", "timestamp": "1795000000", "type": "media_placeholder"});
    let mut medium = placeholder.clone();
    medium["type"] = "image".into();
    medium["image"] = json!({"id": "77"});
    inbox.chat("history", json!({"history": thread(std::slice::from_ref(&placeholder))})).await;
    inbox
        .chat(
            "history",
            json!({"messages": [medium], "contacts": [{"wa_id": CUSTOMER, "profile": {"name": "Ada"}}]}),
        )
        .await;
    inbox.chat("history", json!({"history": thread(&[placeholder])})).await;
    let known = message(&inbox.world, "wamid.M");
    assert_eq!((known.kind.as_str(), known.origin), ("image", Origin::HistoryIn));
    assert_eq!(
        (known.customer.name.as_deref(), known.answer),
        (Some("Ada"), Some(Answer::None(NoAnswer::NotLive, None)))
    );
}

#[tokio::test]
async fn a_declined_history_is_an_event_and_one_that_holds_both_is_kept_whole_beside_its_messages() {
    let inbox = Inbox::new().await;
    let declined = json!([{"errors": [{"code": 2_593_109, "title": "Declined"}]}]);
    assert_eq!(
        inbox.chat("history", json!({"history": declined})).await,
        Tally { other: 1, ..Tally::default() }
    );
    let mut both = thread(&[said("wamid.H", CUSTOMER, None, inbox.now())]);
    both.as_array_mut().unwrap().push(json!({"errors": [{"code": 131_000}]}));
    let tally = inbox.chat("history", json!({"history": both})).await;
    assert_eq!(tally, Tally { messages: 1, other: 1, ..Tally::default() });
    assert_eq!((inbox.events(), inbox.quarantined()), (vec!["history".to_owned(); 2], Vec::<String>::new()));
}

#[tokio::test]
async fn a_long_history_goes_back_in_portions_and_loses_nothing() {
    let inbox = Inbox::new().await;
    let messages: Vec<Value> =
        (0..600).map(|n| said(&format!("wamid.{n}"), CUSTOMER, None, 1_795_000_000 + n)).collect();
    let mut history = thread(&messages);
    history.as_array_mut().unwrap().push(json!({"errors": [{"code": 131_000}]}));
    let tally = inbox.chat("history", json!({ "history": history })).await;
    assert_eq!(tally, Tally { other: 1, ..Tally::default() }, "what says more is an event at once");
    let mut counted = 0;
    let portions = inbox.world.queues.take_inbound();
    assert_eq!(portions.len(), 3);
    for portion in portions {
        counted += inbox.take(&portion.item).await.unwrap().messages;
    }
    assert_eq!((counted, inbox.world.store.with(|t| t.messages.len())), (600, 600));
    assert!(inbox.world.queues.inbound().is_empty());
}

#[tokio::test]
async fn what_another_agent_deals_with_is_read_only() {
    let inbox = Inbox::new().await;
    let echo = json!({"id": "wamid.E", "timestamp": inbox.now().to_string(),
        "message": {"messaging_product": "whatsapp", "to": CUSTOMER, "type": "text", "text": {"body": "Hi"}}});
    let standby = json!({
        "contacts": [{"wa_id": CUSTOMER, "user_id": "US.a"}],
        "messages": [inbox.text("wamid.S")],
        "message_echoes": [echo],
        "statuses": [{"id": "wamid.E", "status": "delivered", "timestamp": "1795000000"}],
    });
    let tally = inbox.chat("standby", json!({"standby": standby})).await;
    assert_eq!(tally, Tally { messages: 2, statuses: 1, ..Tally::default() });
    let (asked, told) = (message(&inbox.world, "wamid.S"), message(&inbox.world, "wamid.E"));
    assert_eq!((asked.origin, told.origin), (Origin::StandbyIn, Origin::StandbyOut));
    assert_eq!((asked.answer, told.answer.clone()), (Some(Answer::None(NoAnswer::NotLive, None)), None));
    assert_eq!(crate::flows::content_of(&told)["text"]["body"], "Hi");
    assert_eq!(asked.conversation_id, told.conversation_id);
    let conversation = inbox.conversation("wamid.S");
    assert_eq!((conversation.window_ends_at, inbox.nudges()), (None, 0));
    let listing = crate::ports::Listing::Conversation(told.conversation_id);
    let page = inbox.world.store.list_messages(&listing, None, None, None, 9).await.unwrap();
    assert_eq!(page.items.len(), 2);
}

#[tokio::test]
async fn an_echo_without_a_recipient_or_a_number_is_kept_in_quarantine() {
    let inbox = Inbox::new().await;
    let lost = said("wamid.E", OWN, None, inbox.now());
    assert_eq!(inbox.chat("smb_message_echoes", json!({"message_echoes": [lost]})).await.quarantined, 1);
    let echo = said("wamid.F", OWN, Some(CUSTOMER), inbox.now());
    assert_eq!(inbox.change("smb_message_echoes", json!({"message_echoes": [echo]})).await.quarantined, 1);
    assert_eq!(inbox.quarantined().len(), 2);
}
