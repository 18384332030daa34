//! Samples of media headers, uploaded to our app at Meta.

use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_http::{Body, Request};
use shared::api::templates::Sample;
use shared::domain::ids::{BotId, PhoneNumberId};
use shared::http::{ApiError, Members, Name, Response, StatusCode, json as answer, meta};
use shared::ports::{Clock, SampleFile, Seal, TemplateGraph};

use super::changes::invalid;
use super::{Desk, Records};

/// The largest file, in bytes: in base64 and with its event it fits into the 6 MB that AWS Lambda takes.
const LARGEST_FILE: usize = 4 * 1024 * 1024;
/// The largest body: such a file in base64, and some room for the other members.
const LARGEST_BODY: usize = LARGEST_FILE / 3 * 4 + 4096;
/// What headers can show (Meta, template components, 2026-08-25).
const MIME_TYPES: [&str; 5] = ["image/jpeg", "image/jpg", "image/png", "video/mp4", "application/pdf"];

impl<S: Records, K: Seal, G: TemplateGraph, C: Clock> Desk<'_, S, K, G, C> {
    pub(super) async fn upload(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let members = Members::of_at_most(LARGEST_BODY, request)?;
        let only: Option<PhoneNumberId> = members.optional("phoneNumberId")?;
        let name: String = members.required::<Name>("fileName")?.into();
        let mime_type: String = members.required("mimeType")?;
        if !MIME_TYPES.contains(&mime_type.as_str()) {
            return Err(invalid("mimeType", format!("must be one of {}", MIME_TYPES.join(", "))));
        }
        let bytes = STANDARD.decode(members.required::<String>("base64")?);
        let bytes = bytes.map_err(|_| invalid("base64", "is not base64"))?;
        if bytes.is_empty() || bytes.len() > LARGEST_FILE {
            return Err(invalid("base64", format!("must hold 1 to {LARGEST_FILE} bytes")));
        }
        let client = self.client(bot, only.as_ref()).await?;
        let token = self.token(&client).await?;
        let file = SampleFile { name: &name, mime_type: &mime_type, bytes: &bytes };
        let handle = self.graph.upload_sample(file, &token).await.map_err(meta::refusal)?;
        Ok(answer(StatusCode::OK, &Sample { handle }))
    }
}
