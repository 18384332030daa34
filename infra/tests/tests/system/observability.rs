//! One message can be followed, and no line says more than it may.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use shared::telemetry::fields::is_allowed;
use shared::telemetry::{measure, metric};

use crate::support::api::WEBHOOKS;
use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["observability":
        Beside a_message_is_one_trace_and_its_status_is_found_by_its_id,
        Beside an_accepted_webhook_writes_nothing_and_a_forged_one_a_line,
        Last each_line_of_a_function_has_known_fields_and_each_unit_tells_what_it_must,
    ]
}

/// The JSON lines of a file; the last may be half written.
fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display())))
        .collect()
}

/// All values of an annotation in a segment and its parts.
fn noted<'a>(segment: &'a Value, name: &str) -> Vec<&'a str> {
    let parts = segment["subsegments"].as_array().into_iter().flatten();
    let all = std::iter::once(segment).chain(parts);
    all.filter_map(|part| part["annotations"][name].as_str()).collect()
}

async fn a_message_is_one_trace_and_its_status_is_found_by_its_id(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    let question = client.hears(&customer, "Can you be followed?").await?;
    let shown = client.answers(&customer, 1).await?;
    let answer = shown[0]["wamid"].as_str().context("an answer has a wamid")?;
    eventually("the way of the message can be followed", async || {
        let segments = lines(&world.info.logs.join("traces.jsonl"))?;
        let find = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
            segments
                .iter()
                .find(|segment| is_it(segment))
                .cloned()
                .with_context(|| format!("no segment of {what}"))
        };
        let stored = find("ingest", &|segment| {
            noted(segment, "wamid") == [question.as_str()] && noted(segment, "outcome") == ["stored"]
        })?;
        let answered = find("reply", &|segment| {
            noted(segment, "wamid").contains(&question.as_str()) && noted(segment, "outcome") == ["answered"]
        })?;
        ensure!(stored["trace_id"] == answered["trace_id"], "two traces: {stored} {answered}");
        ensure!(answered["parent_id"] == stored["id"], "reply follows ingest: {stored} {answered}");
        ensure!(noted(&answered, "wamid").contains(&answer), "{answered}");
        ensure!(noted(&answered, "clientId") == [client.phone()], "{answered}");
        let ids = noted(&answered, "messageId");
        let [id] = ids[..] else { anyhow::bail!("one message was sent: {answered}") };
        let status = find("a status", &|segment| {
            noted(segment, "wamid").contains(&answer) && !noted(segment, "wamid").contains(&question.as_str())
        })?;
        ensure!(noted(&status, "messageId").contains(&id), "{status}");
        ensure!(
            !status.to_string().contains("followed") && !answered.to_string().contains(&customer),
            "{status}"
        );
        Ok(())
    })
    .await
}

async fn an_accepted_webhook_writes_nothing_and_a_forged_one_a_line(world: &World) -> Result<()> {
    let log = world.info.logs.join("webhook-receive.log");
    ensure!(
        world.deliver(r#"{"object":"whatsapp_business_account","entry":[]}"#).await? == 200,
        "it is Meta's"
    );
    let forged = &[("x-hub-signature-256", "sha256=00")];
    world.anybody().post_bytes(WEBHOOKS, forged, b"{}".to_vec()).await?.refused(401, "bad_signature")?;
    eventually("the forged webhook is told", async || {
        let told =
            lines(&log)?.into_iter().any(|line| line["outcome"] == "bad_signature" && line["status"] == 401);
        ensure!(told, "no line");
        Ok(())
    })
    .await?;
    for line in lines(&log)?.into_iter().filter(|line| line["unit"] == "request") {
        ensure!(line["status"].as_u64().is_some_and(|status| status >= 400), "{line}");
    }
    Ok(())
}

async fn each_line_of_a_function_has_known_fields_and_each_unit_tells_what_it_must(
    world: &World,
) -> Result<()> {
    let mut units = BTreeSet::new();
    for file in std::fs::read_dir(&world.info.logs)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.ends_with(".log") || name == "ministack.log" {
            continue;
        }
        for line in lines(&path)? {
            check_names(&line).with_context(|| format!("{name}: {line}"))?;
            if line["target"] == "unit" {
                check_unit(&line).with_context(|| format!("{name}: {line}"))?;
                units.insert(format!("{}", line["unit"]));
            }
        }
    }
    // Whether a schedule came by meanwhile is chance.
    ensure!(units.len() >= 3, "requests, messages and starts: {units:?}");
    Ok(())
}

fn check_names(line: &Value) -> Result<()> {
    let counted =
        |name: &str| metric::ALL.contains(&name) || measure::ALL.iter().any(|measure| measure.name == name);
    for name in line.as_object().context("a line is an object")?.keys() {
        ensure!(is_allowed(name) || name == "_aws" || counted(name), "the field {name} is not on the list");
    }
    let target = line["target"].as_str().unwrap_or_default();
    let of_others = ["aws_", "h2", "hyper", "lambda_", "reqwest", "rustls", "tokio", "tower"];
    let may_drop = of_others.iter().any(|prefix| target.starts_with(prefix));
    ensure!(line.get("droppedField").is_none() || may_drop, "a field was dropped");
    Ok(())
}

fn check_unit(line: &Value) -> Result<()> {
    let wanted: &[&str] = match line["unit"].as_str() {
        Some("start") => &["function", "outcome"],
        Some("request") => &["function", "requestId", "route", "status", "outcome", "durationMs"],
        Some("message") => &["function", "requestId", "queueMessageId", "tries", "outcome", "durationMs"],
        Some("job") => &["function", "requestId", "outcome", "durationMs"],
        other => anyhow::bail!("a unit {other:?}"),
    };
    for name in wanted {
        ensure!(line.get(*name).is_some(), "{name} is missing");
    }
    let outcome = line["outcome"].as_str().context("an outcome is a word")?;
    let is_word =
        outcome.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    ensure!(is_word, "{outcome} is no stable word");
    Ok(())
}
