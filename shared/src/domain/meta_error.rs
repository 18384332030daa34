//! What Meta's errors mean for us. Source: Meta's error codes page (2026-09-11) and rate limit pages.

use std::time::Duration;

/// Meta's error envelope, reduced to what is stored and shown. Messages are Meta's own texts; they
/// name parameters, not secrets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("Meta refused with code {code} ({details})")]
pub struct MetaError {
    /// HTTP status; Meta says not to build on it.
    pub status: u16,
    /// What to branch on.
    pub code: i64,
    /// Only for texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// The best human reason that Meta gave.
    pub details: String,
    /// For Meta's support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fbtrace_id: Option<String>,
    /// Meta's own word that a retry may succeed.
    #[serde(default)]
    pub is_transient: bool,
}

/// What to do about an error of Meta's. Every code has one, the unknown ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Meta's own trouble: again, soon, with growing pauses.
    Retry,
    /// Too fast: again after this pause at the earliest.
    SlowDown(Duration),
    /// The token is not accepted. Only a new signup or a renewed token helps.
    Token,
    /// Payment is missing or stopped: somebody must mend it before paid sends succeed.
    Payment,
    /// The customer service window is closed: a template is needed.
    WindowClosed,
    /// Somebody must change something at Meta first (permission, registration, verification).
    Fix,
    /// The request is wrong or unwanted, and will be next time.
    Never,
}

impl MetaError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        const MINUTE: Duration = Duration::from_secs(60);
        match self.code {
            1 | 2 | 131_000 | 131_016 | 133_004 | 134_102 => Remedy::Retry,
            131_057 | 2_494_100 => Remedy::SlowDown(MINUTE),
            4 | 17 | 32 | 341 | 613 | 80_007 | 80_008 => Remedy::SlowDown(MINUTE.saturating_mul(5)),
            130_429 => Remedy::SlowDown(Duration::from_secs(2)),
            131_056 => Remedy::SlowDown(Duration::from_secs(6)),
            133_015 => Remedy::SlowDown(MINUTE.saturating_mul(5)),
            133_016 => Remedy::SlowDown(Duration::from_secs(72 * 60 * 60)),
            0 | 102 | 104 | 190 => Remedy::Token,
            131_042 | 131_044 => Remedy::Payment,
            131_047 => Remedy::WindowClosed,
            3
            | 10
            | 33
            | 200..=299
            | 131_005
            | 131_030
            | 131_031
            | 131_037
            | 131_045
            | 132_015
            | 133_000
            | 133_005
            | 133_006
            | 133_008
            | 133_009
            | 133_010 => Remedy::Fix,
            _ if self.is_transient || self.status >= 500 => Remedy::Retry,
            _ => Remedy::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, status: u16, is_transient: bool) -> MetaError {
        MetaError { status, code, subcode: None, details: String::new(), fbtrace_id: None, is_transient }
    }

    #[test]
    fn known_codes_have_the_remedy_of_metas_table() {
        assert_eq!(error(131_000, 500, false).remedy(), Remedy::Retry);
        assert_eq!(error(190, 401, false).remedy(), Remedy::Token);
        assert_eq!(error(131_047, 400, false).remedy(), Remedy::WindowClosed);
        assert!(matches!(error(131_056, 400, false).remedy(), Remedy::SlowDown(_)));
        assert_eq!(error(133_005, 400, false).remedy(), Remedy::Fix);
        assert_eq!(error(131_026, 400, false).remedy(), Remedy::Never);
    }

    #[test]
    fn an_unknown_code_is_retried_only_where_meta_hints_at_it() {
        assert_eq!(error(999_999, 400, false).remedy(), Remedy::Never);
        assert_eq!(error(999_999, 400, true).remedy(), Remedy::Retry);
        assert_eq!(error(999_999, 503, false).remedy(), Remedy::Retry);
    }
}
