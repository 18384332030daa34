//! A bucket in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use super::steps::Steps;
use crate::domain::Timestamp;
use crate::domain::raw::sha256;
use crate::error::StoreError;
use crate::ports::{EraseFiles, LinkFiles, LinkUploads, NewFile, PutFiles, ReadFiles};

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The type under which it is served.
    pub content_type: String,
    /// The name under which it is saved.
    pub name: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The bucket. It checks hashes, as S3 does.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    steps: Steps,
    kept: Mutex<BTreeMap<String, KeptFile>>,
}

impl MemoryFiles {
    /// One whose calls pass `steps`.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, kept: Mutex::default() }
    }

    /// All files by key.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, KeptFile> {
        lock(&self.kept).clone()
    }

    /// What is behind a link of this bucket's.
    #[must_use]
    pub fn open(&self, link: &str, now: Timestamp) -> Option<KeptFile> {
        let (key, until) = link.strip_prefix("https://files.example/")?.split_once("?until=")?;
        let until: Timestamp = until.parse().ok()?;
        lock(&self.kept).get(key).filter(|_| now < until).cloned()
    }

    /// Somebody sends bytes to a link for uploads. Whether it takes them.
    pub fn put_at(&self, link: &str, content_type: &str, bytes: &[u8], now: Timestamp) -> bool {
        let address = link.strip_prefix("https://files.example/").and_then(|rest| rest.split_once("?put="));
        let Some((key, terms)) = address else { return false };
        let taken = format!("{content_type}&size={}&until=", bytes.len());
        let until = terms.strip_prefix(&taken).and_then(|until| until.parse::<Timestamp>().ok());
        let is_taken = until.is_some_and(|until| now < until);
        if is_taken {
            let content_type = content_type.to_owned();
            let kept = KeptFile { content_type, name: None, bytes: bytes.to_vec() };
            lock(&self.kept).insert(key.to_owned(), kept);
        }
        is_taken
    }

    async fn pass<T>(&self, name: &'static str, act: impl FnOnce() -> T) -> Result<T, StoreError> {
        self.steps.pass(name, act).await.map_err(|e| StoreError::service(name, e))
    }
}

impl PutFiles for MemoryFiles {
    async fn put_file(&self, file: NewFile<'_>) -> Result<(), StoreError> {
        if sha256(&file.bytes) != file.sha256 {
            return Err(StoreError::service("put_file", "the hash is not the one of the bytes"));
        }
        let name = file.name.map(str::to_owned);
        let kept = KeptFile { content_type: file.content_type.to_owned(), name, bytes: file.bytes };
        self.pass("put_file", || lock(&self.kept).insert(file.key.to_owned(), kept)).await.map(drop)
    }
}

impl ReadFiles for MemoryFiles {
    async fn read_file(&self, key: &str, largest: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.pass("read_file", || {
            let kept = lock(&self.kept);
            kept.get(key).map(|file| file.bytes.clone()).filter(|bytes| bytes.len() <= largest)
        })
        .await
    }
}

impl LinkFiles for MemoryFiles {
    fn file_link(&self, key: &str, now: Timestamp, lifetime: Duration) -> Result<String, StoreError> {
        Ok(format!("https://files.example/{key}?until={}", now + lifetime))
    }
}

impl LinkUploads for MemoryFiles {
    fn upload_link(
        &self,
        key: &str,
        content_type: &str,
        size: usize,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, StoreError> {
        let until = now + lifetime;
        Ok(format!("https://files.example/{key}?put={content_type}&size={size}&until={until}"))
    }
}

impl EraseFiles for MemoryFiles {
    async fn erase_file(&self, key: &str) -> Result<(), StoreError> {
        self.pass("erase_file", || lock(&self.kept).remove(key)).await.map(drop)
    }
}
