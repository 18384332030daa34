//! Redrive and replay in the running stack: what `aws lambda invoke` does in AWS.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::info::StackInfo;

/// The header `authorization` of a call to one of AWS's services: names the account's own key, whose signature the
/// emulator does not look at.
#[must_use]
pub fn by_the_operator(service: &str) -> String {
    let scope = format!("20260101/us-east-1/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders=host, Signature=none")
}

/// Whose dead letters.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Queue {
    /// Webhook elements that could not be recorded.
    Inbound,
    /// Nudges that reply could not follow.
    Answers,
    /// Scheduled runs that could not be started; they are thrown away.
    Schedules,
}

/// Puts dead letters back on their queue.
#[derive(Args, Clone, Debug)]
pub struct Redrive {
    /// Whose dead letters.
    queue: Queue,
    /// Only say what would be moved.
    #[arg(long)]
    dry_run: bool,
    /// Most letters.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

/// Runs stored elements through ingest again.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// One message.
    #[arg(long, value_name = "ID", group = "what")]
    message: Option<String>,
    /// The messages of one number.
    #[arg(long, value_name = "ID", group = "what")]
    phone_number: Option<String>,
    /// The events of an account.
    #[arg(long, value_name = "WABA", group = "what")]
    owner: Option<String>,
    /// What nobody understood and was received on this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", group = "what")]
    quarantine_day: Option<String>,
    /// One item of the quarantine.
    #[arg(long, value_name = "ID", group = "what")]
    quarantine_id: Option<String>,
    /// The messages of a bot; with --phone-number, of a bot that has or had that number.
    #[arg(long, value_name = "BOT", conflicts_with_all = ["message", "owner", "quarantine_day", "quarantine_id"])]
    bot: Option<String>,
    /// Of a day in quarantine only what is there for this reason.
    #[arg(long, requires = "quarantine_day")]
    reason: Option<String>,
    /// No element before this time (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "quarantine_day")]
    from: Option<String>,
    /// No element after it.
    #[arg(long, value_name = "TIME", conflicts_with = "quarantine_day")]
    to: Option<String>,
    /// Really do it. Without this it only says what it would do.
    #[arg(long)]
    yes: bool,
    /// Let messages that are new be answered.
    #[arg(long)]
    answers: bool,
    /// Most elements of one call.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where an earlier call ended.
    #[arg(long, conflicts_with = "all")]
    cursor: Option<String>,
    /// Call again and again until nothing is left.
    #[arg(long)]
    all: bool,
}

impl Redrive {
    fn event(&self) -> Value {
        let queue = match self.queue {
            Queue::Inbound => "inbound",
            Queue::Answers => "answers",
            Queue::Schedules => "schedules",
        };
        given(json!({"job": "redrive", "queue": queue, "dryRun": self.dry_run, "limit": self.limit}))
    }
}

impl Replay {
    fn event(&self, cursor: Option<&str>) -> Value {
        let quarantine = (self.quarantine_day.is_some() || self.quarantine_id.is_some()).then(|| {
            given(json!({"id": self.quarantine_id, "day": self.quarantine_day, "reason": self.reason}))
        });
        given(json!({
            "job": "replay", "messageId": self.message, "phoneNumberId": self.phone_number, "botId": self.bot,
            "owner": self.owner, "quarantine": quarantine, "from": self.from, "to": self.to,
            "dryRun": !self.yes, "answers": self.answers, "limit": self.limit, "cursor": cursor,
        }))
    }
}

/// Without the members that are null.
fn given(event: Value) -> Value {
    let members = event.as_object().cloned().unwrap_or_default();
    Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

/// Runs a redrive; its answer.
pub async fn redrive(info: &StackInfo, wanted: &Redrive) -> Result<Value> {
    invoke(info, &wanted.event()).await
}

/// Runs a replay and hands each answer to `show`.
pub async fn replay(info: &StackInfo, wanted: &Replay, mut show: impl FnMut(&Value)) -> Result<()> {
    let mut cursor = wanted.cursor.clone();
    loop {
        let answer = invoke(info, &wanted.event(cursor.as_deref())).await?;
        show(&answer);
        cursor = answer["nextCursor"].as_str().map(str::to_owned);
        if !wanted.all || cursor.is_none() {
            return Ok(());
        }
    }
}

/// Calls the deployed recovery; its answer. An error of the function is one here.
pub async fn invoke(info: &StackInfo, event: &Value) -> Result<Value> {
    invoke_function(info, "recovery", event).await
}

/// Calls a deployed function as `aws lambda invoke` does; its answer. An error of the function is one here.
pub async fn invoke_function(info: &StackInfo, function: &str, event: &Value) -> Result<Value> {
    let name =
        info.functions.get(function).context("the running stack is of an older version: restart it")?;
    let url = format!("{}/2015-03-31/functions/{name}/invocations", info.aws_endpoint);
    let call = crate::client()?.post(url).header("authorization", by_the_operator("lambda")).json(event);
    let answer = call.send().await.context("the function was not reached")?;
    let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
    let text = answer.text().await.context("the function's answer broke off")?;
    if failed || !status.is_success() {
        let error: Value = serde_json::from_str(&text).unwrap_or_default();
        bail!("the job failed: {}", error["errorMessage"].as_str().unwrap_or(&text));
    }
    serde_json::from_str(&text).with_context(|| format!("the function's answer is no JSON: {text}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        replay: Replay,
    }

    fn event(line: &str) -> Value {
        Line::try_parse_from(line.split(' ')).unwrap().replay.event(None)
    }

    #[test]
    fn a_replay_looks_only_unless_told_otherwise() {
        let looks = event("replay --message wamid.A");
        assert_eq!(looks, json!({"job": "replay", "messageId": "wamid.A", "dryRun": true, "answers": false}));
        let does = event("replay --quarantine-day 2026-11-21 --reason no_id --yes --answers --limit 5");
        let quarantine = json!({"day": "2026-11-21", "reason": "no_id"});
        let expected =
            json!({"job": "replay", "quarantine": quarantine, "dryRun": false, "answers": true, "limit": 5});
        assert_eq!(does, expected);
    }

    #[test]
    fn a_number_may_be_of_a_bot_and_two_selections_are_refused() {
        let of_bot = event("replay --phone-number 117 --bot demo-bakery --from 2026-11-21T00:00:00Z");
        assert_eq!((&of_bot["phoneNumberId"], &of_bot["botId"]), (&"117".into(), &"demo-bakery".into()));
        for line in
            ["replay --message a --owner b", "replay --bot a --owner b", "replay --owner a --all --cursor b"]
        {
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
