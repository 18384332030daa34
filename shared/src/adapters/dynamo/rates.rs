//! How fast may be sent.

use std::collections::HashMap;
use std::time::Duration;

use super::expression::Expression;
use super::table::{Item, Table, Write};
use super::values::{millis, n, number, seconds, text, time};
use super::{Client, Stored};
use crate::domain::Timestamp;
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::domain::rate::{Brake, PAIR_INTERVAL, Pair, PairTurn, RateKey, Slowed};
use crate::ports::{ErasePairs, Rates as Port};

const KEY: &str = "rateId";
const UPDATE: &str = "dynamodb UpdateItem on rates";
/// How often a write looks again at a record that changes under it.
const TRIES: usize = 3;
/// How long after its use a record may go. What it holds back is over long before.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to wait where a record changes faster than it can be written.
const CROWDED: Duration = Duration::from_secs(1);

/// The table `rates`: brakes, one item per app, account and number; one item per number and second in
/// which it sends; one item per number and customer.
#[derive(Debug, Clone)]
pub struct Rates(Table);

impl Rates {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    async fn item(&self, key: &str) -> Stored<Item> {
        Ok(self.0.get("dynamodb GetItem on rates", (KEY, key)).await?.unwrap_or_default())
    }
}

fn brake_id(key: &RateKey) -> String {
    match key {
        RateKey::App => "app".to_owned(),
        RateKey::Account(waba) => format!("account#{waba}"),
        RateKey::Number(phone) => format!("number#{phone}"),
    }
}

fn pair_id(pair: &ConversationId) -> String {
    format!("pair#{}", pair.as_ref())
}

fn brake(item: &Item) -> Brake {
    let halvings = number(item, "halvings").and_then(|halvings| u32::try_from(halvings).ok());
    let slowed = halvings.zip(time(item, "slowedAt"));
    Brake {
        held_until: time(item, "heldUntil"),
        slowed: slowed.map(|(halvings, at)| Slowed { halvings, at }),
    }
}

fn pair(item: &Item) -> Pair {
    Pair {
        whole_at: time(item, "wholeAt"),
        held_until: time(item, "heldUntil"),
        refusals: number(item, "refusals").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
    }
}

impl Port for Rates {
    async fn brakes(&self, on: &[RateKey]) -> Stored<Vec<Brake>> {
        let keys: Vec<String> = on.iter().map(brake_id).collect();
        let items = self.0.get_all("dynamodb BatchGetItem on rates", KEY, &keys).await?;
        let known: HashMap<_, _> =
            items.iter().filter_map(|item| Some((text(item, KEY)?, brake(item)))).collect();
        Ok(keys.iter().map(|key| known.get(key.as_str()).copied().unwrap_or_default()).collect())
    }

    async fn hold(&self, on: &RateKey, until: Timestamp) -> Stored<()> {
        let change = Expression::when("attribute_not_exists(#heldUntil) OR #heldUntil < :heldUntil")
            .set("heldUntil", millis(until))
            .set("expiresAt", seconds(until + KEPT));
        self.0.update(UPDATE, (KEY, &brake_id(on)), change).await?;
        Ok(())
    }

    async fn slow_number(&self, id: &PhoneNumberId, now: Timestamp) -> Stored<Brake> {
        let key = brake_id(&RateKey::Number(id.clone()));
        let known = brake(&self.item(&key).await?);
        let Some(slowed) = Slowed::again(known.slowed.as_ref(), now) else { return Ok(known) };
        let change = match known.slowed {
            None => Expression::when("attribute_not_exists(#slowedAt)"),
            Some(known) => Expression::when("#slowedAt = :known").value("known", millis(known.at)),
        };
        let change = change
            .set("slowedAt", millis(slowed.at))
            .set("halvings", n(slowed.halvings.into()))
            .set("expiresAt", seconds(now + KEPT));
        // Who was faster was told the same by Meta.
        match self.0.update(UPDATE, (KEY, &key), change).await? {
            Write::Done(item) | Write::Refused(item) => Ok(brake(&item)),
        }
    }

    async fn reserve(&self, id: &PhoneNumberId, now: Timestamp, wanted: u32, limit: u32) -> Stored<u32> {
        let key = format!("second#{id}#{}", now.as_second());
        let mut block = wanted.min(limit);
        for _ in 0..TRIES {
            if block == 0 {
                break;
            }
            let change = Expression::when("attribute_not_exists(#taken) OR #taken <= :room")
                .value("room", n(i64::from(limit - block)))
                .value("zero", n(0))
                .value("block", n(block.into()))
                .assign("#taken = if_not_exists(#taken, :zero) + :block")
                .set("expiresAt", seconds(now + KEPT));
            match self.0.update(UPDATE, (KEY, &key), change).await? {
                Write::Done(_) => return Ok(block),
                Write::Refused(item) => {
                    let taken = number(&item, "taken").unwrap_or(0);
                    block = u32::try_from(i64::from(limit) - taken).unwrap_or(0).min(wanted);
                }
            }
        }
        Ok(0)
    }

    async fn take_turn(&self, id: &ConversationId, now: Timestamp) -> Stored<PairTurn> {
        let key = pair_id(id);
        // A customer who heard nothing of late, nearly always, costs one write; one in a burst two.
        let mut whole_at = None;
        for _ in 0..TRIES {
            let next = Pair { whole_at, ..Pair::default() }.taken(now).whole_at.unwrap_or(now);
            let free = "(attribute_not_exists(#heldUntil) OR #heldUntil <= :now)";
            let change = match whole_at {
                None => Expression::when(&format!(
                    "{free} AND (attribute_not_exists(#wholeAt) OR #wholeAt <= :now)"
                ))
                .set("wholeAt", millis(next)),
                // Others may count on at the same time.
                Some(_) => Expression::when(&format!("{free} AND #wholeAt > :now AND #wholeAt <= :latest"))
                    .value("latest", millis(Pair::latest(now)))
                    .value("interval", n(i64::try_from(PAIR_INTERVAL.as_millis()).unwrap_or(i64::MAX)))
                    .assign("#wholeAt = #wholeAt + :interval"),
            };
            let change = change.value("now", millis(now)).set("expiresAt", seconds(next + KEPT));
            match self.0.update(UPDATE, (KEY, &key), change).await? {
                Write::Done(item) => return Ok(PairTurn::Now { refusals: pair(&item).refusals }),
                Write::Refused(item) => {
                    let known = pair(&item);
                    if let Some(until) = known.not_before(now) {
                        return Ok(PairTurn::NotBefore(until));
                    }
                    whole_at = known.whole_at.filter(|at| *at > now);
                }
            }
        }
        Ok(PairTurn::NotBefore(now + CROWDED))
    }

    async fn back_off(&self, id: &ConversationId, now: Timestamp) -> Stored<Timestamp> {
        let key = pair_id(id);
        let known = pair(&self.item(&key).await?);
        if let Some(until) = known.held_until.filter(|until| *until > now) {
            return Ok(until);
        }
        let refused = known.refused(now);
        let until = refused.held_until.unwrap_or(now);
        let change = match known.held_until {
            None => Expression::when("attribute_not_exists(#heldUntil)"),
            Some(known) => Expression::when("#heldUntil = :known").value("known", millis(known)),
        };
        let change = change
            .set("heldUntil", millis(until))
            .set("refusals", n(refused.refusals.into()))
            .set("expiresAt", seconds(until + KEPT));
        match self.0.update(UPDATE, (KEY, &key), change).await? {
            Write::Done(_) => Ok(until),
            Write::Refused(item) => Ok(pair(&item).held_until.unwrap_or(now)),
        }
    }

    async fn forgive(&self, id: &ConversationId) -> Stored<()> {
        let change = Expression::when("attribute_exists(#refusals)").remove("refusals").remove("heldUntil");
        self.0.update(UPDATE, (KEY, &pair_id(id)), change).await?;
        Ok(())
    }
}

impl ErasePairs for Rates {
    async fn erase_pair(&self, pair: &ConversationId) -> Stored<()> {
        self.0.delete("dynamodb DeleteItem on rates", (KEY, &pair_id(pair)), Expression::default()).await?;
        Ok(())
    }
}
