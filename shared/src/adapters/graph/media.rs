//! Files (Meta, Cloud API, media, 2026-08).

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use url::Url;

use super::wire::{self, int, missing, text};
use super::{Graph, authorization, failed, not_sent, unclear};
use crate::domain::ids::{MediaId, PhoneNumberId};
use crate::domain::secret::AccessToken;
use crate::error::GraphError;
use crate::ports::{Download, MediaAddress, MediaGraph, MediaInfo, SampleFile};

/// Where Meta gives files.
const FILES_HOST: &str = "lookaside.fbsbx.com";
/// For a file of 100 MB over a slow line; the function that downloads has a minute.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(35);
/// Meta reads a file of 100 MB in seconds; API Gateway ends a call at 30.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(22);

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default, deserialize_with = "text")]
    url: Option<String>,
    #[serde(default, deserialize_with = "text")]
    mime_type: Option<String>,
    #[serde(default, deserialize_with = "text")]
    sha256: Option<String>,
    #[serde(default, deserialize_with = "int")]
    file_size: Option<i64>,
}

impl MediaGraph for Graph {
    async fn media_info(
        &self,
        phone: &PhoneNumberId,
        id: &MediaId,
        token: &AccessToken,
    ) -> Result<MediaInfo, GraphError> {
        let call = self.get(&[id.as_ref()]).query(&[("phone_number_id", phone.as_ref())]);
        let info: WireInfo = call.token(token).send().await?;
        Ok(MediaInfo {
            address: MediaAddress(info.url.ok_or_else(|| missing("address of the file"))?),
            mime_type: info.mime_type,
            sha256: info.sha256,
            size: info.file_size.and_then(|size| u64::try_from(size).ok()),
        })
    }

    async fn download_media(
        &self,
        address: &MediaAddress,
        largest: usize,
        token: &AccessToken,
    ) -> Result<Download, GraphError> {
        let url: Url = address.0.parse().map_err(|_| not_sent("the file's address is no address"))?;
        if !self.may_have_token(&url) {
            return Err(not_sent("the file's address is not at the host that Meta documents"));
        }
        let value = authorization("Bearer ", token);
        let call = self.http.get(url).header(AUTHORIZATION, value).timeout(DOWNLOAD_TIMEOUT);
        let mut response = call.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Download::Gone),
            status => return Err(unclear(format!("a file's address answered {}", status.as_u16()))),
        }
        let announced = usize::try_from(response.content_length().unwrap_or_default()).unwrap_or(usize::MAX);
        if announced > largest {
            return Ok(Download::TooLarge);
        }
        // Once, and not in growing steps, of which each is copied.
        let mut bytes = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|e| unclear(e.without_url()))? {
            if bytes.len() + chunk.len() > largest {
                return Ok(Download::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Download::Complete(bytes))
    }

    async fn upload_media(
        &self,
        phone: &PhoneNumberId,
        file: SampleFile<'_>,
        token: &AccessToken,
    ) -> Result<MediaId, GraphError> {
        let form = Form::new(&file);
        let mut call = self.post(&[phone.as_ref(), "media"]).token(token);
        call.request =
            call.request.header(CONTENT_TYPE, form.content_type).body(form.body).timeout(UPLOAD_TIMEOUT);
        let uploaded: wire::Ref = call.send().await?;
        uploaded.id.ok_or_else(|| missing("id of the file"))?.parse().map_err(unclear)
    }
}

impl Graph {
    /// Whether an address may be asked with a token: Meta's documented host, over TLS; or, where a simulator stands
    /// in for Meta, that simulator.
    pub(super) fn may_have_token(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_metas = host == FILES_HOST || host.ends_with(&format!(".{FILES_HOST}"));
        let is_default = url.port_or_known_default() == Some(443);
        (url.scheme() == "https" && is_metas && is_default) || url.origin() == self.base.origin()
    }
}

/// A form with a file, as browsers send it (RFC 7578).
struct Form {
    content_type: String,
    body: Vec<u8>,
}

impl Form {
    fn new(file: &SampleFile<'_>) -> Self {
        let boundary = boundary(file.bytes);
        let field = |name: &str, value: &str| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let head = format!(
            "{}{}--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            field("messaging_product", "whatsapp"),
            field("type", file.mime_type),
            file.name,
            file.mime_type,
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut body = Vec::with_capacity(head.len() + file.bytes.len() + tail.len());
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file.bytes);
        body.extend_from_slice(tail.as_bytes());
        Self { content_type: format!("multipart/form-data; boundary={boundary}"), body }
    }
}

/// A line that is not in the file: nobody can write a file that holds its own hash.
fn boundary(bytes: &[u8]) -> String {
    let mut hash = crate::domain::raw::sha256(bytes);
    hash.truncate(40);
    format!("switchboard-{hash}")
}
