//! What template events do.

use super::*;
use crate::domain::template::{DELETED, Template};

impl Inbox {
    /// A change of a template field, at so many seconds after the client was made.
    async fn template_event(&self, seconds: i64, field: &str, told: Value) {
        let mut value = json!({"message_template_id": 1_048_837_720_195_533_i64,
            "message_template_name": "pickup_ready", "message_template_language": "en_US"});
        value.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        let entry = json!({"id": self.client.waba_id, "time": self.client.signed_up_at.as_second() + seconds,
            "changes": [{"field": field, "value": value}]});
        let body = json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string();
        self.world.clock.set(self.client.signed_up_at + Duration::from_secs(1000));
        let tally = self.take(&parcel(&self.world, body)).await.unwrap();
        assert_eq!(tally, Tally { other: 1, ..Tally::default() });
    }

    fn template(&self) -> Template {
        self.world.store.with(|t| t.templates.values().next().cloned()).expect("it is known")
    }
}

fn event(name: &str) -> Value {
    json!({"event": name, "reason": "NONE"})
}

const STATUS: &str = "message_template_status_update";

#[tokio::test]
async fn an_unknown_template_becomes_known_and_its_list_is_asked_for() {
    let inbox = Inbox::new().await;
    inbox.template_event(10, STATUS, event("APPROVED")).await;
    let it = inbox.template();
    assert_eq!(
        (it.name.as_ref(), it.language.as_str(), &it.waba_id),
        ("pickup_ready", "en_US", &inbox.client.waba_id)
    );
    assert!(it.has_status("APPROVED") && it.content.is_none());
    let due = inbox.world.store.with(|t| t.template_syncs[&inbox.client.waba_id].due_at);
    assert_eq!(due, Some(inbox.world.clock.now()));
    assert_eq!(inbox.world.store.with(|t| t.events.len()), 1, "the event is kept, too");
}

#[tokio::test]
async fn the_newest_event_of_each_kind_counts_whatever_comes_last() {
    let inbox = Inbox::new().await;
    inbox.template_event(30, STATUS, event("PAUSED")).await;
    inbox.template_event(10, STATUS, event("APPROVED")).await;
    let quality = |score: &str| json!({"previous_quality_score": "UNKNOWN", "new_quality_score": score});
    inbox.template_event(40, "message_template_quality_update", quality("RED")).await;
    inbox.template_event(20, "message_template_quality_update", quality("GREEN")).await;
    let category = json!({"category": "UTILITY", "correct_category": "MARKETING"});
    inbox.template_event(25, "template_correct_category_detection", category).await;
    let it = inbox.template();
    assert!(it.has_status("PAUSED") && it.has_category("UTILITY"));
    assert_eq!(it.quality.unwrap().is, "RED");
    assert_eq!(it.category.unwrap().is.coming.unwrap().word, "MARKETING");
    inbox.template_event(5, STATUS, event(DELETED)).await;
    assert!(inbox.template().has_status(DELETED), "that is final");
}

#[tokio::test]
async fn changed_texts_are_noted_and_the_list_is_read_for_the_rest() {
    let inbox = Inbox::new().await;
    let told = json!({"message_template_element": "Your parcel {{1}} waits.", "message_template_footer": "Open 8 to 20"});
    inbox.template_event(10, "message_template_components_update", told.clone()).await;
    let texts = json!([{"type": "BODY", "text": "Your parcel {{1}} waits."}, {"type": "FOOTER", "text": "Open 8 to 20"}]);
    assert_eq!(inbox.template().content.unwrap().is.components, texts);
    inbox.world.store.with(|t| t.template_syncs.clear());
    inbox.template_event(10, "message_template_components_update", told).await;
    assert_eq!(inbox.world.store.with(|t| t.template_syncs.len()), 1, "at a repetition, too");
}

#[tokio::test]
async fn an_event_that_names_no_template_is_only_kept() {
    let inbox = Inbox::new().await;
    let value = json!({"event": "APPROVED", "message_template_id": null});
    inbox.template_event(10, STATUS, value).await;
    assert!(inbox.world.store.with(|t| t.templates.is_empty() && t.events.len() == 1));
}
