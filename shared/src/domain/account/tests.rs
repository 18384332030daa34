use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

fn number(digits: &str) -> Whom {
    Whom::Number(digits.to_owned())
}

/// What the one change of a corpus body means, with the account that it is about.
fn of_corpus(name: &str) -> (Vec<Told>, Option<WabaId>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/tests/payloads").join(name);
    let body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (entry, change) = (&body["entry"][0], &body["entry"][0]["changes"][0]);
    (
        told(change["field"].as_str().unwrap(), &change["value"]),
        account_of(&change["value"], entry["id"].as_str()),
    )
}

fn changes_of_corpus(name: &str) -> Vec<Change> {
    of_corpus(name).0.into_iter().map(|told| told.change).collect()
}

fn of_event(value: Value) -> Vec<Change> {
    told("account_update", &value).into_iter().map(|told| told.change).collect()
}

#[test]
fn every_account_event_of_the_corpus_changes_what_it_should() {
    let name = |decision: &str, name: &str, reason: Option<&str>| {
        let (decision, name) = (decision.to_owned(), Some(name.to_owned()));
        Change::Name(NameDecision { decision, name, reason: reason.map(str::to_owned) })
    };
    let limit = |limit: &str| Change::MessagingLimit(limit.to_owned());
    let restriction = |kind: &str, until: Option<i64>| {
        let until = until.map(|seconds| Timestamp::from_second(seconds).unwrap());
        Change::Restriction(Restriction { kind: kind.to_owned(), until })
    };
    let expected: [(&str, Vec<Change>); 17] = [
        ("account_alerts-oba-approved", vec![]),
        ("account_review_update-approved", vec![Change::Review("APPROVED".to_owned())]),
        ("account_settings_update-calling", vec![]),
        ("account_update-partner-added", vec![]),
        ("account_update-partner-removed", vec![Change::Removed(Removal::PartnerRemoved)]),
        (
            "account_update-restriction",
            vec![
                restriction("RESTRICTED_BIZ_INITIATED_MESSAGING", Some(1_795_233_598)),
                restriction("RESTRICTED_ADD_PHONE_NUMBER_ACTION", None),
            ],
        ),
        ("account_update-scheduled-disable", vec![Change::BanAnnounced("October 20, 2026".to_owned())]),
        ("account_update-verified-account", vec![]),
        ("account_update-volume-tier", vec![]),
        ("business_capability_update-tier", vec![limit("TIER_10K")]),
        ("business_username_update-approved", vec![]),
        ("phone_number_name_update-approved", vec![name("APPROVED", "Brackett Pottery", None)]),
        (
            "phone_number_name_update-rejected",
            vec![name("REJECTED", "!!BEST!! Déals", Some("NAME_FORMAT_INVALID"))],
        ),
        ("phone_number_quality_update-old-limits", vec![Change::Quality("RED".to_owned()), limit("TIER_1K")]),
        ("phone_number_quality_update-throughput", vec![Change::Throughput(1000), limit("TIER_UNLIMITED")]),
        ("security-pin-changed", vec![Change::Pin("PIN_CHANGED".to_owned())]),
        ("security-pin-reset", vec![Change::Pin("PIN_RESET_REQUEST".to_owned())]),
    ];
    for (name, changes) in expected {
        assert_eq!(changes_of_corpus(&format!("{name}.json")), changes, "{name}");
    }
}

#[test]
fn every_other_body_of_the_corpus_changes_no_client() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/tests/payloads");
    let ours = ["account_", "business_capability_update", "phone_number_", "security", "index"];
    let mut looked_at = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if ours.iter().any(|field| name.starts_with(field)) {
            continue;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/tests/payloads").join(&name);
        let Ok(body) = serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()) else { continue };
        for entry in body["entry"].as_array().into_iter().flatten() {
            for change in entry["changes"].as_array().into_iter().flatten() {
                let field = change["field"].as_str().unwrap_or_default();
                assert_eq!(told(field, &change["value"]), [], "{name}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 100, "{looked_at} changes");
}

#[test]
fn an_event_is_about_the_account_or_the_number_that_it_names() {
    let (told, waba) = of_corpus("account_update-partner-removed.json");
    // The entry's id is the partner's own portfolio.
    assert_eq!(
        (&told[0].whom, waba.unwrap().to_string().as_str()),
        (&number("12125550119"), "418230977129931")
    );
    let (told, waba) = of_corpus("business_capability_update-tier.json");
    assert_eq!((&told[0].whom, waba.unwrap().to_string().as_str()), (&Whom::Account, "418230977115604"));
    assert_eq!(of_corpus("security-pin-changed.json").0[0].whom, number("12125550100"));
    let by_id = json!({"phone_number_id": 117, "event": "FLAGGED"});
    let told = super::told("phone_number_quality_update", &by_id);
    assert_eq!(told[0].whom, Whom::Phone("117".parse().unwrap()));
    assert_eq!(account_of(&json!({}), Some("not an id")), None);
}

#[test]
fn what_is_final_is_told_from_what_passes() {
    let event = |name: &str| of_event(json!({"event": name}));
    assert_eq!(event("PARTNER_APP_UNINSTALLED"), [Change::Removed(Removal::AppUninstalled)]);
    assert_eq!(event("ACCOUNT_DELETED"), [Change::Removed(Removal::AccountDeleted)]);
    assert_eq!(event("ACCOUNT_OFFBOARDED"), [Change::Link(Link::Lost)]);
    assert_eq!(event("ACCOUNT_RECONNECTED"), [Change::Link(Link::Found)]);
    assert_eq!(event("SOMETHING_NEW"), []);
    assert_eq!(of_event(json!("not even an object")), []);
}

#[test]
fn a_ban_may_come_as_a_list_and_unknown_states_change_nothing() {
    let state =
        |state: Value| of_event(json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}}));
    assert_eq!(state(json!("DISABLE")), [Change::Ban(Ban::Disabled)]);
    assert_eq!(state(json!(["REINSTATE"])), [Change::Ban(Ban::Reinstated)]);
    assert_eq!(state(json!("SCHEDULE_FOR_DISABLE")), [Change::BanAnnounced("soon".to_owned())]);
    assert_eq!(state(json!("PERHAPS")), []);
    assert_eq!(state(json!(null)), []);
}

#[test]
fn limits_come_as_words_and_as_numbers() {
    for (told_as, expected) in [
        (json!("TIER_2K"), "TIER_2K"),
        (json!(250), "TIER_250"),
        (json!("10000"), "TIER_10K"),
        (json!(-1), "TIER_UNLIMITED"),
    ] {
        let value = json!({"max_daily_conversations_per_business": told_as});
        let expected = Change::MessagingLimit(expected.to_owned());
        assert_eq!(told("business_capability_update", &value)[0].change, expected);
    }
    assert_eq!(told("business_capability_update", &json!({"max_phone_numbers_per_waba": 25})), []);
}

#[test]
fn restrictions_end_and_say_which_messages_they_refuse() {
    let restricted = |kind: &str, until| Noted {
        at: at(0),
        change: Change::Restriction(Restriction { kind: kind.to_owned(), until }),
    };
    let account: Account =
        [restricted(BUSINESS_INITIATED, Some(at(60))), restricted("RESTRICTED_SOMETHING", None)]
            .into_iter()
            .collect();
    let signed_up = at(-5);
    assert_eq!(account.refuses(true, signed_up, at(59)), Some(at(60)));
    assert_eq!(account.refuses(false, signed_up, at(59)), None, "answers still go");
    assert_eq!(account.refuses(true, signed_up, at(60)), None, "it is over");
    assert_eq!(account.refuses(true, at(1), at(2)), None, "it was before this signup");
    let week = at(0) + LONGEST_RESTRICTION;
    assert_eq!(account.restrictions(signed_up, at(61)), [("RESTRICTED_SOMETHING", week)]);
    assert_eq!(account.restrictions(signed_up, week), []);
}

#[test]
fn a_ban_that_was_announced_is_a_warning_until_it_comes_or_is_called_off() {
    let announced = Noted { at: at(0), change: Change::BanAnnounced("March 3, 2027".to_owned()) };
    let mut account: Account = [announced].into_iter().collect();
    assert_eq!(account.warnings(at(-5)), [("ban_announced".to_owned(), "March 3, 2027", at(0))]);
    assert_eq!(account.suspension(at(-5)), None);
    account.note(Noted { at: at(9), change: Change::Ban(Ban::Reinstated) });
    assert_eq!(account.warnings(at(-5)), []);
}

#[test]
fn events_from_before_a_signup_say_nothing_of_it() {
    let removed = Noted { at: at(100), change: Change::Removed(Removal::PartnerRemoved) };
    let banned = Noted { at: at(100), change: Change::Ban(Ban::Disabled) };
    let account: Account = [removed, banned].into_iter().collect();
    assert_eq!(account.removal(at(99)), Some((Removal::PartnerRemoved, at(100))));
    let same_second = at(100) + Duration::from_millis(900);
    assert!(account.removal(same_second).is_some(), "Meta's times are whole seconds");
    assert_eq!((account.removal(at(101)), account.suspension(at(101))), (None, None));
}

fn any_change() -> impl Strategy<Value = Change> {
    let word = prop::sample::select(vec!["GREEN", "RED", "APPROVED", "REJECTED"]).prop_map(str::to_owned);
    prop_oneof![
        Just(Change::Removed(Removal::PartnerRemoved)),
        Just(Change::Removed(Removal::AccountDeleted)),
        Just(Change::Link(Link::Lost)),
        Just(Change::Link(Link::Found)),
        Just(Change::Ban(Ban::Disabled)),
        Just(Change::Ban(Ban::Reinstated)),
        word.clone().prop_map(Change::Quality),
        word.clone().prop_map(Change::Review),
        word.prop_map(Change::MessagingLimit),
        (prop::sample::select(vec![BUSINESS_INITIATED, CUSTOMER_INITIATED]), prop::option::of(0_i64..90))
            .prop_map(|(kind, until)| Change::Restriction(Restriction {
                kind: kind.to_owned(),
                until: until.map(at)
            })),
    ]
}

proptest! {
    /// P7 for accounts: Meta's times decide, ties included; what arrives when, and how often, does not.
    #[test]
    fn any_order_and_repetition_of_events_ends_the_same(
        events in prop::collection::vec((0_i64..6, any_change()), 1..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        seed in any::<u64>(),
    ) {
        let events: Vec<Noted> =
            events.into_iter().map(|(seconds, change)| Noted { at: at(seconds), change }).collect();
        let mut repeated = events.clone();
        repeated.extend(picks.iter().map(|pick| pick.get(&events).clone()));
        // Any order: by a key that the seed makes up.
        let mut order: Vec<usize> = (0..repeated.len()).collect();
        order.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let shuffled: Account = order.iter().map(|index| repeated[*index].clone()).collect();
        let plain: Account = events.into_iter().collect();
        prop_assert_eq!(shuffled, plain);
    }
}
