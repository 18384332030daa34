//! `cargo run`: all of Switchboard on this machine. `cargo run -- demo`: and a conversation, step by step.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde_json::Value;
use switchboard::soak::Soak;
use switchboard::{BOTS, Options, Ports, Stack, StackInfo, recovery};
use tokio::signal::unix::{SignalKind, signal};

/// Runs all of Switchboard on this machine: the functions, an AWS emulator, a Meta simulator, the pages.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Action>,
    /// Start empty: forget clients, messages and secrets of earlier runs.
    #[arg(long, global = true)]
    fresh: bool,
    /// Use the ports N (pages and API), N+1 (Meta simulator) and N+2 (AWS endpoint) instead of 3000, 3001, 4566.
    #[arg(long, global = true, value_name = "N")]
    port_base: Option<u16>,
}

#[derive(Subcommand)]
enum Action {
    /// Start everything and keep it running until Ctrl-C (the default).
    Up,
    /// Sign a client up, write to it as a customer, show the answer; starts everything for that unless it runs.
    Demo,
    /// Load, faults and killed processes on a stack of its own; then account for everything that was taken.
    Soak {
        /// How long the load lasts.
        #[arg(long, default_value_t = 5.0)]
        minutes: f64,
        /// Customers' messages a second; without it, as many as this machine sustains.
        #[arg(long)]
        rate: Option<f64>,
        /// The same seed fails the same things at the same times.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Print a day's token of a local caller: "admin" or a bot.
    Token {
        /// "admin", "demo-bakery" or "demo-florist".
        caller: String,
    },
    /// Put dead letters back on their queue, in the running stack: docs/recovery.md.
    Redrive(recovery::Redrive),
    /// Run stored messages, events or quarantined webhooks through ingest again, in the running stack.
    Replay(Box<recovery::Replay>),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let ports = arguments.port_base.map_or(Ok(Ports::default()), Ports::base)?;
    let options = Options { ports, fresh: arguments.fresh, ..Options::default() };
    if let Some(Action::Token { caller }) = arguments.command {
        return say(&switchboard::token(&options, &caller)?);
    }
    if let Some(Action::Soak { minutes, rate, seed }) = arguments.command {
        return soak(minutes, rate, seed, arguments.port_base.map(Ports::base).transpose()?).await;
    }
    match &arguments.command {
        Some(Action::Redrive(wanted)) => {
            return say(&pretty(&recovery::redrive(&switchboard::must_run(&options)?, wanted).await?));
        }
        Some(Action::Replay(wanted)) => {
            let show = |answer: &Value| say(&pretty(answer)).unwrap_or_default();
            return recovery::replay(&switchboard::must_run(&options)?, wanted, show).await;
        }
        _ => {}
    }
    if let (Some(Action::Demo), Some(info)) = (&arguments.command, switchboard::running(&options)?) {
        return switchboard::demo::run(&info, false).await;
    }
    let mut stop = Stop::listen()?;
    let mut stack = tokio::select! {
        stack = Stack::start(options) => stack?,
        () = stop.asked() => return say("stopped before it was ready"),
    };
    let outcome = match arguments.command {
        Some(Action::Demo) => tokio::select! {
            outcome = switchboard::demo::run(&stack.info, false) => outcome,
            () = stop.asked() => Err(anyhow::anyhow!("the demo was stopped")),
        },
        _ => {
            say(&ready(&stack.info))?;
            tokio::select! {
                error = stack.failed() => Err(error),
                () = stop.asked() => say("\nstopping: state is kept in .local"),
            }
        }
    };
    let stopped = stack.stop().await;
    outcome.and(stopped)
}

async fn soak(minutes: f64, rate: Option<f64>, seed: Option<u64>, ports: Option<Ports>) -> Result<()> {
    anyhow::ensure!(rate.is_none_or(|rate| rate > 0.0), "--rate must be above 0");
    let lasts = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes must be above 0")?;
    let seed = seed.unwrap_or_else(Soak::any_seed);
    let soak = Soak { rate, ports: ports.unwrap_or(Ports::Free), ..Soak::new(lasts, seed) };
    let mut stop = Stop::listen()?;
    let report = tokio::select! {
        report = soak.run() => report?,
        () = stop.asked() => anyhow::bail!("the soak was stopped"),
    };
    say(&format!("\n{report}"))?;
    anyhow::ensure!(report.is_clean(), "something was lost, doubled or left open");
    Ok(())
}

/// Ctrl-C, or the polite signal of whoever started us.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    // A terminal that went away is no reason to fail.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    Ok(())
}

fn pretty(answer: &Value) -> String {
    format!("{answer:#}")
}

/// The addresses, and what to try.
fn ready(info: &StackInfo) -> String {
    let web = &info.web_url;
    let mut lines = vec![
        "\nready".to_owned(),
        format!("  API              {}/api", info.api_url),
        format!("  Graph API        {}", info.meta_url),
        format!("  AWS endpoint     {}", info.aws_endpoint),
        format!("  logs             {}", info.logs.display()),
    ];
    lines.extend(BOTS.map(|bot| format!("  signup page      {web}/chatbot/{bot}/integration")));
    if info.tokens.is_none() {
        lines.push(
            "\nThis works with the real Meta app of .env. Give Meta a way in: a tunnel to the API, and"
                .to_owned(),
        );
        lines.push("https://<your tunnel>/api/webhooks/whatsapp as the app's callback address.".to_owned());
    }
    lines.push("\ntry, in another terminal".to_owned());
    if info.tokens.is_some() {
        lines.push("  cargo run -- demo".to_owned());
    }
    lines.push(format!(
        "  curl -H \"Authorization: Bearer $(cargo run -q -- token {})\" {}/api/whatsapp/clients",
        BOTS[0], info.api_url
    ));
    lines.push("\nCtrl-C stops everything".to_owned());
    lines.join("\n")
}
