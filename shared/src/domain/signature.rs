//! The signature of a webhook: `X-Hub-Signature-256`, HMAC-SHA256 over the bytes as they came.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::{AccessToken, AppSecret, Rotating};

/// Bytes that Meta signed. Only [`verify`] makes it, so what takes it cannot run on a forged body.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a>(&'a [u8]);

impl<'a> Verified<'a> {
    /// The signed bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The signature header is missing, ill-formed or of another body or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the webhook's signature does not match")]
pub struct Forged;

/// Checks `header` (`X-Hub-Signature-256`) against `body`. It must be exactly `sha256=` and 64
/// lower-case hex digits; the comparison takes the same time wherever it fails.
///
/// # Errors
/// [`Forged`] for anything but the right value.
pub fn verify<'a>(secret: &AppSecret, header: Option<&str>, body: &'a [u8]) -> Result<Verified<'a>, Forged> {
    let digits = header.and_then(|h| h.strip_prefix("sha256=")).ok_or(Forged)?;
    if digits.len() != 64 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Forged);
    }
    let signature = hex::decode(digits).map_err(|_| Forged)?;
    let mut mac = keyed(secret);
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Forged)?;
    Ok(Verified(body))
}

/// The same where the app's secret is being changed: either signs.
///
/// # Errors
/// [`Forged`] for anything but the right value of one of them.
pub fn verify_any<'a>(
    secrets: &Rotating<AppSecret>,
    header: Option<&str>,
    body: &'a [u8],
) -> Result<Verified<'a>, Forged> {
    secrets.iter().find_map(|secret| verify(secret, header, body).ok()).ok_or(Forged)
}

/// `appsecret_proof` of a Graph call: HMAC-SHA256 of the token that the call uses, in lower-case hex
/// (Meta, Graph API, secure requests).
pub(crate) fn appsecret_proof(secret: &AppSecret, token: &AccessToken) -> String {
    let mut mac = keyed(secret);
    mac.update(token.expose().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn keyed(secret: &AppSecret) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> AppSecret {
        AppSecret::try_from("corpus-open-not-a-real-app-secret".to_owned()).unwrap()
    }

    fn signed(body: &[u8]) -> String {
        let mut mac = keyed(&secret());
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn the_right_signature_verifies() {
        let body = b"{\"object\":\"whatsapp_business_account\"}";
        assert_eq!(verify(&secret(), Some(&signed(body)), body).unwrap().bytes(), body);
    }

    #[test]
    fn anything_else_is_forged() {
        let body = b"{}";
        let right = signed(body);
        for header in [
            None,
            Some(String::new()),
            Some(right.replace("sha256=", "")),
            Some(right.replace("sha256=", "sha1=")),
            Some(right.to_uppercase()),
            Some(format!("sha256={}", right[7..].to_uppercase())),
            Some(format!("{right}0")),
            Some(right[..70].to_owned()),
            Some(signed(b"{ }")),
        ] {
            assert_eq!(verify(&secret(), header.as_deref(), body).unwrap_err(), Forged, "{header:?}");
        }
    }
}
