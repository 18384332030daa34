//! Deleting of messages.

use super::super::Stored;
use super::super::expression::Expression;
use super::statuses::wamid_key;
use super::{DELETE, KEY, Messages};
use crate::domain::message::Message;
use crate::ports::EraseMessages;

impl EraseMessages for Messages {
    async fn erase_message(&self, message: &Message) -> Stored<()> {
        if let Some(wamid) = &message.wamid {
            self.0.delete(DELETE, (KEY, &wamid_key(wamid)), Expression::default()).await?;
        }
        self.0.delete(DELETE, (KEY, message.id.as_ref()), Expression::default()).await?;
        Ok(())
    }
}
