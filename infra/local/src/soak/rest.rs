//! Waiting until nothing is due any more, and drawing up the account.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::account::{Account, Evidence, Fault};
use super::clients::Client;
use super::load::Done;
use super::watch::Watch;
use super::wire::Wire;

const QUEUES: [&str; 2] = ["inbound", "answers"];
/// Each dead-letter queue, and where its messages came from.
const DEAD: [(&str, &str); 2] = [("inboundDead", "inbound"), ("answersDead", "answers")];
const PAUSE: Duration = Duration::from_millis(500);

/// How it came to rest.
pub(super) struct Settled {
    pub(super) account: Account,
    /// When nothing was due any more; `None`: something still was when patience ended.
    pub(super) at: Option<Instant>,
    pub(super) dead_letters: usize,
    pub(super) redriven: usize,
}

/// Waits for rest, moves dead letters back and waits again.
pub(super) async fn settle(
    wire: &Wire,
    clients: &[Client],
    done: &Done,
    watch: &mut Watch,
    patience: Duration,
) -> Result<Settled> {
    let deadline = Instant::now() + patience;
    let (mut dead_letters, mut redriven) = (0, 0);
    loop {
        let (account, rests) = wait(wire, clients, done, watch, deadline).await?;
        let dead = dead(wire).await?;
        dead_letters += dead;
        if dead == 0 || !rests {
            return Ok(Settled { account, at: rests.then(Instant::now), dead_letters, redriven });
        }
        for (dead, source) in DEAD {
            redriven += wire.redrive(dead, source).await?;
        }
    }
}

/// The account when nothing is due any more, or when there is no more time; whether it rests.
async fn wait(
    wire: &Wire,
    clients: &[Client],
    done: &Done,
    watch: &mut Watch,
    deadline: Instant,
) -> Result<(Account, bool)> {
    loop {
        let rests = queues_empty(wire, deadline.saturating_duration_since(Instant::now())).await?;
        let account = account(wire, clients, done, watch).await?;
        // A status that arrived while the lists were read may have filled a queue again.
        let rests = rests && account.count(Fault::Open) == 0 && depth(wire).await? == 0;
        if rests || Instant::now() >= deadline {
            return Ok((account, rests));
        }
        sleep(PAUSE).await;
    }
}

async fn account(wire: &Wire, clients: &[Client], done: &Done, watch: &mut Watch) -> Result<Account> {
    // First what was taken, then what became of it.
    let seen = watch.seen().await?;
    let customers: BTreeSet<&str> = done.written.iter().map(|written| written.customer.as_str()).collect();
    let mut phones = BTreeMap::new();
    for customer in customers {
        let shown = wire.sim(Method::GET, &format!("customers/{customer}/messages"), None).await?;
        phones.insert(customer.to_owned(), shown["items"].as_array().cloned().unwrap_or_default());
    }
    let mut records: Vec<Value> = Vec::new();
    for client in clients {
        records.extend(wire.messages(&client.bot, &client.phone).await?);
    }
    Ok(Account::of(&Evidence { done, seen: &seen, records: &records, phones: &phones }))
}

/// Waits until both queues are empty; whether they were in time.
pub(super) async fn queues_empty(wire: &Wire, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        // Twice: what left one queue may be on its way to the other.
        if depth(wire).await? == 0 {
            sleep(PAUSE).await;
            if depth(wire).await? == 0 {
                return Ok(true);
            }
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
}

/// Waits until no message waits to be taken; whether that was in time.
pub(super) async fn nothing_waits(wire: &Wire, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let mut waiting = 0;
        for name in QUEUES {
            waiting += wire.depth(name).await?.waiting;
        }
        if waiting == 0 || Instant::now() >= deadline {
            return Ok(waiting == 0);
        }
        sleep(PAUSE).await;
    }
}

async fn depth(wire: &Wire) -> Result<u64> {
    let mut total = 0;
    for name in QUEUES {
        total += wire.depth(name).await?.total();
    }
    Ok(total)
}

async fn dead(wire: &Wire) -> Result<usize> {
    let mut total = 0;
    for (name, _) in DEAD {
        total += wire.depth(name).await?.total();
    }
    Ok(usize::try_from(total).unwrap_or(usize::MAX))
}
