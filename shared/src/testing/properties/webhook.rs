//! Bodies come apart and together again without losing anything.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::Choices;
use crate::domain::Timestamp;
use crate::domain::parcel::{Content, Parcel, SQS_LIMIT, batches, pack};
use crate::domain::raw::join;
use crate::domain::webhook::{List, Piece, pieces, regroup};

const OBJECT: &str = "whatsapp_business_account";
/// Lists of a `messages` change whose items are pieces.
const LISTS: [(&str, List); 4] = [
    ("messages", List::Messages),
    ("statuses", List::Statuses),
    ("errors", List::Errors),
    ("user_actions", List::UserActions),
];
/// Other fields whose messages are pieces.
const CHATS: [&str; 4] = ["smb_message_echoes", "message_echoes", "history", "standby"];
/// What an envelope repeats; without an item it says nothing.
const ROUTINE: [&str; 3] = ["messaging_product", "metadata", "conversation_context"];

/// Any body: packed and unpacked it is the same; every piece of it stands alone; together they hold all.
pub fn webhook(body: &[u8]) {
    parcels(body);
    let Ok(text) = std::str::from_utf8(body) else { return };
    body_as_it_came(text);
    // Written anew, no name comes twice, and everything has one reading.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        read_as_counted(&value);
    }
}

/// Any tree of the names that envelopes have, in places where they belong and where they do not.
pub fn envelope(choices: &[u8]) {
    let mut choices = Choices(choices);
    let mut top = Map::new();
    top.insert("object".to_owned(), OBJECT.into());
    top.insert("entry".to_owned(), Value::Array(list(&mut choices, 0)));
    while !choices.is_over() {
        top.insert(name(&mut choices), tree(&mut choices, 1));
    }
    let value = Value::Object(top);
    parcels(value.to_string().as_bytes());
    read_as_counted(&value);
}

fn list(choices: &mut Choices<'_>, depth: usize) -> Vec<Value> {
    let len = choices.byte() % 4;
    (0..len).map(|_| tree(choices, depth)).collect()
}

fn name(choices: &mut Choices<'_>) -> String {
    const NAMES: [&str; 31] = [
        "changes",
        "field",
        "value",
        "messages",
        "statuses",
        "errors",
        "user_actions",
        "contacts",
        "metadata",
        "id",
        "from",
        "from_user_id",
        "recipient_id",
        "status",
        "timestamp",
        "type",
        "time",
        "entry",
        "object",
        "wa_id",
        "user_id",
        "phone_number_id",
        "message_echoes",
        "history",
        "threads",
        "standby",
        "context",
        "to",
        "display_phone_number",
        "new \"name\"\u{e4}",
        "system",
    ];
    choices.one_of(&NAMES).to_owned()
}

/// A change as it should be, or anything.
fn tree(choices: &mut Choices<'_>, depth: usize) -> Value {
    if depth > 8 {
        return Value::Null;
    }
    match choices.byte() % 16 {
        0 => Value::Null,
        1 => choices.byte().into(),
        2 => {
            choices.one_of(&["messages", "1555010", "wamid.1", "text", "US.a", "flows", "\u{1f600}\""]).into()
        }
        3 => choices.text().into(),
        4 | 5 => Value::Array(list(choices, depth + 1)),
        6..=9 => {
            let field = choices.one_of(&["messages", "messages", "smb_message_echoes", "history", "standby"]);
            let value = tree(choices, depth + 1);
            Value::Object(Map::from_iter([("field".to_owned(), field.into()), ("value".to_owned(), value)]))
        }
        10 => Value::Object(Map::from_iter([("changes".to_owned(), Value::Array(list(choices, depth + 1)))])),
        _ => {
            let len = choices.byte() % 5;
            Value::Object((0..len).map(|_| (name(choices), tree(choices, depth + 1))).collect())
        }
    }
}

/// Any body of any size: on the queue and off again, nothing is missing.
pub fn parcels(body: &[u8]) {
    let packed = pack(body, Timestamp::UNIX_EPOCH);
    for batch in batches(&packed) {
        let size: usize = batch.iter().map(|parcel| parcel.content.len()).sum();
        assert!(batch.len() <= 10 && size <= SQS_LIMIT, "{} parcels of {size} bytes", batch.len());
    }
    let bodies = unpack(&packed);
    if let [whole] = bodies.as_slice() {
        assert!(whole == body, "one body came back changed");
        return;
    }
    let text = std::str::from_utf8(body).expect("what is no text travels whole");
    let came = pieces(text).expect("what cannot be taken apart travels whole");
    let texts: Vec<&str> = bodies.iter().map(|body| std::str::from_utf8(body).expect("text again")).collect();
    let there = texts.iter().flat_map(|text| pieces(text).expect("a webhook again"));
    assert_eq!(known(&there.collect::<Vec<_>>()), known(&came));
}

fn unpack(parcels: &[Parcel]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let mut parts = Vec::new();
    for parcel in parcels {
        match &parcel.content {
            Content::Body(body) => bodies.push(body.clone().into_bytes()),
            Content::Part { header, base64 } => {
                parts.push(STANDARD.decode(base64).expect("base64"));
                if header.index + 1 == header.count {
                    let parts = std::mem::take(&mut parts);
                    assert_eq!(parts.len(), header.count as usize);
                    bodies.push(join(&parts, &header.name).expect("undamaged"));
                }
            }
        }
    }
    assert!(parts.is_empty(), "parts without an end");
    bodies
}

fn body_as_it_came(text: &str) {
    let Ok(found) = pieces(text) else { return };
    for piece in &found {
        stands_alone(piece);
    }
    for limit in [1, 300, 3000, usize::MAX] {
        let bodies = regroup(&found, limit);
        let again: Vec<Piece<'_>> =
            bodies.iter().flat_map(|body| pieces(body).expect("a webhook again")).collect();
        assert_eq!(known(&again), known(&found), "at most {limit} bytes");
        // What is left over holds good items, too; they come twice then.
        if !found.iter().any(may_hold_others) {
            assert_eq!(again.len(), found.len(), "at most {limit} bytes");
        }
    }
}

/// A piece as a body of its own is the same piece, understood in the same way.
fn stands_alone(piece: &Piece<'_>) {
    let alone = piece.body();
    let again = pieces(&alone).expect("a webhook again");
    let same = again.iter().find(|again| identity(again) == identity(piece));
    let same = same.unwrap_or_else(|| panic!("{:?} became {again:?}", piece));
    assert_eq!(same.body(), alone, "what is stored is stored alike when it is replayed");
    assert!(alone.contains(piece.raw), "as it came");
    assert!(again.len() == 1 || may_hold_others(piece), "{again:?}");
    let now = Timestamp::UNIX_EPOCH;
    match piece.list {
        List::Messages | List::Echoes => {
            let message = piece.message();
            assert_eq!(same.message(), message);
            if let Ok(message) = message {
                assert!(!message.customer.aliases().is_empty());
                assert!(!message.kind.is_empty() && message.kind.len() <= 64);
            }
        }
        List::Statuses => {
            let status = piece.status(now);
            assert_eq!(same.status(now), status);
            if let Ok(status) = status {
                assert_eq!(status.event.body, alone);
                assert!(!status.event.key.state.contains('#'), "a part of an attribute's name");
                assert!(status.event.key.state.len() <= 80);
            }
        }
        List::Errors | List::UserActions | List::Change | List::Leftover => {}
    }
    let names = [&piece.entry_id, &piece.field];
    assert!(names.into_iter().flatten().all(|name| name.len() <= 100), "too long for a key");
}

/// Whether it is a whole change or entry in which items may stand that are pieces as well.
fn may_hold_others(piece: &Piece<'_>) -> bool {
    let is_taken_apart = piece.field.as_deref().is_some_and(|field| CHATS.contains(&field));
    piece.list == List::Leftover || (piece.list == List::Change && is_taken_apart)
}

type Identity<'a> = (String, &'a str, Option<&'a str>, Option<&'a str>, Option<Timestamp>, Option<&'a str>);

fn identity<'a>(piece: &'a Piece<'_>) -> Identity<'a> {
    let list = format!("{:?}", piece.list);
    let (entry_id, field) = (piece.entry_id.as_deref(), piece.field.as_deref());
    (list, piece.raw, entry_id, field, piece.entry_time, piece.metadata)
}

fn known<'a>(pieces: &'a [Piece<'_>]) -> BTreeSet<Identity<'a>> {
    pieces.iter().map(identity).collect()
}

/// A body in which no name comes twice: every element is found once, and nothing else is lost.
fn read_as_counted(value: &Value) {
    let text = value.to_string();
    body_as_it_came(&text);
    let Ok(found) = pieces(&text) else { return assert!(!is_plain(value), "refused: {text}") };
    for (name, list) in LISTS {
        let live = |piece: &&Piece<'_>| piece.list == list && piece.field.as_deref() == Some("messages");
        assert_eq!(found.iter().filter(live).count(), expected(value, name), "{name} of {text}");
    }
    let others = found.iter().filter(|piece| piece.field.as_deref() != Some("messages"));
    let others = others.filter(|piece| piece.list != List::Leftover).map(Piece::place);
    assert_eq!(others.collect::<BTreeSet<_>>().len(), changes(value), "changes of {text}");
    let mut kept = BTreeSet::new();
    for piece in &found {
        leaves("", &serde_json::from_str(&piece.body()).expect("JSON again"), &mut kept);
    }
    let mut came = BTreeSet::new();
    told(value, &mut came);
    let lost: Vec<_> = came.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?} of {text}");
}

/// Whether it is an envelope without anything beside.
fn is_plain(value: &Value) -> bool {
    let Value::Object(top) = value else { return false };
    top.get("object").and_then(Value::as_str) == Some(OBJECT)
        && top.keys().all(|name| name == "object" || name == "entry")
        && top.get("entry").is_none_or(|entry| entry.is_array() || entry.is_null())
}

fn array<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().filter(|item| !item.is_null())
}

fn expected(body: &Value, name: &str) -> usize {
    let changes = array(body, "entry").flat_map(|entry| array(entry, "changes")).filter(|c| c.is_object());
    let changes = changes.filter(|change| change["field"] == "messages");
    changes.map(|change| array(&change["value"], name).count()).sum()
}

/// Changes of other fields, each of which leaves at least one piece.
fn changes(body: &Value) -> usize {
    let changes = array(body, "entry").flat_map(|entry| array(entry, "changes")).filter(|c| c.is_object());
    changes.filter(|change| change["field"] != "messages").count()
}

/// What a body tells: all but the routine of envelopes.
fn told(body: &Value, out: &mut BTreeSet<String>) {
    beside(body, &["object", "entry"], out);
    for entry in array(body, "entry") {
        let Some(changes) = entry.get("changes").filter(|_| entry.is_object()) else {
            beside(entry, &["id", "time"], out);
            continue;
        };
        beside(entry, &["id", "time", "changes"], out);
        match changes {
            Value::Array(changes) => changes.iter().for_each(|change| told_by_change(change, out)),
            other => leaves("changes", other, out),
        }
    }
}

fn told_by_change(change: &Value, out: &mut BTreeSet<String>) {
    if change.get("field") != Some(&"messages".into()) {
        return leaves("changes", change, out);
    }
    beside(change, &["field", "value"], out);
    match change.get("value") {
        Some(value @ Value::Object(_)) => beside(value, &ROUTINE, out),
        Some(other) => leaves("value", other, out),
        None => {}
    }
}

fn beside(value: &Value, known: &[&str], out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            members
                .iter()
                .filter(|(name, _)| !known.contains(&name.as_str()))
                .for_each(|(n, v)| leaves(n, v, out));
        }
        other => leaves("entry", other, out),
    }
}

/// Every scalar but null, with the name that it goes by.
fn leaves(name: &str, value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| leaves(name, value, out)),
        Value::Array(items) => items.iter().for_each(|item| leaves(name, item, out)),
        scalar => {
            out.insert(format!("{name}={scalar}"));
        }
    }
}
