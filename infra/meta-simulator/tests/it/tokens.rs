//! Codes, tokens, versions and envelopes.

use serde_json::json;

use crate::support::{APP_ID, APP_SECRET, SYSTEM_USER, Sim, answer, config, mac, system_token};

fn proof(token: &str) -> String {
    mac(token.as_bytes())
}

#[tokio::test]
async fn a_code_works_once_and_for_thirty_seconds() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    assert!(client.token.starts_with("EAA") && client.token.len() >= 63);
    let again = sim.exchange(&client.code).await;
    assert_eq!((again.status, again.code(), again.subcode()), (400, 100, 36009));

    let signup = sim.sim("POST", "signups", json!({})).await.ok();
    sim.advance(31).await;
    let late = sim.exchange(signup["code"].as_str().unwrap()).await;
    assert_eq!((late.code(), late.subcode()), (100, 36007));
}

#[tokio::test]
async fn the_exchange_needs_the_right_app_and_secret() {
    let sim = Sim::start().await;
    let signup = sim.sim("POST", "signups", json!({})).await.ok();
    let wrong = json!({"client_id": APP_ID, "client_secret": "no", "code": signup["code"]});
    assert_eq!(sim.graph("GET", "oauth/access_token", "", wrong).await.code(), 1);
    let stranger = json!({"client_id": "1", "client_secret": APP_SECRET, "code": signup["code"]});
    assert_eq!(sim.graph("GET", "oauth/access_token", "", stranger).await.code(), 101);
    // Neither spent the code.
    assert_eq!(sim.exchange(signup["code"].as_str().unwrap()).await.status, 200);
}

#[tokio::test]
async fn debug_token_shows_what_a_business_token_covers() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"tokenDays": 60})).await;
    let asked = json!({"input_token": client.token});
    let app_token = format!("{APP_ID}|{APP_SECRET}");
    for token in [&app_token, &system_token()] {
        let data = sim.graph("GET", "debug_token", token, asked.clone()).await.ok()["data"].clone();
        assert_eq!((data["is_valid"].as_bool(), data["app_id"].as_str()), (Some(true), Some(APP_ID)));
        assert!(data["expires_at"].as_i64().unwrap() > 0);
        assert_eq!(data["granular_scopes"][0]["target_ids"], json!([client.waba]));
    }
    assert_eq!(sim.graph("GET", "debug_token", &client.token, asked.clone()).await.code(), 100);
    sim.advance(61 * 86_400).await;
    let data = sim.graph("GET", "debug_token", &app_token, asked).await.ok()["data"].clone();
    assert_eq!((data["is_valid"].as_bool(), data["error"]["subcode"].as_i64()), (Some(false), Some(463)));
    let expired = sim.graph("GET", "me", &client.token, json!({})).await;
    assert_eq!((expired.status, expired.code(), expired.subcode()), (401, 190, 463));
}

#[tokio::test]
async fn a_token_without_an_end_says_zero() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let data =
        sim.graph("GET", "debug_token", &system_token(), json!({"input_token": client.token})).await.ok();
    assert_eq!(data["data"]["expires_at"], 0);
}

#[tokio::test]
async fn me_names_the_clients_business() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let me = sim.graph("GET", "me", &client.token, json!({"fields": "id,client_business_id"})).await.ok();
    assert_eq!(me["client_business_id"].as_str(), Some(client.business.as_str()));
    assert_eq!(sim.graph("GET", "me", &system_token(), json!({})).await.ok()["id"], SYSTEM_USER);
    assert_eq!(sim.graph("GET", "me", "", json!({})).await.code(), 2500);
}

#[tokio::test]
async fn tokens_are_checked_in_every_place_they_can_stand() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let in_query = json!({"access_token": client.token});
    assert_eq!(sim.graph("GET", &client.waba, "", in_query).await.status, 200);
    let form = sim.http.post(sim.url(&format!("/v26.0/{}/subscribed_apps", client.waba)));
    let form = form.form(&[("access_token", client.token.as_str())]).send().await.unwrap();
    assert_eq!(answer(form).await.status, 200);
    let unknown = sim.graph("GET", &client.waba, &format!("EAA{}", "z".repeat(70)), json!({})).await;
    assert_eq!((unknown.status, unknown.code()), (401, 190));
    assert_eq!(sim.graph("GET", &client.waba, "", json!({})).await.code(), 104);
}

#[tokio::test]
async fn a_token_sees_its_own_assets_only() {
    let sim = Sim::start().await;
    let (one, two) = (sim.client(json!({})).await, sim.client(json!({})).await);
    for id in [&two.waba, &two.phone, &two.business] {
        let foreign = sim.graph("GET", id, &one.token, json!({})).await;
        assert_eq!((foreign.status, foreign.code(), foreign.subcode()), (400, 100, 33));
        let unknown = sim.graph("GET", "999999999999999", &one.token, json!({})).await;
        assert_eq!((unknown.code(), unknown.subcode()), (100, 33));
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"scopes": ["whatsapp_business_messaging"]})).await;
    let refused = sim.graph("GET", &client.waba, &client.token, json!({})).await;
    assert_eq!((refused.status, refused.code()), (403, 200));
}

#[tokio::test]
async fn a_proof_must_be_right_if_it_is_there() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let right = json!({"appsecret_proof": proof(&client.token)});
    assert_eq!(sim.graph("GET", "me", &client.token, right).await.status, 200);
    let wrong = sim.graph("GET", "me", &client.token, json!({"appsecret_proof": "00"})).await;
    assert_eq!(wrong.code(), 100);
    assert!(wrong.body["error"]["message"].as_str().unwrap().contains("Invalid appsecret_proof"));
}

#[tokio::test]
async fn a_lost_code_is_recovered_by_fetching_the_business_token() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let path = format!("{}/system_user_access_tokens", client.business);
    let token = system_token();
    let fetch = json!({"fetch_only": true, "appsecret_proof": proof(&token)});
    assert_eq!(sim.graph("POST", &path, &token, fetch.clone()).await.ok()["access_token"], client.token);
    assert_eq!(sim.graph("POST", &path, &token, json!({"fetch_only": true})).await.code(), 100);
    assert_ne!(sim.graph("POST", &path, &client.token, fetch).await.status, 200);
}

#[tokio::test]
async fn an_expiring_token_is_renewed_and_a_revoked_one_is_dead() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"tokenDays": 60})).await;
    let renew = json!({"grant_type": "fb_exchange_token", "client_id": APP_ID, "client_secret": APP_SECRET,
        "fb_exchange_token": client.token});
    let fresh = sim.graph("GET", "oauth/access_token", "", renew).await.ok();
    assert!(fresh["expires_in"].as_i64().unwrap() > 59 * 86_400);
    let revoke = json!({"client_id": APP_ID, "client_secret": APP_SECRET, "revoke_token": client.token});
    assert_eq!(sim.graph("GET", "oauth/revoke", "", revoke).await.ok()["success"], "true");
    assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.code(), 190);
    let fresh = fresh["access_token"].as_str().unwrap();
    assert_eq!(sim.graph("GET", "me", fresh, json!({})).await.status, 200);
}

#[tokio::test]
async fn a_token_is_derived_for_sixty_days_and_for_granted_accounts_only() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"tokenDays": 10})).await;
    let path = format!("{}/system_user_access_tokens", client.business);
    let token = system_token();
    let derive = |account: &str| {
        json!({"asset": format!("[\"{account}\"]"), "set_token_expires_in_60_days": true,
            "appsecret_proof": proof(&token)})
    };
    let fresh = sim.graph("POST", &path, &token, derive(&client.waba)).await.ok();
    let fresh = fresh["access_token"].as_str().unwrap();
    assert_ne!(sim.graph("POST", &path, &token, derive("1")).await.status, 200);
    sim.advance(11 * 86_400).await;
    assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.subcode(), 463);
    assert_eq!(sim.graph("GET", "me", fresh, json!({})).await.status, 200);
}

#[tokio::test]
async fn a_system_users_token_that_ends_is_exchanged_as_long_as_it_is_valid() {
    let sim = Sim::start().await;
    let exchange = json!({"grant_type": "fb_exchange_token", "client_id": APP_ID, "client_secret": APP_SECRET,
        "fb_exchange_token": system_token()});
    let renew = async || sim.graph("GET", "oauth/access_token", "", exchange.clone()).await;
    assert_eq!(renew().await.code(), 190, "one that never ends is not refreshed");
    sim.sim("POST", "system-user", json!({"tokenDays": 10})).await.ok();
    let app_token = format!("{APP_ID}|{APP_SECRET}");
    let end = async |token: &str| {
        let asked = json!({"input_token": token});
        sim.graph("GET", "debug_token", &app_token, asked).await.ok()["data"]["expires_at"].as_i64().unwrap()
    };
    let fresh = renew().await.ok();
    let fresh = fresh["access_token"].as_str().unwrap();
    assert!(end(fresh).await > end(&system_token()).await);
    sim.advance(11 * 86_400).await;
    assert_eq!(sim.graph("GET", "me", &system_token(), json!({})).await.subcode(), 463);
    assert_eq!(sim.graph("GET", "me", fresh, json!({})).await.status, 200);
    assert_eq!(renew().await.code(), 190, "one that has ended is not refreshed");
}

#[tokio::test]
async fn three_versions_are_spoken_and_unknown_paths_are_refused_in_metas_envelope() {
    let sim = Sim::start().await;
    let token = system_token();
    for version in ["v26.0", "v25.0", "v24.0"] {
        let request = sim.http.get(sim.url(&format!("/{version}/me"))).bearer_auth(&token);
        assert_eq!(answer(request.send().await.unwrap()).await.status, 200);
    }
    for (path, code) in [("/v27.0/me", 2500), ("/v23.0/me", 2635), ("/me", 2500)] {
        let request = sim.http.get(sim.url(path)).bearer_auth(&token);
        assert_eq!(answer(request.send().await.unwrap()).await.code(), code, "{path}");
    }
    let refused = sim.graph("GET", "no/such/path", &token, json!({})).await;
    assert_eq!((refused.status, refused.code()), (400, 2500));
    assert!(refused.body["error"]["message"].as_str().unwrap().starts_with("Unknown path components"));
    assert!(refused.body["error"]["fbtrace_id"].is_string());
}

#[tokio::test]
async fn a_tech_provider_without_credit_line_and_system_user_opens_no_door() {
    let mut bare = config();
    bare.system_user_token = String::new();
    bare.credit_line_id = String::new();
    let sim = Sim::with(bare).await;
    let client = sim.client(json!({})).await;
    assert_eq!(sim.graph("GET", "me", &client.token, json!({})).await.status, 200);
    assert_eq!(sim.graph("GET", &client.waba, "", json!({"access_token": ""})).await.code(), 104);
    let no_line = sim.graph("GET", "/owning_credit_allocation_configs", &client.token, json!({})).await;
    assert_ne!(no_line.status, 200);
}
