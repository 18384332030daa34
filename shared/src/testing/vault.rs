use std::sync::Mutex;

use super::lock;
use super::steps::Steps;
use crate::domain::secret::AccessToken;
use crate::error::StoreError;
use crate::ports::SystemTokens;

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
