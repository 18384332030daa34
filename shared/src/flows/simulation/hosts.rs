//! Processes and what they do: each is one sandbox of one function, with a memory and a clock of its own.

use std::pin::Pin;
use std::rc::Rc;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use lambda_http::Request;

use super::plan::Millis;
use super::queue::Receipt;
use crate::domain::answer::Nudge;
use crate::domain::ids::{BotId, OnboardingId};
use crate::domain::parcel::Parcel;
use crate::domain::secret::AppSecret;
use crate::error::StoreError;
use crate::flows::exchange::ExchangeError;
use crate::flows::invariants::Glance;
use crate::flows::onboard;
use crate::flows::receive::receive;
use crate::flows::testing::{self, Order, Process, Told, claims, signature, solution_partner};
use crate::kept::Kept;
use crate::queue::each;
use crate::testing::{SignedUp, World};

pub(super) const SECRET: &str = "not-a-real-app-secret";

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Receive,
    Ingest,
    Reply,
    Send,
    Onboard,
}

impl Function {
    /// When Lambda ends it, as in the template.
    pub(super) fn limit(self) -> Millis {
        match self {
            Self::Receive => 10_000,
            Self::Ingest => 30_000,
            Self::Reply => 60_000,
            Self::Send | Self::Onboard => 29_000,
        }
    }
}

/// One sandbox.
pub(super) struct Host {
    pub function: Function,
    pub process: Rc<Process>,
    /// How far its clock is from the true time.
    pub skew: i64,
    pub busy: bool,
}

/// What somebody waits for.
#[derive(Debug, Clone)]
pub(super) enum Job {
    Deliver(usize),
    Inbound(Vec<Receipt>),
    Answers(Vec<Receipt>),
    Ask(usize),
    Page(usize),
    Schedule,
}

/// How it ended, if its process lived.
#[derive(Debug)]
pub(super) enum Done {
    Taken(bool),
    /// Which messages of the batch failed.
    Batch(Vec<usize>),
    Told(Told),
    /// Whether the page has its answer.
    Page(bool),
    Nothing,
}

pub(super) type Working = Pin<Box<dyn Future<Output = Done>>>;

/// A call of a function, not ended yet.
pub(super) struct Task {
    pub job: Job,
    pub host: usize,
    pub working: Working,
    pub wakes_at: Millis,
    pub ends_at: Millis,
    pub glance: Glance,
}

pub(super) fn deliver(world: World, body: Rc<Vec<u8>>) -> Working {
    Box::pin(async move {
        let secret = Kept::fixed(AppSecret::try_from(SECRET.to_owned()).expect("fits a header"));
        let header = signature(SECRET, &body);
        let taken = receive(&world.queues, &world.clock, &secret, Some(&header), &body).await;
        Done::Taken(taken.is_ok())
    })
}

/// An event with so many messages, whose ids are their places.
fn batch(len: usize) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = (0..len)
        .map(|index| {
            let mut message = SqsMessage::default();
            message.message_id = Some(index.to_string());
            message
        })
        .collect();
    event
}

async fn work<T>(items: &[T], mut job: impl AsyncFnMut(&T) -> Result<(), StoreError>) -> Done {
    let place = |id: Option<&str>| id.and_then(|id| id.parse::<usize>().ok()).expect("a place");
    let response = each(
        batch(items.len()),
        || true,
        async |message: &SqsMessage| job(&items[place(message.message_id.as_deref())]).await,
    );
    let failures = response.await.batch_item_failures;
    Done::Batch(failures.iter().map(|failure| place(Some(&failure.item_identifier))).collect())
}

pub(super) fn ingest(world: World, process: Rc<Process>, parcels: Vec<Parcel>) -> Working {
    Box::pin(async move {
        let ingest = process.ingest(&world);
        work(&parcels, async |parcel| ingest.parcel(parcel).await.map(drop)).await
    })
}

pub(super) fn reply(world: World, process: Rc<Process>, nudges: Vec<Nudge>) -> Working {
    Box::pin(async move {
        let reply = process.reply(&world);
        work(&nudges, async |nudge| reply.nudge(nudge).await).await
    })
}

pub(super) fn sweep(world: World, process: Rc<Process>) -> Working {
    Box::pin(async move {
        // What fails is made good by the next.
        let reply = process.reply(&world);
        let _ = reply.sweep(500).await;
        let _ = reply.report_unresolved(500).await;
        Done::Nothing
    })
}

pub(super) fn resume(world: World) -> Working {
    Box::pin(async move {
        let settings = solution_partner();
        // What fails is made good by the next.
        let _ = testing::onboard(&world, &settings).run_due(20).await;
        Done::Nothing
    })
}

pub(super) fn ask(world: World, process: Rc<Process>, order: Order, request: Rc<Request>) -> Working {
    Box::pin(async move { Done::Told(process.order(&world, &order, &request).await) })
}

/// The page sends its code and, if it stays, goes on to the end.
pub(super) fn page(world: World, it: SignedUp, bot: BotId, stays: bool) -> Working {
    Box::pin(async move {
        match testing::exchange(&world).run(&it.code, &bot, claims(&it)).await {
            Ok(_) | Err(ExchangeError::CodeSpent(_)) => {}
            Err(_) => return Done::Page(false),
        }
        if !stays {
            return Done::Page(true);
        }
        let settings: onboard::Settings = solution_partner();
        let ran = testing::onboard(&world, &settings).run(&OnboardingId::of_code(&it.code)).await;
        Done::Page(ran.is_ok())
    })
}
