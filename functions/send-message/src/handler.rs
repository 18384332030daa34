//! One message, sent once: the caller's idempotency key names it, so a repetition finds it. And the read
//! receipt, which needs the same rights.

mod mark_read;
mod templates;

use std::time::Duration;

use lambda_http::{Body, Request, RequestExt};
use serde_json::{Value, json};
use shared::api::sending::{Choice, Sent, SentStatus};
use shared::domain::Timestamp;
use shared::domain::client::{Client, ClientStatus, Pause, PauseReason};
use shared::domain::conversation::{Conversation, ConversationTouch, CustomerKey, CustomerNames, TouchedBy};
use shared::domain::draft::{Draft, InvalidDraft, Recipient};
use shared::domain::ids::{BotId, ConversationId, MessageId, PhoneNumberId};
use shared::domain::message::{Message, Origin};
use shared::domain::meta_error::{MARKETING_PAUSE, MetaError, Remedy};
use shared::domain::pricing::{Expected, Priced, TemplateCategory, Windows, expected};
use shared::domain::raw::Packed;
use shared::domain::status::Statuses;
use shared::flows::pace::{Held, HeldReason};
use shared::flows::send::{Delivery, SendRecords, Sender};
use shared::http::{ApiError, Caller, Members, RequestKey, Response, StatusCode, json as answer, meta, once};
use shared::ports::{
    Clock, IdempotencyKeys, ListClients, MessageGraph, Random, ReadClients, ReadConversations, ReadTemplates,
    ResolveCustomers, Seal, TokenGraph, TouchConversations,
};
use shared::telemetry::{measure, unit};

/// All records that send-message uses: dynamodb on clients, grants, messages, conversations,
/// idempotency, rates, templates.
pub(crate) trait Records:
    ReadClients
    + ListClients
    + SendRecords
    + ResolveCustomers
    + ReadConversations
    + ReadTemplates
    + TouchConversations
    + IdempotencyKeys
{
}
impl<T> Records for T where
    T: ReadClients
        + ListClients
        + SendRecords
        + ResolveCustomers
        + ReadConversations
        + ReadTemplates
        + TouchConversations
        + IdempotencyKeys
{
}

pub(crate) struct Send<'a, S, K, G, C, R> {
    pub(crate) sender: Sender<'a, S, K, G, C>,
    pub(crate) random: &'a R,
    pub(crate) retention: Option<Duration>,
}

/// A checked request.
struct Order {
    id: MessageId,
    client: Client,
    draft: Draft,
}

impl<S, K, G, C, R> Send<'_, S, K, G, C, R>
where
    S: Records,
    K: Seal,                      // kms:Decrypt
    G: MessageGraph + TokenGraph, // the Graph API; no AWS permission
    C: Clock,
    R: Random,
{
    pub(crate) async fn handle(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        if request.raw_http_path().ends_with("/mark-read") {
            return self.mark_read(request).await;
        }
        let caller = Caller::of(request)?;
        let members = Members::of(request)?;
        let bot: BotId = members.required("botId")?;
        caller.check(&bot)?;
        let key = RequestKey::of(request, &caller, "send-message")?;
        // An abandoned request goes on with the same message: what was sent is found, not sent again.
        let id = match &key {
            Some(key) => MessageId::of_request(&caller.name(), key.name()),
            None => MessageId::random(self.random.bytes()),
        };
        let Sender { store, clock, claim, .. } = self.sender;
        once(store, clock, claim, key.as_ref(), self.send(id, key.is_some(), &bot, &members)).await
    }

    async fn send(
        &self,
        id: MessageId,
        may_be_begun: bool,
        bot: &BotId,
        members: &Members,
    ) -> Result<Response<Body>, ApiError> {
        let draft = Draft::parse(members.all()).map_err(invalid_message)?;
        if may_be_begun && let Some((message, delivery)) = self.sender.begun(&id).await? {
            return self.found(id, draft, message, delivery).await;
        }
        let client = self.client(bot, members.optional("phoneNumberId")?).await?;
        self.check_restrictions(&client, &draft)?;
        let order = Order { id, client, draft };
        let conversation_id = self.conversation(&order).await?;
        let conversation = self.sender.store.conversation(&conversation_id).await?;
        self.check_window(&order, conversation.as_ref()).await?;
        let category = self.category(&order).await?;
        templates::check_consent(category.as_deref(), conversation.as_ref())?;
        let cost = self.expected(&order, category.as_deref(), conversation.as_ref());
        let intent = self.intent(&order, &conversation_id);
        let delivery = self.sender.deliver(&order.client, &intent, &order.draft.recipient).await?;
        self.told(&order, conversation_id, intent.at, &cost, delivery).await
    }

    /// Tells of a message that an abandoned request may have sent. What would keep it back by now (the window,
    /// a stop of marketing, the client's state) is no answer to that.
    async fn found(
        &self,
        id: MessageId,
        draft: Draft,
        message: Message,
        delivery: Delivery,
    ) -> Result<Response<Body>, ApiError> {
        let client = self.sender.store.client(&message.phone_number_id).await?;
        let client = client.ok_or_else(|| ApiError::not_found("client_not_found"))?;
        let order = Order { id, client, draft };
        let conversation = self.sender.store.conversation(&message.conversation_id).await?;
        let category = self.category(&order).await?;
        let cost = self.expected(&order, category.as_deref(), conversation.as_ref());
        self.told(&order, message.conversation_id, message.at, &cost, delivery).await
    }

    async fn told(
        &self,
        order: &Order,
        conversation: ConversationId,
        at: Timestamp,
        cost: &Expected,
        delivery: Delivery,
    ) -> Result<Response<Body>, ApiError> {
        if matches!(delivery, Delivery::Accepted(_)) {
            self.touch(order, conversation, at).await;
        }
        if let Delivery::Refused(error) = &delivery
            && error.remedy() == Remedy::WindowClosed
        {
            // Meta's last word is an answer like any other.
            let closed = window_closed(self.choices(&order.client).await).with_meta(error);
            return Ok(named(order, closed).into_response());
        }
        respond(order, cost, delivery, self.sender.clock.now())
    }

    fn expected(
        &self,
        order: &Order,
        category: Option<&str>,
        conversation: Option<&Conversation>,
    ) -> Expected {
        let now = self.sender.clock.now();
        let priced = match order.draft.needs_open_window() {
            true => Priced::Service,
            false => Priced::Template(category.and_then(TemplateCategory::of)),
        };
        let windows = Windows {
            is_group: matches!(order.draft.recipient, Recipient::Group(_)),
            ends_at: conversation.and_then(|conversation| conversation.window_ends_at),
            free_until: conversation.and_then(|conversation| conversation.free_until_if_sent(now)),
        };
        expected(priced, windows, now)
    }

    /// The client to send from: the one named, or the bot's only one.
    async fn client(&self, bot: &BotId, phone: Option<PhoneNumberId>) -> Result<Client, ApiError> {
        let store = self.sender.store;
        let client = match phone {
            Some(phone) => store.client(&phone).await?.filter(|client| client.bot_id == *bot),
            None => {
                let mut clients = store.clients_of(bot, None, 100).await?.items;
                clients.retain(|client| client.status() == ClientStatus::Active);
                if clients.len() > 1 {
                    return Err(ApiError::bad_request(
                        "phone_number_required",
                        "The bot has several numbers.",
                        "Send phoneNumberId: the number to send from.",
                    ));
                }
                clients.pop()
            }
        };
        let client = client.ok_or_else(|| ApiError::not_found("client_not_found"))?;
        if client.status() == ClientStatus::Active { Ok(client) } else { Err(not_active(&client)) }
    }

    /// What Meta forbids the client for now is refused before the call.
    fn check_restrictions(&self, client: &Client, draft: &Draft) -> Result<(), ApiError> {
        let is_template = !draft.needs_open_window();
        let now = self.sender.clock.now();
        match client.account.refuses(is_template, client.signed_up_at, now) {
            Some(until) => Err(restricted(is_template).with_member("until", until.to_string())),
            None => Ok(()),
        }
    }

    async fn conversation(&self, order: &Order) -> Result<ConversationId, ApiError> {
        let phone = &order.client.phone_number_id;
        let customer = match &order.draft.recipient {
            Recipient::Person(names) => self.sender.store.resolve_customer(phone, names).await?,
            Recipient::Group(group) => CustomerKey::group(group).map_err(|_| {
                ApiError::bad_request("invalid_message", "to is not a group's id.", "Send Meta's group id.")
            })?,
        };
        Ok(ConversationId::new(phone, &customer))
    }

    /// Refused here only where we know that the window is closed; of conversations that we have not seen,
    /// Meta knows more.
    async fn check_window(&self, order: &Order, conversation: Option<&Conversation>) -> Result<(), ApiError> {
        if !order.draft.needs_open_window() {
            return Ok(());
        }
        match conversation.and_then(|conversation| conversation.window_ends_at) {
            Some(end) if end <= self.sender.clock.now() => {
                let choices = self.choices(&order.client).await;
                Err(window_closed(choices).with_member("windowEndedAt", end.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn intent(&self, order: &Order, conversation_id: &ConversationId) -> Message {
        let now = self.sender.clock.now();
        let recorded = order.draft.recorded();
        let customer = match &order.draft.recipient {
            Recipient::Person(names) => names.clone(),
            Recipient::Group(_) => CustomerNames::default(),
        };
        Message {
            id: order.id.clone(),
            wamid: None,
            origin: Origin::Api,
            bot_id: Some(order.client.bot_id.clone()),
            phone_number_id: order.client.phone_number_id.clone(),
            conversation_id: conversation_id.clone(),
            customer,
            kind: order.draft.kind.clone(),
            at: now,
            recorded_at: now,
            // A body is at most 256 KiB, which one item always holds.
            raw: Packed::new(recorded.to_string().as_bytes()).raw,
            reply_to: recorded
                .pointer("/context/message_id")
                .and_then(Value::as_str)
                .and_then(|id| id.parse().ok()),
            answer: None,
            sending: Some(self.sender.intended()),
            why: None,
            statuses: Statuses::default(),
            expires_at: self.retention.map(|kept| now + kept),
        }
    }

    /// The message is sent whatever happens here: the list of conversations may lag, the answer may not.
    async fn touch(&self, order: &Order, id: ConversationId, at: Timestamp) {
        let Recipient::Person(customer) = &order.draft.recipient else { return };
        let bot_id = order.client.bot_id.clone();
        let by = TouchedBy::Business;
        let touch = ConversationTouch { id, bot_id, customer: customer.clone(), at, by };
        if let Err(error) = self.sender.store.touch_conversation(&touch).await {
            tracing::warn!(error = %shared::error::Chain(&error), "conversation not touched");
        }
    }
}

fn not_active(client: &Client) -> ApiError {
    let error = ApiError::conflict(
        "client_not_active",
        "The client cannot send: its onboarding is not finished, it is suspended, or it left.",
        "Finish its onboarding, or look at its status in the list of clients.",
    );
    match client.status_reason() {
        Some((reason, _)) => error.with_member("statusReason", reason),
        None => error,
    }
}

fn restricted(is_template: bool) -> ApiError {
    let detail = if is_template {
        "Meta does not let this client write to customers first for now."
    } else {
        "Meta does not let this client answer customers for now."
    };
    ApiError::conflict(
        "client_restricted",
        detail,
        "Wait until the restriction ends, or appeal against it at Meta.",
    )
}

fn window_closed(choices: Vec<Choice>) -> ApiError {
    unit::count(measure::WINDOW_CLOSED, 1);
    ApiError::conflict(
        "window_closed",
        "The customer's last message is more than 24 hours old.",
        "Send an approved template instead.",
    )
    .with_member("choices", json!(choices))
}

fn invalid_message(error: InvalidDraft) -> ApiError {
    ApiError::bad_request(
        "invalid_message",
        format!("{error}."),
        format!("Change {} and send it again.", error.member),
    )
    .with_member("member", error.member)
}

/// A refusal that is Meta's last word is an answer like any other; an `Err` may be tried again.
fn respond(
    order: &Order,
    cost: &Expected,
    delivery: Delivery,
    now: Timestamp,
) -> Result<Response<Body>, ApiError> {
    let told = |status, word, wamid| {
        Ok(answer(status, &Sent { message_id: &order.id, wamid, status: word, expected: cost }))
    };
    match delivery {
        Delivery::Accepted(wamid) => {
            unit::outcome("accepted");
            told(StatusCode::OK, SentStatus::Accepted, wamid)
        }
        Delivery::Uncertain => {
            unit::outcome("uncertain");
            told(StatusCode::ACCEPTED, SentStatus::Uncertain, None)
        }
        // Not an answer to keep: whoever makes the call may have died, and then it ends as uncertain.
        Delivery::InProgress(_) => Err(named(order, still_sending())),
        Delivery::NoToken(None) => Err(meta::reconnect()),
        Delivery::NoToken(Some(error)) => Err(named(order, meta::reconnect().with_meta(&error))),
        Delivery::Held(held) => Err(match held.error {
            Some(_) => named(order, waits(&held, now)),
            None => waits(&held, now), // Nothing is recorded of it.
        }),
        Delivery::NotSent { pause, error } => Err(named(order, not_sent(pause, error.as_ref()))),
        // An answer for good: the same request gets it again.
        Delivery::Refused(error) => Ok(named(order, refused(&error)).into_response()),
    }
}

/// The message is in the history, with what became of it.
fn named(order: &Order, error: ApiError) -> ApiError {
    error.with_member("messageId", order.id.as_ref())
}

fn still_sending() -> ApiError {
    ApiError::conflict(
        "request_running",
        "An earlier request with this Idempotency-Key may still be sending the message.",
        "Send it again in some seconds: it says how that ended.",
    )
    .retryable()
}

fn not_sent(pause: Duration, error: Option<&MetaError>) -> ApiError {
    let answer = match error {
        Some(error) if matches!(error.remedy(), Remedy::SlowDown { .. }) => {
            ApiError::too_many("rate_limited", "Meta takes no more messages for now.", pause)
        }
        _ => ApiError::unavailable("meta_unavailable", "Meta did not take the message; it was not sent."),
    };
    match error {
        Some(error) => answer.with_meta(error),
        None => answer,
    }
}

/// It may not go out now: the same request may later, with the same key.
fn waits(held: &Held, now: Timestamp) -> ApiError {
    let pause = Duration::try_from(held.until.duration_since(now)).unwrap_or_default();
    // In whole seconds, and not too early.
    let pause = Duration::from_secs(pause.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
    let what = match held.reason {
        HeldReason::Paused(pause) => return paused(&pause, held.error.as_ref()),
        HeldReason::Pair => "Meta takes no more messages to this customer for now.",
        HeldReason::Number => "Meta takes no more messages from this number for now.",
        HeldReason::Account => "Meta takes no more calls for this WhatsApp account for now.",
        HeldReason::App => "Meta takes no more calls of this app for now.",
    };
    ApiError::too_many("rate_limited", what, pause)
}

fn paused(pause: &Pause, error: Option<&MetaError>) -> ApiError {
    let (reason, detail, action) = match pause.reason {
        PauseReason::Payment => (
            "payment",
            "Meta refuses messages of this client: nobody pays for them.",
            "Mend the client's payment method or credit line at Meta; then send it again after `until`.",
        ),
        PauseReason::Locked => (
            "locked",
            "Meta locked the client's account, or blocks it for its policy.",
            "Clear it with Meta in the Business Support Home; then send it again after `until`.",
        ),
    };
    let problem = ApiError::conflict("client_paused", detail, action)
        .with_member("reason", reason)
        .with_member("since", pause.since.to_string())
        .with_member("until", pause.until.to_string());
    match error {
        Some(error) => problem.with_meta(error),
        None => problem,
    }
}

fn refused(error: &MetaError) -> ApiError {
    match error.remedy() {
        Remedy::WindowClosed => window_closed(Vec::new()),
        Remedy::Token => meta::reconnect(),
        Remedy::NotReachable => ApiError::unprocessable(
            "recipient_unreachable",
            "Meta cannot deliver to this customer on WhatsApp.",
            "Reach the customer another way.",
        ),
        Remedy::OptedOut => ApiError::unprocessable(
            "recipient_opted_out",
            "The customer wants no marketing messages from this business.",
            "Send this customer no marketing any more.",
        ),
        Remedy::MarketingLimit => ApiError::unprocessable(
            "marketing_limit",
            "Meta spares this customer further marketing for now.",
            format!(
                "Send it as a new request, {} hours from now at the earliest.",
                MARKETING_PAUSE.as_secs() / 3600
            ),
        ),
        _ => ApiError::unprocessable(
            "refused_by_meta",
            format!("Meta refused the message: {}", error.details),
            "Change what Meta names.",
        ),
    }
    .with_meta(error)
}

#[cfg(test)]
mod tests;
