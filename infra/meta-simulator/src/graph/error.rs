//! Meta's error envelope and the errors that the simulator gives.

use serde_json::{Map, Value, json};

use crate::random;

/// An error as the Graph API answers it.
#[derive(Clone)]
pub(crate) struct GraphError {
    /// HTTP status. Meta says not to build on it; the values are those of its error table.
    pub(crate) status: u16,
    kind: &'static str,
    code: i64,
    subcode: Option<i64>,
    message: String,
    /// `error_data.details`: what exactly is wrong.
    details: Option<String>,
    transient: Option<bool>,
}

impl GraphError {
    /// An error without details.
    pub(crate) fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, kind: "OAuthException", code, subcode: None, message, details: None, transient: None }
    }

    pub(crate) fn subcode(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(crate) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    pub(crate) fn transient(mut self, transient: bool) -> Self {
        self.transient = Some(transient);
        self
    }

    fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// A parameter is missing or wrong, in general Graph words.
    pub(crate) fn parameter(message: impl std::fmt::Display) -> Self {
        Self::new(400, 100, format!("(#100) {message}"))
    }

    /// A parameter of a messaging call is not as it must be; `details` names the member.
    pub(crate) fn invalid_parameter(details: impl Into<String>) -> Self {
        Self::new(400, 100, "(#100) Invalid parameter").details(details)
    }

    /// Code 131008.
    pub(crate) fn missing(details: impl Into<String>) -> Self {
        Self::new(400, 131_008, "(#131008) Required parameter is missing").details(details)
    }

    /// Code 131009.
    pub(crate) fn invalid_value(details: impl Into<String>) -> Self {
        Self::new(400, 131_009, "(#131009) Parameter value is not valid").details(details)
    }

    /// Code 200.
    pub(crate) fn permission(message: impl std::fmt::Display) -> Self {
        Self::new(403, 200, format!("(#200) {message}"))
    }

    /// Code 190.
    pub(crate) fn token(subcode: i64, message: &str) -> Self {
        Self::new(401, 190, message).subcode(subcode)
    }

    /// The object is unknown, or the token may not see it: Meta answers both alike.
    pub(crate) fn unsupported(method: &str, id: &str) -> Self {
        let method = method.to_lowercase();
        Self::new(
            400,
            100,
            format!(
                "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded due to \
                 missing permissions, or does not support this operation. Please read the Graph API \
                 documentation at https://developers.facebook.com/docs/graph-api"
            ),
        )
        .subcode(33)
        .kind("GraphMethodException")
    }

    /// Whether this is the answer for an object that the token cannot see.
    pub(crate) fn is_unseen(&self) -> bool {
        self.code == 100 && self.subcode == Some(33)
    }

    /// Code 2500.
    pub(crate) fn unknown_path(path: &str) -> Self {
        Self::new(400, 2500, format!("Unknown path components: /{}", path.trim_start_matches('/')))
    }

    /// A wrong `appsecret_proof`.
    pub(crate) fn wrong_proof() -> Self {
        Self::new(400, 100, "Invalid appsecret_proof provided in the API argument")
            .kind("GraphMethodException")
    }

    /// The number is not registered.
    pub(crate) fn not_registered() -> Self {
        Self::new(400, 133_010, "(#133010) Account not registered").details(
            "Account does not exist in Cloud API, please use the /register API to create an account first.",
        )
    }

    /// The message alone.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The whole answer.
    pub(crate) fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("message".into(), json!(self.message));
        error.insert("type".into(), json!(self.kind));
        error.insert("code".into(), json!(self.code));
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".into(), json!(subcode));
        }
        if let Some(transient) = self.transient {
            error.insert("is_transient".into(), json!(transient));
        }
        if let Some(details) = &self.details {
            error.insert("error_data".into(), json!({"messaging_product": "whatsapp", "details": details}));
        }
        error.insert("fbtrace_id".into(), json!(random::trace_id()));
        json!({ "error": error })
    }
}
