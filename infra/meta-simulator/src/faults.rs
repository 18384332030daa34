//! Trouble on demand: errors, delays, lost answers and calls that hang.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

/// A fault as the control API takes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FaultSpec {
    #[serde(default, rename = "match")]
    pub(crate) matches: Matches,
    /// How many calls it hits: 1 if absent; `null` or -1 = until deleted.
    #[serde(default = "once")]
    times: Value,
    pub(crate) then: Then,
}

fn once() -> Value {
    Value::from(1)
}

/// Which calls a fault hits; what is absent matches all, so a misspelt member must not pass as absent.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Matches {
    method: Option<String>,
    /// The end of the path after the version, in whole segments: `register`, `/messages`, `12345/register`.
    path: Option<String>,
    phone_number_id: Option<String>,
}

/// What happens to the call. A delay comes first and goes with any of the others.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Then {
    pub(crate) error: Option<FaultError>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// The call is done and its webhooks are sent, then the connection is closed without an answer.
    #[serde(default)]
    pub(crate) accept_then_drop: bool,
    /// Messages are accepted, and their only status is `failed` with this error.
    pub(crate) fail_later: Option<FailLater>,
    /// Nothing is done and no answer comes.
    #[serde(default)]
    pub(crate) hang: bool,
}

/// The refusal to give. Without a code the body is not JSON, as of a broken gateway.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FaultError {
    pub(crate) status: u16,
    pub(crate) code: Option<i64>,
    #[serde(alias = "error_subcode")]
    pub(crate) subcode: Option<i64>,
    pub(crate) message: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) is_transient: Option<bool>,
}

/// Why an accepted message fails.
#[derive(Clone, Deserialize)]
pub(crate) struct FailLater {
    pub(crate) code: i64,
    pub(crate) title: Option<String>,
    pub(crate) details: Option<String>,
}

/// All faults in force, oldest first.
#[derive(Default)]
pub(crate) struct Faults {
    next: u64,
    active: VecDeque<Fault>,
}

struct Fault {
    id: String,
    matches: Matches,
    /// Calls it still hits; `None` = no end.
    left: Option<u64>,
    then: Then,
}

/// A call, as faults look at it.
pub(crate) struct Target<'a> {
    pub(crate) method: &'a str,
    /// After the version.
    pub(crate) path: &'a str,
    pub(crate) phone_number_id: Option<&'a str>,
}

impl Faults {
    /// Adds a fault; its id, or what is wrong with it.
    pub(crate) fn add(&mut self, spec: FaultSpec) -> Result<String, String> {
        let left = match &spec.times {
            Value::Null => None,
            times => match times.as_i64() {
                Some(-1) => None,
                Some(times @ 1..) => Some(times.unsigned_abs()),
                _ => {
                    return Err("times must be a whole number from 1 up, or null or -1 for no end".to_owned());
                }
            },
        };
        let status = spec.then.error.as_ref().map_or(500, |error| error.status);
        if !(100..=599).contains(&status) {
            return Err("then.error.status must be an HTTP status".to_owned());
        }
        self.next += 1;
        let id = format!("fault-{}", self.next);
        self.active.push_back(Fault { id: id.clone(), matches: spec.matches, left, then: spec.then });
        Ok(id)
    }

    /// Ends all faults.
    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// The oldest fault that hits this call, which counts.
    pub(crate) fn take(&mut self, target: &Target<'_>) -> Option<(String, Then)> {
        let at = self.active.iter().position(|fault| fault.matches.hit(target))?;
        let fault = self.active.get_mut(at)?;
        let hit = (fault.id.clone(), fault.then.clone());
        if let Some(left) = &mut fault.left {
            *left -= 1;
            if *left == 0 {
                self.active.remove(at);
            }
        }
        Some(hit)
    }
}

impl Matches {
    fn hit(&self, target: &Target<'_>) -> bool {
        let method = self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(target.method));
        let number = self.phone_number_id.as_deref().is_none_or(|id| target.phone_number_id == Some(id));
        method && number && self.path.as_ref().is_none_or(|suffix| ends_with_segments(target.path, suffix))
    }
}

fn ends_with_segments(path: &str, suffix: &str) -> bool {
    let (path, suffix) = (path.trim_matches('/'), suffix.trim_matches('/'));
    match path.strip_suffix(suffix) {
        Some(before) => before.is_empty() || suffix.is_empty() || before.ends_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_by_whole_segments() {
        assert!(ends_with_segments("123/register", "/register"));
        assert!(ends_with_segments("123/register", "123/register"));
        assert!(!ends_with_segments("123/deregister", "register"));
        assert!(ends_with_segments("oauth/access_token", "access_token"));
    }
}
