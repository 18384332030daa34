//! Outgoing messages, checked before Meta is called.
//!
//! Limits: Meta, message types and `messages` reference (2026-05-21 to 2026-08-25). "Characters" are
//! counted as UTF-16 units, the safe reading.

use serde_json::{Map, Value, json};

use super::bot::LONGEST_TEXT;
use super::conversation::{CustomerKey, CustomerNames};
use super::ids::{Bsuid, MessageId, WaId};

const LONGEST_CAPTION: usize = 1024;
/// Meta's limit of `biz_opaque_callback_data`.
const LONGEST_CALLBACK: usize = 512;
/// Types that send-message takes.
const KINDS: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "template",
    "interactive",
];

/// A message that Meta would refuse, and the member that makes it so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct InvalidDraft {
    /// Path of the member, as `text.body`.
    pub member: String,
    /// What is wrong with it.
    pub problem: String,
}

fn invalid<T>(member: impl Into<String>, problem: impl Into<String>) -> Result<T, InvalidDraft> {
    Err(InvalidDraft { member: member.into(), problem: problem.into() })
}

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A person by phone, BSUID or both.
    Person(CustomerNames),
    /// A group, by Meta's id.
    Group(String),
}

/// A message ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Whom it goes to.
    pub recipient: Recipient,
    /// Meta's `type`.
    pub kind: String,
    /// `type`, the object of that name, and what else the caller gave for Meta (`context`, …).
    message: Map<String, Value>,
    /// The caller's own callback data.
    callback: Option<String>,
}

impl Draft {
    /// Reads the members of a send-message body that are Meta's: recipient, type and content.
    ///
    /// # Errors
    /// [`InvalidDraft`] names the first member that Meta would refuse.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, InvalidDraft> {
        let kind = match body.get("type") {
            Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => kind.clone(),
            Some(_) => return invalid("type", format!("must be one of {}", KINDS.join(", "))),
            None => return invalid("type", "is missing"),
        };
        let content = body.get(&kind).ok_or_else(|| InvalidDraft {
            member: kind.clone(),
            problem: format!("is missing: a message of type {kind} needs an object of that name"),
        })?;
        check_content(&kind, content)?;
        let ours = [
            "botId",
            "phoneNumberId",
            "to",
            "recipient",
            "recipient_type",
            "messaging_product",
            "biz_opaque_callback_data",
        ];
        let message = body.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
        Ok(Self {
            recipient: recipient(body)?,
            kind,
            message: message.map(|(name, value)| (name.clone(), value.clone())).collect(),
            callback: callback(body)?,
        })
    }

    /// A plain text, cut to what WhatsApp takes, quoting the message that it answers.
    #[must_use]
    pub fn text(recipient: Recipient, text: &str) -> Self {
        let content = json!({"type": "text", "text": {"body": cut(text, LONGEST_TEXT)}});
        let Value::Object(message) = content else { unreachable!("written as an object") };
        Self { recipient, kind: "text".to_owned(), message, callback: None }
    }

    /// Outside the customer service window only templates are allowed.
    #[must_use]
    pub fn needs_open_window(&self) -> bool {
        self.kind != "template"
    }

    /// The message as it is recorded: Meta's form without recipient and callback data.
    #[must_use]
    pub fn recorded(&self) -> Value {
        let mut message = self.message.clone();
        if let Some(callback) = &self.callback {
            message.insert("biz_opaque_callback_data".to_owned(), Value::from(callback.as_str()));
        }
        Value::Object(message)
    }

    /// The body of the call, with our id where statuses bring it back.
    #[must_use]
    pub fn call(&self, intent: &MessageId) -> Value {
        call_of(&self.recorded(), &self.recipient, intent)
    }
}

/// The body of the call for a recorded message.
#[must_use]
pub fn call_of(recorded: &Value, recipient: &Recipient, intent: &MessageId) -> Value {
    let mut call = recorded.as_object().cloned().unwrap_or_default();
    let caller = call.remove("biz_opaque_callback_data");
    let data = CallbackData {
        intent: Some(intent.clone()),
        caller: caller.as_ref().and_then(Value::as_str).map(str::to_owned),
    };
    call.insert("biz_opaque_callback_data".to_owned(), Value::from(data.to_string()));
    call.insert("messaging_product".to_owned(), "whatsapp".into());
    match recipient {
        Recipient::Person(names) => {
            call.insert("recipient_type".to_owned(), "individual".into());
            // `to` wins where both are given, so only one is.
            match (&names.wa_id, &names.bsuid) {
                (Some(phone), _) => call.insert("to".to_owned(), phone.as_ref().into()),
                (None, Some(bsuid)) => call.insert("recipient".to_owned(), bsuid.as_ref().into()),
                (None, None) => None,
            };
        }
        Recipient::Group(group) => {
            call.insert("recipient_type".to_owned(), "group".into());
            call.insert("to".to_owned(), group.as_str().into());
        }
    }
    Value::Object(call)
}

/// What travels in `biz_opaque_callback_data`: our id, and behind a bar what the caller gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackData {
    /// Our id, if the message was ours.
    pub intent: Option<MessageId>,
    /// The caller's own.
    pub caller: Option<String>,
}

impl CallbackData {
    /// Reads what a status brought back. Data of other software has no id of ours.
    #[must_use]
    pub fn parse(data: &str) -> Self {
        let (head, tail) = data.split_once('|').map_or((data, None), |(head, tail)| (head, Some(tail)));
        match head.parse::<MessageId>().ok().filter(MessageId::is_intent) {
            Some(intent) => Self { intent: Some(intent), caller: tail.map(str::to_owned) },
            None => Self { intent: None, caller: Some(data.to_owned()) },
        }
    }
}

impl std::fmt::Display for CallbackData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let intent = self.intent.as_ref().map_or("", AsRef::as_ref);
        match &self.caller {
            Some(caller) => write!(f, "{intent}|{caller}"),
            None => f.write_str(intent),
        }
    }
}

fn recipient(body: &Map<String, Value>) -> Result<Recipient, InvalidDraft> {
    let text = |member: &str| match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => invalid(member, "must be text"),
    };
    if text("recipient_type")? == Some("group") {
        let group = text("to")?.filter(|id| CustomerKey::group(id).is_ok());
        return group
            .map(|id| Recipient::Group(id.to_owned()))
            .map_or_else(|| invalid("to", "must be the group's id"), Ok);
    }
    let wa_id = text("to")?.map(phone).transpose()?;
    let bsuid = text("recipient")?
        .map(|id| {
            id.parse::<Bsuid>()
                .or_else(|_| invalid("recipient", "must be a business-scoped user id, as US.…"))
        })
        .transpose()?;
    if wa_id.is_none() && bsuid.is_none() {
        return invalid(
            "to",
            "is missing: give to (a phone number) or recipient (a business-scoped user id)",
        );
    }
    Ok(Recipient::Person(CustomerNames { wa_id, bsuid, ..CustomerNames::default() }))
}

/// A phone number with country code; plus, blanks, hyphens, dots and brackets are taken out, as Meta does.
fn phone(text: &str) -> Result<WaId, InvalidDraft> {
    let digits: String = text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '.' | '(' | ')')).collect();
    match digits.parse::<WaId>() {
        Ok(id) if digits.len() >= 7 && digits.len() <= 15 => Ok(id),
        _ => invalid("to", "must be a phone number with country code, 7 to 15 digits"),
    }
}

fn callback(body: &Map<String, Value>) -> Result<Option<String>, InvalidDraft> {
    const MEMBER: &str = "biz_opaque_callback_data";
    // 36 characters of id and a bar are ours.
    const ROOM: usize = LONGEST_CALLBACK - 37;
    match body.get(MEMBER) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(data)) if units(data) <= ROOM => Ok(Some(data.clone())),
        Some(_) => invalid(MEMBER, format!("must be text of at most {ROOM} characters")),
    }
}

fn check_content(kind: &str, content: &Value) -> Result<(), InvalidDraft> {
    let at = Member { path: kind.to_owned(), value: content };
    match kind {
        "text" => at.text("body", 1, LONGEST_TEXT),
        "image" | "video" | "document" => {
            at.media().and_then(|()| at.optional_text("caption", LONGEST_CAPTION))
        }
        "audio" | "sticker" => at.media(),
        "location" => at.number("latitude", 90.0).and_then(|()| at.number("longitude", 180.0)),
        "contacts" => check_contacts(&at),
        "reaction" => at.text("message_id", 1, 1000).and_then(|()| at.text("emoji", 0, 64)),
        "template" => check_template(&at),
        _ => check_interactive(&at),
    }
}

fn check_contacts(at: &Member<'_>) -> Result<(), InvalidDraft> {
    const MOST_CARDS: usize = 257;
    let cards = at.value.as_array().map(Vec::as_slice).unwrap_or_default();
    if cards.is_empty() || cards.len() > MOST_CARDS {
        return invalid(&at.path, format!("must be a list of 1 to {MOST_CARDS} cards"));
    }
    for (index, card) in cards.iter().enumerate() {
        Member { path: format!("contacts[{index}]"), value: card }.object("name")?.text(
            "formatted_name",
            1,
            1024,
        )?;
    }
    Ok(())
}

fn check_template(at: &Member<'_>) -> Result<(), InvalidDraft> {
    at.text("name", 1, 512)?;
    let name = at.value["name"].as_str().unwrap_or_default();
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return invalid("template.name", "may hold a-z, 0-9 and _ only");
    }
    at.object("language")?.text("code", 2, 20)
}

fn check_interactive(at: &Member<'_>) -> Result<(), InvalidDraft> {
    at.text("type", 1, 64)?;
    let action = at.object("action")?;
    match at.value["type"].as_str().unwrap_or_default() {
        "button" => check_buttons(at, &action),
        "list" => check_list(at, &action),
        _ => Ok(()),
    }
}

fn check_buttons(at: &Member<'_>, action: &Member<'_>) -> Result<(), InvalidDraft> {
    at.object("body")?.text("text", 1, 1024)?;
    let buttons = action.list("buttons", 1, 3)?;
    buttons.iter().try_for_each(|button| {
        let reply = button.object("reply")?;
        reply.text("id", 1, 256)?;
        reply.text("title", 1, 20)
    })
}

fn check_list(at: &Member<'_>, action: &Member<'_>) -> Result<(), InvalidDraft> {
    const MOST_ROWS: usize = 10;
    at.object("body")?.text("text", 1, 4096)?;
    action.text("button", 1, 20)?;
    let mut rows = 0;
    for section in action.list("sections", 1, 10)? {
        for row in section.list("rows", 1, MOST_ROWS)? {
            row.text("id", 1, 200)?;
            row.text("title", 1, 24)?;
            row.optional_text("description", 72)?;
            rows += 1;
        }
    }
    if rows > MOST_ROWS {
        return invalid("interactive.action.sections", format!("may hold {MOST_ROWS} rows in all"));
    }
    Ok(())
}

/// A member of the message with its path, for errors that name it.
struct Member<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Member<'a> {
    fn object(&self, name: &str) -> Result<Member<'a>, InvalidDraft> {
        let path = format!("{}.{name}", self.path);
        match self.value.get(name) {
            Some(value @ Value::Object(_)) => Ok(Member { path, value }),
            _ => invalid(path, "must be an object"),
        }
    }

    fn list(&self, name: &str, least: usize, most: usize) -> Result<Vec<Member<'a>>, InvalidDraft> {
        let path = format!("{}.{name}", self.path);
        match self.value.get(name) {
            Some(Value::Array(items)) if (least..=most).contains(&items.len()) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, value)| Member { path: format!("{path}[{index}]"), value })
                .collect()),
            _ => invalid(path, format!("must be a list of {least} to {most}")),
        }
    }

    fn text(&self, name: &str, least: usize, most: usize) -> Result<(), InvalidDraft> {
        match self.value.get(name) {
            Some(Value::String(text)) if (least..=most).contains(&units(text)) => Ok(()),
            _ => invalid(
                format!("{}.{name}", self.path),
                format!("must be text of {least} to {most} characters"),
            ),
        }
    }

    fn optional_text(&self, name: &str, most: usize) -> Result<(), InvalidDraft> {
        if self.value.get(name).is_none_or(Value::is_null) { Ok(()) } else { self.text(name, 0, most) }
    }

    fn number(&self, name: &str, bound: f64) -> Result<(), InvalidDraft> {
        let number = match self.value.get(name) {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number.abs() <= bound => Ok(()),
            _ => {
                invalid(format!("{}.{name}", self.path), format!("must be a number from -{bound} to {bound}"))
            }
        }
    }

    fn media(&self) -> Result<(), InvalidDraft> {
        let given = |name: &str| self.value.get(name).and_then(Value::as_str).is_some_and(|s| !s.is_empty());
        match (given("id"), given("link")) {
            (true, false) | (false, true) => Ok(()),
            _ => invalid(&self.path, "must have either id (an uploaded file) or link"),
        }
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest beginning of `text` of at most `most` UTF-16 units.
fn cut(text: &str, most: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices() {
        used += c.len_utf16();
        if used > most {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: Value) -> Result<Draft, InvalidDraft> {
        Draft::parse(body.as_object().unwrap())
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
    fn each_refusal_names_its_member() {
        let buttons = |n: usize| {
            json!({"type": "button", "body": {"text": "?"}, "action": {"buttons":
            vec![json!({"type": "reply", "reply": {"id": "1", "title": "Yes"}}); n]}})
        };
        for (body, member) in [
            (json!({"to": "15550100123"}), "type"),
            (json!({"to": "15550100123", "type": "fax"}), "type"),
            (json!({"to": "15550100123", "type": "text"}), "text"),
            (json!({"to": "15550100123", "type": "text", "text": {"body": ""}}), "text.body"),
            (json!({"to": "15550100123", "type": "text", "text": {"body": "x".repeat(4097)}}), "text.body"),
            (json!({"to": "15550100123", "type": "text", "text": "x"}), "text.body"),
            (json!({"type": "text", "text": {"body": "x"}}), "to"),
            (json!({"to": "abc", "type": "text", "text": {"body": "x"}}), "to"),
            (json!({"to": 5, "type": "text", "text": {"body": "x"}}), "to"),
            (json!({"recipient": "15550100123", "type": "text", "text": {"body": "x"}}), "recipient"),
            (
                json!({"to": "15550100123", "type": "image", "image": {"id": "1", "link": "https://x.example"}}),
                "image",
            ),
            (
                json!({"to": "15550100123", "type": "location", "location": {"latitude": 91, "longitude": 1}}),
                "location.latitude",
            ),
            (json!({"to": "15550100123", "type": "contacts", "contacts": []}), "contacts"),
            (
                json!({"to": "15550100123", "type": "template", "template": {"name": "A", "language": {"code": "en"}}}),
                "template.name",
            ),
            (
                json!({"to": "15550100123", "type": "template", "template": {"name": "a"}}),
                "template.language",
            ),
            (
                json!({"to": "15550100123", "type": "interactive", "interactive": buttons(4)}),
                "interactive.action.buttons",
            ),
            (
                json!({"to": "15550100123", "type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(476)}),
                "biz_opaque_callback_data",
            ),
        ] {
            assert_eq!(parse(body.clone()).unwrap_err().member, member, "{body}");
        }
        assert!(
            parse(json!({"to": "15550100123", "type": "interactive", "interactive": buttons(3)})).is_ok()
        );
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
}
