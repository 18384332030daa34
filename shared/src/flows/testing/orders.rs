//! A caller of send-message, as far as its work lies in this crate: idempotency around a send. It makes the
//! outside calls of the function's handler in the handler's order.

use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};

use super::{CUSTOMER, Process};
use crate::domain::client::{Client, ClientStatus};
use crate::domain::conversation::{ConversationTouch, CustomerNames, TouchedBy};
use crate::domain::draft::{Draft, Recipient};
use crate::domain::ids::{BotId, ConversationId, MessageId, PhoneNumberId};
use crate::domain::message::{Message, Origin};
use crate::domain::raw::Packed;
use crate::domain::status::Statuses;
use crate::flows::send::Delivery;
use crate::http::{ApiError, Caller, RequestKey, StatusCode, json as answer, once};
use crate::ports::{
    Clock, ListClients, ReadClients, ReadConversations, ResolveCustomers, TouchConversations,
};
use crate::testing::{Sample, World};

const EVENT: &str = include_str!("../../../../events/send-message.json");

/// What a caller wants sent, once, however often it asks.
#[derive(Debug, Clone)]
pub(in crate::flows) struct Order {
    /// Whose caller it is.
    pub bot: BotId,
    /// From which number; `None` = the bot's only one.
    pub from: Option<PhoneNumberId>,
    /// To whom.
    pub to: String,
    /// What.
    pub text: String,
    /// The caller's `Idempotency-Key`.
    pub key: String,
}

impl Order {
    /// To the usual customer.
    pub(in crate::flows) fn new(bot: BotId, from: Option<PhoneNumberId>, key: &str) -> Self {
        Self { bot, from, to: CUSTOMER.to_owned(), text: format!("About {key}"), key: key.to_owned() }
    }

    /// As API Gateway hands it over.
    pub(in crate::flows) fn request(&self) -> Request {
        let body = json!({"botId": self.bot, "to": self.to, "type": "text", "text": {"body": self.text}});
        Sample::of(EVENT)
            .claims(json!({"sub": "software", "bots": format!("[{}]", self.bot)}))
            .header("idempotency-key", Some(&self.key))
            .body(&body)
            .request()
    }

    /// The message that it becomes.
    pub(in crate::flows) fn message_id(&self, request: &Request) -> MessageId {
        let caller = Caller::of(request).expect("the sample's caller");
        let key = RequestKey::of(request, &caller, "send-message").expect("a key of its form");
        MessageId::of_request(&caller.name(), key.expect("an order has a key").name())
    }
}

/// Status and body of the answer to an order; 500 stands for a function that failed.
pub(in crate::flows) type Told = (u16, Value);

impl Process {
    /// The function's answer to `order`.
    pub(in crate::flows) async fn order(&self, world: &World, order: &Order, request: &Request) -> Told {
        let parts: &crate::testing::Parts = world;
        let caller = Caller::of(request).expect("the sample's caller");
        let key = RequestKey::of(request, &caller, "send-message").expect("a key of its form");
        let claim = self.sender(world).claim;
        let result =
            once(&parts.store, &parts.clock, claim, key.as_ref(), self.send(world, order, request)).await;
        crate::testing::answered(result)
    }

    async fn send(
        &self,
        world: &World,
        order: &Order,
        request: &Request,
    ) -> Result<Response<Body>, ApiError> {
        let store = &world.store;
        let (id, sender) = (order.message_id(request), self.sender(world));
        if let Some((_, delivery)) = sender.begun(&id).await? {
            return told(&id, delivery);
        }
        let client = sending_client(world, order).await?;
        let to = CustomerNames { wa_id: order.to.parse().ok(), ..CustomerNames::default() };
        let customer = store.resolve_customer(&client.phone_number_id, &to).await?;
        let conversation = ConversationId::new(&client.phone_number_id, &customer);
        let now = world.clock.now();
        let known = store.conversation(&conversation).await?;
        if known.and_then(|known| known.window_ends_at).is_some_and(|end| end <= now) {
            return Err(ApiError::conflict("window_closed", "", ""));
        }
        let draft = Draft::text(Recipient::Person(to.clone()), &order.text);
        let intent = Message {
            id,
            wamid: None,
            origin: Origin::Api,
            bot_id: Some(client.bot_id.clone()),
            phone_number_id: client.phone_number_id.clone(),
            conversation_id: conversation.clone(),
            customer: to.clone(),
            kind: draft.kind.clone(),
            at: now,
            recorded_at: now,
            raw: Packed::new(draft.recorded().to_string().as_bytes()).raw,
            reply_to: None,
            answer: None,
            sending: Some(sender.intended()),
            why: None,
            statuses: Statuses::default(),
            expires_at: None,
        };
        let delivery = sender.deliver(&client, &intent, &draft.recipient).await?;
        if matches!(delivery, Delivery::Accepted(_)) {
            let bot_id = client.bot_id.clone();
            let by = TouchedBy::Business;
            let touch = ConversationTouch { id: conversation, bot_id, customer: to, at: now, by };
            // The message is sent whatever happens here.
            let _ = store.touch_conversation(&touch).await;
        }
        told(&intent.id, delivery)
    }
}

async fn sending_client(world: &World, order: &Order) -> Result<Client, ApiError> {
    let found = match &order.from {
        Some(phone) => world.store.client(phone).await?.filter(|client| client.bot_id == order.bot),
        None => world.store.clients_of(&order.bot, None, 100).await?.items.pop(),
    };
    let active = found.filter(|client| client.status() == ClientStatus::Active);
    active.ok_or_else(|| ApiError::not_found("client_not_found"))
}

fn told(id: &MessageId, delivery: Delivery) -> Result<Response<Body>, ApiError> {
    let said =
        |status, word, wamid| Ok(answer(status, &json!({"messageId": id, "wamid": wamid, "status": word})));
    match delivery {
        Delivery::Accepted(wamid) => said(StatusCode::OK, "accepted", wamid),
        Delivery::Uncertain => said(StatusCode::ACCEPTED, "uncertain", None),
        Delivery::InProgress(_) => said(StatusCode::ACCEPTED, "queued", None),
        Delivery::Refused(_) => Ok(ApiError::unprocessable("refused_by_meta", "", "").into_response()),
        Delivery::NoToken(_) => Err(ApiError::conflict("client_needs_reconnect", "", "")),
        // Too fast, or not reached: the caller asks again.
        _ => Err(ApiError::unavailable("meta_unavailable", "")),
    }
}
