//! Register, deregister, PIN, local storage and coexistence.

use serde_json::{Value, json};

use crate::support::{Client, Sim};

async fn phone(sim: &Sim, client: &Client) -> Value {
    let fields = json!({"fields": "status,is_pin_enabled,platform_type"});
    sim.graph("GET", &client.phone, &client.token, fields).await.ok()
}

#[tokio::test]
async fn registering_connects_the_number_and_sets_the_pin() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    sim.register(&client, "123456").await.ok();
    let read = phone(&sim, &client).await;
    assert_eq!((read["status"].as_str(), read["is_pin_enabled"].as_bool()), (Some("CONNECTED"), Some(true)));
    // A repeat succeeds, and the PIN stays the first one.
    sim.register(&client, "999999").await.ok();
    sim.graph("POST", &format!("{}/deregister", client.phone), &client.token, json!({})).await.ok();
    assert_eq!(sim.register(&client, "999999").await.code(), 133_005);
    sim.register(&client, "123456").await.ok();
}

#[tokio::test]
async fn a_number_with_two_step_on_takes_only_its_pin_until_that_is_changed() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"numbers": [{"pin": "111111"}]})).await;
    assert_eq!(sim.register(&client, "222222").await.code(), 133_005);
    sim.graph("POST", &client.phone, &client.token, json!({"pin": "222222"})).await.ok();
    sim.register(&client, "222222").await.ok();
}

#[tokio::test]
async fn register_refuses_bad_parameters_and_unverified_numbers() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"numbers": [{"verified": false}]})).await;
    let path = format!("{}/register", client.phone);
    for body in [
        json!({"pin": "123456"}),
        json!({"messaging_product": "whatsapp"}),
        json!({"messaging_product": "whatsapp", "pin": 123_456}),
        json!({"messaging_product": "whatsapp", "pin": "12345"}),
    ] {
        assert_eq!(sim.graph("POST", &path, &client.token, body).await.code(), 100);
    }
    let region = json!({"messaging_product": "whatsapp", "pin": "123456", "data_localization_region": "IN"});
    assert_eq!(sim.graph("POST", &path, &client.token, region).await.code(), 12);
    assert_eq!(sim.register(&client, "123456").await.code(), 133_006);
    assert_eq!(phone(&sim, &client).await["status"], "UNVERIFIED");
}

#[tokio::test]
async fn the_eleventh_call_in_72_hours_blocks_the_number_for_72_hours() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    for _ in 0..10 {
        sim.register(&client, "123456").await.ok();
    }
    assert_eq!(sim.register(&client, "123456").await.code(), 133_016);
    sim.advance(71 * 3_600).await;
    assert_eq!(sim.register(&client, "123456").await.code(), 133_016);
    sim.advance(2 * 3_600).await;
    sim.register(&client, "123456").await.ok();
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!(state["wabas"][0]["numbers"][0]["registerCalls"], 13);
}

#[tokio::test]
async fn local_storage_is_set_only_before_registration() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let path = format!("{}/settings", client.phone);
    let on = json!({"storage_configuration": {"status": "IN_COUNTRY_STORAGE_ENABLED", "data_localization_region": "IN"}});
    sim.graph("POST", &path, &client.token, on.clone()).await.ok();
    let read = sim.graph("GET", &path, &client.token, json!({})).await.ok();
    assert_eq!(read["storage_configuration"]["data_localization_region"], "IN");
    sim.register(&client, "123456").await.ok();
    assert_eq!(sim.graph("POST", &path, &client.token, on).await.code(), 100);
}

#[tokio::test]
async fn a_coexistence_number_is_connected_already_and_syncs_once_within_a_day() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"event": "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING"})).await;
    assert_eq!(phone(&sim, &client).await["status"], "CONNECTED");
    assert_eq!(sim.register(&client, "123456").await.code(), 100);
    let path = format!("{}/smb_app_data", client.phone);
    let sync = |kind: &str| json!({"messaging_product": "whatsapp", "sync_type": kind});
    sim.graph("POST", &path, &client.token, sync("history")).await.ok();
    assert_eq!(sim.graph("POST", &path, &client.token, sync("history")).await.code(), 2_593_107);
    sim.advance(86_401).await;
    let late = sim.graph("POST", &path, &client.token, sync("smb_app_state_sync")).await;
    assert_eq!(late.code(), 2_593_108);
}

#[tokio::test]
async fn a_client_verifies_its_number_and_switches_two_step_off() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"numbers": [{"verified": false, "pin": "111111"}]})).await;
    assert_eq!(sim.register(&client, "222222").await.code(), 133_006);
    let path = format!("numbers/{}", client.phone);
    sim.sim("POST", &path, json!({"verified": true})).await.ok();
    assert_eq!(sim.register(&client, "222222").await.code(), 133_005);
    sim.sim("POST", &path, json!({"pin": null})).await.ok();
    sim.register(&client, "222222").await.ok();
    assert_eq!(sim.sim("POST", &path, json!({"colour": 1})).await.status, 400);
}

#[tokio::test]
async fn a_number_that_another_partner_registered_keeps_its_pin() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"numbers": [{"pin": "111111", "alreadyRegistered": true}]})).await;
    assert_eq!(phone(&sim, &client).await["status"], "CONNECTED");
    sim.register(&client, "222222").await.ok();
    sim.graph("POST", &format!("{}/deregister", client.phone), &client.token, json!({})).await.ok();
    assert_eq!(sim.register(&client, "222222").await.code(), 133_005);
}
