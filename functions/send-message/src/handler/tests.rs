use shared::domain::account::{Ban, Change, Noted, Removal, Restriction};
use shared::domain::rate::RateKey;
use shared::flows::pace::Pace;
use shared::flows::tokens::Tokens;
use shared::ports::{NoteAccounts, Rates};
use shared::testing::{Fault, GraphFault, Sample, World, answered, refusal, refused};

use super::*;

mod receipts;

const EVENT: &str = include_str!("../../../../events/send-message.json");
const CLAIM: Duration = Duration::from_secs(90);
const CUSTOMER: &str = "15550100123";

/// A bot with one active number, and callers.
struct Desk {
    world: World,
    client: Client,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        Self { world, client }
    }

    async fn send(&self, sample: &Sample) -> Result<Response<Body>, ApiError> {
        let parts: &shared::testing::Parts = &self.world;
        let tokens = Tokens::default();
        let sender = Sender {
            store: &parts.store,
            seal: &parts.seal,
            graph: &parts.graph,
            clock: &parts.clock,
            tokens: &tokens,
            pace: &Pace::default(),
            claim: CLAIM,
        };
        Send { sender, random: &parts.random, retention: None }.handle(&sample.request()).await
    }

    fn sent(&self) -> Vec<Value> {
        self.world.graph.sent().into_iter().map(|sent| sent.message["text"]["body"].clone()).collect()
    }

    fn calls(&self) -> usize {
        self.world.graph.calls("send")
    }

    fn nothing_happened(&self) {
        assert_eq!(self.calls(), 0);
        assert!(self.world.store.with(|t| t.messages.is_empty() && t.idempotency.is_empty()));
    }

    /// The customer wrote, and their window ends then.
    async fn window_ends(&self, at: Timestamp) {
        self.wrote(at - shared::domain::conversation::SERVICE_WINDOW, TouchedBy::Customer).await;
    }

    /// Somebody wrote in the conversation.
    async fn wrote(&self, at: Timestamp, by: TouchedBy) {
        let names = CustomerNames { wa_id: Some(CUSTOMER.parse().unwrap()), ..CustomerNames::default() };
        let phone = &self.client.phone_number_id;
        let key = self.world.store.resolve_customer(phone, &names).await.unwrap();
        let id = ConversationId::new(phone, &key);
        let touch = ConversationTouch { id, bot_id: bot(), customer: names, at, by };
        self.world.store.touch_conversation(&touch).await.unwrap();
    }
}

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

fn text(body: &str) -> Value {
    json!({"botId": "demo-bakery", "to": CUSTOMER, "type": "text", "text": {"body": body}})
}

/// Without an idempotency key.
fn plain(body: &Value) -> Sample {
    Sample::of(EVENT).header("idempotency-key", None).body(body)
}

fn keyed(key: &str, body: &str) -> Sample {
    Sample::of(EVENT).header("idempotency-key", Some(key)).body(&text(body))
}

#[tokio::test]
async fn the_sample_event_is_sent_and_its_message_recorded() {
    let desk = Desk::new().await;
    let (status, answer) = answered(desk.send(&Sample::of(EVENT)).await);
    assert_eq!((status, answer["status"].as_str()), (200, Some("accepted")));
    let sent = desk.world.graph.sent().remove(0);
    assert_eq!(
        (answer["wamid"].as_str(), sent.message["to"].as_str()),
        (Some(sent.wamid.as_ref()), Some(CUSTOMER))
    );
    assert_eq!(sent.message["biz_opaque_callback_data"], answer["messageId"]);
    let id: MessageId = answer["messageId"].as_str().unwrap().parse().unwrap();
    let recorded = desk.world.store.with(|t| t.messages[&id].clone());
    assert_eq!(
        (recorded.origin, recorded.bot_id, recorded.wamid),
        (Origin::Api, Some(bot()), Some(sent.wamid))
    );
}

#[tokio::test]
async fn callers_who_may_not_are_told_apart_and_nothing_is_sent() {
    let desk = Desk::new().await;
    let other = json!({"bots": "[other-bot]", "sub": "x"});
    for (sample, expected) in [
        (Sample::of(EVENT).nobody(), (401, "unauthenticated")),
        (Sample::of(EVENT).page("[demo-bakery]"), (403, "scope_insufficient")),
        (Sample::of(EVENT).claims(other), (404, "bot_not_found")),
    ] {
        let (status, code) = refused(desk.send(&sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    desk.nothing_happened();
}

#[tokio::test]
async fn a_foreign_number_answers_as_an_unknown_one() {
    let desk = Desk::new().await;
    let (foreign, _) = desk.world.active_client(&"other-bot".parse().unwrap(), 2).await;
    let mut answers = Vec::new();
    for phone in [foreign.phone_number_id.as_ref(), "1170000099999"] {
        let mut body = text("Hi");
        body["phoneNumberId"] = phone.into();
        answers.push(answered(desk.send(&plain(&body)).await));
        answers.last_mut().unwrap().1["messageId"] = Value::Null;
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0].0, answers[0].1["code"].as_str()), (404, Some("client_not_found")));
    desk.nothing_happened();
}

#[tokio::test]
async fn ill_formed_requests_name_what_is_wrong_and_nothing_is_sent() {
    let desk = Desk::new().await;
    let with = |member: &str, value: Value| {
        let mut body = text("Hi");
        body[member] = value;
        plain(&body)
    };
    for (sample, expected) in [
        (plain(&Value::Null).text("nonsense"), (400, "not_json")),
        (plain(&json!([])), (400, "not_an_object")),
        (plain(&text(&"x".repeat(300 * 1024))), (413, "body_too_large")),
        (plain(&json!({})), (400, "missing_member")),
        (with("botId", "a b".into()), (400, "invalid_member")),
        (with("phoneNumberId", "x".into()), (400, "invalid_member")),
        (with("type", "fax".into()), (400, "invalid_message")),
        (with("text", json!({})), (400, "invalid_message")),
        (with("to", "nobody".into()), (400, "invalid_message")),
        (with("to", Value::Null), (400, "invalid_message")),
    ] {
        let (status, code) = refused(desk.send(&sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    desk.nothing_happened();
}

#[tokio::test]
async fn an_idempotency_key_that_is_not_of_its_form_is_refused() {
    let desk = Desk::new().await;
    for key in ["", "a b", &"x".repeat(256)] {
        assert_eq!(refused(desk.send(&keyed(key, "Hi")).await), (400, "invalid_idempotency_key".to_owned()));
    }
    desk.nothing_happened();
}

#[tokio::test]
async fn several_numbers_must_be_told_apart_and_one_needs_no_name() {
    let desk = Desk::new().await;
    let (second, _) = desk.world.active_client(&bot(), 2).await;
    assert_eq!(refused(desk.send(&plain(&text("Hi"))).await), (400, "phone_number_required".to_owned()));
    let mut body = text("Hi");
    body["phoneNumberId"] = json!(second.phone_number_id);
    assert_eq!(answered(desk.send(&plain(&body)).await).0, 200);
    assert_eq!(desk.world.graph.sent()[0].phone_number_id, second.phone_number_id);
}

#[tokio::test]
async fn a_client_that_is_not_active_cannot_send() {
    let desk = Desk::new().await;
    desk.world.store.with(|t| t.clients.values_mut().for_each(|c| c.stage = ClientStatus::Suspended));
    let mut body = text("Hi");
    body["phoneNumberId"] = json!(desk.client.phone_number_id);
    assert_eq!(refused(desk.send(&plain(&body)).await), (409, "client_not_active".to_owned()));
    assert_eq!(refused(desk.send(&plain(&text("Hi"))).await), (404, "client_not_found".to_owned()));
    desk.nothing_happened();
}

/// What an event of Meta's tells of the client.
async fn told(desk: &Desk, change: Change) {
    let now = desk.world.clock.now();
    let noted = Noted { at: now, change };
    desk.world.store.note_account(&desk.client.phone_number_id, &noted, now).await.unwrap();
}

fn template() -> Value {
    json!({"botId": "demo-bakery", "to": CUSTOMER, "type": "template",
           "template": {"name": "ready", "language": {"code": "en"}}})
}

#[tokio::test]
async fn a_client_that_meta_stopped_cannot_send_and_the_reason_is_named() {
    for (change, reason) in [
        (Change::Ban(Ban::Disabled), "banned"),
        (Change::Removed(Removal::PartnerRemoved), "partner_removed"),
    ] {
        let desk = Desk::new().await;
        told(&desk, change).await;
        let mut body = text("Hi");
        body["phoneNumberId"] = json!(desk.client.phone_number_id);
        let (status, answer) = answered(desk.send(&plain(&body)).await);
        assert_eq!((status, answer["code"].as_str()), (409, Some("client_not_active")));
        assert_eq!(answer["statusReason"], reason);
        desk.nothing_happened();
    }
}

#[tokio::test]
async fn who_may_not_write_first_still_answers_until_the_restriction_ends() {
    let desk = Desk::new().await;
    desk.window_ends(desk.world.clock.now() + Duration::from_secs(9999)).await;
    let until = desk.world.clock.now() + Duration::from_secs(600);
    let kind = "RESTRICTED_BIZ_INITIATED_MESSAGING".to_owned();
    told(&desk, Change::Restriction(Restriction { kind, until: Some(until) })).await;
    let (status, answer) = answered(desk.send(&plain(&template())).await);
    assert_eq!((status, answer["code"].as_str()), (409, Some("client_restricted")));
    assert_eq!(answer["until"], until.to_string());
    desk.nothing_happened();
    assert_eq!(answered(desk.send(&plain(&text("Hi"))).await).0, 200);
    desk.world.clock.set(until);
    assert_eq!(answered(desk.send(&plain(&template())).await).0, 200);
}

#[tokio::test]
async fn a_closed_window_takes_templates_only() {
    let desk = Desk::new().await;
    desk.window_ends(desk.world.clock.now()).await;
    let (status, answer) = answered(desk.send(&plain(&text("Hi"))).await);
    assert_eq!((status, answer["code"].as_str()), (409, Some("window_closed")));
    assert!(answer["windowEndedAt"].is_string());
    desk.nothing_happened();
    let template = json!({"botId": "demo-bakery", "to": CUSTOMER, "type": "template",
                          "template": {"name": "ready", "language": {"code": "en"}}});
    assert_eq!(answered(desk.send(&plain(&template)).await).0, 200);
    desk.window_ends(desk.world.clock.now() + Duration::from_secs(1)).await;
    assert_eq!(answered(desk.send(&plain(&text("Hi"))).await).0, 200);
}

#[tokio::test]
async fn the_answer_says_what_the_message_is_expected_to_cost() {
    let desk = Desk::new().await;
    let expected = async |body: &Value| answered(desk.send(&plain(body)).await).1["expected"].clone();
    let said = expected(&text("Hi")).await;
    assert_eq!((&said["category"], &said["billable"]), (&json!("service"), &Value::Null));
    assert_eq!((&said["window"], said.get("windowEndsAt")), (&json!("unknown"), None));
    let end = desk.world.clock.now() + Duration::from_secs(600);
    desk.window_ends(end).await;
    let said = expected(&text("Hi")).await;
    assert_eq!((&said["window"], &said["windowEndsAt"]), (&json!("open"), &json!(end.to_string())));
    desk.world.clock.set(end);
    let said = expected(&template()).await;
    let cost =
        json!({"category": null, "billable": true, "window": "closed", "windowEndsAt": end.to_string()});
    assert_eq!(said, cost);
    desk.world.graph.fail_next("send", GraphFault::UnclearAfter);
    assert_eq!(expected(&template()).await, cost, "of an uncertain one, too");
}

#[tokio::test]
async fn the_answer_to_who_came_from_an_ad_and_all_in_three_days_after_it_are_expected_to_be_free() {
    let desk = Desk::new().await;
    let expected = async |body: &Value| answered(desk.send(&plain(body)).await).1["expected"].clone();
    let day = Duration::from_secs(24 * 60 * 60);
    desk.window_ends(desk.world.clock.now() + day).await;
    assert_eq!(expected(&text("Hi")).await["window"], "open");
    desk.wrote(desk.world.clock.now(), TouchedBy::ReferredCustomer).await;
    desk.world.clock.advance(Duration::from_secs(60));
    let answered_at = desk.world.clock.now();
    let free = json!({"category": "referral_conversion", "billable": false, "window": "free_entry_point",
                      "windowEndsAt": answered_at + day - Duration::from_secs(60)});
    assert_eq!(expected(&text("Hi")).await, free, "the answer itself");
    desk.world.clock.advance(day);
    assert_eq!(refused(desk.send(&plain(&text("Hi"))).await), (409, "window_closed".to_owned()));
    assert_eq!(expected(&template()).await, free, "outside the window, too");
    desk.world.clock.set(answered_at + 3 * day);
    assert_eq!(expected(&template()).await["window"], "closed");
}

#[tokio::test]
async fn the_same_key_with_the_same_body_answers_as_the_first_time_and_sends_once() {
    let desk = Desk::new().await;
    let first = answered(desk.send(&keyed("k", "Hi")).await);
    desk.world.clock.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await), first);
    assert_eq!((first.0, desk.calls()), (200, 1));
}

#[tokio::test]
async fn without_a_key_each_request_is_a_message() {
    let desk = Desk::new().await;
    for _ in 0..2 {
        assert_eq!(answered(desk.send(&plain(&text("Hi"))).await).0, 200);
    }
    assert_eq!(desk.sent().len(), 2);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_422_and_of_another_caller_another_key() {
    let desk = Desk::new().await;
    desk.send(&keyed("k", "Hi")).await.unwrap();
    assert_eq!(refused(desk.send(&keyed("k", "Bye")).await), (422, "idempotency_key_reused".to_owned()));
    let other = json!({"bots": "[demo-bakery]", "sub": "somebody-else"});
    assert_eq!(answered(desk.send(&keyed("k", "Bye").claims(other)).await).0, 200);
    assert_eq!(desk.sent(), ["Hi", "Bye"]);
}

#[tokio::test]
async fn while_the_first_runs_a_second_is_409() {
    let desk = Desk::new().await;
    let samples = [keyed("k", "Hi"), keyed("k", "Hi")];
    let (one, two) = tokio::join!(desk.send(&samples[0]), desk.send(&samples[1]));
    let mut answers = [answered(one), answered(two)];
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!(
        (answers[0].0, answers[1].0, answers[1].1["code"].as_str()),
        (200, 409, Some("request_running"))
    );
    assert_eq!((answers[1].1["retryable"].as_bool(), desk.calls()), (Some(true), 1));
}

#[tokio::test]
async fn a_request_that_died_at_any_call_is_continued_and_never_sent_twice() {
    let clean = Desk::new().await;
    let before = clean.world.steps.count();
    clean.send(&keyed("k", "Hi")).await.unwrap();
    for k in before..clean.world.steps.count() {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::FailBefore, Fault::FailAfter] {
            let case = format!("{fault:?} at {}", clean.world.steps.log()[k]);
            let desk = Desk::new().await;
            desk.world.steps.fault_at(k, fault);
            let first = answered(desk.send(&keyed("k", "Hi")).await);
            desk.world.steps.restart();
            desk.world.clock.advance(CLAIM + Duration::from_secs(1));
            let second = answered(desk.send(&keyed("k", "Hi")).await);
            assert!(desk.sent().len() <= 1, "{case}: sent twice");
            assert!(matches!(second.0, 200 | 202), "{case}: {second:?}");
            assert_eq!(second.1["status"] == "accepted", second.0 == 200, "{case}: {second:?}");
            if matches!(first.0, 200 | 202) {
                assert_eq!(first, second, "{case}");
            }
            if second.0 == 200 {
                assert_eq!(desk.sent().len(), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_send_whose_outcome_was_not_recorded_is_running_and_then_uncertain_and_never_queued_for_good() {
    let desk = Desk::new().await;
    desk.world.steps.fault_next("finish_send (message)", Fault::FailBefore);
    assert!(desk.send(&keyed("k", "Hi")).await.is_err());
    desk.world.clock.advance(Duration::from_secs(1));
    let (status, problem) = answered(desk.send(&keyed("k", "Hi")).await);
    assert_eq!((status, problem["code"].as_str()), (409, Some("request_running")));
    assert_eq!(problem["retryable"].as_bool(), Some(true));
    desk.world.clock.advance(CLAIM);
    let (status, answer) = answered(desk.send(&keyed("k", "Hi")).await);
    assert_eq!((status, answer["status"].as_str()), (202, Some("uncertain")));
    assert_eq!(desk.sent(), ["Hi"]);
}

#[tokio::test]
async fn a_key_that_came_free_sends_what_the_new_body_says() {
    let desk = Desk::new().await;
    desk.world.graph.fail_next("send", GraphFault::NotSent);
    assert!(desk.send(&keyed("k", "Wrong")).await.is_err());
    assert_eq!(answered(desk.send(&keyed("k", "Right")).await).0, 200);
    assert_eq!(desk.sent(), ["Right"]);
}

#[tokio::test]
async fn a_refusal_for_good_is_the_answer_of_its_key() {
    let desk = Desk::new().await;
    let fault = GraphFault::Refused(refusal(400, 131_009, "Parameter value is not valid"));
    desk.world.graph.fail_next("send", fault);
    let first = answered(desk.send(&keyed("k", "Wrong")).await);
    assert_eq!((first.0, first.1["code"].as_str()), (422, Some("refused_by_meta")));
    assert_eq!(answered(desk.send(&keyed("k", "Wrong")).await), first);
    let other = refused(desk.send(&keyed("k", "Right")).await);
    assert_eq!(other, (422, "idempotency_key_reused".to_owned()));
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn what_was_not_sent_may_be_sent_again_at_once_under_the_same_key() {
    let desk = Desk::new().await;
    desk.world.graph.fail_next("send", GraphFault::NotSent);
    let (status, answer) = answered(desk.send(&keyed("k", "Hi")).await);
    assert_eq!((status, answer["code"].as_str()), (503, Some("meta_unavailable")));
    assert_eq!(answer["retryable"], true);
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await).0, 200);
    assert_eq!(desk.sent(), ["Hi"]);
}

#[tokio::test]
async fn a_lost_answer_of_metas_is_uncertain_and_stays_so_under_its_key() {
    let desk = Desk::new().await;
    desk.world.graph.fail_next("send", GraphFault::UnclearAfter);
    let first = answered(desk.send(&keyed("k", "Hi")).await);
    assert_eq!(
        (first.0, first.1["status"].as_str(), &first.1["wamid"]),
        (202, Some("uncertain"), &Value::Null)
    );
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await), first);
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn metas_refusals_are_told_with_metas_own_codes() {
    for (code, expected) in [
        (100, (422, "refused_by_meta")),
        (131_005, (422, "refused_by_meta")),
        (131_026, (422, "recipient_unreachable")),
        (131_049, (422, "marketing_limit")),
        (131_050, (422, "recipient_opted_out")),
        (131_047, (409, "window_closed")),
        (131_042, (409, "client_paused")),
        (131_031, (409, "client_paused")),
        (368, (409, "client_paused")),
        (4, (429, "rate_limited")),
        (80_007, (429, "rate_limited")),
        (130_429, (429, "rate_limited")),
        (131_056, (429, "rate_limited")),
        (131_057, (429, "rate_limited")),
        (1, (503, "meta_unavailable")),
        (2, (503, "meta_unavailable")),
        (131_000, (503, "meta_unavailable")),
        (190, (503, "meta_unavailable")), // Meta calls the token valid all the same.
    ] {
        let desk = Desk::new().await;
        desk.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "No")));
        let response =
            desk.send(&plain(&text("Hi"))).await.unwrap_or_else(shared::http::ApiError::into_response);
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((response.status().as_u16(), answer["code"].as_str().unwrap()), expected);
        assert_eq!(
            (&answer["meta"]["code"], &answer["meta"]["fbtraceId"]),
            (&json!(code), &json!("AFakeTraceOfMeta"))
        );
        assert_eq!(response.headers().contains_key("retry-after"), expected.0 == 429 || expected.0 == 503);
        assert!(answer["messageId"].is_string(), "the message is in the history");
    }
}

/// Status, code and `Retry-After` of the answer.
async fn refusal_of(desk: &Desk, sample: &Sample) -> (u16, Value, Option<u64>) {
    let response = desk.send(sample).await.unwrap_or_else(shared::http::ApiError::into_response);
    let pause = response.headers().get("retry-after").map(|pause| pause.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap(), pause)
}

#[tokio::test]
async fn what_must_wait_says_how_long_and_its_key_stays_usable() {
    let desk = Desk::new().await;
    let until = desk.world.clock.now() + Duration::from_millis(90_500);
    desk.world.store.hold(&RateKey::App, until).await.unwrap();
    let (status, answer, pause) = refusal_of(&desk, &keyed("k", "Hi")).await;
    assert_eq!((status, answer["code"].as_str(), pause), (429, Some("rate_limited"), Some(91)));
    assert_eq!((desk.calls(), desk.world.store.with(|t| t.messages.len())), (0, 0), "nothing is recorded");
    assert!(answer.get("messageId").is_none());
    desk.world.clock.set(until);
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await).0, 200);
    assert_eq!(desk.sent(), ["Hi"]);
}

#[tokio::test]
async fn a_paused_client_sends_nothing_and_says_why_until_when_and_what_to_do() {
    let desk = Desk::new().await;
    desk.world.graph.fail_next("send", GraphFault::Refused(refusal(400, 131_042, "Payment")));
    let (status, first, _) = refusal_of(&desk, &keyed("k", "Hi")).await;
    assert_eq!((status, first["meta"]["code"].as_i64()), (409, Some(131_042)));
    desk.world.clock.advance(Duration::from_secs(60));
    let (status, answer, _) = refusal_of(&desk, &keyed("k2", "Hello")).await;
    assert_eq!((status, answer["code"].as_str(), desk.calls()), (409, Some("client_paused"), 1));
    assert_eq!((answer["reason"].as_str(), &answer["until"]), (Some("payment"), &first["until"]));
    assert!(answer["since"].is_string() && answer["action"].as_str().unwrap().contains("payment method"));
    desk.world.clock.set(answer["until"].as_str().unwrap().parse().unwrap());
    assert_eq!(answered(desk.send(&keyed("k", "Hi")).await).0, 200, "the key of the refused one");
    assert_eq!(answered(desk.send(&keyed("k2", "Hello")).await).0, 200);
}

#[tokio::test]
async fn a_token_that_meta_calls_dead_needs_a_new_signup_and_is_asked_for_once() {
    let desk = Desk::new().await;
    desk.world.graph.with(|meta| meta.tokens.values_mut().for_each(|token| token.facts.is_valid = false));
    let (status, answer, _) = refusal_of(&desk, &plain(&text("Hi"))).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("client_needs_reconnect")));
    assert_eq!(answer["meta"]["code"], 190);
    assert_eq!(refused(desk.send(&plain(&text("Hi"))).await), (409, "client_needs_reconnect".to_owned()));
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn a_client_without_a_token_must_sign_up_again() {
    let desk = Desk::new().await;
    desk.world.store.with(|t| t.grants.clear());
    assert_eq!(refused(desk.send(&keyed("k", "Hi")).await), (409, "client_needs_reconnect".to_owned()));
    desk.nothing_happened();
}

mod templates;
