use super::MemoryStore;
use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::template::{SyncState, Template};
use crate::error::StoreError;
use crate::ports::{Page, ReadTemplates, RequestTemplateSyncs, TemplateSyncs, WriteTemplates};

impl ReadTemplates for MemoryStore {
    async fn template(&self, waba: &WabaId, id: &TemplateId) -> Result<Option<Template>, StoreError> {
        let key = (waba.clone(), id.clone());
        self.run("template", |tables| tables.templates.get(&key).cloned()).await
    }

    async fn templates_on(
        &self,
        waba: &WabaId,
        after: Option<&TemplateId>,
        limit: usize,
    ) -> Result<Page<Template>, StoreError> {
        self.run("templates_on", |tables| {
            let all = tables.templates.values().filter(|it| it.waba_id == *waba);
            let mut items: Vec<_> =
                all.filter(|it| after.is_none_or(|after| it.id > *after)).take(limit + 1).cloned().collect();
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(|last| last.id.to_string());
            Page { items, next }
        })
        .await
    }

    async fn templates_named(&self, waba: &WabaId, name: &TemplateName) -> Result<Vec<Template>, StoreError> {
        self.query("templates_named", |index, _| {
            let all = index.templates.values();
            all.filter(|it| it.waba_id == *waba && it.name == *name).cloned().collect()
        })
        .await
    }
}

impl WriteTemplates for MemoryStore {
    async fn save_template(&self, template: &Template) -> Result<bool, StoreError> {
        self.run("save_template", |tables| {
            let key = (template.waba_id.clone(), template.id.clone());
            let known = tables.templates.get(&key).map_or(0, |known| known.version);
            let ours = known + 1 == template.version;
            if ours {
                tables.templates.insert(key, template.clone());
            }
            ours
        })
        .await
    }
}

impl RequestTemplateSyncs for MemoryStore {
    async fn request_sync(&self, waba: &WabaId, at: Timestamp) -> Result<(), StoreError> {
        self.run("request_sync", |tables| {
            let sync = tables.template_syncs.entry(waba.clone()).or_default();
            sync.due_at = Some(sync.due_at.map_or(at, |due| due.min(at)));
        })
        .await
    }
}

impl TemplateSyncs for MemoryStore {
    async fn due_syncs(&self, now: Timestamp, limit: usize) -> Result<Vec<WabaId>, StoreError> {
        self.query("due_syncs", |index, _| {
            let due = index.template_syncs.iter();
            let mut due: Vec<_> =
                due.filter_map(|(waba, sync)| Some((sync.due_at.filter(|at| *at <= now)?, waba))).collect();
            due.sort();
            due.into_iter().take(limit).map(|(_, waba)| waba.clone()).collect()
        })
        .await
    }

    async fn claim_sync(
        &self,
        waba: &WabaId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<SyncState>, StoreError> {
        self.run("claim_sync", |tables| {
            let sync = tables.template_syncs.entry(waba.clone()).or_default();
            if sync.claimed_until.is_some_and(|claimed| claimed > now) {
                return None;
            }
            (sync.claimed_until, sync.due_at) = (Some(until), Some(until));
            Some(sync.state.clone())
        })
        .await
    }

    async fn save_sync(
        &self,
        waba: &WabaId,
        claim: Timestamp,
        state: &SyncState,
        due_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.run("save_sync", |tables| {
            let sync = tables.template_syncs.get_mut(waba).filter(|sync| sync.claimed_until == Some(claim));
            let ours = sync.is_some();
            if let Some(sync) = sync {
                (sync.claimed_until, sync.due_at, sync.state) = (None, due_at, state.clone());
            }
            ours
        })
        .await
    }
}
