//! What each port promises, kept by the real adapters on the running stack. The fakes of the unit tests
//! pass the same contracts. That a changed ciphertext does not open is tested elsewhere: the emulator's KMS
//! minds the context only.

use anyhow::Result;
use aws_sdk_sqs::types::Message;
use shared::adapters::sqs::{AnswersQueue, InboundQueue};
use shared::domain::Timestamp;
use shared::domain::answer::Nudge;
use shared::domain::parcel::{Content, Parcel, PartHeader};
use shared::testing::contracts;

use crate::support::{Case, World, cases};

/// Contracts that run on the deployed tables, beside everything else that is in them.
macro_rules! on_the_deployed_tables {
    ($($contract:ident),* $(,)?) => {$(
        async fn $contract(world: &World) -> Result<()> {
            let unique = world.unique().to_string();
            contracts::$contract(&world.cloud.tables(), &unique).await;
            Ok(())
        }
    )*};
}

/// Contracts with work that is long due, which the deployed schedules would take up: on copies.
macro_rules! on_copied_tables {
    ($($contract:ident),* $(,)?) => {$(
        async fn $contract(world: &World) -> Result<()> {
            let unique = world.unique().to_string();
            let tables = world.cloud.scratch_tables(&unique).await?;
            contracts::$contract(&tables, &unique).await;
            Ok(())
        }
    )*};
}

on_the_deployed_tables! {
    accounts, bots, clients, conversation_claims, conversations, customers, events, quarantine, blobs, grants,
    idempotency, incoming_messages, message_lists, business_leases, onboardings, sends, statuses,
}
on_copied_tables! { answers, due_onboardings, offboardings }

pub(crate) fn cases() -> Vec<Case> {
    cases!["contracts":
        Beside accounts,
        Beside offboardings,
        Beside bots,
        Beside clients,
        Beside conversation_claims,
        Beside conversations,
        Beside customers,
        Beside events,
        Beside quarantine,
        Beside blobs,
        Beside grants,
        Beside idempotency,
        Beside incoming_messages,
        Beside message_lists,
        Beside business_leases,
        Beside onboardings,
        Beside sends,
        Beside statuses,
        Beside answers,
        Beside due_onboardings,
        Beside inbound,
        Beside nudges,
        Beside seal_contexts,
    ]
}

async fn seal_contexts(world: &World) -> Result<()> {
    contracts::seal_contexts(&world.cloud.kms(), &world.unique().to_string()).await;
    Ok(())
}

async fn inbound(world: &World) -> Result<()> {
    let unique = world.unique().to_string();
    let url = world.cloud.scratch_queue(&format!("contract-inbound-{unique}")).await?;
    let queue = InboundQueue::new(world.cloud.aws.sqs(), url.clone());
    let mut arrived = Vec::new();
    let received = async || {
        arrived.extend(world.cloud.drain(&url).await.unwrap().iter().map(parcel));
        arrived.clone()
    };
    contracts::inbound(&queue, received, &unique).await;
    Ok(())
}

async fn nudges(world: &World) -> Result<()> {
    let unique = world.unique().to_string();
    let url = world.cloud.scratch_queue(&format!("contract-answers-{unique}")).await?;
    let queue = AnswersQueue::new(world.cloud.aws.sqs(), url.clone());
    let mut arrived: Vec<Nudge> = Vec::new();
    let received = async || {
        let messages = world.cloud.drain(&url).await.unwrap();
        arrived.extend(messages.iter().map(|m| serde_json::from_str(m.body.as_deref().unwrap()).unwrap()));
        arrived.clone()
    };
    contracts::nudges(&queue, received, &unique).await;
    Ok(())
}

/// What ingest would read from a message.
fn parcel(message: &Message) -> Parcel {
    let attributes = message.message_attributes.as_ref().unwrap();
    let text = |name: &str| attributes[name].string_value.clone().unwrap();
    let number = |name: &str| text(name).parse().unwrap();
    let body = message.body.clone().unwrap();
    let content = match text("kind").as_str() {
        "body" => Content::Body(body),
        _ => {
            let header = PartHeader { name: text("name"), index: number("index"), count: number("count") };
            Content::Part { header, base64: body }
        }
    };
    let received_at = Timestamp::from_millisecond(text("receivedAt").parse().unwrap()).unwrap();
    Parcel { content, received_at }
}
