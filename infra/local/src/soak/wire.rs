//! Speaking to the parts of the stack: Switchboard's API, the simulator's control API, and the emulated AWS
//! past the fault proxy.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::http_client;
use crate::info::StackInfo;

/// Above API Gateway's 30 s: then it has answered.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Most items of one page.
const PAGE: usize = 100;
/// A page may be refused while faults strike or a function was killed just now.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The running stack.
#[derive(Clone)]
pub(super) struct Wire {
    http: reqwest::Client,
    info: StackInfo,
    token: String,
}

/// What a call of Switchboard's API answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Value,
}

/// How much is on a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) waiting: u64,
    pub(super) delayed: u64,
    pub(super) in_flight: u64,
}

impl Depth {
    pub(super) fn total(self) -> u64 {
        self.waiting + self.delayed + self.in_flight
    }
}

impl Wire {
    pub(super) fn new(info: StackInfo) -> Result<Self> {
        let token = info.tokens.as_ref().context("the stack has no tokens of its own")?.admin.clone();
        Ok(Self { http: http_client::client()?, info, token })
    }

    /// A call of Switchboard's API as admin. An error means that no answer came.
    pub(super) async fn api(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut call = self.http.request(method, format!("{}{path}", self.info.api_url));
        call = call.bearer_auth(&self.token).timeout(TIMEOUT);
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.context("the API gave no answer")?;
        let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| value.parse().ok());
        let status = answer.status().as_u16();
        let text = answer.text().await.context("the API's answer broke off")?;
        Ok(Answer { status, retry_after, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// The same, until it succeeds.
    pub(super) async fn api_surely(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        for _ in 1..TRIES {
            match self.api(method.clone(), path, None, body).await {
                Ok(answer) if answer.status == 200 => return Ok(answer.body),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        let answer = self.api(method, path, None, body).await?;
        ensure!(answer.status == 200, "{path} answered {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// All messages of a number, newest first.
    pub(super) async fn messages(&self, bot: &str, phone: &str) -> Result<Vec<Value>> {
        let first = format!("/api/whatsapp/messages/{bot}?phoneNumberId={phone}&limit={PAGE}");
        let mut messages = Vec::new();
        let mut path = first.clone();
        loop {
            let mut page = self.api_surely(Method::GET, &path, None).await?;
            if let Value::Array(items) = page["items"].take() {
                messages.extend(items);
            }
            let Some(cursor) = page["nextCursor"].as_str() else { return Ok(messages) };
            let cursor = reqwest::Url::parse_with_params("http://x/", [("cursor", cursor)])?;
            path = format!("{first}&{}", cursor.query().unwrap_or_default());
        }
    }

    /// A call of the simulator's control API.
    pub(super) async fn sim(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let call = self.http.request(method, format!("{}/_sim/{path}", self.info.meta_url));
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        json_of(call, path).await
    }

    /// What is on the queue `name` of `stack.json`.
    pub(super) async fn depth(&self, name: &str) -> Result<Depth> {
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ];
        let body = json!({"QueueUrl": self.queue(name)?, "AttributeNames": names});
        let answer = self.sqs("GetQueueAttributes", &body).await?;
        let [waiting, delayed, in_flight] =
            names.map(|name| answer["Attributes"][name].as_str().and_then(|n| n.parse().ok()));
        let number = |value: Option<u64>| value.context("the emulator does not count its queue");
        Ok(Depth { waiting: number(waiting)?, delayed: number(delayed)?, in_flight: number(in_flight)? })
    }

    /// Moves everything from a dead-letter queue back to where it came from; how many.
    pub(super) async fn redrive(&self, dead: &str, source: &str) -> Result<usize> {
        let receive = json!({
            "QueueUrl": self.queue(dead)?, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"],
        });
        let mut moved = 0;
        loop {
            let received = self.sqs("ReceiveMessage", &receive).await?;
            let Some(messages) = received["Messages"].as_array().filter(|messages| !messages.is_empty())
            else {
                return Ok(moved);
            };
            for message in messages {
                let mut again = json!({"QueueUrl": self.queue(source)?, "MessageBody": message["Body"]});
                if message["MessageAttributes"].is_object() {
                    again["MessageAttributes"] = message["MessageAttributes"].clone();
                }
                self.sqs("SendMessage", &again).await?;
                let handle = &message["ReceiptHandle"];
                let taken = json!({"QueueUrl": self.queue(dead)?, "ReceiptHandle": handle});
                self.sqs("DeleteMessage", &taken).await?;
                moved += 1;
            }
        }
    }

    fn queue(&self, name: &str) -> Result<&str> {
        self.info
            .queues
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("the stack has no queue {name}"))
    }

    /// The emulator takes unsigned calls.
    async fn sqs(&self, operation: &str, body: &Value) -> Result<Value> {
        let call = self.http.post(&self.info.aws_endpoint).body(body.to_string());
        let call = call.header("content-type", "application/x-amz-json-1.0");
        json_of(call.header("x-amz-target", format!("AmazonSQS.{operation}")), operation).await
    }
}

async fn json_of(call: RequestBuilder, what: &str) -> Result<Value> {
    let answer = call.send().await.with_context(|| format!("{what} was not answered"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("{what} broke off"))?;
    ensure!(status.is_success(), "{what} answered {status}: {text}");
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
