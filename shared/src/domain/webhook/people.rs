//! Who is meant: the names of customers in messages, contacts, threads, calls and preferences.

use super::super::Timestamp;
use super::super::conversation::{CustomerKey, CustomerNames};
use super::super::ids::{Bsuid, PhoneNumberId, WaId};
use super::incoming::{Renamed, Unreadable};
use super::members::{Members, text};
use super::pieces::Piece;

/// Meta's profile names have 25 characters, its usernames 30; longer ones would fill the items.
const LONGEST_NAME: usize = 200;

/// A customer did something that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub customer: CustomerNames,
    /// What.
    pub what: What,
    /// Meta's time; `None` where it is missing or unreadable.
    pub at: Option<Timestamp>,
}

/// What a customer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Called the client: that opens the customer service window as a message does (Meta, pricing, 2026-08-25).
    Called,
    /// Stopped marketing messages (field `user_preferences`).
    StoppedMarketing,
    /// Wants them again.
    ResumedMarketing,
}

/// The better of the names that a customer is addressed by.
pub(super) fn best(names: &CustomerNames) -> Option<CustomerKey> {
    names.aliases().into_iter().next()
}

/// A BSUID is tolerated where a phone number is expected, and the other way round.
pub(super) fn names(texts: &[String]) -> CustomerNames {
    CustomerNames {
        wa_id: texts.iter().find_map(|t| t.trim_start_matches('+').parse::<WaId>().ok()),
        bsuid: texts.iter().find_map(|t| t.parse::<Bsuid>().ok()),
        ..CustomerNames::default()
    }
}

fn shown(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && text.len() <= LONGEST_NAME)
}

fn bsuid(of: &Members<'_>, members: &[&str]) -> Option<Bsuid> {
    of.texts(members).iter().find_map(|id| id.parse().ok())
}

/// A person as contacts and threads describe one.
fn described(person: &Members<'_>) -> CustomerNames {
    let profile = person.object("profile");
    let username = profile.text("username").or_else(|| person.text("username"));
    CustomerNames {
        username: shown(username.map(|name| name.trim_start_matches('@').to_owned())),
        name: shown(profile.text("name")),
        parent_bsuid: bsuid(person, &["parent_user_id"]),
        ..names(&person.texts(&["wa_id", "user_id"]))
    }
}

impl CustomerNames {
    fn is_named(&self) -> bool {
        best(self).is_some()
    }

    /// Whether both name one phone or one id.
    fn shares_a_name_with(&self, other: &Self) -> bool {
        (self.wa_id.is_some() && self.wa_id == other.wa_id)
            || (self.bsuid.is_some() && self.bsuid == other.bsuid)
    }
}

impl Piece<'_> {
    /// Whether the client's own number sent it. In a thread whoever is not the thread's customer is the client.
    pub(super) fn is_from_the_client(&self, message: &Members<'_>) -> bool {
        let from = names(&message.texts(&["from", "from_user_id"]));
        let thread = self.thread();
        if !from.is_named() {
            return !message.texts(&["to", "to_user_id"]).is_empty();
        }
        if from.shares_a_name_with(&thread) {
            return false;
        }
        let metadata = Members::of(self.metadata.unwrap_or_default());
        let shown = metadata.text("display_phone_number").unwrap_or_default();
        let own: String = shown.chars().filter(char::is_ascii_digit).collect();
        thread.is_named() || from.wa_id.is_some_and(|from| from.as_ref() == own)
    }

    /// The customer of the thread that it stood in (field `history`).
    fn thread(&self) -> CustomerNames {
        let id = self.beside("id").and_then(text);
        let context = self.beside("context").map(Members::of).unwrap_or_default();
        described(&context).or(names(id.as_slice()))
    }

    /// The customer of a message: its sender, or the recipient of one that went out; with what its contact and
    /// its thread say besides.
    pub(super) fn customer(&self, message: &Members<'_>, inbound: bool) -> CustomerNames {
        let (members, parent) = match inbound {
            true => (["from", "from_user_id", ""], "from_parent_user_id"),
            false => (["to", "to_user_id", "recipient"], "to_parent_user_id"),
        };
        let named =
            CustomerNames { parent_bsuid: bsuid(message, &[parent]), ..names(&message.texts(&members)) };
        match self.field.as_deref() {
            Some("history") => self.completed(named.or(self.thread())),
            _ => self.completed(named),
        }
    }

    /// With what the contact of the same person says.
    fn completed(&self, named: CustomerNames) -> CustomerNames {
        let contacts = self.contacts().iter().map(|contact| described(&Members::of(contact)));
        match contacts.into_iter().find(|contact| contact.shares_a_name_with(&named)) {
            Some(contact) => named.or(contact),
            None => named,
        }
    }

    /// What customers did, by a change that is no message: calls and preferences. The number that they did it
    /// with; none of it where the change names none.
    ///
    /// # Errors
    /// [`Unreadable::Number`] if it names no number.
    pub fn deeds(&self) -> Result<(PhoneNumberId, Vec<Deed>), Unreadable> {
        let value = Members::of(self.raw).object("value");
        let metadata = value.object("metadata").text("phone_number_id");
        let phone = metadata.and_then(|id| id.parse().ok()).ok_or(Unreadable::Number)?;
        let contacts: Vec<CustomerNames> = value.objects("contacts").iter().map(described).collect();
        let deeds = match self.field.as_deref() {
            Some("calls") => value.objects("calls").iter().filter_map(call).collect(),
            Some("user_preferences") => {
                value.objects("user_preferences").iter().filter_map(preference).collect()
            }
            _ => Vec::new(),
        };
        let complete = |deed: Deed| {
            let contact = contacts.iter().find(|contact| contact.shares_a_name_with(&deed.customer)).cloned();
            Deed { customer: deed.customer.or(contact.unwrap_or_default()), ..deed }
        };
        let deeds = Vec::into_iter(deeds).filter(|deed: &Deed| deed.customer.is_named()).map(complete);
        Ok((phone, deeds.collect()))
    }

    /// Ids of customers that changed, by a change of `user_id_update` (withdrawn 2026-08-11; tolerated).
    ///
    /// # Errors
    /// [`Unreadable::Number`] if it names no number.
    pub fn id_updates(&self) -> Result<(PhoneNumberId, Vec<Renamed>), Unreadable> {
        let value = Members::of(self.raw).object("value");
        let metadata = value.object("metadata").text("phone_number_id");
        let phone = metadata.and_then(|id| id.parse().ok()).ok_or(Unreadable::Number)?;
        let renamed = |update: &Members<'_>| {
            let id = update.object("user_id");
            let old = CustomerNames { bsuid: bsuid(&id, &["previous"]), ..names(&update.texts(&["wa_id"])) };
            let new = names(&id.texts(&["current"]));
            (old.is_named() && new.is_named()).then_some(Renamed { old, new })
        };
        Ok((phone, value.objects("user_id_update").iter().filter_map(renamed).collect()))
    }
}

/// The beginning of a call that the customer makes (Meta, calling reference, 2026).
fn call(call: &Members<'_>) -> Option<Deed> {
    let is =
        |member: &str, wanted: &str| call.word(member).is_some_and(|word| word.eq_ignore_ascii_case(wanted));
    (is("event", "connect") && is("direction", "USER_INITIATED")).then(|| Deed {
        customer: names(&call.texts(&["from", "from_user_id"])),
        what: What::Called,
        at: call.time("timestamp"),
    })
}

fn preference(told: &Members<'_>) -> Option<Deed> {
    if told.word("category").as_deref() != Some("marketing_messages") {
        return None;
    }
    let what = match told.word("value")?.as_str() {
        "stop" => What::StoppedMarketing,
        "resume" => What::ResumedMarketing,
        // A signup to one list does not take back a stop of all; Meta says `resume` when the user does.
        _ => return None,
    };
    let customer = names(&told.texts(&["wa_id", "user_id"]));
    Some(Deed { customer, what, at: told.time("timestamp") })
}
