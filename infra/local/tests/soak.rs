//! A short soak on a real stack: services and Meta fail, processes are killed, and nothing is lost or doubled.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

use std::path::Path;
use std::time::Duration;

use switchboard::soak::Soak;

/// Found by trying: 25 s of this seed have trouble with Meta, the queues and everything at once, and kill
/// processes.
const SEED: u64 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_services_fail_and_processes_die() {
    let soak = Soak {
        // Emptied at each start, so that the logs of a failed run can be read until the next one.
        state_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak"),
        rate: Some(3.0),
        patience: Duration::from_secs(300),
        quiet: true,
        ..Soak::new(Duration::from_secs(20), SEED)
    };
    let report = soak.run().await.unwrap();
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    assert!(report.accepted() >= 30, "too little load to prove anything: {report}");
    assert!(report.faults() > 20, "too few faults to prove anything: {report}");
    assert!(report.kills() > 5, "too few kills to prove anything: {report}");
}
