//! Every use case, stopped at every outside call in every way. All points are enumerated, none is sampled: for
//! each call k the call fails or the process dies, before or after its effect; then everything comes again as
//! SQS, Meta, schedules and callers would bring it, until nothing moves; then all promises are checked.

mod cases;
mod coverage;

use std::collections::BTreeSet;
use std::io::Write;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::flows::invariants::Held;
use crate::flows::testing::FAULTS;
use crate::testing::Fault;

/// What goes wrong: the calls' numbers, and how.
type Faults = Vec<(usize, Fault)>;

/// How one run of a use case ended.
struct Ran {
    /// The calls of the use case itself, without what came after it.
    scope: usize,
    /// All calls.
    calls: Vec<&'static str>,
    held: Held,
}

type Running = Pin<Box<dyn Future<Output = Ran>>>;

/// Something that the system does for somebody.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    run: fn(Faults) -> Running,
}

/// What was covered.
struct Covered {
    begun: Instant,
    points: usize,
    failed: Vec<String>,
    names: BTreeSet<&'static str>,
}

impl Default for Covered {
    fn default() -> Self {
        Self { begun: Instant::now(), points: 0, failed: Vec::new(), names: BTreeSet::new() }
    }
}

const THREADS: usize = 2;
const CRASHES: [Fault; 2] = [Fault::CrashBefore, Fault::CrashAfter];

fn block_on(running: Running) -> Ran {
    // Time for the limits that flows set themselves; nothing ever waits for it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(running)
}

/// Does `work` for each of `jobs`, several at a time.
fn each<J: Sync>(jobs: &[J], work: impl Fn(&J) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

impl Case {
    fn clean(&self) -> Ran {
        let ran = block_on((self.run)(Vec::new()));
        assert_eq!(ran.held, Ok(()), "{} without any fault", self.name);
        ran
    }

    /// One point: these faults, and what follows from them.
    fn point(&self, faults: &Faults, covered: &Mutex<Covered>) -> Ran {
        let ran = block_on((self.run)(faults.clone()));
        let mut covered = covered.lock().unwrap();
        covered.points += 1;
        covered.names.extend(&ran.calls);
        if let Err(broken) = &ran.held {
            let at = |(call, fault): &(usize, Fault)| {
                format!("{fault:?} at {call} ({})", ran.calls.get(*call).unwrap_or(&"not reached"))
            };
            let at: Vec<String> = faults.iter().map(at).collect();
            covered.failed.push(format!("{}, {}: {broken}", self.name, at.join(", ")));
        }
        drop(covered);
        ran
    }

    /// Every call, each fault.
    fn singles(&self, covered: &Mutex<Covered>) -> Ran {
        let clean = self.clean();
        let jobs: Vec<Faults> =
            (0..clean.scope).flat_map(|call| FAULTS.map(|fault| vec![(call, fault)])).collect();
        each(&jobs, |faults| {
            self.point(faults, covered);
        });
        clean
    }

    /// Every call and, in what follows from its fault, every later call.
    fn pairs(&self, faults: &[Fault], covered: &Mutex<Covered>) -> Ran {
        let clean = self.clean();
        let firsts: Vec<(usize, Fault)> =
            (0..clean.scope).flat_map(|call| faults.iter().map(move |fault| (call, *fault))).collect();
        each(&firsts, |first| {
            let alone = block_on((self.run)(vec![*first]));
            for second in first.0 + 1..alone.calls.len() {
                for fault in faults {
                    self.point(&vec![*first, (second, *fault)], covered);
                }
            }
        });
        clean
    }
}

/// Prints past the test runner, which keeps what a test that passes prints to itself.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn report(kind: &str, name: &str, clean: &Ran, covered: Covered) -> BTreeSet<&'static str> {
    let seconds = covered.begun.elapsed().as_secs_f64();
    print(&format!(
        "{kind} | {name:<42} | {:>3} calls | {:>6} points | {seconds:>5.1} s",
        clean.scope, covered.points
    ));
    let shown = covered.failed.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(covered.failed.is_empty(), "{} points failed:\n{shown}", covered.failed.len());
    covered.names
}

#[test]
fn whichever_outside_call_stops_every_promise_holds_and_no_call_is_forgotten() {
    let mut names = BTreeSet::new();
    for case in cases::ALL {
        let covered = Mutex::default();
        let clean = case.singles(&covered);
        names.extend(&clean.calls);
        names.extend(report("one fault ", case.name, &clean, covered.into_inner().unwrap()));
    }
    coverage::nothing_is_forgotten(&names);
}

#[test]
fn whichever_two_outside_calls_stop_an_answer_or_an_onboarding_every_promise_holds() {
    for case in cases::IN_PAIRS {
        let covered = Mutex::default();
        let clean = case.pairs(&CRASHES, &covered);
        report("two faults", case.name, &clean, covered.into_inner().unwrap());
    }
}
