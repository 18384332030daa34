//! What holds for every input, whoever made it up: functions of bytes that panic where it does not.
//!
//! The fuzz targets in `shared/fuzz` call them with what libFuzzer finds, and the tests of this module
//! with the payload corpus, with inputs that once broke something, and with random ones.
//!
//! # Panics
//! Every function here does, where a property is broken.

mod http;
mod signature;
mod storage;
#[cfg(test)]
mod tests;
mod webhook;

pub use http::{api, names};
pub use signature::signature;
pub use storage::raws;
pub use webhook::{envelope, parcels, webhook};

/// Bytes that decide, one by one; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::from(self.byte()) % items.len()]
    }

    /// The next bytes up to a zero.
    fn bytes(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (bytes, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }

    /// The next bytes as text.
    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
