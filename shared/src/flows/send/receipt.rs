//! The read receipt, with or without the typing sign. Giving it twice does no harm, so nothing is recorded.

use std::time::Duration;

use super::{SOON, SendRecords, Sender, TOKEN_IN_DOUBT, TokenState, known, span};
use crate::domain::client::Client;
use crate::domain::ids::Wamid;
use crate::domain::meta_error::{MetaError, Remedy};
use crate::error::{Chain, GraphError, StoreError};
use crate::flows::pace::Held;
use crate::flows::tokens::Opened;
use crate::ports::{Clock, MessageGraph, Seal, TokenGraph};
use crate::telemetry::unit;

/// How a read receipt ended.
#[derive(Debug)]
pub enum Receipt {
    /// Meta took it.
    Given,
    /// Our app, the account or the number has to wait; nothing was called.
    Held(Held),
    /// Meta did not take it. It may be given again after the pause.
    NotGiven {
        /// How long to wait at least.
        pause: Duration,
        /// Meta's error, if Meta answered.
        error: Option<MetaError>,
    },
    /// Meta refused it for good.
    Refused(MetaError),
    /// The client has no token that Meta takes; with Meta's error, if this call found that out.
    NoToken(Option<MetaError>),
}

impl<S, K, G, C> Sender<'_, S, K, G, C>
where
    S: SendRecords,
    K: Seal,
    G: MessageGraph + TokenGraph,
    C: Clock,
{
    /// Marks a customer's message and the earlier ones as read; `typing` also shows that an answer is being
    /// written, for 25 seconds at most (Meta, typing indicators, 2026-05-21). It is no message: it counts
    /// against no rate of messages and goes out for a paused client, too.
    ///
    /// # Errors
    /// [`StoreError`] if the token cannot be read, or its death not be written.
    pub async fn mark_read(
        &self,
        client: &Client,
        wamid: &Wamid,
        typing: bool,
    ) -> Result<Receipt, StoreError> {
        let now = self.clock.now();
        if let Some(held) = known(self.pace.braked(self.store, client, now).await).flatten() {
            return Ok(Receipt::Held(held));
        }
        let token = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        let Some(token) = token else {
            self.needs_reconnect(client).await?;
            return Ok(Receipt::NoToken(None));
        };
        let answer = self.graph.mark_read(&client.phone_number_id, wamid, typing, &token.token).await;
        known(self.pace.heed(self.store, self.graph.usage(), self.clock.now()).await);
        match answer {
            Ok(()) => Ok(Receipt::Given),
            Err(GraphError::Refused(error)) => self.receipt_refused(client, &token, error).await,
            Err(error) => {
                tracing::warn!(clientId = %client.phone_number_id, error = %Chain(&error), "no answer to a read receipt");
                Ok(Receipt::NotGiven { pause: SOON, error: None })
            }
        }
    }

    async fn receipt_refused(
        &self,
        client: &Client,
        token: &Opened,
        error: MetaError,
    ) -> Result<Receipt, StoreError> {
        unit::refused(error.code);
        tracing::warn!(clientId = %client.phone_number_id, metaCode = error.code, fbtraceId = error.fbtrace_id, "Meta refused a read receipt");
        match error.remedy() {
            Remedy::Retry { .. } => Ok(Receipt::NotGiven { pause: SOON, error: Some(error) }),
            Remedy::SlowDown { scope, pause } => {
                let now = self.clock.now();
                let slowed = self.pace.slow_down(self.store, client, None, (scope, pause), now).await;
                let pause = known(slowed).map_or(pause, |until| span(now, until));
                Ok(Receipt::NotGiven { pause, error: Some(error) })
            }
            Remedy::Token => self.receipt_without_token(client, token, error).await,
            _ => Ok(Receipt::Refused(error)),
        }
    }

    async fn receipt_without_token(
        &self,
        client: &Client,
        token: &Opened,
        error: MetaError,
    ) -> Result<Receipt, StoreError> {
        self.tokens.forget(&client.grant_id);
        match self.examine(client, token).await? {
            TokenState::Dead => {
                self.needs_reconnect(client).await?;
                Ok(Receipt::NoToken(Some(error)))
            }
            TokenState::Valid => Ok(Receipt::NotGiven { pause: TOKEN_IN_DOUBT, error: Some(error) }),
            TokenState::Replaced => Ok(Receipt::NotGiven { pause: SOON, error: Some(error) }),
        }
    }
}
