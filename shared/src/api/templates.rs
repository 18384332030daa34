//! Message templates.

use serde::Serialize;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::ids::{TemplateId, TemplateName, WabaId};
use crate::domain::template::Template;
use crate::http::Problem;

/// A template in one language.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Template"))]
#[serde(rename_all = "camelCase")]
pub struct TemplateItem<'a> {
    id: &'a TemplateId,
    waba_id: &'a WabaId,
    name: &'a TemplateName,
    /// Meta's code, as `en_US`.
    language: &'a str,
    /// Meta's word: `APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, `DISABLED`, `DELETED`, ….
    status: Option<&'a str>,
    status_since: Option<Timestamp>,
    /// Why, in Meta's word.
    reason: Option<&'a str>,
    /// Why, in Meta's sentence.
    detail: Option<&'a str>,
    /// What Meta recommends.
    advice: Option<&'a str>,
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    category: Option<&'a str>,
    /// What Meta will make its category.
    coming_category: Option<Coming<'a>>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    quality: Option<&'a str>,
    /// Header, body, footer, buttons, cards, in Meta's form.
    components: Option<&'a Value>,
    /// `POSITIONAL` or `NAMED`.
    parameter_format: Option<&'a str>,
    /// How long Meta tries to deliver; -1 = 30 days.
    message_send_ttl_seconds: Option<i64>,
    /// When Switchboard first heard of it.
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

/// A change of category that Meta announced.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ComingCategory"))]
struct Coming<'a> {
    category: &'a str,
    /// From when on; null = Meta did not say.
    at: Option<Timestamp>,
}

impl<'a> TemplateItem<'a> {
    /// The template as callers see it.
    #[must_use]
    pub fn of(it: &'a Template) -> Self {
        let status = it.status.as_ref();
        let category = it.category.as_ref().map(|known| &known.is);
        let content = it.content.as_ref().map(|known| &known.is);
        let coming = category.and_then(|category| category.coming.as_ref());
        Self {
            id: &it.id,
            waba_id: &it.waba_id,
            name: &it.name,
            language: &it.language,
            status: status.map(|known| known.is.word.as_str()),
            status_since: status.map(|known| known.at),
            reason: status.and_then(|known| known.is.reason.as_deref()),
            detail: status.and_then(|known| known.is.detail.as_deref()),
            advice: status.and_then(|known| known.is.advice.as_deref()),
            category: category.map(|category| category.word.as_str()),
            coming_category: coming.map(|coming| Coming { category: &coming.word, at: coming.at }),
            quality: it.quality.as_ref().map(|known| known.is.as_str()),
            components: content.map(|content| &content.components),
            parameter_format: content.and_then(|content| content.parameter_format.as_deref()),
            message_send_ttl_seconds: content.and_then(|content| content.ttl_seconds),
            created_at: it.created_at,
            updated_at: it.updated_at,
            deleted_at: it.deleted_at(),
        }
    }
}

/// What was deleted.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Deleted<'a> {
    /// The template's name.
    pub name: &'a TemplateName,
    /// Its account.
    pub waba_id: &'a WabaId,
    /// The ids of its languages that Switchboard knew.
    pub deleted: Vec<&'a TemplateId>,
}

/// An uploaded sample.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Sample {
    /// For `header_handle` of a template's example.
    pub handle: String,
}

/// How reading the lists went.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "TemplateSync"))]
pub struct SyncedAccounts {
    /// Account by account.
    pub accounts: Vec<SyncedAccount>,
}

/// How reading one account's list went.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncedAccount {
    /// The account.
    pub waba_id: WabaId,
    /// How it went.
    pub status: SyncStatus,
    /// Why it failed.
    pub error: Option<Problem>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// All of the list was read.
    Complete,
    /// It goes on by itself.
    Begun,
    /// Somebody else reads it at this moment.
    Running,
    /// It could not be read.
    Failed,
}

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use requests::{
        LanguageCode, MetaWord, NewTemplate, PreviewRequest, SampleUpload, TemplateChange, TemplatesCursor,
    };
    use serde_json::json;

    use super::describe::Operation;
    use crate::domain::ids::PhoneNumberId;
    use crate::domain::template::Preview;

    const ALL: &str = "/api/whatsapp/templates/{botId}";
    const ONE: &str = "/api/whatsapp/templates/{botId}/{template}";
    let change = |method, path, id, summary| {
        Operation::new(method, path, id, summary)
            .of_a_bot()
            .with_key()
            .problem(404, "client_not_found")
            .problem(409, "client_needs_reconnect")
            .problem(422, "refused_by_meta")
            .problem(429, "rate_limited")
            .problem(502, "outcome_unknown")
            .problem(503, "meta_unavailable")
    };
    let id = "Meta's id of the template.";
    let unknown = "template_not_found";
    let body = json!([{"type": "BODY", "text": "Your order is ready."}]);
    let account = "A number of the account; needed if the bot's numbers are on several.";
    let list = Operation::new("get", ALL, "listTemplates", "Lists templates, account after account")
        .of_a_bot()
        .query::<PhoneNumberId>("phoneNumberId", "Only of this number's account.")
        .query::<MetaWord>(
            "status",
            "Only those with this status; deleted ones are shown to who asks for them.",
        )
        .query::<MetaWord>("category", "Only those of this category.")
        .problem(404, "client_not_found")
        .pages::<TemplateItem<'_>, TemplatesCursor>("A page of templates.");
    let new = json!({"name": "order_ready", "language": "en_US", "category": "UTILITY", "components": body});
    let create = change("post", ALL, "createTemplate", "Creates a template")
        .body::<NewTemplate>(new)
        .answer::<TemplateItem<'_>>(201, "The template; Meta may have to review it.")
        .problem(400, "invalid_template")
        .problem(400, "phone_number_required");
    let edit = change("put", ONE, "editTemplate", "Changes a template")
        .path::<TemplateId>("template", id, unknown)
        .body::<TemplateChange>(json!({"components": body}))
        .answer::<TemplateItem<'_>>(200, "The template; Meta may have to review it again.")
        .problem(400, "invalid_template");
    let delete = change("delete", ONE, "deleteTemplate", "Deletes a template")
        .described("All its languages, or the one that is named.")
        .path::<TemplateName>("template", "The template's name.", unknown)
        .query::<PhoneNumberId>("phoneNumberId", account)
        .query::<LanguageCode>("language", "Only this language.")
        .answer::<Deleted<'_>>(200, "It is gone.")
        .problem(400, "phone_number_required");
    let path = "/api/whatsapp/templates/{botId}/{template}/unpause";
    let unpause = change("post", path, "unpauseTemplate", "Ends a pause of a template")
        .path::<TemplateId>("template", id, unknown)
        .answer::<TemplateItem<'_>>(200, "The template; its status follows by Meta's event.");
    let path = "/api/whatsapp/templates/{botId}/{template}/preview";
    let preview = Operation::new("post", path, "previewTemplate", "Shows what a customer would see")
        .of_a_bot()
        .path::<TemplateId>("template", id, unknown)
        .body::<PreviewRequest>(json!({"parameters": ["Sam"]}))
        .answer::<Preview>(200, "The texts with these parameters.")
        .problem(400, "invalid_template")
        .problem(409, "template_incomplete");
    let path = "/api/whatsapp/templates/{botId}/samples";
    let sample = json!({"fileName": "menu.png", "mimeType": "image/png", "base64": "iVBORw0KGgo="});
    let upload = Operation::new("post", path, "uploadSample", "Uploads a sample for a header")
        .described("The file may have 4 MiB.")
        .of_a_bot()
        .body::<SampleUpload>(sample)
        .answer::<Sample>(200, "The handle of the sample.")
        .problem(400, "invalid_template")
        .problem(400, "phone_number_required")
        .problem(404, "client_not_found")
        .problem(409, "client_needs_reconnect")
        .problem(422, "refused_by_meta")
        .problem(429, "rate_limited")
        .problem(503, "meta_unavailable");
    let path = "/api/whatsapp/templates/{botId}/sync";
    let sync = Operation::new("post", path, "syncTemplates", "Reads the lists of templates from Meta")
        .of_a_bot()
        .query::<PhoneNumberId>("phoneNumberId", "Only of this number's account.")
        .answer::<SyncedAccounts>(200, "All were read.")
        .answer::<SyncedAccounts>(202, "Some are still to be read, or could not be.")
        .problem(404, "client_not_found");
    vec![list, create, edit, delete, unpause, preview, upload, sync]
}

/// What the function reads member by member, because it goes on to Meta as it came.
#[cfg(feature = "openapi")]
#[expect(dead_code, reason = "only described")]
mod requests {
    use schemars::JsonSchema;
    use serde_json::{Map, Value};

    use crate::domain::ids::PhoneNumberId;
    use crate::http::Name;

    /// A position: account and template.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = r"^[0-9]{1,64}\.[0-9]{1,64}$"))]
    pub(super) struct TemplatesCursor(String);

    /// One of Meta's words, in any case.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[A-Za-z_]{1,64}$"))]
    pub(super) struct MetaWord(String);

    /// A code of Meta's, as `en_US`.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[A-Za-z0-9_]{2,16}$"))]
    pub(super) struct LanguageCode(String);

    #[derive(JsonSchema)]
    #[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
    enum TemplateCategory {
        Authentication,
        Marketing,
        Utility,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
    enum ParameterFormat {
        Positional,
        Named,
    }

    /// A component, in Meta's form.
    #[derive(JsonSchema)]
    struct TemplateComponent {
        /// `HEADER`, `BODY`, `FOOTER`, `BUTTONS`, `CAROUSEL`, ….
        r#type: String,
    }

    /// A new template; further members as at Meta.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase")]
    pub(super) struct NewTemplate {
        /// A number of the account; needed if the bot's numbers are on several.
        phone_number_id: Option<PhoneNumberId>,
        #[schemars(extend("pattern" = "^[a-z0-9_]{1,512}$"))]
        name: String,
        language: LanguageCode,
        category: TemplateCategory,
        /// Needed unless it comes out of Meta's library.
        #[schemars(length(min = 1))]
        components: Vec<TemplateComponent>,
        parameter_format: Option<ParameterFormat>,
        /// 30 to 900 for authentication, 30 to 43200 for utility, 43200 to 2592000 for marketing; -1 = 30 days.
        message_send_ttl_seconds: Option<i64>,
    }

    /// What is to change; further members as at Meta.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", extend("minProperties" = 1))]
    pub(super) struct TemplateChange {
        #[schemars(length(min = 1))]
        components: Option<Vec<TemplateComponent>>,
        category: Option<TemplateCategory>,
        parameter_format: Option<ParameterFormat>,
        message_send_ttl_seconds: Option<i64>,
    }

    /// Parameters: those of a template message, or the body's texts alone.
    #[derive(JsonSchema)]
    pub(super) struct PreviewRequest {
        /// As in a message of type `template`.
        components: Option<Vec<Map<String, Value>>>,
        /// The body's texts: a list, or an object by name.
        parameters: Option<Value>,
    }

    /// A file.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase")]
    pub(super) struct SampleUpload {
        /// A number of the account; needed if the bot's numbers are on several.
        phone_number_id: Option<PhoneNumberId>,
        file_name: Name,
        mime_type: MimeType,
        /// Its bytes.
        #[schemars(extend("contentEncoding" = "base64", "pattern" = "^([A-Za-z0-9+/]{4})+$"))]
        base64: String,
    }

    #[derive(JsonSchema)]
    enum MimeType {
        #[schemars(rename = "image/jpeg")]
        Jpeg,
        #[schemars(rename = "image/jpg")]
        Jpg,
        #[schemars(rename = "image/png")]
        Png,
        #[schemars(rename = "video/mp4")]
        Mp4,
        #[schemars(rename = "application/pdf")]
        Pdf,
    }
}
