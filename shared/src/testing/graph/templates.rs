use serde_json::Value;

use super::{FakeGraph, Meta, refusal};
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::meta_error::MetaError;
use crate::domain::secret::AccessToken;
use crate::domain::template::{Category, Content, Shown, Status};
use crate::error::GraphError;
use crate::ports::{CreatedTemplate, Page, SampleFile, TemplateGraph};

/// Templates per page of this Meta: so few that tests see several pages.
const PAGE: usize = 2;

impl Meta {
    /// The account's templates, to look at and to change.
    pub fn templates_of(&mut self, waba: &WabaId) -> &mut Vec<Shown> {
        self.templates.entry(waba.clone()).or_default()
    }

    fn new_template(&mut self, waba: &WabaId, template: &Value) -> Result<CreatedTemplate, MetaError> {
        let text = |member: &str| template[member].as_str().unwrap_or_default().to_owned();
        let (name, language) = (text("name"), text("language"));
        let taken = |known: &Shown| known.name.as_ref() == name && known.language == language;
        if self.templates_of(waba).iter().any(taken) {
            return Err(MetaError { subcode: Some(2_388_024), ..refusal(400, 100, "The name is taken.") });
        }
        let number = 771_001 + self.templates.values().map(Vec::len).sum::<usize>();
        let id: TemplateId = number.to_string().parse().expect("digits");
        let shown = Shown {
            id: id.clone(),
            name: name.parse().map_err(|_| refusal(400, 100, "The name is not of its form."))?,
            language,
            status: Some(Status::of("PENDING")),
            category: Some(Category { word: text("category"), coming: None }),
            quality: Some("UNKNOWN".to_owned()),
            content: Some(content(template, None)),
        };
        self.templates_of(waba).push(shown);
        Ok(CreatedTemplate { id, status: Some("PENDING".to_owned()), category: Some(text("category")) })
    }

    fn template(&mut self, id: &TemplateId, token: &AccessToken) -> Result<&mut Shown, MetaError> {
        let covered = self.token(token)?.facts.waba_ids();
        let wabas = self.templates.iter_mut().filter(|(waba, _)| covered.contains(waba));
        let found = wabas.flat_map(|(_, all)| all).find(|known| known.id == *id);
        found.ok_or_else(|| MetaError { subcode: Some(33), ..refusal(400, 100, "No such template.") })
    }
}

fn content(given: &Value, known: Option<&Content>) -> Content {
    let components = given.get("components").cloned().or_else(|| known.map(|it| it.components.clone()));
    Content {
        components: components.unwrap_or_default(),
        parameter_format: given["parameter_format"].as_str().map(str::to_owned),
        ttl_seconds: given["message_send_ttl_seconds"].as_i64(),
    }
}

impl TemplateGraph for FakeGraph {
    async fn create_template(
        &self,
        waba: &WabaId,
        template: &Value,
        token: &AccessToken,
    ) -> Result<CreatedTemplate, GraphError> {
        self.call("create_template", waba.as_ref(), |meta| {
            meta.waba(waba, token)?;
            meta.new_template(waba, template)
        })
        .await
    }

    async fn templates(
        &self,
        waba: &WabaId,
        after: Option<&str>,
        token: &AccessToken,
    ) -> Result<Page<Shown>, GraphError> {
        self.call("templates", waba.as_ref(), |meta| {
            meta.waba(waba, token)?;
            let all = meta.templates_of(waba);
            let start = match after {
                None => 0,
                Some(after) => {
                    let at = all.iter().position(|known| known.id.as_ref() == after);
                    at.ok_or_else(|| refusal(400, 100, "The cursor is not of this list."))? + 1
                }
            };
            let items: Vec<Shown> = all.iter().skip(start).take(PAGE).cloned().collect();
            let more = start + items.len() < all.len();
            let next = items.last().filter(|_| more).map(|last| last.id.to_string());
            Ok(Page { items, next })
        })
        .await
    }

    async fn edit_template(
        &self,
        id: &TemplateId,
        changes: &Value,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        self.call("edit_template", id.as_ref(), |meta| {
            let known = meta.template(id, token)?;
            known.content = Some(content(changes, known.content.as_ref()));
            known.status = Some(Status::of("PENDING"));
            Ok(())
        })
        .await
    }

    async fn delete_template(
        &self,
        waba: &WabaId,
        name: &TemplateName,
        only: Option<&TemplateId>,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        self.call("delete_template", waba.as_ref(), |meta| {
            meta.waba(waba, token)?;
            let all = meta.templates_of(waba);
            let before = all.len();
            all.retain(|known| known.name != *name || only.is_some_and(|only| *only != known.id));
            match all.len() {
                after if after < before => Ok(()),
                _ => Err(MetaError { subcode: Some(2_593_002), ..refusal(400, 100, "Not found.") }),
            }
        })
        .await
    }

    async fn unpause_template(&self, id: &TemplateId, token: &AccessToken) -> Result<(), GraphError> {
        self.call("unpause_template", id.as_ref(), |meta| {
            meta.template(id, token)?.status = Some(Status::of("APPROVED"));
            Ok(())
        })
        .await
    }

    async fn upload_sample(&self, file: SampleFile<'_>, token: &AccessToken) -> Result<String, GraphError> {
        self.call("upload_sample", file.mime_type, |meta| {
            meta.token(token)?;
            Ok(format!("4:{}:{}", file.name, file.bytes.len()))
        })
        .await
    }
}
