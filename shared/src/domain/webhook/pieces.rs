//! Taking bodies apart and putting pieces together again, by slices of the raw text: what we do not
//! understand stays as it came.

use std::sync::Arc;

use super::super::Timestamp;
use super::members::{Distinct, Members, distinct, items, present, text, time};

const OBJECT: &str = "whatsapp_business_account";
/// Most bytes that may be repeated to let every piece of a change stand alone. Meta's envelopes have some
/// hundred bytes; where one is large, its members stay together in a leftover.
const MOST_REPEATED: usize = 4 * 1024 * 1024;
/// Meta's have 90 bytes.
const LONGEST_METADATA: usize = 1024;
/// Longest id or field that is used as a name; longer ones would not fit into a key.
const LONGEST_NAME: usize = 100;

/// Where in an object the items are that are pieces.
struct Shape {
    /// Lists in the object itself.
    lists: &'static [List],
    /// An object or a list of objects in it that hold more.
    nested: Option<(&'static str, &'static Self)>,
}

const MESSAGES: Shape =
    Shape { lists: &[List::Messages, List::Statuses, List::Errors, List::UserActions], nested: None };
const ECHOES: Shape = Shape { lists: &[List::Echoes], nested: None };
const THREAD: Shape = Shape { lists: &[List::Messages], nested: None };
const CHUNK: Shape = Shape { lists: &[], nested: Some(("threads", &THREAD)) };
/// Media of an older message come apart from their thread.
const HISTORY: Shape = Shape { lists: &[List::Messages], nested: Some(("history", &CHUNK)) };
const OVERHEARD: Shape = Shape { lists: &[List::Messages, List::Echoes, List::Statuses], nested: None };
const STANDBY: Shape = Shape { lists: &[], nested: Some(("standby", &OVERHEARD)) };

/// Fields whose values hold items that each stand alone (Meta, webhooks reference, 2026-05 to 2026-08; the
/// payload of `message_echoes` is unpublished, and read like that of `smb_message_echoes`).
fn shape(field: &str) -> Option<&'static Shape> {
    match field {
        MESSAGES_FIELD => Some(&MESSAGES),
        "smb_message_echoes" | "message_echoes" => Some(&ECHOES),
        "history" => Some(&HISTORY),
        "standby" => Some(&STANDBY),
        _ => None,
    }
}

/// The field of live messages and statuses.
const MESSAGES_FIELD: &str = "messages";

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
    /// `messages[]`: live in a `messages` change, else out of a history or overheard.
    Messages,
    /// `message_echoes[]`: what somebody else wrote to a customer from the client's number.
    Echoes,
    /// `statuses[]` of a `messages` or `standby` change.
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

impl List {
    /// What the list is called.
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Echoes => "message_echoes",
            Self::Statuses => "statuses",
            Self::Errors => "errors",
            Self::UserActions => "user_actions",
            Self::Change | Self::Leftover => "",
        }
    }
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
    /// `value.metadata`, for items.
    pub metadata: Option<&'a str>,
    /// The contacts that belong to an item; those of nobody go with the first.
    contacts: Vec<&'a str>,
    /// Everything else that stood around it.
    around: Arc<Around<'a>>,
    /// Position of entry and change, to put neighbours together again.
    place: (usize, usize),
}

/// Members of the envelope that are not pieces, by level: known and unknown ones.
#[derive(Debug, Clone, Default)]
struct Around<'a> {
    /// Beside `object` and `entry`.
    top: Distinct<'a>,
    /// Beside `changes`.
    entry: Distinct<'a>,
    /// Beside `field` and `value`, of a change that holds items.
    change: Distinct<'a>,
    /// The `value` of such a change and the objects in it that lead to the items, the outermost first.
    levels: Vec<Level<'a>>,
}

/// An object that holds items, or leads to them.
#[derive(Debug, Clone)]
struct Level<'a> {
    name: &'static str,
    /// Whether it is one of a list.
    listed: bool,
    /// What is in it beside the items.
    members: Distinct<'a>,
}

impl Around<'_> {
    fn len(&self) -> usize {
        let levels = self.levels.iter().map(|level| &level.members);
        let all = [&self.top, &self.entry, &self.change].into_iter().chain(levels);
        let members: usize =
            all.flat_map(|level| level.iter()).map(|(name, raw)| name.len() + raw.get().len() + 8).sum();
        members + self.levels.iter().map(|level| level.name.len() + 8).sum::<usize>()
    }

    /// All members away but the one that says whose number it is.
    fn bare(&mut self) {
        let levels = std::mem::take(&mut self.levels);
        *self = Self { levels, ..Self::default() };
        for (depth, level) in self.levels.iter_mut().enumerate() {
            level
                .members
                .retain(|name, raw| depth == 0 && name == "metadata" && raw.get().len() <= LONGEST_METADATA);
        }
    }
}

/// Takes a member out.
fn take<'a>(object: &mut Distinct<'a>, name: &str) -> Option<&'a str> {
    object.remove(name).map(|raw| raw.get()).filter(|json| *json != "null")
}

/// Whether an object has members that are not in `known`.
fn has_more_than(object: &Distinct<'_>, known: &[&str]) -> bool {
    object.iter().any(|(name, raw)| raw.get() != "null" && !known.contains(&name.as_str()))
}

/// A text that fits into a key.
fn name(json: &str) -> Option<String> {
    text(json).filter(|text| text.len() <= LONGEST_NAME && !text.contains(char::is_control))
}

/// Takes a body apart.
///
/// # Errors
/// [`NotAWebhook`] if there is nothing to take apart.
pub fn pieces(body: &str) -> Result<Vec<Piece<'_>>, NotAWebhook> {
    let mut top = distinct(body).ok_or(NotAWebhook::Shape)?;
    if take(&mut top, "object").and_then(text).as_deref() != Some(OBJECT) {
        return Err(NotAWebhook::Object);
    }
    let entries = match take(&mut top, "entry") {
        Some(entries) => items(entries).ok_or(NotAWebhook::Shape)?,
        None => Vec::new(),
    };
    let around = Around { top, ..Around::default() };
    if around.len().saturating_mul(entries.len()) > MOST_REPEATED {
        return Err(NotAWebhook::Shape);
    }
    let mut found = Vec::new();
    for (index, entry) in entries.iter().map(|raw| raw.get()).enumerate() {
        if entry != "null" {
            entry_pieces(entry, index, &around, &mut found);
        }
    }
    match found.is_empty() && has_more_than(&around.top, &[]) {
        true => Err(NotAWebhook::Shape),
        false => Ok(found),
    }
}

fn entry_pieces<'a>(raw: &'a str, index: usize, above: &Around<'a>, found: &mut Vec<Piece<'a>>) {
    let mut leftover = Piece {
        list: List::Leftover,
        entry_id: None,
        entry_time: None,
        field: None,
        raw,
        metadata: None,
        contacts: Vec::new(),
        around: Arc::new(above.clone()),
        place: (index, usize::MAX),
    };
    let Some(mut entry) = distinct(raw) else { return found.push(leftover) };
    leftover.entry_id = present(&entry, "id").and_then(name);
    leftover.entry_time = present(&entry, "time").and_then(time);
    let Some(changes) = take(&mut entry, "changes").map_or(Some(Vec::new()), items) else {
        return found.push(leftover);
    };
    let around = Around { entry, ..above.clone() };
    if around.len().saturating_mul(changes.len()) > MOST_REPEATED {
        return found.push(leftover);
    }
    let before = found.len();
    for (number, change) in changes.iter().map(|raw| raw.get()).enumerate() {
        if change != "null" {
            let blank = Piece { raw: change, place: (index, number), ..leftover.clone() };
            change_pieces(blank, &around, found);
        }
    }
    if found.len() == before && has_more_than(&around.entry, &["id", "time"]) {
        found.push(leftover);
    }
}

fn change_pieces<'a>(blank: Piece<'a>, above: &Around<'a>, found: &mut Vec<Piece<'a>>) {
    let blank = Piece { around: Arc::new(above.clone()), ..blank };
    let Some(mut change) = distinct(blank.raw) else { return found.push(blank) };
    let field = take(&mut change, "field").and_then(text);
    let shape = field.as_deref().and_then(shape);
    let is_messages = field.as_deref() == Some(MESSAGES_FIELD);
    let list = if is_messages { List::Leftover } else { List::Change };
    let whole = Piece { list, field: field.filter(|field| field.len() <= LONGEST_NAME), ..blank };
    let Some(shape) = shape else { return found.push(whole) };
    let Some(value) = take(&mut change, "value") else {
        if !is_messages || has_more_than(&change, &[]) {
            found.push(whole);
        }
        return;
    };
    let Some(members) = distinct(value) else { return found.push(whole) };
    let before = found.len();
    let levels = vec![Level { name: "value", listed: false, members }];
    let is_whole = held(&whole, shape, Around { change, levels, ..above.clone() }, found);
    // An event of another field leaves a trace, even if it says nothing.
    if !is_whole || (!is_messages && found.len() == before) {
        found.push(whole);
    }
}

/// The items in an object. Whether they take along all that is in it: if not, the change is kept as well.
fn held<'a>(whole: &Piece<'a>, shape: &Shape, mut around: Around<'a>, found: &mut Vec<Piece<'a>>) -> bool {
    let is_value = around.levels.len() == 1;
    let Some(here) = around.levels.last_mut() else { return false };
    let mut is_whole = true;
    let mut list_of = |name: &str| match take(&mut here.members, name).map(items) {
        Some(Some(list)) => list.iter().map(|raw| raw.get()).filter(|json| *json != "null").collect(),
        Some(None) => {
            is_whole = false;
            Vec::new()
        }
        None => Vec::new(),
    };
    let contacts: Vec<&str> = list_of("contacts");
    let lists: Vec<(List, Vec<&str>)> =
        shape.lists.iter().map(|list| (*list, list_of(list.name()))).collect();
    let nested = shape.nested.and_then(|(name, shape)| Some((name, shape, take(&mut here.members, name)?)));
    let count: usize = lists.iter().map(|(_, items)| items.len()).sum();
    if around.len().saturating_mul(count) > MOST_REPEATED {
        around.bare();
        is_whole = false;
    }
    let before = found.len();
    push_items(whole, &around, &contacts, lists, found);
    if let Some((name, shape, raw)) = nested {
        is_whole &= nested_items(whole, (name, shape), raw, &around, found);
    }
    let known: &[&str] =
        if is_value { &["messaging_product", "metadata", "conversation_context"] } else { &[] };
    let here = around.levels.last().map_or_else(Distinct::new, |level| level.members.clone());
    let says_more = has_more_than(&around.change, &[]) || has_more_than(&here, known);
    is_whole && (count > 0 || contacts.is_empty()) && (found.len() > before || !says_more)
}

fn push_items<'a>(
    whole: &Piece<'a>,
    around: &Around<'a>,
    contacts: &[&'a str],
    lists: Vec<(List, Vec<&'a str>)>,
    found: &mut Vec<Piece<'a>>,
) {
    let metadata = around.levels.first().and_then(|value| present(&value.members, "metadata"));
    let shell = Piece { metadata, around: Arc::new(around.clone()), ..whole.clone() };
    let mut contacts = Contacts::of(contacts);
    let before = found.len();
    for (list, items) in lists {
        for raw in items {
            found.push(Piece { list, raw, contacts: contacts.of_item(raw), ..shell.clone() });
        }
    }
    if let Some(first) = found.get_mut(before) {
        first.contacts.extend(contacts.of_nobody());
        first.contacts.sort_by_key(|contact| contact.as_ptr());
    }
}

/// The items in one object, or in each of a list of them.
fn nested_items<'a>(
    whole: &Piece<'a>,
    (name, shape): (&'static str, &Shape),
    raw: &'a str,
    above: &Around<'a>,
    found: &mut Vec<Piece<'a>>,
) -> bool {
    let listed = raw.starts_with('[');
    let objects: Option<Vec<&str>> = if listed {
        items(raw).map(|list| list.iter().map(|raw| raw.get()).collect())
    } else {
        Some(vec![raw])
    };
    let Some(objects) = objects else { return false };
    if above.len().saturating_mul(objects.len()) > MOST_REPEATED {
        return false;
    }
    let mut is_whole = true;
    for object in objects.into_iter().filter(|json| *json != "null") {
        let Some(members) = distinct(object) else {
            is_whole = false;
            continue;
        };
        let mut around = above.clone();
        around.levels.push(Level { name, listed, members });
        is_whole &= held(whole, shape, around, found);
    }
    is_whole
}

/// Members that name the person whom an item is about.
const PEOPLE: [&str; 6] = ["from", "from_user_id", "recipient_id", "recipient_user_id", "to", "to_user_id"];

/// The people of a change, joined to items by id and never by position.
struct Contacts<'a>(Vec<Contact<'a>>);

struct Contact<'a> {
    raw: &'a str,
    names: Vec<String>,
    is_somebodys: bool,
}

impl<'a> Contacts<'a> {
    fn of(contacts: &[&'a str]) -> Self {
        let contact = |raw: &&'a str| {
            let names = Members::of(raw).texts(&["wa_id", "user_id"]);
            Contact { raw, names, is_somebodys: false }
        };
        Self(contacts.iter().map(contact).collect())
    }

    /// The sender of a message, or whom a status is about.
    fn of_item(&mut self, item: &str) -> Vec<&'a str> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let people = Members::of(item).texts(&PEOPLE);
        let same = |contact: &&mut Contact<'_>| contact.names.iter().any(|name| people.contains(name));
        let contact = self.0.iter_mut().find(same);
        contact
            .map(|contact| {
                contact.is_somebodys = true;
                contact.raw
            })
            .into_iter()
            .collect()
    }

    fn of_nobody(self) -> impl Iterator<Item = &'a str> {
        self.0.into_iter().filter(|contact| !contact.is_somebodys).map(|contact| contact.raw)
    }
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

    /// Position of its entry and its change in the body.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Whether two items came in one object, so that they can share an envelope.
    fn shares_change_with(&self, other: &Self) -> bool {
        self.is_item() && other.is_item() && Arc::ptr_eq(&self.around, &other.around)
    }

    /// The contacts that came with it.
    pub(super) fn contacts(&self) -> &[&str] {
        &self.contacts
    }

    /// A member of the object that held it.
    pub(super) fn beside(&self, name: &str) -> Option<&str> {
        self.around.levels.last().and_then(|level| present(&level.members, name))
    }

    fn is_item(&self) -> bool {
        !matches!(self.list, List::Change | List::Leftover)
    }

    fn len(&self) -> usize {
        self.raw.len() + self.contacts.iter().map(|contact| contact.len() + 1).sum::<usize>() + 2
    }

    fn envelope_len(&self) -> usize {
        self.around.len() + 160
    }
}

fn body_of(group: &[&Piece<'_>]) -> String {
    let mut body = format!("{{\"object\":\"{OBJECT}\"");
    push_members(&mut body, ",", &group[0].around.top);
    body.push_str(",\"entry\":[");
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
    if first.place.1 == usize::MAX {
        return body.push_str(first.raw);
    }
    body.push('{');
    let separator = push_members(body, "", &first.around.entry);
    body.push_str(separator);
    body.push_str("\"changes\":[");
    if first.is_item() {
        push_change_of(body, run);
    } else {
        body.push_str(first.raw);
    }
    body.push_str("]}");
}

fn push_change_of(body: &mut String, run: &[&Piece<'_>]) {
    let first = run[0];
    body.push('{');
    push_member(body, "field", &json_text(first.field.as_deref().unwrap_or_default()));
    push_members(body, ",", &first.around.change);
    let mut separator = ",";
    let mut ends = String::from("}");
    for level in &first.around.levels {
        body.push_str(separator);
        push_member(body, level.name, if level.listed { "[{" } else { "{" });
        separator = push_members(body, "", &level.members);
        ends.insert_str(0, if level.listed { "}]" } else { "}" });
    }
    let mut contacts: Vec<&str> = run.iter().flat_map(|piece| &piece.contacts).copied().collect();
    // Each once, in the order in which they came: they are slices of one text.
    contacts.sort_by_key(|contact| contact.as_ptr());
    contacts.dedup_by_key(|contact| contact.as_ptr());
    let of = |list| run.iter().filter(|piece| piece.list == list).map(|piece| piece.raw).collect::<Vec<_>>();
    let lists = [List::Messages, List::Echoes, List::Statuses, List::Errors, List::UserActions];
    let lists = lists.map(|list| (list.name(), of(list)));
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
    body.push_str(&ends);
}

/// Writes members, `separator` before the first; answers what belongs before the next.
fn push_members(body: &mut String, separator: &'static str, members: &Distinct<'_>) -> &'static str {
    let mut separator = separator;
    for (name, raw) in members {
        body.push_str(separator);
        push_member(body, name, raw.get());
        separator = ",";
    }
    separator
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
mod tests;
