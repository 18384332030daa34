//! The bytes that a record was made from, kept so that everything can be replayed.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sha2::{Digest, Sha256};

/// Up to this size raw JSON stays readable in its record.
const PLAIN_LIMIT: usize = 4 * 1024;
/// Above this size (compressed) raw bytes do not fit beside the rest of one DynamoDB item (400 KB).
pub const PART_SIZE: usize = 300 * 1024;
/// No webhook is larger than 3 MB (Meta, webhooks overview); what unpacks to more is not ours.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Raw bytes in the form in which a record holds them.
#[derive(Clone, PartialEq, Eq)]
pub enum Raw {
    /// As they were; valid UTF-8.
    Plain(String),
    /// Compressed.
    Gzip(Vec<u8>),
    /// Compressed, in numbered parts under the SHA-256 of the raw bytes.
    Parts(PartList),
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(text) => write!(f, "Plain({} bytes)", text.len()),
            Self::Gzip(bytes) => write!(f, "Gzip({} bytes)", bytes.len()),
            Self::Parts(list) => write!(f, "Parts({}, {})", list.sha256, list.count),
        }
    }
}

/// Where the parts of something large are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartList {
    /// SHA-256 of the raw bytes, in hex: the name of the whole.
    pub sha256: String,
    /// How many parts there are, numbered from 0.
    pub count: u32,
}

/// Raw bytes on their way into a record: what the record holds, and the parts to be stored before it.
#[derive(Debug)]
pub struct Packed {
    /// For the record.
    pub raw: Raw,
    /// For the store of large things, in order; mostly empty.
    pub parts: Vec<Vec<u8>>,
}

impl Packed {
    /// Chooses the smallest form that a record can hold.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() <= PLAIN_LIMIT
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return Self { raw: Raw::Plain(text.to_owned()), parts: Vec::new() };
        }
        let compressed = gzip(bytes);
        if compressed.len() <= PART_SIZE {
            return Self { raw: Raw::Gzip(compressed), parts: Vec::new() };
        }
        let parts: Vec<Vec<u8>> = compressed.chunks(PART_SIZE).map(<[u8]>::to_vec).collect();
        let count = u32::try_from(parts.len()).expect("a webhook has few parts");
        Self { raw: Raw::Parts(PartList { sha256: sha256(bytes), count }), parts }
    }
}

/// Bytes that were to be unpacked are not what was packed.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// Not gzip, or cut off.
    #[error("the stored bytes cannot be decompressed")]
    Gzip(#[from] std::io::Error),
    /// The whole has another hash than its name says.
    #[error("the stored bytes have another hash than their name")]
    Hash,
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Compresses.
///
/// # Panics
/// Never: memory takes every write.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).expect("memory takes every write");
    encoder.finish().expect("memory takes every write")
}

/// Decompresses what [`gzip`] made, up to a bound that no webhook reaches.
///
/// # Errors
/// [`Damaged::Gzip`] if it is not gzip.
pub fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut whole = Vec::new();
    GzDecoder::new(bytes).take(LARGEST).read_to_end(&mut whole)?;
    Ok(whole)
}

/// Puts parts together again and checks them against the name of the whole.
///
/// # Errors
/// [`Damaged`] if a part is missing or altered.
pub fn join(parts: &[Vec<u8>], expected_sha256: &str) -> Result<Vec<u8>, Damaged> {
    let whole = gunzip(&parts.concat())?;
    if sha256(&whole) == expected_sha256 { Ok(whole) } else { Err(Damaged::Hash) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compress: each byte depends on a running hash.
    fn noise(len: usize) -> Vec<u8> {
        let mut block = [0u8; 32];
        let mut out = Vec::with_capacity(len + 32);
        while out.len() < len {
            block = Sha256::digest(block).into();
            out.extend_from_slice(&block);
        }
        out.truncate(len);
        out
    }

    #[test]
    fn small_json_stays_readable_and_large_json_is_compressed() {
        assert!(matches!(Packed::new(b"{}").raw, Raw::Plain(_)));
        let large = "a".repeat(100_000);
        let Raw::Gzip(bytes) = Packed::new(large.as_bytes()).raw else { panic!("one item holds it") };
        assert_eq!(gunzip(&bytes).unwrap(), large.as_bytes());
    }

    #[test]
    fn what_does_not_compress_goes_in_parts_and_comes_back_whole() {
        let bytes = noise(1_000_000);
        let packed = Packed::new(&bytes);
        let Raw::Parts(list) = packed.raw else { panic!("too large for one item") };
        assert_eq!(list.count as usize, packed.parts.len());
        assert!(packed.parts.iter().all(|part| part.len() <= PART_SIZE));
        assert_eq!(join(&packed.parts, &list.sha256).unwrap(), bytes);
        assert!(join(&packed.parts[1..], &list.sha256).is_err());
        assert!(matches!(join(&packed.parts, &sha256(b"other")), Err(Damaged::Hash)));
    }
}
