//! Sending exactly once over an API without idempotency keys.
//!
//! The intent is written before the call. If the process dies or the answer is lost between the two, the
//! outcome is unknown and stays so until a status webhook brings our id back: it is never sent again.

use std::time::Duration;

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::draft::{Recipient, call_of};
use crate::domain::ids::{MessageId, Wamid};
use crate::domain::message::{Message, Sending};
use crate::domain::meta_error::{MetaError, Remedy};
use crate::domain::secret::AccessToken;
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::content_of;
use crate::flows::tokens::Tokens;
use crate::ports::{Clock, MessageGraph, ReadGrants, RecordSends, Recorded, Seal, SendOutcome};

/// Sending with what it needs.
pub struct Sender<'a, S, K, G, C> {
    /// Records.
    pub store: &'a S,
    /// Sealing.
    pub seal: &'a K,
    /// Meta.
    pub graph: &'a G,
    /// Time.
    pub clock: &'a C,
    /// Opened tokens of this process.
    pub tokens: &'a Tokens,
    /// How long a call may take; after it, whoever made it is dead. Longer than the HTTP client's timeout.
    pub claim: Duration,
}

/// How a message stands after [`Sender::deliver`].
#[derive(Debug)]
pub enum Delivery {
    /// Meta took it, now or before.
    Accepted(Option<Wamid>),
    /// Meta did not take it. The same message may be delivered again, after the pause.
    NotSent {
        /// How long to wait at least.
        pause: Duration,
        /// Meta's error, if Meta answered.
        error: Option<MetaError>,
    },
    /// Meta refused it for good.
    Refused(MetaError),
    /// Nobody knows, and it is not sent again.
    Uncertain,
    /// Another copy is making the call until then.
    InProgress(Timestamp),
    /// The client has no token.
    NoToken,
}

impl<S, K, G, C> Sender<'_, S, K, G, C>
where
    S: RecordSends + ReadGrants,
    K: Seal,
    G: MessageGraph,
    C: Clock,
{
    /// The intent's `sending`, as of now.
    #[must_use]
    pub fn intended(&self) -> Sending {
        Sending::Intended { until: self.clock.now() + self.claim }
    }

    /// Sends `intent` once, whoever calls this how often. `intent.sending` is [`Self::intended`].
    ///
    /// # Errors
    /// [`StoreError`]. Before the intent is written nothing has happened; after it, the message is
    /// uncertain until the claim has ended and somebody looks again.
    pub async fn deliver(
        &self,
        client: &Client,
        intent: &Message,
        recipient: &Recipient,
    ) -> Result<Delivery, StoreError> {
        // The token first: if it cannot be opened, nothing was intended.
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else { return Ok(Delivery::NoToken) };
        match self.store.begin_send(intent).await? {
            Recorded::New => self.call(client, &intent.id, &content_of(intent), recipient, &token).await,
            // Our own write, repeated below us because its answer was lost: callers hold a claim, so no
            // other copy can have written the same to the millisecond.
            Recorded::Known(known)
                if known.sending == intent.sending && known.recorded_at == intent.recorded_at =>
            {
                self.call(client, &intent.id, &content_of(intent), recipient, &token).await
            }
            Recorded::Known(known) => self.continue_known(client, &known, recipient, &token).await,
        }
    }

    /// Brings a send that was begun before to its end, without ever repeating it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was sent that was not intended before.
    pub async fn resume(
        &self,
        client: &Client,
        begun: &Message,
        recipient: &Recipient,
    ) -> Result<Delivery, StoreError> {
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else { return Ok(Delivery::NoToken) };
        self.continue_known(client, begun, recipient, &token).await
    }

    async fn continue_known(
        &self,
        client: &Client,
        known: &Message,
        recipient: &Recipient,
        token: &AccessToken,
    ) -> Result<Delivery, StoreError> {
        let now = self.clock.now();
        match &known.sending {
            Some(Sending::Intended { until }) if *until > now => Ok(Delivery::InProgress(*until)),
            Some(Sending::NotSent) => {
                if self.store.retake_send(&known.id, now + self.claim).await? {
                    // What was written then is what is sent now, whatever the caller brings.
                    return self.call(client, &known.id, &content_of(known), recipient, token).await;
                }
                Ok(Delivery::InProgress(now + self.claim))
            }
            Some(Sending::Intended { .. }) => {
                self.finish(&known.id, known.wamid.clone(), &SendOutcome::Uncertain).await
            }
            Some(Sending::Accepted) => Ok(Delivery::Accepted(known.wamid.clone())),
            Some(Sending::Refused(error)) => Ok(Delivery::Refused(error.clone())),
            Some(Sending::Uncertain) | None => Ok(Delivery::Uncertain),
        }
    }

    async fn call(
        &self,
        client: &Client,
        id: &MessageId,
        recorded: &Value,
        recipient: &Recipient,
        token: &AccessToken,
    ) -> Result<Delivery, StoreError> {
        let call = call_of(recorded, recipient, id);
        match self.graph.send(&client.phone_number_id, &call, token).await {
            Ok(wamid) => self.finish(id, Some(wamid.clone()), &SendOutcome::Accepted(wamid)).await,
            Err(GraphError::NotSent(source)) => {
                tracing::warn!(message.id = %id, error = %source, "Meta not reached");
                self.not_sent(id, Duration::from_secs(1), None).await
            }
            Err(error @ GraphError::Unclear(_)) => {
                tracing::warn!(message.id = %id, error = %Chain(&error), "outcome of a send is unknown");
                self.finish(id, None, &SendOutcome::Uncertain).await
            }
            Err(GraphError::Refused(error)) => self.refused(client, id, error).await,
        }
    }

    async fn refused(
        &self,
        client: &Client,
        id: &MessageId,
        error: MetaError,
    ) -> Result<Delivery, StoreError> {
        tracing::warn!(message.id = %id, client.id = %client.phone_number_id, meta = error.code, trace = error.fbtrace_id, "Meta refused a send");
        match error.remedy() {
            Remedy::Retry => self.not_sent(id, Duration::from_secs(1), Some(error)).await,
            Remedy::SlowDown(pause) => self.not_sent(id, pause, Some(error)).await,
            Remedy::Token => {
                // Read it again before the next try: it may have been swapped.
                self.tokens.forget(&client.grant_id);
                self.finish(id, None, &SendOutcome::Refused(error)).await
            }
            _ => self.finish(id, None, &SendOutcome::Refused(error)).await,
        }
    }

    async fn not_sent(
        &self,
        id: &MessageId,
        pause: Duration,
        error: Option<MetaError>,
    ) -> Result<Delivery, StoreError> {
        match self.store.finish_send(id, &SendOutcome::NotSent).await? {
            Sending::NotSent => Ok(Delivery::NotSent { pause, error }),
            proven => Ok(delivery_of(proven, None)),
        }
    }

    /// Records the outcome; a status may have come first and proven more.
    async fn finish(
        &self,
        id: &MessageId,
        wamid: Option<Wamid>,
        outcome: &SendOutcome,
    ) -> Result<Delivery, StoreError> {
        Ok(delivery_of(self.store.finish_send(id, outcome).await?, wamid))
    }
}

fn delivery_of(sending: Sending, wamid: Option<Wamid>) -> Delivery {
    match sending {
        Sending::Accepted => Delivery::Accepted(wamid),
        Sending::Refused(error) => Delivery::Refused(error),
        Sending::NotSent => Delivery::NotSent { pause: Duration::from_secs(1), error: None },
        Sending::Uncertain | Sending::Intended { .. } => Delivery::Uncertain,
    }
}

#[cfg(test)]
mod tests;
