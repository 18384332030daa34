//! What Meta's errors mean for us. Source: Meta's error codes page (2026-09-11) and rate limit pages.

use std::time::Duration;

use super::conversation::RecipientMark;

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

/// What a limit of Meta's is on, and so what has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This request only.
    Request,
    /// Messages from one number to one customer: the pause grows with each refusal in a row.
    Pair,
    /// The rate of one number: it goes on at half of it.
    Rate,
    /// One number.
    Number,
    /// One WhatsApp account.
    Account,
    /// Our app, which is everything.
    App,
}

/// What to do about an error of Meta's. Every code has one, the unknown ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Meta's own trouble: again, with growing pauses.
    Retry {
        /// How often again at most; `None` = as long as the message is worth it.
        again: Option<u32>,
    },
    /// Too fast, or closed for a while: nothing in this scope before the pause is over.
    SlowDown {
        /// What has to wait.
        scope: Scope,
        /// How long at least.
        pause: Duration,
    },
    /// The token is not accepted. Only a new signup or a renewed token helps.
    Token,
    /// Payment is missing or stopped: somebody must mend it before paid sends succeed.
    Payment,
    /// Meta locked the account: somebody must clear that with Meta.
    Locked,
    /// The customer service window is closed: a template is needed.
    WindowClosed,
    /// This customer cannot be reached on WhatsApp.
    NotReachable,
    /// This customer wants no marketing any more.
    OptedOut,
    /// Meta spares this customer marketing for now: not before [`MARKETING_PAUSE`].
    MarketingLimit,
    /// Somebody must change something at Meta first (permission, registration, verification).
    Fix,
    /// The request is wrong or unwanted, and will be next time.
    Never,
}

/// How long a marketing message that Meta held back (131049) is not tried again (error codes page).
pub const MARKETING_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

const MINUTE: Duration = Duration::from_secs(60);

const fn slow_down(scope: Scope, pause: Duration) -> Remedy {
    Remedy::SlowDown { scope, pause }
}

impl MetaError {
    /// An error of which only the code is known.
    #[must_use]
    pub fn of_code(code: i64) -> Self {
        Self {
            status: 400,
            code,
            subcode: None,
            details: String::new(),
            fbtrace_id: None,
            is_transient: false,
        }
    }

    /// What is to be remembered of the recipient.
    #[must_use]
    pub fn recipient_mark(&self) -> Option<RecipientMark> {
        match self.remedy() {
            Remedy::NotReachable => Some(RecipientMark::Unreachable),
            Remedy::OptedOut => Some(RecipientMark::MarketingStopped),
            _ => None,
        }
    }

    /// The code in few distinct words, to count by: codes that Meta does not document are `other`.
    #[must_use]
    pub fn label(code: i64) -> String {
        let remedy = |status, is_transient| Self { status, is_transient, ..Self::of_code(code) }.remedy();
        // Of an unknown code only the status and Meta's hint say what to do.
        if remedy(400, false) == remedy(500, true) { code.to_string() } else { "other".to_owned() }
    }

    /// What to do about it. `docs/meta-errors.md` lists all codes.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self.code {
            2 | 131_016 | 133_000 | 133_004 | 139_102 | 139_103 => Remedy::Retry { again: None },
            1 | 131_000 => Remedy::Retry { again: Some(2) },
            4 | 341 => slow_down(Scope::App, MINUTE.saturating_mul(5)),
            17 | 80_007 | 80_008 => slow_down(Scope::Account, MINUTE.saturating_mul(5)),
            130_429 => slow_down(Scope::Rate, Duration::from_secs(1)),
            131_057 | 2_494_100 => slow_down(Scope::Number, MINUTE),
            131_056 => slow_down(Scope::Pair, Duration::from_secs(1)),
            131_208 => slow_down(Scope::Request, MINUTE),
            32 | 613 | 133_015 => slow_down(Scope::Request, MINUTE.saturating_mul(5)),
            134_101 => slow_down(Scope::Request, MINUTE.saturating_mul(10)),
            133_008 | 133_009 => slow_down(Scope::Request, MINUTE.saturating_mul(60)),
            133_016 => slow_down(Scope::Request, MINUTE.saturating_mul(72 * 60)),
            0 | 102 | 104 | 190 => Remedy::Token,
            131_042 => Remedy::Payment,
            368 | 131_031 => Remedy::Locked,
            131_047 => Remedy::WindowClosed,
            131_026 => Remedy::NotReachable,
            131_050 => Remedy::OptedOut,
            131_049 => Remedy::MarketingLimit,
            code if needs_somebody(code) => Remedy::Fix,
            code if is_hopeless(code) => Remedy::Never,
            _ if self.is_transient || self.status >= 500 => Remedy::Retry { again: None },
            _ => Remedy::Never,
        }
    }
}

/// Codes that stay until somebody changed something at Meta.
const fn needs_somebody(code: i64) -> bool {
    matches!(
        code,
        3 | 10
            | 33
            | 200..=299
            | 131_005
            | 131_030
            | 131_037
            | 131_044
            | 131_045
            | 131_053
            | 132_001
            | 132_015
            | 132_068
            | 132_069
            | 133_005
            | 133_006
            | 133_010
            | 134_011
            | 134_102
            | 137_000
            | 138_000..=138_021
            | 139_000..=139_004
            | 139_101
            | 147_001..=147_005
            | 2_388_019
    )
}

/// Codes that the same request meets again, whatever status and hint came with them.
const fn is_hopeless(code: i64) -> bool {
    matches!(
        code,
        100 | 130_403
            | 130_472
            | 130_497
            | 131_008
            | 131_009
            | 131_020
            | 131_021
            | 131_041
            | 131_048
            | 131_051
            | 131_052
            | 131_055
            | 131_059
            | 131_060
            | 131_062..=131_064
            | 131_201..=131_215
            | 132_000
            | 132_005
            | 132_007
            | 132_008
            | 132_012
            | 132_016
            | 132_018
            | 134_100
            | 135_000
            | 136_024
            | 139_100
            | 1_752_041
            | 2_388_039
            | 2_388_040
            | 2_388_047
            | 2_388_072
            | 2_388_073
            | 2_388_293
            | 2_388_299
            | 2_593_107..=2_593_109
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, status: u16, is_transient: bool) -> MetaError {
        MetaError { status, code, subcode: None, details: String::new(), fbtrace_id: None, is_transient }
    }

    #[test]
    fn only_documented_codes_are_counted_apart() {
        assert_eq!(every_code().iter().filter(|(code, _)| MetaError::label(*code) == "other").count(), 0);
        assert_eq!(MetaError::label(131_047), "131047");
        assert_eq!((MetaError::label(987_654), MetaError::label(-1)), ("other".into(), "other".into()));
    }

    /// Every code of Meta's error codes page, and the general ones of the Graph API.
    fn every_code() -> Vec<(i64, Remedy)> {
        use Remedy::*;
        let wait = |scope, minutes: u32| slow_down(scope, MINUTE.saturating_mul(minutes));
        let second = Duration::from_secs(1);
        let ever = Retry { again: None };
        let twice = Retry { again: Some(2) };
        let mut table = vec![
            (0, Token),
            (102, Token),
            (104, Token),
            (190, Token),
            (3, Fix),
            (10, Fix),
            (4, wait(Scope::App, 5)),
            (341, wait(Scope::App, 5)),
            (17, wait(Scope::Account, 5)),
            (32, wait(Scope::Request, 5)),
            (613, wait(Scope::Request, 5)),
            (80_007, wait(Scope::Account, 5)),
            (80_008, wait(Scope::Account, 5)),
            (130_429, slow_down(Scope::Rate, second)),
            (131_048, Never),
            (131_056, slow_down(Scope::Pair, second)),
            (131_064, Never),
            (133_016, wait(Scope::Request, 72 * 60)),
            (368, Locked),
            (130_497, Never),
            (131_031, Locked),
            (1, twice),
            (2, ever),
            (33, Fix),
            (100, Never),
            (130_403, Never),
            (130_472, Never),
            (131_000, twice),
            (131_005, Fix),
            (131_008, Never),
            (131_009, Never),
            (131_016, ever),
            (131_021, Never),
            (131_026, NotReachable),
            (131_030, Fix),
            (131_037, Fix),
            (131_042, Payment),
            (131_044, Fix),
            (131_045, Fix),
            (131_047, WindowClosed),
            (131_049, MarketingLimit),
            (131_050, OptedOut),
            (131_051, Never),
            (131_052, Never),
            (131_053, Fix),
            (131_055, Never),
            (131_057, wait(Scope::Number, 1)),
            (131_060, Never),
            (131_062, Never),
            (131_063, Never),
            (132_000, Never),
            (132_001, Fix),
            (132_005, Never),
            (132_007, Never),
            (132_008, Never),
            (132_012, Never),
            (132_015, Fix),
            (132_016, Never),
            (132_018, Never),
            (132_068, Fix),
            (132_069, Fix),
            (133_000, ever),
            (133_004, ever),
            (133_005, Fix),
            (133_006, Fix),
            (133_008, wait(Scope::Request, 60)),
            (133_009, wait(Scope::Request, 60)),
            (133_010, Fix),
            (133_015, wait(Scope::Request, 5)),
            (134_011, Fix),
            (134_100, Never),
            (134_101, wait(Scope::Request, 10)),
            (134_102, Fix),
            (135_000, Never),
            (136_024, Never),
            (137_000, Fix),
            (139_100, Never),
            (139_101, Fix),
            (139_102, ever),
            (139_103, ever),
            (131_020, Never),
            (131_041, Never),
            (131_059, Never),
            (131_208, wait(Scope::Request, 1)),
            (2_388_019, Fix),
            (2_388_039, Never),
            (2_388_040, Never),
            (2_388_047, Never),
            (2_388_072, Never),
            (2_388_073, Never),
            (2_388_293, Never),
            (2_388_299, Never),
            (2_494_100, wait(Scope::Number, 1)),
            (2_593_107, Never),
            (2_593_108, Never),
            (2_593_109, Never),
            (1_752_041, Never),
        ];
        table.extend((200..=299).map(|code| (code, Fix)));
        table.extend((138_000..=138_021).map(|code| (code, Fix)));
        table.extend((139_000..=139_004).map(|code| (code, Fix)));
        table.extend((147_001..=147_005).map(|code| (code, Fix)));
        table.extend((131_201..=131_215).filter(|code| *code != 131_208).map(|code| (code, Never)));
        table
    }

    #[test]
    fn every_code_of_metas_table_has_its_remedy_whatever_status_it_comes_with() {
        for (code, remedy) in every_code() {
            for (status, is_transient) in [(400, false), (500, false), (400, true)] {
                assert_eq!(error(code, status, is_transient).remedy(), remedy, "{code}, {status}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_retried_only_where_meta_hints_at_it() {
        assert_eq!(error(999_999, 400, false).remedy(), Remedy::Never);
        assert_eq!(error(999_999, 400, true).remedy(), Remedy::Retry { again: None });
        assert_eq!(error(999_999, 503, false).remedy(), Remedy::Retry { again: None });
    }

    /// The codes of the first column of the tables of `docs/meta-errors.md`: numbers, and ranges of them.
    fn documented() -> Vec<std::ops::RangeInclusive<i64>> {
        let rows = include_str!("../../../docs/meta-errors.md").lines().filter_map(|line| {
            let codes = line.strip_prefix("| ")?.split('|').next()?;
            codes.starts_with(|c: char| c.is_ascii_digit()).then_some(codes)
        });
        let parse = |code: &str| code.trim().parse::<i64>().expect("a code");
        rows.flat_map(|codes| codes.split(','))
            .map(|codes| match codes.split_once('–') {
                Some((first, last)) => parse(first)..=parse(last),
                None => parse(codes)..=parse(codes),
            })
            .collect()
    }

    #[test]
    fn the_documentation_names_each_code_once_and_no_other() {
        let documented = documented();
        for (code, _) in every_code() {
            assert_eq!(documented.iter().filter(|codes| codes.contains(&code)).count(), 1, "{code}");
        }
        let known: i64 = documented.iter().map(|codes| codes.end() - codes.start() + 1).sum();
        assert_eq!(usize::try_from(known), Ok(every_code().len()), "a code that nothing is said of here");
    }
}
