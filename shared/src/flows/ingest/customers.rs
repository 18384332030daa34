//! What customers do that is no message: they call, stop or want marketing, and get new ids. The change itself
//! is kept as an event; this is what follows from it, and may be repeated.

use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::conversation::{ConversationTouch, RecipientMark, TouchedBy};
use crate::domain::ids::{ConversationId, PhoneNumberId};
use crate::domain::webhook::{Deed, Piece, What};
use crate::error::StoreError;
use crate::ports::{Clock, SendFetches, SendInbound, SendNudges};

use super::{Ingest, Records};

impl<S: Records, I: SendInbound, Q: SendNudges, F: SendFetches, C: Clock> Ingest<'_, S, I, Q, F, C> {
    pub(super) async fn customers_did(
        &self,
        piece: &Piece<'_>,
        received_at: Timestamp,
    ) -> Result<(), StoreError> {
        match piece.field.as_deref() {
            Some("calls" | "user_preferences") => {
                let Ok((phone, deeds)) = piece.deeds() else { return Ok(()) };
                let Some(client) = self.client(&phone, self.clock.now()).await? else { return Ok(()) };
                for deed in &deeds {
                    self.deed(&client, deed, received_at).await?;
                }
            }
            Some("user_id_update") => {
                let Ok((phone, updates)) = piece.id_updates() else { return Ok(()) };
                for renamed in &updates {
                    self.rename(&phone, renamed).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn deed(&self, client: &Client, deed: &Deed, received_at: Timestamp) -> Result<(), StoreError> {
        let phone: &PhoneNumberId = &client.phone_number_id;
        let customer = self.store.resolve_customer(phone, &deed.customer).await?;
        let touch = ConversationTouch {
            id: ConversationId::new(phone, &customer),
            bot_id: client.bot_id.clone(),
            customer: deed.customer.clone(),
            // Never later than we heard of it: a word from the future would outdo all to come.
            at: deed.at.unwrap_or(received_at).min(received_at),
            by: if deed.what == What::Called { TouchedBy::Customer } else { TouchedBy::About },
        };
        match deed.what {
            What::Called => self.store.touch_conversation(&touch).await,
            What::StoppedMarketing => {
                self.store.mark_recipient(&touch, RecipientMark::MarketingStopped).await
            }
            What::ResumedMarketing => {
                self.store.mark_recipient(&touch, RecipientMark::MarketingResumed).await
            }
        }
    }
}
