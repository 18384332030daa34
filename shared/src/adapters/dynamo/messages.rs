//! Messages both ways, their statuses, and the answers that are due.
//!
//! Beside the messages the table holds an item per wamid of an outgoing message (`wamid#…`): it points
//! to the message, and statuses that come before the message is known wait on it. Both writers go
//! through this item, so that whoever comes first waits for the other.

mod answers;
mod erase;
mod lists;
mod record;
mod sends;
mod statuses;

use super::expression::Expression;
use super::table::{Table, Write};
use super::values::item;
use super::{Client, Stored};
use crate::domain::message::Message;
use crate::ports::Recorded;

const TABLE: &str = "messages";
const GET: &str = "dynamodb GetItem on messages";
const PUT: &str = "dynamodb PutItem on messages";
const UPDATE: &str = "dynamodb UpdateItem on messages";
const BATCH_GET: &str = "dynamodb BatchGetItem on messages";
const DELETE: &str = "dynamodb DeleteItem on messages";
const QUERY: &str = "dynamodb Query on messages";

/// The key's attribute.
const KEY: &str = "messageId";

/// The table `messages`: one item per message, and one per wamid of an outgoing message.
#[derive(Debug, Clone)]
pub struct Messages(Table);

impl Messages {
    /// The table of this name.
    #[must_use]
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self(Table::new(client, table))
    }

    async fn put_new(&self, message: &Message) -> Stored<Recorded> {
        let mut item = item(TABLE, &record::Record::from(message))?;
        for (key, fact) in message.statuses.iter() {
            item.insert(record::status_attribute(key), record::status_value(fact)?);
        }
        let condition = Expression::when("attribute_not_exists(#messageId)");
        match self.0.put(PUT, item, condition).await? {
            Write::Done(_) => Ok(Recorded::New),
            Write::Refused(known) => Ok(Recorded::Known(Box::new(record::message(known)?))),
        }
    }
}
