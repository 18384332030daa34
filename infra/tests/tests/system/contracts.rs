//! What each port promises, kept by the real adapters on the running stack. The fakes of the unit tests
//! pass the same contracts. That a changed ciphertext does not open is tested elsewhere: the emulator's KMS
//! minds the context only.

use anyhow::Result;
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use shared::adapters::files::Files;
use shared::adapters::sqs::{
    AnswersQueue, DeadLetterQueues, EventsQueue, InboundQueue, MediaQueue, QueueUrls,
};
use shared::adapters::system::SystemClock;
use shared::domain::Timestamp;
use shared::domain::answer::Nudge;
use shared::domain::delivery::Job;
use shared::domain::letter::{Attribute, FedQueue, Letter};
use shared::domain::media::Fetch;
use shared::domain::parcel::Parcel;
use shared::ports::{Clock, SendBack};
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
    accounts, bots, spending, clients, checks, conversation_claims, conversation_lists, conversations, customers, erasing, events, quarantine, blobs, grants,
    idempotency, incoming_messages, message_lists, business_leases, event_lists, onboardings, rates, recipient_marks, conversation_pauses,
    messages_out_of_a_history, sends,
    statuses, templates, media, subscriptions,
}
on_copied_tables! {
    answers, due_onboardings, unresolved_sends, emptying_quarantine, offboardings, template_syncs, due_media,
    due_care, check_rounds, deliveries,
}

pub(crate) fn cases() -> Vec<Case> {
    cases!["contracts":
        Beside accounts,
        Beside offboardings,
        Beside bots,
        Beside spending,
        Beside clients,
        Beside checks,
        Beside check_rounds,
        Beside conversation_claims,
        Beside conversation_lists,
        Beside conversations,
        Beside customers,
        Beside erasing,
        Beside events,
        Beside quarantine,
        Beside blobs,
        Beside grants,
        Beside idempotency,
        Beside incoming_messages,
        Beside message_lists,
        Beside business_leases,
        Beside onboardings,
        Beside rates,
        Beside recipient_marks,
        Beside conversation_pauses,
        Beside messages_out_of_a_history,
        Beside sends,
        Beside statuses,
        Beside templates,
        Beside template_syncs,
        Beside media,
        Beside due_media,
        Beside due_care,
        Beside subscriptions,
        Beside deliveries,
        Beside jobs,
        Beside files,
        Beside upload_links,
        Beside fetches,
        Beside answers,
        Beside due_onboardings,
        Beside unresolved_sends,
        Beside emptying_quarantine,
        Beside event_lists,
        Beside dead_letters,
        Beside sending_back,
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

async fn fetches(world: &World) -> Result<()> {
    let unique = world.unique().to_string();
    let url = world.cloud.scratch_queue(&format!("contract-media-{unique}")).await?;
    let queue = MediaQueue::new(world.cloud.aws.sqs(), url.clone());
    let mut arrived: Vec<Fetch> = Vec::new();
    let received = async || {
        let messages = world.cloud.drain(&url).await.unwrap();
        arrived.extend(messages.iter().map(|m| serde_json::from_str(m.body.as_deref().unwrap()).unwrap()));
        arrived.clone()
    };
    contracts::fetches(&queue, received, &unique).await;
    Ok(())
}

async fn jobs(world: &World) -> Result<()> {
    let unique = world.unique().to_string();
    let url = world.cloud.scratch_queue(&format!("contract-events-{unique}")).await?;
    let queue = EventsQueue::new(world.cloud.aws.sqs(), url.clone());
    let mut arrived: Vec<Job> = Vec::new();
    let received = async || {
        let messages = world.cloud.drain(&url).await.unwrap();
        arrived.extend(messages.iter().map(|m| serde_json::from_str(m.body.as_deref().unwrap()).unwrap()));
        arrived.clone()
    };
    contracts::jobs(&queue, received, &unique).await;
    Ok(())
}

async fn files(world: &World) -> Result<()> {
    let files = Files::new(&world.cloud.aws, &world.info.buckets["media"])?;
    let open = async |link: String| {
        let answer = world.http.get(link).send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        Some(answer.bytes().await.unwrap().to_vec())
    };
    contracts::files(&files, open, SystemClock.now(), &world.unique().to_string()).await;
    Ok(())
}

async fn upload_links(world: &World) -> Result<()> {
    let files = Files::new(&world.cloud.aws, &world.info.buckets["media"])?;
    let put = async |link: String, kind: &'static str, bytes: &'static [u8]| {
        let call = world.http.put(link).header("content-type", kind).body(bytes);
        call.send().await.unwrap().status().is_success()
    };
    contracts::upload_links(&files, put, SystemClock.now(), &world.unique().to_string()).await;
    Ok(())
}

/// Queues that no function reads, of which a contract uses one as the dead letters and one as the live queue.
async fn dead_letter_queues(world: &World, contract: &str) -> Result<(DeadLetterQueues, QueueUrls)> {
    let scratch = async |name: &str| {
        world.cloud.scratch_queue(&format!("contract-{contract}-{name}-{}", world.unique())).await
    };
    let unused = scratch("unused").await?;
    let urls = QueueUrls {
        inbound: scratch("live").await?,
        answers: unused.clone(),
        inbound_dead: scratch("dead").await?,
        answers_dead: unused.clone(),
        schedules_dead: unused,
    };
    Ok((DeadLetterQueues::new(world.cloud.aws.sqs(), urls.clone()), urls))
}

async fn dead_letters(world: &World) -> Result<()> {
    let (queues, urls) = dead_letter_queues(world, "dead-letters").await?;
    // Buried by what sends parcels: a dead-letter queue is a queue.
    let dead = QueueUrls { inbound: urls.inbound_dead.clone(), ..urls };
    let dead = DeadLetterQueues::new(world.cloud.aws.sqs(), dead);
    let bury = async |letter: Letter| dead.send_back(FedQueue::Inbound, &[letter]).await.unwrap();
    contracts::dead_letters(&queues, bury, &world.unique().to_string()).await;
    Ok(())
}

async fn sending_back(world: &World) -> Result<()> {
    let (queues, urls) = dead_letter_queues(world, "sending-back").await?;
    let mut arrived = Vec::new();
    let received = async || {
        arrived.extend(world.cloud.drain(&urls.inbound).await.unwrap().iter().map(parcel));
        arrived.clone()
    };
    contracts::sending_back(&queues, received, &world.unique().to_string()).await;
    Ok(())
}

/// What ingest would read from a message.
fn parcel(message: &Message) -> Parcel {
    let text = |value: &MessageAttributeValue| Attribute {
        kind: value.data_type.clone(),
        value: value.string_value.clone().unwrap(),
    };
    let attributes = message.message_attributes.iter().flatten();
    let attributes = attributes.map(|(name, value)| (name.clone(), text(value))).collect();
    Letter { body: message.body.clone().unwrap(), attributes }.parcel(Timestamp::UNIX_EPOCH)
}
