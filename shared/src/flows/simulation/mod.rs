//! The flows under random repeats, reordering, crashes and outages, in virtual time.
//!
//! A [`plan::Plan`] says who writes what and when, and what goes wrong; [`engine`] plays it: several processes of
//! each function at once, whose turn it is at each outside call being a seeded choice, around them queues that
//! deliver at least once, a Meta that repeats, callers that ask again. In the end nothing goes wrong any more,
//! everything comes to rest, and the same promises are checked as in the crash tests.
//!
//! One seed is one history:
//!
//! ```text
//! SIM_SEED=123 cargo test -p shared --lib flows::simulation::one_seed -- --ignored --nocapture
//! SIM_SEEDS=0..10000 SIM_MINUTES=5 cargo test -p shared --lib flows::simulation::long_run -- --ignored --nocapture
//! ```

mod engine;
mod hosts;
mod plan;
mod queue;
mod rng;
mod shrink;

use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plan::Plan;

const THREADS: usize = 2;
/// What `cargo test` runs.
const USUAL: Range<u64> = 0..1500;

/// What many histories had in them.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    calls: usize,
    minutes: u64,
    messages: usize,
    sent: usize,
}

/// Plays `seeds` until one fails or time is over; with `SIM_ALL` also after one failed.
fn run(seeds: Range<u64>, time: Option<Duration>) -> Sum {
    let (begun, end) = (Instant::now(), seeds.end);
    let next = AtomicU64::new(seeds.start);
    let sum: Mutex<Sum> = Mutex::default();
    let failed: Mutex<Option<u64>> = Mutex::default();
    let goes_on = setting("SIM_ALL").is_some();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while (goes_on || failed.lock().unwrap().is_none())
                    && time.is_none_or(|time| begun.elapsed() < time)
                {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match engine::play(&Plan::of(seed), false) {
                        Ok(played) => sum.lock().unwrap().add(&played),
                        Err(failure) => {
                            print(&format!("seed {seed}: {}", failure.broken));
                            failed.lock().unwrap().get_or_insert(seed);
                        }
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().unwrap() {
        explain(seed);
    }
    let sum = sum.into_inner().unwrap();
    print(&format!(
        "simulation | {} seeds | {} calls | {} messages | {} sent | {} minutes of traffic | {:.1} s",
        sum.seeds,
        sum.calls,
        sum.messages,
        sum.sent,
        sum.minutes,
        begun.elapsed().as_secs_f64()
    ));
    sum
}

impl Sum {
    fn add(&mut self, played: &engine::Played) {
        self.seeds += 1;
        self.calls += played.calls;
        self.minutes += played.took / 60_000;
        self.messages += played.messages;
        self.sent += played.sent;
    }
}

/// Fails with the shortest history that breaks the same promise.
fn explain(seed: u64) {
    let (plan, failure) = shrink::shortest(Plan::of(seed));
    let history = failure.history.join("\n");
    panic!(
        "seed {seed}: {}\n{} things happen:\n{:#?}\nthe history:\n{history}\n\
         again: SIM_SEED={seed} cargo test -p shared --lib flows::simulation::one_seed -- --ignored --nocapture",
        failure.broken,
        plan.items.len(),
        plan
    );
}

/// Prints past the test runner, which keeps what a test that passes prints to itself.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test that people start by hand")]
    std::env::var(name).ok()
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_is_sent_twice() {
    let sum = run(USUAL, None);
    assert!(sum.sent > 1000 && sum.messages > 5000, "a simulation in which little happens proves little");
}

/// One seed with every call that is made: `SIM_SEED=…`.
#[test]
#[ignore = "started by hand to look at one seed"]
fn one_seed() {
    let seed = setting("SIM_SEED").and_then(|seed| seed.parse().ok()).expect("SIM_SEED is a number");
    let plan = Plan::of(seed);
    print(&format!("{plan:#?}"));
    match engine::play(&plan, true) {
        Ok(played) => print(&format!("{}\nall promises hold", played.history.join("\n"))),
        Err(failure) => {
            print(&format!("{}\n{}", failure.history.join("\n"), failure.broken));
            explain(seed);
        }
    }
}

/// `SIM_SEEDS=0..10000`, and at most `SIM_MINUTES`.
#[test]
#[ignore = "as long as one likes"]
fn long_run() {
    let seeds = setting("SIM_SEEDS").unwrap_or_else(|| "0..10000".to_owned());
    let (first, end) = seeds.split_once("..").expect("SIM_SEEDS is of the form 0..10000");
    let minutes = setting("SIM_MINUTES").map(|minutes| minutes.parse::<u64>().expect("minutes"));
    let time = minutes.map(|minutes| Duration::from_secs(minutes * 60));
    run(first.parse().expect("a seed")..end.parse().expect("a seed"), time);
}
