//! Subscriptions to events, and what events are.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::delivery::Failure;
use crate::domain::event::EventKind;
use crate::domain::grant::Grant;
use crate::domain::ids::{BotId, BusinessId, EventId, SubscriptionId, WabaId};
use crate::domain::secret::EventSecret;
use crate::domain::subscription::{Off, Subscription};
use crate::ports::DeadDelivery;

/// How a client's token is: the data of `token.expiring` and `token.dead`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenState<'a> {
    business_id: &'a BusinessId,
    waba_ids: &'a [WabaId],
    expires_at: Option<Timestamp>,
    /// Of how few days before the end this tells.
    days_left: Option<u32>,
    dead_since: Option<Timestamp>,
}

impl<'a> TokenState<'a> {
    /// What is told of a grant's token.
    #[must_use]
    pub fn of(grant: &'a Grant) -> Self {
        Self {
            business_id: &grant.business_id,
            waba_ids: &grant.waba_ids,
            expires_at: grant.token_expires_at,
            days_left: grant.care.told_days,
            dead_since: grant.dead_since,
        }
    }
}

/// A subscription as it is shown.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Subscription"))]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView<'a> {
    subscription_id: SubscriptionId,
    bot_id: BotId,
    /// Where events are sent to.
    url: &'a str,
    /// Of these kinds.
    events: Vec<EventKind>,
    /// Whether it is on.
    active: bool,
    /// Why it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    off_reason: Option<Off>,
    /// Since when every call failed.
    failing_since: Option<Timestamp>,
    /// Until when the secret before signs, too.
    previous_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> SubscriptionView<'a> {
    /// The subscription at `now`.
    #[must_use]
    pub fn of(it: &'a Subscription, now: Timestamp) -> Self {
        Self {
            subscription_id: it.key.id(),
            bot_id: it.key.bot_id(),
            url: &it.url,
            events: it.kinds.iter().copied().collect(),
            active: it.off.is_none(),
            off_reason: it.off,
            failing_since: it.health.failing_since,
            previous_secret_until: it.previous.first().map(|(_, until)| *until).filter(|until| now < *until),
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// A subscription with its new secret, which is shown this once.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NewSecret<'a> {
    #[serde(flatten)]
    subscription: SubscriptionView<'a>,
    /// What signs: `whsec_` and base64. It is shown this once.
    secret: &'a str,
}

impl<'a> NewSecret<'a> {
    /// Both.
    #[must_use]
    pub fn of(it: &'a Subscription, secret: &'a EventSecret, now: Timestamp) -> Self {
        Self { subscription: SubscriptionView::of(it, now), secret: secret.reveal() }
    }
}

/// All subscriptions of a bot.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Subscriptions<'a> {
    /// By id; at most ten.
    pub items: Vec<SubscriptionView<'a>>,
}

/// An event that could not be delivered.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DeadDelivery"))]
#[serde(rename_all = "camelCase")]
pub struct DeadDeliveryItem {
    event_id: EventId,
    r#type: String,
    /// When it happened.
    timestamp: Timestamp,
    /// How often it was tried.
    attempts: u32,
    /// Why it last failed.
    last_failure: Option<Failure>,
    dead_since: Timestamp,
    /// Until then it can be replayed.
    kept_until: Timestamp,
}

impl From<DeadDelivery> for DeadDeliveryItem {
    fn from(it: DeadDelivery) -> Self {
        Self {
            event_id: it.event_id,
            r#type: it.kind,
            timestamp: it.at,
            attempts: it.attempts,
            last_failure: it.failure,
            dead_since: it.since,
            kept_until: it.expires_at,
        }
    }
}

/// An event that was put on its way.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SentPing {
    /// Its `webhook-id`.
    pub event_id: EventId,
}

/// How much is told again.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// How many events.
    pub replayed: usize,
    /// Whether there are more: call again with the same body.
    pub more: bool,
}

/// That it is gone.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Unsubscribed {
    /// The subscription that was deleted.
    pub subscription_id: SubscriptionId,
}

#[cfg(feature = "openapi")]
pub(super) use described::operations;

#[cfg(feature = "openapi")]
mod described {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::super::describe::Operation;
    use super::*;

    /// What is to be told where.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only described")]
    struct NewSubscription {
        /// `https`, with a public name or address; port 443, or 1024 and above; no user name, no fragment.
        #[schemars(length(max = 1000))]
        url: String,
        #[schemars(length(min = 1))]
        events: Vec<EventName>,
    }

    /// What is changed; the rest stays.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only described")]
    struct SubscriptionChange {
        #[schemars(length(max = 1000))]
        url: Option<String>,
        #[schemars(length(min = 1))]
        events: Option<Vec<EventName>>,
        /// Whether it is on.
        active: Option<bool>,
    }

    /// What can be subscribed to.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    enum EventName {
        #[schemars(rename = "message.received")]
        MessageReceived,
        #[schemars(rename = "message.status")]
        MessageStatus,
        #[schemars(rename = "onboarding.updated")]
        OnboardingUpdated,
        #[schemars(rename = "client.updated")]
        ClientUpdated,
        #[schemars(rename = "token.expiring")]
        TokenExpiring,
        #[schemars(rename = "token.dead")]
        TokenDead,
    }

    /// One event, or all that died since a time: exactly one of the two.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only described")]
    struct ReplayRequest {
        event_id: Option<EventId>,
        since: Option<Timestamp>,
    }

    fn of_a_subscription(operation: Operation) -> Operation {
        operation.of_a_bot().path::<SubscriptionId>(
            "subscriptionId",
            "One of the bot's.",
            "subscription_not_found",
        )
    }

    pub(in crate::api) fn operations() -> Vec<Operation> {
        let all = "/api/whatsapp/subscriptions/{botId}";
        let one = "/api/whatsapp/subscriptions/{botId}/{subscriptionId}";
        let list = Operation::new("get", all, "listSubscriptions", "Lists subscriptions to events")
            .of_a_bot()
            .answer::<Subscriptions<'_>>(200, "All of the bot's.");
        let create = Operation::new("post", all, "createSubscription", "Subscribes an address to events")
            .described("docs/events.md says how events are signed and what is in them.")
            .of_a_bot()
            .body::<NewSubscription>(json!({
                "url": "https://hooks.partner.example/switchboard",
                "events": ["message.received", "message.status"],
            }))
            .header::<super::super::describe::IdempotencyKey>(
                "Idempotency-Key",
                "The same key with the same body answers as the first time, while the secret is the first one.",
            )
            .problem(400, "invalid_idempotency_key")
            .problem(422, "idempotency_key_reused")
            .problem(409, "too_many_subscriptions")
            .answer::<NewSecret<'_>>(201, "The subscription, with its secret.");
        let change =
            of_a_subscription(Operation::new("put", one, "putSubscription", "Changes a subscription"))
                .body::<SubscriptionChange>(json!({"active": false}))
                .problem(409, "subscription_changed")
                .answer::<SubscriptionView<'_>>(200, "As it is now.");
        let delete =
            of_a_subscription(Operation::new("delete", one, "deleteSubscription", "Ends a subscription"))
                .answer::<Unsubscribed>(200, "It is gone, with the events that wait for it.");
        let path = "/api/whatsapp/subscriptions/{botId}/{subscriptionId}/rotate-secret";
        let rotate =
            of_a_subscription(Operation::new("post", path, "rotateSubscriptionSecret", "Makes a new secret"))
                .described("For 24 hours the one before signs, too.")
                .header::<super::super::describe::IdempotencyKey>(
                    "Idempotency-Key",
                    "The same key again answers with the secret that it made first.",
                )
                .problem(400, "invalid_idempotency_key")
                .problem(409, "subscription_changed")
                .answer::<NewSecret<'_>>(200, "The subscription, with its new secret.");
        let path = "/api/whatsapp/subscriptions/{botId}/{subscriptionId}/test";
        let test = of_a_subscription(Operation::new("post", path, "testSubscription", "Sends a ping"))
            .problem(409, "subscription_off")
            .answer::<SentPing>(202, "It is on its way.");
        let path = "/api/whatsapp/subscriptions/{botId}/{subscriptionId}/deliveries";
        let dead = of_a_subscription(Operation::new(
            "get",
            path,
            "listDeadDeliveries",
            "Lists events that could not be delivered, the oldest first",
        ))
        .pages::<DeadDeliveryItem, crate::http::Position>("A page of them.");
        let path = "/api/whatsapp/subscriptions/{botId}/{subscriptionId}/replay";
        let replay =
            of_a_subscription(Operation::new("post", path, "replayDeliveries", "Tells events again"))
                .body::<ReplayRequest>(json!({"since": "2026-11-20T00:00:00Z"}))
                .problem(404, "event_not_found")
                .problem(409, "subscription_off")
                .answer::<Replayed>(202, "They are on their way, under the same ids.");
        vec![list, create, change, delete, rotate, test, dead, replay]
    }
}
