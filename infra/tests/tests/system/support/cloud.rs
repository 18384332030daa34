//! The stack's AWS endpoint, through the adapters and, where a test looks at items, through the SDK.

use std::collections::HashMap;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{AttributeValue, BillingMode};
use serde_json::Value;
use shared::adapters::aws::Aws;
use shared::adapters::dynamo::{Client, Tables};
use shared::adapters::kms::Kms;
use switchboard::StackInfo;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The key that seals, by the name that the template gives it.
const TOKEN_KEY: &str = "alias/switchboard-tokens";

pub(crate) struct Cloud {
    pub(crate) aws: Aws,
    pub(crate) dynamodb: Client,
    pub(crate) info: StackInfo,
}

impl Cloud {
    pub(crate) fn new(info: &StackInfo) -> Result<Self> {
        // What the emulator takes; it opens nothing else.
        let credentials = Credentials::new("test", "test", None, None, "test");
        let aws = Aws::new(info.region.clone(), credentials, Some(&info.aws_endpoint.parse()?));
        Ok(Self { dynamodb: aws.dynamodb(), aws, info: info.clone() })
    }

    /// All deployed tables as one store.
    pub(crate) fn tables(&self) -> Tables {
        self.store(&self.info.tables.iter().map(|(name, table)| (name.as_str(), table.clone())).collect())
    }

    fn store(&self, names: &HashMap<&str, String>) -> Tables {
        let table = |name: &str| names[name].clone();
        Tables::new(self.dynamodb.clone())
            .bots(table("bots"))
            .clients(table("clients"))
            .grants(table("grants"))
            .onboardings(table("onboardings"))
            .messages(table("messages"))
            .conversations(table("conversations"))
            .events(table("events"))
            .quarantine(table("quarantine"))
            .blobs(table("blobs"))
            .idempotency(table("idempotency"))
            .rates(table("rates"))
            .templates(table("templates"))
            .media(table("media"))
            .subscriptions(table("subscriptions"))
            .deliveries(table("deliveries"))
    }

    /// Empty copies of all deployed tables, keys and indexes included, that no schedule looks at.
    pub(crate) async fn scratch_tables(&self, unique: &str) -> Result<Tables> {
        let mut names = HashMap::new();
        for (name, deployed) in &self.info.tables {
            let copy = format!("{deployed}-{unique}");
            self.copy_table(deployed, &copy)
                .await
                .with_context(|| format!("the table {copy} was not made"))?;
            names.insert(name.as_str(), copy);
        }
        Ok(self.store(&names))
    }

    async fn copy_table(&self, from: &str, to: &str) -> Result<()> {
        use aws_sdk_dynamodb::types::GlobalSecondaryIndex as Index;
        let described = self.dynamodb.describe_table().table_name(from).send().await?;
        let table = described.table.context("the table is not described")?;
        let index = |index: aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription| {
            Index::builder()
                .set_index_name(index.index_name)
                .set_key_schema(index.key_schema)
                .set_projection(index.projection)
                .build()
        };
        let indexes = table.global_secondary_indexes.unwrap_or_default();
        let indexes: Vec<Index> = indexes.into_iter().map(index).collect::<Result<_, _>>()?;
        self.dynamodb
            .create_table()
            .table_name(to)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(table.attribute_definitions)
            .set_key_schema(table.key_schema)
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .send()
            .await?;
        Ok(())
    }

    /// Seals with the deployed key.
    pub(crate) fn kms(&self) -> Kms {
        Kms::new(self.aws.kms(), TOKEN_KEY.to_owned())
    }

    /// One item of a deployed table.
    pub(crate) async fn item(&self, table: &str, key: (&str, &str)) -> Result<Option<Item>> {
        let call = self.dynamodb.get_item().table_name(&self.info.tables[table]).consistent_read(true);
        let found = call.key(key.0, AttributeValue::S(key.1.to_owned())).send().await;
        Ok(found.with_context(|| format!("{table} cannot be read"))?.item)
    }

    /// One item of a deployed table whose key has two parts.
    pub(crate) async fn two_part_item(
        &self,
        table: &str,
        hash: (&str, &str),
        range: (&str, &str),
    ) -> Result<Option<Item>> {
        let call = self.dynamodb.get_item().table_name(&self.info.tables[table]).consistent_read(true);
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let found = call.key(hash.0, text(hash.1)).key(range.0, text(range.1)).send().await;
        Ok(found.with_context(|| format!("{table} cannot be read"))?.item)
    }

    /// Sets one attribute of an item of a deployed table.
    pub(crate) async fn set(
        &self,
        table: &str,
        key: (&str, &str),
        attribute: (&str, AttributeValue),
    ) -> Result<()> {
        let call = self.dynamodb.update_item().table_name(&self.info.tables[table]);
        call.key(key.0, AttributeValue::S(key.1.to_owned()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", attribute.0)
            .expression_attribute_values(":value", attribute.1)
            .send()
            .await
            .with_context(|| format!("{table} cannot be written"))?;
        Ok(())
    }

    /// Everything in a deployed table. Only a test may scan.
    pub(crate) async fn everything(&self, table: &str) -> Result<Vec<Item>> {
        let mut pages = self
            .dynamodb
            .scan()
            .table_name(&self.info.tables[table])
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.with_context(|| format!("{table} cannot be scanned"))?);
        }
        Ok(items)
    }

    /// Makes a queue that no function reads; its address.
    pub(crate) async fn scratch_queue(&self, name: &str) -> Result<String> {
        let made = self.aws.sqs().create_queue().queue_name(name).send().await?;
        made.queue_url.context("a queue without an address")
    }

    /// Takes what waits on a queue. Only for queues that no function reads.
    pub(crate) async fn drain(&self, url: &str) -> Result<Vec<aws_sdk_sqs::types::Message>> {
        let call = self.aws.sqs().receive_message().queue_url(url).max_number_of_messages(10);
        let received = call.message_attribute_names("All").send().await?.messages.unwrap_or_default();
        for message in &received {
            let handle = message.receipt_handle.as_deref().context("a message without a handle")?;
            self.aws.sqs().delete_message().queue_url(url).receipt_handle(handle).send().await?;
        }
        Ok(received)
    }
}

/// A settings record as an item, as the adapters write JSON values.
pub(crate) fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(attribute).collect()),
        Value::Object(members) => {
            AttributeValue::M(members.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
        }
    }
}
