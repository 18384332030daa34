//! Files in S3: a few calls, signed by AWS's own signer and sent by the client that is there anyway. The SDK's S3
//! client would be the largest part of every function that uses it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use url::Url;

use super::aws::{Aws, roots};
use super::web;
use crate::domain::Timestamp;
use crate::error::{ConfigError, StoreError};
use crate::ports::{EraseFiles, LinkFiles, NewFile, PutFiles, ReadFiles};

const PUT: &str = "s3 PutObject";
const GET: &str = "s3 GetObject";
const DELETE: &str = "s3 DeleteObject";
const LINK: &str = "s3 link";
/// For a file of 100 MB; S3 of the same region takes it in a second or two.
const TIMEOUT: Duration = Duration::from_secs(20);
/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// How much of an error's body is read for the log.
const LONGEST_ERROR: usize = 2000;

/// The bucket of files.
#[derive(Debug, Clone)]
pub struct Files {
    http: Client,
    /// The bucket's address, with a slash at the end.
    base: Url,
    region: String,
    credentials: Credentials,
}

/// A signed request: its address and the headers to send.
struct Signed {
    url: Url,
    headers: Vec<(String, String)>,
}

impl Files {
    /// The bucket of this name.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a name that no bucket has.
    pub fn new(aws: &Aws, bucket: &str) -> Result<Self, ConfigError> {
        let invalid = |e: &dyn std::fmt::Display| ConfigError::Invalid("MEDIA_BUCKET", e.to_string());
        let (region, credentials) = (aws.region().to_owned(), aws.credentials().clone());
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let base = match aws.endpoint() {
            Some(endpoint) => format!("{}/{bucket}/", endpoint.as_str().trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}/"),
        };
        let base = base.parse().map_err(|e| invalid(&e))?;
        let http = web::client(roots(), TIMEOUT).map_err(|e| invalid(&e))?;
        Ok(Self { http, base, region, credentials })
    }

    fn url(&self, key: &str) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("the bucket's address has a path")
            .pop_if_empty()
            .extend(key.split('/'));
        url
    }

    fn sign(
        &self,
        operation: &'static str,
        method: &Method,
        key: &str,
        at: SystemTime,
        how: Signing<'_>,
    ) -> Result<Signed, StoreError> {
        let failed = |e: &dyn std::error::Error| StoreError::service(operation, e.to_string());
        let mut settings = SigningSettings::default();
        // As S3 wants it, other than all other services (AWS, S3 API reference, authenticating requests, 2026).
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let (headers, body) = match how {
            Signing::Headers { headers, sha256 } => {
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
                (headers, SignableBody::Precomputed(sha256.to_owned()))
            }
            Signing::Link(lifetime) => {
                settings.signature_location = SignatureLocation::QueryParams;
                settings.expires_in = Some(lifetime);
                (&[][..], SignableBody::UnsignedPayload)
            }
        };
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(at)
            .settings(settings)
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let mut url = self.url(key);
        let given = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request =
            SignableRequest::new(method.as_str(), url.as_str(), given, body).map_err(|e| failed(&e))?;
        let (instructions, _) = sign(request, &params).map_err(|e| failed(&e))?.into_parts();
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (made, query) = instructions.into_parts();
        all.extend(made.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
        for (name, value) in &query {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(Signed { url, headers: all })
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        key: &str,
        headers: &[(&'static str, String)],
        content: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, StoreError> {
        let sha256 = content.as_ref().map_or(EMPTY, |(sha256, _)| sha256);
        let now = Timestamp::now().into();
        let signed = self.sign(operation, &method, key, now, Signing::Headers { headers, sha256 })?;
        let mut request = self.http.request(method, signed.url);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        if let Some((_, bytes)) = content {
            request = request.body(bytes);
        }
        request.send().await.map_err(|e| StoreError::service(operation, e.without_url()))
    }
}

/// What is signed, and where the signature goes.
enum Signing<'s> {
    /// These headers and the body of this hash, in a header.
    Headers { headers: &'s [(&'static str, String)], sha256: &'s str },
    /// Nothing more than the address, in the address, for so long.
    Link(Duration),
}

/// An answer that is not as wanted, in words. S3's body names the reason and no content of ours.
async fn refusal(operation: &'static str, response: Response) -> StoreError {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap_or_default();
    let code = body.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    let code: String = code.unwrap_or("no code").chars().take(LONGEST_ERROR).collect();
    StoreError::service(operation, format!("S3 answered {status}: {code}"))
}

impl PutFiles for Files {
    async fn put_file(&self, file: NewFile<'_>) -> Result<(), StoreError> {
        let headers = [
            (CONTENT_TYPE.as_str(), file.content_type.to_owned()),
            (CONTENT_DISPOSITION.as_str(), attachment(file.name)),
            ("cache-control", "private, no-store".to_owned()),
        ];
        let content = Some((file.sha256, file.bytes));
        let response = self.call(PUT, Method::PUT, file.key, &headers, content).await?;
        if response.status().is_success() { Ok(()) } else { Err(refusal(PUT, response).await) }
    }
}

impl ReadFiles for Files {
    async fn read_file(&self, key: &str, largest: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let mut response = self.call(GET, Method::GET, key, &[], None).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(refusal(GET, response).await),
        }
        let announced = usize::try_from(response.content_length().unwrap_or_default()).unwrap_or(usize::MAX);
        if announced > largest {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(announced);
        let broken = |e: reqwest::Error| StoreError::service(GET, e.without_url());
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > largest {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }
}

impl LinkFiles for Files {
    fn file_link(&self, key: &str, now: Timestamp, lifetime: Duration) -> Result<String, StoreError> {
        let signed = self.sign(LINK, &Method::GET, key, now.into(), Signing::Link(lifetime))?;
        Ok(signed.url.into())
    }
}

impl EraseFiles for Files {
    async fn erase_file(&self, key: &str) -> Result<(), StoreError> {
        let response = self.call(DELETE, Method::DELETE, key, &[], None).await?;
        let is_gone = response.status().is_success() || response.status() == StatusCode::NOT_FOUND;
        if is_gone { Ok(()) } else { Err(refusal(DELETE, response).await) }
    }
}

/// Saved and never shown, under its sender's name for it, which may hold anything (RFC 6266, RFC 8187).
fn attachment(name: Option<&str>) -> String {
    let Some(name) = name else { return "attachment".to_owned() };
    let name: String = name.chars().filter(|c| !c.is_control() && !"/\\".contains(*c)).take(120).collect();
    let escaped: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    // Forms write a space as a plus, headers do not.
    format!("attachment; filename*=UTF-8''{}", escaped.replace('+', "%20"))
}
