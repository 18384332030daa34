//! The credit line: who may share it, once per WABA, and how it ends.

use serde_json::json;

use crate::support::{CREDIT, PARTNER, Sim, system_token};

#[tokio::test]
async fn credit_is_shared_once_and_proven_by_the_credential() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    assert_eq!(sim.share_credit(&client).await.code(), 200, "the system user is not assigned yet");
    sim.assign(&client).await;
    let shared = sim.share_credit(&client).await.ok();
    assert_eq!(shared["waba_id"], client.waba);
    let allocation = shared["allocation_config_id"].as_str().unwrap();

    let again = sim.share_credit(&client).await;
    assert_eq!((again.status, again.code()), (400, 100));
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!(state["wabas"][0]["allocations"], json!([allocation]));
    assert_eq!(state["wabas"][0]["refusedCreditCalls"], 1);

    let token = system_token();
    let fields = json!({"fields": "receiving_credential"});
    let credential =
        sim.graph("GET", allocation, &token, fields).await.ok()["receiving_credential"]["id"].clone();
    let fields = json!({"fields": "primary_funding_id,currency"});
    let waba = sim.graph("GET", &client.waba, &client.token, fields).await.ok();
    assert_eq!((waba["primary_funding_id"].clone(), waba["currency"].as_str()), (credential, Some("USD")));
}

#[tokio::test]
async fn credit_calls_need_the_system_user_the_line_and_a_known_currency() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    sim.assign(&client).await;
    let params = json!({"waba_currency": "USD", "waba_id": client.waba});
    let path = format!("{CREDIT}/whatsapp_credit_sharing_and_attach");
    assert_eq!(sim.graph("POST", &path, &client.token, params.clone()).await.code(), 200);
    let other_line = "1/whatsapp_credit_sharing_and_attach";
    assert_eq!(sim.graph("POST", other_line, &system_token(), params).await.subcode(), 33);
    let odd = json!({"waba_currency": "XXX", "waba_id": client.waba});
    assert_eq!(sim.graph("POST", &path, &system_token(), odd).await.code(), 100);
    let lines =
        sim.graph("GET", &format!("{PARTNER}/extendedcredits"), &system_token(), json!({})).await.ok();
    assert_eq!(lines["data"][0]["id"], CREDIT);
}

#[tokio::test]
async fn a_revoked_allocation_is_gone_from_the_waba_and_from_the_list() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    sim.assign(&client).await;
    let allocation =
        sim.share_credit(&client).await.ok()["allocation_config_id"].as_str().unwrap().to_owned();
    let token = system_token();
    let list = format!("{CREDIT}/owning_credit_allocation_configs");
    let params = json!({"receiving_business_id": client.business, "fields": "id,receiving_business"});
    let listed = sim.graph("GET", &list, &token, params.clone()).await.ok();
    assert_eq!(listed["data"][0]["id"], allocation);
    sim.graph("DELETE", &allocation, &token, json!({})).await.ok();
    assert_eq!(sim.graph("GET", &list, &token, params).await.ok()["data"], json!([]));
    let read = sim.graph("GET", &allocation, &token, json!({"fields": "request_status"})).await.ok();
    assert_eq!(read["request_status"], "DELETED");
    let waba =
        sim.graph("GET", &client.waba, &client.token, json!({"fields": "primary_funding_id"})).await.ok();
    assert!(waba.get("primary_funding_id").is_none());
}

#[tokio::test]
async fn the_two_call_method_shares_with_one_token_and_attaches_with_the_other() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let attach = format!("{CREDIT}/whatsapp_credit_attach");
    let params = json!({"waba_currency": "EUR", "waba_id": client.waba});
    assert_eq!(sim.graph("POST", &attach, &client.token, params.clone()).await.code(), 100, "not shared yet");
    let share = json!({"receiving_business_id": client.business});
    let path = format!("{CREDIT}/whatsapp_credit_sharing");
    let shared = sim.graph("POST", &path, &system_token(), share).await.ok();
    let attached = sim.graph("POST", &attach, &client.token, params).await.ok();
    assert_eq!(attached["allocation_config_id"], shared["allocation_config_id"]);
}
