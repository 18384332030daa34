//! Sealing as KMS does it, with a key that protects nothing: for tests only.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::steps::Steps;
use crate::domain::seal::{SealContext, Sealed};
use crate::domain::secret::wiped;
use crate::error::StoreError;
use crate::ports::Seal;

const NONCE: usize = 8;
const TAG: usize = 32;
/// What KMS takes at most (AWS, KMS `Encrypt`, 2026).
const LONGEST: usize = 4096;

/// Seals with a keystream and a tag over plaintext and context, so that a changed byte or another
/// context does not open. Every sealing differs, as with KMS.
#[derive(Debug, Default)]
pub struct FakeSeal {
    steps: Steps,
    sealed: AtomicU64,
}

impl FakeSeal {
    /// One whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, sealed: AtomicU64::new(0) }
    }

    /// What was sealed, if it was for this context; not a call.
    #[must_use]
    pub fn opened(&self, sealed: &Sealed, context: SealContext<'_>) -> Option<String> {
        decrypt(sealed.ciphertext(), context).ok().map(|opened| opened.expose_secret().to_owned())
    }
}

impl Seal for FakeSeal {
    async fn seal(&self, secret: &str, context: SealContext<'_>) -> Result<Sealed, StoreError> {
        let sealed = self.steps.pass("seal", || self.encrypt(secret.as_bytes(), context)).await;
        sealed.map_err(|e| StoreError::service("seal", e))?
    }

    async fn open(&self, sealed: &Sealed, context: SealContext<'_>) -> Result<SecretString, StoreError> {
        let opened = self.steps.pass("open", || decrypt(sealed.ciphertext(), context)).await;
        opened.map_err(|e| StoreError::service("open", e))?
    }
}

impl FakeSeal {
    fn encrypt(&self, secret: &[u8], context: SealContext<'_>) -> Result<Sealed, StoreError> {
        if secret.len() > LONGEST {
            return Err(StoreError::service("seal", "more than 4096 bytes"));
        }
        let nonce = self.sealed.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut out = nonce.to_vec();
        out.extend(tag(&nonce, secret, context));
        out.extend(xor(&nonce, secret, context));
        Ok(Sealed::new(out))
    }
}

fn decrypt(ciphertext: &[u8], context: SealContext<'_>) -> Result<SecretString, StoreError> {
    let unsealable = |why: &'static str| StoreError::Unsealable(why.into());
    if ciphertext.len() < NONCE + TAG {
        return Err(unsealable("too short"));
    }
    let (nonce, rest) = ciphertext.split_at(NONCE);
    let (stored_tag, body) = rest.split_at(TAG);
    let secret = xor(nonce, body, context);
    if tag(nonce, &secret, context) != stored_tag {
        return Err(unsealable("the tag does not match"));
    }
    String::from_utf8(secret).map(wiped).map_err(|_| unsealable("not text"))
}

fn tag(nonce: &[u8], secret: &[u8], context: SealContext<'_>) -> Vec<u8> {
    mac(&[b"tag", nonce, secret], context)
}

fn xor(nonce: &[u8], bytes: &[u8], context: SealContext<'_>) -> Vec<u8> {
    let blocks = (0u64..).flat_map(|block| mac(&[b"stream", nonce, &block.to_be_bytes()], context));
    bytes.iter().zip(blocks).map(|(byte, key)| byte ^ key).collect()
}

fn mac(parts: &[&[u8]], context: SealContext<'_>) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a key for tests").expect("HMAC takes keys of any length");
    let pairs = context.pairs();
    let pairs = pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    for part in parts.iter().copied().chain(pairs) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
