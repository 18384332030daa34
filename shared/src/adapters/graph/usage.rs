//! How much of its limits Meta says is used (Meta, Graph API, rate limits, 2026): headers of an answer.
//! They are hints: what cannot be read counts as absent.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::domain::rate::{RateKey, Usage};

/// `{"call_count":28,"total_time":25,"total_cputime":25}`, in percent.
const APP: &str = "x-app-usage";
/// Such an object and `estimated_time_to_regain_access`, in minutes, for each use of each business object;
/// for WhatsApp that is the account.
const BUSINESS: &str = "x-business-use-case-usage";
const MEASURES: [&str; 3] = ["call_count", "total_time", "total_cputime"];
const REGAIN: &str = "estimated_time_to_regain_access";

/// What the headers tell. An account is told of once, by its most used limit.
pub(super) fn told(headers: &HeaderMap) -> Vec<Usage> {
    let json = |name| -> Value {
        let text = headers.get(name).and_then(|value| value.to_str().ok());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let app = usage(RateKey::App, &[json(APP)]);
    let business = json(BUSINESS);
    let accounts = business
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(id, uses)| usage(RateKey::Account(id.parse().ok()?), uses.as_array()?));
    app.into_iter().chain(accounts).collect()
}

fn usage(key: RateKey, uses: &[Value]) -> Option<Usage> {
    let percent =
        uses.iter().flat_map(|usage| MEASURES.map(|measure| number(&usage[measure]))).flatten().max()?;
    let minutes = uses.iter().filter_map(|usage| number(&usage[REGAIN])).max();
    let regained_after = minutes.map(|minutes| Duration::from_secs(60) * minutes);
    Some(Usage { key, percent, regained_after })
}

/// At most a week, so that nonsense stops nothing for ever; as a percentage that is over the limit anyway.
fn number(value: &Value) -> Option<u32> {
    const WEEK: u64 = 7 * 24 * 60;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(number.min(WEEK)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(app: &'static str, business: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(APP, app.parse().unwrap());
        headers.insert(BUSINESS, business.parse().unwrap());
        headers
    }

    #[test]
    fn the_most_used_measure_and_the_longest_wait_count() {
        let told = told(&headers(
            r#"{"call_count":28,"total_time":91,"total_cputime":"25"}"#,
            r#"{"228800000000002":[{"type":"whatsapp","call_count":100,"total_cputime":1,"total_time":1,
                "estimated_time_to_regain_access":0},
                {"type":"other","call_count":5,"estimated_time_to_regain_access":19}]}"#
                .replace('\n', " ")
                .leak(),
        ));
        let account = RateKey::Account("228800000000002".parse().unwrap());
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        assert_eq!(
            told,
            [
                Usage { key: RateKey::App, percent: 91, regained_after: None },
                Usage { key: account, percent: 100, regained_after: minutes(19) },
            ]
        );
    }

    #[test]
    fn a_header_that_cannot_be_read_says_nothing() {
        assert_eq!(told(&HeaderMap::new()), []);
        for (app, business) in [
            ("", ""),
            ("nonsense", "[1]"),
            ("{}", r#"{"x":[{"call_count":1}]}"#),
            (r#"{"call_count":-1}"#, r#"{"228800000000002":{"call_count":1}}"#),
            ("null", r#"{"228800000000002":[]}"#),
        ] {
            assert_eq!(told(&headers(app, business)), [], "{app} {business}");
        }
        let endless =
            r#"{"228800000000002":[{"call_count":1,"estimated_time_to_regain_access":99999999999}]}"#;
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(told(&headers("{}", endless))[0].regained_after, Some(week));
    }
}
