use super::MemoryStore;
use crate::domain::Timestamp;
use crate::domain::media::{Fetch, MediaFile, MediaKey, MediaState};
use crate::error::StoreError;
use crate::ports::{EraseMedia, FetchMedia, MediaClaim, MediaSave, NoteMedia, ReadMedia};

impl NoteMedia for MemoryStore {
    async fn note_media(&self, file: &MediaFile) -> Result<bool, StoreError> {
        self.run("note_media", |tables| {
            let is_new = !tables.media.contains_key(&file.key);
            if is_new {
                tables.media.insert(file.key.clone(), file.clone());
            }
            is_new
        })
        .await
    }
}

impl ReadMedia for MemoryStore {
    async fn media_file(&self, key: &MediaKey) -> Result<Option<MediaFile>, StoreError> {
        self.run("media_file", |tables| tables.media.get(key).cloned()).await
    }

    async fn media_files(&self, keys: &[MediaKey]) -> Result<Vec<MediaFile>, StoreError> {
        self.run("media_files", |tables| {
            keys.iter().filter_map(|key| tables.media.get(key)).cloned().collect()
        })
        .await
    }
}

impl FetchMedia for MemoryStore {
    async fn due_media(&self, now: Timestamp, limit: usize) -> Result<Vec<Fetch>, StoreError> {
        self.query("due_media", |index, _| {
            let due_at = |it: &MediaFile| match it.state {
                MediaState::Pending { due_at, .. } => Some(due_at),
                _ => None,
            };
            let mut due: Vec<_> =
                index.media.values().filter(|it| due_at(it).is_some_and(|at| at <= now)).collect();
            due.sort_by_key(|it| due_at(it));
            due.into_iter().take(limit).map(MediaFile::fetch).collect()
        })
        .await
    }

    async fn claim_media(
        &self,
        key: &MediaKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<MediaClaim, StoreError> {
        self.run("claim_media", |tables| {
            let Some(file) = tables.media.get_mut(key) else { return MediaClaim::Unknown };
            let MediaState::Pending { due_at, .. } = &mut file.state else { return MediaClaim::Ended };
            if tables.media_claims.get(key).is_some_and(|claimed| *claimed > now) {
                return MediaClaim::Busy;
            }
            tables.media_claims.insert(key.clone(), until);
            *due_at = until;
            MediaClaim::Claimed(Box::new(file.clone()))
        })
        .await
    }

    async fn save_media(&self, file: &MediaFile, claim: Timestamp) -> Result<MediaSave, StoreError> {
        self.run("save_media", |tables| {
            if !tables.media.contains_key(&file.key) {
                return MediaSave::Unknown;
            }
            if tables.media_claims.get(&file.key) != Some(&claim) {
                return MediaSave::Lost;
            }
            tables.media_claims.remove(&file.key);
            tables.media.insert(file.key.clone(), file.clone());
            MediaSave::Saved
        })
        .await
    }
}

impl EraseMedia for MemoryStore {
    async fn erase_media(&self, key: &MediaKey) -> Result<(), StoreError> {
        self.run("erase_media", |tables| {
            tables.media.remove(key);
            tables.media_claims.remove(key);
        })
        .await
    }
}
