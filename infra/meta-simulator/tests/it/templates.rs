//! Templates: their rules, their life, and what webhooks say of it.

#![expect(clippy::unwrap_used, reason = "these are tests' own helpers")]

use serde_json::{Value, json};

use crate::support::{APP_ID, Client, Receiver, Sim, answer};

fn template(name: &str) -> Value {
    json!({"name": name, "language": "en_US", "category": "UTILITY",
           "components": [{"type": "BODY", "text": "Hello {{1}}, welcome"}]})
}

async fn create(sim: &Sim, client: &Client, template: Value) -> crate::support::Answer {
    sim.graph("POST", &format!("{}/message_templates", client.waba), &client.token, template).await
}

/// Creates it, and waits for the end of its review.
async fn created(sim: &Sim, receiver: &Receiver, client: &Client, name: &str) -> String {
    let id = create(sim, client, template(name)).await.ok()["id"].as_str().unwrap().to_owned();
    told(receiver, "message_template_status_update", &id, 1).await;
    id
}

/// What webhooks of this field said of a template, once there are so many.
async fn told(receiver: &Receiver, field: &str, id: &str, count: usize) -> Vec<Value> {
    let of_it = |it: &&crate::support::Received| {
        it.field() == field && it.value()["message_template_id"].as_u64() == id.parse().ok()
    };
    let all = receiver.wait(|all| all.iter().filter(of_it).count() >= count).await;
    all.iter().filter(of_it).map(crate::support::Received::value).collect()
}

async fn node(sim: &Sim, client: &Client, id: &str) -> Value {
    let fields =
        json!({"fields": "status,quality_score,category,correct_category,rejected_reason,components"});
    sim.graph("GET", id, &client.token, fields).await.ok()
}

#[tokio::test]
async fn the_end_of_a_review_follows_from_the_name() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let rejected = created(&sim, &receiver, &client, "reject_me").await;
    let it = node(&sim, &client, &rejected).await;
    assert_eq!((&it["status"], &it["rejected_reason"]), (&json!("REJECTED"), &json!("INVALID_FORMAT")));
    let held = create(&sim, &client, template("hold_me")).await.ok()["id"].as_str().unwrap().to_owned();
    sim.sim("POST", &format!("templates/{held}"), json!({"event": "APPROVED"})).await.ok();
    assert_eq!(told(&receiver, "message_template_status_update", &held, 1).await[0]["event"], "APPROVED");
    assert_eq!(node(&sim, &client, &held).await["status"], "APPROVED");
}

#[tokio::test]
async fn contents_that_meta_refuses_are_refused() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let with = |components: Value| {
        let mut it = template("refused");
        it["components"] = components;
        it
    };
    let body = json!({"type": "BODY", "text": "Hello"});
    for (components, code) in [
        (json!([{"type": "FOOTER", "text": "no body"}]), 100),
        (json!([{"type": "BODY", "text": "Hello {{1}}"}]), 2_388_299),
        (json!([{"type": "BODY", "text": "x".repeat(1025)}]), 2_388_072),
        (json!([body, {"type": "FOOTER", "text": "x".repeat(61)}]), 2_388_073),
        (json!([body, {"type": "HEADER", "format": "IMAGE"}]), 2_388_047),
        (
            json!([body, {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:made-up"]}}]),
            2_388_047,
        ),
        (json!([body, {"type": "BUTTONS", "buttons": vec![json!({}); 11]}]), 2_388_039),
    ] {
        assert_eq!(create(&sim, &client, with(components.clone())).await.code(), code, "{components}");
    }
    let mut ttl = template("ttl");
    ttl["message_send_ttl_seconds"] = json!(10);
    assert_eq!(create(&sim, &client, ttl).await.code(), 100);
}

#[tokio::test]
async fn a_hundred_templates_an_hour_can_be_created() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    for n in 0..100 {
        create(&sim, &client, template(&format!("number_{n}"))).await.ok();
    }
    assert_eq!(create(&sim, &client, template("one_more")).await.code(), 80_007);
    sim.advance(3601).await;
    create(&sim, &client, template("one_more")).await.ok();
}

#[tokio::test]
async fn an_approved_template_is_edited_once_a_day_and_keeps_its_category() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let id = created(&sim, &receiver, &client, "greeting").await;
    let other = json!({"category": "MARKETING"});
    assert_eq!(sim.graph("POST", &id, &client.token, other).await.code(), 100);
    let edit = json!({"components": [{"type": "BODY", "text": "Hi {{1}}, welcome"}]});
    sim.graph("POST", &id, &client.token, edit.clone()).await.ok();
    assert_eq!(sim.graph("POST", &id, &client.token, edit.clone()).await.code(), 100, "it is reviewed");
    told(&receiver, "message_template_status_update", &id, 2).await;
    assert_eq!(sim.graph("POST", &id, &client.token, edit.clone()).await.code(), 100, "once a day");
    sim.advance(24 * 3600 + 1).await;
    sim.graph("POST", &id, &client.token, edit).await.ok();
}

#[tokio::test]
async fn a_pause_is_told_and_ended() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let id = created(&sim, &receiver, &client, "greeting").await;
    sim.assign(&client).await;
    sim.share_credit(&client).await.ok();
    let unpause = format!("{id}/unpause");
    assert_eq!(sim.graph("POST", &unpause, &client.token, json!({})).await.code(), 100, "not paused");
    sim.sim("POST", &format!("templates/{id}"), json!({"event": "PAUSED", "reason": "FIRST_PAUSE"}))
        .await
        .ok();
    let send = json!({"type": "template", "template": {"name": "greeting", "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}]}});
    assert_eq!(sim.send(&client, send.clone()).await.code(), 132_015);
    sim.graph("POST", &unpause, &client.token, json!({})).await.ok();
    let all = told(&receiver, "message_template_status_update", &id, 3).await;
    assert!(all.iter().any(|value| value["other_info"]["title"] == "UNPAUSED"), "{all:?}");
    sim.send(&client, send).await.ok();
}

#[tokio::test]
async fn the_name_of_a_deleted_template_is_blocked_for_a_month() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    created(&sim, &receiver, &client, "greeting").await;
    let path = format!("{}/message_templates", client.waba);
    sim.graph("DELETE", &path, &client.token, json!({"name": "greeting"})).await.ok();
    assert_eq!(create(&sim, &client, template("greeting")).await.subcode(), 2_388_023);
    sim.advance(31 * 24 * 3600).await;
    assert_ne!(create(&sim, &client, template("greeting")).await.subcode(), 2_388_023);
}

#[tokio::test]
async fn quality_category_and_components_change_with_and_without_a_word() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let id = created(&sim, &receiver, &client, "greeting").await;
    let change = async |body: Value| sim.sim("POST", &format!("templates/{id}"), body).await.ok();
    let components = json!([{"type": "BODY", "text": "Hi {{1}}!"}]);
    change(json!({"quality": "YELLOW", "correctCategory": "MARKETING", "components": components})).await;
    let quality = told(&receiver, "message_template_quality_update", &id, 1).await.remove(0);
    assert_eq!(
        (&quality["previous_quality_score"], &quality["new_quality_score"]),
        (&json!("UNKNOWN"), &json!("YELLOW"))
    );
    let coming = told(&receiver, "template_category_update", &id, 1).await.remove(0);
    assert_eq!(
        (&coming["new_category"], &coming["correct_category"]),
        (&json!("UTILITY"), &json!("MARKETING"))
    );
    let texts = told(&receiver, "message_template_components_update", &id, 1).await.remove(0);
    assert_eq!(texts["message_template_element"], "Hi {{1}}!");
    let before = receiver.now().len();
    change(json!({"event": "DISABLED", "category": "MARKETING", "silent": true})).await;
    let it = node(&sim, &client, &id).await;
    assert_eq!((&it["status"], &it["category"]), (&json!("DISABLED"), &json!("MARKETING")));
    assert_eq!(receiver.now().len(), before);
    let unknown = sim.sim("POST", "templates/1", json!({})).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_sample_is_uploaded_in_two_steps_and_its_handle_lets_a_media_header_pass() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let facts = json!({"file_name": "cake.png", "file_length": "4", "file_type": "image/png"});
    let path = format!("{APP_ID}/uploads");
    let query = |facts: &Value| {
        let pairs = facts.as_object().unwrap().iter();
        pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect::<Vec<_>>().join("&")
    };
    let begin = async |facts: &Value| {
        sim.graph("POST", &format!("{path}?{}", query(facts)), &client.token, json!({})).await
    };
    let wrong = json!({"file_name": "cake.gif", "file_length": "4", "file_type": "image/gif"});
    assert_eq!(begin(&wrong).await.code(), 100);
    let session = begin(&facts).await.ok()["id"].as_str().unwrap().to_owned();
    let send = async |bytes: &'static [u8]| {
        let call = sim.http.post(sim.url(&format!("/v26.0/{session}")));
        let call = call.header("authorization", format!("OAuth {}", client.token)).header("file_offset", "0");
        answer(call.body(bytes).send().await.unwrap()).await
    };
    assert_eq!(send(b"\x89P").await.code(), 100, "not as long as announced");
    let handle = send(b"\x89PNG").await.ok()["h"].as_str().unwrap().to_owned();
    assert_eq!(send(b"\x89PNG").await.code(), 100, "once");
    let mut it = template("with_picture");
    it["components"] = json!([{"type": "BODY", "text": "Look"},
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}}]);
    create(&sim, &client, it).await.ok();
}
