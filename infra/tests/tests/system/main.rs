//! Tests of the whole: one real stack (AWS emulator, all functions, Meta simulator, front) is started
//! when the first test asks for it, all tests share it, and it ends with the last one.
//!
//! `cargo test -p system-tests -- FILTER` runs some of them, `-- --list` names them all. What the stack
//! wrote stays in the target folder until the next run; a failure says where.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod accounts;
mod answers;
mod bots;
mod browser;
mod chromium;
mod contracts;
mod corpus;
mod customers;
mod drift;
mod events;
mod exchange;
mod large;
mod media;
mod observability;
mod onboarding;
mod openapi;
mod outages;
mod outside;
mod pages;
mod privilege;
mod recovery;
mod refusals;
mod samples;
mod secrets;
mod sending;
mod stops;
mod support;
mod templates;
mod tenants;
mod tokens;
mod webhooks;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use support::suite::Suite;

/// Most tests wait for something: more of them than processors keep the machine busy.
const THREADS: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let all_tests_run = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.ignored;
    let suite = Suite::new();
    let cases = [
        // Those that must be alone come first: everybody waits for them.
        exchange::cases(),
        outages::cases(),
        tokens::cases(),
        // Its tool calls for two minutes.
        openapi::cases(),
        accounts::cases(),
        drift::cases(),
        events::cases(),
        samples::cases(),
        onboarding::cases(),
        pages::cases(),
        large::cases(),
        corpus::cases(),
        contracts::cases(),
        // Its poison needs minutes to die.
        recovery::cases(),
        answers::cases(),
        bots::cases(),
        customers::cases(),
        media::cases(),
        observability::cases(),
        sending::cases(),
        templates::cases(),
        outside::cases(),
        stops::cases(),
        webhooks::cases(),
        tenants::cases(),
        refusals::cases(),
        // It looks at what all others left behind.
        secrets::cases(),
        privilege::cases(all_tests_run),
    ];
    let conclusion = libtest_mimic::run(&arguments, suite.trials(cases.into_iter().flatten()));
    // What the parts of the stack keep is on the disk once they have stopped.
    let stopped = suite.stop(secrets::no_secret_is_in_what_is_left);
    if let Err(error) = &stopped {
        eprintln!("the stack did not stop well: {error:#}");
    }
    if conclusion.has_failed() || stopped.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
