//! Template messages, checked against the WABA's own templates.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::graph::error::GraphError;
use crate::state::Template;

use super::part::Part;

/// Characters of a body after its parameters are filled in.
const FILLED_BODY: usize = 1024;

/// Finds the template and compares its placeholders with the parameters given.
pub(super) fn check<'t>(templates: &'t [Template], given: &Part<'_>) -> Result<&'t Template, GraphError> {
    let name = given.required_text("name", 512)?;
    let language = given.required("language")?.required_text("code", 16)?;
    let template = templates
        .iter()
        .find(|template| template.name == name && template.language == language)
        .ok_or_else(|| unknown(name, language))?;
    match template.status.as_str() {
        "APPROVED" => {}
        "PAUSED" => return Err(GraphError::new(400, 132_015, "(#132015) Template is paused")),
        "DISABLED" => return Err(GraphError::new(400, 132_016, "(#132016) Template is disabled")),
        _ => return Err(unknown(name, language)),
    }
    let components = match given.has("components") {
        true => given.array("components", 0, 20)?,
        false => Vec::new(),
    };
    for part in ["header", "body"] {
        compare(template, part, &components)?;
    }
    components.iter().try_for_each(button)?;
    Ok(template)
}

/// What a button of the template is given: which one, and values of the button's kind.
fn button(component: &Part<'_>) -> Result<(), GraphError> {
    if !component.required_text("type", 64)?.eq_ignore_ascii_case("button") {
        return Ok(());
    }
    component.required_text("sub_type", 64)?;
    component.number("index", 9.0)?;
    if !component.has("parameters") {
        return Ok(());
    }
    for parameter in component.array("parameters", 0, 100)? {
        match parameter.required_text("type", 64)? {
            "text" => parameter.required_text("text", 2000)?,
            "payload" => parameter.required_text("payload", 4096)?,
            "coupon_code" => parameter.required_text("coupon_code", 15)?,
            _ => continue,
        };
    }
    Ok(())
}

fn unknown(name: &str, language: &str) -> GraphError {
    GraphError::new(404, 132_001, "(#132001) Template name does not exist in the translation")
        .details(format!("template name ({name}) does not exist in {language}"))
}

/// One component of the template and the parameters for it.
fn compare(template: &Template, part: &str, given: &[Part<'_>]) -> Result<(), GraphError> {
    let definition = component(template, part);
    let mut parameters = Vec::new();
    for component in given {
        let kind = component.required_text("type", 64)?;
        if kind.eq_ignore_ascii_case(part) && component.has("parameters") {
            parameters = component.array("parameters", 0, 100)?;
        }
    }
    let format = definition.and_then(|d| d["format"].as_str()).unwrap_or("TEXT");
    if !format.eq_ignore_ascii_case("TEXT") {
        return media_header(format, &parameters);
    }
    let text = definition.and_then(|d| d["text"].as_str()).unwrap_or_default();
    let wanted = placeholders(text).len();
    if parameters.len() != wanted {
        return Err(GraphError::new(400, 132_000, "(#132000) Number of parameters does not match the expected number of params")
            .details(format!("{part}: number of localizable_params ({}) does not match the expected number of params ({wanted})", parameters.len())));
    }
    let mut filled = text.encode_utf16().count();
    for parameter in &parameters {
        if parameter.one_of("type", &["text", "currency", "date_time"])? == "text" {
            filled += parameter.required_text("text", 32_768)?.encode_utf16().count();
        }
        if template.parameter_format.eq_ignore_ascii_case("NAMED") {
            parameter.required_text("parameter_name", 64)?;
        }
    }
    match filled {
        0..=FILLED_BODY => Ok(()),
        _ => Err(GraphError::new(400, 132_005, "(#132005) Translated text too long")
            .details(format!("{part}: the text has more than {FILLED_BODY} characters with its parameters"))),
    }
}

fn component<'t>(template: &'t Template, part: &str) -> Option<&'t Value> {
    let all = template.components.as_array()?;
    all.iter().find(|c| c["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(part)))
}

/// A header that shows a picture, film, document or place needs exactly that.
fn media_header(format: &str, parameters: &[Part<'_>]) -> Result<(), GraphError> {
    let mismatch = || {
        GraphError::new(
            400,
            132_012,
            "(#132012) Parameter format does not match format in the created template",
        )
        .details(format!("header: Format mismatch, expected {format}"))
    };
    match parameters {
        [only] => only.one_of("type", &[&format.to_lowercase()]).map(|_| ()).map_err(|_| mismatch()),
        _ => Err(mismatch()),
    }
}

/// The distinct `{{…}}` of a text.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.trim()).collect()
}
