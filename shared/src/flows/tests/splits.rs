//! However elements are spread over webhooks, what is recorded is the same, to the byte.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::ids::{PhoneNumberId, Wamid};
use crate::domain::parcel::pack;
use crate::flows::stored_bytes;
use crate::flows::testing::{Process, bot, message};
use crate::ports::Clock;
use crate::testing::{Tables, World};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A world with one client, and its number.
async fn world() -> (World, PhoneNumberId) {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    (world, client.phone_number_id)
}

/// Receives bodies as webhook-receive and ingest do.
async fn receive(world: &World, bodies: &[String]) {
    let process = Process::default();
    for body in bodies {
        for parcel in pack(body.as_bytes(), world.clock.now()) {
            process.ingest(world).parcel(&parcel).await.expect("nothing fails");
        }
    }
}

/// One element of a webhook: its number is its identity.
#[derive(Debug, Clone, Copy)]
enum Element {
    Message(u8),
    Status {
        message: u8,
        state: &'static str,
        at: i64,
        participant: Option<&'static str>,
    },
    Error(u8),
    UserAction(u8),
    /// A message without an id.
    Unreadable(u8),
    /// A change of another field.
    Change(u8),
    /// What the owner wrote in the app.
    Echo(u8),
    /// An older message, in or out.
    Old(u8),
}

fn element() -> impl Strategy<Value = Element> {
    let states = prop::sample::select(vec!["sent", "delivered", "read", "failed", "new"]);
    let participant = prop::option::weighted(0.2, prop::sample::select(vec!["15550100777", "US.member"]));
    prop_oneof![
        4 => (0..9u8).prop_map(Element::Message),
        4 => (0..4u8, states, 1_795_000_000..1_795_000_004i64, participant)
            .prop_map(|(message, state, at, participant)| Element::Status { message, state, at, participant }),
        1 => (0..3u8).prop_map(Element::Error),
        1 => (0..3u8).prop_map(Element::UserAction),
        1 => (0..3u8).prop_map(Element::Unreadable),
        1 => (0..3u8).prop_map(Element::Change),
        2 => (0..6u8).prop_map(Element::Echo),
        2 => (0..6u8).prop_map(Element::Old),
    ]
}

fn phone(customer: u8) -> String {
    format!("155501001{customer:02}")
}

/// The list that an element is in; `None` for a change of its own.
fn list(element: Element) -> Option<(&'static str, Value)> {
    Some(match element {
        Element::Message(n) => (
            "messages",
            json!({"id": format!("wamid.{n}"), "from": phone(n % 4), "timestamp": (1_795_000_000 + i64::from(n)).to_string(),
                   "type": if n == 7 { "new" } else { "text" }, "text": {"body": format!("Text {n}")}}),
        ),
        Element::Status { message, state, at, participant } => (
            "statuses",
            json!({"id": format!("wamid.OUT{message}"), "status": state, "timestamp": at, "recipient_id": phone(message),
                   "recipient_participant_id": participant, "pricing": {"category": "service", "n": at}}),
        ),
        Element::Error(n) => ("errors", json!({"code": 131_000 + i32::from(n), "title": "Error"})),
        Element::UserAction(n) => ("user_actions", json!({"action_type": "new", "n": n})),
        Element::Unreadable(n) => ("messages", json!({"from": phone(0), "n": n})),
        Element::Change(_) | Element::Echo(_) | Element::Old(_) => return None,
    })
}

/// A change of `messages` with these elements and the people in them.
fn messages_change(phone_id: &PhoneNumberId, elements: &[Element]) -> Value {
    let mut value = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": phone_id}});
    let mut people: BTreeMap<String, Value> = BTreeMap::new();
    for (name, item) in elements.iter().filter_map(|element| list(*element)) {
        for person in ["from", "recipient_id"].iter().filter_map(|member| item[*member].as_str()) {
            people.insert(
                person.to_owned(),
                json!({"wa_id": person, "profile": {"name": format!("P {person}")}}),
            );
        }
        match value[name].as_array_mut() {
            Some(items) => items.push(item),
            None => value[name] = json!([item]),
        }
    }
    if !people.is_empty() {
        value["contacts"] = people.into_values().collect();
    }
    json!({"field": "messages", "value": value})
}

/// The changes of a coexistence client: echoes in one, older messages in another, a thread for each customer.
fn chats(phone_id: &PhoneNumberId, elements: &[Element]) -> Vec<Value> {
    const OWN: &str = "15550100199";
    let metadata = json!({"display_phone_number": OWN, "phone_number_id": phone_id});
    let said = |id: String, n: u8, from: &str| {
        json!({"id": id, "from": from, "to": if from == OWN { phone(n % 4) } else { OWN.to_owned() },
               "timestamp": 1_794_000_000 + i64::from(n), "type": "text", "text": {"body": format!("Text {n}")}})
    };
    let mut echoes = Vec::new();
    let mut threads: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for element in elements {
        match element {
            Element::Echo(n) => echoes.push(said(format!("wamid.E{n}"), *n, OWN)),
            Element::Old(n) => {
                let customer = phone(n % 4);
                let from = if *n > 2 { OWN } else { &customer };
                threads.entry(customer.clone()).or_default().push(said(format!("wamid.H{n}"), *n, from));
            }
            _ => {}
        }
    }
    let threads: Vec<Value> =
        threads.into_iter().map(|(id, messages)| json!({"id": id, "messages": messages})).collect();
    let history = json!([{"metadata": {"phase": 1}, "threads": threads}]);
    let change = |field: &str, name: &str, list: &Value| json!({"field": field, "value": {"metadata": metadata, name: list}});
    let mut changes = Vec::new();
    if !echoes.is_empty() {
        changes.push(change("smb_message_echoes", "message_echoes", &echoes.into()));
    }
    if !threads.is_empty() {
        changes.push(change("history", "history", &history));
    }
    changes
}

/// Elements, each with the POST, entry and change that it goes into.
type Placed = (u8, u8, u8, Element);

/// Bodies with the elements in their places.
fn bodies(phone_id: &PhoneNumberId, placed: &[Placed]) -> Vec<String> {
    let mut posts: BTreeMap<u8, BTreeMap<u8, BTreeMap<u8, Vec<Element>>>> = BTreeMap::new();
    for (post, entry, change, element) in placed {
        let entry = posts.entry(*post).or_default().entry(*entry).or_default();
        entry.entry(*change).or_default().push(*element);
    }
    let changes = |elements: &[Element]| {
        let others = elements.iter().filter_map(|element| match element {
            Element::Change(n) => Some(json!({"field": "flows", "value": {"event": "NEW", "n": n}})),
            _ => None,
        });
        let items: Vec<Element> =
            elements.iter().copied().filter(|element| list(*element).is_some()).collect();
        let messages = (!items.is_empty()).then(|| messages_change(phone_id, &items));
        messages.into_iter().chain(others).chain(chats(phone_id, elements)).collect::<Vec<_>>()
    };
    let body = |entries: BTreeMap<u8, BTreeMap<u8, Vec<Element>>>| {
        let entries: Vec<Value> = entries
            .into_values()
            .map(|entry| json!({"id": "228", "changes": entry.values().flat_map(|c| changes(c)).collect::<Vec<_>>()}))
            .collect();
        json!({"object": "whatsapp_business_account", "entry": entries}).to_string()
    };
    posts.into_values().map(body).collect()
}

/// Everything that was recorded.
async fn recorded(placed: &[Placed]) -> Tables {
    let (world, phone_id) = world().await;
    receive(&world, &bodies(&phone_id, placed)).await;
    world.store.with(|tables| tables.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_over_entries_changes_and_posts_with_repetitions_records_the_same_rows(
        (elements, placed) in prop::collection::vec(element(), 1..16).prop_flat_map(|elements| {
            let again = elements.iter().chain(elements.iter().take(5)).copied();
            let places: Vec<_> =
                again.map(|element| (0..4u8, 0..3u8, 0..3u8, Just(element))).collect();
            (Just(elements), places.prop_shuffle())
        }),
    ) {
        let alone: Vec<Placed> = (0..).zip(&elements).map(|(post, element)| (post, 0, 0, *element)).collect();
        let (expected, found) = run(async { (recorded(&alone).await, recorded(&placed).await) });
        prop_assert_eq!(found.messages, expected.messages);
        prop_assert_eq!(found.wamids, expected.wamids);
        prop_assert_eq!(found.events, expected.events);
        prop_assert_eq!(
            found.quarantine.keys().collect::<Vec<_>>(), expected.quarantine.keys().collect::<Vec<_>>());
        prop_assert_eq!(found.conversations, expected.conversations);
        prop_assert_eq!(found.aliases, expected.aliases);
    }
}

/// Any JSON, as text: `serde_json` takes only some of it.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "0",
            "-0",
            "-0.0",
            "1e999",
            "1E-7",
            "1.50",
            "9007199254740993",
            "123456789012345678901234567890",
            "\"\"",
            "\"\\ud83d\"",
            "\"\\ude00\\ud83d\"",
            "\"\\u0000\"",
            "\"\\/\\u00e9\"",
            "\"\u{1f600}\u{202e}\"",
            "{}",
            "[ ]",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}".prop_map(|text| json!(text).to_string()),
        (0..200usize)
            .prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth))
            .prop_filter("JSON", |s| !s.is_empty()),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(vec!["id", "a", "a", "\\ud83d", "\u{e4}", "messages", "", "x\\\"y"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {}]", items.join(" ,"))),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

/// A webhook with members that nobody knows at every level: `{new}` is replaced, each time by another.
fn strange(phone_id: &PhoneNumberId, new: &[String]) -> String {
    let at = |level: usize| format!("\"new{level}\" : {}", new[level]);
    let message = format!(
        "{{\"id\":\"wamid.IN\",\"from\":\"15550100123\", \"timestamp\" :1795000000,\"type\":\"text\",\"text\":{{\"body\":\"Hi\",{}}},{}}}",
        at(0),
        at(1)
    );
    let status = format!(
        "{{\"id\":\"wamid.OUT\",\"status\":\"sent\",\"timestamp\":\"1795000000\",\"recipient_id\":\"15550100123\",\"pricing\":{{{}}},{}}}",
        at(2),
        at(3)
    );
    let contact = format!("{{\"wa_id\":\"15550100123\",\"profile\":{{\"name\":\"N\",{}}},{}}}", at(4), at(5));
    let value = format!(
        "{{\"metadata\":{{\"phone_number_id\":\"{phone_id}\",{}}},{},\"contacts\":[{contact}],\"messages\":[{message}],\"statuses\":[{status}]}}",
        at(6),
        at(7)
    );
    let other = format!("{{\"field\":\"flows\",\"value\":{{{}}},{}}}", at(8), at(9));
    format!(
        "{{\"object\":\"whatsapp_business_account\",{},\"entry\":[{{\"id\":\"228\",{},\"changes\":[{{\"field\":\"messages\",{},\"value\":{value}}},{other}]}}]}}",
        at(10),
        at(11),
        at(12)
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_that_nobody_knows_are_kept_to_the_byte_at_every_level(
        new in prop::collection::vec(json_text(), 13),
    ) {
        let (message, status, event, quarantined) = run(async {
            let (world, phone_id) = world().await;
            receive(&world, &[strange(&phone_id, &new)]).await;
            let of = async |raw| {
                String::from_utf8(stored_bytes(&world.store, raw).await.expect("stored")).expect("text")
            };
            let wamid: Wamid = "wamid.OUT".parse().expect("a wamid");
            let (waiting, events, quarantine) = world.store.with(|tables| {
                (tables.wamids.get(&wamid).cloned(), tables.events.clone(), tables.quarantine.len())
            });
            let waiting = waiting.expect("it waits").waiting;
            let inline = waiting.bodies().map(|(_, body)| body.to_owned()).next();
            let kind = |wanted: &str| events.values().find(|event| event.kind == wanted);
            let status = match (inline, kind("messages.statuses")) {
                (Some(body), None) => body,
                (None, Some(event)) => of(&event.raw).await,
                other => panic!("kept twice or not at all: {other:?}"),
            };
            let event = of(&kind("flows").expect("an event").raw).await;
            (of(&message(&world, "wamid.IN").raw).await, status, event, quarantine)
        });
        prop_assert_eq!(quarantined, 0);
        for (kept, levels) in [
            // Around all: top and entry; around items: change, value, metadata, contact.
            (&message, vec![0, 1, 4, 5, 6, 7, 10, 11, 12]),
            (&status, vec![2, 3, 4, 5, 6, 7, 10, 11, 12]),
            (&event, vec![8, 9, 10, 11]),
        ] {
            for level in levels {
                // In front of an envelope's member the blanks are ours.
                let (spaced, plain) =
                    (format!("\"new{level}\" : {}", new[level]), format!("\"new{level}\":{}", new[level]));
                prop_assert!(kept.contains(&spaced) || kept.contains(&plain), "level {} of {}", level, kept);
            }
        }
    }
}
