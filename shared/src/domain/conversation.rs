//! One client and one customer.

use std::time::Duration;

use super::Timestamp;
use super::ids::{BotId, Bsuid, ConversationId, InvalidId, PhoneNumberId, WaId};
use super::message::{number_key, time_key};

/// How long a customer's message opens the customer service window (Meta, pricing, 2026-08-25).
pub const SERVICE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// How long everything is free after the answer to a customer who came by a free entry point: an ad that opens
/// WhatsApp, or the button of a page (Meta, pricing, 2026-08-25).
pub const FREE_ENTRY_POINT: Duration = Duration::from_secs(72 * 60 * 60);

/// The names under which a customer was seen. Of a person at least one of the first two is there.
#[derive(Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomerNames {
    /// Phone; absent for people with a username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<WaId>,
    /// Business-scoped user id; absent in webhooks before April 2026.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bsuid: Option<Bsuid>,
    /// The id that spans portfolios which Meta has linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_bsuid: Option<Bsuid>,
    /// Without the `@`. The customer may change it at any time, so nothing is found by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The profile's name: any text of the customer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Shows the ids only: what customers call themselves belongs into no log.
impl std::fmt::Debug for CustomerNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerNames")
            .field("wa_id", &self.wa_id)
            .field("bsuid", &self.bsuid)
            .finish_non_exhaustive()
    }
}

impl CustomerNames {
    /// What `?customer=` takes: the phone where it is known, else the BSUID; nobody for a group.
    #[must_use]
    pub fn best(&self) -> Option<&str> {
        self.wa_id.as_ref().map(AsRef::as_ref).or(self.bsuid.as_ref().map(AsRef::as_ref))
    }

    /// The names as aliases, the better key first.
    #[must_use]
    pub fn aliases(&self) -> Vec<CustomerKey> {
        let bsuid = self.bsuid.as_ref().map(CustomerKey::from);
        bsuid.into_iter().chain(self.wa_id.as_ref().map(CustomerKey::from)).collect()
    }

    /// With what the other knows besides.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            wa_id: self.wa_id.or(other.wa_id),
            bsuid: self.bsuid.or(other.bsuid),
            parent_bsuid: self.parent_bsuid.or(other.parent_bsuid),
            username: self.username.or(other.username),
            name: self.name.or(other.name),
        }
    }

    /// With what an older word on the same customer knew besides: what Meta leaves out is unknown, not gone.
    /// Only with the number or id itself changed the others of the two are gone as well: Meta makes a new id
    /// when the number changes (business-scoped user ids, 2026-08-24).
    #[must_use]
    fn over(&self, older: &Self) -> Self {
        fn differ<T: PartialEq>(new: Option<&T>, old: Option<&T>) -> bool {
            new.is_some() && old.is_some() && new != old
        }
        let mut older = older.clone();
        if differ(self.wa_id.as_ref(), older.wa_id.as_ref())
            || differ(self.bsuid.as_ref(), older.bsuid.as_ref())
        {
            (older.wa_id, older.bsuid, older.parent_bsuid) = (None, None, None);
        }
        self.clone().or(older)
    }
}

/// The name that a conversation is kept under: the first one that we knew the customer by, the BSUID
/// where there was one.
#[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomerKey(String);

impl TryFrom<String> for CustomerKey {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        if value.parse::<WaId>().is_ok() || value.parse::<Bsuid>().is_ok() || is_group(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidId("CustomerKey"))
        }
    }
}

/// What a group's key begins with.
pub(super) const GROUP: &str = "group:";

/// A group has its own key, so that a participant's private chat stays apart from it.
fn is_group(s: &str) -> bool {
    s.strip_prefix(GROUP)
        .is_some_and(|id| !id.is_empty() && id.len() <= 200 && !id.contains(char::is_control))
}

impl CustomerKey {
    /// A name as callers give it: a phone may begin with a plus sign, which an address shows as a blank.
    ///
    /// # Errors
    /// [`InvalidId`] if nobody can be called so.
    pub fn given(name: &str) -> Result<Self, InvalidId> {
        Self::try_from(name.trim_start_matches(['+', ' ']).to_owned())
    }

    /// A group chat, by Meta's group id.
    ///
    /// # Errors
    /// [`InvalidId`] if the id would not fit a key.
    pub fn group(group_id: &str) -> Result<Self, InvalidId> {
        Self::try_from(format!("{GROUP}{group_id}"))
    }
}

impl From<&WaId> for CustomerKey {
    fn from(id: &WaId) -> Self {
        Self(id.as_ref().to_owned())
    }
}
impl From<&Bsuid> for CustomerKey {
    fn from(id: &Bsuid) -> Self {
        Self(id.as_ref().to_owned())
    }
}
impl From<CustomerKey> for String {
    fn from(key: CustomerKey) -> String {
        key.0
    }
}
impl AsRef<str> for CustomerKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomerKey(…)")
    }
}

/// What is kept of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The key.
    pub id: ConversationId,
    /// The bot that the client belongs to.
    pub bot_id: BotId,
    /// The client.
    pub phone_number_id: PhoneNumberId,
    /// How the customer can be addressed, from the newest word by or about them; older ones fill what it leaves
    /// open. In a group the participant who wrote last.
    pub customer: CustomerNames,
    /// Meta's time of that word; `None` = we have only what the business called them.
    pub named_at: Option<Timestamp>,
    /// Meta's time of the newest message either way.
    pub last_message_at: Timestamp,
    /// Until when free-form messages may be sent; `None` = the customer never wrote.
    pub window_ends_at: Option<Timestamp>,
    /// Meta's time of the newest message that says that the customer came from an ad or a post.
    pub referred_at: Option<Timestamp>,
    /// Until when everything is free, because the business answered such a message in time.
    pub free_until: Option<Timestamp>,
    /// Until when the bot is silent because a person writes.
    pub paused_until: Option<Timestamp>,
    /// When the bot last said that nobody is there.
    pub away_at: Option<Timestamp>,
    /// What Meta says of the customer as a recipient.
    pub marks: RecipientMarks,
}

impl Conversation {
    /// Sorts conversations by their newest message.
    #[must_use]
    pub fn time_key(&self) -> String {
        time_key(self.last_message_at, self.id.as_ref())
    }

    /// Takes one more message into account. Order and repetition do not matter.
    pub fn take(&mut self, touch: &ConversationTouch) {
        if touch.at >= self.last_message_at {
            self.last_message_at = touch.at;
            self.bot_id = touch.bot_id.clone();
        }
        if touch.by.tells_names() {
            let is_newest = Some(touch.at) >= self.named_at;
            self.customer = match (is_newest, self.id.group()) {
                (true, None) => touch.customer.over(&self.customer),
                // The names of different people do not mix.
                (true, Some(_)) => touch.customer.clone(),
                (false, None) => self.customer.over(&touch.customer),
                (false, Some(_)) => self.customer.clone(),
            };
            self.named_at = self.named_at.max(Some(touch.at));
        }
        if touch.by.opens_the_window() {
            self.window_ends_at = self.window_ends_at.max(Some(touch.at + SERVICE_WINDOW));
        }
        match touch.by {
            TouchedBy::ReferredCustomer => self.referred_at = self.referred_at.max(Some(touch.at)),
            TouchedBy::Business => self.free_until = self.free_until.max(self.freed_by(touch.at)),
            TouchedBy::Customer | TouchedBy::About => {}
        }
    }

    /// Until when a message of the business at this time makes everything free: the first answer within 24 hours
    /// to a customer who came from an ad or a post. Whether they came on a phone, as Meta wants, is not told.
    fn freed_by(&self, at: Timestamp) -> Option<Timestamp> {
        let referred_at = self.referred_at?;
        let is_answered = self.free_until.is_some_and(|until| until - FREE_ENTRY_POINT >= referred_at);
        let is_in_time = (referred_at..referred_at + SERVICE_WINDOW).contains(&at);
        (is_in_time && !is_answered).then(|| at + FREE_ENTRY_POINT)
    }

    /// Until when everything is free if the business writes now: that may be the answer which makes it so.
    #[must_use]
    pub fn free_until_if_sent(&self, now: Timestamp) -> Option<Timestamp> {
        self.freed_by(now).max(self.free_until).filter(|until| *until > now)
    }

    /// Whether Meta could not deliver to the customer, who wrote nothing since.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let wrote_at = self.window_ends_at.map(|end| end - SERVICE_WINDOW);
        self.marks.unreachable_at > wrote_at
    }
}

/// When a pause ends that was asked for until then. Records keep milliseconds, and what is said should be what
/// is kept.
#[must_use]
pub fn pause_end(until: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(until.as_millisecond()).unwrap_or(until)
}

impl ConversationTouch {
    /// The key under which the conversations of a bot's number are listed.
    #[must_use]
    pub fn number_key(&self) -> String {
        number_key(Some(&self.bot_id), &self.id.phone_number_id())
    }
}

/// Something that Meta says of a customer as a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecipientMark {
    /// Not to be reached on WhatsApp (error 131026).
    Unreachable,
    /// Wants no marketing of the client (error 131050).
    MarketingStopped,
    /// Wants marketing of the client again.
    MarketingResumed,
}

/// When Meta last said each of it. The newer word counts, so order and repetition do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecipientMarks {
    /// [`RecipientMark::Unreachable`].
    pub unreachable_at: Option<Timestamp>,
    /// [`RecipientMark::MarketingStopped`].
    pub marketing_stopped_at: Option<Timestamp>,
    /// [`RecipientMark::MarketingResumed`].
    pub marketing_resumed_at: Option<Timestamp>,
}

impl RecipientMarks {
    /// With one more.
    pub fn put(&mut self, mark: RecipientMark, at: Timestamp) {
        let known = match mark {
            RecipientMark::Unreachable => &mut self.unreachable_at,
            RecipientMark::MarketingStopped => &mut self.marketing_stopped_at,
            RecipientMark::MarketingResumed => &mut self.marketing_resumed_at,
        };
        *known = (*known).max(Some(at));
    }

    /// Whether the customer wants no marketing; of two words at the same time, the stop counts.
    #[must_use]
    pub fn refuses_marketing(&self) -> bool {
        self.marketing_stopped_at.is_some() && self.marketing_stopped_at >= self.marketing_resumed_at
    }
}

/// What one message changes in its conversation. All of it only moves forward, so order and
/// repetition do not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationTouch {
    /// The key.
    pub id: ConversationId,
    /// The bot that the client belongs to.
    pub bot_id: BotId,
    /// How the customer can be addressed.
    pub customer: CustomerNames,
    /// Meta's time of the message.
    pub at: Timestamp,
    /// Whose doing it is.
    pub by: TouchedBy,
}

/// Whose doing a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedBy {
    /// The customer wrote or called, just now: that opens the window.
    Customer,
    /// The same, and they came from an ad or a post: the business's answer makes everything free for a while.
    ReferredCustomer,
    /// Meta's word on the customer, or the customer's own of another time or to somebody else.
    About,
    /// The business wrote. What it calls the customer counts only where nothing else is known.
    Business,
}

impl TouchedBy {
    /// Whether it says how the customer can be addressed.
    #[must_use]
    pub fn tells_names(self) -> bool {
        self != Self::Business
    }

    /// Whether it opens the customer service window.
    #[must_use]
    pub fn opens_the_window(self) -> bool {
        matches!(self, Self::Customer | Self::ReferredCustomer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_newer_word_on_marketing_counts_whatever_comes_first() {
        use RecipientMark::{MarketingResumed, MarketingStopped};
        for (words, refuses) in [
            (vec![], false),
            (vec![(MarketingStopped, 5)], true),
            (vec![(MarketingStopped, 5), (MarketingResumed, 6)], false),
            (vec![(MarketingResumed, 6), (MarketingStopped, 5), (MarketingStopped, 5)], false),
            (vec![(MarketingResumed, 5), (MarketingStopped, 5)], true),
            (vec![(MarketingStopped, 7), (MarketingResumed, 6), (MarketingStopped, 5)], true),
        ] {
            let mut marks = RecipientMarks::default();
            words.iter().for_each(|(word, second)| marks.put(*word, at(*second)));
            assert_eq!(marks.refuses_marketing(), refuses, "{words:?}");
        }
    }

    #[test]
    fn what_a_newer_word_leaves_out_is_unknown_unless_the_customer_changed_number_or_id() {
        let names = |phone: &str, id: &str, username: &str| CustomerNames {
            wa_id: phone.parse().ok(),
            bsuid: id.parse().ok(),
            username: Some(username.to_owned()).filter(|name| !name.is_empty()),
            ..CustomerNames::default()
        };
        let known = names("15550100123", "US.one", "anna");
        for (newer, merged) in [
            (names("", "US.one", ""), known.clone()),
            (names("15550100123", "", "bea"), names("15550100123", "US.one", "bea")),
            (names("15550100124", "US.one", ""), names("15550100124", "US.one", "anna")),
            (names("", "US.two", ""), names("", "US.two", "anna")),
            (names("15550100124", "", ""), names("15550100124", "", "anna")),
        ] {
            let found = newer.over(&known);
            assert!(found == merged, "{newer:?} over {known:?} is {found:?}");
        }
    }

    fn known() -> Conversation {
        Conversation {
            id: ConversationId::new(
                &"531974795124266".parse().unwrap(),
                &CustomerKey::try_from("15550100123".to_owned()).unwrap(),
            ),
            bot_id: "bot".parse().unwrap(),
            phone_number_id: "531974795124266".parse().unwrap(),
            customer: CustomerNames::default(),
            named_at: None,
            last_message_at: at(0),
            window_ends_at: None,
            referred_at: None,
            free_until: None,
            paused_until: None,
            away_at: None,
            marks: RecipientMarks::default(),
        }
    }

    #[test]
    fn the_first_answer_within_a_day_to_who_came_from_an_ad_makes_three_days_free() {
        use TouchedBy::{About, Business, Customer, ReferredCustomer};
        const HOUR: i64 = 3600;
        for (touches, free_until) in [
            (vec![(Business, 1)], None),
            (vec![(Customer, 0), (Business, 1)], None),
            (vec![(ReferredCustomer, 0)], None),
            (vec![(ReferredCustomer, 0), (About, 1)], None),
            (vec![(ReferredCustomer, 1), (Business, 0)], None),
            (vec![(ReferredCustomer, 0), (Business, 1)], Some(73)),
            (vec![(ReferredCustomer, 0), (Customer, 1), (Business, 23), (Business, 23)], Some(95)),
            (vec![(ReferredCustomer, 0), (Business, 24)], None),
            (vec![(ReferredCustomer, 0), (Business, 1), (Business, 5)], Some(73)),
            (vec![(ReferredCustomer, 0), (Business, 1), (ReferredCustomer, 40)], Some(73)),
            (vec![(ReferredCustomer, 0), (Business, 1), (ReferredCustomer, 40), (Business, 41)], Some(113)),
        ] {
            let mut conversation = known();
            for (by, hour) in &touches {
                let (id, bot_id) = (conversation.id.clone(), conversation.bot_id.clone());
                let (at, customer) = (at(hour * HOUR), CustomerNames::default());
                conversation.take(&ConversationTouch { id, bot_id, customer, at, by: *by });
            }
            let free_until = free_until.map(|hour| at(hour * HOUR));
            assert_eq!(conversation.free_until, free_until, "{touches:?}");
        }
        let mut waiting = known();
        waiting.referred_at = Some(at(0));
        assert_eq!(waiting.free_until_if_sent(at(HOUR)), Some(at(73 * HOUR)), "by the answer itself");
        assert_eq!(waiting.free_until_if_sent(at(24 * HOUR)), None, "too late");
        waiting.free_until = Some(at(73 * HOUR));
        assert_eq!(waiting.free_until_if_sent(at(2 * HOUR)), Some(at(73 * HOUR)));
        assert_eq!(waiting.free_until_if_sent(at(73 * HOUR)), None, "over");
    }

    #[test]
    fn who_writes_can_be_reached_again() {
        let of = |unreachable: Option<i64>, wrote: Option<i64>| Conversation {
            window_ends_at: wrote.map(|second| at(second) + SERVICE_WINDOW),
            marks: RecipientMarks { unreachable_at: unreachable.map(at), ..RecipientMarks::default() },
            ..known()
        };
        assert!(!of(None, None).is_unreachable());
        assert!(!of(None, Some(1)).is_unreachable());
        assert!(of(Some(1), None).is_unreachable());
        assert!(of(Some(2), Some(1)).is_unreachable());
        assert!(!of(Some(2), Some(3)).is_unreachable());
    }
}
