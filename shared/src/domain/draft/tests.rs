use super::*;

/// A valid message of every type and interactive kind, for other tests too.
const EVERY_KIND: &str = include_str!("../../../../events/messages/every-kind.json");

fn parse(body: Value) -> Result<Draft, InvalidDraft> {
    Draft::parse(body.as_object().unwrap())
}

/// What a message of this type and content to a phone number is refused for; empty if it is not.
fn refused(kind: &str, content: &Value) -> String {
    let refusal = parse(json!({"to": "15550100123", "type": kind, kind: content})).err();
    refusal.map(|refusal| refusal.member).unwrap_or_default()
}

#[track_caller]
fn all_refused(kind: &str, cases: &[(&str, Value)]) {
    for (member, content) in cases {
        assert_eq!(refused(kind, content), *member, "{content}");
    }
}

/// A valid content with one member changed, by JSON pointer; null = without it.
fn but(content: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = content.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        _ => parent[name] = value,
    }
    changed
}

/// A valid content, and what each change of one member is refused for.
#[track_caller]
fn each_change(kind: &str, good: &Value, cases: &[(&str, Value, &str)]) {
    assert_eq!(refused(kind, good), "", "{good}");
    for (pointer, value, member) in cases {
        assert_eq!(refused(kind, &but(good, pointer, value.clone())), *member, "{pointer} = {value}");
    }
}

fn long(most: usize) -> Value {
    "x".repeat(most + 1).into()
}

#[test]
fn every_type_and_kind_has_a_good_example_that_goes_out_unchanged() {
    let examples: Vec<Map<String, Value>> = serde_json::from_str(EVERY_KIND).unwrap();
    for example in &examples {
        let mut body = example.clone();
        body.insert("to".to_owned(), "15550100123".into());
        let draft = Draft::parse(&body).unwrap_or_else(|error| panic!("{error}: {example:?}"));
        assert_eq!(draft.recorded(), Value::Object(example.clone()));
    }
    let shown = |name: &str| examples.iter().any(|example| example["type"] == name);
    let missing: Vec<_> = KINDS.iter().filter(|kind| !shown(kind.name)).map(|kind| kind.name).collect();
    assert_eq!(missing, [""; 0]);
    let shown = |name: &&str| {
        examples.iter().any(|example| example.get("interactive").is_some_and(|i| i["type"] == *name))
    };
    let missing: Vec<_> = interactive::names().filter(|name| !shown(name)).collect();
    assert_eq!(missing, [""; 0]);
}

/// What pywa writes, in which every type and kind of its own occurs.
const OUTSIDE: &str = include_str!("../../../../infra/tests/outside/messages.json");

#[test]
fn what_an_outside_library_sends_passes_our_checks() {
    let messages: Map<String, Value> = serde_json::from_str(OUTSIDE).unwrap();
    assert!(messages.len() > 40);
    for (step, message) in messages {
        let mut body = message.as_object().unwrap().clone();
        body.insert("to".to_owned(), "15550100123".into());
        Draft::parse(&body).unwrap_or_else(|error| panic!("{step}: {error}"));
    }
}

#[test]
fn types_and_recipients_are_checked() {
    let text = |member: &str, value: Value| {
        let mut body = json!({"to": "15550100123", "type": "text", "text": {"body": "x"}});
        body[member] = value;
        body
    };
    for (member, body) in [
        ("type", json!({"to": "15550100123"})),
        ("type", text("type", "fax".into())),
        ("type", text("type", 5.into())),
        ("text", text("text", Value::Null)),
        ("to", text("to", Value::Null)),
        ("to", text("to", "abc".into())),
        ("to", text("to", 5.into())),
        ("recipient", text("recipient", "15550100123".into())),
        ("recipient_type", text("recipient_type", "crowd".into())),
        ("recipient_identity_key_hash", text("recipient_identity_key_hash", 5.into())),
        ("biz_opaque_callback_data", text("biz_opaque_callback_data", long(475))),
        ("context.message_id", text("context", "wamid.A".into())),
        ("context.message_id", text("context", json!({}))),
    ] {
        assert_eq!(parse(body.clone()).unwrap_err().member, member, "{body}");
    }
}

#[test]
fn a_group_takes_text_files_and_templates_only() {
    let examples: Vec<Map<String, Value>> = serde_json::from_str(EVERY_KIND).unwrap();
    for example in examples {
        let kind = example["type"].as_str().unwrap().to_owned();
        let mut body = example;
        body.insert("to".to_owned(), "120363000000000000".into());
        body.insert("recipient_type".to_owned(), "group".into());
        let taken = !["location", "contacts", "reaction", "interactive"].contains(&&*kind);
        let member = Draft::parse(&body).err().map(|refusal| refusal.member);
        assert_eq!(member.as_deref(), if taken { None } else { Some("type") }, "{kind}");
    }
}

#[test]
fn a_text_is_counted_in_utf_16_units() {
    all_refused(
        "text",
        &[
            ("text.body", json!({"body": ""})),
            ("text.body", json!({"body": 5})),
            ("text.body", json!("x")),
            ("text.body", json!({"body": long(4096)})),
            ("text.body", json!({"body": "😀".repeat(2049)})),
            ("", json!({"body": "😀".repeat(2048), "something_new": 1})),
            ("text.preview_url", json!({"body": "x", "preview_url": "yes"})),
        ],
    );
}

#[test]
fn a_file_has_an_id_or_a_link_and_its_kinds_own_words() {
    let link = "https://files.bakery.example/a";
    for kind in ["image", "video", "audio", "document", "sticker"] {
        let at = |member: &str| format!("{kind}.{member}");
        all_refused(
            kind,
            &[
                (kind, json!({})),
                (kind, json!("x")),
                (kind, json!({"id": "1", "link": link})),
                (&at("id"), json!({"id": ""})),
                (&at("id"), json!({"id": 5})),
                (&at("link"), json!({"link": "ftp://files.bakery.example"})),
                (&at("link"), json!({"link": long(2000)})),
                ("", json!({"id": "1"})),
                ("", json!({"link": link})),
            ],
        );
        let has_caption = !["audio", "sticker"].contains(&kind);
        let named = |member: &str, fits: bool| if fits { String::new() } else { at(member) };
        let with = |member: &str, value: Value| json!({"id": "1", member: value});
        assert_eq!(refused(kind, &with("caption", "x".into())), named("caption", has_caption));
        assert_eq!(refused(kind, &with("filename", "x".into())), named("filename", kind == "document"));
        assert_eq!(refused(kind, &with("voice", 1.into())), named("voice", kind != "audio"));
        assert_eq!(refused(kind, &with("caption", long(1024))), at("caption"));
    }
}

#[test]
fn places_cards_and_reactions_are_checked() {
    all_refused(
        "location",
        &[
            ("location.latitude", json!({"latitude": 90.1, "longitude": 1})),
            ("location.longitude", json!({"latitude": 90, "longitude": "-180.1"})),
            ("location.longitude", json!({"latitude": 90})),
            ("location.name", json!({"latitude": "1.5", "longitude": 1, "name": 5})),
        ],
    );
    let card = json!({"name": {"formatted_name": "Ada"}});
    let with = |member: &str, value: Value| json!([card, but(&card, &format!("/{member}"), value)]);
    all_refused(
        "contacts",
        &[
            ("contacts", json!({})),
            ("contacts", json!([])),
            ("contacts", vec![card.clone(); 258].into()),
            ("", vec![card.clone(); 257].into()),
            ("contacts[1].name", with("name", Value::Null)),
            ("contacts[1].name.formatted_name", with("name", json!({"formatted_name": ""}))),
            ("contacts[1].phones", with("phones", "1".into())),
            ("contacts[1].phones[0].phone", with("phones", json!([{"phone": 5}]))),
            ("contacts[1].org", with("org", "x".into())),
        ],
    );
    let reaction = |emoji: Value| json!({"message_id": "wamid.A", "emoji": emoji});
    all_refused(
        "reaction",
        &[
            ("reaction.message_id", json!({"emoji": "👍"})),
            ("reaction.emoji", reaction(Value::Null)),
            ("reaction.emoji", reaction("ok".into())),
            ("reaction.emoji", reaction("👍👍".into())),
            ("", reaction("".into())),
        ],
    );
    let quoting = json!({"to": "15550100123", "type": "reaction", "reaction": reaction("👍".into()),
                         "context": {"message_id": "wamid.A"}});
    assert_eq!(parse(quoting).unwrap_err().member, "context");
}

#[test]
fn templates_are_checked_by_component_and_parameter() {
    let good = json!({"name": "order_update", "language": {"code": "en_US"}, "components": [
        {"type": "HEADER", "parameters": [{"type": "IMAGE", "image": {"link": "https://files.bakery.example/a"}}]},
        {"type": "body", "parameters": [
            {"type": "text", "text": "Ada", "parameter_name": "name"},
            {"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000}, "parameter_name": "sum"},
            {"type": "date_time", "date_time": {"fallback_value": "today"}, "parameter_name": "day"},
        ]},
        {"type": "button", "sub_type": "copy_code", "index": "0", "parameters": [{"type": "coupon_code", "coupon_code": "SWEET"}]},
        {"type": "carousel", "cards": [{"card_index": 0, "components": [
            {"type": "button", "sub_type": "quick_reply", "index": 0, "parameters": [{"type": "payload", "payload": "p"}]}]}]},
        {"type": "limited_time_offer", "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_800_000_000_000_u64}}]},
        {"type": "order_status", "parameters": [{"type": "order_status", "order_status": {"reference_id": "a-1"}}]},
        {"type": "something_new", "parameters": [{"type": "hologram", "hologram": {}}]},
    ]});
    let header = "/components/0/parameters/0";
    let body = "/components/1/parameters";
    let at = |pointer: &str, rest: &str| format!("{pointer}{rest}");
    each_change(
        "template",
        &good,
        &[
            ("/name", "A".into(), "template.name"),
            ("/name", long(512), "template.name"),
            ("/language", Value::Null, "template.language"),
            ("/language/code", "e".into(), "template.language.code"),
            ("/components", json!({}), "template.components"),
            ("/components/0/type", Value::Null, "template.components[0].type"),
            (&at(header, "/image"), Value::Null, "template.components[0].parameters[0].image"),
            (&at(header, "/image/id"), "1".into(), "template.components[0].parameters[0].image"),
            (header, json!({"type": "text", "text": long(60)}), "template.components[0].parameters[0].text"),
            (
                header,
                json!({"type": "location", "location": {}}),
                "template.components[0].parameters[0].location.latitude",
            ),
            (
                header,
                json!({"type": "product", "product": {}}),
                "template.components[0].parameters[0].product.product_retailer_id",
            ),
            (body, json!("x"), "template.components[1].parameters"),
            (&at(body, "/0/text"), long(1024), "template.components[1].parameters[0].text"),
            (&at(body, "/0/text"), "".into(), "template.components[1].parameters[0].text"),
            (
                &at(body, "/1/currency/code"),
                "US".into(),
                "template.components[1].parameters[1].currency.code",
            ),
            (
                &at(body, "/1/currency/amount_1000"),
                "x".into(),
                "template.components[1].parameters[1].currency.amount_1000",
            ),
            (
                &at(body, "/2/date_time"),
                json!({}),
                "template.components[1].parameters[2].date_time.fallback_value",
            ),
            (
                &at(body, "/1/parameter_name"),
                Value::Null,
                "template.components[1].parameters[1].parameter_name",
            ),
            (
                &at(body, "/1/parameter_name"),
                "name".into(),
                "template.components[1].parameters[1].parameter_name",
            ),
            ("/components/2/sub_type", Value::Null, "template.components[2].sub_type"),
            ("/components/2/index", Value::Null, "template.components[2].index"),
            ("/components/2/index", 10.into(), "template.components[2].index"),
            (
                "/components/2/parameters/0/coupon_code",
                long(15),
                "template.components[2].parameters[0].coupon_code",
            ),
            ("/components/3/cards", json!([]), "template.components[3].cards"),
            ("/components/3/cards/0/card_index", Value::Null, "template.components[3].cards[0].card_index"),
            (
                "/components/3/cards/0/components/0/index",
                Value::Null,
                "template.components[3].cards[0].components[0].index",
            ),
            (
                "/components/3/cards/0/components/0/parameters/0/payload",
                Value::Null,
                "template.components[3].cards[0].components[0].parameters[0].payload",
            ),
            (
                "/components/4/parameters/0/limited_time_offer/expiration_time_ms",
                "x".into(),
                "template.components[4].parameters[0].limited_time_offer.expiration_time_ms",
            ),
            (
                "/components/5/parameters/0/order_status/reference_id",
                "a b".into(),
                "template.components[5].parameters[0].order_status.reference_id",
            ),
        ],
    );
}

/// The first good example of an interactive kind.
fn example(kind: &str) -> Value {
    let examples: Vec<Value> = serde_json::from_str(EVERY_KIND).unwrap();
    let mut of_kind = examples.into_iter().map(|example| example["interactive"].clone());
    of_kind.find(|interactive| interactive["type"] == kind).unwrap()
}

#[test]
fn headers_bodies_and_footers_fit_their_kind() {
    let none = ["location_request_message", "product", "carousel"];
    for kind in interactive::names() {
        let good = example(kind);
        let most = if kind == "list" { 4096 } else { 1024 };
        let has_footer = !["location_request_message", "carousel"].contains(&kind);
        let may_lack_body = ["product", "call_permission_request"].contains(&kind);
        each_change(
            "interactive",
            &good,
            &[
                ("/type", Value::Null, "interactive.type"),
                ("/action", Value::Null, "interactive.action"),
                ("/body", Value::Null, if may_lack_body { "" } else { "interactive.body" }),
                ("/body", json!({"text": ""}), "interactive.body.text"),
                ("/body", json!({"text": long(most)}), "interactive.body.text"),
                ("/footer", json!({"text": "x"}), if has_footer { "" } else { "interactive.footer" }),
                (
                    "/footer",
                    json!({"text": long(60)}),
                    if has_footer { "interactive.footer.text" } else { "interactive.footer" },
                ),
                (
                    "/header",
                    json!({"type": "text", "text": long(60)}),
                    if none.contains(&kind) { "interactive.header" } else { "interactive.header.text" },
                ),
                (
                    "/header",
                    json!({"type": "smell"}),
                    if none.contains(&kind) { "interactive.header" } else { "interactive.header.type" },
                ),
            ],
        );
    }
    let image = json!({"type": "image", "image": {}});
    for (kind, member) in [
        ("button", "interactive.header.image"),
        ("list", "interactive.header.type"),
        ("product_list", "interactive.header.type"),
    ] {
        assert_eq!(refused("interactive", &but(&example(kind), "/header", image.clone())), member);
    }
    assert_eq!(
        refused("interactive", &but(&example("product_list"), "/header", Value::Null)),
        "interactive.header"
    );
}

#[test]
fn buttons_and_lists_have_few_short_and_different_choices() {
    let button = |id: &str| json!({"type": "reply", "reply": {"id": id, "title": "Yes"}});
    let reply = "interactive.action.buttons[1].reply";
    each_change(
        "interactive",
        &example("button"),
        &[
            ("/action/buttons", json!([]), "interactive.action.buttons"),
            (
                "/action/buttons",
                json!([button("1"), button("2"), button("3"), button("4")]),
                "interactive.action.buttons",
            ),
            ("/action/buttons/1/type", "url".into(), "interactive.action.buttons[1].type"),
            ("/action/buttons/1/reply", Value::Null, reply),
            ("/action/buttons/1/reply/title", long(20), &format!("{reply}.title")),
            ("/action/buttons/1/reply/title", "".into(), &format!("{reply}.title")),
            ("/action/buttons/1/reply/id", long(256), &format!("{reply}.id")),
            ("/action/buttons/1/reply/id", "today".into(), &format!("{reply}.id")),
            ("/action/buttons/1/reply/id", " 1".into(), &format!("{reply}.id")),
        ],
    );
    let rows = |ids: std::ops::Range<u32>| -> Vec<Value> {
        ids.map(|id| json!({"id": id.to_string(), "title": "t"})).collect()
    };
    let section = |ids| json!({"title": "s", "rows": rows(ids)});
    let row = "interactive.action.sections[0].rows[1]";
    each_change(
        "interactive",
        &example("list"),
        &[
            ("/action/button", long(20), "interactive.action.button"),
            ("/action/sections", json!([]), "interactive.action.sections"),
            ("/action/sections", (0..11).map(|n| section(n..n + 1)).collect(), "interactive.action.sections"),
            ("/action/sections", json!([section(0..6), section(6..11)]), "interactive.action.sections"),
            ("/action/sections", json!([section(0..5), section(5..10)]), ""),
            ("/action/sections", json!([{"rows": rows(0..10)}]), ""),
            ("/action/sections", json!([{"rows": rows(0..11)}]), "interactive.action.sections[0].rows"),
            ("/action/sections/1/title", Value::Null, "interactive.action.sections[1].title"),
            ("/action/sections/1/title", long(24), "interactive.action.sections[1].title"),
            ("/action/sections/1/rows/0/id", "plum".into(), "interactive.action.sections[1].rows[0].id"),
            ("/action/sections/0/rows/1/id", long(200), &format!("{row}.id")),
            ("/action/sections/0/rows/1/title", long(24), &format!("{row}.title")),
            ("/action/sections/0/rows/1/description", long(72), &format!("{row}.description")),
        ],
    );
}

#[test]
fn actions_with_parameters_are_checked_by_kind() {
    let parameters = "/action/parameters";
    let at = |name: &str| format!("{parameters}/{name}");
    let named = |name: &str| format!("interactive.action.parameters.{name}");
    for (kind, name, value, member) in [
        ("cta_url", "display_text", long(20), "display_text"),
        ("cta_url", "url", "bakery.example".into(), "url"),
        ("flow", "flow_message_version", Value::Null, "flow_message_version"),
        ("flow", "flow_id", Value::Null, "flow_id"),
        ("flow", "flow_name", "order".into(), "flow_name"),
        ("flow", "flow_cta", long(30), "flow_cta"),
        ("flow", "mode", "trial".into(), "mode"),
        ("flow", "flow_action", "jump".into(), "flow_action"),
        ("flow", "flow_action_payload", "x".into(), "flow_action_payload"),
        ("address_message", "country", "IND".into(), "country"),
        ("catalog_message", "thumbnail_product_retailer_id", 5.into(), "thumbnail_product_retailer_id"),
        ("voice_call", "display_text", long(20), "display_text"),
        ("voice_call", "ttl_minutes", "soon".into(), "ttl_minutes"),
        ("order_details", "reference_id", long(35), "reference_id"),
        ("order_details", "reference_id", "a b".into(), "reference_id"),
        ("order_details", "currency", "Rs".into(), "currency"),
        ("order_details", "total_amount", json!({"value": 1.5, "offset": 100}), "total_amount.value"),
        ("order_details", "order", Value::Null, "order"),
        ("order_status", "reference_id", Value::Null, "reference_id"),
        ("order_status", "order", json!({}), "order.status"),
    ] {
        each_change("interactive", &example(kind), &[(&at(name), value, &named(member))]);
    }
    for kind in interactive::names() {
        let good = example(kind);
        if good.pointer("/action/name").is_some() {
            each_change("interactive", &good, &[("/action/name", "other".into(), "interactive.action.name")]);
        }
    }
}

#[test]
fn products_and_carousels_are_checked() {
    let action = |name: &str| format!("interactive.action.{name}");
    let products = |count: usize| json!({"title": "s", "product_items": vec![json!({"product_retailer_id": "1"}); count]});
    each_change(
        "interactive",
        &example("product"),
        &[
            ("/action/catalog_id", Value::Null, &action("catalog_id")),
            ("/action/product_retailer_id", "".into(), &action("product_retailer_id")),
        ],
    );
    each_change(
        "interactive",
        &example("product_list"),
        &[
            ("/action/catalog_id", Value::Null, &action("catalog_id")),
            ("/action/sections", vec![products(1); 11].into(), &action("sections")),
            ("/action/sections", json!([products(30)]), ""),
            ("/action/sections", json!([products(31)]), &action("sections[0].product_items")),
            ("/action/sections", json!([products(16), products(15)]), &action("sections")),
            ("/action/sections/1/title", Value::Null, &action("sections[1].title")),
            (
                "/action/sections/1/product_items/0",
                json!({}),
                &action("sections[1].product_items[0].product_retailer_id"),
            ),
        ],
    );
    let good = example("carousel");
    let card = &good["action"]["cards"][1];
    let quick = |id: &str, title: Value| {
        json!({"buttons": [
        {"type": "quick_reply", "quick_reply": {"id": "a", "title": "A"}},
        {"type": "quick_reply", "quick_reply": {"id": id, "title": title}}]})
    };
    let replying = |action: Value| but(&but(card, "/type", Value::Null), "/action", action);
    let cards =
        |count: usize| -> Vec<Value> { (0..count).map(|n| but(card, "/card_index", n.into())).collect() };
    each_change(
        "interactive",
        &good,
        &[
            ("/action/cards", cards(1).into(), &action("cards")),
            ("/action/cards", cards(10).into(), ""),
            ("/action/cards", cards(11).into(), &action("cards")),
            ("/action/cards/1/card_index", 0.into(), &action("cards[1].card_index")),
            ("/action/cards/1/card_index", Value::Null, &action("cards[1].card_index")),
            ("/action/cards/1/header", Value::Null, &action("cards[1].header")),
            ("/action/cards/1/header", json!({"type": "text", "text": "x"}), &action("cards[1].header.type")),
            ("/action/cards/1/body", json!({"text": long(160)}), &action("cards[1].body.text")),
            ("/action/cards/1/body", json!({"text": "a\nb\nc\nd"}), &action("cards[1].body.text")),
            ("/action/cards/1/action", Value::Null, &action("cards[1].action")),
            (
                "/action/cards/1/action/parameters/display_text",
                long(20),
                &action("cards[1].action.parameters.display_text"),
            ),
            ("/action/cards/1", replying(quick("b", "B".into())), ""),
            (
                "/action/cards/1",
                replying(quick("a", "B".into())),
                &action("cards[1].action.buttons[1].quick_reply.id"),
            ),
            (
                "/action/cards/1",
                replying(quick("b", long(20))),
                &action("cards[1].action.buttons[1].quick_reply.title"),
            ),
            (
                "/action/cards/1",
                json!({"card_index": 1, "type": "product", "action": {"catalog_id": "1"}}),
                &action("cards[1].action.product_retailer_id"),
            ),
        ],
    );
}

#[test]
fn a_kind_that_we_do_not_know_is_metas_to_judge() {
    assert_eq!(refused("interactive", &json!({"type": "hologram", "depth": 3})), "");
}

#[test]
fn a_text_to_a_phone_number_becomes_metas_call_with_our_id() {
    let draft =
        parse(json!({"botId": "b", "to": "+1 (555) 010-0123", "type": "text", "text": {"body": "Hi"},
        "biz_opaque_callback_data": "mine"}))
        .unwrap();
    let intent = MessageId::random([1; 16]);
    let call = draft.call(&intent);
    assert_eq!(call["to"], "15550100123");
    assert_eq!(call["messaging_product"], "whatsapp");
    assert!(call.get("botId").is_none() && call.get("recipient").is_none());
    let data = CallbackData::parse(call["biz_opaque_callback_data"].as_str().unwrap());
    assert_eq!((data.intent, data.caller.as_deref()), (Some(intent), Some("mine")));
}

#[test]
fn a_customer_without_a_phone_is_written_to_by_bsuid() {
    let draft = parse(json!({"recipient": "US.abc", "type": "text", "text": {"body": "Hi"}})).unwrap();
    let call = draft.call(&MessageId::random([1; 16]));
    assert_eq!((call["recipient"].as_str(), call.get("to")), (Some("US.abc"), None));
}

#[test]
fn data_of_other_software_is_no_intent() {
    assert_eq!(CallbackData::parse("{\"a\":1}").intent, None);
    assert_eq!(CallbackData::parse("msg_x|y").intent, None);
}

#[test]
fn a_long_answer_is_cut_between_characters() {
    let draft = Draft::text(Recipient::Group("g".to_owned()), &"😀".repeat(3000));
    assert_eq!(units(draft.recorded()["text"]["body"].as_str().unwrap()), 4096);
}
