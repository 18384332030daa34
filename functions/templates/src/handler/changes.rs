//! Creating, editing, deleting, unpausing: at Meta first, then in our records, where webhooks and the next reading of
//! the list complete it.

use lambda_http::{Body, Request};
use serde_json::{Map, Value};
use shared::api::templates::{Deleted, TemplateItem};
use shared::domain::Timestamp;
use shared::domain::client::Client;
use shared::domain::ids::{BotId, PhoneNumberId, TemplateId, TemplateName};
use shared::domain::template::{Category, Content, DELETED, Fact, LIST_SKEW, Source, Status, Template};
use shared::error::{Chain, GraphError};
use shared::flows::templates::{Told, note};
use shared::http::{
    ApiError, Members, Response, StatusCode, json as answer, path_parameter, query_parameter,
};
use shared::ports::{Clock, Seal, TemplateGraph};

use super::{Desk, Records, limits, refusals};

const CATEGORIES: [&str; 3] = ["AUTHENTICATION", "MARKETING", "UTILITY"];
/// Members that are ours, and what Meta calls them.
const NAMES: [(&str, &str); 3] = [
    ("parameterFormat", "parameter_format"),
    ("messageSendTtlSeconds", "message_send_ttl_seconds"),
    ("allowCategoryChange", "allow_category_change"),
];

/// A language, as the query names it.
struct Language(String);

impl TryFrom<String> for Language {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let fits =
            (2..=16).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits { Ok(Self(value)) } else { Err(()) }
    }
}

impl<S: Records, K: Seal, G: TemplateGraph, C: Clock> Desk<'_, S, K, G, C> {
    pub(super) async fn create(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        let only: Option<PhoneNumberId> = members.optional("phoneNumberId")?;
        let wanted = for_meta(members.all());
        check_new(&wanted)?;
        check(&wanted)?;
        let name: TemplateName = members.required("name")?;
        let language: String = members.required("language")?;
        let client = self.client(bot, only.as_ref()).await?;
        let token = self.token(&client).await?;
        let at = self.clock.now() - LIST_SKEW;
        let created =
            self.graph.create_template(&client.waba_id, &Value::Object(wanted.clone()), &token).await;
        let created = self.done(&client, created).await?;
        let category = created.category.or_else(|| text(&wanted, "category"));
        let facts = [
            created.status.map(|word| Fact::Status(Status::of(word))),
            category.map(|word| Fact::Category(Category { word, coming: None })),
            content(&wanted, None).map(Fact::Content),
        ];
        let known = Template::named(&client.waba_id, &created.id, &name, &language, self.clock.now());
        let it = self.record(known, at, facts.into_iter().flatten().map(|fact| (Source::Shown, fact))).await;
        Ok(answer(StatusCode::CREATED, &TemplateItem::of(&it)))
    }

    pub(super) async fn edit(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        let changes = for_meta(members.all());
        check(&changes)?;
        if changes.is_empty() {
            return Err(invalid("components", "is missing, and so is everything else that could be changed"));
        }
        let (it, client) = self.template(bot, request).await?;
        let token = self.token(&client).await?;
        let at = self.clock.now() - LIST_SKEW;
        let edited = self.graph.edit_template(&it.id, &Value::Object(changes.clone()), &token).await;
        self.done(&client, edited).await?;
        let known = it.content.as_ref().map(|known| known.is.clone());
        let facts = content(&changes, known).map(|content| (Source::Shown, Fact::Content(content)));
        let it = self.record(it, at, facts).await;
        // Meta reviews it again: how it stands then comes by webhook, or is read.
        self.ask_for_sync(&it.waba_id).await;
        Ok(answer(StatusCode::OK, &TemplateItem::of(&it)))
    }

    pub(super) async fn unpause(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let (it, client) = self.template(bot, request).await?;
        let token = self.token(&client).await?;
        let unpaused = self.graph.unpause_template(&it.id, &token).await;
        self.done(&client, unpaused).await?;
        self.ask_for_sync(&it.waba_id).await;
        Ok(answer(StatusCode::OK, &TemplateItem::of(&it)))
    }

    pub(super) async fn delete(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let name: TemplateName = path_parameter(request, "template", "template_not_found")?;
        let only: Option<PhoneNumberId> = query_parameter(request, "phoneNumberId")?;
        let language = query_parameter::<Language>(request, "language")?.map(|language| language.0);
        let client = self.client(bot, only.as_ref()).await?;
        let mut known = self.store.templates_named(&client.waba_id, &name).await?;
        known.retain(|it| it.deleted_at().is_none());
        known.retain(|it| language.as_ref().is_none_or(|language| it.language == *language));
        let only = language.is_some().then(|| known.first().map(|it| it.id.clone()));
        let only: Option<TemplateId> = match only {
            Some(None) => return Err(ApiError::not_found("template_not_found")),
            Some(id) => id,
            None => None,
        };
        let token = self.token(&client).await?;
        let deleted = self.graph.delete_template(&client.waba_id, &name, only.as_ref(), &token).await;
        self.done(&client, deleted).await?;
        let now = self.clock.now();
        for it in &known {
            let gone = [(Source::Gone, Fact::Status(Status::of(DELETED)))];
            self.record(it.clone(), now, gone).await;
        }
        let deleted = known.iter().map(|it| &it.id).collect();
        Ok(answer(StatusCode::OK, &Deleted { name: &name, waba_id: &client.waba_id, deleted }))
    }

    /// What came of a call. A token that Meta refuses is read again the next time; what may have happened is looked up.
    async fn done<T>(&self, client: &Client, called: Result<T, GraphError>) -> Result<T, ApiError> {
        let error = match called {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if matches!(error, GraphError::Unclear(_)) {
            self.ask_for_sync(&client.waba_id).await;
        }
        let error = refusals::of_change(error);
        if error.code() == "client_needs_reconnect" {
            self.tokens.forget(&client.grant_id);
        }
        Err(error)
    }

    /// Writes what we know now. Meta has done it whatever happens here: our record may lag, the answer may not.
    async fn record(
        &self,
        it: Template,
        at: Timestamp,
        facts: impl IntoIterator<Item = (Source, Fact)>,
    ) -> Template {
        let facts: Vec<_> = facts.into_iter().collect();
        let told =
            Told { waba: &it.waba_id, id: &it.id, name: &it.name, language: &it.language, at, facts: &facts };
        match note(self.store, &told, self.clock.now()).await {
            Ok(it) => it,
            Err(error) => {
                tracing::warn!(templateId = %it.id, error = %Chain(&error), "a template's record lags");
                self.ask_for_sync(&it.waba_id).await;
                let mut it = it;
                facts.iter().for_each(|(source, fact)| {
                    it.note(fact, *source, at);
                });
                it
            }
        }
    }
}

/// The members that are Meta's, under Meta's names. One that is null counts as missing, as everywhere.
fn for_meta(members: &Map<String, Value>) -> Map<String, Value> {
    let is_for_meta =
        |name: &&String| !["botId", "phoneNumberId"].contains(&name.as_str()) && !members[*name].is_null();
    let names = members.keys().filter(is_for_meta);
    let meta = |name: &String| {
        NAMES.iter().find(|(ours, _)| ours == name).map_or(name.clone(), |(_, it)| (*it).to_owned())
    };
    names.map(|name| (meta(name), members[name].clone())).collect()
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name)?.as_str().map(str::to_owned)
}

/// The content after these changes; `None` if they change none of it.
fn content(changes: &Map<String, Value>, known: Option<Content>) -> Option<Content> {
    let components = changes.get("components").cloned();
    let format = text(changes, "parameter_format");
    let ttl = changes.get("message_send_ttl_seconds").and_then(Value::as_i64);
    if components.is_none() && format.is_none() && ttl.is_none() {
        return None;
    }
    let (known_components, known_format, known_ttl) = match known {
        Some(known) => (Some(known.components), known.parameter_format, known.ttl_seconds),
        None => (None, None, None),
    };
    Some(Content {
        components: components.or(known_components)?,
        parameter_format: format.or(known_format),
        ttl_seconds: ttl.or(known_ttl),
    })
}

/// A template that Meta would refuse.
pub(super) fn invalid(member: &str, problem: impl Into<String>) -> ApiError {
    ApiError::bad_request(
        "invalid_template",
        format!("{member}: {}.", problem.into()),
        format!("Change {member} and send it again."),
    )
    .with_member("member", member)
}

/// What a new template must have (Meta, template management, 2026-08-25).
fn check_new(wanted: &Map<String, Value>) -> Result<(), ApiError> {
    for member in ["name", "language", "category"] {
        if text(wanted, member).is_none_or(|text| text.is_empty()) {
            return Err(invalid(member, "is missing"));
        }
    }
    let name = text(wanted, "name").unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() > 512 || !name.bytes().all(allowed) {
        return Err(invalid("name", "must be at most 512 lower-case letters, digits and underscores"));
    }
    if Language::try_from(text(wanted, "language").unwrap_or_default()).is_err() {
        return Err(invalid("language", "must be a code of Meta's, as en_US"));
    }
    // One from Meta's library brings its own.
    if !wanted.contains_key("components") && !wanted.contains_key("library_template_name") {
        return Err(invalid("components", "is missing"));
    }
    Ok(())
}

/// What new and changed templates must keep to (Meta, template management and time-to-live, 2026-08-25).
fn check(wanted: &Map<String, Value>) -> Result<(), ApiError> {
    let category = text(wanted, "category");
    if wanted.contains_key("category")
        && category.as_ref().is_none_or(|it| !CATEGORIES.contains(&it.as_str()))
    {
        return Err(invalid("category", format!("must be one of {}", CATEGORIES.join(", "))));
    }
    if let Some(components) = wanted.get("components") {
        let is_typed = |component: &Value| component["type"].is_string();
        let all = components.as_array().filter(|all| !all.is_empty() && all.iter().all(is_typed));
        let all = all.ok_or_else(|| invalid("components", "must be a list of objects with a type"))?;
        limits::check("components", all)?;
    }
    if let Some(format) = wanted.get("parameter_format")
        && !["POSITIONAL", "NAMED"].iter().any(|known| format == known)
    {
        return Err(invalid("parameterFormat", "must be POSITIONAL or NAMED"));
    }
    match wanted.get("message_send_ttl_seconds") {
        None => Ok(()),
        Some(ttl) => check_ttl(ttl, category.as_deref()),
    }
}

/// How long Meta may try to deliver depends on the category; of an edit that names none, Meta knows it.
fn check_ttl(ttl: &Value, category: Option<&str>) -> Result<(), ApiError> {
    let (range, forever) = match category {
        Some("AUTHENTICATION") => (30..=900, true),
        Some("UTILITY") => (30..=43_200, true),
        Some("MARKETING") => (43_200..=2_592_000, false),
        _ => (30..=2_592_000, true),
    };
    let fits = ttl.as_i64().is_some_and(|ttl| range.contains(&ttl) || (forever && ttl == -1));
    if fits {
        return Ok(());
    }
    let or = if forever { ", or -1 for 30 days" } else { "" };
    Err(invalid("messageSendTtlSeconds", format!("must be {} to {}{or}", range.start(), range.end())))
}
