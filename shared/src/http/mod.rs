//! HTTP events in, responses out.

mod caller;
mod idempotency;
mod lists;
pub mod meta;
mod parameters;
mod problem;

use std::convert::Infallible;

use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use serde::Serialize;

use crate::queue::scheduled_job;
use crate::telemetry::unit::{self, End};

pub use lambda_http::Response;
pub use lambda_http::http::StatusCode;

pub use caller::Caller;
pub use idempotency::{GATEWAY_CLAIM, RequestKey, once};
pub use lists::{MOST_NUMBERS, Position, merge, numbers, numbers_of};
pub use parameters::{Limit, Members, Name, header, path_parameter, query_parameter};
pub use problem::{ApiError, MetaRefusal, PROBLEM, Problem};

/// Answers a request, and writes its line. An error becomes an answer, never an error of the function's, so that no error
/// text leaves it.
///
/// # Errors
/// Never; the type is the runtime's.
pub async fn serve(
    request: &Request,
    handle: impl Future<Output = Result<Response<Body>, ApiError>>,
) -> Result<Response<Body>, Infallible> {
    let handle = async {
        if let Some(parameters) = request.path_parameters_ref() {
            // Whose bot it is shows only when the caller has been checked; a number is Meta's public id.
            parameters.first("phoneNumberId").and_then(|id| id.parse().ok()).iter().for_each(unit::client);
        }
        handle.await
    };
    let result = unit::run("request", None, handle, |result| Some(line_of(request, result))).await;
    Ok(result.unwrap_or_else(ApiError::into_response))
}

/// As [`serve`], for what comes so often that a line costs as much as the request: only failures are written.
///
/// # Errors
/// Never.
pub async fn serve_quietly(
    request: &Request,
    handle: impl Future<Output = Result<Response<Body>, ApiError>>,
) -> Result<Response<Body>, Infallible> {
    let end = |result: &Result<_, _>| result.is_err().then(|| line_of(request, result));
    Ok(unit::run("request", None, handle, end).await.unwrap_or_else(ApiError::into_response))
}

/// The job of a schedule that came as a request: its event comes through as the body, without API Gateway's context,
/// which no caller can leave out.
#[must_use]
pub fn scheduled(request: &Request) -> Option<String> {
    if matches!(request.request_context_ref(), Some(RequestContext::ApiGatewayV2(_))) {
        return None;
    }
    scheduled_job(&serde_json::from_slice(request.body()).ok()?)
}

fn line_of(request: &Request, result: &Result<Response<Body>, ApiError>) -> End {
    let mut end = match result {
        Ok(answer) if answer.status().is_success() => End::well(),
        // Said by whoever made the answer, unless it is a kept one that is given again.
        Ok(_) => End { otherwise: "refused_again", ..End::well() },
        Err(error) => error.line(),
    };
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let status = result.as_ref().map_or_else(ApiError::status, Response::status);
            end.fields.push(("status", status.as_u16().into()));
            end.fields.extend(context.route_key.as_ref().map(|route| ("route", route.as_str().into())));
            end.fields.extend(context.request_id.as_ref().map(|id| ("apiRequestId", id.as_str().into())));
        }
        _ => {
            end.fields.push(("unit", "job".into()));
            end.fields.extend(scheduled(request).map(|job| ("job", job.into())));
        }
    }
    end
}

/// A JSON answer.
///
/// # Panics
/// Never: our answers have text keys.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string(body).expect("our answers have text keys");
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().expect("a valid header"));
    headers.insert("cache-control", "no-store".parse().expect("a valid header"));
    response
}

/// An answer of JSON lines (jsonlines.org): `lines` are values of JSON, each ended by a line feed.
///
/// # Panics
/// Never.
#[must_use]
pub fn json_lines(lines: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(lines));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/jsonl; charset=utf-8".parse().expect("a valid header"));
    headers.insert("cache-control", "no-store".parse().expect("a valid header"));
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use lambda_http::Request;
    use lambda_http::request::from_str;
    use serde_json::{Value, json};

    /// A request through API Gateway whose token has these claims.
    pub(crate) fn request(claims: &Value, body: &str) -> Request {
        let event = json!({
            "version": "2.0", "routeKey": "POST /x", "rawPath": "/x", "rawQueryString": "limit=7&empty=",
            "headers": {"content-type": "application/json"}, "isBase64Encoded": false, "body": body,
            "requestContext": {"http": {"method": "POST", "path": "/x", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
                               "stage": "$default", "timeEpoch": 0, "authorizer": {"jwt": {"claims": claims, "scopes": null}}}
        });
        from_str(&event.to_string()).unwrap()
    }
}
