use super::{BlobPart, IdempotencyRecord, MemoryStore, Tables};
use crate::domain::Timestamp;
use crate::domain::ids::{BusinessId, WabaId};
use crate::domain::parcel::PartHeader;
use crate::error::StoreError;
use crate::ports::{
    AccountEvent, Begun, Blobs, IdempotencyKeys, Quarantine, Quarantined, ReadEvents, RecordEvents,
    SavedResponse,
};

const PARTNER_ADDED: &str = "account_update:PARTNER_ADDED";

impl RecordEvents for MemoryStore {
    async fn record_event(&self, event: &AccountEvent) -> Result<Timestamp, StoreError> {
        let at = if event.dated { event.at.to_string() } else { String::new() };
        let key = (event.owner.clone(), format!("{}#{at}#{}", event.kind, event.hash));
        self.run("record_event", |tables| tables.events.entry(key).or_insert_with(|| event.clone()).at).await
    }
}

impl ReadEvents for MemoryStore {
    async fn partner_added(&self, waba: &WabaId, since: Timestamp) -> Result<Option<BusinessId>, StoreError> {
        self.run("partner_added", |tables| {
            let events = tables.events.values();
            let newest = events
                .filter(|e| e.owner == waba.as_ref() && e.kind == PARTNER_ADDED && e.at >= since)
                .filter(|e| e.business_id.is_some())
                .max_by_key(|e| e.at);
            newest.and_then(|event| event.business_id.clone())
        })
        .await
    }
}

impl Quarantine for MemoryStore {
    async fn quarantine(&self, item: &Quarantined) -> Result<(), StoreError> {
        self.run("quarantine", |tables| {
            if tables.quarantine_marks.remove(&item.id).is_some() {
                tables.quarantine.remove(&item.id);
            }
            tables.quarantine.entry(item.id.clone()).or_insert_with(|| item.clone());
        })
        .await
    }
}

impl Blobs for MemoryStore {
    async fn put_part(
        &self,
        header: &PartHeader,
        bytes: &[u8],
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.run("put_part", |tables| {
            let key = (header.name.clone(), header.count, header.index);
            let new = || BlobPart { bytes: bytes.to_vec(), expires_at };
            let part = tables.blobs.entry(key).or_insert_with(new);
            // Who wants it longer must find it.
            part.expires_at = part.expires_at.and_then(|until| expires_at.map(|at| at.max(until)));
        })
        .await
    }

    async fn parts(&self, name: &str, count: u32) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        self.run("parts", |tables| {
            let part = |index| tables.blobs.get(&(name.to_owned(), count, index));
            (0..count).map(|index| part(index).map(|part| part.bytes.clone())).collect()
        })
        .await
    }
}

impl IdempotencyKeys for MemoryStore {
    async fn begin_request(
        &self,
        key: &str,
        body_hash: &str,
        now: Timestamp,
        running_until: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Begun, StoreError> {
        let new =
            IdempotencyRecord { body_hash: body_hash.to_owned(), running_until, expires_at, response: None };
        self.run("begin_request", |tables| begin(tables, key, new, now)).await
    }

    async fn finish_request(&self, key: &str, response: &SavedResponse) -> Result<(), StoreError> {
        self.run("finish_request", |tables| {
            if let Some(known) = tables.idempotency.get_mut(key) {
                known.response.get_or_insert_with(|| response.clone());
            }
        })
        .await
    }

    async fn forget_request(&self, key: &str) -> Result<(), StoreError> {
        self.run("forget_request", |tables| {
            tables.idempotency.retain(|known, record| known != key || record.response.is_some());
        })
        .await
    }
}

fn begin(tables: &mut Tables, key: &str, new: IdempotencyRecord, now: Timestamp) -> Begun {
    let known = tables.idempotency.get(key).filter(|known| known.expires_at > now);
    let begun = match known {
        None => Begun::New,
        Some(known) if known.body_hash != new.body_hash => Begun::OtherBody,
        Some(IdempotencyRecord { response: Some(response), .. }) => Begun::Done(response.clone()),
        Some(known) if known.running_until > now => Begun::Running,
        Some(_) => Begun::Abandoned,
    };
    if matches!(begun, Begun::New | Begun::Abandoned) {
        tables.idempotency.insert(key.to_owned(), new);
    }
    begun
}
