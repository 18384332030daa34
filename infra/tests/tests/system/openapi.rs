//! What the API description says is what the running stack answers: tried by an outside tool, Schemathesis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Case, Client, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["openapi":
        Beside the_document_is_a_valid_description,
        Beside an_outside_tool_finds_no_answer_that_is_not_described,
    ]
}

/// No measure of speed: it only ends a run that hangs.
const HANG: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A tool of `infra/tests/requirements.txt`.
async fn tool(name: &str) -> Result<Command> {
    let requirements = root().join("infra/tests/requirements.txt");
    let python = switchboard::virtual_environment("tests-venv", &requirements).await?;
    let mut command = Command::new(python.with_file_name(name));
    command.kill_on_drop(true);
    Ok(command)
}

/// Runs it to its end. A failure has the end of what it said.
async fn run(mut command: Command) -> Result<()> {
    let output = timeout(HANG, command.output()).await.context("it hangs")?.context("it did not start")?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    bail!("{}:\n{}", output.status, lines[lines.len().saturating_sub(200)..].join("\n"));
}

async fn the_document_is_a_valid_description(_: &World) -> Result<()> {
    let mut validator = tool("openapi-spec-validator").await?;
    validator.arg(root().join("docs/openapi.json"));
    run(validator).await
}

/// A client with a template and a customer who wrote.
struct Tried<'w> {
    client: Client<'w>,
    customer: String,
    wamid: String,
    template: String,
}

async fn tried(world: &World) -> Result<Tried<'_>> {
    let (client, customer) = (world.client().await?, world.new_customer());
    let wamid = client.hears(&customer, "Hello").await?;
    client.settled(&customer).await?;
    let template = json!({"name": "openapi_greeting", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hello {{1}}, welcome.", "example": {"body_text": [["Sam"]]}}]});
    let path = format!("/api/whatsapp/templates/{}", client.bot);
    let template = eventually("the template is made", async || {
        client.api.post(&path, &template).await?.with_status(201)
    })
    .await?;
    let template = template["id"].as_str().context("a template without an id")?.to_owned();
    Ok(Tried { client, customer, wamid, template })
}

/// The document with what there is to be named in bodies, so that they lead to something.
fn narrowed(tried: &Tried<'_>) -> Result<Value> {
    let text = std::fs::read_to_string(root().join("docs/openapi.json"))?;
    let mut document: Value = serde_json::from_str(&text)?;
    let bot = json!({"enum": [tried.client.bot]});
    for (request, member, values) in [
        ("SendRequest", "botId", bot.clone()),
        ("SendRequest", "phoneNumberId", json!({"enum": [tried.client.phone(), null]})),
        ("SendRequest", "to", json!({"enum": [tried.customer, "+15550100999"]})),
        ("MarkReadRequest", "botId", bot.clone()),
        ("MarkReadRequest", "messageId", json!({"enum": [tried.wamid]})),
        ("MarkReadRequest", "phoneNumberId", json!({"enum": [tried.client.phone(), null]})),
        ("OnboardRequest", "onboardingId", json!({"enum": [tried.client.onboarding]})),
        ("ExchangeRequest", "botId", bot),
    ] {
        let members = &mut document["components"]["schemas"][request]["properties"];
        ensure!(members[member].is_object(), "{request} has no {member}");
        members[member] = values;
    }
    Ok(document)
}

async fn an_outside_tool_finds_no_answer_that_is_not_described(world: &World) -> Result<()> {
    let tried = tried(world).await?;
    let folder = tempfile::tempdir()?;
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, narrowed(&tried)?.to_string())?;
    let token = world.info.tokens.as_ref().context("the stack simulates Meta")?.admin.clone();
    let mut schemathesis = tool("schemathesis").await?;
    schemathesis
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(root().join("infra/tests/schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(&document)
        .envs([("API_URL", &world.info.api_url), ("API_TOKEN", &token)])
        .envs([("BOT", tried.client.bot.as_str()), ("PHONE", tried.client.phone())])
        .envs([("CUSTOMER", &tried.customer), ("TEMPLATE", &tried.template)])
        .env("ONBOARDING", &tried.client.onboarding);
    run(schemathesis).await
}
