//! Telling dead events again.

use std::time::Duration;

use lambda_http::{Body, Request};
use serde_json::Value;
use shared::api::events::Replayed;
use shared::domain::Timestamp;
use shared::domain::delivery::{DeliveryKey, Job};
use shared::domain::ids::EventId;
use shared::domain::subscription::Subscription;
use shared::http::{ApiError, Members, Response, StatusCode, json as answer};
use shared::ports::{Clock, Random, Seal, SendJobs};
use shared::telemetry::unit;

use super::{Desk, Records, invalid, is_on, only};

/// How many events are read at once.
const PAGE: usize = 100;
/// When to stop and say that there are more: HTTP APIs end a call after 30 seconds.
const ENOUGH: Duration = Duration::from_secs(15);

impl<S: Records, K: Seal, Q: SendJobs, C: Clock, R: Random> Desk<'_, S, K, Q, C, R> {
    pub(super) async fn replay(
        &self,
        known: &Subscription,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        only(&members, &["eventId", "since"])?;
        is_on(known)?;
        let replayed = match (members.optional::<EventId>("eventId")?, since(&members)?) {
            (Some(event), None) => self.replay_one(known, event).await?,
            (None, Some(since)) => self.replay_since(known, since).await?,
            _ => return Err(invalid("since", "must be there, or eventId must be: one of the two")),
        };
        unit::outcome("replayed");
        Ok(answer(StatusCode::ACCEPTED, &replayed))
    }

    async fn replay_one(&self, known: &Subscription, event_id: EventId) -> Result<Replayed, ApiError> {
        let key = DeliveryKey { subscription: known.key.clone(), event_id };
        if !self.store.revive_delivery(&key, self.clock.now()).await? {
            return Err(ApiError::not_found("event_not_found"));
        }
        self.queue.send_jobs(&[Job::Again(key)], Duration::ZERO).await?;
        Ok(Replayed { replayed: 1, more: false })
    }

    /// What was told again is in the list no more, so the same call goes on where this one stopped. What dies again
    /// meanwhile stands at the end of the list, and is left there.
    async fn replay_since(&self, known: &Subscription, since: Timestamp) -> Result<Replayed, ApiError> {
        let begun = self.clock.now();
        let (mut replayed, mut after) = (0, None::<String>);
        loop {
            let page = self.store.dead_deliveries(&known.key, Some(since), after.as_deref(), PAGE).await?;
            let mut jobs = Vec::new();
            let is_last = page.next.is_none() || page.items.last().is_some_and(|dead| dead.since > begun);
            for dead in page.items.into_iter().take_while(|dead| dead.since <= begun) {
                let key = DeliveryKey { subscription: known.key.clone(), event_id: dead.event_id };
                if self.store.revive_delivery(&key, self.clock.now()).await? {
                    jobs.push(Job::Again(key));
                }
            }
            replayed += jobs.len();
            // If this fails, the schedule finds them: they are due.
            self.queue.send_jobs(&jobs, Duration::ZERO).await?;
            after = page.next;
            if is_last || self.clock.now() >= begun + ENOUGH {
                return Ok(Replayed { replayed, more: !is_last });
            }
        }
    }
}

fn since(members: &Members) -> Result<Option<Timestamp>, ApiError> {
    match members.all().get("since") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(|text| text.parse().ok()) {
            Some(since) => Ok(Some(since)),
            None => Err(invalid("since", "must be a time (RFC 3339)")),
        },
    }
}
