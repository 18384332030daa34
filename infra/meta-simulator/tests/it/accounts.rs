//! What happens to an account outside of the Graph API.

use serde_json::json;

use crate::support::{PARTNER, Received, Sim, mac, system_token};

#[tokio::test]
async fn a_client_that_removes_the_partner_is_seen_no_more_until_it_signs_up_again() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    sim.assign(&client).await;
    let allocation =
        sim.share_credit(&client).await.ok()["allocation_config_id"].as_str().unwrap().to_owned();
    let removed = sim.sim("POST", &format!("wabas/{}/remove", client.waba), json!({})).await.ok();
    let is_removal = |post: &Received| post.value()["event"] == "PARTNER_REMOVED";
    let posts = receiver.wait(|all| all.iter().any(is_removal)).await;
    let post = posts.iter().find(|post| is_removal(post)).unwrap().json();
    assert_eq!((&post["entry"][0]["id"], &post["entry"][0]["time"]), (&json!(PARTNER), &removed["time"]));
    let info = json!({"waba_id": client.waba, "owner_business_id": client.business});
    assert_eq!(post["entry"][0]["changes"][0]["value"]["waba_info"], info);

    for token in [&client.token, &system_token()] {
        let refused = sim.graph("GET", &format!("{}/subscribed_apps", client.waba), token, json!({})).await;
        assert_eq!((refused.code(), refused.subcode()), (100, 33));
    }
    // The credit stays until the partner revokes it.
    let token = system_token();
    let node = || sim.graph("GET", &allocation, &token, json!({"fields": "request_status"}));
    assert_eq!(node().await.ok()["request_status"], "ACTIVE");
    sim.graph("DELETE", &allocation, &system_token(), json!({})).await.ok();
    assert_eq!(node().await.ok()["request_status"], "DELETED");
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!((&state["wabas"][0]["shared"], &state["wabas"][0]["funded"]), (&json!(false), &json!(false)));

    let again = sim.client(json!({"phoneNumberId": client.phone})).await;
    sim.assign(&again).await;
    sim.share_credit(&again).await.ok();
    let state = sim.sim("GET", "state", json!({})).await.ok();
    assert_eq!((&state["wabas"][0]["shared"], &state["wabas"][0]["funded"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn any_event_of_an_account_can_be_sent_at_any_time_and_again() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.client(json!({})).await;
    let path = format!("wabas/{}/account-events", client.waba);
    let event = json!({"field": "phone_number_quality_update", "value": {"event": "FLAGGED"}, "time": 1_791_299_437,
        "repeat": 3});
    sim.sim("POST", &path, event).await.ok();
    let of_quality =
        |all: &[Received]| all.iter().filter(|post| post.field() == "phone_number_quality_update").count();
    let posts = receiver.wait(|all| of_quality(all) == 3).await;
    let post = posts.iter().find(|post| post.field() == "phone_number_quality_update").unwrap();
    assert_eq!(post.signature, format!("sha256={}", mac(&post.body)));
    let body = post.json();
    assert_eq!(
        (&body["entry"][0]["id"], &body["entry"][0]["time"]),
        (&json!(client.waba), &json!(1_791_299_437))
    );
    assert_eq!(
        sim.sim("POST", "wabas/1/account-events", json!({"field": "x", "value": {}})).await.status,
        404
    );
    assert_eq!(sim.sim("POST", &path, json!({"value": {}})).await.status, 400);
}
