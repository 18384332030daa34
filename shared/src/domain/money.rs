//! Amounts of money, and the months in which they are spent.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Timestamp;

/// Millionths of a dollar in a dollar.
const MICROS: u64 = 1_000_000;
/// The largest amount that is read, in dollars. It keeps every amount exact as a JSON number.
const LARGEST: f64 = 1e9;

/// An amount of US dollars in whole millionths: what a token costs is far less than a cent. In JSON it is
/// the number of dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(inline, extend("minimum" = 0, "maximum" = 1_000_000_000))
)]
#[serde(try_from = "f64")]
pub struct Usd(#[cfg_attr(feature = "openapi", schemars(with = "f64"))] u64);

/// A number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount in US dollars is a number from 0 to 1000000000 with at most six decimals")]
pub struct InvalidAmount;

impl Usd {
    /// This many millionths of a dollar.
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// How many millionths of a dollar it is.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0
    }
}

/// From dollars. A number that has more than six decimals is refused, not rounded.
impl TryFrom<f64> for Usd {
    type Error = InvalidAmount;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the bounds are checked, and such numbers of millionths are exact"
    )]
    fn try_from(dollars: f64) -> Result<Self, InvalidAmount> {
        if !(0.0..=LARGEST).contains(&dollars) {
            return Err(InvalidAmount);
        }
        let micros = (dollars * MICROS as f64).round();
        // Both sides are the double that is nearest to the same decimal number.
        if micros / MICROS as f64 == dollars { Ok(Self(micros as u64)) } else { Err(InvalidAmount) }
    }
}

impl Serialize for Usd {
    #[expect(clippy::cast_precision_loss, reason = "beyond nine billion dollars")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % MICROS {
            0 => serializer.serialize_u64(self.0 / MICROS),
            _ => serializer.serialize_f64(self.0 as f64 / MICROS as f64),
        }
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Usd({}.{:06})", self.0 / MICROS, self.0 % MICROS)
    }
}

/// A calendar month in UTC, as `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(inline, extend("pattern" = "^[0-9]{4}-[0-9]{2}$"))
)]
pub struct Month(String);

impl Month {
    /// The month of this moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.strftime("%Y-%m").to_string())
    }
}

impl AsRef<str> for Month {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_amount_is_read_exactly_and_shown_as_it_was_written() {
        for (shown, micros) in [
            (json!(0), 0),
            (json!(5), 5_000_000),
            (json!(0.15), 150_000),
            (json!(0.000_001), 1),
            (json!(12.5), 12_500_000),
        ] {
            let amount: Usd = serde_json::from_value(shown.clone()).unwrap();
            assert_eq!(amount.micros(), micros, "{shown}");
            assert_eq!(serde_json::to_value(amount).unwrap(), shown);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for wrong in [json!(-1), json!(0.000_000_1), json!(1e10), json!("5"), Value::Null] {
            assert!(serde_json::from_value::<Usd>(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(Usd::try_from(f64::NAN).is_err());
    }

    #[test]
    fn a_month_begins_in_utc() {
        let month = |at: &str| Month::of(at.parse().unwrap());
        assert_eq!(month("2026-12-01T00:30:00+01:00").as_ref(), "2026-11");
        assert_eq!(month("2026-12-01T00:00:00Z").as_ref(), "2026-12");
    }

    proptest! {
        #[test]
        fn every_amount_survives_json(micros in 0_u64..1_000_000_000_000_000) {
            let text = serde_json::to_string(&Usd::from_micros(micros)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&text).unwrap().micros(), micros);
        }
    }
}
