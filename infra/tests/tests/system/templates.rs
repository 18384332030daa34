//! Message templates: kept true by what we do, by webhooks and by reading Meta's lists; and what sending needs of them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::api::SEND;
use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["templates":
        Beside a_new_template_is_approved_by_webhook_listed_and_sent,
        Beside a_rejection_says_why,
        Beside an_edit_is_reviewed_again_and_a_deleted_template_is_gone,
        Beside what_happened_behind_our_back_is_seen_by_a_sync,
        Beside quality_category_and_pauses_come_by_webhook,
        Beside a_new_client_has_its_templates_read,
        Beside more_than_a_page_of_templates_is_read_whole,
        Beside a_sample_lets_a_media_header_pass,
        Beside a_closed_window_offers_the_approved_templates,
        Beside marketing_to_who_stopped_it_costs_no_call,
        Beside templates_of_another_bot_are_unknown,
    ]
}

fn path(client: &Client<'_>, rest: &str) -> String {
    format!("/api/whatsapp/templates/{}{rest}", client.bot)
}

fn greeting(name: &str) -> Value {
    json!({"name": name, "language": "en_US", "category": "UTILITY",
           "components": [{"type": "BODY", "text": "Hello {{1}}, your cake is ready."}]})
}

async fn create(client: &Client<'_>, template: &Value) -> Result<String> {
    let key = format!("{}-{}-{}", client.bot, template["name"], template["language"]);
    let made = client.api.post_with_key(&path(client, ""), &key, template).await?.with_status(201)?;
    Ok(made["id"].as_str().context("a template without an id")?.to_owned())
}

/// All templates of the client, page by page.
async fn all(client: &Client<'_>) -> Result<Vec<Value>> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = client.api.get(&path(client, &format!("?limit=50&cursor={cursor}"))).await?.ok()?;
        items.extend(serde_json::from_value::<Vec<Value>>(page["items"].take())?);
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(items),
        }
    }
}

async fn listed(client: &Client<'_>, id: &str) -> Result<Value> {
    let found = all(client).await?.into_iter().find(|it| it["id"] == id);
    found.with_context(|| format!("template {id} is not listed"))
}

/// Waits until the template has this status.
async fn becomes(client: &Client<'_>, id: &str, status: &str) -> Result<Value> {
    eventually(&format!("template {id} is {status}"), async || {
        let it = listed(client, id).await?;
        ensure!(it["status"] == status, "{it}");
        Ok(it)
    })
    .await
}

/// Meta changes a template.
async fn meta(world: &World, id: &str, change: &Value) -> Result<()> {
    world.sim().post(&format!("templates/{id}"), change).await.map(drop)
}

/// Reads the templates that the client's account has had.
pub(crate) async fn sync(client: &Client<'_>) -> Result<()> {
    // The schedule may be at it.
    eventually("the list is read", async || {
        let synced = client.api.post(&path(client, "/sync"), &json!({})).await?.ok()?;
        ensure!(synced["accounts"][0]["status"] == "complete", "{synced}");
        Ok(())
    })
    .await
}

fn message(client: &Client<'_>, customer: &str, name: &str, texts: &[&str]) -> Value {
    let parameters: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
    json!({"botId": client.bot, "phoneNumberId": client.phone(), "to": customer, "type": "template",
           "template": {"name": name, "language": {"code": "en_US"},
                        "components": [{"type": "body", "parameters": parameters}]}})
}

async fn a_new_template_is_approved_by_webhook_listed_and_sent(world: &World) -> Result<()> {
    let client = world.client().await?;
    let id = create(&client, &greeting("cake_ready")).await?;
    let it = becomes(&client, &id, "APPROVED").await?;
    ensure!(it["name"] == "cake_ready" && it["category"] == "UTILITY", "{it}");
    let customer = world.new_customer();
    let sent = client.api.post(SEND, &message(&client, &customer, "cake_ready", &["Ann"])).await?.ok()?;
    ensure!(sent["status"] == "accepted", "{sent}");
    let preview = json!({"parameters": ["Ann"]});
    let shown = client.api.post(&path(&client, &format!("/{id}/preview")), &preview).await?.ok()?;
    ensure!(shown["text"] == "Hello Ann, your cake is ready.", "{shown}");
    let again = client.api.post(&path(&client, ""), &greeting("cake_ready")).await?;
    let problem = again.refused(422, "refused_by_meta")?;
    ensure!(problem["meta"]["subcode"] == 2_388_024, "{problem}");
    Ok(())
}

async fn a_rejection_says_why(world: &World) -> Result<()> {
    let client = world.client().await?;
    let id = create(&client, &greeting("reject_this")).await?;
    let it = becomes(&client, &id, "REJECTED").await?;
    ensure!(it["reason"] == "INVALID_FORMAT", "{it}");
    Ok(())
}

async fn an_edit_is_reviewed_again_and_a_deleted_template_is_gone(world: &World) -> Result<()> {
    let client = world.client().await?;
    let id = create(&client, &greeting("cake_ready")).await?;
    becomes(&client, &id, "APPROVED").await?;
    let edit = json!({"components": [{"type": "BODY", "text": "Hi {{1}}, your cake waits."}]});
    let edited = client.api.put(&path(&client, &format!("/{id}")), &edit).await?.ok()?;
    ensure!(edited["components"] == edit["components"], "{edited}");
    sync(&client).await?;
    ensure!(listed(&client, &id).await?["components"] == edit["components"], "the sync undid the edit");
    let twice = client.api.put(&path(&client, &format!("/{id}")), &edit).await?;
    twice.refused(422, "refused_by_meta")?;

    let gone = client.api.delete(&path(&client, "/cake_ready?language=en_US")).await?.ok()?;
    ensure!(gone["deleted"] == json!([id]), "{gone}");
    ensure!(listed(&client, &id).await.is_err(), "it is still listed");
    sync(&client).await?;
    let deleted = client.api.get(&path(&client, "?status=DELETED")).await?.ok()?;
    ensure!(deleted["items"][0]["id"] == id.as_str(), "{deleted}");
    let edit = client.api.put(&path(&client, &format!("/{id}")), &edit).await?;
    edit.refused(404, "template_not_found")?;
    Ok(())
}

async fn what_happened_behind_our_back_is_seen_by_a_sync(world: &World) -> Result<()> {
    let client = world.client().await?;
    let (a, b) = (create(&client, &greeting("first")).await?, create(&client, &greeting("second")).await?);
    for id in [&a, &b] {
        becomes(&client, id, "APPROVED").await?;
    }
    sync(&client).await?;
    meta(world, &a, &json!({"event": "DELETED", "silent": true})).await?;
    meta(world, &b, &json!({"event": "DISABLED", "category": "MARKETING", "quality": "RED", "silent": true}))
        .await?;
    // A list counts for more than an event of the last seconds only when it is surely newer.
    eventually("the sync shows both", async || {
        sync(&client).await?;
        ensure!(listed(&client, &a).await.is_err(), "the deleted one is still there");
        let it = listed(&client, &b).await?;
        ensure!((&it["status"], &it["category"]) == (&json!("DISABLED"), &json!("MARKETING")), "{it}");
        ensure!(it["quality"] == "RED", "{it}");
        Ok(())
    })
    .await
}

async fn quality_category_and_pauses_come_by_webhook(world: &World) -> Result<()> {
    let client = world.client().await?;
    let id = create(&client, &greeting("cake_ready")).await?;
    becomes(&client, &id, "APPROVED").await?;
    let components = json!([{"type": "BODY", "text": "Changed by Meta, {{1}}."}]);
    meta(
        world,
        &id,
        &json!({"event": "PAUSED", "reason": "FIRST_PAUSE", "quality": "YELLOW",
        "correctCategory": "MARKETING", "components": components}),
    )
    .await?;
    let it = eventually("all of it is noted", async || {
        let it = becomes(&client, &id, "PAUSED").await?;
        ensure!(it["quality"] == "YELLOW" && it["comingCategory"]["category"] == "MARKETING", "{it}");
        ensure!(it["components"][0]["text"] == "Changed by Meta, {{1}}.", "{it}");
        Ok(it)
    })
    .await?;
    ensure!(it["reason"] == "FIRST_PAUSE" && it["comingCategory"]["at"].is_string(), "{it}");
    client.api.post(&path(&client, &format!("/{id}/unpause")), &json!({})).await?.ok()?;
    becomes(&client, &id, "APPROVED").await?;
    Ok(())
}

async fn a_new_client_has_its_templates_read(world: &World) -> Result<()> {
    let client = world.client().await?;
    // The schedule comes each minute; nobody asks.
    let item =
        world.cloud.two_part_item("templates", ("wabaId", &client.signup.waba), ("templateId", "#sync"));
    let sync = item.await?.context("nobody asked for its list")?;
    ensure!(sync.contains_key("dueAt") && sync.contains_key("dueKey"), "{sync:?}");
    Ok(())
}

async fn more_than_a_page_of_templates_is_read_whole(world: &World) -> Result<()> {
    let client = world.client().await?;
    let languages = ["en_US", "de", "fr", "es", "it"];
    for n in 0..12 {
        for language in languages {
            let mut template = greeting(&format!("hold_{n}"));
            template["language"] = json!(language);
            create(&client, &template).await?;
        }
    }
    sync(&client).await?;
    // The simulator gives each account three to begin with.
    let found = all(&client).await?.len();
    ensure!(found == 12 * languages.len() + 3, "{found} of {}", 12 * languages.len() + 3);
    Ok(())
}

async fn a_sample_lets_a_media_header_pass(world: &World) -> Result<()> {
    let client = world.client().await?;
    // A file of 3 MiB: larger than other routes take.
    let base64 = "iVBORw0K".repeat(512 * 1024);
    let sample = json!({"fileName": "cake.png", "mimeType": "image/png", "base64": base64});
    let uploaded = client.api.post(&path(&client, "/samples"), &sample).await?.ok()?;
    let header = |handle: &Value| {
        let mut template = greeting("with_picture");
        let header = json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}});
        template["components"].as_array_mut().expect("a list").push(header);
        template
    };
    let made_up = client.api.post(&path(&client, ""), &header(&json!("4:made-up"))).await?;
    ensure!(made_up.refused(422, "refused_by_meta")?["meta"]["code"] == 2_388_047, "another refusal");
    let id = create(&client, &header(&uploaded["handle"])).await?;
    becomes(&client, &id, "APPROVED").await?;
    Ok(())
}

async fn a_closed_window_offers_the_approved_templates(world: &World) -> Result<()> {
    let client = world.client().await?;
    sync(&client).await?;
    let answer = client.api.post(SEND, &client.text_to(&world.new_customer(), "Hello, stranger")).await?;
    let problem = answer.refused(409, "window_closed")?;
    let names: Vec<_> = problem["choices"].as_array().into_iter().flatten().map(|it| &it["name"]).collect();
    for expected in ["hello_world", "order_update", "seasonal_offer"] {
        ensure!(names.iter().any(|name| *name == expected), "{expected} is missing: {problem}");
    }
    let choice = &problem["choices"][0];
    ensure!(choice["language"] == "en_US" && choice["category"].is_string(), "{problem}");
    Ok(())
}

async fn marketing_to_who_stopped_it_costs_no_call(world: &World) -> Result<()> {
    let client = world.client().await?;
    sync(&client).await?;
    let customer = world.new_customer();
    let offer = message(&client, &customer, "seasonal_offer", &["Ann"]);
    let stopped = json!({"error": {"status": 400, "code": 131_050, "message": "User stopped marketing"}});
    world.sim().message_fault(client.phone(), &stopped).await?;
    client.api.post(SEND, &offer).await?.refused(422, "recipient_opted_out")?;
    let calls = async || {
        Ok::<_, anyhow::Error>(world.sim().calls(&format!("{}/messages", client.phone())).await?.len())
    };
    let before = calls().await?;
    client.api.post(SEND, &offer).await?.refused(409, "recipient_opted_out")?;
    ensure!(calls().await? == before, "Meta was called");
    let update = message(&client, &customer, "order_update", &["Ann", "A-1"]);
    client.api.post(SEND, &update).await?.ok()?;
    Ok(())
}

async fn templates_of_another_bot_are_unknown(world: &World) -> Result<()> {
    let client = world.client().await?;
    let id = create(&client, &greeting("cake_ready")).await?;
    let other = world.client().await?;
    let edit = json!({"components": [{"type": "BODY", "text": "Stolen"}]});
    other.api.put(&path(&other, &format!("/{id}")), &edit).await?.refused(404, "template_not_found")?;
    other
        .api
        .post(&path(&other, &format!("/{id}/preview")), &edit)
        .await?
        .refused(404, "template_not_found")?;
    let baker = world.bot("demo-bakery");
    baker.get(&path(&client, "")).await?.refused(404, "bot_not_found")?;
    ensure!(all(&other).await?.iter().all(|it| it["id"] != id.as_str()), "a foreign template is listed");
    Ok(())
}
