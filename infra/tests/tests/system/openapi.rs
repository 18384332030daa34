//! What the API description says is what the running stack answers: tried by an outside tool, Schemathesis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::description;
use crate::support::{Case, Client, World, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases!["openapi":
        Beside the_document_is_a_valid_description,
        Beside an_outside_tool_finds_no_answer_that_is_not_described,
        Last the_answers_of_all_tests_are_as_described,
    ]
}

/// No measure of speed: it only ends a run that hangs.
const HANG: Duration = Duration::from_secs(900);

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
    validator.arg(description::file());
    run(validator).await
}

/// To whom the tool sends, as its configuration names them. Nobody else's tests do.
const RECIPIENTS: [&str; 3] = ["15550190901", "15550190902", "15550190903"];

/// A client with templates, and customers who wrote.
struct Tried<'w> {
    client: Client<'w>,
    customer: String,
    wamid: String,
    other_customer: String,
    template: String,
}

async fn tried(world: &World) -> Result<Tried<'_>> {
    let client = world.client().await?;
    let (customer, other_customer) = (world.new_customer(), world.new_customer());
    let wamid = client.hears(&customer, "Hello").await?;
    client.hears(&other_customer, "Hello").await?;
    for recipient in RECIPIENTS {
        client.hears(recipient, "Hello").await?;
    }
    for customer in [customer.as_str(), &other_customer].into_iter().chain(RECIPIENTS) {
        client.settled(customer).await?;
    }
    let template = make_template(&client, "openapi_greeting").await?;
    make_template(&client, "openapi_farewell").await?;
    Ok(Tried { client, customer, wamid, other_customer, template })
}

async fn make_template(client: &Client<'_>, name: &str) -> Result<String> {
    let template = json!({"name": name, "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hello {{1}}, it is ready.", "example": {"body_text": [["Sam"]]}}]});
    let path = format!("/api/whatsapp/templates/{}", client.bot);
    let made = client.api.post(&path, &template).await?.with_status(201)?;
    Ok(made["id"].as_str().context("a template without an id")?.to_owned())
}

/// The document without keys, of which the tool repeats a few: they would be refused as used before. One route
/// keeps its own.
fn mostly_without_keys() -> Result<Value> {
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(description::file())?)?;
    let paths = document["paths"].as_object_mut().context("no paths")?;
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for operation in operations.filter(|operation| operation["operationId"] != "markRead") {
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            parameters.retain(|parameter| parameter["name"] != "Idempotency-Key");
        }
    }
    Ok(document)
}

async fn an_outside_tool_finds_no_answer_that_is_not_described(world: &World) -> Result<()> {
    let tried = tried(world).await?;
    let folder = tempfile::tempdir()?;
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, mostly_without_keys()?.to_string())?;
    let token = world.info.tokens.as_ref().context("the stack simulates Meta")?.admin.clone();
    let mut schemathesis = tool("schemathesis").await?;
    schemathesis
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(root().join("infra/tests/schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(&document)
        .envs([("API_URL", world.info.api_url.as_str()), ("API_TOKEN", &token)])
        .envs([("BOT", tried.client.bot.as_str()), ("PHONE", tried.client.phone())])
        .envs([("ONBOARDING", tried.client.onboarding.as_str()), ("TEMPLATE", &tried.template)])
        .envs([("CUSTOMER", &tried.customer), ("OTHER_CUSTOMER", &tried.other_customer)])
        .env("WAMID", &tried.wamid);
    run(schemathesis).await
}

async fn the_answers_of_all_tests_are_as_described(world: &World) -> Result<()> {
    let mut python = tool("python").await?;
    python
        .arg(root().join("infra/tests/described.py"))
        .args([description::file(), world.description.answers()]);
    run(python).await
}
