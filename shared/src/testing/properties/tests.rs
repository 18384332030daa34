//! The properties on inputs that are at hand in every test run.

use std::path::Path;

use proptest::prelude::*;

use super::*;

type Property = fn(&[u8]);

/// Each property with the name of its fuzz target.
const TARGETS: [(&str, Property); 6] = [
    ("webhook", webhook),
    ("envelope", envelope),
    ("signature", signature),
    ("api", api),
    ("raws", raws),
    ("names", names),
];

/// The files of a folder of this crate; none if there is no such folder.
fn files(folder: impl AsRef<Path>) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn they_hold_for_every_payload_of_the_corpus() {
    let payloads = files("../infra/tests/payloads");
    assert!(payloads.len() > 100);
    for payload in payloads {
        webhook(&payload);
        raws(&payload);
    }
}

#[test]
fn they_hold_for_what_once_broke_something_and_for_the_seeds() {
    for (target, property) in TARGETS {
        let inputs =
            [format!("fuzz/regressions/{target}"), format!("fuzz/seeds/{target}")].map(files).concat();
        inputs.iter().for_each(|input| property(input));
        property(b"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn they_hold_for_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, property) in TARGETS {
            property(&bytes);
        }
    }

    #[test]
    fn envelopes_hold_all_of_their_elements(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        envelope(&choices);
    }
}

/// A webhook of `count` messages, `size` bytes long.
fn body_of(count: usize, size: usize) -> String {
    let message =
        |n: usize, text: &str| format!("{{\"id\":\"wamid.{n}\",\"from\":\"155501001\",\"text\":\"{text}\"}}");
    let frame = |messages: &str| {
        format!(
            "{{\"object\":\"whatsapp_business_account\",\"entry\":[{{\"id\":\"1\",\"changes\":[{{\"field\":\"messages\",\
             \"value\":{{\"metadata\":{{\"phone_number_id\":\"117\"}},\"messages\":[{messages}]}}}}]}}]}}"
        )
    };
    let of = |padding: usize| {
        let text = "x".repeat(padding);
        let messages: Vec<_> = (0..count).map(|n| message(n, &text)).collect();
        frame(&messages.join(","))
    };
    let spare = size.saturating_sub(of(0).len());
    let body = of(spare / count);
    let rest = size.saturating_sub(body.len());
    body + &" ".repeat(rest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bodies_of_any_size_survive_the_queue(
        whole in 0..4usize, around in -2200..200isize, count in prop::sample::select(vec![1usize, 2, 7, 900]),
    ) {
        let size = (whole * crate::domain::parcel::SQS_LIMIT).saturating_add_signed(around);
        let body = body_of(count, size);
        prop_assert!(body.len() >= size);
        parcels(body.as_bytes());
        // Neither JSON nor text: it goes in parts, which are compressed.
        parcels(&[body.as_bytes(), b"\xff"].concat());
    }
}
