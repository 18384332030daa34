//! Follows the simulator's logs while the soak runs: they keep the last ten thousand entries only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::wire::Wire;

const PAUSE: Duration = Duration::from_millis(500);
/// Tries after which the simulator gives a delivery up (its README).
const LAST_TRY: u64 = 12;

/// What Meta's side saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Elements of webhooks that were answered 200: a wamid, or `wamid:state`.
    pub(super) accepted: BTreeSet<String>,
    /// Elements of deliveries that were given up.
    pub(super) given_up: BTreeSet<String>,
    /// Milliseconds until the 200 of each such delivery.
    pub(super) latencies: Vec<u64>,
    /// Deliveries that were not answered 200.
    pub(super) refused: u64,
    /// Calls to the Graph API and the model by the fault that hit them.
    pub(super) faults: BTreeMap<String, u64>,
    next_delivery: u64,
    next_call: u64,
}

/// The follower; it ends when dropped.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    wire: Wire,
    task: JoinHandle<Result<()>>,
}

impl Watch {
    pub(super) fn start(wire: Wire) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (follower, followed) = (wire.clone(), seen.clone());
        let task = tokio::spawn(async move {
            loop {
                look(&follower, &followed).await?;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, wire, task }
    }

    /// What was seen until now.
    ///
    /// # Errors
    /// The follower failed, so something was not seen.
    pub(super) async fn seen(&mut self) -> Result<Seen> {
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        look(&self.wire, &self.seen).await?;
        Ok(lock(&self.seen).clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(wire: &Wire, seen: &Mutex<Seen>) -> Result<()> {
    let (delivery, call) = {
        let seen = lock(seen);
        (seen.next_delivery, seen.next_call)
    };
    let deliveries = wire.sim(Method::GET, &format!("deliveries?since={delivery}"), None).await?;
    let calls = wire.sim(Method::GET, &format!("calls?since={call}"), None).await?;
    let mut seen = lock(seen);
    for item in deliveries["items"].as_array().into_iter().flatten() {
        seen.delivery(item)?;
    }
    for item in calls["items"].as_array().into_iter().flatten() {
        seen.call(item)?;
    }
    Ok(())
}

impl Seen {
    fn delivery(&mut self, item: &Value) -> Result<()> {
        if !is_next(item, &mut self.next_delivery)? {
            return Ok(());
        }
        let elements = item["elements"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let elements = elements.map(str::to_owned);
        if item["status"] == 200 {
            self.latencies.extend(item["ms"].as_u64());
            self.accepted.extend(elements);
        } else {
            self.refused += 1;
            if item["attempt"].as_u64() >= Some(LAST_TRY) {
                self.given_up.extend(elements);
            }
        }
        Ok(())
    }

    fn call(&mut self, item: &Value) -> Result<()> {
        if is_next(item, &mut self.next_call)?
            && let Some(fault) = item["fault"].as_str()
        {
            *self.faults.entry(fault.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Whether a webhook with this element was taken, or will never be delivered again.
    pub(super) fn is_settled(&self, element: &str) -> bool {
        self.accepted.contains(element) || self.given_up.contains(element)
    }
}

/// Whether this entry is new; an error if one before it was forgotten by the simulator.
fn is_next(item: &Value, next: &mut u64) -> Result<bool> {
    let index = item["index"].as_u64().unwrap_or_default();
    if index < *next {
        return Ok(false);
    }
    ensure!(index == *next, "the simulator's log forgot entries before they were read: choose a lower rate");
    *next = index + 1;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(index: u64, attempt: u64, status: Option<u16>) -> Value {
        json!({"index": index, "attempt": attempt, "status": status, "ms": 7, "elements": ["wamid.A"]})
    }

    #[test]
    fn an_element_is_open_until_a_200_or_the_last_try() {
        let mut seen = Seen::default();
        seen.delivery(&delivery(0, 1, Some(503))).unwrap();
        assert!(!seen.is_settled("wamid.A"));
        seen.delivery(&delivery(1, 2, None)).unwrap();
        seen.delivery(&delivery(2, 3, Some(200))).unwrap();
        assert!(seen.accepted.contains("wamid.A"));
        assert_eq!((seen.refused, seen.latencies), (2, vec![7]));
        let mut seen = Seen::default();
        seen.delivery(&delivery(0, LAST_TRY, Some(500))).unwrap();
        assert!(seen.is_settled("wamid.A") && seen.accepted.is_empty());
    }

    #[test]
    fn an_entry_counts_once_and_a_gap_is_an_error() {
        let mut seen = Seen::default();
        seen.delivery(&delivery(0, 1, Some(200))).unwrap();
        seen.delivery(&delivery(0, 1, Some(200))).unwrap();
        assert_eq!(seen.latencies.len(), 1);
        assert!(seen.delivery(&delivery(2, 1, Some(200))).is_err());
    }
}
