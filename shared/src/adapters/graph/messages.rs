//! Sending (Meta, Cloud API, send messages, 2026-05-21).

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Ref, missing};
use super::{Graph, unclear};
use crate::domain::ids::{PhoneNumberId, Wamid};
use crate::domain::rate::Usage;
use crate::domain::secret::AccessToken;
use crate::error::GraphError;
use crate::ports::MessageGraph;

impl MessageGraph for Graph {
    async fn send(
        &self,
        phone: &PhoneNumberId,
        message: &Value,
        token: &AccessToken,
    ) -> Result<Wamid, GraphError> {
        let call = self.post(&[phone.as_ref(), "messages"]).json(message).token(token);
        let accepted: Accepted = call.send().await?;
        let id = accepted.messages.into_iter().next().and_then(|message| message.id);
        id.ok_or_else(|| missing("message id"))?.parse().map_err(unclear)
    }

    async fn mark_read(
        &self,
        phone: &PhoneNumberId,
        message: &Wamid,
        typing: bool,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        let mut receipt =
            json!({"messaging_product": "whatsapp", "status": "read", "message_id": message.as_ref()});
        if typing {
            receipt["typing_indicator"] = json!({"type": "text"});
        }
        self.post(&[phone.as_ref(), "messages"]).json(&receipt).token(token).done().await
    }

    fn usage(&self) -> Vec<Usage> {
        std::mem::take(&mut *self.usage())
    }
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(default)]
    messages: Vec<Ref>,
}
