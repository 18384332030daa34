use std::sync::{Arc, Mutex};

use super::lock;
use super::steps::Steps;
use crate::domain::ids::InvalidId;
use crate::domain::secret::{AccessToken, Rotating};
use crate::error::StoreError;
use crate::ports::{ReadSecret, SystemTokens};

/// A secret of the store, as text. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemorySecret {
    steps: Steps,
    value: Arc<Mutex<String>>,
}

impl MemorySecret {
    /// One whose reading passes `steps`.
    #[must_use]
    pub fn new(steps: Steps, value: &str) -> Self {
        Self { steps, value: Arc::new(Mutex::new(value.to_owned())) }
    }

    /// Puts another value in its place. Not a call.
    pub fn set(&self, value: &str) {
        value.clone_into(&mut lock(&self.value));
    }
}

impl<T: TryFrom<String, Error = InvalidId> + Send + Sync> ReadSecret<T> for MemorySecret {
    async fn read_secret(&self) -> Result<Rotating<T>, StoreError> {
        let read = self.steps.pass("read_secret", || lock(&self.value).clone()).await;
        let value = read.map_err(|e| StoreError::service("the secret store", e))?;
        Rotating::try_from(value).map_err(|e| StoreError::corrupt("secrets", e))
    }
}

/// The secret with the system user's token, in memory. Empty at first, as a Tech Provider's is.
#[derive(Debug, Default)]
pub struct MemoryVault {
    steps: Steps,
    token: Mutex<Option<AccessToken>>,
}

impl MemoryVault {
    /// One whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, token: Mutex::default() }
    }
}

impl SystemTokens for MemoryVault {
    async fn system_token(&self) -> Result<Option<AccessToken>, StoreError> {
        let read = self.steps.pass("system_token", || lock(&self.token).clone()).await;
        read.map_err(|e| StoreError::service("the vault", e))
    }

    async fn replace_system_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let write = || *lock(&self.token) = Some(token.clone());
        let written = self.steps.pass("replace_system_token", write).await;
        written.map_err(|e| StoreError::service("the vault", e))
    }
}
