//! Choices outside the window, and consent to marketing.

use shared::domain::conversation::RecipientMark;
use shared::domain::template::{Category, DELETED, Fact, Source, Status};
use shared::flows::templates::{Told, note};
use shared::ports::MarkRecipients;

use super::*;

impl Desk {
    /// A template of the client's account.
    async fn knows(&self, id: u32, name: &str, status: &str, category: &str) {
        let facts = [
            (Source::Shown, Fact::Status(Status::of(status))),
            (Source::Shown, Fact::Category(Category { word: category.to_owned(), coming: None })),
        ];
        let (id, name) = (id.to_string().parse().unwrap(), name.parse().unwrap());
        let at = self.world.clock.now();
        let waba = &self.client.waba_id;
        let told = Told { waba, id: &id, name: &name, language: "en", at, facts: &facts };
        note(&self.world.store, &told, at).await.unwrap();
    }

    /// Meta said this of the customer.
    async fn marked(&self, mark: RecipientMark) {
        let names = CustomerNames { wa_id: CUSTOMER.parse().ok(), ..CustomerNames::default() };
        let phone = &self.client.phone_number_id;
        let key = self.world.store.resolve_customer(phone, &names).await.unwrap();
        let (id, at) = (ConversationId::new(phone, &key), self.world.clock.now());
        let by = TouchedBy::About;
        let contact = ConversationTouch { id, bot_id: bot(), customer: names, at, by };
        self.world.store.mark_recipient(&contact, mark).await.unwrap();
    }
}

fn send(name: &str, language: &str) -> Sample {
    plain(&json!({"botId": "demo-bakery", "to": CUSTOMER, "type": "template",
                  "template": {"name": name, "language": {"code": language}}}))
}

#[tokio::test]
async fn outside_the_window_approved_templates_are_offered_whoever_says_so() {
    let desk = Desk::new().await;
    for (id, name, status) in
        [(1, "ready", "APPROVED"), (2, "paused", "PAUSED"), (3, "gone", DELETED), (4, "news", "APPROVED")]
    {
        desk.knows(id, name, status, "UTILITY").await;
    }
    let choice = |name: &str| json!({"name": name, "language": "en", "category": "UTILITY"});
    let choices = json!([choice("ready"), choice("news")]);
    desk.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_047, "Re-engagement")));
    let (status, by_meta) = answered(desk.send(&keyed("k", "Hi")).await);
    assert_eq!((status, &by_meta["choices"], &by_meta["meta"]["code"]), (409, &choices, &json!(131_047)));
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await).1, by_meta, "the answer of its key");
    desk.window_ends(desk.world.clock.now()).await;
    let (status, by_us) = answered(desk.send(&plain(&text("Hi"))).await);
    assert_eq!((status, &by_us["code"], &by_us["choices"]), (409, &json!("window_closed"), &choices));
}

#[tokio::test]
async fn twenty_are_offered_at_most_and_without_our_records_none() {
    let desk = Desk::new().await;
    for id in 0..150 {
        let status = if id < 105 { "REJECTED" } else { "APPROVED" };
        desk.knows(1000 + id, &format!("t{id}"), status, "UTILITY").await;
    }
    desk.window_ends(desk.world.clock.now()).await;
    let (_, it) = answered(desk.send(&plain(&text("Hi"))).await);
    assert_eq!(it["choices"].as_array().unwrap().len(), 20);
    desk.world.steps.fault_next("templates_on", Fault::FailBefore);
    let (status, it) = answered(desk.send(&plain(&text("Hi"))).await);
    assert_eq!((status, &it["code"], &it["choices"]), (409, &json!("window_closed"), &json!([])));
}

#[tokio::test]
async fn marketing_to_who_wants_none_is_refused_before_the_call_until_they_want_it_again() {
    let desk = Desk::new().await;
    desk.knows(1, "sale", "APPROVED", "MARKETING").await;
    desk.knows(2, "ready", "APPROVED", "UTILITY").await;
    assert_eq!(answered(desk.send(&send("sale", "en")).await).0, 200);
    desk.world.clock.advance(Duration::from_secs(10));
    desk.marked(RecipientMark::MarketingStopped).await;
    let before = desk.calls();
    assert_eq!(refused(desk.send(&send("sale", "en")).await), (409, "recipient_opted_out".to_owned()));
    assert_eq!(desk.calls(), before);
    for (name, language) in [("ready", "en"), ("sale", "de"), ("unknown", "en")] {
        assert_eq!(answered(desk.send(&send(name, language)).await).0, 200, "{name}: Meta is the judge");
    }
    desk.world.clock.advance(Duration::from_secs(10));
    desk.marked(RecipientMark::MarketingResumed).await;
    assert_eq!(answered(desk.send(&send("sale", "en")).await).0, 200);
}

#[tokio::test]
async fn a_paused_or_rejected_template_is_left_to_meta() {
    let desk = Desk::new().await;
    for (id, status) in [(1, "PAUSED"), (2, "REJECTED"), (3, "DISABLED"), (4, DELETED)] {
        desk.knows(id, &format!("t{id}"), status, "MARKETING").await;
        assert_eq!(answered(desk.send(&send(&format!("t{id}"), "en")).await).0, 200);
    }
}

#[tokio::test]
async fn a_request_that_died_after_sending_is_told_so_whatever_would_keep_the_message_back_by_now() {
    let offer = json!({"botId": "demo-bakery", "to": CUSTOMER, "type": "template",
                       "template": {"name": "news", "language": {"code": "en"}}});
    for (change, body) in [("window", text("Hi")), ("consent", offer), ("client", text("Hi"))] {
        let desk = Desk::new().await;
        desk.knows(1, "news", "APPROVED", "MARKETING").await;
        desk.window_ends(desk.world.clock.now() + Duration::from_secs(60)).await;
        let request = Sample::of(EVENT).header("idempotency-key", Some("k")).body(&body);
        desk.world.steps.fault_next("finish_request", Fault::CrashBefore);
        assert!(desk.send(&request).await.is_err(), "{change}");
        desk.world.steps.restart();
        desk.world.clock.advance(CLAIM + Duration::from_secs(1));
        match change {
            "consent" => desk.marked(RecipientMark::MarketingStopped).await,
            "client" => desk.world.store.with(|t| {
                t.clients.values_mut().for_each(|client| client.stage = ClientStatus::Suspended);
            }),
            _ => {}
        }
        let (status, answer) = answered(desk.send(&request).await);
        assert_eq!((status, &answer["status"]), (200, &json!("accepted")), "{change}: {answer}");
        assert_eq!(desk.calls(), 1, "{change}");
        let refused = refused(desk.send(&plain(&body)).await);
        assert!(matches!(refused.0, 404 | 409), "{change} keeps a new message back: {refused:?}");
    }
}
