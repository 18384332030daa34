//! Outgoing messages, checked before Meta is called.
//!
//! Limits: Meta, message types and `messages` reference (2026-05-21 to 2026-08-25). "Characters" are
//! counted as UTF-16 units, the safe reading. Members and kinds that we do not know pass: Meta is the judge.

mod content;
mod interactive;
pub(super) mod member;
mod template;

use serde_json::{Map, Value, json};

pub use member::InvalidDraft;

use self::member::{Checked, Member, invalid, units};
use super::bot::{LONGEST_TEXT, Saying};
use super::conversation::{CustomerKey, CustomerNames};
use super::ids::{Bsuid, MessageId, WaId};

/// Meta's limit of `biz_opaque_callback_data`.
const LONGEST_CALLBACK: usize = 512;
/// Meta sends only if the customer's identity is still this one.
const IDENTITY: &str = "recipient_identity_key_hash";

/// One `type` of message.
struct Kind {
    name: &'static str,
    /// Whether a group takes it (Meta, groups messaging: text, media and templates).
    is_for_groups: bool,
    check: fn(&Member<'_>) -> Checked,
}

const fn kind(name: &'static str, is_for_groups: bool, check: fn(&Member<'_>) -> Checked) -> Kind {
    Kind { name, is_for_groups, check }
}

/// Types that send-message takes.
const KINDS: [Kind; 11] = [
    kind("text", true, content::text),
    kind("image", true, content::image_or_video),
    kind("video", true, content::image_or_video),
    kind("audio", true, content::audio),
    kind("document", true, content::document),
    kind("sticker", true, content::sticker),
    kind("location", false, content::location),
    kind("contacts", false, content::contacts),
    kind("reaction", false, content::reaction),
    kind("template", true, template::check),
    kind("interactive", false, interactive::check),
];

/// The names of the types.
#[cfg(all(test, feature = "openapi"))]
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
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
        let kind = kind_of(body)?;
        check_content(kind, body)?;
        let recipient = recipient(body)?;
        if matches!(recipient, Recipient::Group(_)) && !kind.is_for_groups {
            return invalid("type", "a group takes text, media and templates only");
        }
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
            recipient,
            kind: kind.name.to_owned(),
            message: message.map(|(name, value)| (name.clone(), value.clone())).collect(),
            callback: callback(body)?,
        })
    }

    /// Whether Meta would take this type and content, whoever it goes to.
    ///
    /// # Errors
    /// [`InvalidDraft`] names the first member that Meta would refuse.
    pub fn check(message: &Map<String, Value>) -> Result<(), InvalidDraft> {
        check_content(kind_of(message)?, message)
    }

    /// What a bot's settings say. They were checked when they were saved; Meta is the judge of old ones.
    #[must_use]
    pub fn saying(recipient: Recipient, saying: &Saying) -> Self {
        let (kind, message) = (saying.kind().to_owned(), saying.message().clone());
        Self { recipient, kind, message, callback: None }
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

fn kind_of(body: &Map<String, Value>) -> Checked<&'static Kind> {
    let Some(name) = body.get("type") else { return invalid("type", "is missing") };
    let known = KINDS.iter().find(|kind| *name == kind.name);
    known.map_or_else(
        || invalid("type", format!("must be one of {}", KINDS.map(|kind| kind.name).join(", "))),
        Ok,
    )
}

fn check_content(kind: &Kind, body: &Map<String, Value>) -> Checked {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let Some(content) = given(kind.name) else {
        let problem = format!("is missing: a message of type {} needs a member of that name", kind.name);
        return invalid(kind.name, problem);
    };
    (kind.check)(&Member::new(kind.name, content))?;
    if let Some(context) = given("context") {
        content::context(&Member::new("context", context), kind.name)?;
    }
    match given(IDENTITY) {
        Some(hash) if !hash.is_string() => invalid(IDENTITY, "must be text"),
        _ => Ok(()),
    }
}

fn recipient(body: &Map<String, Value>) -> Checked<Recipient> {
    let text = |member: &str| match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => invalid(member, "must be text"),
    };
    let is_group = match text("recipient_type")? {
        None | Some("individual") => false,
        Some("group") => true,
        Some(_) => return invalid("recipient_type", "must be individual or group"),
    };
    if is_group {
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
fn phone(text: &str) -> Checked<WaId> {
    let digits: String = text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '.' | '(' | ')')).collect();
    match digits.parse::<WaId>() {
        Ok(id) if digits.len() >= 7 && digits.len() <= 15 => Ok(id),
        _ => invalid("to", "must be a phone number with country code, 7 to 15 digits"),
    }
}

fn callback(body: &Map<String, Value>) -> Checked<Option<String>> {
    const MEMBER: &str = "biz_opaque_callback_data";
    // 36 characters of id and a bar are ours.
    const ROOM: usize = LONGEST_CALLBACK - 37;
    match body.get(MEMBER) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(data)) if units(data) <= ROOM => Ok(Some(data.clone())),
        Some(_) => invalid(MEMBER, format!("must be text of at most {ROOM} characters")),
    }
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
mod tests;
