//! WABAs, numbers, subscriptions, users, templates and files.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, PARTNER, Receiver, SYSTEM_USER, Sim, answer, system_token};

#[tokio::test]
async fn fields_are_chosen_and_one_unknown_field_refuses_the_whole_request() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"businessName": "Corner Bakery"})).await;
    let fields = json!({"fields": "id,name,owner_business_info{id,name},primary_funding_id,account_review_status,business_verification_status,health_status,currency,timezone_id"});
    let waba = sim.graph("GET", &client.waba, &client.token, fields).await.ok();
    assert_eq!(waba["owner_business_info"], json!({"name": "Corner Bakery", "id": client.business}));
    assert_eq!(waba["account_review_status"], "APPROVED");
    assert!(waba.get("primary_funding_id").is_none(), "absent without a payment method");
    let phone = json!({"fields": "id,display_phone_number,verified_name,status,quality_rating,code_verification_status,name_status,new_display_name,new_name_status,platform_type,throughput,account_mode,is_on_biz_app,is_pin_enabled,last_onboarded_time,whatsapp_business_manager_messaging_limit,webhook_configuration,health_status"});
    let phone = sim.graph("GET", &client.phone, &client.token, phone).await.ok();
    assert_eq!((phone["status"].as_str(), phone["is_pin_enabled"].as_bool()), (Some("PENDING"), Some(false)));
    assert_eq!(phone["health_status"]["can_send_message"], "BLOCKED");
    let unknown = sim.graph("GET", &client.phone, &client.token, json!({"fields": "id,colour"})).await;
    assert_eq!(unknown.code(), 100);
}

#[tokio::test]
async fn the_numbers_of_a_waba_come_in_pages() {
    let sim = Sim::start().await;
    let client = sim.client(json!({"numbers": 5})).await;
    let path = format!("{}/phone_numbers", client.waba);
    let (mut seen, mut after) = (Vec::<Value>::new(), String::new());
    loop {
        let params = json!({"fields": "id", "limit": 2, "after": after});
        let page = sim.graph("GET", &path, &client.token, params).await.ok();
        seen.extend(page["data"].as_array().unwrap().clone());
        if page["paging"].get("next").is_none() {
            break;
        }
        after = page["paging"]["cursors"]["after"].as_str().unwrap().to_owned();
    }
    let ids: std::collections::BTreeSet<&str> =
        seen.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!((seen.len(), ids.len()), (5, 5));
    assert_eq!(seen[0]["id"], client.phone);
}

#[tokio::test]
async fn an_override_needs_the_handshake_and_a_plain_subscription_removes_it() {
    let (sim, receiver) = Sim::with_receiver().await;
    let other = Receiver::start().await;
    let client = sim.active_client().await;
    let path = format!("{}/subscribed_apps", client.waba);
    let wrong = json!({"override_callback_uri": other.url, "verify_token": "wrong"});
    assert_eq!(sim.graph("POST", &path, &client.token, wrong).await.code(), 100);
    let right = json!({"override_callback_uri": other.url, "verify_token": "verify-me"});
    sim.graph("POST", &path, &client.token, right).await.ok();
    let read = sim.graph("GET", &path, &client.token, json!({})).await.ok();
    assert_eq!(read["data"][0]["override_callback_uri"], other.url);
    sim.write(&client, json!({"type": "text", "text": {"body": "to the other"}})).await;
    other.messages(1).await;

    sim.graph("POST", &path, &client.token, json!({})).await.ok();
    sim.write(&client, json!({"type": "text", "text": {"body": "to the first"}})).await;
    receiver.messages(1).await;
    assert_eq!(other.now().len(), 1);
}

#[tokio::test]
async fn what_others_change_shows() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let apps = format!("{}/subscribed_apps", client.waba);
    let change = json!({"callback": "https://elsewhere.example/", "funding": "610", "assigned": false});
    sim.sim("POST", &format!("wabas/{}", client.waba), change).await.ok();
    let number = json!({"registered": false, "callback": "https://there.example/"});
    sim.sim("POST", &format!("numbers/{}", client.phone), number).await.ok();
    let read = sim.graph("GET", &apps, &client.token, json!({})).await.ok();
    assert_eq!(read["data"][0]["override_callback_uri"], "https://elsewhere.example/");
    let fields = json!({"fields": "status,webhook_configuration"});
    let read = sim.graph("GET", &client.phone, &client.token, fields).await.ok();
    assert_eq!(
        (&read["status"], &read["webhook_configuration"]["phone_number"]),
        (&json!("PENDING"), &json!("https://there.example/"))
    );
    let undo = json!({"callback": null, "funding": null, "subscribed": false});
    sim.sim("POST", &format!("wabas/{}", client.waba), undo).await.ok();
    let read = sim.graph("GET", &apps, &client.token, json!({})).await.ok();
    assert_eq!(read["data"], json!([]));
    let read =
        sim.graph("GET", &client.waba, &client.token, json!({"fields": "primary_funding_id"})).await.ok();
    assert!(read.get("primary_funding_id").is_none());
    assert_eq!(sim.sim("POST", "wabas/1", json!({})).await.status, 404);
    assert_eq!(sim.sim("POST", &format!("wabas/{}", client.waba), json!({"colour": 1})).await.status, 400);
}

#[tokio::test]
async fn a_number_may_have_a_callback_of_its_own() {
    let (sim, _receiver) = Sim::with_receiver().await;
    let other = Receiver::start().await;
    let client = sim.active_client().await;
    let webhook =
        json!({"webhook_configuration": {"override_callback_uri": other.url, "verify_token": "verify-me"}});
    sim.graph("POST", &client.phone, &client.token, webhook).await.ok();
    sim.write(&client, json!({"text": "hello"})).await;
    other.messages(1).await;
    let fields = json!({"fields": "webhook_configuration"});
    let read = sim.graph("GET", &client.phone, &client.token, fields).await.ok();
    assert_eq!(read["webhook_configuration"]["phone_number"], other.url);
}

#[tokio::test]
async fn only_the_system_user_assigns_users() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let path = format!("{}/assigned_users", client.waba);
    let params = json!({"user": SYSTEM_USER, "tasks": ["MANAGE"]});
    assert_eq!(sim.graph("POST", &path, &client.token, params.clone()).await.code(), 200);
    let unknown = json!({"user": SYSTEM_USER, "tasks": ["COOK"]});
    assert_eq!(sim.graph("POST", &path, &system_token(), unknown).await.code(), 100);
    sim.graph("POST", &path, &system_token(), params).await.ok();
    assert_eq!(sim.graph("GET", &path, &client.token, json!({})).await.code(), 100, "business is required");
    let read = sim.graph("GET", &path, &client.token, json!({"business": PARTNER})).await.ok();
    assert_eq!(read["data"][0]["id"], SYSTEM_USER);
    assert_eq!(read["data"][0]["tasks"], json!(["MANAGE"]));
    sim.graph("DELETE", &path, &system_token(), json!({"user": SYSTEM_USER})).await.ok();
    let read = sim.graph("GET", &path, &client.token, json!({"business": PARTNER})).await.ok();
    assert_eq!(read["data"], json!([]));
}

#[tokio::test]
async fn the_partner_lists_its_clients_and_its_users() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    let hidden = sim.client(json!({"event": "FINISH_GRANT_ONLY_API_ACCESS"})).await;
    let path = format!("{PARTNER}/client_whatsapp_business_accounts");
    let listed = sim.graph("GET", &path, &system_token(), json!({})).await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["id"], client.waba);
    assert_eq!(sim.graph("GET", &hidden.waba, &system_token(), json!({})).await.subcode(), 33);
    let users = sim.graph("GET", &format!("{PARTNER}/system_users"), &system_token(), json!({})).await.ok();
    assert_eq!(users["data"][0]["role"], "ADMIN");
}

#[tokio::test]
async fn a_new_template_is_approved_and_its_webhook_says_so() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let path = format!("{}/message_templates", client.waba);
    let template = json!({"name": "greeting", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hello {{1}}, welcome"}]});
    let made = sim.graph("POST", &path, &client.token, template.clone()).await.ok();
    assert_eq!(made["status"], "PENDING");
    assert_eq!(sim.graph("POST", &path, &client.token, template).await.code(), 100, "the name is taken");
    let of_template =
        |received: &crate::support::Received| received.field() == "message_template_status_update";
    let all = receiver.wait(|all| all.iter().any(of_template)).await;
    let value = all.iter().find(|received| of_template(received)).unwrap().value();
    assert_eq!(value["event"], "APPROVED");
    assert_eq!(value["message_template_id"].as_u64().unwrap().to_string(), made["id"].as_str().unwrap());
    let listed = sim.graph("GET", &path, &client.token, json!({"name": "greeting"})).await.ok();
    assert_eq!(listed["data"][0]["status"], "APPROVED");
    sim.graph("DELETE", &path, &client.token, json!({"name": "greeting"})).await.ok();
    let listed = sim.graph("GET", &path, &client.token, json!({"name": "greeting"})).await.ok();
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test]
async fn a_file_is_uploaded_looked_up_downloaded_sent_and_deleted() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let path = sim.url(&format!("/v26.0/{}/media", client.phone));
    let upload = async |mime: &str, size: usize| {
        let body = format!(
            "--b\r\ncontent-disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\ncontent-type: {mime}\r\n\r\n{}\r\n--b--\r\n",
            "x".repeat(size)
        );
        let request = sim.http.post(&path).bearer_auth(&client.token);
        let request = request.header("content-type", "multipart/form-data; boundary=b").body(body);
        answer(request.send().await.unwrap()).await
    };
    assert_eq!(upload("application/zip", 10).await.code(), 100);
    assert_eq!(upload("image/png", 5 * 1024 * 1024 + 1).await.code(), 131_053);
    let id = upload("image/png", 10).await.ok()["id"].as_str().unwrap().to_owned();

    let media = sim.graph("GET", &id, &client.token, json!({"phone_number_id": client.phone})).await.ok();
    assert_eq!((media["mime_type"].as_str(), media["file_size"].as_u64()), (Some("image/png"), Some(10)));
    let url = media["url"].as_str().unwrap();
    assert_eq!(sim.http.get(url).send().await.unwrap().status(), 401);
    let file = sim.http.get(url).bearer_auth(&client.token).send().await.unwrap();
    assert_eq!(file.bytes().await.unwrap().as_ref(), b"xxxxxxxxxx");

    sim.write(&client, json!({"text": "hello"})).await;
    sim.send(&client, json!({"type": "image", "image": {"id": id, "caption": "c"}})).await.ok();
    let phone = sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    assert_eq!(phone["items"][1]["message"]["image"]["id"], id);

    sim.advance(301).await;
    assert_eq!(sim.http.get(url).bearer_auth(&client.token).send().await.unwrap().status(), 404);
    sim.graph("DELETE", &id, &client.token, json!({})).await.ok();
    assert_eq!(sim.graph("GET", &id, &client.token, json!({})).await.subcode(), 33);
}
