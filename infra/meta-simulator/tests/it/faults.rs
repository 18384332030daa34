//! Trouble on demand.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, Sim};

fn hello() -> Value {
    json!({"type": "text", "text": {"body": "hello"}})
}

#[tokio::test]
async fn an_error_comes_as_often_as_asked_and_nothing_is_done() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let fault = json!({"match": {"method": "POST", "path": "/register", "phoneNumberId": client.phone}, "times": 2,
        "then": {"error": {"status": 503, "code": 133_004, "subcode": 7, "message": "down", "isTransient": true}}});
    let id = sim.sim("POST", "faults", fault).await.ok()["id"].clone();
    for _ in 0..2 {
        let refused = sim.register(&client, "123456").await;
        assert_eq!((refused.status, refused.code(), refused.subcode()), (503, 133_004, 7));
        assert_eq!(refused.body["error"]["is_transient"], true);
    }
    sim.register(&client, "123456").await.ok();
    let calls = sim.sim("GET", "calls", json!({})).await.ok();
    let hit = calls["items"].as_array().unwrap().iter().filter(|call| call["fault"] == id).count();
    assert_eq!(hit, 2);
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!(state["wabas"][0]["numbers"][0]["registerCalls"], 1);
}

#[tokio::test]
async fn a_fault_without_end_lasts_until_faults_are_deleted() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    for times in [json!(null), json!(-1)] {
        let fault = json!({"match": {"path": "me"}, "times": times, "then": {"error": {"status": 502}}});
        sim.sim("POST", "faults", fault).await.ok();
        for _ in 0..3 {
            let broken = sim.graph("GET", "me", &client.token, json!({})).await;
            assert_eq!(broken.status, 502);
            assert!(broken.body.as_str().unwrap().starts_with("<html>"), "no code, no JSON");
        }
        sim.sim("DELETE", "faults", json!({})).await.ok();
        assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.status, 200);
    }
}

#[tokio::test]
async fn accept_then_drop_does_it_sends_the_webhooks_and_loses_the_answer() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    sim.write(&client, hello()).await;
    let fault = json!({"match": {"path": "messages"}, "then": {"acceptThenDrop": true}});
    sim.sim("POST", "faults", fault).await.ok();
    let url = sim.url(&format!("/v26.0/{}/messages", client.phone));
    let body = json!({"messaging_product": "whatsapp", "to": CUSTOMER, "text": {"body": "hi"}});
    let lost = sim.http.post(url).bearer_auth(&client.token).json(&body).send().await;
    assert!(lost.is_err(), "the connection ends without an answer");
    let all = receiver.messages(4).await;
    let phone = sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    let wamid = &phone["items"][1]["wamid"];
    assert!(all.iter().skip(1).all(|received| received.value()["statuses"][0]["id"] == *wamid));
    let calls = sim.sim("GET", "calls", json!({})).await.ok();
    let last = calls["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((last["status"].as_u64(), last["fault"].is_string()), (Some(200), true));
}

#[tokio::test]
async fn a_hanging_call_is_not_answered_and_ends_when_the_simulator_stops() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    sim.sim("POST", "faults", json!({"match": {"path": "me"}, "then": {"hang": true}})).await.ok();
    let request = sim.http.get(sim.url("/v26.0/me")).bearer_auth(&client.token);
    let hanging = tokio::spawn(request.send());
    loop {
        let calls = sim.sim("GET", "calls", json!({})).await.ok();
        if calls["items"].as_array().unwrap().iter().any(|call| call["fault"].is_string()) {
            break;
        }
    }
    assert!(!hanging.is_finished());
    sim.simulator.stop().await;
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_delayed_call_is_answered_as_always() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let started = std::time::Instant::now();
    sim.sim("POST", "faults", json!({"match": {"path": "me"}, "then": {"delayMs": 120}})).await.ok();
    assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.status, 200);
    assert!(started.elapsed().as_millis() >= 120);
}

#[tokio::test]
async fn a_misspelt_match_is_refused_instead_of_hitting_everything() {
    let sim = Sim::start().await;
    for fault in [
        json!({"match": {"paht": "me"}, "then": {"hang": true}}),
        json!({"match": {}, "times": 0, "then": {"hang": true}}),
        json!({"match": {}}),
    ] {
        assert_eq!(sim.sim("POST", "faults", fault).await.status, 400);
    }
}

#[tokio::test]
async fn an_accepted_message_can_fail_later() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    sim.write(&client, hello()).await;
    let fault = json!({"match": {"path": "messages"}, "then": {"failLater": {"code": 131_026}}});
    sim.sim("POST", "faults", fault).await.ok();
    let sent = sim.send(&client, json!({"text": {"body": "hi"}})).await.ok();
    let value = receiver.messages(2).await[1].value();
    let status = &value["statuses"][0];
    assert_eq!((&status["id"], &status["status"]), (&sent["messages"][0]["id"], &json!("failed")));
    assert_eq!(status["errors"][0]["code"], 131_026);
    assert!(value.get("contacts").is_none() && status.get("pricing").is_none());
}
