//! Names of things, parsed once at the edge. An error names the kind and never the value.

use std::fmt;

use sha2::{Digest, Sha256};

/// A text was not the id that it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(pub &'static str);

/// The pattern of an id (ECMA-262, as in JSON Schema) is what the API description shows; every text that matches it
/// is valid, and every valid one matches it.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, |$s:ident| $valid:expr, $pattern:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("pattern" = $pattern)))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                let $s: &str = &value;
                if $valid { Ok(Self(value)) } else { Err(InvalidId(stringify!($name))) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

/// Meta writes its object ids as decimal digits; they are opaque to us, and so short that they fit
/// into any key.
fn is_meta_id(s: &str) -> bool {
    !s.is_empty() && s.len() <= 64 && s.bytes().all(|b| b.is_ascii_digit())
}

/// Some texts are bounded in bytes, which a pattern cannot say: it says what is shorter in any language.
#[cfg(feature = "openapi")]
const TEXT_512: &str = r"^[^\x00-\x1f\x7f-\x9f]{1,512}$";
#[cfg(feature = "openapi")]
const TEXT_1000: &str = r"^[^\x00-\x1f\x7f-\x9f]{1,1000}$";
#[cfg(feature = "openapi")]
const META_ID: &str = "^[0-9]{1,64}$";
#[cfg(feature = "openapi")]
const NAME: &str = "^[A-Za-z0-9_-]{1,64}$";

fn is_name(s: &str, longest: usize) -> bool {
    !s.is_empty()
        && s.len() <= longest
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

id! {
    /// The partner's own id for one customer account in its product; tenancy is by bot.
    BotId, |s| is_name(s, 64), NAME
}
id! {
    /// What bots call a language model of the deployment.
    ModelName, |s| !s.is_empty() && s.len() <= 64
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')),
        "^[A-Za-z0-9._-]{1,64}$"
}
id! {
    /// A WhatsApp Business Account, today the Messaging Account of the same id.
    WabaId, |s| is_meta_id(s), META_ID
}
id! {
    /// A business phone number, as Meta names it in paths (not the number itself).
    PhoneNumberId, |s| is_meta_id(s), META_ID
}
id! {
    /// A business portfolio.
    BusinessId, |s| is_meta_id(s), META_ID
}
id! {
    /// A credit allocation, the proof that our credit line pays for a client.
    AllocationId, |s| is_meta_id(s), META_ID
}
id! {
    /// One message, as WhatsApp names it: usually `wamid.` and an opaque tail; no form and no length
    /// is promised, so only what would not fit a key is refused.
    Wamid, |s| !s.is_empty() && s.len() <= 1000 && !s.contains(char::is_control), TEXT_1000
}
id! {
    /// A customer's business-scoped user id: two-letter country, dot, up to 128 letters or digits
    /// (`GB.ENT.…` for the parent id). Opaque and case-sensitive.
    Bsuid, |s| s.len() > 3 && s.len() <= 160 && s.as_bytes()[..2].iter().all(u8::is_ascii_uppercase)
        && s.as_bytes()[2] == b'.' && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'), r"^[A-Z]{2}\.[A-Za-z0-9.]{1,157}$"
}
id! {
    /// A customer's phone number in Meta's form: digits only. Shown by its last two digits.
    WaId, |s| (5..=20).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()), "^[0-9]{5,20}$"
}
id! {
    /// One onboarding. Made from the signup code's hash, so that the same code finds it again.
    OnboardingId, |s| s.starts_with("ob_") && is_name(s, 64), "^ob_[A-Za-z0-9_-]{0,61}$"
}
id! {
    /// The undoing of one onboarding.
    OffboardingId, |s| s.starts_with("off_") && is_name(s, 68), "^off_[A-Za-z0-9_-]{0,64}$"
}
id! {
    /// What one client business granted to one bot: `{botId}.{businessId}`.
    GrantId, |s| s.len() <= 160 && s.split_once('.').is_some_and(|(bot, business)| is_name(bot, 64) && is_meta_id(business)), r"^[A-Za-z0-9_-]{1,64}\.[0-9]{1,64}$"
}
id! {
    /// A message template in one language.
    TemplateId, |s| is_meta_id(s), META_ID
}
id! {
    /// The name that a template's languages share. Meta allows lower-case letters, digits and underscores in new
    /// ones (template management, 2026); only what would not fit a key is refused.
    TemplateName, |s| !s.is_empty() && s.len() <= 512 && !s.contains(char::is_control), TEXT_512
}
id! {
    /// A file at Meta: one that a customer sent (known there for 7 days), or one that we uploaded (30 days). Digits
    /// so far; nothing is promised, so only what would not fit into keys and addresses is refused.
    MediaId, |s| is_name(s, 128), "^[A-Za-z0-9_-]{1,128}$"
}
id! {
    /// One message in our records: the wamid of an incoming one, our own intent id of an outgoing one.
    MessageId, |s| !s.is_empty() && s.len() <= 1000 && !s.contains(char::is_control), TEXT_1000
}
id! {
    /// One event that the partner's software is told: the same however often it is told.
    EventId, |s| s.starts_with("evt_") && is_name(s, 64), "^evt_[A-Za-z0-9_-]{0,60}$"
}
id! {
    /// One address that wants to be told of a bot's events.
    SubscriptionId, |s| s.starts_with("sub_") && is_name(s, 64), "^sub_[A-Za-z0-9_-]{0,60}$"
}
id! {
    /// A subscription with its bot: `{botId}.{subscriptionId}`.
    SubscriptionKey, |s| s.split_once('.').is_some_and(|(bot, id)| is_name(bot, 64) && id.parse::<SubscriptionId>().is_ok()), r"^[A-Za-z0-9_-]{1,64}\.sub_[A-Za-z0-9_-]{0,60}$"
}
id! {
    /// One client and one customer: `{phoneNumberId}.{customer}`.
    ConversationId, |s| s.len() <= 300 && s.split_once('.').is_some_and(|(phone, rest)| is_meta_id(phone) && !rest.is_empty()), r"^[0-9]{1,64}\..{1,298}$"
}

shown!(
    BotId,
    WabaId,
    PhoneNumberId,
    BusinessId,
    AllocationId,
    Wamid,
    Bsuid,
    OnboardingId,
    OffboardingId,
    GrantId,
    TemplateId,
    TemplateName,
    ModelName,
    MediaId,
    EventId,
    SubscriptionId,
    SubscriptionKey,
    MessageId
);

impl fmt::Display for WaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", &self.0[self.0.len() - 2..])
    }
}
impl fmt::Debug for WaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaId(…{})", &self.0[self.0.len() - 2..])
    }
}

// A conversation may be keyed by a phone number: it shows the client's id only.
impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.…", self.phone_number_id())
    }
}
impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConversationId({self})")
    }
}

/// How many hex digits of a SHA-256 name a thing that we made: 128 bits, out of collision's reach.
const HASH_DIGITS: usize = 32;

fn short_hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(HASH_DIGITS);
    digits
}

impl OnboardingId {
    /// The onboarding that this signup code starts. The hash does not lead back to the code.
    #[must_use]
    pub fn of_code(code: &super::secret::SignupCode) -> Self {
        Self(format!("ob_{}", short_hash(&[b"signup code", code.expose().as_bytes()])))
    }
}

impl OffboardingId {
    /// The undoing of this onboarding.
    #[must_use]
    pub fn of(onboarding: &OnboardingId) -> Self {
        Self(format!("off_{onboarding}"))
    }
}

impl GrantId {
    /// The grant of this business to this bot.
    #[must_use]
    pub fn new(bot: &BotId, business: &BusinessId) -> Self {
        Self(format!("{bot}.{business}"))
    }
}

impl EventId {
    /// The event of this kind that a change of a record is.
    #[must_use]
    pub fn of_change(change: &str, kind: &str) -> Self {
        Self(format!("evt_{}", short_hash(&[change.as_bytes(), kind.as_bytes()])))
    }

    /// An event that no change of a record is.
    #[must_use]
    pub fn random(random: [u8; 16]) -> Self {
        Self(format!("evt_{}", hex::encode(random)))
    }
}

impl SubscriptionId {
    /// A subscription asked for with an idempotency key: the same call finds the same one.
    #[must_use]
    pub fn of_request(caller: &str, bot: &BotId, key: &str) -> Self {
        Self(format!("sub_{}", short_hash(&[caller.as_bytes(), bot.0.as_bytes(), key.as_bytes()])))
    }

    /// A subscription asked for without an idempotency key.
    #[must_use]
    pub fn random(random: [u8; 16]) -> Self {
        Self(format!("sub_{}", hex::encode(random)))
    }
}

impl SubscriptionKey {
    /// This bot's subscription.
    #[must_use]
    pub fn new(bot: &BotId, id: &SubscriptionId) -> Self {
        Self(format!("{bot}.{id}"))
    }

    /// The bot's half.
    #[must_use]
    pub fn bot_id(&self) -> BotId {
        BotId(self.halves().0.to_owned())
    }

    /// The subscription's half.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        SubscriptionId(self.halves().1.to_owned())
    }

    fn halves(&self) -> (&str, &str) {
        self.0.split_once('.').expect("checked when it was made")
    }
}

impl MessageId {
    /// The one answer to an incoming message: made from the question, so that a second try finds the first.
    #[must_use]
    pub fn answer_to(question: &Self) -> Self {
        Self(format!("ans_{}", short_hash(&[question.0.as_bytes()])))
    }

    /// A message asked for by a caller with an idempotency key: the same call finds the same message.
    #[must_use]
    pub fn of_request(caller: &str, key: &str) -> Self {
        Self(format!("msg_{}", short_hash(&[caller.as_bytes(), key.as_bytes()])))
    }

    /// A message asked for without an idempotency key.
    #[must_use]
    pub fn random(random: [u8; 16]) -> Self {
        Self(format!("msg_{}", hex::encode(random)))
    }

    /// Whether the id has the form of one of ours, which Meta carries for us in `biz_opaque_callback_data`.
    #[must_use]
    pub fn is_intent(&self) -> bool {
        ["ans_", "msg_"].iter().any(|prefix| {
            self.0
                .strip_prefix(prefix)
                .is_some_and(|tail| tail.len() == HASH_DIGITS && tail.bytes().all(|b| b.is_ascii_hexdigit()))
        })
    }
}

impl From<Wamid> for MessageId {
    fn from(wamid: Wamid) -> Self {
        Self(wamid.0)
    }
}

impl ConversationId {
    /// The conversation of this client with this customer.
    #[must_use]
    pub fn new(phone_number_id: &PhoneNumberId, customer: &super::conversation::CustomerKey) -> Self {
        Self(format!("{phone_number_id}.{}", customer.as_ref()))
    }

    /// The client's half.
    #[must_use]
    pub fn phone_number_id(&self) -> PhoneNumberId {
        let (phone, _) = self.0.split_once('.').expect("checked when it was made");
        PhoneNumberId(phone.to_owned())
    }

    /// Meta's id of the group, where the other half is one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.0.split_once('.')?.1.strip_prefix(super::conversation::GROUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_wrong_form_is_refused_and_not_repeated() {
        assert_eq!("a b".parse::<BotId>().unwrap_err().to_string(), "not a valid BotId");
        assert!("12a".parse::<WabaId>().is_err());
        assert!("".parse::<PhoneNumberId>().is_err());
        assert!("15550100123".parse::<Bsuid>().is_err());
        assert!("x".repeat(65).parse::<BotId>().is_err());
    }

    #[test]
    fn a_phone_number_shows_its_last_two_digits_only() {
        let wa_id: WaId = "15550100123".parse().unwrap();
        assert_eq!(format!("{wa_id} {wa_id:?}"), "…23 WaId(…23)");
        let conversation = ConversationId::new(
            &"117".parse().unwrap(),
            &crate::domain::conversation::CustomerKey::from(&wa_id),
        );
        assert!(!format!("{conversation} {conversation:?}").contains("0100"));
    }

    #[test]
    fn made_ids_parse_as_what_they_are() {
        let id = MessageId::answer_to(&"wamid.X".parse().unwrap());
        assert!(id.is_intent());
        assert!(!"wamid.X".parse::<MessageId>().unwrap().is_intent());
        let grant = GrantId::new(&"demo-bakery".parse().unwrap(), &"339".parse().unwrap());
        assert_eq!(grant.as_ref().parse::<GrantId>().unwrap(), grant);
    }

    proptest::proptest! {
        #[test]
        fn a_parsed_id_prints_as_it_was(s in "\\PC{0,80}") {
            if let Ok(id) = s.parse::<BotId>() { assert_eq!(id.to_string(), s); }
            if let Ok(id) = s.parse::<Bsuid>() { assert_eq!(id.to_string(), s); }
        }
    }
}
