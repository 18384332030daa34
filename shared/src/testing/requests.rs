//! Requests as API Gateway hands them over: the sample events of `events/`, changed as a test needs.

use lambda_http::{Body, Request};
use serde_json::{Map, Value, json};

use crate::http::{ApiError, Response};

/// A sample event on its way to become a request.
#[derive(Debug, Clone)]
pub struct Sample(Value);

impl Sample {
    /// The event in this file's text.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn of(event: &str) -> Self {
        Self(serde_json::from_str(event).expect("a sample event is JSON"))
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    /// With this text as body.
    #[must_use]
    pub fn text(mut self, body: &str) -> Self {
        self.0["body"] = body.into();
        self
    }

    /// With these claims in the caller's token.
    #[must_use]
    pub fn claims(mut self, claims: Value) -> Self {
        self.0["requestContext"]["authorizer"]["jwt"]["claims"] = claims;
        self
    }

    /// With the signup page's token for these bots (`[a b]`).
    #[must_use]
    pub fn page(self, bots: &str) -> Self {
        self.claims(json!({"sub": "page", "bots": bots, "scope": "onboard"}))
    }

    /// Without a caller.
    #[must_use]
    pub fn nobody(mut self) -> Self {
        self.0["requestContext"]["authorizer"] = Value::Null;
        self
    }

    /// With this query.
    #[must_use]
    pub fn query(mut self, parameters: &[(&str, &str)]) -> Self {
        let raw: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.0["rawQueryString"] = raw.join("&").into();
        let decoded: Map<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.0["queryStringParameters"] = Value::Object(decoded);
        self
    }

    /// With this path parameter.
    #[must_use]
    pub fn path(mut self, name: &str, value: &str) -> Self {
        self.0["pathParameters"] = json!({ name: value });
        self
    }

    /// To this route, as `PUT /items/{id}`, with these path parameters in it.
    ///
    /// # Panics
    /// If the route has no method.
    #[must_use]
    pub fn route(mut self, route: &str, parameters: &[(&str, &str)]) -> Self {
        let (method, pattern) = route.split_once(' ').expect("a route is a method and a path");
        let path = parameters.iter().fold(pattern.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), &escaped(value))
        });
        let decoded: Map<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.0["routeKey"] = route.into();
        self.0["rawPath"] = path.as_str().into();
        self.0["pathParameters"] = Value::Object(decoded);
        self.0["requestContext"]["http"]["method"] = method.into();
        self.0["requestContext"]["http"]["path"] = path.into();
        self.0["requestContext"]["routeKey"] = route.into();
        self
    }

    /// With this header; `None` = without it.
    #[must_use]
    pub fn header(mut self, name: &str, value: Option<&str>) -> Self {
        self.0["headers"][name] = value.into();
        if let (None, Some(headers)) = (value, self.0["headers"].as_object_mut()) {
            headers.remove(name);
        }
        self
    }

    /// The request that a handler gets.
    ///
    /// # Panics
    /// If the event is not one of API Gateway's.
    #[must_use]
    pub fn request(&self) -> Request {
        lambda_http::request::from_str(&self.0.to_string()).expect("a sample event is a request")
    }
}

/// A value as a browser writes it into a query.
fn escaped(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}

/// Status and JSON body of what leaves the function; null without a body.
///
/// # Panics
/// Never: a function always answers.
pub fn answered(result: Result<Response<Body>, ApiError>) -> (u16, Value) {
    let response = result.unwrap_or_else(ApiError::into_response);
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

/// Status and code of a refusal; the code is empty for a good answer.
pub fn refused(result: Result<Response<Body>, ApiError>) -> (u16, String) {
    let (status, body) = answered(result);
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}
