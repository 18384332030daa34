//! Of all headers, one is right.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::secret::AppSecret;
use crate::domain::signature::verify;

const KEY: &str = "not-a-real-app-secret";
/// `sha256=` and 64 digits.
const LENGTH: usize = 71;

/// Any header (the first 71 bytes) with any body (the rest): accepted is exactly the right one.
pub fn signature(input: &[u8]) {
    let secret = AppSecret::try_from(KEY.to_owned()).expect("visible ASCII");
    let (header, body) = input.split_at(input.len().min(LENGTH));
    let header = String::from_utf8_lossy(header);
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    mac.update(body);
    let right = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let is_accepted = |header: Option<&str>, body: &[u8]| verify(&secret, header, body).is_ok();
    assert_eq!(is_accepted(Some(&header), body), *header == *right);
    assert!(is_accepted(Some(&right), body) && !is_accepted(None, body));
    // Wherever the right one is changed, however little, it is wrong.
    let place = usize::from(input.first().copied().unwrap_or_default()) % LENGTH;
    let changed = |change: u8| {
        let mut bytes = right.clone().into_bytes();
        bytes[place] ^= change;
        String::from_utf8(bytes).expect("ASCII")
    };
    for other in [
        changed(1),
        changed(0x20),
        right[..place].to_owned(),
        format!("{right}{header}0"),
        format!("{header} {right}"),
        right.to_uppercase(),
    ] {
        // Digits have no case: changing it may leave the right one.
        assert_eq!(is_accepted(Some(&other), body), other == right, "{other}");
    }
    let longer = [body, b" "].concat();
    assert!(!is_accepted(Some(&right), &longer));
}
