//! Operations and types, put together as OpenAPI 3.1 wants them (OpenAPI Specification 3.1.1, 2024-10-24).

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};
use shared::api::describe::{Answer, Operation, Parameter, SchemaOf, Security};
use shared::http::Problem;

/// What API Gateway answers by itself, and when.
const GATEWAY: [(u16, &str); 6] = [
    (401, "No token, or one that is not valid."),
    (403, "The token lacks what the route wants."),
    (413, "The request is larger than 10 MB."),
    (429, "More calls than the deployment allows."),
    (500, "The function failed before it could answer."),
    (503, "The function did not answer within 30 seconds."),
];

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut types = Types::new();
    let mut paths = Map::new();
    for operation in shared::api::operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = types.operation(&operation);
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Switchboard",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A backend for WhatsApp Solution Partners.",
            "description": "Refusals are problems (RFC 9457) with a stable `code`; docs/errors.md says what each means. \
                What API Gateway refuses by itself has the form `{\"message\": \"…\"}`.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{
            "url": "{origin}",
            "description": "The output ApiUrl of the deployed stack; or the local one.",
            "variables": {"origin": {"default": "http://127.0.0.1:3000"}},
        }],
        "security": [{"caller": []}],
        "tags": [
            {"name": "integrations", "description": "The signup of clients."},
            {"name": "whatsapp", "description": "Clients, messages, templates."},
            {"name": "webhooks", "description": "What Meta calls."},
        ],
        "paths": paths,
        "components": {
            "schemas": types.schemas(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "caller": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token of the deployment's issuer. Its claim `bots` lists the bots that the caller may \
                touch; `role: \"admin\"` means all.",
        },
        "signupPage": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The short-lived token of the signup page: `bots` with one bot, and `scope: \"onboard\"`.",
        },
        "metaSignature": {
            "type": "apiKey", "in": "header", "name": "X-Hub-Signature-256",
            "description": "`sha256=` and the HMAC-SHA256 of the body under the app secret, in lower-case hex.",
        },
    })
}

/// Nullable references and such are left as JSON Schema 2020-12 has them. Rust's widths of numbers are no formats
/// that others know.
fn tidy(schema: &mut schemars::Schema) {
    let known = |format: &Value| ["date-time", "double"].iter().any(|known| format == known);
    if schema.get("format").is_some_and(|format| !known(format)) {
        schema.remove("format");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace("`None`", "null");
    }
}

/// A member of an answer that may be left out is then left out, and never null.
fn never_null(schema: &mut schemars::Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|it| it == name));
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, member) in members.into_iter().flatten().filter(|(name, _)| !is_required(name)) {
        let Some(member) = member.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = member.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                member.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = member.get_mut("anyOf") {
            choices.retain(|choice| choice["type"] != "null");
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                member.remove("anyOf");
                member.extend(only);
            }
        }
    }
}

/// The schemas of all types: what is read and what is written may differ in what must be there.
struct Types {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Types {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
                .with_transform(RecursiveTransform(tidy))
        };
        let written = settings().with_transform(RecursiveTransform(never_null));
        Self {
            read: settings().for_deserialize().into_generator(),
            written: written.for_serialize().into_generator(),
        }
    }

    fn schemas(mut self) -> Value {
        let read = self.read.take_definitions(true);
        let mut all: BTreeMap<String, Value> = self.written.take_definitions(true).into_iter().collect();
        for (name, schema) in read {
            let known = all.insert(name.clone(), schema.clone());
            assert!(known.is_none_or(|known| known == schema), "{name} is read otherwise than it is written");
        }
        let message = json!({"type": "string"});
        let gateway = json!({"type": "object", "description": "A refusal of API Gateway's.",
            "properties": {"message": message}, "required": ["message"]});
        all.insert("GatewayRefusal".to_owned(), gateway);
        json!(all)
    }

    fn written(&mut self, schema: SchemaOf) -> Value {
        let mut schema = schema(&mut self.written);
        RecursiveTransform(tidy).transform(&mut schema);
        schema.to_value()
    }

    fn read(&mut self, schema: SchemaOf) -> Value {
        let mut schema = schema(&mut self.read);
        RecursiveTransform(tidy).transform(&mut schema);
        schema.to_value()
    }

    fn operation(&mut self, it: &Operation) -> Value {
        let tag = it.path.split('/').nth(2).unwrap_or_default();
        let mut operation = json!({"tags": [tag], "summary": it.summary, "operationId": it.id});
        if !it.description.is_empty() {
            operation["description"] = it.description.into();
        }
        match it.security {
            Security::Caller => {}
            Security::CallerOrPage => operation["security"] = json!([{"caller": []}, {"signupPage": []}]),
            Security::Signature => operation["security"] = json!([{"metaSignature": []}]),
            Security::Nobody => operation["security"] = json!([]),
        }
        if !it.parameters.is_empty() {
            operation["parameters"] = it.parameters.iter().map(|it| self.parameter(it)).collect();
        }
        if let Some((schema, example)) = &it.request {
            let schema = self.read(*schema);
            operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema, "example": example}}});
        }
        if !it.files.is_empty() {
            // Bytes have no schema (OpenAPI 3.1, considerations for file uploads).
            let content: Map<String, Value> =
                it.files.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        operation["responses"] = self.responses(it);
        operation
    }

    fn parameter(&mut self, it: &Parameter) -> Value {
        let schema = self.read(it.schema);
        json!({"name": it.name, "in": it.place, "description": it.description, "required": it.required, "schema": schema})
    }

    fn responses(&mut self, it: &Operation) -> Value {
        let mut responses = BTreeMap::new();
        for answer in &it.answers {
            responses.insert(answer.status.to_string(), self.answer(answer));
        }
        let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for (status, code) in &it.problems {
            codes.entry(*status).or_default().push(code);
        }
        for (status, codes) in codes {
            responses.insert(status.to_string(), self.problem(status, &codes));
        }
        let has_token = matches!(it.security, Security::Caller | Security::CallerOrPage);
        for (status, when) in GATEWAY {
            if has_token || !matches!(status, 401 | 403) {
                add_gateway(responses.entry(status.to_string()).or_default(), when);
            }
        }
        json!(responses)
    }

    fn answer(&mut self, it: &Answer) -> Value {
        let mut answer = json!({"description": it.description});
        if let Some((media_type, schema)) = it.body {
            answer["content"] = json!({media_type: {"schema": self.written(schema)}});
        }
        answer
    }

    fn problem(&mut self, status: u16, codes: &[&str]) -> Value {
        let problem = self.written.subschema_for::<Problem>().to_value();
        let narrowed = json!({"properties": {"status": {"const": status}, "code": {"enum": codes}}});
        let names: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut refusal = json!({
            "description": format!("Refused: {}.", names.join(", ")),
            "content": {"application/problem+json": {"schema": {"allOf": [problem, narrowed]}}},
        });
        // Not where a problem of ours is only one of several reasons.
        if matches!(status, 429 | 503) {
            refusal["headers"] = json!({"Retry-After": {
                "description": "After how many seconds it may be tried again.",
                "schema": {"type": "integer", "minimum": 1},
            }});
        }
        refusal
    }
}

fn add_gateway(response: &mut Value, when: &str) {
    if response.is_null() {
        *response = json!({"description": "", "content": {}});
    }
    let told = response["description"].as_str().unwrap_or_default();
    response["description"] = format!("{told} By API Gateway: {when}").trim_start().into();
    response["content"]["application/json"] =
        json!({"schema": {"$ref": "#/components/schemas/GatewayRefusal"}});
}
