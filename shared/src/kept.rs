//! The partner's own secrets in a process's memory: read at its start, and again when there is reason to doubt them.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::domain::secret::Rotating;
use crate::error::{Chain, StoreError};
use crate::ports::{ReadSecret, Ticks};

/// Least time between two readings of one secret. Who forges signatures makes one call a minute of each process, at
/// most; who changes a secret waits so long until every process has the new one.
const PAUSE: Duration = Duration::from_secs(60);

/// A secret as it was read last.
pub struct Kept<T> {
    known: RwLock<Arc<Rotating<T>>>,
    /// When it was read; locked while it is read again, so that who comes meanwhile waits and has the new one.
    read_at: Mutex<Duration>,
    source: Box<dyn Source<T>>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Reads a secret for the first time.
    ///
    /// # Errors
    /// As [`ReadSecret::read_secret`].
    pub async fn read(
        secret: impl ReadSecret<T> + 'static,
        ticks: impl Ticks + 'static,
    ) -> Result<Self, StoreError> {
        let read_at = Mutex::new(ticks.elapsed());
        let known = RwLock::new(Arc::new(secret.read_secret().await?));
        Ok(Self { known, read_at, source: Box::new(Store { secret, ticks }) })
    }

    /// A secret that is never read again.
    #[must_use]
    pub fn fixed(secret: T) -> Self {
        let known = RwLock::new(Arc::new(Rotating::one(secret)));
        Self { known, read_at: Mutex::default(), source: Box::new(Fixed) }
    }

    /// As it is known. No call, and nothing is copied.
    #[must_use]
    pub fn get(&self) -> Arc<Rotating<T>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For who was refused with `tried`: what was read since, or is read now unless that was done less than a minute
    /// ago. `None` = there is nothing newer. A store that fails is logged and counts as read.
    pub async fn newer_than(&self, tried: &Arc<Rotating<T>>) -> Option<Arc<Rotating<T>>> {
        let mut read_at = self.read_at.lock().await;
        let known = self.get();
        if !Arc::ptr_eq(&known, tried) {
            return Some(known);
        }
        let now = self.source.elapsed().filter(|now| *now >= *read_at + PAUSE)?;
        *read_at = now;
        match self.source.read().await {
            Ok(secret) => {
                let secret = Arc::new(secret);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = secret.clone();
                Some(secret)
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a secret cannot be read again");
                None
            }
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept([REDACTED])")
    }
}

/// Where a secret is read. Boxed, so that what uses a secret has no parameter for where it comes from: a call a minute
/// does not pay for more.
trait Source<T>: Send + Sync {
    /// `None` = it is never read again.
    fn elapsed(&self) -> Option<Duration>;
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Rotating<T>, StoreError>> + Send + '_>>;
}

struct Store<S, C> {
    secret: S,
    ticks: C,
}

impl<T: 'static, S: ReadSecret<T>, C: Ticks> Source<T> for Store<S, C> {
    fn elapsed(&self) -> Option<Duration> {
        Some(self.ticks.elapsed())
    }

    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Rotating<T>, StoreError>> + Send + '_>> {
        Box::pin(self.secret.read_secret())
    }
}

struct Fixed;

impl<T> Source<T> for Fixed {
    fn elapsed(&self) -> Option<Duration> {
        None
    }

    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Rotating<T>, StoreError>> + Send + '_>> {
        Box::pin(async { Err(StoreError::service("no secret store", "a fixed secret is not read again")) })
    }
}
