//! The tables as `template.yaml` defines them.

use std::path::Path;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, Projection,
};
use serde_yaml_ng::Value;
use shared::adapters::dynamo::Client;

/// One table of the template.
pub(crate) struct Table {
    /// The resource's name.
    pub(crate) name: String,
    properties: Value,
}

/// All tables of the template.
pub(crate) fn tables(template: &Path) -> Result<Vec<Table>> {
    let template: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(template)?)?;
    let resources = template["Resources"].as_mapping().context("a template without resources")?.iter();
    let tables = resources.filter(|(_, resource)| resource["Type"] == "AWS::DynamoDB::Table");
    tables
        .map(|(name, resource)| {
            let name = name.as_str().context("a resource without a name")?.to_owned();
            Ok(Table { name, properties: resource["Properties"].clone() })
        })
        .collect()
}

impl Table {
    /// What the local stack calls it: `ClientsTable` is `clients`.
    pub(crate) fn short_name(&self) -> String {
        let name = self.name.trim_end_matches("Table");
        name[..1].to_lowercase() + &name[1..]
    }

    /// Creates it empty.
    pub(crate) async fn create(&self, client: &Client) -> Result<()> {
        let properties = &self.properties;
        let indexes = list(&properties["GlobalSecondaryIndexes"], index)?;
        client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(list(&properties["AttributeDefinitions"], attribute)?))
            .set_key_schema(Some(list(&properties["KeySchema"], key)?))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .send()
            .await
            .with_context(|| format!("{} was not created", self.name))?;
        Ok(())
    }
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    value.as_sequence().into_iter().flatten().map(item).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{name} is missing in {value:?}"))
}

fn attribute(value: &Value) -> Result<AttributeDefinition> {
    let definition = AttributeDefinition::builder()
        .attribute_name(text(value, "AttributeName")?)
        .attribute_type(text(value, "AttributeType")?.into());
    Ok(definition.build()?)
}

fn key(value: &Value) -> Result<KeySchemaElement> {
    let element = KeySchemaElement::builder()
        .attribute_name(text(value, "AttributeName")?)
        .key_type(text(value, "KeyType")?.into());
    Ok(element.build()?)
}

fn index(value: &Value) -> Result<GlobalSecondaryIndex> {
    let projected = &value["Projection"];
    let others = projected["NonKeyAttributes"].as_sequence().into_iter().flatten();
    let others: Vec<String> = others.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let projection = Projection::builder()
        .projection_type(text(projected, "ProjectionType")?.into())
        .set_non_key_attributes((!others.is_empty()).then_some(others));
    let index = GlobalSecondaryIndex::builder()
        .index_name(text(value, "IndexName")?)
        .set_key_schema(Some(list(&value["KeySchema"], key)?))
        .projection(projection.build());
    Ok(index.build()?)
}
