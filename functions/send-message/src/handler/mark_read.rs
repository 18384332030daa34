//! `POST /api/whatsapp/mark-read`: the customer sees that their message was read, and that somebody writes.

use lambda_http::{Body, Request};
use shared::api::sending::{MarkReadRequest, Success};
use shared::domain::client::{Client, ClientStatus};
use shared::domain::ids::{BotId, MessageId, PhoneNumberId, Wamid};
use shared::domain::meta_error::{MetaError, Remedy};
use shared::flows::send::Receipt;
use shared::http::{
    ApiError, Caller, GATEWAY_CLAIM, Members, RequestKey, Response, StatusCode, json as answer, meta, once,
};
use shared::ports::{Clock, MessageGraph, Random, Seal, TokenGraph};

use super::{Records, Send, not_active, waits};

const NOT_FOUND: &str = "message_not_found";

impl<S, K, G, C, R> Send<'_, S, K, G, C, R>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
    C: Clock,
    R: Random,
{
    pub(super) async fn mark_read(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let caller = Caller::of(request)?;
        let wanted = MarkReadRequest::of(&Members::of(request)?)?;
        caller.check(&wanted.bot_id)?;
        let key = RequestKey::of(request, &caller, "mark-read")?;
        let (store, clock) = (self.sender.store, self.sender.clock);
        once(store, clock, GATEWAY_CLAIM, key.as_ref(), self.give_receipt(wanted)).await
    }

    async fn give_receipt(&self, wanted: MarkReadRequest) -> Result<Response<Body>, ApiError> {
        let MarkReadRequest { bot_id, message_id, phone_number_id, typing } = wanted;
        let (client, wamid) = self.received(&bot_id, phone_number_id, &message_id).await?;
        let receipt = self.sender.mark_read(&client, &wamid, typing).await?;
        match receipt {
            Receipt::Given => Ok(answer(StatusCode::OK, &Success { success: true })),
            Receipt::Held(held) => Err(waits(&held, self.sender.clock.now())),
            Receipt::NotGiven { pause, error } => Err(not_given(pause, error.as_ref())),
            Receipt::NoToken(None) => Err(meta::reconnect()),
            Receipt::NoToken(Some(error)) => Err(meta::reconnect().with_meta(&error)),
            Receipt::Refused(error) => Ok(refused(&error).into_response()),
        }
    }

    /// A customer's message to the bot, and the client that it came to.
    async fn received(
        &self,
        bot: &BotId,
        phone: Option<PhoneNumberId>,
        id: &MessageId,
    ) -> Result<(Client, Wamid), ApiError> {
        let store = self.sender.store;
        let message = store.message(id).await?.filter(|message| {
            message.origin.is_inbound()
                && message.bot_id.as_ref() == Some(bot)
                && phone.is_none_or(|phone| message.phone_number_id == phone)
        });
        let message = message.ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
        let wamid = message.wamid.ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
        // A number that moved on to another bot took its conversations with it.
        let client = store.client(&message.phone_number_id).await?.filter(|client| client.bot_id == *bot);
        let client = client.ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
        if client.status() == ClientStatus::Active { Ok((client, wamid)) } else { Err(not_active(&client)) }
    }
}

fn not_given(pause: std::time::Duration, error: Option<&MetaError>) -> ApiError {
    let answer = match error.map(MetaError::remedy) {
        Some(Remedy::SlowDown { .. }) => {
            ApiError::too_many("rate_limited", "Meta takes no more calls for now.", pause)
        }
        _ => ApiError::unavailable("meta_unavailable", "Meta did not confirm the read receipt."),
    };
    match error {
        Some(error) => answer.with_meta(error),
        None => answer,
    }
}

fn refused(error: &MetaError) -> ApiError {
    ApiError::unprocessable(
        "refused_by_meta",
        format!("Meta refused the read receipt: {}", error.details),
        "Change what Meta names. Messages older than 30 days cannot be marked.",
    )
    .with_meta(error)
}
