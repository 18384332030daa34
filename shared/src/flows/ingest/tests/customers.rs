//! Who a customer is, and what customers do that is no message.

use super::*;
use crate::domain::conversation::{Conversation, CustomerKey};
use crate::ports::ResolveCustomers;

impl Inbox {
    async fn told(&self, field: &str, list: Value) {
        let metadata = json!({"phone_number_id": self.client.phone_number_id});
        let contacts =
            json!([{"wa_id": CUSTOMER, "user_id": "US.a", "profile": {"name": "Ada", "username": "@ada"}}]);
        let tally =
            self.change(field, json!({"metadata": metadata, "contacts": contacts, field: list})).await;
        assert_eq!(tally, Tally { other: 1, ..Tally::default() });
    }

    /// The conversation with whoever goes by this name.
    async fn with(&self, name: &str) -> Option<Conversation> {
        let phone = &self.client.phone_number_id;
        let name = CustomerKey::try_from(name.to_owned()).unwrap();
        let customer = self.world.store.find_customer(phone, &name).await.unwrap()?;
        self.world.store.with(|t| t.conversations.get(&ConversationId::new(phone, &customer)).cloned())
    }
}

fn call(event: &str, direction: &str, at: i64) -> Value {
    json!([{"id": "wacid.1", "from": CUSTOMER, "event": event, "direction": direction, "timestamp": at.to_string()}])
}

fn wish(value: &str, at: i64) -> Value {
    json!([{"wa_id": CUSTOMER, "category": "marketing_messages", "value": value, "timestamp": at}])
}

#[tokio::test]
async fn a_customers_call_opens_the_window_and_a_business_call_or_its_end_does_not() {
    let inbox = Inbox::new().await;
    let now = inbox.world.clock.now();
    inbox.told("calls", call("connect", "BUSINESS_INITIATED", now.as_second())).await;
    inbox.told("calls", call("terminate", "USER_INITIATED", now.as_second())).await;
    assert!(inbox.with(CUSTOMER).await.is_none());
    for _ in 0..2 {
        inbox.told("calls", call("connect", "USER_INITIATED", now.as_second() - 60)).await;
    }
    let known = inbox.with("US.a").await.unwrap();
    let called_at = now - Duration::from_secs(60);
    assert_eq!(known.window_ends_at, Some(called_at + crate::domain::conversation::SERVICE_WINDOW));
    assert_eq!(known.customer.name.as_deref(), Some("Ada"));
    // A call out of the future is one of now.
    inbox.told("calls", call("connect", "USER_INITIATED", now.as_second() + 9999)).await;
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().last_message_at, now);
}

#[tokio::test]
async fn a_stop_and_a_resume_of_marketing_are_marked_by_their_own_time() {
    let inbox = Inbox::new().await;
    let now = inbox.world.clock.now().as_second();
    for (value, at, refuses) in [
        ("stop", now - 100, true),
        ("resume", now - 200, true),
        ("resume", now - 50, false),
        ("stop", now - 60, false),
        ("signup", now - 5, false),
        ("stop", now - 10, true),
        ("signup", now - 4, true),
    ] {
        inbox.told("user_preferences", wish(value, at)).await;
        let known = inbox.with("US.a").await.unwrap();
        assert_eq!(known.marks.refuses_marketing(), refuses, "{value} at {at}");
        assert_eq!(known.window_ends_at, None);
    }
    let events =
        inbox.world.store.with(|t| t.events.values().filter(|e| e.kind == "user_preferences").count());
    assert_eq!(events, 7, "and each is kept");
}

#[tokio::test]
async fn wishes_of_other_categories_and_at_strange_numbers_are_events_only() {
    let inbox = Inbox::new().await;
    let mut other = wish("stop", 1_795_000_000);
    other[0]["category"] = "something_new".into();
    inbox.told("user_preferences", other).await;
    assert!(inbox.with(CUSTOMER).await.is_none());
    let inbox = Inbox::new().await;
    inbox.world.store.with(|t| t.clients.clear());
    inbox.told("user_preferences", wish("stop", 1_795_000_000)).await;
    assert!(inbox.with(CUSTOMER).await.is_none());
}

#[tokio::test]
async fn after_a_change_of_number_the_history_tells_it_and_answers_go_to_the_new_one() {
    let inbox = Inbox::new().await;
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    inbox.world.clock.advance(Duration::from_secs(1));
    let at = inbox.world.clock.now().as_second().to_string();
    let changed = json!({"from": CUSTOMER, "id": "wamid.S", "timestamp": at, "type": "system", "system": {
        "type": "user_changed_number", "body": "changed", "wa_id": "15550100999", "user_id": "US.new"}});
    inbox.receive(json!({"messages": [changed]})).await.unwrap();
    for name in [CUSTOMER, "15550100999", "US.new"] {
        let known = inbox.with(name).await.unwrap();
        assert_eq!(known.id, message(&inbox.world, "wamid.S").conversation_id, "{name}");
        assert_eq!(known.customer.wa_id.unwrap().as_ref(), "15550100999");
    }
    assert_eq!(message(&inbox.world, "wamid.S").customer.wa_id.unwrap().as_ref(), CUSTOMER);
    let question = message(&inbox.world, "wamid.A");
    until_due(&inbox.world, &question.id);
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: question.id }).await.unwrap();
    assert_eq!(inbox.world.graph.sent()[0].message["to"], "15550100999");
}

#[tokio::test]
async fn a_new_id_without_a_phone_is_the_same_customer_by_message_or_by_field() {
    let inbox = Inbox::new().await;
    let at = inbox.world.clock.now().as_second().to_string();
    let from = |user: &str, id: &str| json!({"from_user_id": user, "id": id, "timestamp": at, "type": "text", "text": {"body": "x"}});
    inbox.receive(json!({"messages": [from("US.one", "wamid.1")]})).await.unwrap();
    let changed = json!({"from_user_id": "US.two", "id": "wamid.S", "timestamp": at, "type": "system", "system": {
        "type": "user_changed_user_id", "user_id": "US.two", "previous_user_id": "US.one"}});
    inbox.receive(json!({"messages": [changed]})).await.unwrap();
    let update = json!([{"detail": "changed", "user_id": {"previous": "US.two", "current": "US.three"}, "timestamp": at}]);
    inbox.told("user_id_update", update).await;
    inbox.receive(json!({"messages": [from("US.three", "wamid.3")]})).await.unwrap();
    for id in ["wamid.S", "wamid.3"] {
        let first = message(&inbox.world, "wamid.1").conversation_id;
        assert_eq!(message(&inbox.world, id).conversation_id, first, "{id}");
    }
}

#[tokio::test]
async fn who_tells_the_number_when_asked_is_found_by_it_and_a_passed_on_card_links_nobody() {
    let inbox = Inbox::new().await;
    let card = |id: &str, origin: &str, phone: &str| {
        json!({"from_user_id": "US.shy", "id": id, "timestamp": "1795000000", "type": "contacts",
        "contacts": [{"origin": origin, "name": {"formatted_name": "Shy"}, "phones": [{"wa_id": phone}]}]})
    };
    inbox.receive(json!({"messages": [card("wamid.1", "other", "15550100555")]})).await.unwrap();
    assert!(inbox.with("15550100555").await.is_none());
    inbox.receive(json!({"messages": [card("wamid.2", "contact_request", "15550100556")]})).await.unwrap();
    let known = inbox.with("15550100556").await.unwrap();
    assert_eq!(known.id, message(&inbox.world, "wamid.2").conversation_id);
    assert_eq!((known.customer.bsuid.unwrap().as_ref(), known.customer.wa_id), ("US.shy", None));
}

#[tokio::test]
async fn usernames_and_parent_ids_are_kept_with_the_customer() {
    let inbox = Inbox::new().await;
    let message_of = json!({"from_user_id": "US.a", "from_parent_user_id": "US.ENT.p", "id": "wamid.A", "timestamp": "1795000000", "type": "text"});
    let contacts = json!([{"user_id": "US.other", "profile": {"name": "Other", "username": "other"}},
        {"user_id": "US.a", "profile": {"name": "Ada", "username": "@ada"}}]);
    inbox.receive(json!({"messages": [message_of], "contacts": contacts})).await.unwrap();
    let known = message(&inbox.world, "wamid.A").customer;
    assert_eq!((known.username.as_deref(), known.name.as_deref()), (Some("ada"), Some("Ada")));
    assert_eq!(known.parent_bsuid.as_ref().map(AsRef::as_ref), Some("US.ENT.p"));
    assert!(!format!("{known:?}").contains("da\""), "{known:?}");
    assert_eq!(inbox.with("US.a").await.unwrap().customer, known);
}

#[tokio::test]
async fn a_username_stays_with_the_conversation_when_the_business_writes_or_a_webhook_leaves_it_out() {
    let inbox = Inbox::new().await;
    let now = inbox.world.clock.now().as_second();
    let text = |id: &str, at: i64| json!({"from": CUSTOMER, "from_user_id": "US.a", "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": "x"}});
    let contacts =
        json!([{"wa_id": CUSTOMER, "user_id": "US.a", "profile": {"name": "Ada", "username": "@ada"}}]);
    inbox.receive(json!({"messages": [text("wamid.A", now - 9)], "contacts": contacts})).await.unwrap();
    let known = inbox.with(CUSTOMER).await.unwrap().customer;
    let echo = json!({"from": "15550001111", "to": CUSTOMER, "id": "wamid.E", "timestamp": (now - 8).to_string(), "type": "text", "text": {"body": "y"}});
    let metadata = json!({"phone_number_id": inbox.client.phone_number_id});
    inbox.change("smb_message_echoes", json!({"metadata": metadata, "message_echoes": [echo]})).await;
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().customer, known, "after an echo");
    inbox.receive(json!({"messages": [text("wamid.B", now - 7)]})).await.unwrap();
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().customer, known, "after a message without contacts");
    let question = message(&inbox.world, "wamid.B");
    until_due(&inbox.world, &question.id);
    inbox.world.clock.advance(Duration::from_secs(7200));
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: question.id }).await.unwrap();
    assert_eq!(inbox.world.graph.sent().len(), 1);
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().customer, known, "after an answer");
}

#[tokio::test]
async fn the_bots_answer_to_who_came_from_an_ad_opens_three_free_days_and_no_other_message_does() {
    let inbox = Inbox::new().await;
    inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().referred_at, None);
    let mut referred = inbox.text("wamid.B");
    referred["referral"] = json!({"source_type": "ad", "source_id": "120"});
    let metadata = json!({"phone_number_id": inbox.client.phone_number_id});
    let another_agents = json!({"metadata": metadata, "standby": {"messages": [referred]}});
    inbox.change("standby", another_agents).await;
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().referred_at, None, "what another agent deals with");
    referred["id"] = json!("wamid.C");
    inbox.receive(json!({"messages": [referred]})).await.unwrap();
    let question = message(&inbox.world, "wamid.C");
    let known = inbox.with(CUSTOMER).await.unwrap();
    assert_eq!((known.referred_at, known.free_until), (Some(question.at), None));
    until_due(&inbox.world, &question.id);
    inbox.process.reply(&inbox.world).nudge(&Nudge { message_id: question.id }).await.unwrap();
    let sent =
        inbox.world.store.with(|t| t.messages.values().find(|m| m.origin == Origin::Bot).cloned().unwrap());
    let free_until = sent.at + crate::domain::conversation::FREE_ENTRY_POINT;
    assert_eq!(inbox.with(CUSTOMER).await.unwrap().free_until, Some(free_until));
}
