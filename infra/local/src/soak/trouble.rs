//! Makes things fail as planned.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::plan::{MetaFault, Phase};
use super::processes;
use super::proxy::Proxy;
use super::random::Rng;
use super::wire::Wire;
use crate::binaries;
use crate::progress::Progress;

/// Who makes things fail.
pub(super) struct Trouble {
    wire: Wire,
    emulator: u32,
    /// Where the functions' binaries are.
    binaries: PathBuf,
    seed: u64,
    progress: Progress,
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    pub(super) kills: u64,
    /// Kinds of the simulator's faults by their ids.
    ids: BTreeMap<String, MetaFault>,
}

impl Trouble {
    pub(super) fn new(wire: Wire, emulator: u32, seed: u64, progress: Progress) -> Result<Self> {
        Ok(Self { wire, emulator, binaries: binaries::folder()?, seed, progress })
    }

    /// One phase after the other; in the end everything works again.
    pub(super) async fn run(&self, proxy: &Proxy, phases: Vec<Phase>) -> Result<Done> {
        let mut done = Done::default();
        let mut rng = Rng::part(self.seed, 4);
        for phase in phases {
            self.progress.say(format!("trouble      {} for {:.1} s", phase.name, phase.lasts.as_secs_f64()));
            let end = Instant::now() + phase.lasts;
            proxy.fail(phase.cloud);
            for (fault, times) in phase.meta {
                let added = self.wire.sim(Method::POST, "faults", Some(&fault.spec(times))).await?;
                done.ids.insert(added["id"].as_str().unwrap_or_default().to_owned(), fault);
            }
            done.kills += self.kill(&phase.kills, end, &mut rng).await;
            sleep_until(end).await;
            proxy.fail(Vec::new());
            self.wire.sim(Method::DELETE, "faults", Some(&json!({}))).await?;
        }
        Ok(done)
    }

    /// Kills a function's process after each pause; how many.
    async fn kill(&self, pauses: &[Duration], end: Instant, rng: &mut Rng) -> u64 {
        let mut killed = 0;
        for pause in pauses {
            sleep(*pause).await;
            let running = processes::of_functions(self.emulator, &self.binaries);
            if Instant::now() >= end || running.is_empty() {
                continue;
            }
            killed += u64::from(processes::kill(running[rng.below(running.len())]).await);
        }
        killed
    }
}

impl Done {
    /// How often each kind of Meta's faults struck.
    pub(super) fn meta_faults(&self, struck: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for (id, count) in struck {
            if let Some(fault) = self.ids.get(id) {
                *kinds.entry(format!("Meta: {fault}")).or_default() += count;
            }
        }
        kinds
    }
}
