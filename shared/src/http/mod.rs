//! HTTP events in, responses out.

mod caller;
mod idempotency;
mod lists;
pub mod meta;
mod parameters;
mod problem;

use lambda_http::Body;
use serde::Serialize;

pub use lambda_http::Response;
pub use lambda_http::http::StatusCode;

pub use caller::Caller;
pub use idempotency::{GATEWAY_CLAIM, RequestKey, once};
pub use lists::{MOST_NUMBERS, Position, merge, numbers, numbers_of};
pub use parameters::{Limit, Members, Name, header, path_parameter, query_parameter};
pub use problem::{ApiError, MetaRefusal, PROBLEM, Problem};

/// What a function gives back to the runtime: never an error, so that no error text leaves the function.
///
/// # Errors
/// Never; the type is the runtime's.
pub fn respond(result: Result<Response<Body>, ApiError>) -> Result<Response<Body>, std::convert::Infallible> {
    Ok(result.unwrap_or_else(|error| {
        error.log();
        error.into_response()
    }))
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
