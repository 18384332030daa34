//! Every webhook body of the corpus, element by element: what each of them becomes in our records, against
//! `corpus.json`, which was read line by line against Meta's reference before it was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::domain::answer::Answer;
use crate::domain::content::{choice_of, form_of, line_of, media_of, referral_of, refers_to};
use crate::domain::ids::PhoneNumberId;
use crate::domain::message::Message;
use crate::domain::status::Statuses;
use crate::flows::testing::{Process, bot, parcel};
use crate::flows::{content_of, stored_bytes};
use crate::testing::{Tables, World};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/tests/payloads")
}

fn expectation() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flows/tests/corpus.json")
}

/// Names and bodies of all files.
fn corpus() -> BTreeMap<String, String> {
    let read = |name: String| {
        let body = std::fs::read_to_string(folder().join(&name)).unwrap();
        (name, body)
    };
    let names =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "index.json").map(read).collect()
}

/// Every number that a body names.
fn numbers(value: &Value, found: &mut BTreeSet<PhoneNumberId>) {
    match value {
        Value::Object(members) => {
            if let Some(id) = members.get("phone_number_id").and_then(Value::as_str) {
                found.insert(id.parse().unwrap());
            }
            members.values().for_each(|value| numbers(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

/// A world in which all numbers of a body are a bot's, after the body came.
async fn received(body: &str) -> World {
    let world = World::new();
    let (client, _) = world.active_client(&bot(), 1).await;
    let mut found = BTreeSet::new();
    numbers(&serde_json::from_str(body).unwrap(), &mut found);
    world.store.with(|tables| {
        for phone_number_id in found {
            let client =
                crate::domain::client::Client { phone_number_id: phone_number_id.clone(), ..client.clone() };
            tables.clients.insert(phone_number_id, client);
        }
    });
    Process::default().ingest(&world).parcel(&parcel(&world, body)).await.unwrap();
    world
}

/// An object of these members, without those that are null.
fn object(members: Value) -> Value {
    let Value::Object(members) = members else { unreachable!("an object is given") };
    Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn message(message: &Message) -> Value {
    let content = content_of(message);
    let answer = match &message.answer {
        Some(Answer::Pending { .. }) => Some("pending"),
        Some(Answer::None(reason, _)) => Some(reason.as_str()),
        Some(Answer::Answered(_)) => Some("answered"),
        None => None,
    };
    object(json!({
        "message": message.id,
        "type": message.kind,
        "direction": if message.origin.is_inbound() { "inbound" } else { "outbound" },
        "origin": message.origin.as_str(),
        "customer": message.customer,
        "group": message.conversation_id.as_ref().split_once(".group:").map(|(_, group)| group),
        "at": message.at,
        "line": line_of(&content),
        "answer": answer,
        "replyTo": message.reply_to,
        "refersTo": refers_to(&content),
        "choice": choice_of(&content),
        "form": form_of(&content).map(|form| form.keys().cloned().collect::<Vec<_>>()),
        "file": media_of(&content).map(|media| (media.id, media.mime_type, media.sha256.is_some(), media.url.is_some())),
        "referral": referral_of(&content).map(|referral| (referral.source_type, referral.source_id, referral.ctwa_clid.is_some())),
    }))
}

fn statuses<'a>(wamid: &'a str, statuses: &'a Statuses) -> impl Iterator<Item = Value> + 'a {
    statuses.iter().map(move |(key, fact)| {
        let body: Value = serde_json::from_str(statuses.body(&fact.hash).unwrap()).unwrap();
        let value = &body["entry"][0]["changes"][0]["value"];
        let status =
            [&value["statuses"][0], &value["standby"]["statuses"][0]].into_iter().find(|s| s.is_object());
        let status = status.unwrap();
        object(json!({
            "status": wamid,
            "state": key.state,
            "participant": key.participant,
            "at": fact.at,
            "category": status["pricing"]["category"],
            "pricing": status["pricing"]["type"],
            "error": status["errors"][0]["code"],
        }))
    })
}

/// What became of a body, element by element, and of the people in it.
fn elements(tables: &Tables) -> Vec<Value> {
    let mut all: Vec<Value> = tables.messages.values().map(message).collect();
    for (wamid, record) in &tables.wamids {
        all.extend(statuses(wamid.as_ref(), &record.waiting));
    }
    all.extend(tables.events.values().map(|event| json!({"event": event.kind, "owner": event.owner})));
    all.extend(tables.quarantine.values().map(|item| json!({"quarantine": item.reason})));
    for conversation in tables.conversations.values() {
        let names = tables.aliases.iter().filter(|((phone, _), key)| {
            crate::domain::ids::ConversationId::new(phone, key) == conversation.id
        });
        all.push(object(json!({
            "conversation": names.map(|((_, name), _)| name.as_str()).collect::<Vec<_>>(),
            "lastMessageAt": conversation.last_message_at,
            "windowEndsAt": conversation.window_ends_at,
            "pausedUntil": conversation.paused_until,
            "refusesMarketing": conversation.marks.refuses_marketing().then_some(true),
        })));
    }
    all
}

async fn found() -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::new();
    for (name, body) in corpus() {
        let world = received(&body).await;
        found.insert(name, world.store.with(|tables| elements(tables)));
    }
    found
}

#[tokio::test]
async fn every_element_of_the_corpus_becomes_what_it_is() {
    let expected: BTreeMap<String, Vec<Value>> =
        serde_json::from_slice(&std::fs::read(expectation()).unwrap()).unwrap();
    let found = found().await;
    assert!(found.len() > 120, "the corpus is found");
    assert!(expected.keys().eq(found.keys()), "files come and go with their expectation");
    for (name, elements) in &found {
        assert_eq!(elements, &expected[name], "{name}");
    }
}

#[tokio::test]
async fn every_member_of_the_corpus_is_found_again_as_it_came() {
    for (name, body) in corpus() {
        let world = received(&body).await;
        let (raws, mut kept) = world.store.with(|tables| {
            let messages = tables.messages.values().map(|message| message.raw.clone());
            let events = tables.events.values().map(|event| event.raw.clone());
            let quarantine = tables.quarantine.values().map(|item| item.raw.clone());
            let statuses = tables.wamids.values().flat_map(|record| record.waiting.bodies());
            let statuses: Vec<String> = statuses.map(|(_, body)| body.to_owned()).collect();
            (messages.chain(events).chain(quarantine).collect::<Vec<_>>(), statuses)
        });
        for raw in &raws {
            kept.push(String::from_utf8(stored_bytes(&world.store, raw).await.unwrap()).unwrap());
        }
        let mut there = BTreeSet::new();
        kept.iter().for_each(|kept| leaves("", &serde_json::from_str(kept).unwrap(), &mut there));
        let mut came = BTreeSet::new();
        leaves("", &serde_json::from_str(&body).unwrap(), &mut came);
        let lost: Vec<_> = came.difference(&there).collect();
        assert!(lost.is_empty(), "{name} lost {lost:?}");
    }
}

/// Every value that is not empty, with the path that leads to it, whatever its place in lists.
fn leaves(path: &str, value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(&format!("{path}/{name}"), value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(path, item, out)),
        scalar => {
            out.insert(format!("{path}={scalar}"));
        }
    }
}

#[tokio::test]
#[ignore = "writes the expectation anew; read the difference before it is committed"]
async fn write_the_expectation() {
    let mut text = String::from("{\n");
    let found = found().await;
    for (index, (name, elements)) in found.iter().enumerate() {
        let lines: Vec<String> = elements.iter().map(|element| format!("    {element}")).collect();
        let end = if index + 1 < found.len() { "," } else { "" };
        text.push_str(&format!("  {}: [\n{}\n  ]{end}\n", json!(name), lines.join(",\n")));
    }
    text.push_str("}\n");
    std::fs::write(expectation(), text.replace("[\n\n  ]", "[]")).unwrap();
}
