//! Each operation with each id of somebody else's that it takes: it answers as for one that nobody has.
//!
//! Complete by construction: the API description says which ids an operation takes, and a test fails where the
//! matrix does not name one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, Client, World, eventually};
use crate::templates;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and then the picture";
/// What nobody but the other bot's caller may read.
const SECRET_WORDS: &str = "Only for the florist";
/// Of a form that is right, and of nobody.
const UNKNOWN: [(&str, &str); 10] = [
    ("bot", "no-such-bot"),
    ("phone", "117999999999999"),
    ("onboarding", "ob_0000000000000000000000"),
    ("message", "wamid.HBgLMTU1NTAxMDAwMDAVAgASGBQzQTAwMDAwMDAwMDAwMDAwMDAwMAA="),
    ("customer", "15550199999"),
    ("media", "404999999999999"),
    ("template", "505999999999999"),
    ("templateName", "no_such_template"),
    ("subscription", "sub_0000000000000000000000"),
    ("upload", "00000000000000000000000000000000"),
];

/// One operation.
struct Row {
    /// As the API description calls it.
    operation: &'static str,
    /// Path and query, with the ids in braces.
    path: &'static str,
    body: Option<&'static str>,
    /// What it answers to a caller who names nothing but its own.
    own: u16,
    /// The ids that are tried; what is in `other` beside them is said why.
    tried: &'static [&'static str],
    other: &'static [(&'static str, &'static str)],
}

const fn row(
    operation: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    own: u16,
    tried: &'static [&'static str],
) -> Row {
    Row { operation, path, body, own, tried, other: &[] }
}

impl Row {
    const fn but(mut self, other: &'static [(&'static str, &'static str)]) -> Self {
        self.other = other;
        self
    }
}

const CLAIMS: &str =
    "a claim of the browser's, held against what the signup's own token shows (tested in onboarding)";
const QUOTED: &str = "Meta looks for it in the chat of the number that sends; we read nothing by it";
const AMONG_ITS_OWN: &str = "a part of the key, behind the subscription that is tried";
const PUBLIC: &str = "Meta's own route, without a caller";

/// What destroys something of the own bot's comes last.
const MATRIX: &[Row] = &[
    row("getOnboarding", "/api/integrations/whatsapp/onboarding/{onboarding}", None, 200, &["onboarding"]),
    row(
        "exchangeToken",
        "/api/integrations/whatsapp/exchange-token",
        Some(r#"{"botId": "{bot}", "code": "AQofthematrix"}"#),
        400,
        &["bot"],
    ),
    row(
        "onboardClient",
        "/api/integrations/whatsapp/onboard-client",
        Some(r#"{"onboardingId": "{onboarding}"}"#),
        200,
        &["onboarding"],
    )
    .but(&[("phone", CLAIMS), ("waba", CLAIMS), ("business", CLAIMS)]),
    row("listClients", "/api/whatsapp/clients?botId={bot}&cursor={cursor}", None, 200, &["bot", "cursor"]),
    row("reconcileClient", "/api/whatsapp/clients/{phone}/reconcile?dryRun=true", None, 200, &["phone"]),
    row(
        "sendMessage",
        "/api/whatsapp/send-message",
        Some(r#"{"botId": "{bot}", "phoneNumberId": "{phone}", "to": "{waId}", "type": "text", "text": {"body": "Hi"}}"#),
        200,
        &["bot", "phone"],
    )
    .but(&[("message", QUOTED)]),
    row(
        "markRead",
        "/api/whatsapp/mark-read",
        Some(r#"{"botId": "{bot}", "phoneNumberId": "{phone}", "messageId": "{message}"}"#),
        200,
        &["bot", "phone", "message"],
    ),
    row(
        "listMessages",
        "/api/whatsapp/messages/{bot}?phoneNumberId={phone}&customer={customer}&cursor={cursor}",
        None,
        200,
        &["bot", "phone", "customer", "cursor"],
    ),
    row("getMedia", "/api/whatsapp/media/{bot}/{media}", None, 200, &["bot", "media"]),
    row("uploadMedia", "/api/whatsapp/media/{bot}/{phone}", Some("PNG"), 201, &["bot", "phone"]),
    row(
        "beginUpload",
        "/api/whatsapp/media/{bot}/{phone}/uploads",
        Some(r#"{"mimeType": "image/png", "size": 30}"#),
        201,
        &["bot", "phone"],
    ),
    row(
        "finishUpload",
        "/api/whatsapp/media/{bot}/{phone}/uploads/{upload}",
        Some(r#"{"mimeType": "image/png"}"#),
        201,
        &["bot", "phone", "upload"],
    ),
    row(
        "listConversations",
        "/api/whatsapp/conversations/{bot}?phoneNumberId={phone}&customer={customer}&cursor={cursor}",
        None,
        200,
        &["bot", "phone", "customer", "cursor"],
    ),
    row(
        "exportCustomer",
        "/api/whatsapp/conversations/{bot}/{customer}/export?phoneNumberId={phone}&cursor={cursor}",
        None,
        200,
        &["bot", "phone", "customer", "cursor"],
    ),
    row("getBot", "/api/whatsapp/bots/{bot}", None, 200, &["bot"]),
    row("putBot", "/api/whatsapp/bots/{bot}", Some(r#"{"version": 0}"#), 200, &["bot"]),
    row(
        "pauseBot",
        "/api/whatsapp/conversations/{bot}/{customer}/pause?phoneNumberId={phone}",
        Some(r#"{"minutes": 5}"#),
        200,
        &["bot", "phone", "customer"],
    ),
    row(
        "resumeBot",
        "/api/whatsapp/conversations/{bot}/{customer}/pause?phoneNumberId={phone}",
        None,
        200,
        &["bot", "phone", "customer"],
    ),
    row(
        "listTemplates",
        "/api/whatsapp/templates/{bot}?phoneNumberId={phone}&cursor={cursor}",
        None,
        200,
        &["bot", "phone", "cursor"],
    ),
    row(
        "createTemplate",
        "/api/whatsapp/templates/{bot}",
        Some(
            r#"{"phoneNumberId": "{phone}", "name": "matrix", "language": "en_US", "category": "UTILITY",
                "components": [{"type": "BODY", "text": "Your order is here."}]}"#,
        ),
        201,
        &["bot", "phone"],
    ),
    row(
        "previewTemplate",
        "/api/whatsapp/templates/{bot}/{template}/preview",
        Some(r#"{"parameters": ["Ann"]}"#),
        200,
        &["bot", "template"],
    ),
    // Meta allows neither of a template that is still reviewed: to get as far as Meta is enough.
    row(
        "editTemplate",
        "/api/whatsapp/templates/{bot}/{template}",
        Some(r#"{"components": [{"type": "BODY", "text": "Stolen {{1}}."}]}"#),
        0,
        &["bot", "template"],
    ),
    row("unpauseTemplate", "/api/whatsapp/templates/{bot}/{template}/unpause", None, 0, &["bot", "template"]),
    row(
        "uploadSample",
        "/api/whatsapp/templates/{bot}/samples",
        Some(r#"{"phoneNumberId": "{phone}", "fileName": "a.png", "mimeType": "image/png", "base64": "PNG"}"#),
        200,
        &["bot", "phone"],
    ),
    row("syncTemplates", "/api/whatsapp/templates/{bot}/sync?phoneNumberId={phone}", None, 0, &["bot", "phone"]),
    row("listSubscriptions", "/api/whatsapp/subscriptions/{bot}", None, 200, &["bot"]),
    row(
        "createSubscription",
        "/api/whatsapp/subscriptions/{bot}",
        Some(r#"{"url": "http://127.0.0.1:9/", "events": ["token.dead"]}"#),
        201,
        &["bot"],
    ),
    row(
        "putSubscription",
        "/api/whatsapp/subscriptions/{bot}/{subscription}",
        Some(r#"{"active": true}"#),
        200,
        &["bot", "subscription"],
    ),
    row(
        "rotateSubscriptionSecret",
        "/api/whatsapp/subscriptions/{bot}/{subscription}/rotate-secret",
        None,
        200,
        &["bot", "subscription"],
    ),
    row(
        "testSubscription",
        "/api/whatsapp/subscriptions/{bot}/{subscription}/test",
        None,
        202,
        &["bot", "subscription"],
    ),
    row(
        "listDeadDeliveries",
        "/api/whatsapp/subscriptions/{bot}/{subscription}/deliveries?cursor={cursor}",
        None,
        200,
        &["bot", "subscription", "cursor"],
    ),
    row(
        "replayDeliveries",
        "/api/whatsapp/subscriptions/{bot}/{subscription}/replay",
        Some(r#"{"since": "2026-01-01T00:00:00Z"}"#),
        202,
        &["bot", "subscription"],
    )
    .but(&[("event", AMONG_ITS_OWN)]),
    row(
        "deleteSubscription",
        "/api/whatsapp/subscriptions/{bot}/{subscription}",
        None,
        200,
        &["bot", "subscription"],
    ),
    row(
        "deleteTemplate",
        "/api/whatsapp/templates/{bot}/{templateName}?phoneNumberId={phone}",
        None,
        200,
        &["bot", "phone", "templateName"],
    ),
    row(
        "eraseCustomer",
        "/api/whatsapp/conversations/{bot}/{customer}?phoneNumberId={phone}&cursor={cursor}",
        None,
        200,
        &["bot", "phone", "customer", "cursor"],
    ),
    row("receiveWebhook", "/api/webhooks/whatsapp", None, 0, &[]).but(&[("all", PUBLIC)]),
    row("verifyWebhook", "/api/webhooks/whatsapp", None, 0, &[]).but(&[("all", PUBLIC)]),
];

/// What the matrix may call an id of this name; nothing where it is no id of somebody's.
fn kinds(name: &str) -> &'static [&'static str] {
    match name {
        "botId" => &["bot"],
        "phoneNumberId" => &["phone"],
        "onboardingId" => &["onboarding"],
        "customer" => &["customer"],
        "cursor" => &["cursor"],
        "template" => &["template", "templateName"],
        "uploadId" => &["upload"],
        "subscriptionId" => &["subscription"],
        "eventId" => &["event"],
        "id" => &["media", "phone"],
        "messageId" | "context" => &["message"],
        "wabaId" => &["waba"],
        "businessId" => &["business"],
        // Whom, when, how many, in which words.
        "Idempotency-Key"
        | "dryRun"
        | "from"
        | "to"
        | "limit"
        | "status"
        | "category"
        | "language"
        | "recipient"
        | "code"
        | "signup"
        | "clientName"
        | "event"
        | "pin"
        | "recipient_type"
        | "typing"
        | "mimeType"
        | "size"
        | "version"
        | "enabled"
        | "languages"
        | "instructions"
        | "rules"
        | "modelEnabled"
        | "model"
        | "models"
        | "monthlyBudgetUsd"
        | "businessHours"
        | "handOver"
        | "burstSeconds"
        | "historyMessages"
        | "spent"
        | "until"
        | "minutes"
        | "name"
        | "components"
        | "parameterFormat"
        | "messageSendTtlSeconds"
        | "parameters"
        | "fileName"
        | "base64"
        | "biz_opaque_callback_data"
        | "recipient_identity_key_hash"
        | "url"
        | "events"
        | "active"
        | "since"
        | "object"
        | "entry" => &[],
        other if other.starts_with("hub.") => &[],
        _ => &["?"],
    }
}

/// The names of what an operation takes: parameters, and members of its body.
fn names<'d>(document: &'d Value, operation: &'d Value) -> BTreeSet<&'d str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.filter_map(|parameter| {
        let reference = parameter["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
        reference.map_or(Some(parameter), |it| document.pointer(it))?["name"].as_str()
    });
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = body["$ref"].as_str().and_then(|it| document.pointer(it.strip_prefix('#')?)).unwrap_or(body);
    let members = body["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    parameters.chain(members).collect()
}

pub(super) async fn the_matrix_names_every_operation_and_every_id_that_it_takes(world: &World) -> Result<()> {
    let document = world.description.document();
    let operations = document["paths"].as_object().context("no paths")?;
    let operations = operations.values().flat_map(|it| it.as_object().into_iter().flatten());
    let mut known = BTreeSet::new();
    for (method, operation) in operations {
        let Some(id) = operation["operationId"].as_str() else { continue };
        known.insert(id);
        let row = MATRIX.iter().find(|row| row.operation == id);
        let row =
            row.with_context(|| format!("{id} is not in the matrix of tests/system/tenants/matrix.rs"))?;
        ensure!(
            ["get", "put", "post", "delete"].contains(&method.as_str()),
            "{id}: no test calls by {method}"
        );
        if row.other.first().is_some_and(|(what, _)| *what == "all") {
            continue;
        }
        for name in names(document, operation) {
            let kinds = kinds(name);
            ensure!(kinds != ["?"], "{id}: is {name} an id of somebody's? Say so in `kinds`");
            let is_named =
                |kind: &&str| row.tried.contains(kind) || row.other.iter().any(|(it, _)| it == kind);
            ensure!(kinds.is_empty() || kinds.iter().any(is_named), "{id}: nobody tries a foreign {name}");
        }
        for kind in row.tried {
            let place = format!("{{{kind}}}");
            let is_used = row.path.contains(&place) || row.body.is_some_and(|body| body.contains(&place));
            ensure!(is_used, "{id}: the call has no {place}");
        }
    }
    let gone: Vec<_> =
        MATRIX.iter().filter(|row| !known.contains(row.operation)).map(|row| row.operation).collect();
    ensure!(gone.is_empty(), "operations that are no more: {gone:?}");
    Ok(())
}

type Ids = BTreeMap<&'static str, String>;

/// A bot with all that it can have, and what it is called.
struct Tenant<'w> {
    client: Client<'w>,
    ids: Ids,
}

async fn tenant<'w>(world: &'w World, words: &str) -> Result<Tenant<'w>> {
    let client = world.client().await?;
    let wa_id = world.new_customer();
    let message = client.hears(&wa_id, words).await?;
    client.answers(&wa_id, 1).await?;
    let image = json!({"mime_type": "image/png", "data": STANDARD.encode(PNG)});
    let picture = json!({"to": client.phone(), "message": {"type": "image", "image": image}});
    world.sim().write(&wa_id, picture).await?;
    let media = eventually("the picture is kept", async || {
        let history = client.history(&wa_id).await?;
        let file = history.iter().map(|message| &message["media"]).find(|file| file["state"] == "stored");
        Ok(file.context("no file yet")?["id"].as_str().context("a file without an id")?.to_owned())
    })
    .await?;
    let history = client.settled(&wa_id).await?;
    let customer = history[0]["customer"].as_str().context("a message without a customer")?;
    let template = json!({"name": "hello", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": format!("{words} {{{{1}}}}, come.")}]});
    let made = client.api.post(&format!("/api/whatsapp/templates/{}", client.bot), &template).await?;
    let made = made.with_status(201)?;
    let upload = format!("/api/whatsapp/media/{}/{}/uploads", client.bot, client.phone());
    let begun = client.api.post(&upload, &json!({"mimeType": "image/png", "size": PNG.len()})).await?;
    let begun = begun.with_status(201)?;
    let put = world.http.put(begun["uploadUrl"].as_str().context("no address")?);
    ensure!(put.header("content-type", "image/png").body(PNG).send().await?.status().is_success());
    let subscription = json!({"url": "http://127.0.0.1:9/", "events": ["token.dead"]});
    let path = format!("/api/whatsapp/subscriptions/{}", client.bot);
    let subscribed = client.api.post(&path, &subscription).await?.with_status(201)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ids = Ids::from([
        ("bot", client.bot.clone()),
        ("phone", client.phone().to_owned()),
        ("onboarding", client.onboarding.clone()),
        ("message", message),
        ("customer", customer.to_owned()),
        ("waId", wa_id),
        ("media", media),
        ("template", text(&made["id"])),
        // The other one's has another name.
        ("templateName", "hello".to_owned()),
        ("upload", text(&begun["uploadId"])),
        ("subscription", text(&subscribed["subscriptionId"])),
        ("cursor", String::new()),
    ]);
    Ok(Tenant { client, ids })
}

impl Row {
    async fn ask(&self, world: &World, api: &Api<'_>, ids: &Ids) -> Result<Answer> {
        let filled = |text: &str| {
            ids.iter().fold(text.to_owned(), |text, (kind, id)| text.replace(&format!("{{{kind}}}"), id))
        };
        // An empty cursor is none.
        let path = filled(self.path).replace("&cursor=&", "&");
        let path = path.strip_suffix("cursor=").unwrap_or(&path).trim_end_matches(['&', '?']).to_owned();
        let method = self.method(world)?;
        match self.body {
            Some("PNG") => api.post_bytes(&path, &[("content-type", "image/png")], PNG).await,
            Some(body) => {
                let body = serde_json::from_str(
                    &filled(body).replace("\"PNG\"", &format!("\"{}\"", STANDARD.encode(PNG))),
                )?;
                if method == Method::PUT { api.put(&path, &body).await } else { api.post(&path, &body).await }
            }
            None if method == Method::GET => api.get(&path).await,
            None if method == Method::DELETE => api.delete(&path).await,
            None => api.post(&path, &json!({})).await,
        }
    }

    fn method(&self, world: &World) -> Result<Method> {
        let paths = world.description.document()["paths"].as_object().context("no paths")?;
        for operations in paths.values() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                if operation["operationId"] == self.operation {
                    return Ok(method.to_ascii_uppercase().parse()?);
                }
            }
        }
        bail!("{} is not described", self.operation)
    }
}

/// What of an answer may differ: the id that the caller named, and Meta's name for the call.
fn shape(answer: &Answer, named: &str) -> (u16, String) {
    let text = match answer.json() {
        Ok(mut body) => {
            if let Some(meta) = body.get_mut("meta").and_then(Value::as_object_mut) {
                meta.remove("fbtraceId");
            }
            body.to_string()
        }
        Err(_) => answer.text.clone(),
    };
    (answer.status, text.replace(named, "…"))
}

/// What a tenant has, as its own caller sees it.
async fn belongings(world: &World, it: &Tenant<'_>) -> Result<Vec<String>> {
    let (bot, customer) = (&it.ids["bot"], &it.ids["customer"]);
    let mut seen = Vec::new();
    for path in [
        format!("/api/whatsapp/bots/{bot}"),
        format!("/api/whatsapp/subscriptions/{bot}"),
        format!("/api/whatsapp/conversations/{bot}?customer={customer}"),
    ] {
        seen.push(it.client.api.get(&path).await?.ok()?.to_string());
    }
    // The schedule reads them meanwhile, and notes when.
    let templates = it.client.api.get(&format!("/api/whatsapp/templates/{bot}")).await?.ok()?;
    let templates = templates["items"].as_array().into_iter().flatten();
    seen.extend(
        templates.map(|it| json!([it["id"], it["name"], it["status"], it["components"]]).to_string()),
    );
    let history = it.client.history(&it.ids["waId"]).await?;
    // Statuses still arrive.
    let bare: Vec<_> = history.iter().map(|message| (&message["messageId"], &message["content"])).collect();
    seen.push(json!(bare).to_string());
    seen.push(json!(world.sim().phone(&it.ids["waId"]).await?.len()).to_string());
    Ok(seen)
}

pub(super) async fn each_operation_answers_a_foreign_id_as_an_unknown_one(world: &World) -> Result<()> {
    let mut theirs = tenant(world, SECRET_WORDS).await?;
    let ours = tenant(world, "Nothing to hide").await?;
    // A template of theirs under a name that we have not.
    let template = json!({"name": "florists_own", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Only theirs."}]});
    let made =
        theirs.client.api.post(&format!("/api/whatsapp/templates/{}", theirs.client.bot), &template).await?;
    made.with_status(201)?;
    theirs.ids.insert("templateName", "florists_own".to_owned());
    let caller = Api::new(world, Some(world.token_of(&json!({"sub": "matrix", "bots": [ours.client.bot]}))?));
    // Else the schedule might read those in that the account has had while the matrix is walked.
    templates::sync(&theirs.client).await?;
    eventually("their templates are reviewed", async || {
        let listed =
            theirs.client.api.get(&format!("/api/whatsapp/templates/{}", theirs.client.bot)).await?.ok()?;
        ensure!(
            listed["items"].as_array().is_some_and(|all| all.iter().all(|it| it["status"] == "APPROVED")),
            "{listed}"
        );
        Ok(())
    })
    .await?;
    let before = belongings(world, &theirs).await?;
    let unknown: BTreeMap<_, _> = UNKNOWN.into();
    let mut failures = Vec::new();
    for row in MATRIX {
        for kind in row.tried.iter().filter(|kind| **kind != "cursor") {
            let answer_to = async |id: &str| {
                let mut ids = ours.ids.clone();
                ids.insert(kind, id.to_owned());
                let answer = row.ask(world, &caller, &ids).await?;
                let leaks = answer.text.contains(SECRET_WORDS);
                Ok::<_, anyhow::Error>((shape(&answer, id), leaks))
            };
            let (foreign, leaks) = answer_to(&theirs.ids[kind]).await?;
            let (no_ones, _) = answer_to(unknown[kind]).await?;
            if foreign != no_ones || leaks {
                failures.push(format!(
                    "{} with a foreign {kind}: {foreign:?}; with an unknown one: {no_ones:?}",
                    row.operation
                ));
            }
        }
        if row.tried.is_empty() {
            continue;
        }
        // The call itself is right: what was refused was refused for the id.
        let own = row.ask(world, &caller, &ours.ids).await?;
        let is_right = if row.own == 0 { own.status != 404 } else { own.status == row.own };
        if !is_right {
            failures.push(format!("{} with nothing but own ids: {own}", row.operation));
        }
        if row.tried.contains(&"cursor") {
            for cursor in forged_cursors(&theirs).await? {
                let mut ids = ours.ids.clone();
                ids.insert("cursor", cursor.clone());
                let answer = row.ask(world, &caller, &ids).await?;
                let own_only = !answer.text.contains(SECRET_WORDS)
                    && ["bot", "phone", "waId"].iter().all(|kind| !answer.text.contains(&theirs.ids[kind]));
                if ![200, 400, 404].contains(&answer.status) || !own_only {
                    failures.push(format!("{} with the cursor {cursor}: {answer}", row.operation));
                }
            }
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let after = belongings(world, &theirs).await?;
    ensure!(before == after, "something changed: {before:?}, then {after:?}");
    Ok(())
}

/// Cursors of the other bot's own lists, altered ones, and noise.
async fn forged_cursors(theirs: &Tenant<'_>) -> Result<BTreeSet<String>> {
    let (bot, phone) = (&theirs.ids["bot"], &theirs.ids["phone"]);
    let mut cursors = BTreeSet::from([
        format!("{bot}."),
        format!("{bot}.{phone}"),
        format!(".{phone}"),
        format!("{phone}.{}", theirs.ids["customer"]),
        "999999999999999%23wamid.X".to_owned(),
        "000000000000000%23x".to_owned(),
        "nonsense".to_owned(),
        "%00".to_owned(),
        "eyJsYXN0IjoiMSJ9".to_owned(),
    ]);
    for path in [
        format!("/api/whatsapp/clients?botId={bot}&limit=1"),
        "/api/whatsapp/clients?limit=1".to_owned(),
        format!("/api/whatsapp/messages/{bot}?limit=1"),
        format!("/api/whatsapp/conversations/{bot}?limit=1"),
        format!("/api/whatsapp/templates/{bot}?limit=1"),
    ] {
        let page = theirs.client.api.get(&path).await?.ok()?;
        let Some(cursor) = page["nextCursor"].as_str() else { continue };
        let escaped: String = reqwest::Url::parse_with_params("http://x/", [("c", cursor)])?
            .query()
            .and_then(|query| query.strip_prefix("c="))
            .unwrap_or_default()
            .to_owned();
        // One that is not whole, and one with a letter changed.
        cursors.extend([escaped[..escaped.len() - 1].to_owned(), escaped.replace('1', "2"), escaped]);
    }
    Ok(cursors)
}
