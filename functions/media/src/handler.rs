//! A link to a customer's file, and files uploaded to be sent.

#[cfg(test)]
mod tests;
mod upload;

use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::{Body, Request};
use serde_json::json;
use shared::domain::ids::{BotId, MediaId};
use shared::domain::media::{MediaFile, MediaKey, MediaState};
use shared::flows::tokens::Tokens;
use shared::http::{ApiError, Caller, Response, StatusCode, json as answer, path_parameter};
use shared::ports::{
    Clock, EraseFiles, LinkFiles, LinkUploads, MediaGraph, Random, ReadClients, ReadFiles, ReadGrants,
    ReadMedia, Seal,
};

/// How long a link works: long enough to be opened, too short to be passed around.
const LINK_LIFE: Duration = Duration::from_secs(5 * 60);
/// Nothing of this id is known.
const UNKNOWN: &str = "media_not_found";

/// All records that it uses: dynamodb:GetItem on media, clients, grants.
pub(crate) trait Records: ReadMedia + ReadClients + ReadGrants {}
impl<T: ReadMedia + ReadClients + ReadGrants> Records for T {}

pub(crate) struct Desk<'a, S, F, K, G, C, R> {
    pub(crate) store: &'a S,
    pub(crate) files: &'a F, // s3:GetObject, and under uploads/ PutObject and DeleteObject; kms
    pub(crate) seal: &'a K,  // kms:Decrypt
    pub(crate) graph: &'a G, // the Graph API; no AWS permission
    pub(crate) clock: &'a C,
    pub(crate) random: &'a R,
    pub(crate) tokens: &'a Tokens,
}

/// What it does with files.
pub(crate) trait Bucket: LinkFiles + LinkUploads + ReadFiles + EraseFiles {}
impl<T: LinkFiles + LinkUploads + ReadFiles + EraseFiles> Bucket for T {}

impl<S: Records, F: Bucket, K: Seal, G: MediaGraph, C: Clock, R: Random> Desk<'_, S, F, K, G, C, R> {
    pub(crate) async fn handle(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let caller = Caller::of(request)?;
        let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
        caller.check(&bot)?;
        // Behind /api/whatsapp/media/{botId}/{id}.
        let rest: Vec<&str> = request.uri().path().trim_matches('/').split('/').skip(5).collect();
        match (request.method(), rest.as_slice()) {
            (&Method::POST, []) => self.upload(&bot, request).await,
            (&Method::POST, ["uploads"]) => self.begin_upload(&bot, request).await,
            (&Method::POST, _) => self.finish_upload(&bot, request).await,
            _ => self.link(&bot, request).await,
        }
    }

    async fn link(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let media_id: MediaId = path_parameter(request, "id", UNKNOWN)?;
        let key = MediaKey { bot_id: bot.clone(), media_id };
        let file = self.store.media_file(&key).await?.ok_or_else(|| ApiError::not_found(UNKNOWN))?;
        let now = self.clock.now();
        let Some(kept) = file.kept(now) else { return Err(not_kept(&file)) };
        let until = (now + LINK_LIFE).min(kept.until);
        let lifetime = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        let url = self.files.file_link(&file.fetch().file_key(), now, lifetime)?;
        Ok(answer(
            StatusCode::OK,
            &json!({
                "id": key.media_id,
                "state": file.state.as_str(),
                "url": url,
                "expiresAt": until,
                "mimeType": kept.mime_type,
                "size": kept.size,
                "sha256": kept.sha256,
                "fileName": file.filename,
                "keptUntil": kept.until,
            }),
        ))
    }
}

fn not_kept(file: &MediaFile) -> ApiError {
    match file.state {
        MediaState::Pending { .. } => ApiError::conflict(
            "media_pending",
            "The file was not fetched from Meta yet.",
            "Ask again in some seconds; the list of messages shows its state.",
        )
        .retryable(),
        MediaState::Rejected(reason) => ApiError::gone(
            "media_rejected",
            "The file that Meta gave is not kept: too large, not of its type, or not of its hash.",
            "Ask the customer to send it again.",
        )
        .with_member("reason", reason.as_str()),
        MediaState::Missing | MediaState::Stored(_) => ApiError::gone(
            "media_gone",
            "The file is not kept any more, or Meta did not give it while it could.",
            "Ask the customer to send it again.",
        ),
    }
}
