//! Files to be sent: checked against Meta's limits before they are uploaded.

use lambda_http::{Body, Request};
use shared::api::media::UploadedMedia;
use shared::domain::client::{Client, ClientStatus};
use shared::domain::ids::{BotId, PhoneNumberId};
use shared::domain::media::{SENDABLE, UPLOAD_LIFE, contradicts, essence, largest_upload};
use shared::domain::meta_error::{MetaError, Remedy};
use shared::domain::secret::AccessToken;
use shared::error::GraphError;
use shared::http::{ApiError, Response, StatusCode, header, json as answer, path_parameter};
use shared::ports::{Clock, LinkFiles, MediaGraph, SampleFile, Seal};

use super::{Desk, Records};

/// The largest file that fits into a call, in bytes: in base64 and with its event it is below the 6 MB that AWS
/// Lambda takes.
const LARGEST: usize = 4 * 1024 * 1024;
/// What Meta is told as its name. A document gets its name from the message.
const NAME: &str = "file";

impl<S: Records, F: LinkFiles, K: Seal, G: MediaGraph, C: Clock> Desk<'_, S, F, K, G, C> {
    /// The body is the file, the content type its type.
    pub(super) async fn upload(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let phone: PhoneNumberId = path_parameter(request, "id", "client_not_found")?;
        let client = self.client(bot, &phone).await?;
        let mime_type = essence(header(request, "content-type").unwrap_or_default());
        let bytes: &[u8] = request.body();
        check(&mime_type, bytes)?;
        let token = self.token(&client).await?;
        let file = SampleFile { name: NAME, mime_type: &mime_type, bytes };
        let id = self.graph.upload_media(&phone, file, &token).await.map_err(refusal)?;
        let expires_at = self.clock.now() + UPLOAD_LIFE;
        let uploaded = UploadedMedia { id, expires_at, size: bytes.len(), mime_type };
        Ok(answer(StatusCode::CREATED, &uploaded))
    }

    async fn client(&self, bot: &BotId, phone: &PhoneNumberId) -> Result<Client, ApiError> {
        let is_open =
            |client: &Client| matches!(client.status(), ClientStatus::Active | ClientStatus::Suspended);
        let client = self.store.client(phone).await?.filter(|it| it.bot_id == *bot && is_open(it));
        client.ok_or_else(|| ApiError::not_found("client_not_found"))
    }

    async fn token(&self, client: &Client) -> Result<AccessToken, ApiError> {
        let opened = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        opened.map(|opened| opened.token).ok_or_else(reconnect)
    }
}

fn check(mime_type: &str, bytes: &[u8]) -> Result<(), ApiError> {
    let Some(limit) = largest_upload(mime_type, bytes) else {
        return Err(ApiError::bad_request(
            "media_type_unsupported",
            "WhatsApp takes no files of the type that content-type names.",
            format!("Send one of {}, and its type as content-type.", SENDABLE.join(", ")),
        ));
    };
    if bytes.is_empty() {
        return Err(ApiError::bad_request("media_empty", "The body is empty.", "Send the file as body."));
    }
    if bytes.len() > limit {
        return Err(too_large(limit, "Make it smaller."));
    }
    if bytes.len() > LARGEST {
        return Err(too_large(LARGEST, "Send a larger file by link: {\"link\": …} instead of {\"id\": …}."));
    }
    if contradicts(mime_type, bytes) {
        return Err(ApiError::bad_request(
            "media_type_mismatch",
            format!("The body is no {mime_type}."),
            "Send the file's own type as content-type.",
        ));
    }
    Ok(())
}

fn too_large(limit: usize, action: &str) -> ApiError {
    let detail = format!("A file of this type may have {limit} bytes.");
    ApiError::bad_request("media_too_large", detail, action).with_member("limit", limit)
}

fn reconnect() -> ApiError {
    ApiError::conflict(
        "client_needs_reconnect",
        "Meta does not accept the client's token any more.",
        "Let the client sign up again.",
    )
}

/// An upload may be repeated: at worst Meta has the file twice.
fn refusal(error: GraphError) -> ApiError {
    match error {
        GraphError::Refused(error) => refused(&error).with_meta(&error),
        GraphError::NotSent(source) | GraphError::Unclear(source) => {
            ApiError::unavailable("meta_unavailable", "Meta did not answer.").because(source)
        }
    }
}

fn refused(error: &MetaError) -> ApiError {
    match error.remedy() {
        Remedy::Token => reconnect(),
        Remedy::Retry { .. } => ApiError::unavailable("meta_unavailable", "Meta did not do it, for now."),
        Remedy::SlowDown { pause, .. } => {
            ApiError::too_many("rate_limited", "Meta takes no more calls of this kind for now.", pause)
        }
        _ => ApiError::unprocessable(
            "refused_by_meta",
            format!("Meta refused it: {}", error.details),
            "Change what Meta names.",
        ),
    }
}
