//! Files: those that customers send, and those that are sent to them.

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::api::SEND;
use crate::support::{Case, Client, World, cases, eventually};

const MEDIA: &str = "/api/whatsapp/media";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and then the picture";

pub(crate) fn cases() -> Vec<Case> {
    cases!["media":
        Beside what_a_customer_sends_is_kept_and_given_by_a_link_until_it_is_erased,
        Beside a_file_of_another_hash_than_announced_is_not_kept,
        Beside a_file_that_meta_does_not_give_waits,
        Beside an_uploaded_file_is_sent_by_its_id,
    ]
}

/// What the history says of the file of the customer's only message.
async fn file_of(client: &Client<'_>, customer: &str, state: &str) -> Result<Value> {
    eventually(&format!("the file is {state}"), async || {
        let history = client.history(customer).await?;
        let message = history.iter().find(|message| message["direction"] == "inbound");
        let file = message.context("no message yet")?["media"].clone();
        ensure!(file["state"] == state, "it is {file}");
        Ok(file)
    })
    .await
}

async fn picture(world: &World, client: &Client<'_>, customer: &str, members: Value) -> Result<()> {
    let mut image = json!({"mime_type": "image/png", "data": STANDARD.encode(PNG), "caption": "Look"});
    for (name, value) in members.as_object().into_iter().flatten() {
        image[name] = value.clone();
    }
    let message = json!({"to": client.phone(), "message": {"type": "image", "image": image}});
    world.sim().write(customer, message).await.map(drop)
}

async fn what_a_customer_sends_is_kept_and_given_by_a_link_until_it_is_erased(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    picture(world, &client, &customer, json!({})).await?;
    let file = file_of(&client, &customer, "stored").await?;
    ensure!(file["size"] == PNG.len() && file["mimeType"] == "image/png", "{file}");
    let id = file["id"].as_str().context("a file without an id")?;
    let path = format!("{MEDIA}/{}/{id}", client.bot);
    let link = client.api.get(&path).await?.ok()?;
    ensure!(link["sha256"] == file["sha256"], "{link}");
    let url = link["url"].as_str().context("no link")?;
    let opened = world.http.get(url).send().await?;
    ensure!(opened.status() == 200, "the link answered {}", opened.status());
    let header = |name: &str| opened.headers().get(name).and_then(|value| value.to_str().ok());
    ensure!(header("content-type") == Some("image/png"), "{:?}", opened.headers());
    ensure!(header("content-disposition") == Some("attachment"), "{:?}", opened.headers());
    ensure!(opened.bytes().await? == PNG, "other bytes than were sent");

    let bare = url.split('?').next().unwrap_or_default();
    let forged = format!("{bare}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=300&X-Amz-Signature=00");
    ensure!(!world.http.get(forged).send().await?.status().is_success(), "a forged link works");
    let foreign = world.admin().get(&format!("{MEDIA}/{}/{id}", world.new_bot())).await?;
    foreign.refused(404, "media_not_found")?;

    client.settled(&customer).await?;
    let talk = format!("/api/whatsapp/conversations/{}/{customer}", client.bot);
    eventually("the file is among what is told of the customer", async || {
        let told = client.api.get(&format!("{talk}/export")).await?;
        ensure!(told.status == 200 && told.text.contains(id), "{told}");
        Ok(())
    })
    .await?;
    let receipt = client.api.delete(&talk).await?.ok()?;
    ensure!(receipt["erased"]["files"] == 1, "{receipt}");
    client.api.get(&path).await?.refused(404, "media_not_found")?;
    ensure!(world.http.get(url).send().await?.status() == 404, "the file is still there");
    Ok(())
}

async fn a_file_of_another_hash_than_announced_is_not_kept(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let wrong = STANDARD.encode([7; 32]);
    picture(world, &client, &customer, json!({ "sha256": wrong })).await?;
    let file = file_of(&client, &customer, "rejected").await?;
    ensure!(file["reason"] == "hash", "{file}");
    let path = format!("{MEDIA}/{}/{}", client.bot, file["id"].as_str().unwrap_or_default());
    let problem = client.api.get(&path).await?.refused(410, "media_rejected")?;
    ensure!(problem["reason"] == "hash", "{problem}");
    Ok(())
}

async fn a_file_that_meta_does_not_give_waits(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let document = json!({"id": "404404404404404", "filename": "menu.pdf", "mime_type": "application/pdf"});
    let message = json!({"to": client.phone(), "message": {"type": "document", "document": document}});
    world.sim().write(&customer, message).await?;
    let file = file_of(&client, &customer, "pending").await?;
    let path = format!("{MEDIA}/{}/{}", client.bot, file["id"].as_str().unwrap_or_default());
    let problem = client.api.get(&path).await?.refused(409, "media_pending")?;
    ensure!(problem["retryable"] == true, "{problem}");
    Ok(())
}

async fn an_uploaded_file_is_sent_by_its_id(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Show me").await?;
    client.answers(&customer, 1).await?;
    let path = format!("{MEDIA}/{}/{}", client.bot, client.phone());
    let upload =
        async |kind: &str, bytes: &[u8]| client.api.post_bytes(&path, &[("content-type", kind)], bytes).await;
    upload("image/gif", b"GIF89a").await?.refused(400, "media_type_unsupported")?;
    let uploaded = upload("image/png", PNG).await?.with_status(201)?;
    ensure!(uploaded["size"] == PNG.len() && uploaded["mimeType"] == "image/png", "{uploaded}");
    let movie = [b"\0\0\0\x18ftypmp42".as_slice(), &[0; 5 * 1024 * 1024]].concat();
    upload("video/mp4", &movie).await?.refused(400, "media_too_large")?;
    let begin = json!({"mimeType": "video/mp4", "size": movie.len()});
    let begun = client.api.post(&format!("{path}/uploads"), &begin).await?.with_status(201)?;
    let put = world.http.put(begun["uploadUrl"].as_str().context("no address")?);
    let put = put.header("content-type", "video/mp4").body(movie.clone()).send().await?;
    ensure!(put.status().is_success(), "the address of the upload answered {}", put.status());
    let finish = format!("{path}/uploads/{}", begun["uploadId"].as_str().unwrap_or_default());
    let larger = client.api.post(&finish, &json!({"mimeType": "video/mp4"})).await?.with_status(201)?;
    ensure!(larger["size"] == movie.len() && larger["id"] != uploaded["id"], "{larger}");

    let mut message = client.text_to(&customer, "");
    message["type"] = "image".into();
    message["image"] = json!({"id": uploaded["id"], "caption": "Here"});
    client.api.post(SEND, &message).await?.ok()?;
    let shown = client.answers(&customer, 2).await?;
    ensure!(shown[1]["message"]["image"]["id"] == uploaded["id"], "{shown:?}");
    Ok(())
}
