//! Recording what webhooks bring. Recording comes first and is repeatable: the second arrival of
//! anything changes nothing and only repeats what may have been lost after the first.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::answer::{Answer, NoAnswer, Nudge};
use crate::domain::client::{Client, Pause};
use crate::domain::conversation::{ConversationTouch, TouchedBy};
use crate::domain::ids::{BusinessId, ConversationId, MessageId, PhoneNumberId};
use crate::domain::json::value_of;
use crate::domain::message::{Message, Origin};
use crate::domain::parcel::{Content, Parcel, PartHeader, pack};
use crate::domain::raw::{join, sha256};
use crate::domain::status::{StatusEvent, Statuses};
use crate::domain::webhook::{
    IncomingMessage, IncomingStatus, List, NotAWebhook, Piece, Renamed, pieces, regroup,
};
use crate::error::{Chain, StoreError};
use crate::ports::{
    AccountEvent, Answers, Blobs, Clock, MarkClients, MarkRecipients, NoteAccounts, NoteMedia,
    PauseConversations, Quarantine, Quarantined, ReadClients, ReadTemplates, RecordEvents, RecordMessages,
    Recorded, RequestTemplateSyncs, ResolveCustomers, SendFetches, SendInbound, SendNudges,
    StartOffboardings, TouchClients, TouchConversations, WriteTemplates,
};

use super::raws::keep;
use super::send::report_pause;
use crate::telemetry::{measure, metric, unit};

/// How many elements of one webhook are recorded at the same time.
const AT_ONCE: usize = 16;
/// How long a client's record is used before it is read again.
const CLIENT_KEPT: Duration = Duration::from_secs(60);
/// `lastMessageAt` of a client is kept to the minute: no key takes a write per message.
const CLIENT_TOUCH: Duration = Duration::from_secs(60);
/// Where only statuses come, that they come is kept to the hour: one write of a copy for each number.
const CLIENT_HEARD: Duration = Duration::from_secs(60 * 60);
/// How long the parts of something wait for each other: as long as the queue keeps them.
const PARTS_KEPT: Duration = Duration::from_secs(15 * 24 * 60 * 60);
/// Longest event of an account that becomes part of a key.
const LONGEST_EVENT: usize = 100;
/// Pause before a failed element of a larger parcel is tried alone.
const ALONE_AFTER: Duration = Duration::from_secs(5);

/// A failure that is older says nothing of whether messages are taken now: Meta repeats webhooks for days.
const NEWS: Duration = Duration::from_secs(15 * 60);

/// How long a person who writes in the WhatsApp Business app keeps the bot silent: long enough for a talk, and
/// a customer who comes back the next day is answered again.
const PERSON_WRITES: Duration = Duration::from_secs(60 * 60);
/// Most elements of one history that are recorded at once; Meta sends thousands in one webhook. More of them
/// might take longer than ingest may run, and would then begin anew each time.
const MOST_OF_A_HISTORY: usize = 250;

/// Settings of ingest.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long messages of a burst are waited for before they are answered together.
    pub burst: Duration,
    /// How long messages are kept; `None` = for ever.
    pub retention: Option<Duration>,
}

/// All records that ingest uses.
pub trait Records:
    RecordMessages
    + Answers
    + ResolveCustomers
    + TouchConversations
    + ReadClients
    + TouchClients
    + MarkClients
    + MarkRecipients
    + PauseConversations
    + RecordEvents
    + NoteAccounts
    + ReadTemplates
    + WriteTemplates
    + RequestTemplateSyncs
    + StartOffboardings
    + Quarantine
    + Blobs
    + NoteMedia
{
}
impl<T> Records for T where
    T: RecordMessages
        + Answers
        + ResolveCustomers
        + TouchConversations
        + ReadClients
        + TouchClients
        + MarkClients
        + MarkRecipients
        + PauseConversations
        + RecordEvents
        + NoteAccounts
        + ReadTemplates
        + WriteTemplates
        + RequestTemplateSyncs
        + StartOffboardings
        + Quarantine
        + Blobs
        + NoteMedia
{
}

/// What a parcel held, by the number of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages of all types, whoever wrote them and however they came, repetitions included.
    pub messages: usize,
    /// Statuses of sent messages.
    pub statuses: usize,
    /// Everything else that has a form: changes of other fields, errors, user actions.
    pub other: usize,
    /// What nobody understood; kept in quarantine.
    pub quarantined: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.statuses += more.statuses;
        self.other += more.other;
        self.quarantined += more.quarantined;
    }
}

/// How a parcel came.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    received_at: Timestamp,
    /// A replay that is not answered.
    silent: bool,
}

/// What one process remembers between parcels.
#[derive(Debug, Default)]
pub struct Memory {
    clients: Mutex<HashMap<PhoneNumberId, (Client, Timestamp)>>,
    touched: Mutex<HashMap<PhoneNumberId, Timestamp>>,
    heard: Mutex<HashMap<PhoneNumberId, Timestamp>>,
}

/// Ingest with what it needs.
pub struct Ingest<'a, S, I, Q, F, C> {
    /// Records.
    pub store: &'a S,
    /// The queue `inbound`, for elements that must come again alone.
    pub inbound: &'a I,
    /// The queue `answers`.
    pub answers: &'a Q,
    /// The queue `media`.
    pub fetches: &'a F,
    /// Time.
    pub clock: &'a C,
    /// Settings.
    pub settings: &'a Settings,
    /// What is remembered.
    pub memory: &'a Memory,
}

impl<S: Records, I: SendInbound, Q: SendNudges, F: SendFetches, C: Clock> Ingest<'_, S, I, Q, F, C> {
    /// Records a parcel. After `Ok` all of it is recorded or on the queue again, element by element.
    ///
    /// # Errors
    /// [`StoreError`]: the parcel must come again.
    pub async fn parcel(&self, parcel: &Parcel) -> Result<Tally, StoreError> {
        let arrival = Arrival { received_at: parcel.received_at, silent: parcel.silent };
        match &parcel.content {
            Content::Body(body) => self.body(body, arrival).await,
            Content::Part { header, base64 } => self.part(header, base64, arrival).await,
        }
    }

    /// Stores a part; the last one to arrive, whichever it is, puts the whole together.
    async fn part(&self, header: &PartHeader, base64: &str, arrival: Arrival) -> Result<Tally, StoreError> {
        let received_at = arrival.received_at;
        let Ok(bytes) = STANDARD.decode(base64) else {
            return self.quarantine(base64.as_bytes(), "damaged_part", received_at).await;
        };
        let expires_at = Some(self.clock.now() + PARTS_KEPT);
        self.store.put_part(header, &bytes, expires_at).await?;
        let Some(parts) = self.store.parts(&header.name, header.count).await? else {
            return Ok(Tally::default());
        };
        match join(&parts, &header.name) {
            Ok(whole) => match std::str::from_utf8(&whole) {
                Ok(body) => self.body(body, arrival).await,
                Err(_) => self.quarantine(&whole, NotAWebhook::Shape.reason(), received_at).await,
            },
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a body that came in parts is damaged");
                self.quarantine(&parts.concat(), "damaged_parts", received_at).await
            }
        }
    }

    async fn body(&self, body: &str, arrival: Arrival) -> Result<Tally, StoreError> {
        let received_at = arrival.received_at;
        let pieces = match pieces(body) {
            Ok(pieces) => pieces,
            Err(error) => return self.quarantine(body.as_bytes(), error.reason(), received_at).await,
        };
        let (old, pieces): (Vec<_>, Vec<_>) = pieces.into_iter().partition(is_of_a_history);
        let pieces = if old.len() > MOST_OF_A_HISTORY {
            self.in_portions(&old, arrival).await?;
            pieces
        } else {
            [pieces, old].concat()
        };
        let results: Vec<_> = stream::iter(&pieces)
            .map(async |piece| (piece, self.piece(piece, arrival).await))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut tally = Tally::default();
        let mut failed = Vec::new();
        let mut last_error = None;
        for (piece, result) in results {
            match result {
                Ok(counted) => tally += counted,
                Err(error) => {
                    failed.push(piece.body());
                    last_error = Some(error);
                }
            }
        }
        match last_error {
            None => Ok(tally),
            // Alone already, or everything is down: the parcel goes back as it is.
            Some(error) if failed.len() == pieces.len() => Err(error),
            Some(error) => {
                tracing::warn!(elements = failed.len(), error = %Chain(&error), "elements go back to the queue alone");
                unit::outcome("partly_back_to_queue");
                self.send_back(&failed, arrival, ALONE_AFTER).await?;
                Ok(tally)
            }
        }
    }

    async fn send_back(
        &self,
        bodies: &[String],
        arrival: Arrival,
        delay: Duration,
    ) -> Result<(), StoreError> {
        let parcels = bodies.iter().flat_map(|body| pack(body.as_bytes(), arrival.received_at));
        let parcels: Vec<Parcel> =
            parcels.map(|parcel| Parcel { silent: arrival.silent, ..parcel }).collect();
        self.inbound.send_inbound(&parcels, delay).await
    }

    /// Puts a long history back in parts that one run can record. They may come twice.
    async fn in_portions(&self, pieces: &[Piece<'_>], arrival: Arrival) -> Result<(), StoreError> {
        let portions = pieces.chunks(MOST_OF_A_HISTORY);
        let portions: Vec<String> = portions.flat_map(|portion| regroup(portion, usize::MAX)).collect();
        unit::number("elements", pieces.len());
        unit::number("portions", portions.len());
        unit::outcome("history_in_portions");
        self.send_back(&portions, arrival, Duration::ZERO).await
    }

    async fn piece(&self, piece: &Piece<'_>, arrival: Arrival) -> Result<Tally, StoreError> {
        let received_at = arrival.received_at;
        match piece.list {
            List::Messages | List::Echoes => match piece.message() {
                Ok(message) => self.message(piece, message, arrival).await,
                Err(error) => {
                    let kept = self.quarantine(piece.body().as_bytes(), error.reason(), received_at).await?;
                    Ok(Tally { messages: 1, ..kept })
                }
            },
            List::Statuses => match piece.status(received_at) {
                Ok(status) => self.status(piece, &status, received_at).await,
                Err(error) => {
                    let kept = self.quarantine(piece.body().as_bytes(), error.reason(), received_at).await?;
                    Ok(Tally { statuses: 1, ..kept })
                }
            },
            List::Errors | List::UserActions | List::Change => self.event(piece, received_at).await,
            List::Leftover => self.quarantine(piece.body().as_bytes(), "unknown_shape", received_at).await,
        }
    }

    async fn message(
        &self,
        piece: &Piece<'_>,
        incoming: IncomingMessage,
        arrival: Arrival,
    ) -> Result<Tally, StoreError> {
        let now = self.clock.now();
        let phone = &incoming.phone_number_id;
        let client = self.client(phone, now).await?;
        if let Some(renamed) = &incoming.renamed {
            self.rename(phone, renamed).await?;
        }
        let customer = match &incoming.group {
            Some(group) => group.clone(),
            None => self.store.resolve_customer(phone, &incoming.customer).await?,
        };
        let expires_at = self.settings.retention.map(|kept| now + kept);
        let message = Message {
            id: MessageId::from(incoming.wamid.clone()),
            wamid: Some(incoming.wamid.clone()),
            origin: incoming.origin,
            bot_id: client.as_ref().map(|c| c.bot_id.clone()),
            phone_number_id: phone.clone(),
            conversation_id: ConversationId::new(phone, &customer),
            customer: incoming.customer.clone(),
            kind: incoming.kind.clone(),
            at: incoming.at.unwrap_or(arrival.received_at),
            recorded_at: now,
            raw: keep(self.store, piece.body().as_bytes(), expires_at).await?,
            reply_to: incoming.reply_to.clone(),
            answer: client.as_ref().and_then(|_| self.first_answer(&incoming, now, arrival.silent)),
            sending: None,
            why: None,
            statuses: Statuses::default(),
            expires_at,
        };
        unit::client(phone);
        unit::wamid(&incoming.wamid);
        client.iter().for_each(|client| unit::bot(&client.bot_id));
        let answer = match self.store.record_message(&message).await? {
            Recorded::New => {
                if message.origin == Origin::Customer && !arrival.silent {
                    self.measure(incoming.at);
                }
                message.answer.clone()
            }
            Recorded::Known(known) => known.answer,
        };
        if let Some(client) = &client {
            self.note_file(client, &message, arrival.received_at).await?;
            self.touch(client, &message, &incoming, arrival.received_at).await?;
            // One that waits already is found without the help of a silent replay or of a history.
            let is_live = message.origin == Origin::Customer && !arrival.silent;
            if matches!(answer, Some(Answer::Pending { .. })) && is_live {
                self.answers
                    .send_nudges(&[Nudge { message_id: message.id.clone() }], self.settings.burst)
                    .await?;
            }
        }
        Ok(Tally { messages: 1, ..Tally::default() })
    }

    fn measure(&self, at: Option<Timestamp>) {
        unit::count(measure::RECEIVED, 1);
        // Meta's clock may be ahead of ours.
        let age =
            at.map(|at| u64::try_from(self.clock.now().duration_since(at).as_millis()).unwrap_or_default());
        age.into_iter().for_each(|age| unit::measured(measure::STORED_AGE, age));
    }

    /// Only what a customer writes live is answered. Groups are not: a bot that talks to many people at once
    /// is nobody's task bot.
    fn first_answer(&self, incoming: &IncomingMessage, now: Timestamp, silent: bool) -> Option<Answer> {
        if !incoming.origin.is_inbound() {
            None
        } else if incoming.origin != Origin::Customer {
            Some(Answer::None(NoAnswer::NotLive, None))
        } else if incoming.group.is_some() || !incoming.expects_answer {
            Some(Answer::None(NoAnswer::Type, None))
        } else if silent {
            Some(Answer::None(NoAnswer::Replayed, None))
        } else {
            Some(Answer::Pending { due_at: now + self.settings.burst, attempts: 0 })
        }
    }

    async fn rename(&self, phone: &PhoneNumberId, renamed: &Renamed) -> Result<(), StoreError> {
        let old = self.store.resolve_customer(phone, &renamed.old).await?;
        for new in renamed.new.aliases() {
            self.store.add_alias(phone, &old, &new).await?;
        }
        Ok(())
    }

    async fn touch(
        &self,
        client: &Client,
        message: &Message,
        incoming: &IncomingMessage,
        received_at: Timestamp,
    ) -> Result<(), StoreError> {
        let touch = ConversationTouch {
            id: message.conversation_id.clone(),
            bot_id: client.bot_id.clone(),
            customer: incoming.addressed_by().clone(),
            at: message.at,
            by: touched_by(message, incoming.referred),
        };
        self.store.touch_conversation(&touch).await?;
        if message.origin == Origin::App {
            self.store.pause_conversation(&touch.id, message.at + PERSON_WRITES).await?;
        }
        // An old message says nothing of the client now.
        if !message.origin.is_history() && self.client_is_due(&client.phone_number_id, message.at) {
            self.store.touch_client(&client.phone_number_id, Some(message.at), received_at).await?;
        } else if message.origin.is_history() {
            self.hear(&client.phone_number_id, received_at).await?;
        }
        Ok(())
    }

    /// That a webhook for the number arrived, where no message moves its times: it is what proves that Meta sends us
    /// any. Events of an account do not: they come to our app's address even where messages are led elsewhere.
    async fn hear(&self, phone: &PhoneNumberId, received_at: Timestamp) -> Result<(), StoreError> {
        if self.hearing_is_due(phone, received_at) {
            self.store.touch_client(phone, None, received_at).await?;
        }
        Ok(())
    }

    fn hearing_is_due(&self, phone: &PhoneNumberId, at: Timestamp) -> bool {
        let mut heard = self.memory.heard.lock().expect("nothing panics while it holds the lock");
        let due = heard.get(phone).is_none_or(|last| at >= *last + CLIENT_HEARD);
        if due {
            heard.insert(phone.clone(), at);
        }
        due
    }

    fn client_is_due(&self, phone: &PhoneNumberId, at: Timestamp) -> bool {
        let mut touched = self.memory.touched.lock().expect("nothing panics while it holds the lock");
        let due = touched.get(phone).is_none_or(|last| at >= *last + CLIENT_TOUCH);
        if due {
            touched.insert(phone.clone(), at);
        }
        due
    }

    async fn client(&self, phone: &PhoneNumberId, now: Timestamp) -> Result<Option<Client>, StoreError> {
        if let Some(client) = self.known_client(phone, now) {
            return Ok(Some(client));
        }
        let client = self.store.client(phone).await?;
        if let Some(client) = &client {
            let mut known = self.memory.clients.lock().expect("nothing panics while it holds the lock");
            known.insert(phone.clone(), (client.clone(), now));
        }
        Ok(client)
    }

    fn known_client(&self, phone: &PhoneNumberId, now: Timestamp) -> Option<Client> {
        let known = self.memory.clients.lock().expect("nothing panics while it holds the lock");
        let (client, since) = known.get(phone)?;
        (now < *since + CLIENT_KEPT).then(|| client.clone())
    }

    async fn status(
        &self,
        piece: &Piece<'_>,
        status: &IncomingStatus,
        received_at: Timestamp,
    ) -> Result<Tally, StoreError> {
        let event = &status.event;
        unit::client(&status.phone_number_id);
        unit::wamid(&event.wamid);
        event.intent.iter().for_each(unit::message);
        unit::count(measure::STATUSES, 1);
        event.failures().iter().for_each(|error| unit::message_failed(error.code));
        let expires_at = self.settings.retention.map(|kept| self.clock.now() + kept);
        let applied = self.store.apply_status(&status.phone_number_id, &status.event, expires_at).await?;
        if !applied.body_kept {
            self.event(piece, received_at).await?;
        }
        if let Some(message) = &applied.message {
            message.bot_id.iter().for_each(unit::bot);
            self.mark_recipient(message, &status.event).await?;
        }
        if let Some(message) = applied.message
            && message.origin == Origin::Bot
            && let Some(question) = &message.reply_to
        {
            // Any status proves that Meta took the answer, should nobody have recorded that. Not only the
            // first: two at once each see the other, and a crash here must not lose the last proof.
            self.store.settle_answer(question, &Answer::Answered(message.id.clone())).await?;
        }
        self.heed(&status.phone_number_id, &status.event).await?;
        self.hear(&status.phone_number_id, received_at).await?;
        Ok(Tally { statuses: 1, ..Tally::default() })
    }

    /// Meta often takes a message first and says later that its recipient cannot be reached.
    async fn mark_recipient(&self, message: &Message, event: &StatusEvent) -> Result<(), StoreError> {
        let (Some(mark), Some(bot_id)) = (event.recipient_mark(), message.bot_id.clone()) else {
            return Ok(());
        };
        let contact = ConversationTouch {
            id: message.conversation_id.clone(),
            bot_id,
            customer: message.customer.clone(),
            at: event.fact.at,
            by: TouchedBy::About,
        };
        self.store.mark_recipient(&contact, mark).await
    }

    /// Meta often takes a message first and says later that nobody pays for it, or that the account is locked:
    /// the client is paused then, as if it had said so at once.
    async fn heed(&self, phone: &PhoneNumberId, event: &StatusEvent) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Some(reason) = event.stops_the_client().filter(|_| now < event.fact.at + NEWS) else {
            return Ok(());
        };
        let pause = Pause::after(None, reason, now);
        if self.store.change_pause(phone, None, Some(&pause)).await? {
            report_pause(phone, reason);
        }
        Ok(())
    }

    async fn event(&self, piece: &Piece<'_>, received_at: Timestamp) -> Result<Tally, StoreError> {
        let value = value_of(piece.raw);
        let event =
            value.pointer("/value/event").and_then(Value::as_str).filter(|e| e.len() <= LONGEST_EVENT);
        let waba = value.pointer("/value/waba_info/waba_id").and_then(Value::as_str);
        let field = piece.field.as_deref().unwrap_or("-");
        let kind = match (piece.list, event) {
            (List::Errors, _) => "messages.errors".to_owned(),
            // What did not fit beside its message.
            (List::Statuses, _) => "messages.statuses".to_owned(),
            (List::UserActions, _) => "messages.user_actions".to_owned(),
            (_, Some(event)) if field == "account_update" => format!("{field}:{event}"),
            _ => field.to_owned(),
        };
        let body = piece.body();
        let event = AccountEvent {
            owner: waba.or(piece.entry_id.as_deref()).filter(|id| !id.is_empty()).unwrap_or("-").to_owned(),
            kind,
            at: piece.entry_time.unwrap_or(received_at),
            hash: sha256(body.as_bytes()),
            dated: piece.entry_time.is_some(),
            business_id: value
                .pointer("/value/waba_info/owner_business_id")
                .and_then(Value::as_str)
                .and_then(|id| id.parse::<BusinessId>().ok()),
            raw: keep(self.store, body.as_bytes(), None).await?,
        };
        let at = self.store.record_event(&event).await?;
        if piece.list == List::Change {
            self.customers_did(piece, received_at).await?;
            // Never later than we heard of it: an event from the future would outdo all to come.
            self.act_on(piece, field, &value["value"], at.min(received_at)).await?;
            self.note_template(piece, field, &value["value"], at.min(received_at)).await?;
        }
        Ok(Tally { other: 1, ..Tally::default() })
    }

    async fn quarantine(
        &self,
        bytes: &[u8],
        reason: &str,
        received_at: Timestamp,
    ) -> Result<Tally, StoreError> {
        let raw = keep(self.store, bytes, None).await?;
        let id = sha256(bytes);
        unit::outcome_else("quarantined");
        tracing::warn!(metric = metric::QUARANTINED, quarantineId = %id, reason, bytes = bytes.len(), "kept what is not understood");
        self.store.quarantine(&Quarantined { id, reason: reason.to_owned(), received_at, raw }).await?;
        Ok(Tally { quarantined: 1, ..Tally::default() })
    }
}

/// Only what a customer does opens the window, and only now; Meta's own notes about them do not.
fn touched_by(message: &Message, referred: bool) -> TouchedBy {
    match message.origin {
        Origin::Customer if message.kind != "system" && referred => TouchedBy::ReferredCustomer,
        Origin::Customer if message.kind != "system" => TouchedBy::Customer,
        origin if origin.is_inbound() => TouchedBy::About,
        _ => TouchedBy::Business,
    }
}

/// A message out of a history. The change itself, where it says more, holds all of them again.
fn is_of_a_history(piece: &Piece<'_>) -> bool {
    piece.list == List::Messages && piece.field.as_deref() == Some("history")
}

pub use media::media_key_of;

mod accounts;
mod customers;
mod media;
mod templates;
#[cfg(test)]
mod tests;
