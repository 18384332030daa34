//! Files to be sent: checked against Meta's limits before they are uploaded.

use std::time::Duration;

use lambda_http::{Body, Request};
use shared::api::media::{BegunUpload, UploadHeaders, UploadedMedia};
use shared::domain::client::{Client, ClientStatus};
use shared::domain::ids::{BotId, PhoneNumberId};
use shared::domain::media::{SENDABLE, UPLOAD_LIFE, contradicts, essence, largest_upload};
use shared::domain::secret::AccessToken;
use shared::error::Chain;
use shared::http::{ApiError, Members, Response, StatusCode, header, json as answer, meta, path_parameter};
use shared::ports::{Clock, MediaGraph, Random, SampleFile, Seal};

use super::{Bucket, Desk, Records};

/// The largest file that fits into a call, in bytes: in base64 and with its event it is below the 6 MB that AWS
/// Lambda takes.
const LARGEST: usize = 4 * 1024 * 1024;
/// What Meta is told as its name. A document gets its name from the message.
const NAME: &str = "file";
/// How long the address of an upload works: for 100 MB over a slow line.
const UPLOAD_TIME: Duration = Duration::from_secs(60 * 60);
/// No file was put there, or it has gone.
const UNKNOWN_UPLOAD: &str = "upload_not_found";

impl<S: Records, F: Bucket, K: Seal, G: MediaGraph, C: Clock, R: Random> Desk<'_, S, F, K, G, C, R> {
    /// The body is the file, the content type its type.
    pub(super) async fn upload(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let phone: PhoneNumberId = path_parameter(request, "id", "client_not_found")?;
        let client = self.client(bot, &phone).await?;
        let mime_type = essence(header(request, "content-type").unwrap_or_default());
        let bytes: &[u8] = request.body();
        check(&mime_type, bytes)?;
        if bytes.len() > LARGEST {
            let way = "Upload a larger file in two steps, beginning with uploads; or send it by link.";
            return Err(too_large(LARGEST, way));
        }
        self.pass_on(&client, &mime_type, bytes).await
    }

    /// The first of two steps: an address that takes one file of this type and size.
    pub(super) async fn begin_upload(
        &self,
        bot: &BotId,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let phone: PhoneNumberId = path_parameter(request, "id", "client_not_found")?;
        self.client(bot, &phone).await?;
        let members = Members::of(request)?;
        let mime_type = essence(&members.required::<String>("mimeType")?);
        let Size(size) = members.required("size")?;
        if size > limit_of(&mime_type, &[])? {
            return Err(too_large(limit_of(&mime_type, &[])?, "Make it smaller."));
        }
        let id = UploadId::new(self.random.bytes());
        let now = self.clock.now();
        let url = self.files.upload_link(&id.place(bot, &phone), &mime_type, size, now, UPLOAD_TIME)?;
        let begun = BegunUpload {
            upload_id: id.0,
            upload_url: url,
            method: "PUT",
            headers: UploadHeaders { content_type: mime_type, content_length: size.to_string() },
            expires_at: now + UPLOAD_TIME,
        };
        Ok(answer(StatusCode::CREATED, &begun))
    }

    /// The second: what is there goes to Meta.
    pub(super) async fn finish_upload(
        &self,
        bot: &BotId,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let phone: PhoneNumberId = path_parameter(request, "id", "client_not_found")?;
        let client = self.client(bot, &phone).await?;
        let id: UploadId = path_parameter(request, "uploadId", UNKNOWN_UPLOAD)?;
        let mime_type = essence(&Members::of(request)?.required::<String>("mimeType")?);
        let place = id.place(bot, &phone);
        let bytes = self.files.read_file(&place, limit_of(&mime_type, &[])?).await?;
        let bytes = bytes.ok_or_else(|| ApiError::not_found(UNKNOWN_UPLOAD))?;
        check(&mime_type, &bytes)?;
        let uploaded = self.pass_on(&client, &mime_type, &bytes).await?;
        // It would go by itself in a day.
        if let Err(error) = self.files.erase_file(&place).await {
            tracing::warn!(error = %Chain(&error), "an upload is left to the bucket's lifecycle");
        }
        Ok(uploaded)
    }

    async fn pass_on(
        &self,
        client: &Client,
        mime_type: &str,
        bytes: &[u8],
    ) -> Result<Response<Body>, ApiError> {
        let token = self.token(client).await?;
        let file = SampleFile { name: NAME, mime_type, bytes };
        // Repeated, Meta has the file twice at worst.
        let id =
            self.graph.upload_media(&client.phone_number_id, file, &token).await.map_err(meta::refusal)?;
        let expires_at = self.clock.now() + UPLOAD_LIFE;
        let uploaded = UploadedMedia { id, expires_at, size: bytes.len(), mime_type: mime_type.to_owned() };
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
        opened.map(|opened| opened.token).ok_or_else(meta::reconnect)
    }
}

/// A size in bytes that is not 0.
struct Size(usize);

impl TryFrom<String> for Size {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        value.parse().ok().filter(|size| *size > 0).map(Self).ok_or(())
    }
}

/// An upload in two steps: 32 hex digits that nobody guesses.
struct UploadId(String);

impl UploadId {
    fn new(random: [u8; 16]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where its file is: under its bot and number, so that it is nobody else's.
    fn place(&self, bot: &BotId, phone: &PhoneNumberId) -> String {
        format!("uploads/{phone}/{bot}/{}", self.0)
    }
}

impl TryFrom<String> for UploadId {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let is_one = value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
        if is_one { Ok(Self(value)) } else { Err(()) }
    }
}

fn limit_of(mime_type: &str, bytes: &[u8]) -> Result<usize, ApiError> {
    largest_upload(mime_type, bytes).ok_or_else(|| {
        ApiError::bad_request(
            "media_type_unsupported",
            "WhatsApp takes no files of this type.",
            format!("Send one of {}, and name its type.", SENDABLE.join(", ")),
        )
    })
}

fn check(mime_type: &str, bytes: &[u8]) -> Result<(), ApiError> {
    let limit = limit_of(mime_type, bytes)?;
    if bytes.is_empty() {
        return Err(ApiError::bad_request("media_empty", "The body is empty.", "Send the file as body."));
    }
    if bytes.len() > limit {
        return Err(too_large(limit, "Make it smaller."));
    }
    if contradicts(mime_type, bytes) {
        return Err(ApiError::bad_request(
            "media_type_mismatch",
            format!("The body is no {mime_type}."),
            "Name the file's own type.",
        ));
    }
    Ok(())
}

fn too_large(limit: usize, action: &str) -> ApiError {
    let detail = format!("A file of this type may have {limit} bytes.");
    ApiError::bad_request("media_too_large", detail, action).with_member("limit", limit)
}
