//! Message templates and their samples (Meta, template management, 2026-08-25; Resumable Upload API, 2026).

use serde::Deserialize;
use serde_json::Value;

use super::wire::{self, int, missing, text};
use super::{Graph, unclear};
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::secret::AccessToken;
use crate::domain::template::{Category, ComingCategory, Content, Shown, Status};
use crate::error::GraphError;
use crate::ports::{CreatedTemplate, Page, SampleFile, TemplateGraph};

/// What we want to know of a template.
const FIELDS: &str = "id,name,language,status,category,correct_category,quality_score,rejected_reason,parameter_format,message_send_ttl_seconds,components";
/// The same without what some versions lack: one field that Meta does not know refuses the whole call.
const FEWER_FIELDS: &str = "id,name,language,status,category,quality_score,components";
/// Meta's code for an unknown field (and for much else).
const INVALID_PARAMETER: i64 = 100;
/// Templates per page. A large one, a carousel of ten cards, has some 20 kB.
const PAGE: usize = 50;

impl TemplateGraph for Graph {
    async fn create_template(
        &self,
        waba: &WabaId,
        template: &Value,
        token: &AccessToken,
    ) -> Result<CreatedTemplate, GraphError> {
        let call = self.post(&[waba.as_ref(), "message_templates"]).json(template).token(token);
        let created: WireTemplate = call.send().await?;
        let id = created.id.ok_or_else(|| missing("template id"))?.parse().map_err(unclear)?;
        Ok(CreatedTemplate { id, status: created.status, category: created.category })
    }

    async fn templates(
        &self,
        waba: &WabaId,
        after: Option<&str>,
        token: &AccessToken,
    ) -> Result<Page<Shown>, GraphError> {
        let page = match self.template_page(waba, after, FIELDS, token).await {
            Err(e) if e.refusal().is_some_and(|refusal| refusal.code == INVALID_PARAMETER) => {
                self.template_page(waba, after, FEWER_FIELDS, token).await?
            }
            other => other?,
        };
        let next = page.next(PAGE);
        Ok(Page { items: page.data.into_iter().filter_map(WireTemplate::into_shown).collect(), next })
    }

    async fn edit_template(
        &self,
        id: &TemplateId,
        changes: &Value,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        self.post(&[id.as_ref()]).json(changes).token(token).done().await
    }

    async fn delete_template(
        &self,
        waba: &WabaId,
        name: &TemplateName,
        only: Option<&TemplateId>,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        let call = self.delete(&[waba.as_ref(), "message_templates"]).query(&[("name", name.as_ref())]);
        let call = match only {
            Some(id) => call.query(&[("hsm_id", id.as_ref())]),
            None => call,
        };
        call.token(token).done().await
    }

    async fn unpause_template(&self, id: &TemplateId, token: &AccessToken) -> Result<(), GraphError> {
        self.post(&[id.as_ref(), "unpause"]).token(token).done().await
    }

    async fn upload_sample(&self, file: SampleFile<'_>, token: &AccessToken) -> Result<String, GraphError> {
        let length = file.bytes.len().to_string();
        let facts = [("file_name", file.name), ("file_length", &length), ("file_type", file.mime_type)];
        let call = self.post(&[&self.app_id, "uploads"]).query(&facts).token(token);
        let session: wire::Ref = call.send().await?;
        let session =
            session.id.filter(|id| id.starts_with("upload:")).ok_or_else(|| missing("upload session"))?;
        // The session's id may have a signature behind a question mark.
        let (path, signature) = session.split_once('?').unwrap_or((&session, ""));
        let signature: Vec<(String, String)> =
            url::form_urlencoded::parse(signature.as_bytes()).into_owned().collect();
        let mut call = self.post(&[path]).token(token);
        call.request = call.request.query(&signature).header("file_offset", "0").body(file.bytes.to_vec());
        let uploaded: Uploaded = call.oauth().send().await?;
        uploaded.h.ok_or_else(|| missing("handle"))
    }
}

impl Graph {
    async fn template_page(
        &self,
        waba: &WabaId,
        after: Option<&str>,
        fields: &str,
        token: &AccessToken,
    ) -> Result<wire::Page<WireTemplate>, GraphError> {
        let call = self.get(&[waba.as_ref(), "message_templates"]);
        let call = call.query(&[("fields", fields), ("limit", &PAGE.to_string())]);
        let call = match after {
            Some(cursor) => call.query(&[("after", cursor)]),
            None => call,
        };
        call.token(token).send().await
    }
}

impl super::Call<'_> {
    /// The Resumable Upload API names the scheme otherwise than the rest of Graph.
    fn oauth(mut self) -> Self {
        self.scheme = "OAuth ";
        self
    }
}

#[derive(Deserialize)]
struct WireTemplate {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    language: Option<String>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "text")]
    category: Option<String>,
    #[serde(default, deserialize_with = "text")]
    correct_category: Option<String>,
    #[serde(default)]
    quality_score: Value,
    #[serde(default, deserialize_with = "text")]
    rejected_reason: Option<String>,
    #[serde(default, deserialize_with = "text")]
    parameter_format: Option<String>,
    #[serde(default, deserialize_with = "int")]
    message_send_ttl_seconds: Option<i64>,
    #[serde(default)]
    components: Value,
}

impl WireTemplate {
    /// `None` if it has no id or no name that we can keep.
    fn into_shown(self) -> Option<Shown> {
        let reason = self.rejected_reason.filter(|reason| reason != "NONE");
        let status = self.status.map(|word| Status { reason, ..Status::of(word) });
        let coming = self.correct_category.filter(|word| self.category.as_ref() != Some(word));
        let coming = coming.map(|word| ComingCategory { word, at: None });
        let (format, ttl) = (self.parameter_format, self.message_send_ttl_seconds);
        let content = |components| Content { components, parameter_format: format, ttl_seconds: ttl };
        let quality = self.quality_score["score"].as_str().or(self.quality_score.as_str());
        Some(Shown {
            id: self.id?.parse().ok()?,
            name: self.name?.parse().ok()?,
            language: self.language.unwrap_or_default(),
            status,
            category: self.category.map(|word| Category { word, coming }),
            quality: quality.map(str::to_owned),
            content: Some(self.components).filter(Value::is_array).map(content),
        })
    }
}

#[derive(Deserialize)]
struct Uploaded {
    #[serde(default, deserialize_with = "text")]
    h: Option<String>,
}
