//! Messages both ways, their statuses, and the answers that are due.
//!
//! Beside the messages the table holds an item per wamid of an outgoing message (`wamid#…`): it points
//! to the message, and statuses that come before the message is known wait on it. Both writers go
//! through this item, so that whoever comes first waits for the other.

mod answers;
mod erase;
mod lists;
pub(super) mod record;
mod sends;
mod statuses;

use super::expression::Expression;
use super::table::{Table, Write};
use super::values::{item, s};
use super::{Client, Stored};
use crate::domain::message::{MEDIA_PLACEHOLDER, Message};
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

    /// Writes a message, unless its id is taken by one that does not give way to it.
    async fn put_new(&self, message: &Message) -> Stored<Recorded> {
        let mut item = item(TABLE, &record::Record::from(message))?;
        for (key, fact) in message.statuses.iter() {
            item.insert(record::status_attribute(key), record::status_value(fact)?);
        }
        match self.0.put(PUT, item, unless_it_stays(message)).await? {
            Write::Done(_) => Ok(Recorded::New),
            Write::Refused(known) => Ok(Recorded::Known(Box::new(record::message(known)?))),
        }
    }
}

/// [`Message::gives_way_to`], in the words of DynamoDB.
fn unless_it_stays(message: &Message) -> Expression {
    const NEW: &str = "attribute_not_exists(#messageId)";
    const OLD: &str = "#origin IN (:historyIn, :historyOut)";
    let condition = match (message.origin.is_history(), message.kind == MEDIA_PLACEHOLDER) {
        (true, true) => return Expression::when(NEW),
        (true, false) => Expression::when(&format!("{NEW} OR ({OLD} AND #type = :placeholder)"))
            .value("placeholder", s(MEDIA_PLACEHOLDER)),
        (false, _) => Expression::when(&format!("{NEW} OR {OLD}")),
    };
    condition.value("historyIn", s("history_in")).value("historyOut", s("history_out"))
}
