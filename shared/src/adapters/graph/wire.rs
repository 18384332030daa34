//! What Meta's answers look like. Ids and codes come as text or as numbers, and members come and go, so
//! everything is read leniently; what is needed is asked for by who needs it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::unclear;
use crate::domain::meta_error::MetaError;
use crate::error::GraphError;

/// Meta's code for "unknown", for an error without a code.
const UNKNOWN: i64 = 1;
/// Characters of an error's text that are kept.
const LONGEST_DETAILS: usize = 500;
/// How every token of Meta's begins.
const TOKEN_PREFIX: &str = "EAA";

/// An answer that is neither what was asked for nor an error of Meta's. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
#[error("status {status}, {bytes} bytes, {what}")]
struct Unusable {
    status: u16,
    bytes: usize,
    what: &'static str,
}

/// Looks for an error in an answer. Meta says not to build on the status, so an error envelope counts whatever it is.
pub(super) fn refuse(body: &[u8], status: u16, secrets: &[&str]) -> Result<(), GraphError> {
    match serde_json::from_slice(body) {
        Ok(Envelope { error }) => Err(error.into_meta_error(status, secrets).into()),
        Err(_) => Ok(()),
    }
}

/// Reads an answer that is no error.
pub(super) fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, GraphError> {
    let unusable = |what| unclear(Unusable { status, bytes: body.len(), what });
    if !(200..300).contains(&status) {
        return Err(unusable("not an error of Meta's"));
    }
    // Serde's own words can repeat what is in the answer.
    serde_json::from_slice(body).map_err(|_| unusable("not of the form that Meta documents"))
}

/// An error for an answer without something that it must have.
pub(super) fn missing(what: &'static str) -> GraphError {
    unclear(format!("the answer has no usable {what}"))
}

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default, deserialize_with = "text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "int")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "int")]
    error_subcode: Option<i64>,
    #[serde(default, deserialize_with = "flag")]
    is_transient: bool,
    #[serde(default, deserialize_with = "text")]
    error_user_msg: Option<String>,
    #[serde(default)]
    error_data: Value,
    #[serde(default, deserialize_with = "text")]
    fbtrace_id: Option<String>,
}

impl Problem {
    fn into_meta_error(self, status: u16, secrets: &[&str]) -> MetaError {
        let details = match &self.error_data {
            Value::String(text) => Some(text.clone()),
            data => data["details"].as_str().map(str::to_owned),
        };
        let details = details.filter(|text| !text.is_empty()).or(self.error_user_msg).or(self.message);
        MetaError {
            status,
            code: self.code.unwrap_or(UNKNOWN),
            subcode: self.error_subcode,
            details: without_secrets(&details.unwrap_or_default(), secrets),
            fbtrace_id: self.fbtrace_id,
            is_transient: self.is_transient,
        }
    }
}

/// Meta's text without what nobody may see: Meta repeats a malformed token in its message.
fn without_secrets(text: &str, secrets: &[&str]) -> String {
    const STRUCK: &str = "[…]";
    let known = secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, STRUCK));
    let mut clean = String::with_capacity(known.len());
    let mut rest = known.as_str();
    while let Some(start) = rest.find(TOKEN_PREFIX) {
        clean.push_str(&rest[..start]);
        clean.push_str(STRUCK);
        let token = &rest[start..];
        rest = token.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-|.".contains(c));
    }
    clean.push_str(rest);
    clean.chars().take(LONGEST_DETAILS).collect()
}

/// `{"success": true}`.
#[derive(Deserialize)]
pub(super) struct Success {
    #[serde(default, deserialize_with = "flag")]
    pub(super) success: bool,
}

/// An object of which only the id matters.
#[derive(Deserialize)]
pub(super) struct Ref {
    #[serde(default, deserialize_with = "text")]
    pub(super) id: Option<String>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
    #[serde(default, deserialize_with = "text")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default, deserialize_with = "text")]
    after: Option<String>,
}

impl<T> Page<T> {
    /// Where the next page begins. Meta gives the cursor on the last page too, but there no address of a
    /// next one, which is not used because it repeats the token.
    pub(super) fn next(&self, full: usize) -> Option<String> {
        let paging = self.paging.as_ref()?;
        let more = paging.next.is_some() || self.data.len() >= full;
        paging.cursors.as_ref()?.after.clone().filter(|_| more && !self.data.is_empty())
    }
}

/// Text, or a number as text; anything else counts as absent.
pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(Value::deserialize(d)?))
}

/// The same for a list of texts or numbers.
pub(super) fn texts<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::Array(values) => Some(values.into_iter().filter_map(as_text).collect()),
        _ => None,
    })
}

/// A number, or text that is one; anything else counts as absent.
pub(super) fn int<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(as_text(Value::deserialize(d)?).and_then(|text| text.parse().ok()))
}

/// `true` or `"true"`; anything else counts as `false`.
pub(super) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(d)?;
    Ok(value == Value::Bool(true) || value == "true")
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer<T: DeserializeOwned>(status: u16, body: &[u8], secrets: &[&str]) -> Result<T, GraphError> {
        refuse(body, status, secrets).and_then(|()| read(status, body))
    }

    fn refusal(body: &Value) -> MetaError {
        let error = answer::<Value>(400, body.to_string().as_bytes(), &["s3cret", "204866"]).err().unwrap();
        error.refusal().expect("an envelope").clone()
    }

    #[test]
    fn the_best_reason_is_kept() {
        let full = json!({"error": {"message": "m", "code": 133_005, "error_subcode": 2_388_004,
            "is_transient": true, "error_user_msg": "u", "error_data": {"details": "d"}, "fbtrace_id": "T"}});
        let error = refusal(&full);
        assert_eq!((error.status, error.code, error.subcode), (400, 133_005, Some(2_388_004)));
        assert_eq!(
            (&*error.details, error.fbtrace_id.as_deref(), error.is_transient),
            ("d", Some("T"), true)
        );
        assert_eq!(refusal(&json!({"error": {"code": 1, "error_data": "text"}})).details, "text");
        assert_eq!(
            refusal(&json!({"error": {"code": 1, "error_user_msg": "u", "message": "m"}})).details,
            "u"
        );
        assert_eq!(refusal(&json!({"error": {"code": 1, "message": "m", "error_data": {}}})).details, "m");
    }

    #[test]
    fn codes_may_be_text_or_missing() {
        assert_eq!(refusal(&json!({"error": {"code": "190", "error_subcode": "463"}})).subcode, Some(463));
        assert_eq!(refusal(&json!({"error": {"code": "190"}})).code, 190);
        assert_eq!(refusal(&json!({"error": {}})).code, UNKNOWN);
    }

    #[test]
    fn no_secret_stays_in_metas_text() {
        let text = "Malformed access token EAAxyz_1-2, s3cret and 204866. EAA";
        let error = refusal(&json!({"error": {"code": 190, "message": text}}));
        assert_eq!(error.details, "Malformed access token […], […] and […]. […]");
    }

    #[test]
    fn an_answer_of_another_form_is_unclear_and_not_repeated() {
        for (status, body) in [(200, "{\"success\":\"EAAx\"}"), (500, "<html>EAAx"), (404, "{}"), (200, "")] {
            let error = answer::<Page<Value>>(status, body.as_bytes(), &[]).err().unwrap();
            assert!(matches!(error, GraphError::Unclear(_)), "{error:?}");
            assert!(!format!("{error:?}").contains("EAA"), "{error:?}");
        }
    }
}
