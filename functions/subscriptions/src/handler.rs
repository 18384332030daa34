//! Who is told of a bot's events.

mod replay;

use std::collections::BTreeSet;
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};
use shared::api::Page;
use shared::api::events::{
    DeadDeliveryItem, NewSecret, SentPing, SubscriptionView, Subscriptions, Unsubscribed,
};
use shared::domain::Timestamp;
use shared::domain::delivery::{Job, Packet};
use shared::domain::event::{Event, EventKind};
use shared::domain::ids::{BotId, EventId, SubscriptionId, SubscriptionKey};
use shared::domain::seal::{SealContext, Sealed};
use shared::domain::secret::EventSecret;
use shared::domain::subscription::{MOST, Off, Reach, Subscription, Target};
use shared::error::StoreError;
use shared::http::{
    ApiError, Caller, Limit, Members, Position, RequestKey, Response, StatusCode, json as answer,
    path_parameter, query_parameter,
};
use shared::ports::{
    Clock, DeadDeliveries, ListSubscriptions, Random, ReadSubscriptions, Seal, SendJobs, WriteSubscriptions,
};
use shared::telemetry::unit;

const UNKNOWN: &str = "subscription_not_found";

/// All records that it uses: dynamodb:Query, GetItem, PutItem, UpdateItem and DeleteItem on subscriptions, Query on an
/// index of deliveries and UpdateItem on deliveries.
pub(crate) trait Records:
    ListSubscriptions + ReadSubscriptions + WriteSubscriptions + DeadDeliveries
{
}
impl<T: ListSubscriptions + ReadSubscriptions + WriteSubscriptions + DeadDeliveries> Records for T {}

/// What the routes need.
pub(crate) struct Desk<'a, S, K, Q, C, R> {
    pub(crate) store: &'a S,
    pub(crate) seal: &'a K,  // kms:Encrypt, Decrypt of secrets of subscriptions
    pub(crate) queue: &'a Q, // sqs:SendMessage on events
    pub(crate) clock: &'a C,
    pub(crate) random: &'a R,
    pub(crate) reach: Reach,
}

impl<S: Records, K: Seal, Q: SendJobs, C: Clock, R: Random> Desk<'_, S, K, Q, C, R> {
    pub(crate) async fn handle(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let caller = Caller::of(request)?;
        let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
        caller.check(&bot)?;
        let names = request.path_parameters_ref();
        if names.is_none_or(|names| names.first("subscriptionId").is_none()) {
            return match *request.method() {
                Method::POST => self.create(&caller, &bot, request).await,
                _ => self.list(&bot).await,
            };
        }
        let id: SubscriptionId = path_parameter(request, "subscriptionId", UNKNOWN)?;
        let key = SubscriptionKey::new(&bot, &id);
        let known = self.store.subscription(&key).await?;
        let known = known.ok_or_else(|| ApiError::not_found(UNKNOWN))?;
        // What stands behind the id, if anything does.
        let last = request.uri().path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        match (request.method(), last) {
            (&Method::POST, "rotate-secret") => self.rotate(&caller, known, request).await,
            (&Method::POST, "test") => self.ping(&known).await,
            (&Method::POST, "replay") => self.replay(&known, request).await,
            (_, "deliveries") => self.dead(&known, request).await,
            (&Method::DELETE, _) => self.delete(&known).await,
            _ => self.change(known, request).await,
        }
    }

    async fn list(&self, bot: &BotId) -> Result<Response<Body>, ApiError> {
        let (all, now) = (self.store.subscriptions_of(bot).await?, self.clock.now());
        let items = all.iter().map(|it| SubscriptionView::of(it, now)).collect();
        Ok(answer(StatusCode::OK, &Subscriptions { items }))
    }

    /// With an `Idempotency-Key` the id is made from the key: the secret is kept nowhere but sealed, and the same request
    /// finds it there.
    async fn create(
        &self,
        caller: &Caller,
        bot: &BotId,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        only(&members, &["url", "events"])?;
        let url = self.url(&members)?.ok_or_else(|| missing("url"))?;
        let kinds = kinds(&members)?.ok_or_else(|| missing("events"))?;
        let request_key = RequestKey::of(request, caller, "subscriptions")?;
        let id = match &request_key {
            Some(key) => SubscriptionId::of_request(&caller.name(), bot, key.key()),
            None => SubscriptionId::random(self.random.bytes()),
        };
        let key = SubscriptionKey::new(bot, &id);
        let all = self.store.subscriptions_of(bot).await?;
        if all.len() >= MOST && all.iter().all(|it| it.key != key) {
            return Err(ApiError::conflict(
                "too_many_subscriptions",
                format!("The bot has {MOST} subscriptions."),
                "Delete one that is not used.",
            ));
        }
        let now = self.clock.now();
        let secret = self.new_secret();
        let new = Subscription {
            url,
            kinds,
            off: None,
            secret: self.sealed(&secret, &key).await?,
            previous: Vec::new(),
            request: request_key.map(|key| key.name().to_owned()),
            version: 1,
            health: Default::default(),
            created_at: now,
            updated_at: now,
            key,
        };
        match self.store.add_subscription(&new).await? {
            None => {
                unit::outcome("subscribed");
                Ok(answer(StatusCode::CREATED, &NewSecret::of(&new, &secret, now)))
            }
            Some(known) if known.request.is_some() && known.request == new.request => {
                let secret = self.opened(&known).await?;
                Ok(answer(StatusCode::CREATED, &NewSecret::of(&known, &secret, now)))
            }
            Some(_) => Err(ApiError::unprocessable(
                "idempotency_key_reused",
                "This Idempotency-Key was used with another body, or its secret was replaced since.",
                "Use a new key for a new request.",
            )),
        }
    }

    async fn change(&self, known: Subscription, request: &Request) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        only(&members, &["url", "events", "active"])?;
        let now = self.clock.now();
        let mut changed = known.clone();
        if let Some(url) = self.url(&members)? {
            changed.url = url;
        }
        if let Some(kinds) = kinds(&members)? {
            changed.kinds = kinds;
        }
        match members.all().get("active") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(true)) => changed.off = None,
            Some(Value::Bool(false)) => changed.off = changed.off.or(Some(Off::Caller)),
            Some(_) => return Err(invalid("active", "must be true or false")),
        }
        self.save(known.version, changed, now)
            .await
            .map(|it| answer(StatusCode::OK, &SubscriptionView::of(&it, now)))
    }

    async fn delete(&self, known: &Subscription) -> Result<Response<Body>, ApiError> {
        self.store.delete_subscription(&known.key).await?;
        unit::outcome("unsubscribed");
        Ok(answer(StatusCode::OK, &Unsubscribed { subscription_id: known.key.id() }))
    }

    async fn rotate(
        &self,
        caller: &Caller,
        known: Subscription,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let now = self.clock.now();
        let request_key = RequestKey::of(request, caller, "rotate-secret")?;
        let name = request_key.map(|key| format!("rotate#{}", key.name()));
        if name.is_some() && name == known.request {
            let secret = self.opened(&known).await?;
            return Ok(answer(StatusCode::OK, &NewSecret::of(&known, &secret, now)));
        }
        let secret = self.new_secret();
        let (expected, sealed) = (known.version, self.sealed(&secret, &known.key).await?);
        let changed = Subscription { request: name, ..known.rotated(sealed, now) };
        let changed = self.save(expected, changed, now).await?;
        Ok(answer(StatusCode::OK, &NewSecret::of(&changed, &secret, now)))
    }

    /// Whoever changes a subscription has looked after its address: it is called again at once.
    async fn save(
        &self,
        expected: u64,
        changed: Subscription,
        now: Timestamp,
    ) -> Result<Subscription, ApiError> {
        let health = Default::default();
        let changed = Subscription { version: expected + 1, updated_at: now, health, ..changed };
        if self.store.save_subscription(&changed, expected).await? {
            return Ok(changed);
        }
        Err(ApiError::conflict(
            "subscription_changed",
            "Somebody changed the subscription at the same moment.",
            "Look at it, and send your change again.",
        )
        .retryable())
    }

    async fn ping(&self, known: &Subscription) -> Result<Response<Body>, ApiError> {
        is_on(known)?;
        let event = Event {
            id: EventId::random(self.random.bytes()),
            kind: EventKind::Ping,
            bot_id: known.key.bot_id(),
            at: self.clock.now(),
            sequence: String::new(),
            conversation_id: None,
            data: json!({ "subscriptionId": known.key.id() }),
        };
        let job = Job::Tell(Packet::new(&event, &known.key));
        self.queue.send_jobs(&[job], Duration::ZERO).await?;
        Ok(answer(StatusCode::ACCEPTED, &SentPing { event_id: event.id }))
    }

    async fn dead(&self, known: &Subscription, request: &Request) -> Result<Response<Body>, ApiError> {
        let limit = Limit::of(request)?;
        let after: Option<Position> = query_parameter(request, "cursor")?;
        let after = after.as_ref().map(|position| position.0.as_str());
        let page = self.store.dead_deliveries(&known.key, None, after, limit).await?;
        let items = page.items.into_iter().map(DeadDeliveryItem::from).collect();
        Ok(answer(StatusCode::OK, &Page { items, next_cursor: page.next }))
    }

    /// The address of a body. What it says of itself is checked; what it leads to, at each call.
    fn url(&self, members: &Members) -> Result<Option<String>, ApiError> {
        match members.all().get("url") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => match Target::read(text, self.reach) {
                Ok(target) => Ok(Some(target.as_str().to_owned())),
                Err(problem) => Err(invalid("url", problem.0)),
            },
            Some(_) => Err(invalid("url", "must be text")),
        }
    }

    fn new_secret(&self) -> EventSecret {
        EventSecret::from_random([self.random.bytes(), self.random.bytes()])
    }

    async fn sealed(&self, secret: &EventSecret, key: &SubscriptionKey) -> Result<Sealed, StoreError> {
        self.seal.seal(secret.reveal(), SealContext::SubscriptionSecret(key)).await
    }

    async fn opened(&self, it: &Subscription) -> Result<EventSecret, StoreError> {
        let text = self.seal.open(&it.secret, SealContext::SubscriptionSecret(&it.key)).await?;
        EventSecret::try_from(text).map_err(|e| StoreError::corrupt("subscriptions", e))
    }
}

fn is_on(known: &Subscription) -> Result<(), ApiError> {
    match known.off {
        None => Ok(()),
        Some(_) => Err(ApiError::conflict(
            "subscription_off",
            "The subscription is switched off.",
            "Switch it on first: send active as true.",
        )),
    }
}

fn kinds(members: &Members) -> Result<Option<BTreeSet<EventKind>>, ApiError> {
    let list = match members.all().get("events") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(invalid("events", "must be a list of at least one event type")),
    };
    let kind = |word: &Value| word.as_str()?.parse::<EventKind>().ok();
    let kinds: Option<BTreeSet<EventKind>> = list.iter().map(kind).collect();
    kinds.map(Some).ok_or_else(|| {
        let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        invalid("events", &format!("must be of {}", known.join(", ")))
    })
}

fn only(members: &Members, known: &[&str]) -> Result<(), ApiError> {
    match members.all().keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(invalid(unknown, "is unknown here")),
    }
}

fn missing(member: &str) -> ApiError {
    ApiError::bad_request("missing_member", format!("{member} is missing."), format!("Send {member}."))
        .with_member("member", member)
}

fn invalid(member: &str, problem: &str) -> ApiError {
    ApiError::bad_request("invalid_member", format!("{member}: {problem}"), format!("Correct {member}."))
        .with_member("member", member)
}

#[cfg(test)]
mod tests;
