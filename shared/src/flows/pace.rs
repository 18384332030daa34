//! Not faster than Meta allows: whoever may not send now learns until when to wait, before anything is
//! written or called. What Meta's answers teach is shared by all copies through [`Rates`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::client::{Client, Pause};
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::domain::meta_error::{MetaError, Scope};
use crate::domain::rate::{Brake, PairTurn, RateKey, Usage};
use crate::error::StoreError;
use crate::ports::Rates;

/// For how long brakes are not read again. Other copies go on for so long after a refusal; shorter costs
/// more reads of the app's one key.
const FRESH: Duration = Duration::from_secs(3);
/// Bounds memory; far more than one sandbox serves at a time.
const MOST: usize = 1000;

/// Why nothing may be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Until when.
    pub until: Timestamp,
    /// What has to wait.
    pub reason: HeldReason,
    /// Meta's error, if a call was made and refused for it.
    pub error: Option<MetaError>,
}

/// What has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldReason {
    /// The client: nothing is sent for it until somebody mended the cause.
    Paused(Pause),
    /// All that our app sends.
    App,
    /// All that the account sends.
    Account,
    /// All that the number sends.
    Number,
    /// What the number sends to this customer.
    Pair,
}

impl Held {
    /// Before any call.
    pub(super) fn new(until: Timestamp, reason: HeldReason) -> Self {
        Self { until, reason, error: None }
    }
}

/// What one process remembers: the brakes of a moment ago, and the messages that it reserved.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    brakes: HashMap<RateKey, (Brake, Timestamp)>,
    blocks: HashMap<PhoneNumberId, Block>,
}

/// Messages of one number in one second that this process reserved. What is left is good in that second
/// only: the next one begins with a full budget for everybody.
#[derive(Debug, Clone, Copy)]
struct Block {
    second: i64,
    left: u32,
    /// Of the newest reservation: doubles while it is used up, halves when it is not.
    size: u32,
    /// The number's budget of this second is used up.
    is_over: bool,
}

enum Draw {
    Taken,
    Over,
    Reserve(u32),
}

impl Block {
    fn draw(known: Option<&mut Self>, second: i64, limit: u32) -> Draw {
        let most = (limit / 4).max(1);
        match known {
            Some(block) if block.second == second => match block.left {
                0 if block.is_over => Draw::Over,
                0 => Draw::Reserve((block.size * 2).min(most)),
                _ => {
                    block.left -= 1;
                    Draw::Taken
                }
            },
            Some(block) if block.second + 1 == second => {
                let unused = block.left > 0 && block.left * 2 >= block.size;
                let size = if unused { block.size / 2 } else { block.size };
                Draw::Reserve(size.clamp(1, most))
            }
            _ => Draw::Reserve(1),
        }
    }
}

impl Pace {
    /// Takes the right to send one message; else until when to wait. Answers the pair's refusals so far,
    /// which a success must end. `pair` is `None` for a group, which has no such limit.
    ///
    /// # Errors
    /// [`StoreError`]: it is not known. Meta would say so, too.
    pub async fn turn(
        &self,
        rates: &impl Rates,
        client: &Client,
        pair: Option<&ConversationId>,
        now: Timestamp,
    ) -> Result<Result<u32, Held>, StoreError> {
        if let Some(held) = self.braked(rates, client, now).await? {
            return Ok(Err(held));
        }
        let phone = &client.phone_number_id;
        if !self.take(rates, client, now).await? {
            return Ok(Err(Held::new(next_second(now), HeldReason::Number)));
        }
        let Some(pair) = pair else { return Ok(Ok(0)) };
        match rates.take_turn(pair, now).await? {
            PairTurn::Now { refusals } => Ok(Ok(refusals)),
            PairTurn::NotBefore(until) => {
                self.give_back(phone, now);
                Ok(Err(Held::new(until, HeldReason::Pair)))
            }
        }
    }

    /// What keeps the client back as a whole, apart from its own pause. Counts nothing.
    ///
    /// # Errors
    /// [`StoreError`]: it is not known.
    pub async fn braked(
        &self,
        rates: &impl Rates,
        client: &Client,
        now: Timestamp,
    ) -> Result<Option<Held>, StoreError> {
        let keys = [
            (RateKey::App, HeldReason::App),
            (RateKey::Account(client.waba_id.clone()), HeldReason::Account),
            (RateKey::Number(client.phone_number_id.clone()), HeldReason::Number),
        ];
        let stale: Vec<RateKey> =
            keys.iter().map(|(key, _)| key).filter(|key| self.brake(key, now).is_none()).cloned().collect();
        if !stale.is_empty() {
            let brakes = rates.brakes(&stale).await?;
            stale.into_iter().zip(brakes).for_each(|(key, brake)| self.keep(key, brake, now));
        }
        let held = keys.into_iter().filter_map(|(key, reason)| {
            let until = self.brake(&key, now)?.held_until.filter(|until| *until > now)?;
            Some(Held::new(until, reason))
        });
        Ok(held.max_by_key(|held| held.until))
    }

    /// Takes a limit of Meta's into account; until when to wait with what met it.
    ///
    /// # Errors
    /// [`StoreError`]: other copies do not know of it yet.
    pub async fn slow_down(
        &self,
        rates: &impl Rates,
        client: &Client,
        pair: Option<&ConversationId>,
        (scope, pause): (Scope, Duration),
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let until = now + pause;
        let key = match (scope, pair) {
            (Scope::Pair, Some(pair)) => return rates.back_off(pair, now).await,
            (Scope::Pair, None) | (Scope::Request, _) => return Ok(until),
            (Scope::Rate, _) => {
                let brake = rates.slow_number(&client.phone_number_id, now).await?;
                self.keep(RateKey::Number(client.phone_number_id.clone()), brake, now);
                return Ok(until);
            }
            (Scope::Number, _) => RateKey::Number(client.phone_number_id.clone()),
            (Scope::Account, _) => RateKey::Account(client.waba_id.clone()),
            (Scope::App, _) => RateKey::App,
        };
        self.hold(rates, key, until).await?;
        Ok(until)
    }

    /// Heeds what Meta says of its limits before they are hit.
    ///
    /// # Errors
    /// [`StoreError`]: other copies do not know of it yet.
    pub async fn heed(&self, rates: &impl Rates, told: Vec<Usage>, now: Timestamp) -> Result<(), StoreError> {
        for usage in told {
            let Some(pause) = usage.pause() else { continue };
            let known = self.brake(&usage.key, now).and_then(|brake| brake.held_until);
            // Sends that were on their way together are told the same: one writes it.
            if known.is_none_or(|until| until <= now) {
                tracing::warn!(limit = ?usage.key, percent = usage.percent, "close to a limit of Meta's");
                self.hold(rates, usage.key, now + pause).await?;
            }
        }
        Ok(())
    }

    async fn hold(&self, rates: &impl Rates, key: RateKey, until: Timestamp) -> Result<(), StoreError> {
        rates.hold(&key, until).await?;
        // Read anew before the next send, with what else may be there.
        self.lock().brakes.remove(&key);
        Ok(())
    }

    /// One of the number's messages of this second; `false` if there is none left.
    async fn take(&self, rates: &impl Rates, client: &Client, now: Timestamp) -> Result<bool, StoreError> {
        let (phone, second) = (&client.phone_number_id, now.as_second());
        let slowed = self.brake(&RateKey::Number(phone.clone()), now).and_then(|brake| brake.slowed);
        let rate = client.messages_per_second();
        let limit = slowed.map_or(rate, |slowed| slowed.of(rate, now));
        let draw = Block::draw(self.lock().blocks.get_mut(phone), second, limit);
        let wanted = match draw {
            Draw::Taken => return Ok(true),
            Draw::Over => return Ok(false),
            Draw::Reserve(wanted) => wanted,
        };
        let got = rates.reserve(phone, now, wanted, limit).await?;
        let mut memory = self.lock();
        if memory.blocks.len() >= MOST {
            memory.blocks.clear();
        }
        let block = Block { second, left: got.saturating_sub(1), size: wanted, is_over: got < wanted };
        memory.blocks.insert(phone.clone(), block);
        Ok(got > 0)
    }

    fn give_back(&self, phone: &PhoneNumberId, now: Timestamp) {
        if let Some(block) = self.lock().blocks.get_mut(phone).filter(|b| b.second == now.as_second()) {
            block.left += 1;
        }
    }

    fn brake(&self, key: &RateKey, now: Timestamp) -> Option<Brake> {
        let memory = self.lock();
        let (brake, since) = memory.brakes.get(key)?;
        (now < *since + FRESH).then_some(*brake)
    }

    fn keep(&self, key: RateKey, brake: Brake, now: Timestamp) {
        let mut memory = self.lock();
        if memory.brakes.len() >= MOST {
            memory.brakes.clear();
        }
        memory.brakes.insert(key, (brake, now));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

fn next_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second() + 1).unwrap_or(now)
}

#[cfg(test)]
mod tests;
