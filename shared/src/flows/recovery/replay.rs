//! Running stored elements through ingest again, by putting their raw bytes on `inbound`.
//!
//! Recording is repeatable, so a replay may be cut off anywhere and run again. Unless it asks for answers,
//! its parcels are silent: what is new in them is recorded and not answered, and what waits is not nudged.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, MOST_NAMED, PAGE, Records, Recovery, RecoveryError, wrong};
use crate::domain::Timestamp;
use crate::domain::ids::{BotId, MessageId, PhoneNumberId};
use crate::domain::letter::FedQueue;
use crate::domain::message::{Message, number_key};
use crate::domain::parcel::{Parcel, pack};
use crate::domain::raw::Raw;
use crate::error::{Chain, StoreError};
use crate::flows::stored_bytes;
use crate::ports::{
    AccountEvent, Clock, DeadLetters, Listing, Page, Quarantined, Random, SendBack, SendInbound, Shelf,
};

/// How many elements one run takes where nobody says.
const LIMIT: usize = 100;

/// Job `replay`. Exactly one of `messageId`, `phoneNumberId`, `botId` (alone), `owner` and `quarantine` says
/// what; `from` and `to` (included) limit all but the first.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayRequest {
    /// One message.
    pub message_id: Option<MessageId>,
    /// The messages of one number, of `botId` if it is named, else of the number's bot and of the time
    /// before it had any.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The messages of all numbers that are this bot's now.
    pub bot_id: Option<BotId>,
    /// The events of an account (WABA id, or `-` for those that name none).
    pub owner: Option<String>,
    /// What nobody understood.
    pub quarantine: Option<QuarantineRequest>,
    /// No element before this time.
    pub from: Option<Timestamp>,
    /// No element after it; now, where it is missing.
    pub to: Option<Timestamp>,
    /// Only look. The default: replaying must be asked for by `false`.
    pub dry_run: Option<bool>,
    /// Whether messages that are new may be answered.
    #[serde(default)]
    pub answers: bool,
    /// Most elements of this run, 1 to 1000; 100 where it is missing.
    pub limit: Option<usize>,
    /// Where an earlier run of the same request ended.
    pub cursor: Option<String>,
}

/// Which items of the quarantine.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuarantineRequest {
    /// One item.
    pub id: Option<String>,
    /// Only those that are there for this reason.
    pub reason: Option<String>,
    /// Those received on this day (UTC). Without it `from` must be there.
    pub day: Option<Date>,
}

/// What a replay did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Whether nothing was put on the queue, and the numbers say what would be.
    pub dry_run: bool,
    /// Whether messages that are new may be answered.
    pub answers: bool,
    /// Elements that are on `inbound` now. When that is empty, ingest is through.
    pub replayed: usize,
    /// Elements that no webhook brought (outgoing messages without a status), and dead letters, which a
    /// redrive moves.
    pub skipped: usize,
    /// Elements whose raw bytes are damaged or gone, by id. They stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// What a dry run found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Found>,
    /// Where the next run goes on; `null` = this was all.
    pub next_cursor: Option<String>,
}

/// An element without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The message's, event's or quarantined item's id.
    pub id: String,
    /// A message's type, an event's kind, a quarantined item's reason.
    pub kind: String,
    /// Meta's time of a message or event, else when it was received.
    pub at: Timestamp,
}

/// Something stored.
struct Element {
    found: Found,
    received_at: Timestamp,
    /// The webhook bodies that it was made from.
    bodies: Vec<Raw>,
    /// Whether it leaves the quarantine by this.
    quarantined: bool,
}

impl From<Message> for Element {
    fn from(message: Message) -> Self {
        // Of a message that we sent webhooks brought the statuses only.
        let told = message.statuses.bodies().map(|(_, body)| Raw::Plain(body.to_owned()));
        let bodies = (!message.origin.is_ours()).then_some(message.raw).into_iter().chain(told).collect();
        Self {
            found: Found { id: message.id.to_string(), kind: message.kind, at: message.at },
            received_at: message.recorded_at,
            bodies,
            quarantined: false,
        }
    }
}

impl From<AccountEvent> for Element {
    fn from(event: AccountEvent) -> Self {
        // What we noted ourselves no webhook brought.
        let is_ours = event.kind.starts_with("switchboard.");
        Self {
            found: Found { id: event.hash, kind: event.kind, at: event.at },
            received_at: event.at,
            bodies: if is_ours { Vec::new() } else { vec![event.raw] },
            quarantined: false,
        }
    }
}

impl From<Quarantined> for Element {
    fn from(item: Quarantined) -> Self {
        let is_letter = FedQueue::of_reason(&item.reason).is_some();
        Self {
            found: Found { id: item.id, kind: item.reason, at: item.received_at },
            received_at: item.received_at,
            bodies: if is_letter { Vec::new() } else { vec![item.raw] },
            quarantined: true,
        }
    }
}

/// What a request is about.
enum Source<'a> {
    Message(&'a MessageId),
    Number(Vec<String>),
    Bot(&'a BotId),
    Owner(&'a str),
    Quarantined(&'a str),
    Days { reason: Option<&'a str> },
}

/// From when to when, both included.
#[derive(Clone, Copy)]
struct Span {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Span {
    fn holds(self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at <= to)
    }
}

impl ReplayRequest {
    fn limit(&self) -> Result<usize, RecoveryError> {
        match self.limit.unwrap_or(LIMIT) {
            limit @ 1..=MOST_NAMED => Ok(limit),
            _ => Err(wrong(format!("limit must be from 1 to {MOST_NAMED}"))),
        }
    }

    fn span(&self) -> Result<Span, RecoveryError> {
        let whole = Span { from: self.from, to: self.to };
        let Some(day) = self.quarantine.as_ref().and_then(|quarantine| quarantine.day) else {
            return Ok(whole);
        };
        if self.from.is_some() || self.to.is_some() {
            return Err(wrong("name a day, or from and to, not both"));
        }
        let day = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|e| wrong(e.to_string()))?;
        let (from, next) = (day.timestamp(), day.tomorrow().map_err(|e| wrong(e.to_string()))?.timestamp());
        Ok(Span { from: Some(from), to: Some(next - Duration::from_millis(1)) })
    }

    fn check(&self) -> Result<(), RecoveryError> {
        let by_bot = self.bot_id.is_some() && self.phone_number_id.is_none();
        let selectors = [
            self.message_id.is_some(),
            self.phone_number_id.is_some(),
            by_bot,
            self.owner.is_some(),
            self.quarantine.is_some(),
        ];
        match selectors.iter().filter(|given| **given).count() {
            1 => Ok(()),
            _ => Err(wrong("name exactly one of messageId, phoneNumberId, botId, owner and quarantine")),
        }
    }
}

fn bad_cursor() -> RecoveryError {
    wrong("the cursor is not one of an earlier run of this request")
}

impl<S, D, I, C, R> Recovery<'_, S, D, I, C, R>
where
    S: Records,
    D: DeadLetters + SendBack,
    I: SendInbound,
    C: Clock,
    R: Random,
{
    /// Puts stored elements on `inbound`, page by page until the limit or the time is reached.
    pub(super) async fn replay(&self, request: &ReplayRequest) -> Result<Replayed, RecoveryError> {
        request.check()?;
        let (limit, span, deadline) = (request.limit()?, request.span()?, self.deadline());
        let source = self.source(request, span).await?;
        let mut done = Replayed {
            dry_run: request.dry_run.unwrap_or(true),
            answers: request.answers,
            next_cursor: request.cursor.clone(),
            ..Replayed::default()
        };
        let mut left = limit;
        while left > 0 {
            let page = self.page(&source, span, done.next_cursor.as_deref(), left.min(PAGE)).await?;
            left -= page.items.len();
            self.replay_page(page.items, &mut done).await?;
            done.next_cursor = page.next;
            if done.next_cursor.is_none() || self.clock.now() > deadline {
                break;
            }
        }
        Ok(done)
    }

    async fn source<'a>(&self, request: &'a ReplayRequest, span: Span) -> Result<Source<'a>, RecoveryError> {
        if let Some(id) = &request.message_id {
            return Ok(Source::Message(id));
        }
        if let Some(phone) = &request.phone_number_id {
            let keys = match &request.bot_id {
                Some(bot) => vec![number_key(Some(bot), phone)],
                None => {
                    let client = self.store.client(phone).await?;
                    let owned = client.map(|client| number_key(Some(&client.bot_id), phone));
                    owned.into_iter().chain([number_key(None, phone)]).collect()
                }
            };
            return Ok(Source::Number(keys));
        }
        if let Some(bot) = &request.bot_id {
            return Ok(Source::Bot(bot));
        }
        if let Some(owner) = &request.owner {
            return Ok(Source::Owner(owner));
        }
        let Some(quarantine) = &request.quarantine else { return Err(wrong("nothing is named")) };
        if let Some(id) = &quarantine.id {
            return Ok(Source::Quarantined(id));
        }
        if span.from.is_none() {
            return Err(wrong("name a day, from, or an id of the quarantine"));
        }
        Ok(Source::Days { reason: quarantine.reason.as_deref() })
    }

    async fn page(
        &self,
        source: &Source<'_>,
        span: Span,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Element>, RecoveryError> {
        match source {
            Source::Message(id) => {
                let message =
                    self.store.message(id).await?.ok_or_else(|| wrong("there is no such message"))?;
                Ok(Page { items: vec![message.into()], next: None })
            }
            Source::Number(keys) => self.number_page(keys, span, cursor, limit).await,
            Source::Bot(bot) => self.bot_page(bot, span, cursor, limit).await,
            Source::Owner(owner) => {
                let page = self.store.events_of(owner, cursor, limit).await?;
                let items = page.items.into_iter().filter(|event| span.holds(event.at));
                Ok(Page { items: items.map(Element::from).collect(), next: page.next })
            }
            Source::Quarantined(id) => {
                let item = self.store.quarantined(id).await?;
                let item = item.ok_or_else(|| wrong("there is no such item in quarantine"))?;
                Ok(Page { items: vec![item.into()], next: None })
            }
            Source::Days { reason } => self.days_page(*reason, span, cursor, limit).await,
        }
    }

    /// A cursor is the list's number and the position in it: `1~<position>`, or `1~` for its beginning.
    async fn number_page(
        &self,
        keys: &[String],
        span: Span,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Element>, RecoveryError> {
        let (list, before) = cursor.unwrap_or("0~").split_once('~').ok_or_else(bad_cursor)?;
        let list: usize = list.parse().map_err(|_| bad_cursor())?;
        let key = keys.get(list).ok_or_else(bad_cursor)?;
        let page = self.list(key, span, before, limit).await?;
        let next = match page.next {
            Some(before) => Some(format!("{list}~{before}")),
            None => (list + 1 < keys.len()).then(|| format!("{}~", list + 1)),
        };
        Ok(Page { items: page.items, next })
    }

    /// A cursor is the number and the position in its list: `<phoneNumberId>~<position>`; with `>` before it
    /// the number is done.
    async fn bot_page(
        &self,
        bot: &BotId,
        span: Span,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Element>, RecoveryError> {
        let (phone, before) = match cursor {
            Some(cursor) if !cursor.starts_with('>') => {
                let (phone, before) = cursor.split_once('~').ok_or_else(bad_cursor)?;
                (phone.parse::<PhoneNumberId>().map_err(|_| bad_cursor())?, before)
            }
            done => {
                let after = done.map(|cursor| &cursor[1..]);
                let clients = self.store.clients_of(bot, after, 1).await?;
                let Some(client) = clients.items.into_iter().next() else {
                    return Ok(Page { items: Vec::new(), next: None });
                };
                (client.phone_number_id, "")
            }
        };
        let page = self.list(&number_key(Some(bot), &phone), span, before, limit).await?;
        let next = page.next.map_or_else(|| format!(">{phone}"), |before| format!("{phone}~{before}"));
        Ok(Page { items: page.items, next: Some(next) })
    }

    async fn list(
        &self,
        key: &str,
        span: Span,
        before: &str,
        limit: usize,
    ) -> Result<Page<Element>, StoreError> {
        let (listing, before) = (Listing::Number(key.to_owned()), (!before.is_empty()).then_some(before));
        let page = self.store.list_messages(&listing, span.from, span.to, before, limit).await?;
        Ok(Page { items: page.items.into_iter().map(Element::from).collect(), next: page.next })
    }

    /// A cursor is the day and the position in it: `2026-11-21~<position>`, or with nothing behind it the
    /// day's beginning.
    async fn days_page(
        &self,
        reason: Option<&str>,
        span: Span,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Element>, RecoveryError> {
        let utc = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let first = utc(span.from.unwrap_or(Timestamp::UNIX_EPOCH));
        let last = utc(span.to.unwrap_or_else(|| self.clock.now()));
        let (day, after) = match cursor {
            None => (first, None),
            Some(cursor) => {
                let (day, after) = cursor.split_once('~').ok_or_else(bad_cursor)?;
                let day: Date = day.parse().map_err(|_| bad_cursor())?;
                (day, (!after.is_empty()).then_some(after))
            }
        };
        if day > last {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let page = self.store.quarantined_on(Shelf::Day(day), after, limit).await?;
        let wanted = |item: &Quarantined| {
            span.holds(item.received_at) && reason.is_none_or(|reason| item.reason == reason)
        };
        let items = page.items.into_iter().filter(wanted).map(Element::from).collect();
        let next = match page.next {
            Some(after) => Some(format!("{day}~{after}")),
            None => day.tomorrow().ok().filter(|next| *next <= last).map(|next| format!("{next}~")),
        };
        Ok(Page { items, next })
    }

    async fn replay_page(&self, elements: Vec<Element>, done: &mut Replayed) -> Result<(), StoreError> {
        let (elements, others): (Vec<_>, Vec<_>) =
            elements.into_iter().partition(|element| !element.bodies.is_empty());
        done.skipped += others.len();
        if done.dry_run {
            done.replayed += elements.len();
            done.items.extend(elements.into_iter().map(|element| element.found));
            return Ok(());
        }
        let silent = !done.answers;
        let results: Vec<_> = stream::iter(elements)
            .map(async |element| (self.parcels(&element, silent).await, element))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let (mut parcels, mut leaving, mut count) = (Vec::new(), Vec::new(), 0);
        for (result, element) in results {
            match result {
                Ok(packed) => {
                    count += 1;
                    parcels.extend(packed);
                    leaving.extend(element.quarantined.then_some(element.found.id));
                }
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(id = %element.found.id, error = %Chain(&error), "cannot be replayed");
                    done.damaged.push(element.found.id);
                }
                Err(error) => return Err(error),
            }
        }
        self.enqueue(&parcels, &leaving).await?;
        done.replayed += count;
        Ok(())
    }

    /// Puts parcels on the queue, and takes the items that they are of out of quarantine.
    ///
    /// Nothing is lost by deleting an item before ingest has recorded it: the queue is as durable as the
    /// table, and what fails there ends among the dead letters. But ingest may be faster than the deletion,
    /// and still not understand the item: it then quarantines it under the same id, takes the mark off by
    /// that, and the item stays.
    async fn enqueue(&self, parcels: &[Parcel], leaving: &[String]) -> Result<(), StoreError> {
        let leaving: Vec<&str> = leaving.iter().map(String::as_str).collect();
        let token = self.token();
        self.mark_all(&leaving, &token).await?;
        self.inbound.send_inbound(parcels, Duration::ZERO).await?;
        self.remove_all(&leaving, &token).await
    }

    async fn parcels(&self, element: &Element, silent: bool) -> Result<Vec<Parcel>, StoreError> {
        let mut parcels = Vec::new();
        for raw in &element.bodies {
            let bytes = stored_bytes(self.store, raw).await?;
            let packed = pack(&bytes, element.received_at).into_iter();
            parcels.extend(packed.map(|parcel| Parcel { silent, ..parcel }));
        }
        Ok(parcels)
    }
}
