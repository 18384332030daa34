//! What must never be seen. None of these has `Display`, `Serialize` or `PartialEq`; `Debug` is redacted, and the
//! memory is wiped when the value is dropped.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::ids::{InvalidId, ModelName};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, |$s:ident| $valid:expr, $pattern:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("pattern" = $pattern)))]
        #[serde(try_from = "String")]
        pub struct $name(#[cfg_attr(feature = "openapi", schemars(with = "String"))] SecretString);

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::try_from(wiped(value))
            }
        }

        impl TryFrom<SecretString> for $name {
            type Error = InvalidId;
            fn try_from(value: SecretString) -> Result<Self, InvalidId> {
                let $s: &str = value.expose_secret();
                if $valid { Ok(Self(value)) } else { Err(InvalidId(stringify!($name))) }
            }
        }

        impl $name {
            /// The only way out; inside the crate only, for adapters, sealing and hashing.
            pub(crate) fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }
    };
}

/// A text as a secret, and its buffer wiped. To let the buffer shrink to its text instead could move the text and
/// leave a copy behind.
#[must_use]
pub fn wiped(mut text: String) -> SecretString {
    let secret = SecretString::from(Box::<str>::from(text.as_str()));
    text.zeroize();
    secret
}

fn fits_a_header(s: &str) -> bool {
    !s.is_empty() && s.len() <= 4096 && s.bytes().all(|b| b.is_ascii_graphic())
}

secret! {
    /// A business token or our system user token: visible ASCII, so that it fits in a header.
    AccessToken, |s| fits_a_header(s), "^[!-~]{1,4096}$"
}
secret! {
    /// The app secret: key of webhook signatures and of `appsecret_proof`.
    AppSecret, |s| fits_a_header(s), "^[!-~]{1,4096}$"
}
secret! {
    /// The word that Meta repeats in the verification handshake.
    VerifyToken, |s| fits_a_header(s), "^[!-~]{1,4096}$"
}
secret! {
    /// The code that Embedded Signup hands to the page: lives 30 s, works once
    /// (Meta, Embedded Signup implementation, 2026-06-28).
    SignupCode, |s| fits_a_header(s), "^[!-~]{1,4096}$"
}
secret! {
    /// A two-step verification PIN: exactly six digits, kept as text
    /// (Meta, registration of business phone numbers, 2026-09).
    Pin, |s| s.len() == 6 && s.bytes().all(|b| b.is_ascii_digit()), "^[0-9]{6}$"
}
secret! {
    /// The key of a language model's endpoint.
    ModelKey, |s| fits_a_header(s), "^[!-~]{1,4096}$"
}

secret! {
    /// What signs the events of a subscription, as Standard Webhooks writes it: `whsec_` and the base64 of 24 to 64
    /// bytes (Standard Webhooks specification, "Signature scheme", 2026).
    EventSecret, |s| event_key(s).is_some(), "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$"
}

/// The bytes of an event secret.
fn event_key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

impl EventSecret {
    /// A secret of 32 bytes of a CSPRNG.
    ///
    /// # Panics
    /// Never: 32 bytes are within the bounds.
    #[must_use]
    pub fn from_random(random: [[u8; 16]; 2]) -> Self {
        Self::try_from(format!("whsec_{}", STANDARD.encode(random.as_flattened()))).expect("32 bytes")
    }

    /// The secret as text, for the one answer that shows it to whoever made it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.expose()
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        event_key(self.expose()).expect("checked when it was made")
    }
}

/// The keys of the language models: one key, or one for each model's name as a JSON object.
#[derive(Debug, Clone)]
pub enum ModelKeys {
    /// For the first model, and for others at the same address.
    One(ModelKey),
    /// By the models' names.
    ByName(BTreeMap<ModelName, ModelKey>),
}

impl TryFrom<String> for ModelKeys {
    type Error = InvalidId;

    fn try_from(value: String) -> Result<Self, InvalidId> {
        if value.starts_with('{') {
            let value = Zeroizing::new(value);
            return serde_json::from_str(&value).map(Self::ByName).map_err(|_| InvalidId("ModelKeys"));
        }
        ModelKey::try_from(value).map(Self::One)
    }
}

/// A secret of which two values may be good at once, while it is changed: what comes in may bear either, and what goes
/// out bears the current one.
#[derive(Debug, Clone)]
pub struct Rotating<T> {
    current: T,
    other: Option<T>,
}

impl<T> Rotating<T> {
    /// One value: nothing is being changed.
    #[must_use]
    pub fn one(current: T) -> Self {
        Self { current, other: None }
    }

    /// The current one.
    #[must_use]
    pub fn current(&self) -> &T {
        &self.current
    }

    /// The same, for who has no use for the other one.
    #[must_use]
    pub fn into_current(self) -> T {
        self.current
    }

    /// The good ones, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.current).chain(&self.other)
    }
}

/// As the store holds it: the secret itself, or a JSON list of one or two, the current one first
/// (`["new","old"]`).
impl<T: TryFrom<String, Error = InvalidId>> TryFrom<String> for Rotating<T> {
    type Error = InvalidId;

    fn try_from(value: String) -> Result<Self, InvalidId> {
        if !value.starts_with("[\"") {
            return T::try_from(value).map(Self::one);
        }
        let value = Zeroizing::new(value);
        let wrong = |_| InvalidId("list of one or two secrets");
        let mut values: Vec<String> = serde_json::from_str(&value).map_err(wrong)?;
        if values.len() > 2 {
            values.zeroize();
            return Err(InvalidId("list of one or two secrets"));
        }
        let other = (values.len() == 2).then(|| values.pop()).flatten();
        let current = values.pop().ok_or(InvalidId("list of one or two secrets"))?;
        let (current, other) = (T::try_from(current), other.map(T::try_from).transpose());
        Ok(Self { current: current?, other: other? })
    }
}

impl Rotating<VerifyToken> {
    /// Whether `given` is one of the words. Takes the same time whichever it is.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        self.iter().fold(false, |matches, token| matches | token.matches(given))
    }
}

impl VerifyToken {
    /// Whether `given` is the word. Takes the same time wherever it differs.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        self.expose().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Pin {
    /// A PIN from random bytes of a CSPRNG. The remainder favours some PINs by less than 1 in 10^13.
    ///
    /// # Panics
    /// Never: the number has six digits.
    #[must_use]
    pub fn from_random(random: [u8; 8]) -> Self {
        let number = u64::from_be_bytes(random) % 1_000_000;
        Self::try_from(format!("{number:06}")).expect("six digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        let token = AccessToken::try_from("EAAsecret".to_owned()).unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn models_have_one_key_or_one_by_name() {
        let keys = |text: &str| ModelKeys::try_from(text.to_owned());
        assert!(matches!(keys("sk-1"), Ok(ModelKeys::One(key)) if key.expose() == "sk-1"));
        let Ok(ModelKeys::ByName(by_name)) = keys(r#"{"fast": "sk-1", "deep": "sk-2"}"#) else {
            unreachable!("an object is keys by name")
        };
        assert_eq!(by_name[&"deep".parse().unwrap()].expose(), "sk-2");
        for wrong in ["", "two words", "{\"a b\": \"sk\"}", "{\"fast\": 7}", "{"] {
            assert!(keys(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_one_value_or_a_list_of_two() {
        let known = |text: &str| {
            let secrets = Rotating::<AppSecret>::try_from(text.to_owned())?;
            Ok::<_, InvalidId>(secrets.iter().map(|it| it.expose().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(known("plain").unwrap(), ["plain"]);
        assert_eq!(known("[odd]").unwrap(), ["[odd]"], "a value that only begins like a list");
        assert_eq!(known(r#"["new"]"#).unwrap(), ["new"]);
        assert_eq!(known(r#"["new","old"]"#).unwrap(), ["new", "old"]);
        for wrong in ["", r#"["new","old","older"]"#, r#"["new","two words"]"#, r#"["new""#, r#"["new",7]"#] {
            let error = known(wrong).unwrap_err().to_string();
            assert!(!error.contains("new"), "{error}");
        }
    }

    #[test]
    fn either_of_two_verify_tokens_matches() {
        let tokens = Rotating::<VerifyToken>::try_from(r#"["new","old"]"#.to_owned()).unwrap();
        assert!(tokens.matches("new") && tokens.matches("old") && !tokens.matches("other"));
    }

    #[test]
    fn a_pin_is_six_digits() {
        for bad in ["12345", "1234567", "12345a", ""] {
            assert!(Pin::try_from(bad.to_owned()).is_err());
        }
        assert_eq!(Pin::from_random([0; 8]).expose(), "000000");
        assert_eq!(Pin::from_random([255; 8]).expose().len(), 6);
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        assert!(AccessToken::try_from("EAA\r\nX: y".to_owned()).is_err());
    }
}
