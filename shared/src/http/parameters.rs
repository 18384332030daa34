//! What a request says: members of its body, parameters of its path and query, headers.

use lambda_http::{Request, RequestExt};
use serde_json::{Map, Value};

use super::ApiError;

/// Bodies of our JSON routes are small; the largest message object that Meta takes is far below this.
pub(super) const LARGEST_BODY: usize = 256 * 1024;

/// The members of a JSON body.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Reads the body.
    ///
    /// # Errors
    /// 413 `body_too_large`, 400 `not_json`, 400 `not_an_object`.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        Self::of_at_most(LARGEST_BODY, request)
    }

    /// Reads a body of at most so many bytes, for routes that take files. AWS Lambda takes events of 6 MB.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_at_most(largest: usize, request: &Request) -> Result<Self, ApiError> {
        let body: &[u8] = request.body();
        if body.len() > largest {
            return Err(ApiError::too_large(largest));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(ApiError::bad_request(
                "not_an_object",
                "The body is JSON, but not an object.",
                "Send a JSON object.",
            )),
            Err(_) => Err(ApiError::bad_request(
                "not_json",
                "The body is not JSON.",
                "Send a JSON object with content-type application/json.",
            )),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A member that must be there. Its value is never repeated in the answer: it may be a secret.
    ///
    /// # Errors
    /// 400 `missing_member` or `invalid_member`.
    pub fn required<T: TryFrom<String>>(&self, name: &str) -> Result<T, ApiError> {
        self.optional(name)?.ok_or_else(|| {
            ApiError::bad_request("missing_member", format!("{name} is missing."), format!("Send {name}."))
                .with_member("member", name)
        })
    }

    /// A member that may be missing or null.
    ///
    /// # Errors
    /// 400 `invalid_member`.
    pub fn optional<T: TryFrom<String>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let value = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            // Meta's ids come as numbers here and there, and are passed on so.
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(invalid_member(name)),
        };
        T::try_from(value).map(Some).map_err(|_| invalid_member(name))
    }

    /// `true` or `false`; `false` if it is missing or null.
    ///
    /// # Errors
    /// 400 `invalid_member`.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(invalid_member(name)),
        }
    }
}

fn invalid_member(name: &str) -> ApiError {
    ApiError::bad_request(
        "invalid_member",
        format!("{name} is not of its form."),
        format!("Send {name} as the API description says."),
    )
    .with_member("member", name)
}

/// A text of a caller's: not empty, bounded, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(transparent, extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]{0,100}[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]{0,99}$"))
)]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let fits =
            !value.trim().is_empty() && value.chars().count() <= 200 && !value.contains(char::is_control);
        if fits { Ok(Self(value)) } else { Err(()) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

/// A path parameter. What is not of its form is unknown.
///
/// # Errors
/// 404 with `code`.
pub fn path_parameter<T: TryFrom<String>>(
    request: &Request,
    name: &str,
    code: &'static str,
) -> Result<T, ApiError> {
    let value =
        request.path_parameters_ref().and_then(|parameters| parameters.first(name)).unwrap_or_default();
    T::try_from(value.to_owned()).map_err(|_| ApiError::not_found(code))
}

/// A query parameter; empty counts as missing.
///
/// # Errors
/// 400 `invalid_parameter`.
pub fn query_parameter<T: TryFrom<String>>(request: &Request, name: &str) -> Result<Option<T>, ApiError> {
    let query = request.query_string_parameters_ref();
    match query.and_then(|query| query.first(name)).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => T::try_from(value.to_owned()).map(Some).map_err(|_| {
            ApiError::bad_request(
                "invalid_parameter",
                format!("The query parameter {name} is not of its form."),
                format!("Send {name} as the API description says, or leave it out."),
            )
            .with_member("parameter", name)
        }),
    }
}

/// How many items a page of a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(inline, extend("minimum" = 1, "maximum" = 100, "default" = 50))
)]
pub struct Limit(usize);

impl Limit {
    /// The query's `limit`: 1 to 100, by default 50.
    ///
    /// # Errors
    /// 400 `invalid_parameter`.
    pub fn of(request: &Request) -> Result<usize, ApiError> {
        Ok(query_parameter::<Self>(request, "limit")?.map_or(50, |limit| limit.0))
    }
}

impl TryFrom<String> for Limit {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        value.parse().ok().filter(|limit| (1..=100).contains(limit)).map(Self).ok_or(())
    }
}

/// A header as text.
#[must_use]
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::request;
    use super::*;
    use crate::domain::ids::BotId;

    #[test]
    fn bad_bodies_are_named_and_never_repeated() {
        let code = |body: &str| Members::of(&request(&json!({}), body)).unwrap_err().code().to_owned();
        assert_eq!(code("nonsense"), "not_json");
        assert_eq!(code("[1]"), "not_an_object");
        assert_eq!(code(&format!("\"{}\"", "x".repeat(LARGEST_BODY))), "body_too_large");
        let members = Members::of(&request(&json!({}), "{\"botId\":\"top/secret\",\"code\":{}}")).unwrap();
        let error = members.required::<BotId>("botId").unwrap_err();
        assert_eq!(error.code(), "invalid_member");
        assert!(!json!(error.problem()).to_string().contains("secret"));
        assert_eq!(members.required::<BotId>("code").unwrap_err().code(), "invalid_member");
        assert_eq!(members.required::<BotId>("other").unwrap_err().code(), "missing_member");
        assert_eq!(members.flag("code").unwrap_err().code(), "invalid_member");
        assert!(!members.flag("other").unwrap());
    }

    #[test]
    fn a_limit_outside_its_bounds_is_refused() {
        assert_eq!(Limit::of(&request(&json!({}), "")).unwrap(), 7);
        for bad in ["0", "101", "x", "-1", "1.5"] {
            assert!(Limit::try_from(bad.to_owned()).is_err());
        }
        assert_eq!(query_parameter::<BotId>(&request(&json!({}), ""), "empty").unwrap(), None);
    }
}
