//! Ids, tokens and codes in the shapes that Meta uses. They are random, so that a simulator that was reset
//! never repeats an id that a backend still remembers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    getrandom::fill(&mut buffer).expect("the operating system has a source of randomness");
    buffer
}

/// `length` letters and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    (0..length).map(|_| char::from(LETTERS_AND_DIGITS[below(62)])).collect()
}

/// A number from 0 to `limit` - 1; the slight bias of the remainder does not matter here.
pub(crate) fn below(limit: u32) -> usize {
    (u32::from_le_bytes(bytes()) % limit) as usize
}

/// An object id: 15 digits, the first never 0.
pub(crate) fn object_id() -> String {
    let digits = u64::from_le_bytes(bytes()) % 900_000_000_000_000;
    (100_000_000_000_000 + digits).to_string()
}

/// An access token. Every token that Meta gives begins with `EAA`.
pub(crate) fn token() -> String {
    format!("EAA{}", alphanumeric(117))
}

/// A signup code: opaque and long, as Meta's are.
pub(crate) fn code() -> String {
    format!("AQ{}", alphanumeric(160))
}

/// The trace id of an error.
pub(crate) fn trace_id() -> String {
    format!("A{}", alphanumeric(22))
}

/// A message id: `wamid.` and base64 that holds the other side's number, as seen at Meta.
pub(crate) fn wamid(customer: &str) -> String {
    let mut inner = vec![0x1d, 0x04];
    inner.push(u8::try_from(customer.len()).unwrap_or(u8::MAX));
    inner.extend_from_slice(customer.as_bytes());
    inner.extend_from_slice(&[0x15, 0x02, 0x00, 0x11, 0x18, 0x12]);
    inner.extend_from_slice(hex::encode_upper(bytes::<10>()).as_bytes());
    inner.push(0);
    format!("wamid.{}", STANDARD.encode(inner))
}

/// A phone number for fiction: `+1 NXX-555-01XX`.
pub(crate) fn display_phone_number() -> String {
    format!("+1 {}-555-01{:02}", 201 + below(700), below(100))
}
