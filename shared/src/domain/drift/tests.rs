use super::*;
use crate::domain::account::{Account, Change, Noted};
use crate::domain::client::ClientStatus;
use crate::domain::ids::GrantId;
use crate::domain::seal::Sealed;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn client() -> Client {
    let (bot, business) = ("demo-bakery".parse().unwrap(), "339".parse().unwrap());
    let now = at("2026-11-22T12:00:00Z");
    Client {
        phone_number_id: "117".parse().unwrap(),
        grant_id: GrantId::new(&bot, &business),
        bot_id: bot,
        waba_id: "228".parse().unwrap(),
        business_id: business,
        client_name: None,
        display_phone_number: None,
        verified_name: Some("Corner Bakery".to_owned()),
        quality_rating: Some("GREEN".to_owned()),
        stage: ClientStatus::Active,
        account: Account::default(),
        signed_up_at: now,
        on_biz_app: false,
        throughput: None,
        pause: None,
        reconnect_since: None,
        onboarding_id: "ob_1".parse().unwrap(),
        sealed_pin: None,
        credit_shared: None,
        last_webhook_at: None,
        check: None,
        onboarded_at: Some(now),
        last_message_at: None,
        created_at: now,
        updated_at: now,
    }
}

/// As it was made.
fn seen() -> Seen {
    let number = SeenNumber {
        status: Some("CONNECTED".to_owned()),
        is_usable: true,
        verified_name: Some("Corner Bakery".to_owned()),
        quality_rating: Some("GREEN".to_owned()),
        ..SeenNumber::default()
    };
    let paid = Paid::ByUs { allocation: noted(), unassigned: None };
    Seen { subscribed: true, callback: None, number, currency: None, paid }
}

fn noted() -> AllocationId {
    "700001".parse().unwrap()
}

fn compared(client: &Client, seen: Seen) -> Vec<Drift> {
    let noted = noted();
    let expected = Expected { client, allocation: Some(&noted), currency: "USD" };
    drifts(&expected, &Found::Seen(Box::new(seen)))
}

fn changed(change: impl FnOnce(&mut Seen)) -> Vec<Drift> {
    let mut seen = seen();
    change(&mut seen);
    compared(&client(), seen)
}

/// The calls as `METHOD path {parameters} token`.
fn calls(drift: &Drift) -> Vec<String> {
    let one = |call: &MetaCall| {
        let parameters = serde_json::to_string(&call.parameters).unwrap();
        format!("{} {} {parameters} {:?}", call.method, call.path, call.token)
    };
    drift.calls.iter().map(one).collect()
}

#[test]
fn a_client_as_it_was_made_has_no_drift() {
    assert_eq!(changed(|_| {}), []);
    let nothing_ours = Expected { client: &client(), allocation: None, currency: "USD" };
    let unpaid = Seen { paid: Paid::NotOurs, ..seen() };
    assert_eq!(drifts(&nothing_ours, &Found::Seen(Box::new(unpaid))), []);
}

#[test]
fn each_drift_lists_the_exact_calls_that_mend_it() {
    let register = r#"POST /117/register {"messaging_product":"whatsapp","pin":"{storedPin}"} Client"#;
    let share = r#"POST /{creditLineId}/whatsapp_credit_sharing_and_attach {"waba_currency":"USD","waba_id":"228"} SystemUser"#;
    let assign = r#"POST /228/assigned_users {"tasks":"['MANAGE']","user":"61"} SystemUser"#;
    let clear = r#"POST /117 {"webhook_configuration":{"override_callback_uri":""}} Client"#;
    let mut pinned = client();
    pinned.sealed_pin = Some(Sealed::new(b"sealed".to_vec()));
    let all = compared(
        &pinned,
        Seen {
            subscribed: false,
            callback: None,
            number: SeenNumber {
                status: Some("PENDING".to_owned()),
                is_usable: false,
                callback: Some("https://elsewhere.example/hook?key=secret".to_owned()),
                verified_name: Some("Corner Cafe".to_owned()),
                quality_rating: Some("RED".to_owned()),
                is_unverified: false,
            },
            currency: None,
            paid: Paid::ByNothing { unassigned: Some("61".to_owned()) },
        },
    );
    let listed: Vec<_> = all.iter().map(|drift| (drift.name, calls(drift))).collect();
    let one = |call: &str| vec![call.to_owned()];
    let expected = [
        (DriftName::Unsubscribed, one("POST /228/subscribed_apps {} Client")),
        (DriftName::NumberCallbackOverridden, one(clear)),
        (DriftName::SystemUserUnassigned, one(assign)),
        (DriftName::CreditMissing, one(share)),
        (DriftName::NotConnected, one(register)),
        (DriftName::NameChanged, vec![]),
        (DriftName::QualityChanged, vec![]),
    ];
    assert_eq!(listed, expected);
    assert!(all.iter().all(|drift| drift.turn == Turn::Ours));
    assert_eq!(all[1].found.as_deref(), Some("https://elsewhere.example/hook"), "a query may be a secret");
    assert!(all.is_sorted_by_key(|drift| drift.name), "they are mended in the order of their names");
}

#[test]
fn an_override_of_the_account_is_removed_by_a_plain_subscription() {
    let found = changed(|seen| seen.callback = Some("https://elsewhere.example/".to_owned()));
    assert_eq!((found.len(), found[0].name), (1, DriftName::CallbackOverridden));
    assert_eq!(calls(&found[0]), ["POST /228/subscribed_apps {} Client"]);
}

#[test]
fn only_a_number_that_waits_for_it_and_whose_pin_is_known_is_registered() {
    let number = |status: &str, is_unverified, pin: bool| {
        let mut client = client();
        client.sealed_pin = pin.then(|| Sealed::new(b"sealed".to_vec()));
        let mut seen = seen();
        seen.number =
            SeenNumber { status: Some(status.to_owned()), is_usable: false, is_unverified, ..seen.number };
        let found = compared(&client, seen);
        assert_eq!((found.len(), found[0].name), (1, DriftName::NotConnected));
        (found[0].turn, found[0].calls.len())
    };
    assert_eq!(number("DISCONNECTED", false, true), (Turn::Ours, 1));
    for (status, is_unverified, pin) in [
        ("PENDING", false, false),
        ("PENDING", true, true),
        ("BANNED", false, true),
        ("DELETED", false, true),
    ] {
        assert_eq!(number(status, is_unverified, pin), (Turn::Person, 0), "{status}");
    }
}

#[test]
fn what_pays_is_compared_by_id() {
    let other: AllocationId = "700002".parse().unwrap();
    let found = changed(|seen| seen.paid = Paid::ByUs { allocation: other.clone(), unassigned: None });
    assert_eq!((found.len(), found[0].name, found[0].turn), (1, DriftName::AllocationChanged, Turn::Ours));
    assert_eq!((found[0].expected.as_deref(), found[0].found.as_deref()), (Some("700001"), Some("700002")));
    let found = changed(|seen| seen.paid = Paid::ByOther);
    assert_eq!((found.len(), found[0].name, found[0].turn), (1, DriftName::OtherFunding, Turn::Person));
    assert_eq!(calls(&found[0]), [""; 0]);
}

#[test]
fn credit_is_shared_in_the_currency_that_the_account_has() {
    let found = changed(|seen| {
        seen.paid = Paid::ByNothing { unassigned: None };
        seen.currency = Some("EUR".to_owned());
    });
    assert_eq!(found[0].calls[0].parameters["waba_currency"], "EUR");
}

#[test]
fn a_name_or_quality_that_an_event_told_is_no_drift_and_silence_is_none() {
    let mut client = client();
    let noted = Noted { at: client.signed_up_at, change: Change::Quality("RED".to_owned()) };
    client.account.note(noted);
    let mut red = seen();
    red.number.quality_rating = Some("RED".to_owned());
    assert_eq!(compared(&client, red), []);
    let silent = changed(|seen| (seen.number.verified_name, seen.number.quality_rating) = (None, None));
    assert_eq!(silent, []);
}

#[test]
fn a_good_quality_wakes_nobody() {
    for (rating, wakes) in [("RED", true), ("YELLOW", true), ("UNKNOWN", false)] {
        let found = changed(|seen| seen.number.quality_rating = Some(rating.to_owned()));
        assert_eq!((found[0].name, found[0].is_alarming()), (DriftName::QualityChanged, wakes), "{rating}");
    }
    assert!(changed(|seen| seen.subscribed = false)[0].is_alarming());
}

#[test]
fn without_a_token_nothing_else_is_said() {
    let noted = noted();
    let expected = Expected { client: &client(), allocation: Some(&noted), currency: "USD" };
    for (found, name) in [
        (Found::NoToken("dead".to_owned()), DriftName::TokenInvalid),
        (Found::ShutOut("code 100".to_owned()), DriftName::AccessLost),
    ] {
        let drifts = drifts(&expected, &found);
        assert_eq!((drifts.len(), drifts[0].name, drifts[0].turn), (1, name, Turn::NewSignup));
        assert_eq!(drifts[0].action(), "Let the client sign up again.");
    }
}

#[test]
fn a_token_is_judged_by_what_it_may_be_used_on() {
    let scopes = ["whatsapp_business_management", "whatsapp_business_messaging"].map(str::to_owned);
    let good = TokenFacts {
        is_valid: true,
        app_id: "1".to_owned(),
        scopes: scopes.to_vec(),
        management_wabas: None,
        messaging_wabas: Some(vec!["228".parse().unwrap()]),
        expires_at: None,
    };
    let problem = |facts: TokenFacts| token_problem(&facts, "1", &client());
    assert_eq!(problem(good.clone()), None);
    assert_eq!(problem(TokenFacts { messaging_wabas: None, ..good.clone() }), None, "Meta left it out");
    let elsewhere = TokenFacts { messaging_wabas: Some(vec!["229".parse().unwrap()]), ..good.clone() };
    for bad in [
        elsewhere,
        TokenFacts { is_valid: false, ..good.clone() },
        TokenFacts { app_id: "2".to_owned(), ..good.clone() },
        TokenFacts { scopes: vec![scopes[0].clone()], ..good },
    ] {
        assert!(problem(bad.clone()).is_some(), "{bad:?}");
    }
}

#[test]
fn a_graph_version_is_told_of_three_months_before_its_end() {
    let drift = |version: &str, now: &str| version_drift(version, at(now)).map(|drift| drift.name);
    let ending = Some(DriftName::GraphVersionEnding);
    assert_eq!(drift("v21.0", "2026-10-22T00:00:00Z"), None);
    assert_eq!(drift("v21.0", "2026-10-24T00:00:00Z"), ending);
    assert_eq!(drift("v20.0", "2026-11-22T00:00:00Z"), ending, "it has ended");
    assert_eq!(drift("v26.0", "2030-01-01T00:00:00Z"), None, "its end is not known");
}

#[test]
fn the_table_of_versions_is_in_order_and_readable() {
    let ends: Vec<Timestamp> = ENDS.iter().map(|(_, end)| at(end)).collect();
    assert!(ends.is_sorted());
}

#[test]
fn a_round_begins_in_the_first_night_after_the_last_one_began() {
    for (after, expected) in [
        ("2026-11-22T02:59:59Z", "2026-11-22T03:00:00Z"),
        ("2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"),
        ("2026-11-22T23:00:00Z", "2026-11-23T03:00:00Z"),
        ("2026-12-31T12:00:00Z", "2027-01-01T03:00:00Z"),
    ] {
        assert_eq!(Round::next_night(at(after)), at(expected), "{after}");
    }
}
