//! mark-read: whose messages, which answers.

use shared::domain::ids::Wamid;

use super::*;

const RECEIPT: &str = include_str!("../../../../../events/mark-read.json");

impl Desk {
    /// A customer's message, as ingest records it; that of the sample event.
    fn received(&self, origin: Origin) -> MessageId {
        let body: Value = serde_json::from_str(RECEIPT).unwrap();
        let body: Value = serde_json::from_str(body["body"].as_str().unwrap()).unwrap();
        let id: MessageId = body["messageId"].as_str().unwrap().parse().unwrap();
        let (phone, now) = (self.client.phone_number_id.clone(), self.world.clock.now());
        let customer = CustomerNames { wa_id: CUSTOMER.parse().ok(), ..CustomerNames::default() };
        let message = Message {
            id: id.clone(),
            wamid: id.as_ref().parse().ok(),
            origin,
            bot_id: Some(bot()),
            conversation_id: ConversationId::new(&phone, &customer.aliases()[0]),
            phone_number_id: phone,
            customer,
            kind: "text".to_owned(),
            at: now,
            recorded_at: now,
            raw: Packed::new(b"{}").raw,
            reply_to: None,
            answer: None,
            sending: None,
            why: None,
            statuses: Statuses::default(),
            expires_at: None,
        };
        self.world.store.with(|t| t.messages.insert(id.clone(), message));
        id
    }

    fn read(&self) -> Vec<(PhoneNumberId, Wamid, bool)> {
        self.world.graph.with(|meta| meta.read.clone())
    }
}

fn with(id: &MessageId, member: &str, value: Value) -> Sample {
    let mut body = json!({"botId": "demo-bakery", "messageId": id});
    body[member] = value;
    Sample::of(RECEIPT).body(&body)
}

#[tokio::test]
async fn the_sample_event_marks_its_message_and_shows_the_typing_sign() {
    let desk = Desk::new().await;
    let id = desk.received(Origin::Customer);
    let answer = answered(desk.send(&Sample::of(RECEIPT)).await);
    assert_eq!(answer, (200, json!({"success": true})));
    let phone = desk.client.phone_number_id.clone();
    assert_eq!(desk.read(), [(phone.clone(), id.as_ref().parse().unwrap(), true)]);
    let plainly = answered(desk.send(&with(&id, "phoneNumberId", json!(phone))).await);
    assert_eq!((plainly.0, desk.read()[1].2), (200, false));
    assert_eq!(desk.calls(), 0, "it is no message");
}

#[tokio::test]
async fn a_message_that_is_no_customers_or_not_the_bots_is_unknown() {
    let desk = Desk::new().await;
    let id = desk.received(Origin::Customer);
    let other = json!({"bots": "[other-bot]", "sub": "x"});
    let unknown: MessageId = "wamid.UNKNOWN".parse().unwrap();
    for (sample, expected) in [
        (with(&id, "botId", "other-bot".into()).claims(other), (404, "message_not_found")),
        (with(&id, "botId", "other-bot".into()), (404, "bot_not_found")),
        (with(&id, "phoneNumberId", "1170000099999".into()), (404, "message_not_found")),
        (with(&unknown, "typing", true.into()), (404, "message_not_found")),
        (with(&id, "typing", "yes".into()), (400, "invalid_member")),
        (with(&id, "messageId", Value::Null), (400, "missing_member")),
        (with(&id, "typing", false.into()).nobody(), (401, "unauthenticated")),
        (with(&id, "typing", false.into()).page("[demo-bakery]"), (403, "scope_insufficient")),
    ] {
        let (status, code) = refused(desk.send(&sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    desk.received(Origin::Bot);
    assert_eq!(refused(desk.send(&with(&id, "typing", true.into())).await).1, "message_not_found");
    assert_eq!(desk.read(), []);
}

#[tokio::test]
async fn a_number_that_moved_to_another_bot_took_its_messages_along() {
    let desk = Desk::new().await;
    let id = desk.received(Origin::Customer);
    desk.world.store.with(|t| t.clients.values_mut().for_each(|c| c.bot_id = "other-bot".parse().unwrap()));
    assert_eq!(refused(desk.send(&with(&id, "typing", true.into())).await).1, "message_not_found");
    assert_eq!(desk.read(), []);
}

#[tokio::test]
async fn metas_refusals_of_a_receipt_are_told_with_metas_own_codes() {
    for (code, expected) in [
        (100, (422, "refused_by_meta")),
        (131_009, (422, "refused_by_meta")),
        (80_007, (429, "rate_limited")),
        (2, (503, "meta_unavailable")),
        (190, (503, "meta_unavailable")), // Meta calls the token valid all the same.
    ] {
        let desk = Desk::new().await;
        let id = desk.received(Origin::Customer);
        desk.world.graph.fail_next("mark_read", GraphFault::Refused(refusal(400, code, "No")));
        let (status, answer) = answered(desk.send(&with(&id, "typing", true.into())).await);
        assert_eq!((status, answer["code"].as_str().unwrap()), expected);
        assert_eq!(answer["meta"]["code"], code);
    }
    let desk = Desk::new().await;
    let id = desk.received(Origin::Customer);
    desk.world.graph.with(|meta| meta.tokens.values_mut().for_each(|t| t.facts.is_valid = false));
    let answer = refused(desk.send(&with(&id, "typing", true.into())).await);
    assert_eq!(answer, (409, "client_needs_reconnect".to_owned()));
    desk.world.store.with(|t| t.clients.values_mut().for_each(|c| c.stage = ClientStatus::Suspended));
    let answer = refused(desk.send(&with(&id, "typing", true.into())).await);
    assert_eq!(answer, (409, "client_not_active".to_owned()));
}

#[tokio::test]
async fn the_same_key_gives_the_receipt_once() {
    let desk = Desk::new().await;
    let id = desk.received(Origin::Customer);
    let sample = with(&id, "typing", true.into()).header("idempotency-key", Some("k"));
    for _ in 0..2 {
        assert_eq!(answered(desk.send(&sample).await), (200, json!({"success": true})));
    }
    assert_eq!(desk.read().len(), 1);
    let other = with(&id, "typing", false.into()).header("idempotency-key", Some("k"));
    assert_eq!(refused(desk.send(&other).await), (422, "idempotency_key_reused".to_owned()));
}
