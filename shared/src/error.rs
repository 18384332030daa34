//! What can go wrong, in words of the domain.

use std::fmt;

use crate::domain::ids::InvalidId;
use crate::domain::meta_error::MetaError;

/// Prints an error and its sources as `a: b: c`, each once.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// A service's own error, kept only for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Storage, queue, sealing or secret store did not do what was asked. A retry may.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The service failed, throttled or was not reached.
    #[error("{operation} failed")]
    Service {
        /// What was asked, for example `dynamodb PutItem on messages`.
        operation: &'static str,
        /// The service's error.
        #[source]
        source: Source,
    },
    /// A record is not of the form that we write.
    #[error("a record of {table} cannot be read")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// A sealed secret does not open: it was altered, moved to another record, or its key is gone.
    #[error("a sealed secret does not open")]
    Unsealable(#[source] Source),
}

impl StoreError {
    /// A service's failure.
    pub fn service(operation: &'static str, source: impl Into<Source>) -> Self {
        Self::Service { operation, source: source.into() }
    }

    /// An unreadable record.
    pub fn corrupt(table: &'static str, source: impl Into<Source>) -> Self {
        Self::Corrupt { table, source: source.into() }
    }
}

/// A call to the Graph API did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Nothing was done: name, connection or TLS failed, or Meta does not take our own app's secret. Safe to repeat.
    #[error("the Graph API was not reached")]
    NotSent(#[source] Source),
    /// Sent, but no usable answer came: whether Meta acted is unknown.
    #[error("the Graph API gave no usable answer")]
    Unclear(#[source] Source),
    /// Meta answered with an error: it did not act.
    #[error(transparent)]
    Refused(#[from] MetaError),
}

impl GraphError {
    /// Meta's error, if Meta answered with one.
    #[must_use]
    pub fn refusal(&self) -> Option<&MetaError> {
        match self {
            Self::Refused(error) => Some(error),
            Self::NotSent(_) | Self::Unclear(_) => None,
        }
    }
}

/// The language model gave no text.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not reached, too slow, throttled or failing: another try may succeed.
    #[error("the language model is unavailable")]
    Unavailable(#[source] Source),
    /// It refuses this request, and will again: wrong key, unknown model, bad request.
    #[error("the language model refused with status {status}")]
    Refused {
        /// HTTP status.
        status: u16,
    },
}

/// A setting is missing or of the wrong form. Stops the function at its start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not set.
    #[error("setting {0} is missing: set it in the function's environment")]
    Missing(&'static str),
    /// Set to something else than what it must be.
    #[error("setting {0} is not what it must be: {1}")]
    Invalid(&'static str, String),
}

impl From<InvalidId> for ConfigError {
    fn from(e: InvalidId) -> Self {
        Self::Invalid(e.0, e.to_string())
    }
}
