//! The load: customers who write in bursts and are delivered twice and more, and a partner's software that
//! sends with an Idempotency-Key and repeats what it did not hear of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::clients::Client;
use super::random::Rng;
use super::wire::Wire;

/// Customers who talk at the same time, per message a second.
const CUSTOMERS_PER_RATE: f64 = 3.0;
const FEWEST_CUSTOMERS: usize = 6;
/// Messages of one customer; then another one comes. Meta lets a number send 45 at once to one customer.
const MESSAGES_OF_CUSTOMER: u32 = 10;
/// Of a thousand messages: how many are one more of a burst, and how many are delivered several times.
const BURST: u32 = 350;
const REPEATED: u32 = 250;
/// Of a thousand messages: after how many the partner's software writes, too.
const API_SENDS: u32 = 250;
/// Of a thousand heard answers to such a send: how many are asked for once more.
const ASKED_AGAIN: u32 = 100;
/// How long the partner's software repeats a call.
const CALLER_PATIENCE: Duration = Duration::from_secs(150);

/// A message that a customer wrote.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) wamid: String,
    pub(super) customer: String,
}

/// A send of the partner's software, when it knew how it ended or gave up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) customer: String,
    /// No other message has it.
    pub(super) text: String,
    pub(super) outcome: Outcome,
    /// Calls that it took.
    pub(super) calls: u32,
}

/// What the partner's software heard in the end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// 200 with this message id.
    Accepted(String),
    /// 202 with this message id and the answer's word: `uncertain` or `queued`.
    Unclear(String, String),
    /// A refusal that will not change, by its code.
    Refused(String),
    /// A repetition answered otherwise than the first time.
    Contradicted(String),
    /// Only errors, until it gave up; the last one.
    GaveUp(String),
}

/// Everything that was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) written: Vec<Written>,
    pub(super) sent: Vec<Sent>,
    /// Webhook deliveries that customers' messages were to cause, repetitions included.
    pub(super) copies: u64,
}

/// The load, which may run several times.
pub(super) struct Load {
    shared: Arc<Shared>,
    customers: Vec<Customer>,
    next_customer: u32,
    rng: Rng,
    running: JoinSet<()>,
}

struct Shared {
    wire: Wire,
    done: Mutex<Done>,
    failed: Mutex<Option<anyhow::Error>>,
}

#[derive(Clone)]
struct Customer {
    wa_id: String,
    client: Client,
    wrote: u32,
}

impl Load {
    pub(super) fn new(wire: Wire, seed: u64) -> Self {
        let shared = Shared { wire, done: Mutex::default(), failed: Mutex::default() };
        Self {
            shared: Arc::new(shared),
            customers: Vec::new(),
            next_customer: 0,
            rng: Rng::part(seed, 3),
            running: JoinSet::new(),
        }
    }

    /// Writes for so long, so many messages a second, and at most so many; how many were written.
    pub(super) async fn run(
        &mut self,
        clients: &[Client],
        rate: f64,
        lasts: Duration,
        most: u64,
    ) -> Result<u64> {
        let started = Instant::now();
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let talking = FEWEST_CUSTOMERS.max((rate * CUSTOMERS_PER_RATE) as usize);
        let mut last = None;
        let mut count = 0;
        while started.elapsed() < lasts && count < most {
            ticks.tick().await;
            let again = last.filter(|_| self.rng.permille(BURST));
            let who = again.unwrap_or_else(|| self.somebody(clients, talking));
            last = Some(who);
            self.write(clients, who);
            count += 1;
            if let Some(error) = lock(&self.shared.failed).take() {
                return Err(error);
            }
        }
        Ok(count)
    }

    /// Waits for all calls that were begun.
    pub(super) async fn finish(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    pub(super) fn done(&self) -> Done {
        lock(&self.shared.done).clone()
    }

    fn somebody(&mut self, clients: &[Client], talking: usize) -> usize {
        if self.customers.len() < talking {
            let customer = self.new_customer(clients);
            self.customers.push(customer);
            return self.customers.len() - 1;
        }
        self.rng.below(talking)
    }

    /// With an invented number: 555.
    fn new_customer(&mut self, clients: &[Client]) -> Customer {
        self.next_customer += 1;
        let client = clients[self.rng.below(clients.len())].clone();
        Customer { wa_id: format!("1555{:07}", self.next_customer), client, wrote: 0 }
    }

    fn write(&mut self, clients: &[Client], who: usize) {
        if self.customers[who].wrote >= MESSAGES_OF_CUSTOMER {
            self.customers[who] = self.new_customer(clients);
        }
        self.customers[who].wrote += 1;
        let customer = self.customers[who].clone();
        let repeat = if self.rng.permille(REPEATED) { self.rng.between(2, 4) } else { 1 };
        let answered = (customer.wrote > 1 && self.rng.permille(API_SENDS)).then(|| self.rng.next());
        let again = self.rng.permille(ASKED_AGAIN);
        let shared = self.shared.clone();
        self.running.spawn(async move {
            if let Err(error) = shared.write(&customer, repeat).await {
                lock(&shared.failed).get_or_insert(error);
            }
            if let Some(id) = answered {
                shared.send(&customer, id, again).await;
            }
        });
    }
}

impl Shared {
    async fn write(&self, customer: &Customer, repeat: u64) -> Result<()> {
        let text = format!("Message {} of {}", customer.wrote, customer.wa_id);
        let message = json!({"type": "text", "text": {"body": text}});
        let body = json!({"to": customer.client.phone, "message": message, "repeat": repeat});
        let path = format!("customers/{}/messages", customer.wa_id);
        let sent = self.wire.sim(Method::POST, &path, Some(&body)).await?;
        let wamid = sent["wamid"].as_str().unwrap_or_default().to_owned();
        let mut done = lock(&self.done);
        done.written.push(Written { wamid, customer: customer.wa_id.clone() });
        done.copies += repeat;
        Ok(())
    }

    /// One message of the partner's software, repeated until it knows how it ended.
    async fn send(&self, customer: &Customer, id: u64, again: bool) {
        let (key, text) = (format!("soak-{id:016x}"), format!("From the partner, {id:016x}"));
        let body = json!({
            "botId": customer.client.bot, "phoneNumberId": customer.client.phone,
            "to": customer.wa_id, "type": "text", "text": {"body": text},
        });
        let deadline = Instant::now() + CALLER_PATIENCE;
        let mut calls = 0;
        let mut first = None;
        let outcome = loop {
            calls += 1;
            let answer =
                self.wire.api(Method::POST, "/api/whatsapp/send-message", Some(&key), Some(&body)).await;
            match (heard(answer), &first) {
                (Heard::Final(outcome), None) if again => first = Some(outcome),
                (Heard::Final(outcome), None) => break outcome,
                (Heard::Final(outcome), Some(before)) if outcome == *before => break outcome,
                (Heard::Final(outcome), Some(before)) => {
                    break Outcome::Contradicted(format!("{before:?}, then {outcome:?}"));
                }
                (Heard::Again(last, _), _) if Instant::now() > deadline => break Outcome::GaveUp(last),
                (Heard::Again(_, pause), _) => tokio::time::sleep(pause).await,
            }
        };
        lock(&self.done).sent.push(Sent { customer: customer.wa_id.clone(), text, outcome, calls });
    }
}

enum Heard {
    Final(Outcome),
    /// Why, and after which pause.
    Again(String, Duration),
}

fn heard(answer: Result<super::wire::Answer>) -> Heard {
    const PAUSE: Duration = Duration::from_secs(1);
    let Ok(answer) = answer else { return Heard::Again("no answer".to_owned(), PAUSE) };
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
    match answer.status {
        200 => Heard::Final(Outcome::Accepted(text("messageId"))),
        202 => Heard::Final(Outcome::Unclear(text("messageId"), text("status"))),
        429 => {
            let pause = Duration::from_secs(answer.retry_after.unwrap_or(1).clamp(1, 10));
            Heard::Again(format!("429 {}", text("code")), pause)
        }
        status if status >= 500 || answer.body["retryable"] == true => {
            Heard::Again(format!("{status} {}", text("code")), PAUSE)
        }
        status => Heard::Final(Outcome::Refused(format!("{status} {}", text("code")))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
