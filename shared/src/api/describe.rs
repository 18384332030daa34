//! The words in which a route is described.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::http::Limit;

/// Gives the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Any caller's token.
    Caller,
    /// Any caller's token, or the signup page's own.
    CallerOrPage,
    /// Meta, by the signature of the body.
    Signature,
    /// Anybody.
    Nobody,
}

/// A parameter of the path, the query or a header.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// As it is written.
    pub name: &'static str,
    /// `path`, `query` or `header`.
    pub place: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Its form.
    pub schema: SchemaOf,
}

/// The body of a good answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it is given.
    pub description: &'static str,
    /// Media type and form; `None` = an empty body.
    pub body: Option<(&'static str, SchemaOf)>,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Operation {
    /// In lower case, as in the document.
    pub method: &'static str,
    /// As in `template.yaml`.
    pub path: &'static str,
    /// Unique, for generated clients.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// More, or nothing.
    pub description: &'static str,
    /// Who may call.
    pub security: Security,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// The body's form, and an example.
    pub request: Option<(SchemaOf, Value)>,
    /// The types of the files that are a body.
    pub files: &'static [&'static str],
    /// Good answers.
    pub answers: Vec<Answer>,
    /// Status and code of each refusal of the function's.
    pub problems: Vec<(u16, &'static str)>,
}

impl Operation {
    /// A route for callers.
    pub fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let problems = vec![
            (401, "unauthenticated"),
            (403, "scope_insufficient"),
            (500, "internal_error"),
            (503, "temporarily_unavailable"),
        ];
        Self {
            method,
            path,
            id,
            summary,
            description: "",
            security: Security::Caller,
            parameters: Vec::new(),
            request: None,
            files: &[],
            answers: Vec::new(),
            problems,
        }
    }

    /// A route without a token; its refusals are named one by one.
    pub fn public(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let problems = vec![(503, "temporarily_unavailable")];
        Self { security: Security::Nobody, problems, ..Self::new(method, path, id, summary) }
    }

    /// The signup page may call it, too.
    #[must_use]
    pub fn for_the_page(mut self) -> Self {
        self.security = Security::CallerOrPage;
        self.problems.retain(|(_, code)| *code != "scope_insufficient");
        self
    }

    /// Called by Meta, who signs.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.security = Security::Signature;
        self.problem(401, "bad_signature")
    }

    /// What the summary leaves out.
    #[must_use]
    pub fn described(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    fn parameter<T: JsonSchema>(
        mut self,
        place: &'static str,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        let required = place == "path";
        self.parameters.push(Parameter { name, place, description, required, schema: schema_of::<T> });
        self
    }

    /// A part of the path; one that is not of its form answers 404 with `code`.
    #[must_use]
    pub fn path<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
        code: &'static str,
    ) -> Self {
        self.parameter::<T>("path", name, description).problem(404, code)
    }

    /// The bot that the path names.
    #[must_use]
    pub fn of_a_bot(self) -> Self {
        self.path::<crate::domain::ids::BotId>("botId", "The bot; one of the token's.", "bot_not_found")
    }

    /// An optional parameter of the query.
    #[must_use]
    pub fn query<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter::<T>("query", name, description).problem(400, "invalid_parameter")
    }

    /// A parameter of the query that must be there.
    #[must_use]
    pub fn required_query<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        let mut it = self.parameter::<T>("query", name, description);
        if let Some(parameter) = it.parameters.last_mut() {
            parameter.required = true;
        }
        it
    }

    /// An optional header.
    #[must_use]
    pub fn header<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter::<T>("header", name, description)
    }

    /// `limit` and `cursor`, and a page of these as its answer.
    #[must_use]
    pub fn pages<T: JsonSchema, C: JsonSchema>(self, description: &'static str) -> Self {
        self.query::<Limit>("limit", "How many items a page has at most.")
            .query::<C>("cursor", "`nextCursor` of the page before.")
            .answer::<super::Page<T>>(200, description)
    }

    /// A JSON body; `example` is one.
    #[must_use]
    pub fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.request = Some((schema_of::<T>, example));
        self.problem(400, "not_json")
            .problem(400, "not_an_object")
            .problem(400, "missing_member")
            .problem(400, "invalid_member")
            .problem(413, "body_too_large")
    }

    /// A body that is a file of one of these types.
    #[must_use]
    pub fn file_body(mut self, types: &'static [&'static str]) -> Self {
        self.files = types;
        self
    }

    /// `Idempotency-Key` is honoured.
    #[must_use]
    pub fn with_key(self) -> Self {
        self.header::<IdempotencyKey>(
            "Idempotency-Key",
            "The same key with the same body answers as the first time, for 24 hours.",
        )
        .problem(400, "invalid_idempotency_key")
        .problem(409, "request_running")
        .problem(422, "idempotency_key_reused")
    }

    /// A good answer.
    #[must_use]
    pub fn answer<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push(Answer { status, description, body: Some(("application/json", schema_of::<T>)) });
        self
    }

    /// A good answer that is no JSON.
    #[must_use]
    pub fn plain_answer(mut self, status: u16, body: bool, description: &'static str) -> Self {
        let body = body.then_some(("text/plain", schema_of::<String> as SchemaOf));
        self.answers.push(Answer { status, description, body });
        self
    }

    /// A good answer of JSON lines; each line has this form.
    #[must_use]
    pub fn lines<T: JsonSchema>(mut self, description: &'static str) -> Self {
        let body = Some(("application/jsonl", schema_of::<T> as SchemaOf));
        self.answers.push(Answer { status: 200, description, body });
        self
    }

    /// A refusal of the function's: a row of `docs/errors.md`.
    #[must_use]
    pub fn problem(mut self, status: u16, code: &'static str) -> Self {
        if !self.problems.contains(&(status, code)) {
            self.problems.push((status, code));
        }
        self
    }
}

/// An `Idempotency-Key`: visible ASCII.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = "^[!-~]{1,255}$"))]
pub(super) struct IdempotencyKey(#[expect(dead_code, reason = "only described")] String);
