//! Message templates, and how far keeping each account's list true has come.

use aws_sdk_dynamodb::types::ReturnValue;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, Seconds, item, millis, n, record, s, text};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::template::{Category, Content, Known, Status, SyncState, Template};
use crate::error::StoreError;
use crate::ports::{Page, ReadTemplates, RequestTemplateSyncs, TemplateSyncs, WriteTemplates};

/// Where an account's sync stands among its templates: before all ids, which are digits.
const SYNC: &str = "#sync";
/// The key of the index of due syncs. One key for all: each account is written a few times an hour.
const DUE_KEY: &str = "sync";
/// How long a deleted template is shown as such.
const DELETED_KEPT: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 60 * 60);

const UPDATE: &str = "dynamodb UpdateItem on templates";
const QUERY: &str = "dynamodb Query on templates";

/// The table `templates`: one item per template and account, and one per account for its sync.
#[derive(Debug, Clone)]
pub struct Templates(Table);

impl Templates {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    async fn list(&self, range: Range<'_>) -> Stored<Vec<Template>> {
        self.0.query(QUERY, range).await?.into_iter().map(template).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    waba_id: WabaId,
    template_id: TemplateId,
    name: TemplateName,
    language: String,
    status: Option<Known<Status>>,
    category: Option<Known<Category>>,
    quality: Option<Known<String>>,
    /// The content as JSON, so that Meta's numbers and depths stay as they are.
    content: Option<Known<String>>,
    version: u64,
    created_at: Millis,
    updated_at: Millis,
    expires_at: Option<Seconds>,
}

impl TryFrom<&Template> for Record {
    type Error = StoreError;
    fn try_from(it: &Template) -> Stored<Self> {
        let content = it.content.as_ref().map(|known| -> Stored<_> {
            let is = serde_json::to_string(&known.is).map_err(|e| StoreError::corrupt("templates", e))?;
            Ok(Known { at: known.at, source: known.source, is })
        });
        Ok(Self {
            waba_id: it.waba_id.clone(),
            template_id: it.id.clone(),
            name: it.name.clone(),
            language: it.language.clone(),
            status: it.status.clone(),
            category: it.category.clone(),
            quality: it.quality.clone(),
            content: content.transpose()?,
            version: it.version,
            created_at: Millis(it.created_at),
            updated_at: Millis(it.updated_at),
            expires_at: it.deleted_at().map(|at| Seconds(at + DELETED_KEPT)),
        })
    }
}

fn template(item: Item) -> Stored<Template> {
    let record: Record = record("templates", item)?;
    let content = record.content.map(|known| -> Stored<Known<Content>> {
        let is = serde_json::from_str(&known.is).map_err(|e| StoreError::corrupt("templates", e))?;
        Ok(Known { at: known.at, source: known.source, is })
    });
    Ok(Template {
        waba_id: record.waba_id,
        id: record.template_id,
        name: record.name,
        language: record.language,
        status: record.status,
        category: record.category,
        quality: record.quality,
        content: content.transpose()?,
        version: record.version,
        created_at: record.created_at.0,
        updated_at: record.updated_at.0,
    })
}

fn key(waba: &WabaId, id: &str) -> Item {
    Item::from([("wabaId".to_owned(), s(waba.as_ref())), ("templateId".to_owned(), s(id))])
}

impl ReadTemplates for Templates {
    async fn template(&self, waba: &WabaId, id: &TemplateId) -> Stored<Option<Template>> {
        let item = self.0.get_at("dynamodb GetItem on templates", key(waba, id.as_ref())).await?;
        item.map(template).transpose()
    }

    async fn templates_on(
        &self,
        waba: &WabaId,
        after: Option<&TemplateId>,
        limit: usize,
    ) -> Stored<Page<Template>> {
        // Behind the sync, which is behind nothing.
        let after = after.map_or(SYNC, AsRef::as_ref);
        let range = Range {
            index: None,
            condition: "#wabaId = :wabaId AND #templateId > :after",
            values: vec![("wabaId", s(waba.as_ref())), ("after", s(after))],
            attributes: &[],
            ascending: true,
            consistent: true,
            // One more than wanted, which says whether there is a next page.
            limit: Some(limit.saturating_add(1)),
        };
        let mut items = self.list(range).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(Page { items, next })
    }

    async fn templates_named(&self, waba: &WabaId, name: &TemplateName) -> Stored<Vec<Template>> {
        let range = Range {
            index: Some("byName"),
            condition: "#wabaId = :wabaId AND #name = :name",
            values: vec![("wabaId", s(waba.as_ref())), ("name", s(name.as_ref()))],
            attributes: &[],
            ascending: true,
            consistent: false,
            limit: None,
        };
        self.list(range).await
    }
}

impl WriteTemplates for Templates {
    async fn save_template(&self, it: &Template) -> Stored<bool> {
        let before = i64::try_from(it.version).map_err(|e| StoreError::corrupt("templates", e))? - 1;
        let condition = match before {
            ..=0 => Expression::when("attribute_not_exists(#templateId)"),
            before => Expression::when("#version = :before").value("before", n(before)),
        };
        let item = item("templates", &Record::try_from(it)?)?;
        let write = self.0.put("dynamodb PutItem on templates", item, condition).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}

impl RequestTemplateSyncs for Templates {
    async fn request_sync(&self, waba: &WabaId, at: Timestamp) -> Stored<()> {
        let change = Expression::when("attribute_not_exists(#dueAt) OR #dueAt > :dueAt")
            .set("dueAt", millis(at))
            .set("dueKey", s(DUE_KEY));
        self.0.update_at(UPDATE, key(waba, SYNC), change, ReturnValue::None).await?;
        Ok(())
    }
}

impl TemplateSyncs for Templates {
    async fn due_syncs(&self, now: Timestamp, limit: usize) -> Stored<Vec<WabaId>> {
        let range = Range {
            index: Some("due"),
            condition: "#dueKey = :dueKey AND #dueAt <= :now",
            values: vec![("dueKey", s(DUE_KEY)), ("now", millis(now))],
            attributes: &[],
            ascending: true,
            consistent: false,
            limit: Some(limit),
        };
        let due = self.0.query(QUERY, range).await?;
        let ids = due.iter().filter_map(|item| text(item, "wabaId"));
        ids.map(|id| id.parse().map_err(|e| StoreError::corrupt("templates", e))).collect()
    }

    async fn claim_sync(&self, waba: &WabaId, now: Timestamp, until: Timestamp) -> Stored<Option<SyncState>> {
        let change = Expression::when("attribute_not_exists(#claimedUntil) OR #claimedUntil <= :now")
            .value("now", millis(now))
            .set("claimedUntil", millis(until))
            .set("dueAt", millis(until))
            .set("dueKey", s(DUE_KEY));
        let write = self.0.update_at(UPDATE, key(waba, SYNC), change, ReturnValue::AllNew).await?;
        let Write::Done(item) = write else { return Ok(None) };
        match text(&item, "state") {
            None => Ok(Some(SyncState::default())),
            Some(state) => {
                serde_json::from_str(state).map(Some).map_err(|e| StoreError::corrupt("templates", e))
            }
        }
    }

    async fn save_sync(
        &self,
        waba: &WabaId,
        claim: Timestamp,
        state: &SyncState,
        due_at: Option<Timestamp>,
    ) -> Stored<bool> {
        let state = serde_json::to_string(state).map_err(|e| StoreError::corrupt("templates", e))?;
        let change = Expression::when("#claimedUntil = :claim")
            .value("claim", millis(claim))
            .set("state", s(state))
            .remove("claimedUntil");
        let change = match due_at {
            Some(at) => change.set("dueAt", millis(at)),
            None => change.remove("dueAt").remove("dueKey"),
        };
        let write = self.0.update_at(UPDATE, key(waba, SYNC), change, ReturnValue::None).await?;
        Ok(matches!(write, Write::Done(_)))
    }
}
