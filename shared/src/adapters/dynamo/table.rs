//! What every table does: read by key, write on a condition, query an index.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use super::Stored;
use super::expression::Expression;
use super::values::{s, text};
use crate::error::StoreError;

/// A stored item.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Most keys of one `BatchGetItem` (AWS, DynamoDB API reference, `BatchGetItem`, 2026).
const BATCH: usize = 100;
/// Calls of `BatchGetItem` in a row that may bring nothing: after that the table is throttled for good.
const EMPTY_ANSWERS: u32 = 5;

/// How a conditional write ended.
#[derive(Debug)]
pub(super) enum Write {
    /// Done; of an update the item as it was asked for, old or new; empty if there was none.
    Done(Item),
    /// The condition does not hold for the item as it stands; empty if there is none.
    Refused(Item),
}

/// A range of an index.
pub(super) struct Range<'a> {
    /// The index; `None` = the table itself.
    pub(super) index: Option<&'static str>,
    /// The key condition, in which `#name` stands for the attribute `name`.
    pub(super) condition: &'static str,
    /// Values of the condition.
    pub(super) values: Vec<(&'static str, AttributeValue)>,
    /// Attributes to read; all of the index if empty.
    pub(super) attributes: &'a [&'static str],
    /// Whether the smallest sort key comes first.
    pub(super) ascending: bool,
    /// Whether to read the latest state; an index cannot.
    pub(super) consistent: bool,
    /// Most items wanted; `None` = all.
    pub(super) limit: Option<usize>,
}

/// A table whose items have one or two key attributes.
#[derive(Debug, Clone)]
pub(super) struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(super) fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), name: name.into() }
    }

    /// Reads one item, consistently.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        key: (&'static str, &str),
    ) -> Stored<Option<Item>> {
        self.get_at(operation, Item::from([(key.0.to_owned(), s(key.1))])).await
    }

    /// Reads one item by its whole key, consistently.
    pub(super) async fn get_at(&self, operation: &'static str, key: Item) -> Stored<Option<Item>> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| StoreError::service(operation, e))?;
        Ok(output.item)
    }

    /// Writes a whole item if the condition holds.
    pub(super) async fn put(
        &self,
        operation: &'static str,
        item: Item,
        condition: Expression,
    ) -> Stored<Write> {
        let condition = condition.build();
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(Write::Done(Item::new())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                    Ok(Write::Refused(refusal.item.clone().unwrap_or_default()))
                }
                _ => Err(StoreError::service(operation, error)),
            },
        }
    }

    /// Changes an item if the condition holds; answers it as it then stands.
    pub(super) async fn update(
        &self,
        operation: &'static str,
        key: (&'static str, &str),
        change: Expression,
    ) -> Stored<Write> {
        self.update_returning(operation, key, change, ReturnValue::AllNew).await
    }

    /// Changes an item if the condition holds; answers what `wanted` names.
    pub(super) async fn update_returning(
        &self,
        operation: &'static str,
        key: (&'static str, &str),
        change: Expression,
        wanted: ReturnValue,
    ) -> Stored<Write> {
        self.update_at(operation, Item::from([(key.0.to_owned(), s(key.1))]), change, wanted).await
    }

    /// The same for an item by its whole key.
    pub(super) async fn update_at(
        &self,
        operation: &'static str,
        key: Item,
        change: Expression,
        wanted: ReturnValue,
    ) -> Stored<Write> {
        let change = change.build();
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .set_update_expression(change.update)
            .set_condition_expression(change.condition)
            .set_expression_attribute_names(change.names)
            .set_expression_attribute_values(change.values)
            .return_values(wanted)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => Ok(Write::Done(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                    Ok(Write::Refused(refusal.item.clone().unwrap_or_default()))
                }
                _ => Err(StoreError::service(operation, error)),
            },
        }
    }

    /// Reads items by key, consistently and in the order of `keys`; what does not exist is left out.
    pub(super) async fn get_all(
        &self,
        operation: &'static str,
        attribute: &'static str,
        keys: &[String],
    ) -> Stored<Vec<Item>> {
        let unique: Vec<&String> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found: HashMap<String, Item> = HashMap::new();
        for chunk in unique.chunks(BATCH) {
            for item in self.get_batch(operation, attribute, chunk).await? {
                if let Some(key) = text(&item, attribute) {
                    found.insert(key.to_owned(), item);
                }
            }
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    /// DynamoDB leaves out what would make an answer larger than 16 MB or what it throttles: that is
    /// asked for again, after a pause where an answer brought nothing at all.
    async fn get_batch(
        &self,
        operation: &'static str,
        attribute: &'static str,
        keys: &[&String],
    ) -> Stored<Vec<Item>> {
        let keys = keys.iter().map(|key| HashMap::from([(attribute.to_owned(), s(key.as_str()))])).collect();
        let mut wanted = Some(
            KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|e| StoreError::service(operation, e))?,
        );
        let mut found = Vec::new();
        let mut empty_answers = 0;
        while let Some(request) = wanted {
            let output = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .send()
                .await
                .map_err(|e| StoreError::service(operation, e))?;
            let items: Vec<Item> =
                output.responses.into_iter().flatten().flat_map(|(_, items)| items).collect();
            wanted = output.unprocessed_keys.into_iter().flatten().map(|(_, keys)| keys).next();
            if wanted.is_some() && items.is_empty() {
                empty_answers += 1;
                if empty_answers == EMPTY_ANSWERS {
                    return Err(StoreError::service(operation, "throttled: keys were left unprocessed"));
                }
                tokio::time::sleep(Duration::from_millis(25 << empty_answers)).await;
            }
            found.extend(items);
        }
        Ok(found)
    }

    /// Deletes an item if the condition holds; `false` if it does not.
    pub(super) async fn delete(
        &self,
        operation: &'static str,
        key: (&'static str, &str),
        condition: Expression,
    ) -> Stored<bool> {
        self.delete_at(operation, Item::from([(key.0.to_owned(), s(key.1))]), condition).await
    }

    /// The same, by a key of several attributes.
    pub(super) async fn delete_at(
        &self,
        operation: &'static str,
        key: Item,
        condition: Expression,
    ) -> Stored<bool> {
        let condition = condition.build();
        let result = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(StoreError::service(operation, error)),
            },
        }
    }

    /// Reads a range, page by page until it ends or the limit is reached.
    pub(super) async fn query(&self, operation: &'static str, range: Range<'_>) -> Stored<Vec<Item>> {
        self.query_after(operation, range, None).await
    }

    /// The same, behind a key of the table or index; that item need not be there any more.
    pub(super) async fn query_after(
        &self,
        operation: &'static str,
        range: Range<'_>,
        after: Option<Item>,
    ) -> Stored<Vec<Item>> {
        let projection: Vec<String> = range.attributes.iter().map(|name| format!("#{name}")).collect();
        let projection = (!projection.is_empty()).then(|| projection.join(", "));
        let mentioned = format!("{} {}", range.condition, projection.as_deref().unwrap_or_default());
        let names = Expression::when(&mentioned).build().names;
        let limit = range.limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut start = after;
        while found.len() < limit {
            let wanted = range.limit.map(|limit| i32::try_from(limit - found.len()).unwrap_or(i32::MAX));
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .set_index_name(range.index.map(str::to_owned))
                .key_condition_expression(range.condition)
                .set_projection_expression(projection.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(Some(
                    range.values.iter().map(|(name, value)| (format!(":{name}"), value.clone())).collect(),
                ))
                .scan_index_forward(range.ascending)
                .consistent_read(range.consistent)
                .set_limit(wanted)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|e| StoreError::service(operation, e))?;
            found.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }
}
