//! Reads grants from a template's JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::Call;

/// The key of an encryption context that says what is sealed: `shared::domain::seal`.
const FIELD: &str = "switchboard:field";

/// One action on one resource; of KMS, for one kind of secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The template's name of the resource, and what follows it in the ARN.
    pub(super) resource: String,
    /// Such as `dynamodb:GetItem`.
    pub(super) action: String,
    /// What must hold, for people; empty without.
    pub(super) condition: String,
    /// The encryption context that it is bound to, as calls have it: sorted.
    sealed: Option<[String; 2]>,
    /// Whether the template's parameters may leave it out.
    pub(super) optional: bool,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        if self.condition.is_empty() { Ok(()) } else { write!(f, " ({})", self.condition) }
    }
}

impl Grant {
    /// Whether it allows the call. Other conditions than an encryption context were judged by the local cloud.
    pub(super) fn allows(&self, call: &Call) -> bool {
        let resource = match self.resource.strip_suffix('*') {
            Some(start) => call.resource.starts_with(start),
            None => call.resource == self.resource,
        };
        let sealed = self.sealed.as_ref().is_none_or(|sealed| sealed[..] == call.sealed[..]);
        self.action == call.action && resource && sealed
    }
}

/// The resources of one type, by name.
pub(super) fn resources<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = template["Resources"].as_object().into_iter().flatten();
    all.filter(move |(_, resource)| resource["Type"] == kind).map(|(name, it)| (name.as_str(), it))
}

/// The function of each role.
pub(super) fn owners(template: &Value) -> BTreeMap<String, String> {
    let functions = resources(template, "AWS::Lambda::Function");
    functions.map(|(name, function)| (named(&function["Properties"]["Role"]), name.to_owned())).collect()
}

/// Whether a service may take the role.
pub(super) fn taken_by(role: &Value, service: &str) -> bool {
    list(&role["AssumeRolePolicyDocument"]["Statement"])
        .iter()
        .any(|statement| list(&statement["Principal"]["Service"]).contains(&&Value::from(service)))
}

/// The names of AWS's own policies that a role has.
pub(super) fn managed(role: &Value) -> Vec<String> {
    let name = |arn: &&Value| named(arn).rsplit('/').next().unwrap_or_default().to_owned();
    list(&role["ManagedPolicyArns"]).iter().map(name).collect()
}

/// Everything that a role's own policies grant.
pub(super) fn of_role(role: &Value) -> Vec<Grant> {
    let mut grants = Vec::new();
    for policy in list(&role["Policies"]) {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            match statement["Fn::If"].as_array() {
                Some(branches) => {
                    for branch in branches.iter().filter(|branch| branch["Effect"] == "Allow") {
                        grants.extend(of_statement(branch, true));
                    }
                }
                None => grants.extend(of_statement(statement, false)),
            }
        }
    }
    grants
}

fn of_statement(statement: &Value, optional: bool) -> Vec<Grant> {
    let mut grants = Vec::new();
    for action in list(&statement["Action"]) {
        let action = action.as_str().unwrap_or_default();
        for resource in list(&statement["Resource"]) {
            for (condition, sealed) in conditions(&statement["Condition"]) {
                let (action, resource) = (action.to_owned(), named(resource));
                grants.push(Grant { resource, action, condition, sealed, optional });
            }
        }
    }
    grants
}

/// A condition on the encryption context, once for each kind of secret; another one as it is.
fn conditions(condition: &Value) -> Vec<(String, Option<[String; 2]>)> {
    let records = list(&condition["ForAnyValue:StringEquals"]["kms:EncryptionContextKeys"]);
    let fields = list(&condition["StringEquals"][format!("kms:EncryptionContext:{FIELD}")]);
    let mut kinds = Vec::new();
    for record in records.iter().filter_map(|it| it.as_str()) {
        for field in fields.iter().filter_map(|it| it.as_str()) {
            let mut sealed = [format!("{FIELD}={field}"), record.to_owned()];
            sealed.sort();
            kinds.push((format!("the `{field}` of a `{record}`"), Some(sealed)));
        }
    }
    match condition {
        _ if !kinds.is_empty() => kinds,
        Value::Null => vec![(String::new(), None)],
        // Half of a binding is none.
        _ if !records.is_empty() || !fields.is_empty() => vec![(String::new(), None)],
        other => vec![(plain(other), None)],
    }
}

/// As in `StringEquals kms:ViaService: s3.${AWS::Region}.…`.
fn plain(condition: &Value) -> String {
    let mut words = Vec::new();
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let values: Vec<String> = list(values).iter().map(|value| named(value)).collect();
            words.push(format!("`{operator} {key}: {}`", values.join(", ")));
        }
    }
    words.join("; ")
}

/// The name in a `Ref`, `Fn::GetAtt` or `Fn::Sub`; a text as it is.
pub(super) fn named(value: &Value) -> String {
    let attribute = |name: &str, attribute: &str| match attribute {
        "StreamArn" => format!("{name}/stream"),
        _ => name.to_owned(),
    };
    if let Some(name) = value["Ref"].as_str() {
        return name.to_owned();
    }
    if let [Some(name), Some(of)] = [0, 1].map(|n| value["Fn::GetAtt"][n].as_str()) {
        return attribute(name, of);
    }
    let text = value["Fn::Sub"].as_str().or_else(|| value.as_str());
    let Some(text) = text else { return value.to_string() };
    // `${Table.Arn}/index/due` is `Table/index/due`; pseudo parameters have no attributes.
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once('}').unwrap_or((part, ""));
        match inner.split_once('.') {
            Some((name, of)) => out.push_str(&attribute(name, of)),
            None => out.push_str(&format!("${{{inner}}}")),
        }
        out.push_str(rest);
    }
    out
}

/// A list, or one thing instead of it, or nothing.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}
