//! Idempotency keys and first answers.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Table, Write};
use super::values::{Millis, Seconds, item, millis, n, nested, record, s};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::ports::{Begun, IdempotencyKeys, SavedResponse};

/// The table `idempotency`: one item per key of a caller.
#[derive(Debug, Clone)]
pub struct Idempotency(Table);

impl Idempotency {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    idempotency_key: String,
    body_hash: String,
    state: State,
    running_until: Millis,
    response: Option<SavedResponse>,
    expires_at: Seconds,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    Done,
    /// The request did nothing: the key is free.
    Forgotten,
}

const UPDATE: &str = "dynamodb UpdateItem on idempotency";

impl Idempotency {
    /// Goes on with a request whose claim ran out, unless another copy does.
    async fn take_over(&self, known: &Record, running_until: Timestamp) -> Stored<Begun> {
        let change = Expression::when("#state = :running AND #runningUntil = :known")
            .value("running", s("running"))
            .value("known", millis(known.running_until.0))
            .set("runningUntil", millis(running_until));
        match self.0.update(UPDATE, ("idempotencyKey", &known.idempotency_key), change).await? {
            Write::Done(_) => Ok(Begun::Abandoned),
            Write::Refused(_) => Ok(Begun::Running),
        }
    }
}

impl IdempotencyKeys for Idempotency {
    async fn begin_request(
        &self,
        key: &str,
        body_hash: &str,
        now: Timestamp,
        running_until: Timestamp,
        expires_at: Timestamp,
    ) -> Stored<Begun> {
        let new = Record {
            idempotency_key: key.to_owned(),
            body_hash: body_hash.to_owned(),
            state: State::Running,
            running_until: Millis(running_until),
            response: None,
            expires_at: Seconds(expires_at),
        };
        // DynamoDB may delete days after the expiry: until then the record is as good as gone.
        let condition = "attribute_not_exists(#idempotencyKey) OR #expiresAt <= :now OR #state = :forgotten";
        let condition =
            Expression::when(condition).value("now", n(now.as_second())).value("forgotten", s("forgotten"));
        let item = item("idempotency", &new)?;
        let known: Record = match self.0.put("dynamodb PutItem on idempotency", item, condition).await? {
            Write::Done(_) => return Ok(Begun::New),
            Write::Refused(known) => record("idempotency", known)?,
        };
        match known {
            known if known.body_hash != body_hash => Ok(Begun::OtherBody),
            Record { response: Some(response), .. } => Ok(Begun::Done(response)),
            known if known.running_until.0 > now => Ok(Begun::Running),
            known => self.take_over(&known, running_until).await,
        }
    }

    async fn finish_request(&self, key: &str, response: &SavedResponse) -> Stored<()> {
        let change = Expression::when("#state = :running")
            .value("running", s("running"))
            .set("state", s("done"))
            .set("response", nested("idempotency", response)?);
        self.0.update(UPDATE, ("idempotencyKey", key), change).await?;
        Ok(())
    }

    async fn forget_request(&self, key: &str) -> Stored<()> {
        let change =
            Expression::when("#state = :running").value("running", s("running")).set("state", s("forgotten"));
        self.0.update(UPDATE, ("idempotencyKey", key), change).await?;
        Ok(())
    }
}
