use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

fn template() -> Template {
    let name = "pickup".parse().unwrap();
    Template::named(&"228".parse().unwrap(), &"771".parse().unwrap(), &name, "en_US", at(0))
}

fn status(word: &str) -> Fact {
    Fact::Status(Status::of(word))
}

fn of_event(field: &str, value: &Value) -> Vec<(Source, Fact)> {
    let mut whole = json!({"message_template_id": 771, "message_template_name": "pickup",
        "message_template_language": "en_US"});
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    event_of(field, &whole).map(|event| event.facts).unwrap_or_default()
}

#[test]
fn the_newest_fact_of_an_aspect_counts_and_aspects_do_not_touch() {
    let mut it = template();
    assert!(it.note(&status("APPROVED"), Source::Event, at(10)));
    assert!(it.note(&Fact::Quality("GREEN".to_owned()), Source::Event, at(5)));
    assert!(it.note(&status("PAUSED"), Source::Event, at(30)));
    assert!(!it.note(&status("APPROVED"), Source::Event, at(20)), "older");
    assert!(!it.note(&status("APPROVED"), Source::Shown, at(20)), "an older list");
    assert!(it.has_status("PAUSED"));
    assert!(it.note(&status("APPROVED"), Source::Shown, at(40)), "a newer list");
    assert_eq!(it.quality.as_ref().unwrap().is, "GREEN");
}

#[test]
fn an_event_of_the_same_second_counts_more_than_a_list() {
    let mut it = template();
    it.note(&status("APPROVED"), Source::Event, at(10));
    assert!(!it.note(&status("PENDING"), Source::Shown, at(10)));
    assert!(!it.note(&status(DELETED), Source::Absence, at(10)));
    assert!(it.has_status("APPROVED"));
}

#[test]
fn what_a_list_shows_again_does_not_hide_what_the_event_said() {
    let mut it = template();
    let facts = of_event(
        "message_template_status_update",
        &json!({"event": "REJECTED", "reason": "INVALID_FORMAT",
            "rejection_info": {"reason": "A number is missing.", "recommendation": "Add it."}}),
    );
    it.note(&facts[0].1, facts[0].0, at(10));
    assert!(!it.note(&status("REJECTED"), Source::Shown, at(100)));
    let known = it.status.unwrap().is;
    assert_eq!((known.reason.as_deref(), known.advice.as_deref()), (Some("INVALID_FORMAT"), Some("Add it.")));
}

#[test]
fn what_is_missing_in_a_list_may_come_back_and_what_was_deleted_may_not() {
    let mut it = template();
    it.note(&status("APPROVED"), Source::Shown, at(10));
    assert!(it.note(&status(DELETED), Source::Absence, at(20)));
    assert_eq!(it.deleted_at(), Some(at(20)));
    assert!(it.note(&status("APPROVED"), Source::Shown, at(30)));
    assert!(it.note(&status(DELETED), Source::Gone, at(25)), "older, and yet final");
    assert!(!it.note(&status("APPROVED"), Source::Event, at(99)));
}

#[test]
fn a_change_of_category_is_announced_and_then_done() {
    let mut it = template();
    let announced = json!({"new_category": "UTILITY", "correct_category": "MARKETING",
        "category_update_timestamp": 1_795_090_000});
    let done = json!({"previous_category": "UTILITY", "new_category": "MARKETING"});
    let by_the_way = json!({"event": "APPROVED", "reason": "NONE", "message_template_category": "UTILITY"});
    for (value, seconds) in [(&announced, 10), (&by_the_way, 20)] {
        for (source, fact) in of_event("template_category_update", value) {
            it.note(&fact, source, at(seconds));
        }
    }
    let coming = it.category.as_ref().unwrap().is.coming.clone().unwrap();
    assert_eq!((coming.word.as_str(), coming.at), ("MARKETING", Some(at(90_000))));
    for (source, fact) in of_event("template_category_update", &done) {
        it.note(&fact, source, at(30));
    }
    assert_eq!(it.category.unwrap().is, Category { word: "MARKETING".to_owned(), coming: None });
}

#[test]
fn a_detected_category_is_a_coming_one_without_a_date() {
    let facts = of_event(
        "template_correct_category_detection",
        &json!({"category": "UTILITY", "correct_category": "AUTHENTICATION"}),
    );
    let coming = Some(ComingCategory { word: "AUTHENTICATION".to_owned(), at: None });
    assert_eq!(facts, [(Source::Event, Fact::Category(Category { word: "UTILITY".to_owned(), coming }))]);
}

#[test]
fn changed_texts_replace_those_parts_and_keep_the_rest() {
    let mut it = template();
    let components = json!([
        {"type": "HEADER", "format": "TEXT", "text": "Old"},
        {"type": "BODY", "text": "Old {{1}}", "example": {"body_text": [["A-1"]]}},
        {"type": "FOOTER", "text": "Open 8 to 18"},
    ]);
    let content = Content { components, parameter_format: Some("POSITIONAL".to_owned()), ttl_seconds: None };
    it.note(&Fact::Content(content), Source::Shown, at(10));
    let told = json!({"message_template_element": "New {{1}}", "message_template_title": "Ready",
        "message_template_buttons": [{"message_template_button_type": "URL",
            "message_template_button_text": "Directions", "message_template_button_url": "https://depot.example/route"}]});
    let facts = of_event("message_template_components_update", &told);
    assert!(it.note(&facts[0].1, facts[0].0, at(20)));
    let content = it.content.unwrap().is;
    assert_eq!(content.parameter_format.as_deref(), Some("POSITIONAL"));
    assert_eq!(
        content.components,
        json!([
            {"type": "HEADER", "format": "TEXT", "text": "Ready"},
            {"type": "BODY", "text": "New {{1}}", "example": {"body_text": [["A-1"]]}},
            {"type": "FOOTER", "text": "Open 8 to 18"},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Directions", "url": "https://depot.example/route"}]},
        ])
    );
}

#[test]
fn events_that_name_no_template_or_say_nothing_are_none() {
    assert!(event_of("message_template_status_update", &json!({"event": "APPROVED"})).is_none());
    assert!(of_event("message_template_status_update", &json!({})).is_empty());
    assert!(of_event("account_update", &json!({"event": "APPROVED"})).is_empty());
    assert_eq!(
        of_event(
            "message_template_status_update",
            &json!({"previous_quality_score": "GREEN", "new_quality_score": "RED"})
        ),
        [(Source::Event, Fact::Quality("RED".to_owned()))],
        "the members tell, not the field"
    );
}

#[test]
fn deletion_by_metas_word_is_final() {
    let facts = of_event("message_template_status_update", &json!({"event": "DELETED", "reason": null}));
    assert_eq!(facts, [(Source::Gone, status(DELETED))]);
}

fn a_fact() -> impl Strategy<Value = (Fact, Source, i64)> {
    let word = prop::sample::select(vec!["APPROVED", "PENDING", "PAUSED", "REJECTED", DELETED]);
    let fact = (word, 0..4_u8).prop_map(|(word, aspect)| match aspect {
        0 => Fact::Quality(word.to_owned()),
        1 => Fact::Category(Category { word: word.to_owned(), coming: None }),
        _ => status(word),
    });
    (fact, prop::sample::select(vec![Source::Event, Source::Gone]), 0..6_i64)
}

proptest! {
    #[test]
    fn events_in_any_order_and_repeated_end_the_same(
        facts in prop::collection::vec(a_fact(), 1..8), other in any::<prop::sample::Index>(),
    ) {
        let play = |facts: &[(Fact, Source, i64)]| {
            let mut it = template();
            for (fact, source, seconds) in facts {
                it.note(fact, *source, at(*seconds));
            }
            it
        };
        let mut turned = facts.clone();
        turned.rotate_left(other.index(facts.len()));
        turned.reverse();
        turned.extend(facts.clone());
        prop_assert_eq!(play(&facts), play(&turned));
    }
}

mod previews {
    use super::*;

    fn shown(components: &Value, given: &Value) -> Preview {
        preview(components, &Filling::of_message(given.as_array().unwrap()))
    }

    #[test]
    fn positions_and_names_are_filled() {
        let components = json!([{"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
            {"type": "BODY", "text": "Hello {{1}}, {{2}} is ready, {{1}}."}, {"type": "FOOTER", "text": "Bye"}]);
        let given = json!([{"type": "header", "parameters": [{"type": "text", "text": "A-1"}]},
            {"type": "BODY", "parameters": [{"type": "text", "text": "Ann"},
                {"type": "currency", "currency": {"fallback_value": "$5", "code": "USD", "amount_1000": 5000}}]}]);
        let it = shown(&components, &given);
        assert_eq!(it.text, "Order A-1\nHello Ann, $5 is ready, Ann.\nBye");
        assert!(it.missing.is_empty() && it.unexpected.is_empty());

        let named = json!([{"type": "BODY", "text": "Hello {{first_name}}, see you {{ day }}"}]);
        let it = preview(&named, &Filling::of_body(&json!({"day": "Monday", "first_name": "Ann"})));
        assert_eq!(it.body.as_deref(), Some("Hello Ann, see you Monday"));
        let it = preview(&components, &Filling::of_body(&json!(["Ann", 2])));
        assert_eq!(it.body.as_deref(), Some("Hello Ann, 2 is ready, Ann."));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named_and_the_placeholder_stays() {
        let components = json!([{"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:x"]}},
            {"type": "BODY", "text": "Hello {{1}} and {{2}} and {{2}}"},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://depot.example/{{1}}"},
                {"type": "COPY_CODE", "text": "Copy"}]}]);
        let it =
            shown(&components, &json!([{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}]));
        assert_eq!(it.body.as_deref(), Some("Hello Ann and {{2}} and {{2}}"));
        assert_eq!(it.missing, ["header.image", "body.2", "buttons.0.1", "buttons.1.coupon_code"]);
        assert_eq!(it.header, Some(json!({"format": "IMAGE", "example": "4:x"})));
        let it = preview(&json!([{"type": "BODY", "text": "Hello"}]), &Filling::of_body(&json!(["Ann"])));
        assert_eq!(it.unexpected, ["body.1"]);
        let it =
            preview(&json!([{"type": "BODY", "text": "Hello"}]), &Filling::of_body(&json!({"name": "Ann"})));
        assert_eq!(it.unexpected, ["body.name"]);
    }

    #[test]
    fn buttons_take_their_own_parameters_whether_the_index_is_text_or_number() {
        let components = json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Yes"}, {"type": "URL", "text": "Track", "url": "https://depot.example/{{1}}"},
            {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550100100"}]}]);
        let given = json!([
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-1"}]},
            {"type": "button", "sub_type": "quick_reply", "index": 0, "parameters": [{"type": "payload", "payload": "yes"}]}]);
        assert_eq!(
            shown(&components, &given).buttons,
            [
                json!({"type": "QUICK_REPLY", "text": "Yes", "payload": "yes"}),
                json!({"type": "URL", "text": "Track", "url": "https://depot.example/A-1"}),
                json!({"type": "PHONE_NUMBER", "text": "Call", "phoneNumber": "+15550100100"})
            ]
        );
    }

    #[test]
    fn each_card_of_a_carousel_has_its_own_parameters() {
        let card = json!({"components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "From {{1}}"}]});
        let components =
            json!([{"type": "BODY", "text": "New"}, {"type": "CAROUSEL", "cards": [card, card]}]);
        let given = json!([{"type": "carousel", "cards": [{"card_index": 1, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://shop.example/b.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "$9"}]}]}]}]);
        let it = shown(&components, &given);
        assert_eq!(it.cards[1].body.as_deref(), Some("From $9"));
        let image = json!({"format": "IMAGE", "image": {"link": "https://shop.example/b.png"}});
        assert_eq!(it.cards[1].header, Some(image));
        assert_eq!(it.missing, ["cards.0.header.image", "cards.0.body.1"]);
    }

    #[test]
    fn an_authentication_template_and_an_offer_show_metas_own_texts() {
        let components = json!([{"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 5}]);
        let it = preview(&components, &Filling::of_body(&json!(["123456"])));
        assert!(it.text.starts_with("123456 is your verification code. For your security"));
        assert!(it.text.ends_with("expires in 5 minutes."));
        let components = json!([{"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Ends soon"}}]);
        let given = json!([{"type": "limited_time_offer", "parameters": [
            {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_795_000_000_000_i64}}]}]);
        let offer = shown(&components, &given).offer;
        assert_eq!(offer, Some(json!({"text": "Ends soon", "expiresAtMs": 1_795_000_000_000_i64})));
    }

    proptest! {
        #[test]
        fn nothing_that_meta_or_a_caller_says_makes_it_fail(text in "[{}a1 é]{0,20}", value in "\\PC{0,8}") {
            let components = json!([{"type": "BODY", "text": text}]);
            let it = preview(&components, &Filling::of_body(&json!([value])));
            prop_assert!(it.body.is_some());
            let none = preview(&components, &Filling::default());
            prop_assert_eq!(none.body.as_deref(), Some(text.as_str()), "without parameters it is as it was written");
        }
    }
}
