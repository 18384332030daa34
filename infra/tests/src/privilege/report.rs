//! The page `docs/least-privilege.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Ledger, Role, User};

/// What the page says before the tables. The tables follow.
const INTRODUCTION: &str = include_str!("report.md");

impl Ledger {
    /// The page, as it must be committed.
    #[must_use]
    pub fn report(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        let (functions, others): (Vec<_>, Vec<_>) = self.roles.iter().partition(|role| role.of != role.name);
        self.write_reasons(&mut page);
        page.push_str("\n## Functions\n");
        for role in functions {
            let _ = write!(page, "\n### {}\n\n", role.of);
            write_role(&mut page, role);
        }
        page.push_str(
            "\n## Roles of services\n\nEventBridge Scheduler takes these to start functions.\n\n\
             | Role | Actions |\n|---|---|\n",
        );
        for role in others {
            let grants: Vec<_> =
                role.grants.iter().map(|(it, _)| format!("`{}` on `{}`", it.action, it.resource)).collect();
            let _ = writeln!(page, "| `{}` | {} |", role.name, grants.join(", "));
        }
        page
    }

    fn write_reasons(&self, page: &mut String) {
        page.push_str("\n## Stars and AWS's own policies\n\n| What | Why |\n|---|---|\n");
        let grants = || self.roles.iter().flat_map(|role| &role.grants);
        let used =
            self.exceptions.stars.iter().filter(|(name, _)| grants().any(|(it, _)| it.resource == **name));
        for (name, reason) in used {
            let _ = writeln!(page, "| `{name}` | {reason} |");
        }
        let had = |name: &&String| self.roles.iter().any(|role| role.managed.contains(name));
        for (name, reason) in self.exceptions.managed_policies.iter().filter(|(name, _)| had(name)) {
            let _ = writeln!(page, "| `{name}` | {reason} |");
        }
    }
}

/// A line for each resource, condition and user; the actions together.
fn write_role(page: &mut String, role: &Role) {
    let mut lines: BTreeMap<(&str, String, String), Vec<String>> = BTreeMap::new();
    for (grant, user) in &role.grants {
        let mut condition = grant.condition.clone();
        if grant.optional {
            condition.push_str(if condition.is_empty() {
                "a parameter asks for it"
            } else {
                "; a parameter asks for it"
            });
        }
        let line = (grant.resource.as_str(), condition, words(user));
        lines.entry(line).or_default().push(format!("`{}`", grant.action));
    }
    if lines.is_empty() {
        page.push_str("Nothing.\n");
        return;
    }
    page.push_str("| Resource | Actions | Only for | Used by |\n|---|---|---|---|\n");
    for ((resource, condition, user), actions) in lines {
        let _ = writeln!(page, "| `{resource}` | {} | {condition} | {user} |", actions.join(", "));
    }
}

fn words(user: &User) -> String {
    match user {
        User::Run => "the run".to_owned(),
        User::Poller => "AWS, to feed the function".to_owned(),
        User::Service => "the service".to_owned(),
        User::Nobody { reason, rare: true } => format!("the run, sometimes: {reason}"),
        User::Nobody { reason, rare: false } => format!("**not by the run**: {reason}"),
    }
}
