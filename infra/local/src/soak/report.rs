//! The table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::account::{Account, Fault};

/// Findings that are printed; all of them are in the report's file.
const FINDINGS_SHOWN: usize = 20;

/// What a soak found.
#[derive(Debug)]
pub struct Report {
    pub(super) seed: u64,
    pub(super) rate: f64,
    /// How long the load lasted, without the search for its rate.
    pub(super) loaded: Duration,
    /// Webhook deliveries that customers' messages were to cause, repetitions included.
    pub(super) copies: u64,
    pub(super) account: Account,
    /// Deliveries that were answered 200, with the milliseconds of each.
    pub(super) latencies: Vec<u64>,
    pub(super) refused_deliveries: u64,
    pub(super) cloud_calls: u64,
    /// By service or Meta and kind.
    pub(super) faults: BTreeMap<String, u64>,
    pub(super) kills: u64,
    pub(super) dead_letters: usize,
    pub(super) redriven: usize,
    /// From the end of the load until nothing was due; `None`: it did not come to rest.
    pub(super) rest: Option<Duration>,
    /// The folder of the logs, the report among them.
    pub logs: PathBuf,
}

impl Report {
    /// Whether everything that was taken is accounted for, once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.account.findings.is_empty() && self.rest.is_some()
    }

    /// Customers' messages that were taken.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.account.accepted
    }

    /// Faults that struck, of all kinds.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Processes of functions that were killed.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.kills
    }

    /// All findings, one per line.
    pub(super) fn findings(&self) -> String {
        self.account.findings.iter().map(|f| format!("{:?}: {}\n", f.fault, f.what)).collect()
    }

    fn rows(&self) -> Vec<(String, String)> {
        let account = &self.account;
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        row("load", format!("{:.1} messages/s for {:.0} s", self.rate, self.loaded.as_secs_f64()));
        row("customers' messages written", account.written.to_string());
        row("  in webhook deliveries", self.copies.to_string());
        row("  taken (answered 200)", account.accepted.to_string());
        row("  never taken", account.never_taken.to_string());
        row("  stored", account.stored.to_string());
        row("  answered", account.answered.to_string());
        for (reason, count) in &account.reasons {
            row(&format!("  not answered: {reason}"), count.to_string());
        }
        row("API sends", account.sends.values().sum::<usize>().to_string());
        for (outcome, count) in &account.sends {
            row(&format!("  {outcome}"), count.to_string());
        }
        row("messages on customers' phones", account.on_phones.to_string());
        let statuses = format!("{} / {}", account.statuses_accepted, account.statuses_stored);
        row("statuses taken / stored", statuses);
        for (name, fault) in [("LOST", Fault::Lost), ("DOUBLED", Fault::Doubled), ("UNTRUE", Fault::Untrue)] {
            row(name, account.count(fault).to_string());
        }
        row("still open", account.count(Fault::Open).to_string());
        row("dead letters, moved back", format!("{}, {}", self.dead_letters, self.redriven));
        row("calls to AWS", self.cloud_calls.to_string());
        row("faults", self.faults().to_string());
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count.to_string());
        }
        row("processes killed", self.kills.to_string());
        row("deliveries not answered 200", self.refused_deliveries.to_string());
        row("webhook answer, p50 / p99", format!("{} / {} ms", self.percentile(50), self.percentile(99)));
        let rest =
            self.rest.map_or_else(|| "never".to_owned(), |rest| format!("{:.0} s", rest.as_secs_f64()));
        row("time to rest", rest);
        rows
    }

    /// Milliseconds below which so many of a hundred deliveries were answered.
    fn percentile(&self, percent: usize) -> u64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "soak, seed {}", self.seed)?;
        for (name, value) in self.rows() {
            writeln!(f, "  {name:<44} {value}")?;
        }
        for finding in self.account.findings.iter().take(FINDINGS_SHOWN) {
            writeln!(f, "  {:?}: {}", finding.fault, finding.what)?;
        }
        if self.account.findings.len() > FINDINGS_SHOWN {
            writeln!(f, "  … {} findings in all", self.account.findings.len())?;
        }
        writeln!(f, "  {:<44} {}", "logs and this report", self.logs.display())?;
        let verdict = if self.is_clean() { "nothing lost, nothing twice" } else { "FAILED: see above" };
        write!(f, "  {verdict}")
    }
}
