//! Taking bodies apart and putting pieces together again, by slices of the raw text: what we do not
//! understand stays as it came.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::Timestamp;
use super::incoming::{lenient_time, text};

const OBJECT: &str = "whatsapp_business_account";
/// Members of a `messages` change that every piece of it needs.
const LISTS: [(&str, List); 4] = [
    ("messages", List::Messages),
    ("statuses", List::Statuses),
    ("errors", List::Errors),
    ("user_actions", List::UserActions),
];

/// The body is not what Meta sends for WhatsApp. It is kept all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAWebhook {
    /// Not JSON, or JSON of another shape.
    #[error("the body is not a webhook envelope")]
    Shape,
    /// A webhook of another product.
    #[error("the body is of another object than whatsapp_business_account")]
    Object,
}

impl NotAWebhook {
    /// The word in the quarantine.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shape => "not_a_webhook",
            Self::Object => "foreign_object",
        }
    }
}

/// Where in a body a piece was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `value.messages[]` of a `messages` change.
    Messages,
    /// `value.statuses[]` of a `messages` change.
    Statuses,
    /// `value.errors[]` of a `messages` change.
    Errors,
    /// `value.user_actions[]` of a `messages` change.
    UserActions,
    /// A whole change of another field, or without one.
    Change,
    /// A `messages` change or an entry of a shape that we do not know.
    Leftover,
}

/// One element of a webhook, with what is needed to understand it alone.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    /// Where it was.
    pub list: List,
    /// The entry's id: the WABA, or for some events the portfolio.
    pub entry_id: Option<String>,
    /// The entry's time; absent on `messages`.
    pub entry_time: Option<Timestamp>,
    /// The change's field.
    pub field: Option<String>,
    /// The item, change or entry as it came.
    pub raw: &'a str,
    /// `value.metadata`, for items of `messages`.
    pub metadata: Option<&'a str>,
    /// The contact that belongs to a message.
    contact: Option<&'a str>,
    /// The other members of the change's value, as `"name":value`.
    rest: Vec<(String, &'a str)>,
    /// Position of entry and change, to put neighbours together again.
    place: (usize, usize),
    entry_time_raw: Option<&'a str>,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

fn items(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// A member that is there and not null.
fn present<'a>(object: &Members<'a>, name: &str) -> Option<&'a str> {
    object.get(name).map(|raw| raw.get()).filter(|json| *json != "null")
}

/// Takes a body apart.
///
/// # Errors
/// [`NotAWebhook`] if there is nothing to take apart.
pub fn pieces(body: &str) -> Result<Vec<Piece<'_>>, NotAWebhook> {
    let top = members(body).ok_or(NotAWebhook::Shape)?;
    if present(&top, "object").and_then(text).as_deref() != Some(OBJECT) {
        return Err(NotAWebhook::Object);
    }
    let Some(entries) = present(&top, "entry") else { return Ok(Vec::new()) };
    let entries = items(entries).ok_or(NotAWebhook::Shape)?;
    let mut found = Vec::new();
    for (index, entry) in entries.iter().map(|raw| raw.get()).enumerate() {
        if entry != "null" {
            entry_pieces(entry, index, &mut found);
        }
    }
    Ok(found)
}

fn entry_pieces<'a>(raw: &'a str, index: usize, found: &mut Vec<Piece<'a>>) {
    let entry = members(raw).unwrap_or_default();
    let entry_time_raw = present(&entry, "time");
    let blank = Piece {
        list: List::Leftover,
        entry_id: present(&entry, "id").and_then(text),
        entry_time: entry_time_raw.and_then(lenient_time),
        field: None,
        raw,
        metadata: None,
        contact: None,
        rest: Vec::new(),
        place: (index, usize::MAX),
        entry_time_raw,
    };
    let changes = match present(&entry, "changes") {
        Some(json) => items(json),
        None if entry.is_empty() => None,
        None => Some(Vec::new()),
    };
    let Some(changes) = changes else { return found.push(blank) };
    for (number, change) in changes.iter().map(|raw| raw.get()).enumerate() {
        if change != "null" {
            change_pieces(Piece { raw: change, place: (index, number), ..blank.clone() }, found);
        }
    }
}

fn change_pieces<'a>(blank: Piece<'a>, found: &mut Vec<Piece<'a>>) {
    let change = members(blank.raw).unwrap_or_default();
    let field = present(&change, "field").and_then(text);
    let whole = Piece { field: field.clone(), ..blank };
    if field.as_deref() != Some("messages") {
        return found.push(Piece { list: List::Change, ..whole });
    }
    let Some(value) = present(&change, "value") else { return };
    let Some(value) = members(value) else { return found.push(whole) };
    let contacts = present(&value, "contacts").and_then(items).unwrap_or_default();
    let contacts: Vec<Contact<'_>> = contacts.iter().filter_map(|raw| Contact::parse(raw.get())).collect();
    let shell = Piece {
        metadata: present(&value, "metadata"),
        rest: value
            .iter()
            .filter(|(name, _)| *name != "contacts" && LISTS.iter().all(|(list, _)| list != name))
            .map(|(name, raw)| (name.clone(), raw.get()))
            .collect(),
        ..whole.clone()
    };
    let before = found.len();
    let mut odd = shell
        .rest
        .iter()
        .any(|(name, _)| !matches!(name.as_str(), "messaging_product" | "metadata" | "conversation_context"));
    let mut broken = false;
    for (name, list) in LISTS {
        let Some(json) = present(&value, name) else { continue };
        let Some(list_items) = items(json) else {
            broken = true;
            continue;
        };
        for raw in list_items.iter().map(|raw| raw.get()).filter(|json| *json != "null") {
            let contact = (list == List::Messages).then(|| contact_of(raw, &contacts)).flatten();
            found.push(Piece { list, raw, contact, ..shell.clone() });
        }
    }
    odd &= found.len() == before;
    if odd || broken {
        found.push(whole);
    }
}

/// A sender, joined to messages by id and never by position.
struct Contact<'a> {
    raw: &'a str,
    names: [Option<String>; 2],
}

impl<'a> Contact<'a> {
    fn parse(raw: &'a str) -> Option<Self> {
        let contact = members(raw)?;
        let name = |member| present(&contact, member).and_then(text);
        Some(Self { raw, names: [name("wa_id"), name("user_id")] })
    }
}

fn contact_of<'a>(message: &str, contacts: &[Contact<'a>]) -> Option<&'a str> {
    let message = members(message)?;
    let senders = ["from", "from_user_id"].map(|member| present(&message, member).and_then(text));
    let same = |contact: &&Contact<'_>| {
        contact.names.iter().flatten().any(|name| senders.iter().flatten().any(|s| s == name))
    };
    contacts.iter().find(same).map(|contact| contact.raw)
}

/// Puts pieces together to bodies of at most `limit` bytes each, in order. A piece that is larger
/// alone becomes a body of its own, whatever its size.
#[must_use]
pub fn regroup(pieces: &[Piece<'_>], limit: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut group: Vec<&Piece<'_>> = Vec::new();
    let mut size = 0;
    for piece in pieces {
        let starts_change = group.last().is_none_or(|last| !last.shares_change_with(piece));
        let len = piece.len() + if starts_change { piece.envelope_len() } else { 0 };
        if !group.is_empty() && size + len > limit {
            bodies.push(body_of(&group));
            group.clear();
            size = 0;
        }
        size += if group.is_empty() { BODY_FRAME + piece.envelope_len() + piece.len() } else { len };
        group.push(piece);
    }
    if !group.is_empty() {
        bodies.push(body_of(&group));
    }
    bodies
}

/// `{"object":"whatsapp_business_account","entry":[]}` and some room.
const BODY_FRAME: usize = 64;

impl Piece<'_> {
    /// The piece alone, as a webhook body: what is stored with it, and what can be replayed.
    #[must_use]
    pub fn body(&self) -> String {
        body_of(&[self])
    }

    /// Whether two items came in one change, so that they can share an envelope.
    fn shares_change_with(&self, other: &Self) -> bool {
        self.place == other.place && self.is_item() && other.is_item()
    }

    fn is_item(&self) -> bool {
        !matches!(self.list, List::Change | List::Leftover)
    }

    fn len(&self) -> usize {
        self.raw.len() + self.contact.map_or(0, str::len) + 2
    }

    fn envelope_len(&self) -> usize {
        let rest: usize = self.rest.iter().map(|(name, raw)| name.len() + raw.len() + 8).sum();
        rest + self.entry_id.as_ref().map_or(0, String::len) + 160
    }
}

fn body_of(group: &[&Piece<'_>]) -> String {
    let mut body = format!("{{\"object\":\"{OBJECT}\",\"entry\":[");
    for (index, run) in group.chunk_by(|a, b| a.shares_change_with(b)).enumerate() {
        if index > 0 {
            body.push(',');
        }
        push_entry(&mut body, run);
    }
    body.push_str("]}");
    body
}

fn push_entry(body: &mut String, run: &[&Piece<'_>]) {
    let first = run[0];
    if first.list == List::Leftover && first.place.1 == usize::MAX {
        return body.push_str(first.raw);
    }
    body.push('{');
    if let Some(id) = &first.entry_id {
        push_member(body, "id", &json_text(id));
        body.push(',');
    }
    if let Some(time) = first.entry_time_raw {
        push_member(body, "time", time);
        body.push(',');
    }
    body.push_str("\"changes\":[");
    if first.is_item() {
        push_messages_change(body, run);
    } else {
        body.push_str(first.raw);
    }
    body.push_str("]}");
}

fn push_messages_change(body: &mut String, run: &[&Piece<'_>]) {
    body.push_str("{\"field\":\"messages\",\"value\":{");
    let mut separator = "";
    for (name, raw) in &run[0].rest {
        body.push_str(separator);
        push_member(body, name, raw);
        separator = ",";
    }
    let mut contacts: Vec<&str> = run.iter().filter_map(|piece| piece.contact).collect();
    contacts.sort_unstable();
    contacts.dedup();
    let lists = LISTS.map(|(name, list)| {
        (name, run.iter().filter(|piece| piece.list == list).map(|piece| piece.raw).collect::<Vec<_>>())
    });
    for (name, raws) in std::iter::once(("contacts", contacts)).chain(lists) {
        if raws.is_empty() {
            continue;
        }
        body.push_str(separator);
        push_member(body, name, "[");
        body.push_str(&raws.join(","));
        body.push(']');
        separator = ",";
    }
    body.push_str("}}");
}

fn push_member(body: &mut String, name: &str, raw: &str) {
    body.push_str(&json_text(name));
    body.push(':');
    body.push_str(raw);
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
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
                (again[0].list, again[0].raw, again[0].contact),
                (piece.list, piece.raw, piece.contact)
            );
            assert_eq!((&again[0].entry_id, again[0].entry_time), (&piece.entry_id, piece.entry_time));
        }
        assert!(all[0].contact.unwrap().contains("US.a") && all[1].contact.unwrap().contains("155"));
        let together = regroup(&all, usize::MAX);
        assert_eq!(together.len(), 1);
        assert_eq!(pieces(&together[0]).unwrap().len(), 4);
        assert!(together[0].contains("\"new\":\"kept\"") && together[0].contains("1.5"));
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
}
