//! The only reader of the environment. A setting that is empty counts as not set, because templates
//! cannot leave a variable out as easily as they can leave it empty.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ConfigError;

/// A setting that may be missing. One that is not Unicode counts as missing.
#[must_use]
pub fn optional(name: &'static str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the only reader of the environment")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// A setting that must be there.
///
/// # Errors
/// [`ConfigError::Missing`].
pub fn required(name: &'static str) -> Result<String, ConfigError> {
    optional(name).ok_or(ConfigError::Missing(name))
}

/// A setting that must be there and be a `T`.
///
/// # Errors
/// [`ConfigError::Missing`], or [`ConfigError::Invalid`] with what `T` says of the text.
pub fn parsed<T>(name: &'static str) -> Result<T, ConfigError>
where
    T: FromStr<Err: Display>,
{
    parse(name, &required(name)?)
}

/// A setting that is a `T` if it is there.
///
/// # Errors
/// [`ConfigError::Invalid`] with what `T` says of the text.
pub fn parsed_optional<T>(name: &'static str) -> Result<Option<T>, ConfigError>
where
    T: FromStr<Err: Display>,
{
    optional(name).map(|value| parse(name, &value)).transpose()
}

/// A time in seconds; `default` where it is not set.
///
/// # Errors
/// [`ConfigError::Invalid`] if it is not a whole number.
pub fn seconds(name: &'static str, default: u64) -> Result<Duration, ConfigError> {
    Ok(Duration::from_secs(parsed_optional(name)?.unwrap_or(default)))
}

/// A time in days; `None` where it is not set.
///
/// # Errors
/// [`ConfigError::Invalid`] if it is not a whole number.
pub fn days(name: &'static str) -> Result<Option<Duration>, ConfigError> {
    const DAY: u64 = 24 * 60 * 60;
    Ok(parsed_optional::<u32>(name)?.map(|days| Duration::from_secs(u64::from(days) * DAY)))
}

fn parse<T>(name: &'static str, value: &str) -> Result<T, ConfigError>
where
    T: FromStr<Err: Display>,
{
    value.parse().map_err(|e: T::Err| ConfigError::Invalid(name, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests may not set variables (that is `unsafe`); Cargo sets these for every test.

    #[test]
    fn a_setting_is_read_and_parsed() {
        assert_eq!(required("CARGO_PKG_NAME").unwrap(), "shared");
        assert_eq!(parsed::<u32>("CARGO_PKG_VERSION_MAJOR").unwrap(), 0);
        assert_eq!(parsed_optional::<u32>("CARGO_PKG_VERSION_MINOR").unwrap(), Some(1));
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        for name in ["SWITCHBOARD_NO_SUCH_SETTING", "CARGO_PKG_VERSION_PRE"] {
            assert_eq!(optional(name), None);
            assert!(required(name).unwrap_err().to_string().contains(name));
            assert!(parsed::<u32>(name).unwrap_err().to_string().contains(name));
            assert_eq!(parsed_optional::<u32>(name).unwrap(), None);
        }
    }

    #[test]
    fn what_does_not_parse_is_named() {
        let error = parsed::<u32>("CARGO_PKG_NAME").unwrap_err().to_string();
        assert!(error.contains("CARGO_PKG_NAME") && error.contains("invalid digit"), "{error}");
    }
}
