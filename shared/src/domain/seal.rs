//! What a sealed secret is bound to. KMS authenticates the context with the ciphertext: moved to
//! another record it does not open.

use super::ids::{GrantId, OnboardingId, PhoneNumberId, SubscriptionKey};

/// A ciphertext of KMS, as bytes.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sealed(#[serde(with = "base64_text")] Vec<u8>);

impl Sealed {
    /// Takes what KMS gave.
    #[must_use]
    pub fn new(ciphertext: Vec<u8>) -> Self {
        Self(ciphertext)
    }

    /// What KMS wants back.
    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// The record and field that a ciphertext belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealContext<'a> {
    /// The business token of a grant.
    GrantToken(&'a GrantId),
    /// The business token of an onboarding whose grant is not verified yet.
    OnboardingToken(&'a OnboardingId),
    /// The PIN that a person typed for an onboarding, before it is the client's.
    OnboardingPin(&'a OnboardingId),
    /// The PIN of a client's number.
    ClientPin(&'a PhoneNumberId),
    /// The secret that signs a subscription's events.
    SubscriptionSecret(&'a SubscriptionKey),
}

impl SealContext<'_> {
    /// The encryption context: the record under its kind's name, and the field.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 2] {
        const FIELD: &str = "switchboard:field";
        match self {
            Self::GrantToken(id) => [("switchboard:grant", id.as_ref()), (FIELD, "business_token")],
            Self::OnboardingToken(id) => [("switchboard:onboarding", id.as_ref()), (FIELD, "business_token")],
            Self::OnboardingPin(id) => [("switchboard:onboarding", id.as_ref()), (FIELD, "pin")],
            Self::ClientPin(id) => [("switchboard:client", id.as_ref()), (FIELD, "pin")],
            Self::SubscriptionSecret(key) => {
                [("switchboard:subscription", key.as_ref()), (FIELD, "signing_secret")]
            }
        }
    }
}
