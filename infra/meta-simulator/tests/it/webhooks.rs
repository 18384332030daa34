//! What reaches the callback, and how.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, PARTNER, Received, Sim, mac};

fn signature(body: &[u8]) -> String {
    format!("sha256={}", mac(body))
}

fn hello() -> Value {
    json!({"type": "text", "text": {"body": "Grüße/😀"}})
}

fn statuses(all: &[Received]) -> Vec<Value> {
    all.iter().filter_map(|received| received.value()["statuses"].get(0).cloned()).collect()
}

#[tokio::test]
async fn a_message_is_signed_escaped_and_shaped_as_metas() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let wamid = sim.write(&client, hello()).await;
    let received = receiver.messages(1).await[0].clone();
    assert_eq!(received.signature, signature(&received.body));
    let raw = String::from_utf8(received.body.to_vec()).unwrap();
    assert!(raw.is_ascii() && raw.contains(r"Gr\u00fc\u00dfe\/\ud83d\ude00"), "{raw}");
    let body = received.json();
    assert_eq!(body["entry"][0]["id"], client.waba);
    assert!(body["entry"][0].get("time").is_none());
    let value = received.value();
    let message = &value["messages"][0];
    assert_eq!((message["id"].as_str(), message["from"].as_str()), (Some(wamid.as_str()), Some(CUSTOMER)));
    assert_eq!(value["metadata"]["phone_number_id"], client.phone);
    assert!(value["metadata"]["display_phone_number"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(value["contacts"][0]["wa_id"], CUSTOMER);
    assert_eq!(value["contacts"][0]["user_id"], message["from_user_id"]);
    assert!(message["timestamp"].is_string());
}

#[tokio::test]
async fn a_finished_signup_is_announced_to_the_partner() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.client(json!({})).await;
    let all = receiver.wait(|all| !all.is_empty()).await;
    assert_eq!(all[0].field(), "account_update");
    assert_eq!(all[0].json()["entry"][0]["id"], PARTNER);
    let info = json!({"waba_id": client.waba, "owner_business_id": client.business});
    assert_eq!(all[0].value(), json!({"event": "PARTNER_ADDED", "waba_info": info}));
}

#[tokio::test]
async fn an_accepted_message_gets_three_statuses_with_its_callback_data() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    sim.write(&client, hello()).await;
    let message = json!({"text": {"body": "hi"}, "biz_opaque_callback_data": "intent-1"});
    let sent = sim.send(&client, message).await.ok();
    let found = statuses(&receiver.messages(4).await);
    for name in ["sent", "delivered", "read"] {
        let status = found.iter().find(|status| status["status"] == name).unwrap();
        assert_eq!(status["id"], sent["messages"][0]["id"]);
        assert_eq!(
            (status["recipient_id"].as_str(), status["biz_opaque_callback_data"].as_str()),
            (Some(CUSTOMER), Some("intent-1"))
        );
        let pricing =
            json!({"billable": true, "pricing_model": "PMP", "category": "service", "type": "regular"});
        let expected = if name == "read" { Value::Null } else { pricing };
        assert_eq!(status["pricing"], expected, "{name}");
    }
}

#[tokio::test]
async fn a_refused_delivery_comes_again_with_the_same_bytes() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    receiver.wait(|all| !all.is_empty()).await; // PARTNER_ADDED
    receiver.refuse(&[500, 503]);
    let wamid = sim.write(&client, hello()).await;
    let all = receiver.messages(3).await;
    assert!(all.iter().all(|received| received.body == all[0].body));
    // The log of a delivery is written after the answer: wait for the last one.
    let tries = loop {
        let log = sim.sim("GET", "deliveries", json!({})).await.ok();
        let items = log["items"].as_array().unwrap().clone();
        let tries: Vec<_> = items.into_iter().filter(|item| item["field"] == "messages").collect();
        if tries.len() == 3 {
            break tries;
        }
        tokio::task::yield_now().await;
    };
    let seen: Vec<_> =
        tries.iter().map(|t| (t["attempt"].as_u64().unwrap(), t["status"].as_u64().unwrap())).collect();
    assert_eq!(seen, [(1, 500), (2, 503), (3, 200)]);
    assert!(tries.iter().all(|t| t["elements"] == json!([wamid])), "{tries:?}");
}

#[tokio::test]
async fn repeat_delivers_the_same_message_several_times() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let body = json!({"to": client.phone, "message": hello(), "repeat": 3});
    let answer = sim.sim("POST", &format!("customers/{CUSTOMER}/messages"), body).await.ok();
    let all = receiver.messages(3).await;
    assert!(all.iter().all(|received| received.value()["messages"][0]["id"] == answer["wamid"]));
}

#[tokio::test]
async fn nothing_is_delivered_without_a_subscription() {
    let (sim, receiver) = Sim::with_receiver().await;
    let silent = sim.client(json!({})).await;
    let loud = sim.active_client().await;
    sim.write(&silent, hello()).await;
    let wamid = sim.write(&loud, hello()).await;
    let all = receiver.messages(1).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].value()["messages"][0]["id"], wamid.as_str());
    let path = format!("{}/subscribed_apps", loud.waba);
    sim.graph("DELETE", &path, &loud.token, json!({})).await.ok();
    assert_eq!(sim.graph("GET", &path, &loud.token, json!({})).await.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_raw_webhook_is_forwarded_with_a_good_a_wrong_or_no_signature() {
    let (sim, receiver) = Sim::with_receiver().await;
    let url = sim.url("/_sim/webhooks");
    let body = r#"{"entry": [{"changes": [{"field": "x", "value": {}}]}]}"#;
    for kind in ["", "none", "wrong"] {
        let mut request = sim.http.post(&url).body(body);
        if !kind.is_empty() {
            request = request.header("x-sim-signature", kind);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], 200);
        assert!(answer["ms"].is_u64());
    }
    let all = receiver.now();
    assert!(all.iter().all(|received| received.body == body));
    assert_eq!(all[0].signature, signature(body.as_bytes()));
    assert_eq!(all[1].signature, "");
    assert!(all[2].signature.starts_with("sha256=") && all[2].signature != all[0].signature);
}

#[tokio::test]
async fn a_photo_comes_with_an_id_and_an_address() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    sim.write(&client, json!({"type": "image", "image": {"caption": "look"}})).await;
    let image = receiver.messages(1).await[0].value()["messages"][0]["image"].clone();
    assert_eq!((image["caption"].as_str(), image["mime_type"].as_str()), (Some("look"), Some("image/jpeg")));
    let file = sim.http.get(image["url"].as_str().unwrap()).bearer_auth(&client.token).send().await.unwrap();
    assert_eq!(file.status(), 200);
}

#[tokio::test]
async fn the_configured_callback_passes_the_handshake_and_a_foreign_one_does_not() {
    let (sim, receiver) = Sim::with_receiver().await;
    sim.simulator.verify_webhook().await.unwrap();
    sim.simulator.set_webhook_url(receiver.url.replace("/hook", "/nothing"));
    assert!(sim.simulator.verify_webhook().await.is_err());
}
