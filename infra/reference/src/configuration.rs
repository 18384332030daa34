//! `docs/configuration.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_yaml_ng::Value;

use crate::{read, root};

const HEAD: &str = "\
# Configuration

Made out of `template.yaml` and the code by `cargo run -q -p reference -- configuration > docs/configuration.md`; a test
compares. How a deployment is done is in [deployment.md](deployment.md).

## Parameters

What `sam deploy --guided` asks for. CloudFormation refuses what does not fit before anything is changed. A parameter without a
default must be given; *secret* ones are never shown, and go to Secrets Manager.
";

const VARIABLES: &str = "
## Variables of the functions

What the template gives to functions, and what they read of it (`shared/src/config.rs` is the only reader; an empty variable
counts as not set). Names ending in `_ARN` lead to secrets: no variable holds one. The value is a parameter, or the name of a
resource of the template.
";

const READ_ELSEWHERE: &str = "
Read by all functions, and given by Lambda itself or by nobody: ";

/// The document.
///
/// # Errors
/// The template or the code cannot be read.
pub fn document() -> Result<String> {
    let template: Value = serde_yaml_ng::from_str(&read(&root().join("template.yaml"))?)?;
    let mut out = HEAD.to_owned();
    parameters(&template, &mut out)?;
    out.push_str(VARIABLES);
    variables(&template, &mut out)?;
    Ok(out)
}

fn parameters(template: &Value, out: &mut String) -> Result<()> {
    let groups = &template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    for group in groups.as_sequence().context("the template has no groups of parameters")? {
        let label = group["Label"]["default"].as_str().context("a group has no label")?;
        writeln!(
            out,
            "\n### {label}\n\n| Parameter | Type | Default | May be | Meaning |\n|---|---|---|---|---|"
        )?;
        for name in group["Parameters"].as_sequence().context("a group has no parameters")? {
            let name = name.as_str().context("a parameter has no name")?;
            writeln!(out, "{}", row(name, &template["Parameters"][name])?)?;
        }
    }
    Ok(())
}

fn row(name: &str, parameter: &Value) -> Result<String> {
    let secret = if parameter["NoEcho"] == true { ", secret" } else { "" };
    let kind = parameter["Type"].as_str().context("a parameter has no type")?;
    let default = match &parameter["Default"] {
        Value::Null => "–".to_owned(),
        value if plain(value).is_empty() => "empty".to_owned(),
        value => format!("`{}`", plain(value)),
    };
    let constraint = plain(&parameter["ConstraintDescription"]);
    let pattern = match parameter["AllowedPattern"].as_str() {
        Some(pattern) => format!("; `{}`", pattern.replace('|', "\\|")),
        None => String::new(),
    };
    let meaning = plain(&parameter["Description"]);
    Ok(format!("| `{name}` | {kind}{secret} | {default} | {constraint}{pattern} | {meaning} |"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => serde_yaml_ng::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

/// A variable of functions. Who reads it is given it: a test of the template asserts that.
#[derive(Default)]
struct Variable {
    value: String,
    read: BTreeSet<String>,
}

fn variables(template: &Value, out: &mut String) -> Result<()> {
    let mut found: BTreeMap<String, Variable> = BTreeMap::new();
    let common = &template["Globals"]["Function"]["Environment"]["Variables"];
    give(common, &mut found);
    for (_, resource) in template["Resources"].as_mapping().context("the template has no resources")? {
        if resource["Type"] == "AWS::Serverless::Function" {
            give(&resource["Properties"]["Environment"]["Variables"], &mut found);
        }
    }
    let functions = root().join("functions");
    for folder in folders(&functions)? {
        for name in settings(&functions.join(&folder).join("src"))? {
            found.entry(name).or_default().read.insert(folder.clone());
        }
    }
    let shared = settings(&root().join("shared/src"))?;
    writeln!(out, "\n| Variable | Value | Read by |\n|---|---|---|")?;
    for (name, variable) in &found {
        let mut readers: Vec<String> = variable.read.iter().map(|name| format!("`{name}`")).collect();
        if shared.contains(name) {
            readers.push("shared code".to_owned());
        }
        writeln!(out, "| `{name}` | {} | {} |", variable.value, readers.join(", "))?;
    }
    let others = shared.into_iter().filter(|name| !found.contains_key(name)).collect();
    writeln!(out, "{READ_ELSEWHERE}{}.", list(&others))?;
    Ok(())
}

fn give(variables: &Value, found: &mut BTreeMap<String, Variable>) {
    for (name, value) in variables.as_mapping().into_iter().flatten() {
        found.entry(plain(name)).or_default().value = named(value);
    }
}

/// The name in `!Ref Name`, `!GetAtt Name.Arn` or `!If [Condition, !Ref Name, …]`; else the text of a `!Sub`.
fn named(value: &Value) -> String {
    let Value::Tagged(tagged) = value else { return format!("`{}`", plain(value)) };
    match &tagged.value {
        Value::Sequence(parts) => parts.get(1).map(named).unwrap_or_default(),
        inner => {
            let text = plain(inner);
            let name =
                if tagged.tag == "Sub" { text.as_str() } else { text.split('.').next().unwrap_or_default() };
            format!("`{name}`")
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn folders(path: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(path)? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// The settings that the code below a folder reads: `config::…("NAME"`.
fn settings(path: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            names.append(&mut settings(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for call in read(&path)?.split("config::").skip(1) {
                let argument = call.split_once("(\"").and_then(|(before, rest)| {
                    let near = before.chars().all(|c| c.is_ascii_alphanumeric() || "_:<>".contains(c));
                    near.then(|| rest.split('"').next()).flatten()
                });
                names.extend(argument.map(str::to_owned));
            }
        }
    }
    Ok(names)
}
