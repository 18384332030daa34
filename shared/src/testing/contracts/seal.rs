use secrecy::ExposeSecret;

use super::{Ids, Must};
use crate::domain::ids::{GrantId, SubscriptionKey};
use crate::domain::seal::{SealContext, Sealed};
use crate::error::StoreError;
use crate::ports::Seal;

/// [`Seal`]: what was sealed opens under its context, up to the longest text.
pub async fn seal_contexts(seal: &impl Seal, unique: &str) {
    let ids = Ids::new("seal_contexts", unique);
    let grant = GrantId::new(&ids.bot(1), &ids.business(1));
    let (onboarding, phone) = (ids.onboarding(1), ids.phone(1));
    let subscription = SubscriptionKey::new(&ids.bot(1), &"sub_1".parse().expect("a subscription's id"));
    let longest = "é".repeat(2048);
    for context in [
        SealContext::GrantToken(&grant),
        SealContext::OnboardingToken(&onboarding),
        SealContext::OnboardingPin(&onboarding),
        SealContext::ClientPin(&phone),
        SealContext::SubscriptionSecret(&subscription),
    ] {
        for secret in ["EAAexample", "x", &longest] {
            let sealed = seal.seal(secret, context).await.must();
            let shown = sealed.ciphertext().windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(secret.len() == 1 || !shown, "the secret is readable in its ciphertext");
            assert_eq!(seal.open(&sealed, context).await.must().expose_secret(), secret);
        }
    }
}

/// [`Seal`]: a changed ciphertext, another record and another field do not open.
pub async fn seal_integrity(seal: &impl Seal, unique: &str) {
    let ids = Ids::new("seal_integrity", unique);
    let grant = GrantId::new(&ids.bot(1), &ids.business(1));
    let other = GrantId::new(&ids.bot(1), &ids.business(2));
    let onboarding = ids.onboarding(1);
    let context = SealContext::GrantToken(&grant);
    let sealed = seal.seal("EAAexample", context).await.must();
    must_not_open(seal, &sealed, SealContext::GrantToken(&other), "another grant").await;
    must_not_open(seal, &sealed, SealContext::OnboardingToken(&onboarding), "another kind of record").await;
    let pin = seal.seal("012345", SealContext::OnboardingPin(&onboarding)).await.must();
    must_not_open(seal, &pin, SealContext::OnboardingToken(&onboarding), "another field").await;
    let bytes = sealed.ciphertext();
    for index in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[index] ^= 1;
        must_not_open(seal, &Sealed::new(changed), context, "a changed byte").await;
    }
    must_not_open(seal, &Sealed::new(bytes[..bytes.len() - 1].to_vec()), context, "cut off").await;
    must_not_open(seal, &Sealed::new(b"not a ciphertext".to_vec()), context, "something else").await;
}

async fn must_not_open(seal: &impl Seal, sealed: &Sealed, context: SealContext<'_>, what: &str) {
    match seal.open(sealed, context).await {
        Err(StoreError::Unsealable(_)) => {}
        Err(other) => panic!("{what} is refused, but as a failing service: {other}"),
        Ok(_) => panic!("{what} opens"),
    }
}
