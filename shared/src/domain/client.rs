//! One business phone number of one client business.

use std::time::Duration;

use super::Timestamp;
use super::account::{Account, Change, NameDecision};
use super::drift::Check;
use super::ids::{BotId, BusinessId, GrantId, OnboardingId, PhoneNumberId, WabaId};
use super::seal::Sealed;

/// Whether a client can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// Its onboarding has not ended.
    Onboarding,
    /// Ready.
    Active,
    /// Known to Meta, but sending is stopped (ban, restriction, payment).
    Suspended,
    /// Gone: off-boarded or released.
    Inactive,
}

/// Why Meta takes no messages of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Payment is missing or stopped (131042).
    Payment,
    /// Meta locked the account or blocks it for its policy (131031, 368).
    Locked,
}

/// A stop of a client's sends, learned from Meta's answers. When it is over, one send finds out whether
/// the cause is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Pause {
    /// Why.
    pub reason: PauseReason,
    /// When Meta first refused for it.
    pub since: Timestamp,
    /// Until when nothing is sent.
    pub until: Timestamp,
}

/// How long a pause lasts at first. Meta does not say when a cause is mended; each send that finds out is
/// another refusal on the client's account.
const FIRST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long it lasts at most: what was mended is found out within a working day.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long one send may take to find out: longer than the call.
const PROBE: Duration = Duration::from_secs(60);

impl Pause {
    /// The pause after a refusal; after those of `known` it is as long as they took together.
    #[must_use]
    pub fn after(known: Option<&Self>, reason: PauseReason, now: Timestamp) -> Self {
        let since = known.map_or(now, |pause| pause.since);
        let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        Self { reason, since, until: now + lasted.clamp(FIRST_PAUSE, LONGEST_PAUSE) }
    }

    /// Held by the one send that finds out, for as long as that takes.
    #[must_use]
    pub fn while_probed(&self, now: Timestamp) -> Self {
        Self { until: now + PROBE, ..*self }
    }
}

/// A client: one number under a grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// The key.
    pub phone_number_id: PhoneNumberId,
    /// Who may see and use it.
    pub bot_id: BotId,
    /// Where its token is.
    pub grant_id: GrantId,
    /// The account that the number is under.
    pub waba_id: WabaId,
    /// The client's business portfolio.
    pub business_id: BusinessId,
    /// What the partner calls it.
    pub client_name: Option<String>,
    /// As Meta shows it, formatted.
    pub display_phone_number: Option<String>,
    /// The display name that Meta approved, as it was when the onboarding read it.
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN` or what Meta adds, as it was when the onboarding read it.
    pub quality_rating: Option<String>,
    /// How far its onboarding brought it. Events may say otherwise: ask [`Client::status`].
    pub stage: ClientStatus,
    /// What Meta's events told since. Written by them alone, event by event.
    pub account: Account,
    /// When the signup began that the record is of. Events from before it say nothing of it.
    pub signed_up_at: Timestamp,
    /// Whether the number also runs in the WhatsApp Business app (coexistence).
    pub on_biz_app: bool,
    /// Messages a second that Meta takes from it, if it is not the default.
    pub throughput: Option<u32>,
    /// Set while Meta takes no messages of it.
    pub pause: Option<Pause>,
    /// Since when its token is known to be dead: only a new signup helps.
    pub reconnect_since: Option<Timestamp>,
    /// The onboarding that writes this record. Another one must claim the client first.
    pub onboarding_id: OnboardingId,
    /// Two-step verification PIN, stored before it is first used.
    pub sealed_pin: Option<Sealed>,
    /// Whether its onboarding let our credit line pay, or left that out; `None` until it ended, and where it ended before
    /// this was kept.
    pub credit_shared: Option<bool>,
    /// When a webhook for it last arrived, by our clock; kept to the minute, or to the hour where only statuses
    /// come.
    pub last_webhook_at: Option<Timestamp>,
    /// The last look at how Meta shows it.
    pub check: Option<Check>,
    /// When it first became active.
    pub onboarded_at: Option<Timestamp>,
    /// When a customer last wrote; kept to the minute.
    pub last_message_at: Option<Timestamp>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// Messages a second that Meta takes from it (throughput page, 2026): 80, and 20 where the number also
    /// runs in the WhatsApp Business app. Meta raises it to [`HIGH_THROUGHPUT`] by itself.
    #[must_use]
    pub fn messages_per_second(&self) -> u32 {
        let told = self.account.get("throughput").filter(|noted| noted.at >= self.signed_up_at);
        match told.map(|noted| &noted.change) {
            Some(Change::Throughput(rate)) => *rate,
            _ => self.throughput.unwrap_or(if self.on_biz_app { 20 } else { 80 }),
        }
    }

    /// Whether it can be used: what its onboarding achieved, and what events told since.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        match self.stage {
            _ if self.is_removed() => ClientStatus::Inactive,
            ClientStatus::Active if self.account.suspension(self.signed_up_at).is_some() => {
                ClientStatus::Suspended
            }
            stage => stage,
        }
    }

    /// Why it cannot be used, in a stable word, and since when. `None` where no event is the reason.
    #[must_use]
    pub fn status_reason(&self) -> Option<(&'static str, Timestamp)> {
        match self.account.removal(self.signed_up_at) {
            Some((removal, at)) => Some((removal.as_str(), at)),
            None => self.account.suspension(self.signed_up_at),
        }
    }

    /// Whether a webhook for it has arrived since its signup: until then nothing proves that Meta sends us any.
    #[must_use]
    pub fn receives(&self) -> bool {
        self.last_webhook_at.is_some_and(|at| at >= self.signed_up_at)
    }

    /// The last look at it since its signup.
    #[must_use]
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref().filter(|check| check.at >= self.signed_up_at)
    }

    /// Whether it left us after its signup.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.account.removal(self.signed_up_at).is_some()
    }

    /// The number's quality: the newest that an event or the onboarding told.
    #[must_use]
    pub fn quality_rating(&self) -> Option<&str> {
        let told = self.account.get("quality").filter(|noted| noted.at >= self.signed_up_at);
        match told.map(|noted| &noted.change) {
            Some(Change::Quality(rating)) => Some(rating),
            _ => self.quality_rating.as_deref(),
        }
    }

    /// The display name that Meta approved: the newest that an event or the onboarding told.
    #[must_use]
    pub fn verified_name(&self) -> Option<&str> {
        match self.name_decision() {
            Some((NameDecision { decision, name: Some(name), .. }, at))
                if decision == "APPROVED" && at >= self.signed_up_at =>
            {
                Some(name)
            }
            _ => self.verified_name.as_deref(),
        }
    }

    /// Meta's newest decision about a display name.
    #[must_use]
    pub fn name_decision(&self) -> Option<(&NameDecision, Timestamp)> {
        let noted = self.account.get("name")?;
        match &noted.change {
            Change::Name(decision) => Some((decision, noted.at)),
            _ => None,
        }
    }

    /// To how many customers a day the business may write first; `None` until an event told.
    #[must_use]
    pub fn messaging_limit(&self) -> Option<&str> {
        match &self.account.get("messaging_limit")?.change {
            Change::MessagingLimit(limit) => Some(limit),
            _ => None,
        }
    }
}

/// Messages a second of a number that Meta upgraded (throughput page, 2026).
pub const HIGH_THROUGHPUT: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_with_each_refusal_up_to_its_longest() {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut pause = Pause::after(None, PauseReason::Payment, start);
        let mut hours = Vec::new();
        for _ in 0..6 {
            let lasts = Duration::try_from(pause.until.duration_since(start)).unwrap();
            hours.push(lasts.as_secs() / 3600);
            pause = Pause::after(Some(&pause), PauseReason::Payment, pause.until);
        }
        assert_eq!((hours, pause.since), (vec![1, 2, 4, 8, 14, 20], start));
    }
}
