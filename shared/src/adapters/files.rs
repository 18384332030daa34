//! Files in S3: a few calls, signed by AWS's own signer and sent by the client that is there anyway. The SDK's S3
//! client would be the largest part of every function that uses it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Method, Response, StatusCode};
use url::Url;

use super::aws::{Aws, roots};
use super::web;
use crate::domain::Timestamp;
use crate::error::{ConfigError, StoreError};
use crate::ports::{EraseFiles, LinkFiles, LinkUploads, NewFile, PutFiles, ReadFiles};

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
            Signing::Link { headers, lifetime } => {
                settings.signature_location = SignatureLocation::QueryParams;
                settings.expires_in = Some(lifetime);
                (headers, SignableBody::UnsignedPayload)
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
    /// The address and these headers, in the address, for so long.
    Link { headers: &'s [(&'static str, String)], lifetime: Duration },
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
        let hash = hex::decode(file.sha256).map_err(|e| StoreError::service(PUT, e))?;
        let headers = [
            (CONTENT_TYPE.as_str(), file.content_type.to_owned()),
            // Checked, and kept with the object.
            ("x-amz-checksum-sha256", STANDARD.encode(hash)),
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
        let how = Signing::Link { headers: &[], lifetime };
        let signed = self.sign(LINK, &Method::GET, key, now.into(), how)?;
        Ok(signed.url.into())
    }
}

impl LinkUploads for Files {
    fn upload_link(
        &self,
        key: &str,
        content_type: &str,
        size: usize,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, StoreError> {
        let headers =
            [(CONTENT_LENGTH.as_str(), size.to_string()), (CONTENT_TYPE.as_str(), content_type.to_owned())];
        let how = Signing::Link { headers: &headers, lifetime };
        let signed = self.sign(LINK, &Method::PUT, key, now.into(), how)?;
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

#[cfg(test)]
mod tests {
    use super::super::aws::tests::at;
    use super::super::scripted::{Act, Scripted};
    use super::*;
    use crate::domain::raw::sha256;

    fn files(server: &Scripted) -> Files {
        Files::new(&at(&server.url), "bucket").unwrap()
    }

    fn file(bytes: &[u8]) -> NewFile<'static> {
        let sha256 = String::leak(sha256(bytes));
        NewFile { key: "117/bot/88", content_type: "image/png", name: None, sha256, bytes: bytes.to_vec() }
    }

    #[tokio::test]
    async fn a_file_is_put_signed_with_its_hash_and_as_an_attachment() {
        let server = Scripted::start(|_| Act::Answer(200, "text/xml", String::new()));
        files(&server).put_file(file(b"picture")).await.unwrap();
        let request = server.requests().remove(0);
        assert_eq!((request.method.as_str(), request.target.path()), ("PUT", "/bucket/117/bot/88"));
        assert_eq!(request.body, b"picture");
        let header = |name: &str| request.header(name).unwrap().to_owned();
        assert_eq!(header("x-amz-content-sha256"), sha256(b"picture"));
        assert_eq!(
            (header("content-type"), header("content-disposition")),
            ("image/png".to_owned(), "attachment".to_owned())
        );
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "{authorization}");
        for signed in ["content-disposition", "content-type", "host", "x-amz-content-sha256", "x-amz-date"] {
            assert!(authorization.contains(signed), "{signed} is not signed");
        }
    }

    /// The example of AWS's own documentation (S3 API reference, "Authenticating requests: using query parameters",
    /// read 2026-11): its published example keys, which open nothing.
    #[test]
    fn a_link_is_signed_as_in_awss_own_example() {
        let key = ["wJalrXUtnFEMI", "K7MDENG", "bPxRfiCYEXAMPLEKEY"].join("/");
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", key, None, None, "example");
        let aws = Aws::new("us-east-1".to_owned(), credentials, None);
        let mut files = Files::new(&aws, "examplebucket").unwrap();
        assert_eq!(files.base.as_str(), "https://examplebucket.s3.us-east-1.amazonaws.com/");
        files.base = "https://examplebucket.s3.amazonaws.com/".parse().unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let link = files.file_link("test.txt", now, Duration::from_secs(86400)).unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(link.contains(&format!("X-Amz-Signature={signature}")), "{link}");
        assert!(
            link.contains("X-Amz-Expires=86400")
                && link.starts_with("https://examplebucket.s3.amazonaws.com/test.txt?")
        );
    }

    #[test]
    fn a_temporary_credential_is_part_of_the_link() {
        let credentials = Credentials::new("id", "secret", Some("ses+sion/=".to_owned()), None, "test");
        let aws = Aws::new("cn-north-1".to_owned(), credentials, None);
        let files = Files::new(&aws, "bucket").unwrap();
        let link = files.file_link("a/b", Timestamp::UNIX_EPOCH, Duration::from_secs(300)).unwrap();
        assert!(link.starts_with("https://bucket.s3.cn-north-1.amazonaws.com.cn/a/b?"), "{link}");
        assert!(link.contains("X-Amz-Security-Token=ses%2Bsion%2F%3D"), "{link}");
    }

    #[tokio::test]
    async fn what_is_missing_or_too_large_is_nothing_and_a_refusal_is_an_error() {
        let server = Scripted::start(|request| match (request.method.as_str(), request.target.path()) {
            ("GET", "/bucket/here") => Act::Answer(200, "text/plain", "0123456789".to_owned()),
            (_, "/bucket/here") => Act::Answer(204, "text/plain", String::new()),
            (_, "/bucket/gone") => Act::Answer(404, "text/xml", "<Code>NoSuchKey</Code>".to_owned()),
            ("GET", "/bucket/broken") => Act::BreakOff,
            _ => Act::Answer(403, "text/xml", "<Error><Code>AccessDenied</Code></Error>".to_owned()),
        });
        let files = files(&server);
        assert_eq!(files.read_file("here", 10).await.unwrap().as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(files.read_file("here", 9).await.unwrap(), None);
        assert_eq!(files.read_file("gone", 10).await.unwrap(), None);
        files.erase_file("here").await.unwrap();
        files.erase_file("gone").await.unwrap();
        assert!(files.read_file("broken", 1000).await.is_err());
        for refused in [
            files.read_file("else", 10).await.map(drop),
            files.erase_file("else").await,
            files.put_file(file(b"x")).await,
        ] {
            let error = refused.unwrap_err();
            assert!(crate::error::Chain(&error).to_string().contains("403: AccessDenied"), "{error:?}");
        }
    }

    #[test]
    fn a_name_stays_one_name_whatever_it_holds() {
        let named = |name| attachment(Some(name));
        assert_eq!(named("menu 1+1.pdf"), "attachment; filename*=UTF-8''menu%201%2B1.pdf");
        assert_eq!(
            named("a\"\r\nset-cookie: é/../x"),
            "attachment; filename*=UTF-8''a%22set-cookie%3A%20%C3%A9..x"
        );
        assert_eq!(attachment(None), "attachment");
    }
}
