//! Signups, logs, the guard, the popup's calls, the language model and the state file.

use serde_json::{Value, json};

use crate::support::{APP_ID, APP_SECRET, CUSTOMER, PAGE, Sim, answer, config};

#[tokio::test]
async fn signups_come_in_every_ending() {
    let sim = Sim::start().await;
    let plain = sim.sim("POST", "signups", json!({})).await.ok();
    assert!(["code", "wabaId", "phoneNumberId", "businessId"].iter().all(|name| plain[*name].is_string()));
    let bare = sim.sim("POST", "signups", json!({"event": "FINISH_ONLY_WABA"})).await.ok();
    assert_eq!((bare["phoneNumberId"].clone(), bare["phoneNumberIds"].clone()), (Value::Null, json!([])));
    let several = json!({"numbers": [{"displayPhoneNumber": "+1 212-555-0100"}, {"onBizApp": true}]});
    let several = sim.sim("POST", "signups", several).await.ok();
    assert_eq!(several["phoneNumberIds"].as_array().unwrap().len(), 2);
    assert_eq!(sim.sim("POST", "signups", json!({"event": "CANCEL"})).await.status, 400);
}

#[tokio::test]
async fn an_existing_client_signs_up_again_with_the_same_assets() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    for again in [
        json!({"wabaId": client.waba}),
        json!({"phoneNumberId": client.phone}),
        json!({"businessId": client.business}),
    ] {
        let second = sim.client(again).await;
        assert_eq!(
            (&second.waba, &second.phone, &second.business),
            (&client.waba, &client.phone, &client.business)
        );
        assert_ne!(second.token, client.token);
    }
    let more = sim.sim("POST", "signups", json!({"wabaId": client.waba, "numbers": 1})).await.ok();
    assert_eq!(more["phoneNumberIds"].as_array().unwrap().len(), 2);
    assert_eq!(sim.sim("POST", "signups", json!({"wabaId": "1"})).await.status, 404);
}

#[tokio::test]
async fn calls_are_logged_in_order_without_secrets() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let from = sim.sim("GET", "calls", json!({})).await.ok()["items"].as_array().unwrap().len();
    sim.graph("GET", "debug_token", &format!("{APP_ID}|{APP_SECRET}"), json!({"input_token": client.token}))
        .await
        .ok();
    let calls = sim.sim("GET", "calls", json!({})).await.ok();
    let items = calls["items"].as_array().unwrap();
    let text = calls.to_string();
    for secret in [client.token.as_str(), client.code.as_str(), APP_SECRET, "123456"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(items[0]["path"], "/v26.0/oauth/access_token");
    assert_eq!((items[0]["tokenKind"].as_str(), items[0]["status"].as_u64()), (Some("none"), Some(200)));
    let register = items.iter().find(|call| call["path"].as_str().unwrap().ends_with("/register")).unwrap();
    assert_eq!(register["body"], json!({"messaging_product": "whatsapp", "pin": "***"}));
    assert_eq!(
        (register["tokenKind"].as_str(), register["method"].as_str()),
        (Some("business"), Some("POST"))
    );
    assert_eq!(
        (&register["phoneNumberId"], &register["wabaId"]),
        (&json!(client.phone), &json!(client.waba))
    );
    let later = sim.sim("GET", &format!("calls?since={from}"), json!({})).await.ok();
    assert_eq!(later["items"].as_array().unwrap().len(), 1);
    assert_eq!(later["items"][0]["tokenKind"], "app");
    let at = items[from]["at"].as_str().unwrap();
    let since = sim.sim("GET", &format!("calls?since={at}&limit=1"), json!({})).await.ok();
    assert_eq!(since["items"].as_array().unwrap().len(), 1);
    assert_eq!(sim.sim("GET", "calls?since=yesterday", json!({})).await.status, 400);
}

#[tokio::test]
async fn reset_empties_everything_but_the_configuration() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    sim.sim("POST", "faults", json!({"times": null, "then": {"error": {"status": 500, "code": 2}}}))
        .await
        .ok();
    sim.sim("POST", "reset", json!({})).await.ok();
    assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.code(), 190);
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!(state, json!({"businesses": [], "wabas": []}));
    sim.client(json!({})).await;
    assert_eq!(sim.sim("GET", "health", json!({})).await.ok()["status"], "ok");
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_refused() {
    let sim = Sim::start().await;
    let rebound = sim.http.get(sim.url("/_sim/health")).header("host", "rebound.example");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
    let localhost = sim.url("/_sim/health").replace("127.0.0.1", "localhost");
    assert_eq!(sim.http.get(localhost).send().await.unwrap().status(), 200);
    for (origin, status) in [("https://elsewhere.example", 403), ("null", 403), (PAGE, 200)] {
        let request = sim.http.get(sim.url("/_sim/health")).header("origin", origin);
        assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
    }
    let own = sim.http.get(sim.url("/_sim/health")).header("origin", sim.simulator.url());
    assert_eq!(own.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_popup_opens_for_known_pages_and_completes_a_signup() {
    let sim = Sim::start().await;
    for file in ["/sdk.js", "/dialog/oauth", "/dialog/popup.css", "/dialog/popup.js"] {
        assert_eq!(sim.http.get(sim.url(file)).send().await.unwrap().status(), 200, "{file}");
    }
    let post = async |path: &str, body: Value| {
        answer(sim.http.post(sim.url(path)).json(&body).send().await.unwrap()).await
    };
    let opener = json!({"appId": APP_ID, "configId": config().config_id, "origin": PAGE});
    assert_eq!(post("/_popup/session", opener.clone()).await.status, 200);
    for (name, value) in [("appId", "1"), ("configId", "1"), ("origin", "https://elsewhere.example")] {
        let mut wrong = opener.clone();
        wrong[name] = json!(value);
        let refused = post("/_popup/session", wrong).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["message"].is_string());
    }
    let mut complete = opener.clone();
    for (name, value) in [
        ("event", "FINISH"),
        ("businessName", "Corner Bakery"),
        ("numberState", "verified"),
        ("twoStepPin", "111111"),
    ] {
        complete[name] = json!(value);
    }
    let done = post("/_popup/complete", complete.clone()).await.ok();
    assert!(done["data"]["phone_number_id"].is_string() && done["data"]["business_id"].is_string());
    assert_eq!(sim.exchange(done["code"].as_str().unwrap()).await.status, 200);
    complete["event"] = json!("FINISH_ONLY_WABA");
    complete["numberState"] = json!("none");
    assert!(post("/_popup/complete", complete).await.ok()["data"].get("phone_number_id").is_none());
}

#[tokio::test]
async fn the_language_model_says_what_it_heard_and_fails_on_demand() {
    let sim = Sim::start().await;
    let post = async |body: Value| {
        let request = sim.http.post(sim.url("/v1/chat/completions")).bearer_auth("sk-anything").json(&body);
        answer(request.send().await.unwrap()).await
    };
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "first"},
        {"role": "assistant", "content": "…"}, {"role": "user", "content": [{"type": "text", "text": "two words"}]}]});
    let said = post(body.clone()).await.ok();
    assert_eq!(said["choices"][0]["message"]["content"], "You said: two words");
    assert!(said["usage"]["total_tokens"].as_u64().unwrap() > 0);
    for bad in [
        json!({"messages": []}),
        json!({"model": "m", "messages": []}),
        json!({"model": "m", "messages": [{"role": "user"}]}),
    ] {
        let refused = post(bad).await;
        assert_eq!(
            (refused.status, refused.body["error"]["type"].as_str()),
            (400, Some("invalid_request_error"))
        );
    }
    let fault = json!({"match": {"path": "chat/completions"}, "then": {"error": {"status": 429, "code": 1, "message": "slow"}}});
    sim.sim("POST", "faults", fault).await.ok();
    let refused = post(body.clone()).await;
    assert_eq!((refused.status, refused.body["error"]["message"].as_str()), (429, Some("slow")));
    let calls = sim.sim("GET", "calls", json!({})).await.ok();
    assert_eq!(calls["items"][0]["path"], "/v1/chat/completions");
    assert_eq!(calls["items"][0]["body"], body);
}

#[tokio::test]
async fn the_language_model_speaks_bedrocks_converse_too_and_counts_the_files() {
    let sim = Sim::start().await;
    let signed =
        "AWS4-HMAC-SHA256 Credential=test/20261122/eu-west-1/bedrock/aws4_request, SignedHeaders=host";
    let post = async |authorization: &str, body: &Value| {
        let request = sim.http.post(sim.url("/model/arn%3Aaws%3Am%2F1/converse"));
        answer(request.header("authorization", authorization).json(body).send().await.unwrap()).await
    };
    let image = json!({"image": {"format": "png", "source": {"bytes": "AQID"}}});
    let user = |content: Value| json!({"role": "user", "content": content});
    let body = json!({"system": [{"text": "be brief"}],
        "messages": [user(json!([{"text": "two words"}, image]))]});
    let said = post(signed, &body).await.ok();
    assert_eq!(said["output"]["message"]["content"][0]["text"], "You said: two words (files: 1)");
    assert_eq!(said["usage"]["inputTokens"], 4);
    assert_eq!(post("Bearer sk-anything", &body).await.status, 403);
    let one = user(json!([{"text": "one"}]));
    for bad in [json!({}), json!({"messages": [one, one]}), json!({"messages": [user(json!([{}]))]})] {
        assert_eq!(post(signed, &bad).await.status, 400, "{bad}");
    }
    let fault = json!({"match": {"path": "converse"}, "then": {"error": {"status": 429, "code": 1, "message": "slow"}}});
    sim.sim("POST", "faults", fault).await.ok();
    let refused = post(signed, &body).await;
    assert_eq!((refused.status, refused.body["message"].as_str()), (429, Some("slow")));
}

#[tokio::test]
async fn clients_and_messages_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut with_file = config();
    with_file.state_file = Some(folder.path().join("meta.json"));
    let sim = Sim::with(with_file.clone()).await;
    let client = sim.active_client().await;
    let wamid = sim.write(&client, json!({"text": "hello"})).await;
    sim.simulator.stop().await;

    let sim = Sim::with(with_file).await;
    sim.send(&client, json!({"text": {"body": "still here"}})).await.ok();
    let phone = sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    assert_eq!(phone["items"][0]["wamid"], wamid.as_str());
    assert_eq!(phone["items"].as_array().unwrap().len(), 2);
}
