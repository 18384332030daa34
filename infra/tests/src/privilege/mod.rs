//! Least privilege: what roles may do, by `template.yaml` after SAM's translation, against what a run of all
//! system tests did with them.
//!
//! A [`Grant`] is one action on one resource, of KMS also for one kind of secret. Each grant is used by the run
//! or has a reason why not: [`Ledger::new`] finds what is wrong with the policies alone, [`Ledger::compare`] what
//! the run shows, and [`Ledger::report`] is the page of both.

mod grants;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub use grants::Grant;

/// What an event source mapping needs of the function's role on a queue.
/// Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS" (November 2026).
const OF_QUEUES: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/// The same for a table's stream; "Using AWS Lambda with Amazon DynamoDB" (November 2026).
const OF_STREAMS: [&str; 4] =
    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

/// A kind of call that a role made, as the start code of the local cloud writes it down.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Call {
    /// The role's name in the template.
    pub role: String,
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// The template's name of the resource, and what follows it in the ARN.
    pub resource: String,
    /// The encryption context of KMS calls: keys, and the value of the one that says what is sealed.
    #[serde(default)]
    pub sealed: Vec<String>,
}

/// What a person has looked at, each with the reason: `infra/tests/privilege.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exceptions {
    /// AWS's own policies that roles may have.
    pub managed_policies: BTreeMap<String, String>,
    /// Resources with a star.
    pub stars: BTreeMap<String, String>,
    /// Grants that the run does not use, or not each time.
    pub unused: Vec<Unused>,
}

/// Why a grant stays that the run does not use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unused {
    /// The function, or the role where no function has it.
    pub of: String,
    /// The action.
    pub action: String,
    /// The resource as the report names it.
    pub resource: String,
    /// For people.
    pub reason: String,
    /// The run may use it, by chance.
    #[serde(default)]
    pub rare: bool,
}

/// Who uses a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum User {
    /// A function, in a run of all tests.
    Run,
    /// AWS, to feed the function from a queue or a stream.
    Poller,
    /// The service that takes the role, which the local cloud does not ask for permission.
    Service,
    /// Nobody that the run sees.
    Nobody { reason: String, rare: bool },
}

/// One role.
#[derive(Debug)]
struct Role {
    /// Its name in the template.
    name: String,
    /// The function that has it, else its own name.
    of: String,
    /// AWS's own policies.
    managed: Vec<String>,
    grants: Vec<(Grant, User)>,
}

/// All roles with their grants, and who uses each.
#[derive(Debug)]
pub struct Ledger {
    roles: Vec<Role>,
    exceptions: Exceptions,
    /// What is wrong with the policies, whatever a run does.
    pub problems: Vec<String>,
}

impl Ledger {
    /// Reads the translated template.
    #[must_use]
    pub fn new(template: &Value, exceptions: Exceptions) -> Self {
        let mut ledger = Self { roles: Vec::new(), exceptions, problems: Vec::new() };
        let owners = grants::owners(template);
        for (name, role) in grants::resources(template, "AWS::IAM::Role") {
            let of = owners.get(name).cloned().unwrap_or_else(|| name.to_owned());
            ledger.add(name, of, &role["Properties"]);
        }
        // The order of a template's resources means nothing.
        ledger.roles.sort_by(|one, other| one.of.cmp(&other.of));
        ledger.give_to_pollers(template);
        ledger.look_for_what_does_not_fit();
        ledger
    }

    fn add(&mut self, name: &str, of: String, properties: &Value) {
        let by_lambda = grants::taken_by(properties, "lambda.amazonaws.com");
        let mut all: Vec<(Grant, User)> = Vec::new();
        for grant in grants::of_role(properties) {
            if all.iter().any(|(other, _)| *other == grant) {
                self.problems.push(format!("{of}: {grant} is granted twice"));
                continue;
            }
            let user = if by_lambda { self.user(&of, &grant) } else { User::Service };
            all.push((grant, user));
        }
        all.sort();
        let managed = grants::managed(properties);
        self.roles.push(Role { name: name.to_owned(), of, managed, grants: all });
    }

    fn user(&self, of: &str, grant: &Grant) -> User {
        match self.exceptions.unused.iter().find(|it| it.covers(of, grant)) {
            Some(Unused { reason, rare, .. }) => User::Nobody { reason: reason.clone(), rare: *rare },
            None => User::Run,
        }
    }

    /// The local cloud's event sources need no permission, AWS's do.
    fn give_to_pollers(&mut self, template: &Value) {
        for (name, source) in grants::resources(template, "AWS::Lambda::EventSourceMapping") {
            let properties = &source["Properties"];
            let (from, to) =
                (grants::named(&properties["EventSourceArn"]), grants::named(&properties["FunctionName"]));
            let stream = from.ends_with("/stream");
            let needed = if stream { &OF_STREAMS[..] } else { &OF_QUEUES[..] };
            let Some(role) = self.roles.iter_mut().find(|role| role.of == to) else { continue };
            for action in needed {
                let same = |grant: &Grant| grant.action == *action && grant.resource == from;
                match role.grants.iter_mut().find(|(grant, _)| same(grant)) {
                    Some((_, user)) => *user = User::Poller,
                    None => {
                        self.problems.push(format!("{to}: {action} on {from} is missing: {name} needs it"))
                    }
                }
            }
        }
    }

    fn look_for_what_does_not_fit(&mut self) {
        let exceptions = &self.exceptions;
        for role in &self.roles {
            for policy in role.managed.iter().filter(|it| !exceptions.managed_policies.contains_key(*it)) {
                self.problems.push(format!("{}: nobody gave a reason for AWS's policy {policy}", role.of));
            }
            for (grant, _) in &role.grants {
                if grant.action.contains('*') {
                    self.problems.push(format!("{}: {grant} has a star for an action", role.of));
                }
                if grant.resource.contains('*') && !exceptions.stars.contains_key(&grant.resource) {
                    self.problems.push(format!("{}: {grant}: nobody gave a reason for the star", role.of));
                }
                if grant.action.starts_with("kms:") && grant.condition.is_empty() {
                    self.problems.push(format!("{}: {grant} is bound to no encryption context", role.of));
                }
            }
        }
        for unused in &self.exceptions.unused {
            let mut grants =
                self.roles.iter().flat_map(|role| role.grants.iter().map(move |(it, _)| (role, it)));
            if !grants.any(|(role, grant)| unused.covers(&role.of, grant)) {
                let Unused { of, action, resource, .. } = unused;
                self.problems.push(format!(
                    "privilege.json excuses {of}: {action} on {resource}, which nobody grants"
                ));
            }
        }
    }

    /// What a run of all tests shows: calls that nothing grants, grants that nothing used, idle excuses.
    #[must_use]
    pub fn compare(&self, calls: &[Call]) -> Vec<String> {
        let mut problems = Vec::new();
        for call in calls {
            let role = self.roles.iter().find(|role| role.name == call.role);
            if !role.is_some_and(|role| role.grants.iter().any(|(grant, _)| grant.allows(call))) {
                let of = role.map_or(&call.role, |role| &role.of);
                let sealed = call.sealed.join(", ");
                let sealed = if sealed.is_empty() { sealed } else { format!(" ({sealed})") };
                problems.push(format!(
                    "{of}: {} on {}{sealed} was called and is not granted",
                    call.action, call.resource
                ));
            }
        }
        for role in &self.roles {
            for (grant, user) in &role.grants {
                let used = calls.iter().any(|call| call.role == role.name && grant.allows(call));
                match user {
                    User::Run if !used => {
                        problems.push(format!("{}: {grant} is granted and nothing used it", role.of))
                    }
                    User::Nobody { rare: false, .. } if used => {
                        problems
                            .push(format!("{}: {grant} is used: privilege.json need not excuse it", role.of));
                    }
                    _ => {}
                }
            }
        }
        problems
    }
}

impl Unused {
    fn covers(&self, of: &str, grant: &Grant) -> bool {
        self.of == of && self.action == grant.action && self.resource == grant.resource
    }
}
