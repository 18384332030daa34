//! `fields=` and cursor paging, which all nodes and edges share.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::error::GraphError;
use super::request::GraphRequest;

/// A node's members: every known field is present, `null` where it has no value now.
pub(crate) type Node = Map<String, Value>;

/// The members that a call asked for, or the node's default ones. One unknown field refuses the whole
/// request, as at Meta. Fields without a value are left out. `id` is always there.
pub(crate) fn select(node: &Node, request: &GraphRequest, defaults: &[&str]) -> Result<Value, GraphError> {
    let asked = request.text("fields");
    let names: Vec<&str> = match &asked {
        Some(fields) => top_level(fields),
        None => defaults.to_vec(),
    };
    let mut answer = Map::new();
    for name in names {
        let value = node.get(name).ok_or_else(|| {
            GraphError::parameter(format_args!("Tried accessing nonexisting field ({name})"))
        })?;
        if !value.is_null() {
            answer.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(id) = node.get("id") {
        answer.insert("id".to_owned(), id.clone());
    }
    Ok(Value::Object(answer))
}

/// Field names at the top level: `a,b{c,d}` is `a` and `b`; modifiers such as `.limit(5)` are dropped.
fn top_level(fields: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut start = 0;
    for (at, character) in fields.char_indices() {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                names.push(&fields[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    names.push(&fields[start..]);
    names
        .into_iter()
        .map(|name| name.split(['{', '.', '(']).next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .collect()
}

/// One page of an edge, 25 items unless told, at most 100.
pub(crate) fn page(
    nodes: &[Node],
    request: &GraphRequest,
    defaults: &[&str],
    address: &str,
) -> Result<Value, GraphError> {
    let limit = match request.text("limit") {
        None => 25,
        Some(limit) => limit
            .parse::<usize>()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| GraphError::parameter("Param limit must be a number from 1 to 100"))?,
    };
    let start = match request.text("after") {
        None => 0,
        Some(cursor) => after(nodes, &cursor)?,
    };
    let end = (start + limit).min(nodes.len());
    let data = nodes[start..end]
        .iter()
        .map(|node| select(node, request, defaults))
        .collect::<Result<Vec<_>, _>>()?;
    let mut answer = json!({ "data": data });
    if let (Some(first), Some(last)) = (nodes[start..end].first(), nodes[start..end].last()) {
        let after = cursor(last);
        answer["paging"] = json!({"cursors": {"before": cursor(first), "after": after}});
        if end < nodes.len() {
            answer["paging"]["next"] = json!(format!("{address}?limit={limit}&after={after}"));
        }
    }
    Ok(answer)
}

fn cursor(node: &Node) -> String {
    URL_SAFE_NO_PAD.encode(node.get("id").and_then(Value::as_str).unwrap_or_default())
}

fn after(nodes: &[Node], given: &str) -> Result<usize, GraphError> {
    let at = nodes.iter().position(|node| cursor(node) == given);
    at.map(|at| at + 1).ok_or_else(|| GraphError::parameter("Param after is not a cursor of this edge"))
}
