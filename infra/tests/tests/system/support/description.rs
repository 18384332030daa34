//! The API description, to which every answer to every test is held.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// `docs/openapi.json`, and the bodies that are still to be held to it.
pub(crate) struct Description {
    document: Value,
    /// A line for each JSON answer: where its schema is in the document, and its body.
    answers: Mutex<NamedTempFile>,
}

/// The document's file.
pub(crate) fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

impl Description {
    pub(crate) fn read() -> Result<Self> {
        let text = std::fs::read_to_string(file()).context("no docs/openapi.json")?;
        let answers = Mutex::new(NamedTempFile::new()?);
        Ok(Self { document: serde_json::from_str(&text)?, answers })
    }

    /// All of it.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The bodies so far, as JSON lines.
    pub(crate) fn answers(&self) -> PathBuf {
        self.answers.lock().expect("nobody panics while holding it").path().to_owned()
    }

    /// Whether status and media type are described; the body is kept for the test of all answers. What no route has is
    /// API Gateway's to answer.
    pub(crate) fn check(&self, call: Call<'_>) -> Result<()> {
        let Some(path) = self.path(call.method, call.path) else { return Ok(()) };
        let address =
            ["paths", path, call.method, "responses", &call.status.to_string()].map(escaped).join("/");
        let Some(response) = self.document.pointer(&format!("/{address}")) else {
            bail!("{} {path} answered {}, which is not described", call.method, call.status);
        };
        let Some(content) = response.get("content") else {
            ensure!(call.body.is_empty(), "{} {path} answered {} with a body", call.method, call.status);
            return Ok(());
        };
        let kind = call.content_type.split(';').next().unwrap_or_default();
        ensure!(content.get(kind).is_some(), "{} {path} answered {} as {kind:?}", call.method, call.status);
        if !kind.ends_with("json") {
            return Ok(());
        }
        let body: Value = serde_json::from_str(call.body).context("no JSON")?;
        let schema = format!("#/{address}/content/{}/schema", escaped(kind));
        let mut answers = self.answers.lock().expect("nobody panics while holding it");
        writeln!(answers, "{}", json!({"schema": schema, "body": body})).context("an answer was not kept")
    }

    /// The described path that a call is of: where two fit, the one with fewer parameters.
    fn path(&self, method: &str, path: &str) -> Option<&str> {
        let paths = self.document["paths"].as_object()?;
        let fitting =
            paths.iter().filter(|(it, operations)| operations.get(method).is_some() && fits(it, path));
        fitting.map(|(it, _)| it.as_str()).min_by_key(|it| it.matches('{').count())
    }
}

/// A call and its answer.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// In lower case.
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a str,
}

/// A part of a JSON pointer.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn fits(described: &str, path: &str) -> bool {
    let (mut described, mut path) = (described.split('/'), path.split('/'));
    loop {
        match (described.next(), path.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || (one.starts_with('{') && !other.is_empty()) => {}
            _ => return false,
        }
    }
}
