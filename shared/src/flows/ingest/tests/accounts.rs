//! What the account's events do to its clients.

use super::*;
use crate::domain::client::ClientStatus;

impl Inbox {
    /// A change of the client's account, at so many seconds after the client was made.
    async fn account_event(&self, seconds: i64, field: &str, value: Value) {
        let entry = json!({"id": self.client.waba_id, "time": self.client.signed_up_at.as_second() + seconds,
            "changes": [{"field": field, "value": value}]});
        let body = json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string();
        self.world.clock.set(self.client.signed_up_at + Duration::from_secs(1000));
        let tally = self.take(&parcel(&self.world, body)).await.unwrap();
        assert_eq!(tally, Tally { other: 1, ..Tally::default() });
    }

    fn known(&self) -> Client {
        self.world.store.with(|t| t.clients[&self.client.phone_number_id].clone())
    }

    fn offboardings(&self) -> usize {
        self.world.store.with(|t| t.offboardings.len())
    }
}

fn event(name: &str) -> Value {
    json!({"event": name})
}

fn ban(state: &str) -> Value {
    json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state, "waba_ban_date": "March 3, 2027"}})
}

#[tokio::test]
async fn a_ban_suspends_and_a_reinstatement_resumes_whatever_comes_last() {
    let inbox = Inbox::new().await;
    inbox.account_event(10, "account_update", ban("SCHEDULE_FOR_DISABLE")).await;
    assert_eq!(inbox.known().status(), ClientStatus::Active, "only announced");
    inbox.account_event(20, "account_update", ban("DISABLE")).await;
    assert_eq!(inbox.known().status_reason().map(|(reason, _)| reason), Some("banned"));
    assert_eq!(inbox.known().status(), ClientStatus::Suspended);
    inbox.account_event(30, "account_update", ban("REINSTATE")).await;
    inbox.account_event(20, "account_update", ban("DISABLE")).await;
    assert_eq!(inbox.known().status(), ClientStatus::Active, "the older event came late");
    assert_eq!(inbox.offboardings(), 0);
}

#[tokio::test]
async fn a_device_change_pauses_until_the_number_is_reconnected() {
    let inbox = Inbox::new().await;
    inbox.account_event(10, "account_update", event("ACCOUNT_OFFBOARDED")).await;
    assert_eq!(inbox.known().status_reason().map(|(reason, _)| reason), Some("disconnected"));
    assert_eq!(inbox.offboardings(), 0, "nothing is taken back");
    inbox.account_event(70, "account_update", event("ACCOUNT_RECONNECTED")).await;
    assert_eq!(inbox.known().status(), ClientStatus::Active);
}

#[tokio::test]
async fn whoever_leaves_is_inactive_and_is_off_boarded_once() {
    for name in ["PARTNER_REMOVED", "PARTNER_APP_UNINSTALLED", "ACCOUNT_DELETED"] {
        let inbox = Inbox::new().await;
        let mut value = event(name);
        value["waba_info"] = json!({"waba_id": inbox.client.waba_id, "owner_business_id": "1"});
        for _ in 0..3 {
            // The entry is the partner's own portfolio; the value names the account.
            let entry = json!({"id": "905512348877031", "time": inbox.client.signed_up_at.as_second() + 5,
                "changes": [{"field": "account_update", "value": value}]});
            let body = json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string();
            inbox.world.clock.advance(Duration::from_secs(10));
            inbox.take(&parcel(&inbox.world, body)).await.unwrap();
        }
        assert_eq!((inbox.known().status(), inbox.offboardings()), (ClientStatus::Inactive, 1), "{name}");
    }
}

#[tokio::test]
async fn a_removed_clients_messages_are_kept_and_not_answered() {
    let inbox = Inbox::new().await;
    inbox.account_event(5, "account_update", event("PARTNER_REMOVED")).await;
    inbox.receive(json!({"messages": [inbox.text("wamid.LATE")]})).await.unwrap();
    for delayed in inbox.world.queues.take_answers() {
        until_due(&inbox.world, &delayed.item.message_id);
        inbox.process.reply(&inbox.world).nudge(&delayed.item).await.unwrap();
    }
    let known = message(&inbox.world, "wamid.LATE");
    assert_eq!(known.answer, Some(Answer::None(NoAnswer::ClientInactive, None)));
    assert_eq!(inbox.world.graph.sent(), []);
}

#[tokio::test]
async fn who_may_not_write_first_still_answers_and_who_may_not_answer_does_not() {
    for (kind, answered) in
        [("RESTRICTED_BIZ_INITIATED_MESSAGING", 1), ("RESTRICTED_CUSTOMER_INITIATED_MESSAGING", 0)]
    {
        let inbox = Inbox::new().await;
        let until = inbox.client.signed_up_at.as_second() + 9000;
        let info = json!([{"restriction_type": kind, "expiration": until}]);
        let value = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": info});
        inbox.account_event(5, "account_update", value).await;
        assert_eq!(inbox.known().status(), ClientStatus::Active);
        inbox.receive(json!({"messages": [inbox.text("wamid.A")]})).await.unwrap();
        for delayed in inbox.world.queues.take_answers() {
            until_due(&inbox.world, &delayed.item.message_id);
            inbox.process.reply(&inbox.world).nudge(&delayed.item).await.unwrap();
        }
        assert_eq!(inbox.world.graph.sent().len(), answered, "{kind}");
    }
}

#[tokio::test]
async fn an_event_from_before_the_signup_does_nothing() {
    let inbox = Inbox::new().await;
    inbox.account_event(-60, "account_update", event("PARTNER_REMOVED")).await;
    inbox.account_event(-60, "account_update", ban("DISABLE")).await;
    assert_eq!((inbox.known().status(), inbox.offboardings()), (ClientStatus::Active, 0));
}

#[tokio::test]
async fn an_event_from_the_future_counts_from_its_arrival() {
    let inbox = Inbox::new().await;
    inbox.account_event(500_000, "account_update", event("ACCOUNT_OFFBOARDED")).await;
    inbox.world.clock.advance(Duration::from_secs(60));
    let noted = inbox.known().status_reason().unwrap().1;
    assert_eq!(noted, inbox.client.signed_up_at + Duration::from_secs(1000));
}

#[tokio::test]
async fn limits_quality_and_names_are_those_of_the_number_that_is_named() {
    let inbox = Inbox::new().await;
    inbox.world.store.with(|t| {
        let mut other = t.clients[&inbox.client.phone_number_id].clone();
        other.phone_number_id = "117000000000099".parse().unwrap();
        other.display_phone_number = Some("+1 212-555-0199".to_owned());
        let first = t.clients.get_mut(&inbox.client.phone_number_id).unwrap();
        first.display_phone_number = Some("+1 212-555-0100".to_owned());
        first.verified_name = Some("Old name".to_owned());
        t.clients.insert(other.phone_number_id.clone(), other);
    });
    let number = |mut value: Value| {
        value["display_phone_number"] = "12125550100".into();
        value
    };
    let quality = number(json!({"event": "FLAGGED", "current_limit": "TIER_1K"}));
    inbox.account_event(10, "phone_number_quality_update", quality).await;
    let name = |decision: &str, name: &str| {
        number(json!({"decision": decision, "requested_verified_name": name, "rejection_reason": null}))
    };
    inbox.account_event(20, "phone_number_name_update", name("APPROVED", "Corner Bakery")).await;
    let known = inbox.known();
    assert_eq!(
        (known.quality_rating(), known.messaging_limit(), known.verified_name()),
        (Some("RED"), Some("TIER_1K"), Some("Corner Bakery"))
    );
    inbox.account_event(30, "phone_number_name_update", name("REJECTED", "!!!")).await;
    assert_eq!(inbox.known().verified_name(), Some("Old name"), "what was rejected is not shown");
    let other =
        inbox.world.store.with(|t| t.clients.values().find(|c| c.account.all().count() == 0).cloned());
    assert_eq!(other.unwrap().phone_number_id.as_ref(), "117000000000099");
    let limit = json!({"max_daily_conversations_per_business": 2000});
    inbox.account_event(40, "business_capability_update", limit).await;
    let limits = inbox
        .world
        .store
        .with(|t| t.clients.values().map(|c| c.messaging_limit().map(str::to_owned)).collect::<Vec<_>>());
    assert_eq!(limits, vec![Some("TIER_2K".to_owned()); 2]);
}

#[tokio::test]
async fn an_account_that_is_not_ours_changes_nobody() {
    let inbox = Inbox::new().await;
    inbox.change("account_update", event("PARTNER_REMOVED")).await;
    assert_eq!((inbox.known(), inbox.offboardings()), (inbox.client.clone(), 0));
}

#[test]
fn numbers_are_the_same_however_a_country_writes_them() {
    use crate::flows::ingest::accounts::is_same_number;
    assert!(is_same_number("12125550100", "12125550100"));
    assert!(is_same_number("5215512345678", "525512345678"), "Mexico");
    assert!(is_same_number("5511987654321", "551187654321"), "Brazil");
    assert!(!is_same_number("12125550100", "12125550101"));
    assert!(!is_same_number("4915512345678", "525512345678"), "other countries");
    assert!(!is_same_number("", "12125550100"));
}
