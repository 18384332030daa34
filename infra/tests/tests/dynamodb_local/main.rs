//! What each store port promises, kept by the real adapters on DynamoDB Local: AWS's own emulator, which
//! refuses what AWS refuses (ill-typed and overlapping expressions, above all) and ministack lets pass.
//! The tables are those of `template.yaml`.
//!
//! `.ci/dynamodb-local` fetches it; it needs Java 17. Without one of them the tests are left out, and say
//! so, unless `DYNAMODB_LOCAL` names the folder: then it must be there.
#![allow(clippy::unwrap_used, reason = "a test program")]

#[path = "../system/support/cloud.rs"]
#[expect(dead_code, reason = "the system tests use the rest of it")]
mod cloud;
mod server;
mod template;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use libtest_mimic::{Arguments, Trial};
use serde_json::json;
use shared::testing::contracts;
use tokio::runtime::Runtime;

use cloud::Cloud;
use server::Server;

/// Contracts that may share the tables with others, by name.
macro_rules! contracts {
    ($($contract:ident),* $(,)?) => {[$((
        stringify!($contract),
        |cloud| Box::pin(async move {
            contracts::$contract(&cloud.tables(), stringify!($contract)).await;
            Ok(())
        }),
    )),*]};
}

/// Contracts that look at everything which is due, so they have tables of their own.
macro_rules! contracts_on_copies {
    ($($contract:ident),* $(,)?) => {[$((
        stringify!($contract),
        |cloud| Box::pin(async move {
            let tables = cloud.scratch_tables(stringify!($contract)).await?;
            contracts::$contract(&tables, stringify!($contract)).await;
            Ok(())
        }),
    )),*]};
}

type Run = for<'c> fn(&'c Cloud) -> Pin<Box<dyn Future<Output = Result<()>> + 'c>>;
type Contract = (&'static str, Run);

const BESIDE: &[Contract] = &contracts![
    accounts,
    bots,
    spending,
    clients,
    checks,
    conversation_claims,
    conversation_lists,
    conversations,
    customers,
    erasing,
    events,
    quarantine,
    blobs,
    grants,
    idempotency,
    incoming_messages,
    message_lists,
    business_leases,
    event_lists,
    onboardings,
    rates,
    recipient_marks,
    conversation_pauses,
    messages_out_of_a_history,
    sends,
    statuses,
    templates,
    media,
    subscriptions,
];
const ALONE: &[Contract] = &contracts_on_copies![
    answers,
    due_onboardings,
    unresolved_sends,
    emptying_quarantine,
    offboardings,
    template_syncs,
    due_media,
    due_care,
    check_rounds,
    deliveries,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One server, and each contract is a few dozen quick calls.
    arguments.test_threads.get_or_insert(2);
    let emulator = match Server::found(&root()) {
        Ok(emulator) => Some(emulator),
        Err(error) if std::env::var_os("DYNAMODB_LOCAL").is_some() => {
            eprintln!("error: DYNAMODB_LOCAL is set, but: {error:#}");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("skipped, nothing was tested on DynamoDB Local: {error:#}");
            None
        }
    };
    let left_out = emulator.is_none();
    let suite = Arc::new(Suite::new(emulator));
    let contract = |&(name, run): &Contract| {
        let suite = suite.clone();
        let test = move || suite.run(run).map_err(|error| format!("{error:#}").into());
        Trial::test(format!("contracts::{name}"), test).with_ignored_flag(left_out)
    };
    let mut trials: Vec<Trial> = BESIDE.iter().chain(ALONE).map(contract).collect();
    trials.push(Trial::test("every_contract_of_the_stack_is_here", || {
        every_contract_of_the_stack_is_here().map_err(|error| format!("{error:#}").into())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The folder that holds `template.yaml`.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The server, started when the first contract asks for it.
struct Suite {
    runtime: Runtime,
    emulator: Option<server::Emulator>,
    started: tokio::sync::OnceCell<(Server, Cloud)>,
}

impl Suite {
    fn new(emulator: Option<server::Emulator>) -> Self {
        let runtime = Runtime::new().expect("the system gives a thread pool");
        Self { runtime, emulator, started: tokio::sync::OnceCell::new() }
    }

    fn run(&self, contract: Run) -> Result<()> {
        self.runtime.block_on(async {
            let (_, cloud) = self.started.get_or_try_init(|| self.start()).await?;
            contract(cloud).await
        })
    }

    async fn start(&self) -> Result<(Server, Cloud)> {
        let emulator = self.emulator.as_ref().context("it is not installed")?;
        let server = Server::start(emulator)?;
        let tables = template::tables(&root().join("template.yaml"))?;
        let names: serde_json::Map<_, _> =
            tables.iter().map(|table| (table.short_name(), json!(table.name))).collect();
        // Only the address and the tables count here.
        let info = json!({
            "apiUrl": "", "webUrl": "", "metaUrl": "", "appId": "", "configId": "", "queues": {}, "logs": "",
            "awsEndpoint": server.endpoint, "region": "us-east-1", "tables": names,
        });
        let cloud = Cloud::new(&serde_json::from_value(info)?)?;
        server.answers(&cloud.dynamodb).await?;
        for table in &tables {
            table.create(&cloud.dynamodb).await?;
        }
        Ok((server, cloud))
    }
}

/// Names in the lists of `tests/system/contracts.rs`, which runs them on the stack.
fn every_contract_of_the_stack_is_here() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/contracts.rs");
    let code = std::fs::read_to_string(file)?;
    let mut on_the_stack = BTreeSet::new();
    for list in ["\non_the_deployed_tables! {", "\non_copied_tables! {"] {
        let (_, rest) = code.split_once(list).context("the lists are not where they were")?;
        let (names, _) = rest.split_once('}').context("a list without an end")?;
        on_the_stack.extend(names.split(',').map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()));
    }
    let here: BTreeSet<String> = BESIDE.iter().chain(ALONE).map(|(name, _)| (*name).to_owned()).collect();
    if here != on_the_stack {
        let differing: Vec<_> = here.symmetric_difference(&on_the_stack).collect();
        bail!("only one of DynamoDB Local and the stack keeps these contracts: {differing:?}");
    }
    Ok(())
}
