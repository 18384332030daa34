//! Sending: who may, what, to whom, when and how often.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, Sim, system_token};

fn text(body: &str) -> Value {
    json!({"type": "text", "text": {"body": body}})
}

#[tokio::test]
async fn a_reply_is_accepted_and_appears_on_the_customers_phone() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let asked = sim.write(&client, text("hello")).await;
    let mut reply = text("hi");
    reply["context"] = json!({"message_id": asked});
    reply["to"] = json!("+1 (212) 555-0142");
    let sent = sim.send(&client, reply).await.ok();
    assert_eq!(sent["contacts"], json!([{"input": "+1 (212) 555-0142", "wa_id": CUSTOMER}]));
    let wamid = sent["messages"][0]["id"].as_str().unwrap();
    assert!(wamid.starts_with("wamid."));
    let phone = sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    let items = phone["items"].as_array().unwrap();
    assert_eq!(
        (items[0]["from"].as_str(), items[0]["wamid"].as_str()),
        (Some(CUSTOMER), Some(asked.as_str()))
    );
    assert_eq!(
        (items[1]["from"].as_str(), items[1]["wamid"].as_str()),
        (Some(client.phone.as_str()), Some(wamid))
    );
    assert_eq!(items[1]["message"]["text"]["body"], "hi");
    assert_eq!(items[1]["message"]["context"]["message_id"], asked);
}

#[tokio::test]
async fn outside_the_window_only_templates_go() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    assert_eq!(sim.send(&client, text("hi")).await.code(), 131_047);
    sim.write(&client, text("hello")).await;
    sim.advance(86_399 - 60).await;
    sim.send(&client, text("hi")).await.ok();
    sim.advance(120).await;
    assert_eq!(sim.send(&client, text("hi")).await.code(), 131_047);
}

#[tokio::test]
async fn an_unregistered_number_and_a_foreign_token_cannot_send() {
    let sim = Sim::start().await;
    let client = sim.client(json!({})).await;
    assert_eq!(sim.send(&client, text("hi")).await.code(), 133_010);
    let mut foreign = sim.client(json!({})).await;
    foreign.phone.clone_from(&client.phone);
    assert_eq!(sim.send(&foreign, text("hi")).await.subcode(), 33);
    let mut system = sim.active_client().await;
    system.token = system_token();
    assert_eq!(sim.send(&system, text("hi")).await.code(), 10, "the WABA is not assigned");
}

#[tokio::test]
async fn templates_need_a_payment_method_the_right_name_and_the_right_count() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let template = |name: &str, texts: &[&str]| {
        let parameters: Vec<Value> = texts.iter().map(|t| json!({"type": "text", "text": t})).collect();
        json!({"type": "template", "template": {"name": name, "language": {"code": "en_US"},
            "components": [{"type": "body", "parameters": parameters}]}})
    };
    assert_eq!(sim.send(&client, template("hello_world", &[])).await.code(), 131_042);
    sim.assign(&client).await;
    sim.share_credit(&client).await.ok();
    let sent = sim.send(&client, template("hello_world", &[])).await.ok();
    assert_eq!(sent["messages"][0]["message_status"], "accepted");
    sim.send(&client, template("order_update", &["Ada", "42"])).await.ok();
    let unknown = sim.send(&client, template("no_such", &[])).await;
    assert_eq!((unknown.status, unknown.code()), (404, 132_001));
    assert_eq!(sim.send(&client, template("order_update", &["Ada"])).await.code(), 132_000);
    assert_eq!(
        sim.send(&client, template("order_update", &["Ada", &"x".repeat(1_024)])).await.code(),
        132_005
    );
}

#[tokio::test]
async fn recipients_are_checked() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    sim.write(&client, text("hello")).await;
    let fields = json!({"fields": "display_phone_number"});
    let own = sim.graph("GET", &client.phone, &client.token, fields).await.ok();
    let to = |to: &Value| json!({"to": to, "text": {"body": "hi"}});
    assert_eq!(sim.send(&client, to(&own["display_phone_number"])).await.code(), 131_021);
    assert_eq!(sim.send(&client, to(&json!("not a number"))).await.code(), 131_009);
    assert_eq!(sim.send(&client, to(&json!(null))).await.code(), 131_008);
    let unknown = json!({"to": null, "recipient": "US.99999999999999999999", "text": {"body": "hi"}});
    assert_eq!(sim.send(&client, unknown).await.code(), 131_026);
}

#[tokio::test]
async fn a_customer_without_a_phone_number_is_written_to_by_user_id() {
    let (sim, receiver) = Sim::with_receiver().await;
    let client = sim.active_client().await;
    let body = json!({"to": client.phone, "message": text("hello"), "bsuidOnly": true});
    sim.sim("POST", &format!("customers/{CUSTOMER}/messages"), body).await.ok();
    let inbound = receiver.messages(1).await[0].value();
    let bsuid = inbound["messages"][0]["from_user_id"].as_str().unwrap().to_owned();
    assert!(inbound["messages"][0].get("from").is_none() && inbound["contacts"][0].get("wa_id").is_none());
    assert!(bsuid.starts_with("US.") && bsuid.len() >= 23);

    let sent = sim.send(&client, json!({"to": null, "recipient": bsuid, "text": {"body": "hi"}})).await.ok();
    assert_eq!(sent["contacts"], json!([{"input": bsuid, "user_id": bsuid}]));
    for received in &receiver.messages(4).await[1..] {
        let status = received.value()["statuses"][0].clone();
        assert_eq!(status["recipient_user_id"], bsuid);
        assert!(status.get("recipient_id").is_none());
    }
    // With both, the phone wins; another portfolio does not know this id.
    let both = sim.send(&client, json!({"recipient": bsuid, "text": {"body": "hi"}})).await.ok();
    assert_eq!(both["contacts"][0]["wa_id"], CUSTOMER);
    let stranger = sim.active_client().await;
    let foreign = json!({"to": null, "recipient": bsuid, "text": {"body": "hi"}});
    assert_eq!(sim.send(&stranger, foreign).await.code(), 131_026);
}

#[tokio::test]
async fn the_example_of_every_type_and_kind_is_shown_as_it_was_sent() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    sim.assign(&client).await;
    sim.share_credit(&client).await.ok();
    sim.write(&client, json!({"type": "image"})).await;
    let phone = async || sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    let asked = phone().await["items"][0].clone();
    let examples = include_str!("../../../../events/messages/every-kind.json")
        .replace("{wamid}", asked["wamid"].as_str().unwrap())
        .replace("{mediaId}", asked["message"]["image"]["id"].as_str().unwrap());
    let examples: Vec<Value> = serde_json::from_str(&examples).unwrap();
    for mut example in examples {
        let sent = sim.send(&client, example.clone()).await;
        assert_eq!(sent.status, 200, "{example} {}", sent.body);
        example.as_object_mut().unwrap().remove("biz_opaque_callback_data");
        assert_eq!(phone().await["items"].as_array().unwrap().last().unwrap()["message"], example);
    }
}

#[tokio::test]
async fn good_messages_of_every_type_are_accepted() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let asked = sim.write(&client, text("hello")).await;
    let interactive = |kind: &str, action: Value| json!({"type": "interactive", "interactive": {"type": kind, "body": {"text": "b"}, "action": action}});
    let button = |id: &str| json!({"type": "reply", "reply": {"id": id, "title": "Yes"}});
    let messages = [
        json!({"text": {"body": "x".repeat(4096), "preview_url": true}, "biz_opaque_callback_data": "id"}),
        json!({"type": "image", "image": {"link": "https://files.example/a.png", "caption": "c"}}),
        json!({"type": "audio", "audio": {"link": "https://files.example/a.ogg", "voice": true}}),
        json!({"type": "document", "document": {"link": "https://files.example/a.pdf", "filename": "a.pdf"}}),
        json!({"type": "location", "location": {"latitude": 52.5, "longitude": "13.4", "name": "here"}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ada", "first_name": "Ada"}}]}),
        json!({"type": "reaction", "reaction": {"message_id": asked, "emoji": ""}}),
        interactive("button", json!({"buttons": [button("1"), button("2"), button("3")]})),
        interactive("list", json!({"button": "Open", "sections": [{"rows": [{"id": "1", "title": "One"}]}]})),
        interactive(
            "cta_url",
            json!({"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://shop.example"}}),
        ),
        interactive("location_request_message", json!({"name": "send_location"})),
        interactive("contact_request", json!({"name": "request_contact_info"})),
        interactive(
            "flow",
            json!({"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Book"}}),
        ),
    ];
    for message in messages {
        let sent = sim.send(&client, message.clone()).await;
        assert_eq!(sent.status, 200, "{message} {}", sent.body);
    }
}

#[tokio::test]
async fn each_bad_member_is_named() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    sim.write(&client, text("hello")).await;
    let interactive = |value: Value| json!({"type": "interactive", "interactive": value});
    let rows = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"id": n.to_string(), "title": "t"})).collect()
    };
    let button = json!({"type": "reply", "reply": {"id": "1", "title": "Yes"}});
    let cases = [
        (json!({"type": "poem"}), 100, "type"),
        (json!({"type": "text"}), 131_008, "text"),
        (json!({"text": {}}), 131_008, "text.body"),
        (json!({"text": {"body": 5}}), 100, "text.body"),
        (json!({"text": {"body": "x".repeat(4097)}}), 100, "text.body"),
        (
            json!({"text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(513)}),
            100,
            "biz_opaque_callback_data",
        ),
        (json!({"text": {"body": "x"}, "context": {}}), 131_008, "context.message_id"),
        (json!({"text": {"body": "x"}, "recipient_type": "group"}), 100, "recipient_type"),
        (json!({"type": "image", "image": {}}), 131_008, "image.id"),
        (json!({"type": "image", "image": {"id": "5"}}), 100, "image.id"),
        (json!({"type": "image", "image": {"link": "ftp://files.example"}}), 100, "image.link"),
        (
            json!({"type": "video", "video": {"link": "https://files.example/v.mp4", "caption": "x".repeat(1025)}}),
            100,
            "video.caption",
        ),
        (
            json!({"type": "sticker", "sticker": {"link": "https://files.example/s.webp", "caption": "c"}}),
            100,
            "caption",
        ),
        (
            json!({"type": "location", "location": {"latitude": 91, "longitude": 0}}),
            131_009,
            "location.latitude",
        ),
        (json!({"type": "contacts", "contacts": []}), 100, "contacts"),
        (json!({"type": "contacts", "contacts": [{"name": {}}]}), 131_008, "contacts[0].name.formatted_name"),
        (json!({"type": "reaction", "reaction": {"emoji": "x"}}), 131_008, "reaction.message_id"),
        (json!({"type": "template", "template": {"name": "hello_world"}}), 131_008, "template.language"),
        (
            interactive(json!({"type": "button", "action": {"buttons": [button]}})),
            131_008,
            "interactive.body",
        ),
        (
            interactive(
                json!({"type": "button", "body": {"text": "b"}, "action": {"buttons": [button, button]}}),
            ),
            131_009,
            "id is used twice",
        ),
        (
            interactive(
                json!({"type": "button", "body": {"text": "b"}, "action": {"buttons": [button, button, button, button]}}),
            ),
            100,
            "interactive.action.buttons",
        ),
        (
            interactive(
                json!({"type": "list", "body": {"text": "b"}, "action": {"button": "o", "sections": [{"title": "a", "rows": rows(6)}, {"title": "b", "rows": rows(6)}]}}),
            ),
            131_009,
            "id is used twice",
        ),
        (
            interactive(
                json!({"type": "list", "body": {"text": "b"}, "action": {"button": "o", "sections": [{"rows": rows(11)}]}}),
            ),
            100,
            "rows",
        ),
        (
            interactive(
                json!({"type": "cta_url", "body": {"text": "b"}, "action": {"name": "cta_url", "parameters": {"display_text": "x".repeat(21), "url": "https://shop.example"}}}),
            ),
            100,
            "display_text",
        ),
        (
            interactive(json!({"type": "button", "header": {"type": "image", "image": {}},
                "body": {"text": "b"}, "action": {"buttons": [button]}})),
            131_008,
            "interactive.header.image.id",
        ),
        (
            interactive(json!({"type": "cta_url", "body": {"text": "b"},
                "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": "shop"}}})),
            100,
            "parameters.url",
        ),
        (
            interactive(json!({"type": "flow", "body": {"text": "b"}, "action": {"name": "flow",
                "parameters": {"flow_message_version": "3", "flow_id": "1", "flow_name": "n", "flow_cta": "Go"}}})),
            100,
            "flow_name",
        ),
        (
            interactive(json!({"type": "carousel", "body": {"text": "b"}, "action": {"cards": [
                {"card_index": 0, "action": {"catalog_id": "1", "product_retailer_id": "1"}},
                {"card_index": 0, "action": {"catalog_id": "1", "product_retailer_id": "2"}}]}})),
            131_009,
            "card_index is used twice",
        ),
        (
            interactive(
                json!({"type": "carousel", "body": {"text": "b"}, "footer": {"text": "f"}, "action": {"cards": []}}),
            ),
            100,
            "footer",
        ),
        (
            interactive(json!({"type": "product_list", "body": {"text": "b"}, "action": {}})),
            131_008,
            "interactive.header",
        ),
        (
            interactive(json!({"type": "order_details", "body": {"text": "b"},
                "action": {"name": "review_and_pay", "parameters": {"reference_id": "a b"}}})),
            131_009,
            "reference_id",
        ),
        (
            interactive(json!({"type": "order_status", "body": {"text": "b"},
                "action": {"name": "review_order", "parameters": {"reference_id": "a", "order": {}}}})),
            131_008,
            "order.status",
        ),
        (interactive(json!({"type": "hologram"})), 100, "interactive.type"),
    ];
    for (message, code, member) in cases {
        let refused = sim.send(&client, message.clone()).await;
        assert_eq!(refused.code(), code, "{message} {}", refused.body);
        assert!(refused.details().contains(member), "{message} {}", refused.body);
    }
    let without_product = json!({"to": CUSTOMER, "text": {"body": "x"}});
    let path = format!("{}/messages", client.phone);
    assert_eq!(sim.graph("POST", &path, &client.token, without_product).await.code(), 100);
}

#[tokio::test]
async fn a_read_receipt_marks_the_earlier_messages_too_and_shows_the_typing_sign_until_the_answer() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    let mut asked = Vec::new();
    for body in ["one", "two", "three"] {
        asked.push(sim.write(&client, text(body)).await);
    }
    let path = format!("{}/messages", client.phone);
    let receipt =
        |wamid: &str| json!({"messaging_product": "whatsapp", "status": "read", "message_id": wamid});
    let mark = async |body: Value| sim.graph("POST", &path, &client.token, body).await;
    let phone = async || sim.sim("GET", &format!("customers/{CUSTOMER}/messages"), json!({})).await.ok();
    let read = |phone: &Value| -> Vec<bool> {
        phone["items"].as_array().unwrap().iter().map(|item| item["readAt"].is_string()).collect()
    };
    assert_eq!(mark(receipt(&asked[1])).await.ok(), json!({"success": true}));
    let shown = phone().await;
    assert_eq!((read(&shown), &shown["typing"]), (vec![true, true, false], &json!({})));

    let mut typing = receipt(&asked[2]);
    typing["typing_indicator"] = json!({"type": "text"});
    mark(typing.clone()).await.ok();
    assert!(phone().await["typing"][&client.phone].is_string());
    sim.advance(25).await;
    assert_eq!(phone().await["typing"], json!({}));
    mark(typing).await.ok();
    sim.send(&client, text("hi")).await.ok();
    assert_eq!(phone().await["typing"], json!({}));

    let stranger = sim.active_client().await;
    let foreign = format!("{}/messages", stranger.phone);
    let refused = sim.graph("POST", &foreign, &stranger.token, receipt(&asked[0])).await;
    assert_eq!((refused.code(), mark(receipt("wamid.no")).await.code()), (131_009, 131_009));
    let mut wrong = receipt(&asked[0]);
    wrong["status"] = json!("seen");
    assert_eq!(mark(wrong).await.code(), 100);
    wrong = receipt(&asked[0]);
    wrong["message_id"] = Value::Null;
    assert_eq!(mark(wrong).await.code(), 131_008);
}

#[tokio::test]
async fn the_pair_limit_is_refused_and_gone_after_a_while() {
    let sim = Sim::start().await;
    let client = sim.active_client().await;
    sim.write(&client, text("hello")).await;
    let refused = loop {
        let sent = sim.send(&client, text("hi")).await;
        if sent.status != 200 {
            break sent;
        }
    };
    assert_eq!((refused.status, refused.code()), (400, 131_056));
    sim.advance(6).await;
    sim.send(&client, text("hi")).await.ok();
}
