//! Between the functions and the emulated AWS: it knows the services' protocol, so it fails calls as AWS
//! does, and loses the answers of calls that were done.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::task::JoinHandle;

use super::plan::{CloudFault, Service};
use super::random::Rng;
use crate::http_client;

/// More than any call of the functions: a batch of SQS messages has 1 MiB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// How often each fault struck.
pub(super) type Counts = BTreeMap<(Service, CloudFault), u64>;

/// The running proxy; ends when dropped.
pub(super) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Shared {
    http: reqwest::Client,
    upstream: OnceLock<String>,
    trouble: Mutex<Trouble>,
}

struct Trouble {
    rng: Rng,
    faults: Vec<(Service, CloudFault, u32)>,
    struck: Counts,
    calls: u64,
}

impl Proxy {
    /// Listens on any free port of this machine. Until [`Self::pass_to`] it refuses all calls.
    pub(super) async fn start(seed: u64) -> Result<Self> {
        let trouble =
            Trouble { rng: Rng::part(seed, 2), faults: Vec::new(), struck: Counts::new(), calls: 0 };
        let shared = Arc::new(Shared {
            http: http_client::client()?,
            upstream: OnceLock::new(),
            trouble: Mutex::new(trouble),
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("the fault proxy has no port")?;
        let address = listener.local_addr().context("the fault proxy has no address")?;
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let server = tokio::spawn(async move {
            // It ends with the task alone.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, address, server })
    }

    /// The endpoint that the functions get.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where the emulator is. The first word counts.
    pub(super) fn pass_to(&self, endpoint: String) {
        let _ = self.shared.upstream.set(endpoint);
    }

    /// From now on these faults strike, each in so many of a thousand calls of its service.
    pub(super) fn fail(&self, faults: Vec<(Service, CloudFault, u32)>) {
        self.shared.trouble().faults = faults;
    }

    /// Calls that came in, and the faults among them.
    pub(super) fn counts(&self) -> (u64, Counts) {
        let trouble = self.shared.trouble();
        (trouble.calls, trouble.struck.clone())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// What happens to the next call of this service.
    fn draw(&mut self, service: Service) -> Option<CloudFault> {
        self.calls += 1;
        let Self { rng, faults, struck, .. } = self;
        let mut of_service = faults.iter().filter(|(of, ..)| *of == service);
        let (_, fault, _) = of_service.find(|(.., permille)| rng.permille(*permille))?;
        *struck.entry((service, *fault)).or_default() += 1;
        Some(*fault)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let fault = service_of(request.headers()).and_then(|service| {
        let fault = shared.trouble().draw(service)?;
        Some((service, fault))
    });
    match fault {
        None => forward(&shared, request).await,
        Some((_, CloudFault::AnswerLost)) => {
            forward(&shared, request).await;
            no_answer()
        }
        Some((_, CloudFault::Reset)) => no_answer(),
        Some((service, CloudFault::Throttled)) => refusal(StatusCode::BAD_REQUEST, throttling(service)),
        Some((service, CloudFault::ServerError)) => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, server_error(service))
        }
    }
}

/// All four speak AWS's JSON protocol, which names service and operation in a header.
fn service_of(headers: &HeaderMap) -> Option<Service> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    match target.split('.').next()? {
        "DynamoDB_20120810" => Some(Service::DynamoDb),
        "AmazonSQS" => Some(Service::Sqs),
        "TrentService" => Some(Service::Kms),
        "secretsmanager" => Some(Service::Secrets),
        _ => None,
    }
}

/// Names of errors in the services' API references (AWS, read 2026-11-22).
fn throttling(service: Service) -> &'static str {
    match service {
        Service::DynamoDb => "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        Service::Sqs => "com.amazonaws.sqs#RequestThrottled",
        Service::Kms | Service::Secrets => "ThrottlingException",
    }
}

fn server_error(service: Service) -> &'static str {
    match service {
        Service::DynamoDb => "com.amazonaws.dynamodb.v20120810#InternalServerError",
        Service::Sqs => "InternalFailure",
        Service::Kms => "KMSInternalException",
        Service::Secrets => "InternalServiceError",
    }
}

fn refusal(status: StatusCode, name: &'static str) -> Response {
    let body = json!({"__type": name, "message": "A fault that was asked for"}).to_string();
    (status, [("content-type", "application/x-amz-json-1.0"), ("x-amzn-errortype", name)], body)
        .into_response()
}

/// A body that fails before its first byte: the connection closes, and the caller sees no answer at all,
/// because the head was not sent yet.
fn no_answer() -> Response {
    let failed = async { Err::<Bytes, _>(std::io::Error::other("lost on purpose")) };
    Response::new(Body::from_stream(stream::once(failed)))
}

async fn forward(shared: &Shared, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let (Some(upstream), Ok(body)) = (shared.upstream.get(), to_bytes(body, MAX_BODY).await) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    for header in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        parts.headers.remove(header);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let call = shared.http.request(parts.method, format!("{upstream}{path}")).headers(parts.headers);
    let Ok(answer) = call.body(body).send().await else {
        return no_answer();
    };
    let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
    let Ok(body) = answer.bytes().await else {
        return no_answer();
    };
    let kind = kind.unwrap_or(HeaderValue::from_static("application/x-amz-json-1.0"));
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upstream() -> (String, Arc<Mutex<u32>>) {
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let answer = move || async move {
            *counted.lock().unwrap() += 1;
            "{}"
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        (format!("http://{address}"), calls)
    }

    /// One call of DynamoDB through a proxy in which this fault always strikes; how often it was done.
    async fn suffer(fault: CloudFault) -> (reqwest::Result<reqwest::Response>, u32, Counts) {
        let (url, calls) = upstream().await;
        let proxy = Proxy::start(1).await.unwrap();
        proxy.pass_to(url);
        proxy.fail(vec![(Service::DynamoDb, fault, 1000)]);
        let call = http_client::client().unwrap().post(proxy.endpoint());
        let answer = call.header("x-amz-target", "DynamoDB_20120810.PutItem").body("{}").send().await;
        let done = *calls.lock().unwrap();
        (answer, done, proxy.counts().1)
    }

    #[tokio::test]
    async fn a_throttled_call_is_refused_by_name_and_not_done() {
        let (answer, done, struck) = suffer(CloudFault::Throttled).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), done), (400, 0));
        assert!(answer.text().await.unwrap().contains("ProvisionedThroughputExceededException"));
        assert_eq!(struck[&(Service::DynamoDb, CloudFault::Throttled)], 1);
    }

    #[tokio::test]
    async fn a_reset_call_is_not_done_and_one_with_a_lost_answer_is() {
        let (answer, done, _) = suffer(CloudFault::Reset).await;
        assert!(answer.is_err());
        assert_eq!(done, 0);
        let (answer, done, _) = suffer(CloudFault::AnswerLost).await;
        assert!(answer.is_err());
        assert_eq!(done, 1);
    }

    #[tokio::test]
    async fn other_services_and_calm_times_pass() {
        let (url, calls) = upstream().await;
        let proxy = Proxy::start(1).await.unwrap();
        proxy.pass_to(url);
        proxy.fail(vec![(Service::DynamoDb, CloudFault::Reset, 1000)]);
        let http = http_client::client().unwrap();
        let call = |target| http.post(proxy.endpoint()).header("x-amz-target", target).body("{}").send();
        assert_eq!(call("AmazonSQS.SendMessageBatch").await.unwrap().status(), 200);
        proxy.fail(Vec::new());
        assert_eq!(call("DynamoDB_20120810.GetItem").await.unwrap().status(), 200);
        assert_eq!(*calls.lock().unwrap(), 2);
    }
}
