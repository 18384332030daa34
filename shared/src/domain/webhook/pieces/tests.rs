use serde_json::{Value, json};

use super::*;

fn lists(body: &str) -> Vec<List> {
    pieces(body).unwrap().iter().map(|p| p.list).collect()
}

#[test]
fn messages_statuses_and_errors_can_share_one_value() {
    let body = json!({"object": OBJECT, "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "messages": [{"id": "a"}, null], "statuses": [{"id": "b"}], "errors": [{"code": 1}], "user_actions": []}}]}]});
    assert_eq!(lists(&body.to_string()), [List::Messages, List::Statuses, List::Errors]);
}

#[test]
fn null_missing_and_empty_parts_are_nothing() {
    for entry in [
        json!(null),
        json!([]),
        json!([null]),
        json!([{"id": "1"}]),
        json!([{"changes": [null]}]),
        json!([{"changes": [{"field": "messages"}]}]),
        json!([{"changes": [{"field": "messages", "value": {"messages": null}}]}]),
    ] {
        assert_eq!(lists(&json!({"object": OBJECT, "entry": entry}).to_string()), [], "{entry}");
    }
}

#[test]
fn what_is_not_an_envelope_is_said_to_be_none() {
    for body in
        ["", "[]", "nonsense", "{\"object\":", "{\"object\":\"whatsapp_business_account\",\"entry\":1}"]
    {
        assert!(pieces(body).is_err(), "{body}");
    }
    assert_eq!(pieces("{\"object\":\"page\"}").unwrap_err(), NotAWebhook::Object);
    assert_eq!(pieces("{}").unwrap_err(), NotAWebhook::Object);
}

#[test]
fn strange_entries_and_values_are_kept_beside_the_good_ones() {
    let body = json!({"object": OBJECT, "entry": [
        "text", {"changes": "text"},
        {"id": "1", "changes": [{"field": "messages", "value": {"messages": {"id": "x"}, "statuses": [{"id": "b"}]}}]},
        {"id": "1", "changes": [{"field": "messages", "value": {"new_list": [1]}}]},
        {"id": "1", "changes": [{"value": {}}]},
    ]});
    assert_eq!(
        lists(&body.to_string()),
        [List::Leftover, List::Leftover, List::Statuses, List::Leftover, List::Leftover, List::Change]
    );
}

#[test]
fn a_piece_alone_is_a_body_that_gives_the_same_piece() {
    let body = json!({"object": OBJECT, "entry": [{"id": "1", "time": 5, "changes": [
        {"field": "messages", "value": {"metadata": {"phone_number_id": "7"}, "new": "kept", "contacts": [
            {"wa_id": "155"}, {"user_id": "US.a", "profile": {"name": "ä\"\\"}}],
            "messages": [{"id": "a", "from_user_id": "US.a"}, {"id": "b", "from": "155"}], "statuses": [{"id": "c"}]}},
        {"value": {"x": 1.50}, "field": "flows"}]}]})
    .to_string();
    let all = pieces(&body).unwrap();
    assert_eq!(all.len(), 4);
    for piece in &all {
        let alone = piece.body();
        let again = pieces(&alone).unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(
            (again[0].list, again[0].raw, again[0].contacts.clone()),
            (piece.list, piece.raw, piece.contacts.clone())
        );
        assert_eq!((&again[0].entry_id, again[0].entry_time), (&piece.entry_id, piece.entry_time));
    }
    assert!(all[0].contacts[0].contains("US.a") && all[1].contacts[0].contains("155"));
    let together = regroup(&all, usize::MAX);
    assert_eq!(together.len(), 1);
    assert_eq!(pieces(&together[0]).unwrap().len(), 4);
    assert!(together[0].contains("\"new\":\"kept\"") && together[0].contains("1.5"));
}

#[test]
fn members_that_we_do_not_know_stay_with_every_piece() {
    let body = json!({"object": OBJECT, "top": [1], "entry": [{"id": "1", "beside": "entry", "changes": [
        {"field": "messages", "beside": "change", "value": {"beside": {"a": null}, "messages": [{"id": "a"}, {"id": "b"}]}}]}]})
    .to_string();
    let all = pieces(&body).unwrap();
    let bodies: Vec<Value> = all.iter().map(|piece| serde_json::from_str(&piece.body()).unwrap()).collect();
    for (body, id) in bodies.iter().zip(["a", "b"]) {
        let entry = &body["entry"][0];
        assert_eq!((&body["top"], &entry["beside"]), (&json!([1]), &json!("entry")));
        assert_eq!(entry["changes"][0]["beside"], "change");
        assert_eq!(entry["changes"][0]["value"], json!({"beside": {"a": null}, "messages": [{"id": id}]}));
    }
    let together: Value = serde_json::from_str(&regroup(&all, usize::MAX)[0]).unwrap();
    assert_eq!(together, serde_json::from_str::<Value>(&body).unwrap());
}

#[test]
fn what_no_piece_takes_along_is_left_over() {
    let entry = |entry: Value| lists(&json!({"object": OBJECT, "entry": [entry]}).to_string());
    let change = |change: Value| entry(json!({"id": "1", "changes": [change]}));
    for found in [
        entry(json!({"id": "1", "new": 1})),
        entry(json!({"id": "1", "changes": [null], "new": 1})),
        change(json!({"field": "messages", "new": 1})),
        change(json!({"field": "messages", "value": {"contacts": [{"wa_id": "1"}]}})),
        change(json!({"field": "messages", "value": {"contacts": {"wa_id": "1"}}})),
        change(json!("text")),
    ] {
        assert_eq!(found, [List::Leftover]);
    }
    assert_eq!(pieces(&json!({"object": OBJECT, "new": 1}).to_string()).unwrap_err(), NotAWebhook::Shape);
    assert_eq!(lists(&json!({"object": OBJECT, "new": null}).to_string()), []);
}

#[test]
fn a_name_that_comes_twice_is_not_understood() {
    let change = r#"{"field":"messages","value":{"messages":[{"id":"a"}]}}"#;
    let twice = r#"{"field":"messages","value":{"messages":[{"id":"a"}],"messages":[{"id":"b"}]}}"#;
    let of = |entry: &str| format!("{{\"object\":\"{OBJECT}\",\"entry\":[{entry}]}}");
    let both = of(&format!("{{\"changes\":[{twice},{change}]}}"));
    let found = pieces(&both).unwrap();
    assert_eq!(found.iter().map(|piece| piece.list).collect::<Vec<_>>(), [List::Leftover, List::Messages]);
    assert!(found[0].body().contains("\"b\""), "kept whole");
    assert_eq!(lists(&of(&format!("{{\"changes\":[],\"changes\":[{change}]}}"))), [List::Leftover]);
    let entries = format!("{{\"object\":\"{OBJECT}\",\"entry\":[],\"entry\":[{{\"changes\":[{change}]}}]}}");
    assert_eq!(pieces(&entries).unwrap_err(), NotAWebhook::Shape);
}

#[test]
fn contacts_go_with_whom_they_name_and_nobodys_with_the_first() {
    let body = json!({"object": OBJECT, "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "contacts": [{"wa_id": "155"}, {"wa_id": "999"}, {"user_id": "US.b"}],
        "messages": [{"id": "a", "from_user_id": "US.b"}], "statuses": [{"id": "b", "recipient_id": "155"}]}}]}]})
    .to_string();
    let found = pieces(&body).unwrap();
    assert_eq!(found[0].contacts, [r#"{"wa_id":"999"}"#, r#"{"user_id":"US.b"}"#]);
    assert_eq!(found[1].contacts, [r#"{"wa_id":"155"}"#]);
    let together: Value = serde_json::from_str(&regroup(&found, usize::MAX)[0]).unwrap();
    assert_eq!(together, serde_json::from_str::<Value>(&body).unwrap());
}

#[test]
fn a_large_envelope_is_not_repeated_a_thousand_times() {
    let messages: Vec<Value> = (0..1000).map(|n| json!({"id": format!("wamid.{n}")})).collect();
    let body = json!({"object": OBJECT, "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "metadata": {"phone_number_id": "117"}, "new": "x".repeat(2_000_000), "messages": messages}}]}]})
    .to_string();
    let found = pieces(&body).unwrap();
    assert_eq!((found.len(), found[1000].list), (1001, List::Leftover));
    assert!(found[1000].body().len() > 2_000_000);
    assert!(found[..1000].iter().all(|piece| piece.body().len() < 1000 && piece.metadata.is_some()));
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(body in "\\PC{0,200}") {
        let _ = pieces(&body);
    }

    #[test]
    fn no_json_in_an_envelope_makes_it_panic_or_drops_an_entry(text in "[\\[\\]{}:,\"a-z0-9 ]{0,60}") {
        let entry: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let body = json!({"object": OBJECT, "entry": [entry, {"id": "1", "changes": [{"field": "x"}]}]}).to_string();
        let found = pieces(&body).unwrap();
        proptest::prop_assert!(found.iter().any(|p| p.field.as_deref() == Some("x")));
        for body in regroup(&found, 100) { proptest::prop_assert!(pieces(&body).is_ok()); }
    }
}
