//! What a message is expected to cost, said before Meta says it.
//!
//! Sources: Meta, pricing, and pricing of non-template messages (2026-08-25). Since 2026-10-01 free-form
//! ("service") messages and utility templates inside the window are billed, too: everything is billed per
//! message except within 72 hours of a free entry point. The first 1000 service messages of a number in a month
//! are free; that is told by partners only (2026-10), so nothing is promised of it.

use super::Timestamp;

/// Said where it depends on the monthly allowance.
const ALLOWANCE: &str = "Meta bills it only beyond the number's free service messages of the month.";
/// Said where the conversation is not known, and with it whether it began at a free entry point.
const ENTRY_POINT: &str =
    "Meta does not bill it if the customer came by a free entry point less than 72 hours ago.";

/// A template's category, in the words of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateCategory {
    /// One-time passwords.
    Authentication,
    /// Offers and news.
    Marketing,
    /// About something that the customer did.
    Utility,
}

impl TemplateCategory {
    /// From Meta's word for it.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "AUTHENTICATION" => Some(Self::Authentication),
            "MARKETING" => Some(Self::Marketing),
            "UTILITY" => Some(Self::Utility),
            _ => None,
        }
    }
}

/// What is sent, as far as its price depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priced {
    /// Anything but a template.
    Service,
    /// A template; `None` = we do not know its category.
    Template(Option<TemplateCategory>),
}

/// What is known of the conversation that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windows {
    /// A group, which has categories and prices of its own.
    pub is_group: bool,
    /// Until when free-form messages may be sent; `None` = not known.
    pub ends_at: Option<Timestamp>,
    /// Until when the free entry point lasts; `None` = none known.
    pub free_until: Option<Timestamp>,
}

/// How the window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The customer wrote within 24 hours.
    Open,
    /// They did not: templates only.
    Closed,
    /// Meta bills nothing within 72 hours of a free entry point, whether the window is open or not.
    FreeEntryPoint,
    /// We have never heard of this customer.
    Unknown,
}

/// What is expected. What Meta says in the message's status counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// In the words of `pricing.category` of statuses; `None` = a template whose category we do not know.
    pub category: Option<&'static str>,
    /// Whether it costs something; `None` = that depends on what only Meta counts.
    pub billable: Option<bool>,
    /// How the window stands.
    pub window: Window,
    /// When the customer service window ends or ended, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ends_at: Option<Timestamp>,
    /// What the expectation depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// What is expected of a message sent now.
#[must_use]
pub fn expected(priced: Priced, windows: Windows, now: Timestamp) -> Expected {
    let window = window(windows, now);
    let is_free = window == Window::FreeEntryPoint;
    let (billable, note) = match priced {
        _ if is_free => (Some(false), None),
        Priced::Service => (None, Some(ALLOWANCE)),
        Priced::Template(_) if window == Window::Unknown && !windows.is_group => {
            (Some(true), Some(ENTRY_POINT))
        }
        Priced::Template(_) => (Some(true), None),
    };
    let category = if is_free { Some("referral_conversion") } else { category(priced, windows.is_group) };
    Expected { category, billable, window, window_ends_at: windows.ends_at, note }
}

fn window(windows: Windows, now: Timestamp) -> Window {
    if windows.free_until.is_some_and(|until| until > now) {
        return Window::FreeEntryPoint;
    }
    match windows.ends_at {
        Some(end) if end > now => Window::Open,
        Some(_) => Window::Closed,
        None => Window::Unknown,
    }
}

fn category(priced: Priced, is_group: bool) -> Option<&'static str> {
    use TemplateCategory::{Authentication, Marketing, Utility};
    Some(match (priced, is_group) {
        (Priced::Service, false) => "service",
        (Priced::Service, true) => "group_service",
        (Priced::Template(Some(Marketing)), false) => "marketing",
        (Priced::Template(Some(Marketing)), true) => "group_marketing",
        (Priced::Template(Some(Utility)), false) => "utility",
        (Priced::Template(Some(Utility)), true) => "group_utility",
        (Priced::Template(Some(Authentication)), _) => "authentication",
        (Priced::Template(None), _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    const SERVICE: Priced = Priced::Service;
    const UTILITY: Priced = Priced::Template(Some(TemplateCategory::Utility));
    const MARKETING: Priced = Priced::Template(Some(TemplateCategory::Marketing));
    const CODE: Priced = Priced::Template(Some(TemplateCategory::Authentication));
    const UNKNOWN: Priced = Priced::Template(None);

    #[test]
    fn everything_costs_but_free_entry_points_and_the_allowance() {
        let (past, now, later) = (Some(at(0)), at(10), Some(at(20)));
        for (priced, ends_at, free_until, category, billable, window) in [
            (SERVICE, later, None, json!("service"), Value::Null, "open"),
            (SERVICE, None, None, json!("service"), Value::Null, "unknown"),
            (SERVICE, later, past, json!("service"), Value::Null, "open"),
            (SERVICE, later, later, json!("referral_conversion"), json!(false), "free_entry_point"),
            (UTILITY, later, None, json!("utility"), json!(true), "open"),
            (UTILITY, past, None, json!("utility"), json!(true), "closed"),
            (UTILITY, past, later, json!("referral_conversion"), json!(false), "free_entry_point"),
            (UTILITY, Some(now), None, json!("utility"), json!(true), "closed"),
            (MARKETING, None, None, json!("marketing"), json!(true), "unknown"),
            (CODE, past, Some(now), json!("authentication"), json!(true), "closed"),
            (UNKNOWN, later, None, Value::Null, json!(true), "open"),
            (UNKNOWN, later, later, json!("referral_conversion"), json!(false), "free_entry_point"),
        ] {
            let windows = Windows { is_group: false, ends_at, free_until };
            let said = serde_json::to_value(expected(priced, windows, now)).unwrap();
            let case = format!("{priced:?} {windows:?}: {said}");
            assert_eq!((&said["category"], &said["billable"]), (&category, &billable), "{case}");
            assert_eq!(said["window"], window, "{case}");
            assert_eq!(said.get("windowEndsAt"), ends_at.map(|end| json!(end)).as_ref(), "{case}");
            assert_eq!(said["billable"].is_null(), priced == SERVICE && said["note"].is_string(), "{case}");
        }
    }

    #[test]
    fn groups_have_categories_of_their_own() {
        let windows = Windows { is_group: true, ..Windows::default() };
        let of = |priced| expected(priced, windows, at(0)).category;
        let found = [SERVICE, UTILITY, MARKETING, UNKNOWN].map(of);
        assert_eq!(found, [Some("group_service"), Some("group_utility"), Some("group_marketing"), None]);
    }
}
