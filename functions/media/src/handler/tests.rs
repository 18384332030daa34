use lambda_http::http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use shared::domain::client::Client;
use shared::domain::media::{Rejected, StoredFile};
use shared::ports::NoteMedia;
use shared::testing::{Fault, GraphFault, Parts, Sample, World, answered, refusal, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/media.json");
const UPLOAD: &str = include_str!("../../../../events/media-upload.json");

async fn handle(world: &World, request: &Request) -> Result<Response<Body>, ApiError> {
    let parts: &Parts = world;
    let desk = Desk {
        store: &parts.store,
        files: &parts.files,
        seal: &parts.seal,
        graph: &parts.graph,
        clock: &parts.clock,
        random: &parts.random,
        tokens: &Tokens::default(),
    };
    desk.handle(request).await
}

async fn world() -> (World, Client) {
    let world = World::new();
    let (client, _) = world.active_client(&"demo-bakery".parse().unwrap(), 1).await;
    (world, client)
}

/// The file of the sample, so far.
async fn with(bot: &str, state: MediaState) -> World {
    let (world, client) = world().await;
    let file = MediaFile {
        key: format!("{bot}#880001").parse().unwrap(),
        phone_number_id: client.phone_number_id.clone(),
        conversation_id: format!("{}.US.ada", client.phone_number_id).parse().unwrap(),
        message_id: "wamid.P".parse().unwrap(),
        mime_type: None,
        sha256: None,
        filename: Some("menu.pdf".to_owned()),
        noted_at: world.clock.now(),
        state,
        expires_at: None,
    };
    world.store.note_media(&file).await.unwrap();
    world
}

fn stored(world: &World, seconds: u64) -> MediaState {
    let at = world.clock.now();
    MediaState::Stored(StoredFile {
        at,
        until: at + Duration::from_secs(seconds),
        size: 8,
        mime_type: "application/pdf".to_owned(),
        sha256: "00".repeat(32),
    })
}

async fn asked(bot: &str, state: MediaState) -> (u16, Value) {
    let world = with(bot, state).await;
    answered(handle(&world, &Sample::of(EVENT).request()).await)
}

#[tokio::test]
async fn a_link_to_a_kept_file_works_for_five_minutes() {
    let (status, link) = asked("demo-bakery", stored(&World::new(), 9999)).await;
    assert_eq!((status, &link["state"], &link["size"]), (200, &json!("stored"), &json!(8)));
    assert_eq!((&link["mimeType"], &link["fileName"]), (&json!("application/pdf"), &json!("menu.pdf")));
    assert_eq!(link["expiresAt"], "2026-11-21T12:05:00Z");
    let url = link["url"].as_str().unwrap();
    assert!(url.contains("/demo-bakery/880001?until=2026-11-21T12:05:00Z"), "{url}");
}

#[tokio::test]
async fn no_link_outlives_its_file() {
    let (_, link) = asked("demo-bakery", stored(&World::new(), 60)).await;
    assert_eq!(link["expiresAt"], "2026-11-21T12:01:00Z");
}

#[tokio::test]
async fn a_file_without_bytes_says_why() {
    let due_at = World::new().clock.now();
    for (state, status, code, retryable) in [
        (MediaState::Pending { due_at, attempts: 1 }, 409, "media_pending", true),
        (MediaState::Missing, 410, "media_gone", false),
        (stored(&World::new(), 0), 410, "media_gone", false),
        (MediaState::Rejected(Rejected::Hash), 410, "media_rejected", false),
    ] {
        let (found, problem) = asked("demo-bakery", state).await;
        assert_eq!(
            (found, &problem["code"], &problem["retryable"]),
            (status, &json!(code), &json!(retryable))
        );
    }
}

#[tokio::test]
async fn a_foreign_file_is_an_unknown_one() {
    let (status, problem) = asked("other-bot", stored(&World::new(), 9999)).await;
    assert_eq!((status, &problem["code"]), (404, &json!("media_not_found")));
    let world = with("demo-bakery", stored(&World::new(), 9999)).await;
    let other = Sample::of(EVENT).claims(json!({"sub": "other", "bots": "[other-bot]"})).request();
    assert_eq!(refused(handle(&world, &other).await), (404, "bot_not_found".to_owned()));
    let nobody = Sample::of(EVENT).nobody().request();
    assert_eq!(refused(handle(&world, &nobody).await).0, 401);
}

/// The sample upload, from this client's number, with this type and body.
fn upload(client: &Client, mime_type: &str, bytes: &[u8]) -> Request {
    let route = "POST /api/whatsapp/media/{botId}/{id}";
    let parameters = [("botId", "demo-bakery"), ("id", client.phone_number_id.as_ref())];
    let mut request = Sample::of(UPLOAD).route(route, &parameters).request();
    request.headers_mut().insert(CONTENT_TYPE, mime_type.parse().unwrap());
    *request.body_mut() = Body::Binary(bytes.to_vec());
    request
}

#[tokio::test]
async fn a_file_is_uploaded_and_its_id_lives_thirty_days() {
    let (world, client) = world().await;
    let png = b"\x89PNG\r\n\x1a\n";
    let uploaded = answered(handle(&world, &upload(&client, "image/PNG; x=1", png)).await);
    let expected =
        json!({"id": "880001", "expiresAt": "2026-12-21T12:00:00Z", "mimeType": "image/png", "size": 8});
    assert_eq!(uploaded, (201, expected));
    world.graph.with(|meta| assert_eq!(meta.files["880001"].bytes, png));
}

#[tokio::test]
async fn what_meta_would_not_take_is_refused_before_the_call() {
    let (world, client) = world().await;
    for (mime_type, bytes, code) in [
        ("image/gif", b"GIF89a".to_vec(), "media_type_unsupported"),
        ("text/html", b"<html>".to_vec(), "media_type_unsupported"),
        ("image/png", Vec::new(), "media_empty"),
        ("image/webp", vec![0; 101 * 1024], "media_too_large"),
        ("image/jpeg", vec![0; 5 * 1024 * 1024 + 1], "media_too_large"),
        ("video/mp4", vec![0; 4 * 1024 * 1024 + 1], "media_too_large"),
        ("image/png", b"<svg/>".to_vec(), "media_type_mismatch"),
    ] {
        let refusal = refused(handle(&world, &upload(&client, mime_type, &bytes)).await);
        assert_eq!(refusal, (400, code.to_owned()), "{mime_type}");
    }
    assert_eq!(world.graph.calls("upload_media"), 0);
}

#[tokio::test]
async fn a_foreign_number_is_unknown_and_a_refusal_of_metas_is_named() {
    let (world, client) = world().await;
    let (foreign, _) = world.active_client(&"other-bot".parse().unwrap(), 2).await;
    let png = b"\x89PNG\r\n";
    let answer = handle(&world, &upload(&foreign, "image/png", png)).await;
    assert_eq!(refused(answer), (404, "client_not_found".to_owned()));
    for (code, status, name) in [
        (131_053, 422, "refused_by_meta"),
        (130_429, 429, "rate_limited"),
        (190, 409, "client_needs_reconnect"),
    ] {
        world.graph.fail_next("upload_media", GraphFault::Refused(refusal(400, code, "No")));
        let answer = handle(&world, &upload(&client, "image/png", png)).await;
        assert_eq!(refused(answer), (status, name.to_owned()));
    }
    world.steps.fault_next("upload_media", Fault::FailAfter);
    let answer = handle(&world, &upload(&client, "image/png", png)).await;
    assert_eq!(refused(answer), (503, "meta_unavailable".to_owned()));
}

/// A step of an upload in two steps.
fn step(client: &Client, path: &str, body: &Value) -> Request {
    let route = format!("POST /api/whatsapp/media/{{botId}}/{{id}}/{path}");
    let upload = path.strip_prefix("uploads/").unwrap_or_default();
    let phone = client.phone_number_id.as_ref();
    let parameters = [("botId", "demo-bakery"), ("id", phone), ("uploadId", upload)];
    Sample::of(EVENT).route(&route, &parameters).body(body).request()
}

#[tokio::test]
async fn a_larger_file_is_uploaded_in_two_steps() {
    let (world, client) = world().await;
    let movie = [b"\0\0\0\x18ftypmp42".as_slice(), &[0; 6 * 1024 * 1024]].concat();
    let begin = step(&client, "uploads", &json!({"mimeType": "video/mp4", "size": movie.len()}));
    let (status, begun) = answered(handle(&world, &begin).await);
    assert_eq!(
        (status, &begun["method"], &begun["expiresAt"]),
        (201, &json!("PUT"), &json!("2026-11-21T13:00:00Z"))
    );
    let finish = step(
        &client,
        &format!("uploads/{}", begun["uploadId"].as_str().unwrap()),
        &json!({"mimeType": "video/mp4"}),
    );
    assert_eq!(
        refused(handle(&world, &finish).await),
        (404, "upload_not_found".to_owned()),
        "nothing is there yet"
    );
    let url = begun["uploadUrl"].as_str().unwrap();
    assert!(world.files.put_at(url, "video/mp4", &movie, world.clock.now()));
    world.graph.fail_next("upload_media", GraphFault::NotSent);
    assert_eq!(refused(handle(&world, &finish).await).0, 503);
    let (status, uploaded) = answered(handle(&world, &finish).await);
    assert_eq!((status, &uploaded["id"], &uploaded["size"]), (201, &json!("880001"), &json!(movie.len())));
    world.graph.with(|meta| assert_eq!(meta.files["880001"].bytes, movie));
    assert!(world.files.all().is_empty(), "it is Meta's now");
}

#[tokio::test]
async fn an_upload_in_two_steps_is_checked_at_both() {
    let (world, client) = world().await;
    let begin = async |kind: &str, size: Value| {
        refused(handle(&world, &step(&client, "uploads", &json!({"mimeType": kind, "size": size}))).await).1
    };
    assert_eq!(begin("image/gif", json!(5)).await, "media_type_unsupported");
    assert_eq!(begin("video/mp4", json!(16 * 1024 * 1024 + 1)).await, "media_too_large");
    assert_eq!(begin("video/mp4", json!(0)).await, "invalid_member");
    let (_, begun) = answered(
        handle(&world, &step(&client, "uploads", &json!({"mimeType": "video/mp4", "size": 7}))).await,
    );
    let url = begun["uploadUrl"].as_str().unwrap();
    assert!(world.files.put_at(url, "video/mp4", b" <html>", world.clock.now()));
    let id = begun["uploadId"].as_str().unwrap();
    let finish = |path: &str| step(&client, path, &json!({"mimeType": "video/mp4"}));
    let mismatch = handle(&world, &finish(&format!("uploads/{id}"))).await;
    assert_eq!(refused(mismatch), (400, "media_type_mismatch".to_owned()));
    let foreign = handle(&world, &finish("uploads/nonsense")).await;
    assert_eq!(refused(foreign), (404, "upload_not_found".to_owned()));
    assert_eq!(world.graph.calls("upload_media"), 0);
}
