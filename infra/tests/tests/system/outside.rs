//! A Graph client library of another language, unchanged, at the Meta simulator: what it sends is what the customers'
//! phones show, and it takes the simulator's answers, refusals and webhooks for Meta's.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{Case, Client, World, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases!["outside":
        Beside a_python_library_sends_every_type_that_it_knows_and_understands_what_comes_back,
    ]
}

/// What the phones show of each step, as the library writes it.
const MESSAGES: &str = include_str!("../../outside/messages.json");

async fn a_python_library_sends_every_type_that_it_knows_and_understands_what_comes_back(
    world: &World,
) -> Result<()> {
    let client = world.client().await?;
    let token = business_token(world, &client).await?;
    let customers = ["writer", "chooser", "reader", "stranger"].map(|name| (name, world.new_customer()));
    let input = json!({
        "metaUrl": world.info.meta_url, "appId": world.info.app_id, "appSecret": world.info.app_secret,
        "token": token, "phone": client.phone(), "waba": client.signup.waba,
        "customers": customers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    });
    let steps = run(&input).await?;
    let mut shown = Vec::new();
    for (_, customer) in &customers {
        shown.extend(client.shown_to(customer).await?);
    }
    let expected: serde_json::Map<String, Value> = serde_json::from_str(MESSAGES)?;
    for (step, message) in &expected {
        let sent = &steps.get(step).with_context(|| format!("{step} was not sent"))?;
        let arrived = shown.iter().find(|message| message["wamid"] == sent["wamid"]);
        let arrived = arrived.with_context(|| format!("{step} did not arrive: {sent}"))?;
        let (arrived, message) = (without_nulls(arrived["message"].clone()), with_ids(message, sent)?);
        ensure!(arrived == message, "{step} arrived as {arrived}, not as {message}");
    }
    let unknown: Vec<_> = steps.keys().filter(|step| !expected.contains_key(*step)).collect();
    ensure!(unknown.is_empty(), "nothing is said of {unknown:?}");
    Ok(())
}

/// A token of the client's as the library's user would have one: of a second signup.
async fn business_token(world: &World, client: &Client<'_>) -> Result<String> {
    let signup = world.sim().sign_up(json!({"phoneNumberId": client.phone()})).await?;
    let secret = world.info.app_secret.as_deref().context("the stack simulates Meta")?;
    let query = [
        ("client_id", world.info.app_id.as_str()),
        ("client_secret", secret),
        ("code", signup.code.as_str()),
    ];
    let url = format!("{}/v26.0/oauth/access_token", world.info.meta_url);
    let answer: Value = world.http.get(url).query(&query).send().await?.error_for_status()?.json().await?;
    let token = answer["access_token"].as_str().context("the simulator gave no token")?.to_owned();
    world.must_stay_secret(token.clone());
    Ok(token)
}

/// Runs the library's program; what it says it sent.
async fn run(input: &Value) -> Result<serde_json::Map<String, Value>> {
    let python =
        switchboard::virtual_environment("outside-venv", Path::new("infra/tests/outside/requirements.txt"))
            .await?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("outside/client.py");
    let mut child = Command::new(python)
        .arg("-B")
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("it has a standard input")?;
    stdin.write_all(input.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the library's program failed:\n{said}");
    serde_json::from_slice(&output.stdout).context("the library's program printed no JSON")
}

/// With the ids of this run: of the uploaded file and of the quoted message.
fn with_ids(message: &Value, sent: &Value) -> Result<Value> {
    let id = |name: &str| sent[name].as_str().unwrap_or_default();
    let text = message.to_string().replace("MEDIA", id("media")).replace("QUESTION", id("quotes"));
    Ok(serde_json::from_str(&text)?)
}

/// The library writes what is not there as null, which Meta and the simulator take for not there.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            members.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
