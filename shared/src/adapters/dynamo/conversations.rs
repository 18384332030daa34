//! Conversations, and the names that customers are known by.

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::table::{Item, Range, Table, Write};
use super::values::{Millis, millis, nested, record, s, text, time};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::conversation::{
    Conversation, ConversationTouch, CustomerKey, CustomerNames, RecipientMark, RecipientMarks,
    SERVICE_WINDOW, TouchedBy,
};
use crate::domain::ids::{BotId, ConversationId, PhoneNumberId};
use crate::domain::message::{number_key, time_key};
use crate::error::StoreError;
use crate::ports::{
    ClaimConversations, ConversationClaim, EraseConversations, ListConversations, MarkRecipients, NoteAway,
    Page, PauseConversations, ReadConversations, ResolveCustomers, SetPauses, TouchConversations,
};

const GET: &str = "dynamodb GetItem on conversations";
const PUT: &str = "dynamodb PutItem on conversations";
const UPDATE: &str = "dynamodb UpdateItem on conversations";
const BATCH_GET: &str = "dynamodb BatchGetItem on conversations";
const QUERY: &str = "dynamodb Query on conversations";
const DELETE: &str = "dynamodb DeleteItem on conversations";

/// The table `conversations`: one item per client and customer, and one per name of a customer.
#[derive(Debug, Clone)]
pub struct Conversations(Table);

impl Conversations {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }
}

/// A conversation without its claim, whose attributes (`claimOwner`, `claimUntil`) are written alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    conversation_id: ConversationId,
    bot_id: BotId,
    phone_number_id: PhoneNumberId,
    customer: CustomerNames,
    named_at: Option<Millis>,
    last_message_at: Millis,
    window_ends_at: Option<Millis>,
    referred_at: Option<Millis>,
    free_until: Option<Millis>,
    paused_until: Option<Millis>,
    away_at: Option<Millis>,
    unreachable_at: Option<Millis>,
    marketing_stopped_at: Option<Millis>,
    marketing_resumed_at: Option<Millis>,
}

fn conversation(item: Item) -> Stored<Conversation> {
    let record: Record = record("conversations", item)?;
    Ok(Conversation {
        id: record.conversation_id,
        bot_id: record.bot_id,
        phone_number_id: record.phone_number_id,
        customer: record.customer,
        named_at: record.named_at.map(|t| t.0),
        last_message_at: record.last_message_at.0,
        window_ends_at: record.window_ends_at.map(|t| t.0),
        referred_at: record.referred_at.map(|t| t.0),
        free_until: record.free_until.map(|t| t.0),
        paused_until: record.paused_until.map(|t| t.0),
        away_at: record.away_at.map(|t| t.0),
        marks: RecipientMarks {
            unreachable_at: record.unreachable_at.map(|t| t.0),
            marketing_stopped_at: record.marketing_stopped_at.map(|t| t.0),
            marketing_resumed_at: record.marketing_resumed_at.map(|t| t.0),
        },
    })
}

fn key(id: &ConversationId) -> (&'static str, &str) {
    ("conversationId", id.as_ref())
}

// ---- names -----------------------------------------------------------------------------------

/// Where a name is. No conversation's id has a customer that begins like this.
fn alias_key(phone: &PhoneNumberId, name: &CustomerKey) -> String {
    format!("{phone}.alias.{}", name.as_ref())
}

fn customer_key(alias: &Item) -> Stored<CustomerKey> {
    let key = text(alias, "customerKey").unwrap_or_default().to_owned();
    CustomerKey::try_from(key).map_err(|e| StoreError::corrupt("conversations", e))
}

impl Conversations {
    /// Makes a name lead to a customer; answers the customer that it leads to, another one if another
    /// copy was faster.
    async fn put_alias(
        &self,
        phone: &PhoneNumberId,
        name: &CustomerKey,
        customer: &CustomerKey,
    ) -> Stored<CustomerKey> {
        let alias = Item::from([
            ("conversationId".to_owned(), s(alias_key(phone, name))),
            ("customerKey".to_owned(), s(customer.as_ref())),
            ("aliasOf".to_owned(), s(ConversationId::new(phone, customer).as_ref())),
        ]);
        let condition = Expression::when("attribute_not_exists(#conversationId)");
        match self.0.put(PUT, alias, condition).await? {
            Write::Done(_) => Ok(customer.clone()),
            Write::Refused(known) => customer_key(&known),
        }
    }
}

impl ResolveCustomers for Conversations {
    async fn resolve_customer(&self, phone: &PhoneNumberId, names: &CustomerNames) -> Stored<CustomerKey> {
        let names = names.aliases();
        let keys: Vec<String> = names.iter().map(|name| alias_key(phone, name)).collect();
        let known = self.0.get_all(BATCH_GET, "conversationId", &keys).await?;
        let Some(best) = known.first().map(customer_key).transpose()?.or_else(|| names.first().cloned())
        else {
            return Err(StoreError::corrupt("conversations", "a customer without a name"));
        };
        let is_missing =
            |key: &String| !known.iter().any(|alias| text(alias, "conversationId") == Some(key.as_str()));
        let is_best_missing = keys.first().is_some_and(is_missing);
        // The lesser name first: a copy that knows only this one is then met before the better name is
        // given away, and both end with the same customer.
        let mut customer = best;
        for (name, _) in names.iter().zip(&keys).rev().filter(|(_, key)| is_missing(key)) {
            let winner = self.put_alias(phone, name, &customer).await?;
            if is_best_missing {
                customer = winner;
            }
        }
        Ok(customer)
    }

    async fn find_customer(&self, phone: &PhoneNumberId, name: &CustomerKey) -> Stored<Option<CustomerKey>> {
        let alias = self.0.get(GET, ("conversationId", &alias_key(phone, name))).await?;
        alias.as_ref().map(customer_key).transpose()
    }

    async fn add_alias(&self, phone: &PhoneNumberId, old: &CustomerKey, new: &CustomerKey) -> Stored<()> {
        if let Some(customer) = self.find_customer(phone, old).await? {
            self.put_alias(phone, new, &customer).await?;
        }
        Ok(())
    }
}

// ---- conversations ---------------------------------------------------------------------------

impl TouchConversations for Conversations {
    async fn touch_conversation(&self, touch: &ConversationTouch) -> Stored<()> {
        let first = self.0.update(UPDATE, key(&touch.id), newest(touch)?).await?;
        let (Write::Done(mut item) | Write::Refused(mut item)) = first;
        for _ in 0..MOST_TRIES {
            let known = conversation(item.clone())?;
            let mut next = known.clone();
            next.take(touch);
            if next == known {
                return Ok(());
            }
            match self.0.update(UPDATE, key(&touch.id), replace(item, &next)?).await? {
                Write::Done(_) => return Ok(()),
                Write::Refused(now) => item = now,
            }
        }
        Err(StoreError::service(UPDATE, "others wrote to the conversation all the time"))
    }
}

/// How often a change is tried again because somebody else wrote to the conversation meanwhile. Each time means that
/// one of them got through.
const MOST_TRIES: usize = 16;

/// What a touch does that is the newest of all, brings no new names and opens no free entry point: nearly each one,
/// and so one write. [`Conversation::take`] says what is left to do.
fn newest(touch: &ConversationTouch) -> Stored<Expression> {
    let is_newest = "attribute_not_exists(#conversationId) OR #lastMessageAt <= :lastMessageAt";
    let customer = nested("conversations", &touch.customer)?;
    let change = Expression::when(is_newest).set_if_missing("customer", customer);
    let change = match touch.by.tells_names() {
        true => change.set("namedAt", millis(touch.at)),
        false => change,
    };
    let change = change
        .set("lastMessageAt", millis(touch.at))
        .set("timeKey", s(time_key(touch.at, touch.id.as_ref())))
        .set("botId", s(touch.bot_id.as_ref()))
        .set("phoneNumberId", s(touch.id.phone_number_id()))
        .set("numberKey", s(touch.number_key()));
    let change = match touch.by.opens_the_window() {
        true => change.set("windowEndsAt", millis(touch.at + SERVICE_WINDOW)),
        false => change,
    };
    Ok(match touch.by {
        TouchedBy::ReferredCustomer => change.set("referredAt", millis(touch.at)),
        _ => change,
    })
}

/// Makes of the item what the conversation is now, if nobody touched it meanwhile.
fn replace(item: Item, now: &Conversation) -> Stored<Expression> {
    let read = ["botId", "customer", "namedAt", "lastMessageAt", "windowEndsAt", "referredAt", "freeUntil"];
    let unchanged: Vec<String> = read
        .iter()
        .map(|name| match item.contains_key(*name) {
            true => format!("#{name} = :was{name}"),
            false => format!("attribute_not_exists(#{name})"),
        })
        .collect();
    let mut change = Expression::when(&unchanged.join(" AND "));
    for (name, value) in item.into_iter().filter(|(name, _)| read.contains(&name.as_str())) {
        change = change.value(&format!("was{name}"), value);
    }
    let change = change
        .set("lastMessageAt", millis(now.last_message_at))
        .set("timeKey", s(now.time_key()))
        .set("botId", s(now.bot_id.as_ref()))
        .set("numberKey", s(number_key(Some(&now.bot_id), &now.phone_number_id)))
        .set("customer", nested("conversations", &now.customer)?);
    let times = [
        ("namedAt", now.named_at),
        ("windowEndsAt", now.window_ends_at),
        ("referredAt", now.referred_at),
        ("freeUntil", now.free_until),
    ];
    let times = times.into_iter().filter_map(|(name, time)| Some((name, millis(time?))));
    Ok(times.fold(change, |change, (name, time)| change.set(name, time)))
}

impl PauseConversations for Conversations {
    async fn pause_conversation(&self, id: &ConversationId, until: Timestamp) -> Stored<()> {
        let longer = "attribute_exists(#conversationId) \
                      AND (attribute_not_exists(#pausedUntil) OR #pausedUntil < :pausedUntil)";
        let change = Expression::when(longer).set("pausedUntil", millis(until));
        self.0.update(UPDATE, key(id), change).await?;
        Ok(())
    }
}

impl SetPauses for Conversations {
    async fn set_pause(&self, id: &ConversationId, until: Option<Timestamp>) -> Stored<bool> {
        let known = Expression::when("attribute_exists(#conversationId)");
        let change = match until {
            Some(until) => known.set("pausedUntil", millis(until)),
            None => known.remove("pausedUntil"),
        };
        Ok(matches!(self.0.update(UPDATE, key(id), change).await?, Write::Done(_)))
    }
}

impl NoteAway for Conversations {
    async fn note_away(&self, id: &ConversationId, at: Timestamp) -> Stored<()> {
        let later = "attribute_exists(#conversationId) \
                     AND (attribute_not_exists(#awayAt) OR #awayAt < :awayAt)";
        let change = Expression::when(later).set("awayAt", millis(at));
        self.0.update(UPDATE, key(id), change).await?;
        Ok(())
    }
}

impl MarkRecipients for Conversations {
    async fn mark_recipient(&self, contact: &ConversationTouch, mark: RecipientMark) -> Stored<()> {
        let name = match mark {
            RecipientMark::Unreachable => "unreachableAt",
            RecipientMark::MarketingStopped => "marketingStoppedAt",
            RecipientMark::MarketingResumed => "marketingResumedAt",
        };
        let newer = format!("attribute_not_exists(#{name}) OR #{name} < :{name}");
        let change = Expression::when(&newer)
            .set(name, millis(contact.at))
            .set_if_missing("lastMessageAt", millis(contact.at))
            .set_if_missing("timeKey", s(time_key(contact.at, contact.id.as_ref())))
            .set_if_missing("botId", s(contact.bot_id.as_ref()))
            .set_if_missing("phoneNumberId", s(contact.id.phone_number_id()))
            .set_if_missing("numberKey", s(contact.number_key()))
            .set_if_missing("customer", nested("conversations", &contact.customer)?);
        self.0.update(UPDATE, key(&contact.id), change).await?;
        Ok(())
    }
}

impl ClaimConversations for Conversations {
    async fn claim_conversation(
        &self,
        id: &ConversationId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Stored<ConversationClaim> {
        let condition = "attribute_exists(#conversationId) \
                         AND (attribute_not_exists(#claimUntil) OR #claimUntil <= :now)";
        let change = Expression::when(condition)
            .value("now", millis(now))
            .set("claimOwner", s(owner))
            .set("claimUntil", millis(until));
        match self.0.update(UPDATE, key(id), change).await? {
            Write::Done(item) => Ok(ConversationClaim::Won(Box::new(conversation(item)?))),
            Write::Refused(item) => {
                Ok(time(&item, "claimUntil").map_or(ConversationClaim::Unknown, ConversationClaim::Busy))
            }
        }
    }

    async fn release_conversation(&self, id: &ConversationId, owner: &str) -> Stored<()> {
        let change = Expression::when("#claimOwner = :owner")
            .value("owner", s(owner))
            .remove("claimOwner")
            .remove("claimUntil");
        self.0.update(UPDATE, key(id), change).await?;
        Ok(())
    }
}

impl ReadConversations for Conversations {
    async fn conversation(&self, id: &ConversationId) -> Stored<Option<Conversation>> {
        self.0.get(GET, key(id)).await?.map(conversation).transpose()
    }
}

impl ListConversations for Conversations {
    async fn list_conversations(
        &self,
        number: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Stored<Page<Conversation>> {
        let range = Range {
            index: Some("byNumber"),
            condition: "#numberKey = :number AND #timeKey < :before",
            // No time is as late.
            values: vec![("number", s(number)), ("before", s(before.unwrap_or("\u{10FFFF}")))],
            attributes: &[],
            ascending: false,
            consistent: false,
            // One more than wanted, which says whether there is a next page.
            limit: Some(limit.saturating_add(1)),
        };
        let mut found = self.0.query(QUERY, range).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let ids: Vec<String> =
            found.iter().filter_map(|item| text(item, "conversationId")).map(str::to_owned).collect();
        let items = self.0.get_all(BATCH_GET, "conversationId", &ids).await?;
        let next = found.last().filter(|_| more).and_then(|item| text(item, "timeKey")).map(str::to_owned);
        Ok(Page { items: items.into_iter().map(conversation).collect::<Stored<_>>()?, next })
    }

    async fn names_of(&self, id: &ConversationId) -> Stored<Vec<CustomerKey>> {
        let range = Range {
            index: Some("byCustomer"),
            condition: "#aliasOf = :id",
            values: vec![("id", s(id.as_ref()))],
            attributes: &[],
            ascending: true,
            consistent: false,
            limit: None,
        };
        let found = self.0.query(QUERY, range).await?;
        let prefix = format!("{}.alias.", id.phone_number_id());
        let names = found.iter().filter_map(|item| text(item, "conversationId")?.strip_prefix(&prefix));
        names
            .map(|n| CustomerKey::try_from(n.to_owned()).map_err(|e| StoreError::corrupt("conversations", e)))
            .collect()
    }
}

impl EraseConversations for Conversations {
    async fn erase_conversation(&self, id: &ConversationId, names: &[CustomerKey]) -> Stored<()> {
        self.0.delete(DELETE, key(id), Expression::default()).await?;
        for name in names {
            let alias = alias_key(&id.phone_number_id(), name);
            // Another customer's by now, it stays.
            let ours = Expression::when("#aliasOf = :id").value("id", s(id.as_ref()));
            self.0.delete(DELETE, ("conversationId", &alias), ours).await?;
        }
        Ok(())
    }
}
