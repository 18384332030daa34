//! `cargo run -- soak`: load, faults and killed processes on a running stack, and then the account of
//! everything that was taken.

mod account;
mod clients;
mod load;
mod plan;
mod processes;
mod proxy;
mod random;
mod report;
mod rest;
mod trouble;
mod watch;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use self::clients::Client;
use self::load::Load;
use self::proxy::Proxy;
pub use self::report::Report;
use self::trouble::Trouble;
use self::watch::Watch;
use self::wire::Wire;
use crate::BOTS;
use crate::options::{Options, Ports};
use crate::progress::Progress;
use crate::stack::Stack;

/// Settings that make recovery take seconds. A killed process gives back what it had after the visibility
/// timeout; who comes after it waits for its claim to end.
const QUICK: [(&str, &str); 6] = [
    ("BurstWindowSeconds", "1"),
    ("ClaimSeconds", "15"),
    ("InboundVisibilitySeconds", "15"),
    ("AnswersVisibilitySeconds", "20"),
    // More copies than processors only wait for each other.
    ("InboundConcurrency", "4"),
    ("AnswersConcurrency", "6"),
];
/// Numbers of each bot.
const CLIENTS_OF_BOT: usize = 2;
/// How fast the search for a rate begins, how long each try lasts, and how fast is enough.
const FIRST_RATE: f64 = 2.0;
const RAMP: Duration = Duration::from_secs(6);
const HIGHEST_RATE: f64 = 128.0;
/// A rate is sustained if so long after it no message waits to be taken from a queue. What is delayed or at
/// work does not count: a message whose conversation is busy waits for that, at any rate.
const CAUGHT_UP: Duration = Duration::from_secs(3);
/// Longest wait for a backlog of the search to go.
const BACKLOG: Duration = Duration::from_secs(120);

/// What a soak does.
#[derive(Clone, Debug)]
pub struct Soak {
    /// Where the stack keeps its state; emptied at the start.
    pub state_dir: PathBuf,
    /// Where the stack listens.
    pub ports: Ports,
    /// How long the load lasts.
    pub lasts: Duration,
    /// Customers' messages a second; `None`: as many as this machine sustains, found by trying.
    pub rate: Option<f64>,
    /// At most so many messages.
    pub most: u64,
    /// Decides what fails when.
    pub seed: u64,
    /// Longest wait for rest after the load.
    pub patience: Duration,
    /// Print nothing.
    pub quiet: bool,
}

impl Soak {
    /// A soak in the working tree's own folder, on any free ports.
    #[must_use]
    pub fn new(lasts: Duration, seed: u64) -> Self {
        Self {
            state_dir: crate::root().join(".local/soak"),
            ports: Ports::Free,
            lasts,
            rate: None,
            most: 100_000,
            seed,
            patience: Duration::from_secs(600),
            quiet: false,
        }
    }

    /// A seed that nobody chose.
    #[must_use]
    pub fn any_seed() -> u64 {
        jiff::Timestamp::now().as_millisecond().unsigned_abs() % 1_000_000
    }

    /// Runs it on a stack of its own.
    ///
    /// # Errors
    /// The stack did not start or ended by itself, or something could not be observed. What was lost or
    /// doubled is in the report.
    pub async fn run(self) -> Result<Report> {
        let proxy = Proxy::start(self.seed).await?;
        let mut overrides: std::collections::BTreeMap<_, _> =
            QUICK.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        overrides.insert("AwsEndpointUrl".to_owned(), proxy.endpoint());
        let options = Options {
            state_dir: self.state_dir.clone(),
            ports: self.ports,
            fresh: true,
            overrides,
            quiet: self.quiet,
            ..Options::default()
        };
        let mut stack = Stack::start(options).await?;
        proxy.pass_to(stack.info.aws_endpoint.clone());
        let emulator = stack.emulator_process().context("the local cloud has no process")?;
        let info = stack.info.clone();
        let outcome = tokio::select! {
            outcome = self.on(Wire::new(info)?, &proxy, emulator) => outcome,
            error = stack.failed() => Err(error),
        };
        let logs = stack.info.logs.clone();
        let stopped = stack.stop().await;
        let mut report = outcome?;
        report.logs = logs;
        let text = format!("{report}\n\n{}", report.findings());
        std::fs::write(report.logs.join("soak.txt"), text).context("the report cannot be written")?;
        stopped?;
        Ok(report)
    }

    async fn on(&self, wire: Wire, proxy: &Proxy, emulator: u32) -> Result<Report> {
        let progress = Progress::new(self.quiet);
        let clients = self.sign_up(&wire).await?;
        let mut watch = Watch::start(wire.clone());
        let mut load = Load::new(wire.clone(), self.seed);
        let rate = match self.rate {
            Some(rate) => rate,
            None => highest_rate(&wire, &mut load, &clients, progress).await?,
        };
        progress.say(format!(
            "soak         {rate:.1} messages/s for {} s, seed {}",
            self.lasts.as_secs(),
            self.seed
        ));
        let trouble = Trouble::new(wire.clone(), emulator, self.seed, progress)?;
        let started = Instant::now();
        let (written, troubled) = tokio::join!(
            load.run(&clients, rate, self.lasts, self.most),
            trouble.run(proxy, plan::phases(self.seed, self.lasts)),
        );
        let loaded = started.elapsed();
        let written = written?;
        let troubled = troubled?;
        progress.say(format!("soak         {written} messages written; faults are off, waiting for rest"));
        let ended = Instant::now();
        // Callers repeat until they know; then nothing new comes.
        load.finish().await;
        let settled = rest::settle(&wire, &clients, &load.done(), &mut watch, self.patience).await?;
        let seen = watch.seen().await?;
        let (cloud_calls, struck) = proxy.counts();
        ensure!(cloud_calls > 0, "no call to AWS went through the fault proxy: this soak proves nothing");
        let mut faults: std::collections::BTreeMap<String, u64> = struck
            .into_iter()
            .map(|((service, fault), count)| (format!("{service}: {fault}"), count))
            .collect();
        faults.extend(troubled.meta_faults(&seen.faults));
        Ok(Report {
            seed: self.seed,
            rate,
            loaded,
            copies: load.done().copies,
            account: settled.account,
            latencies: seen.latencies,
            refused_deliveries: seen.refused,
            cloud_calls,
            faults,
            kills: troubled.kills,
            dead_letters: settled.dead_letters,
            redriven: settled.redriven,
            rest: settled.at.map(|at| at.duration_since(ended)),
            logs: PathBuf::new(),
        })
    }

    async fn sign_up(&self, wire: &Wire) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for bot in BOTS {
            for _ in 0..CLIENTS_OF_BOT {
                clients.push(clients::sign_up(wire, bot).await?);
            }
        }
        Ok(clients)
    }
}

/// Raises the rate until work piles up on the queues; three quarters of the last good one,
/// because recovery needs room.
async fn highest_rate(wire: &Wire, load: &mut Load, clients: &[Client], progress: Progress) -> Result<f64> {
    // The first messages wait for processes to start.
    load.run(clients, FIRST_RATE, RAMP, u64::MAX).await?;
    ensure!(rest::queues_empty(wire, BACKLOG).await?, "the stack does not come to rest without any fault");
    let mut sustained = FIRST_RATE;
    let mut rate = FIRST_RATE;
    while rate <= HIGHEST_RATE {
        load.run(clients, rate, RAMP, u64::MAX).await?;
        let caught_up = rest::nothing_waits(wire, CAUGHT_UP).await?;
        let words = if caught_up { "sustained" } else { "too much" };
        progress.say(format!("ramp         {rate:.1} messages/s: {words}"));
        if !caught_up {
            break;
        }
        sustained = rate;
        rate *= 1.5;
    }
    rest::queues_empty(wire, BACKLOG).await?;
    Ok(sustained * 0.75)
}
