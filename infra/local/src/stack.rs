//! Starting and stopping all of it, in order.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use meta_simulator::Simulator;
use tokio::process::Command;

use crate::cloud::{self, Deployed, Deployment, Emulator, Mode};
use crate::front::{self, Api, Front, PageConfig};
use crate::info::StackInfo;
use crate::options::{Options, Reserved};
use crate::parameters::{Origins, parameters};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::state_dir::StateDir;
use crate::tokens::Issuer;
use crate::{binaries, http_client, python, sam_env, simulator, traces};

const STACK: &str = "stack.json";
const KEY: &str = "keys/tokens.der";

/// A running stack. Dropped without [`Stack::stop`] it ends, too, but `stack.json` stays behind.
pub struct Stack {
    /// Where it is: the content of `stack.json`.
    pub info: StackInfo,
    dir: StateDir,
    emulator: Emulator,
    simulator: Option<Simulator>,
    _front: front::Server,
}

impl Stack {
    /// Builds the functions, starts the servers, deploys, and writes `stack.json`.
    ///
    /// Errors say what the person at the terminal must do. What was started by then ends.
    pub async fn start(options: Options) -> Result<Self> {
        let progress = Progress::new(options.quiet);
        let dir = StateDir::open(&options.state_dir, options.fresh)?;
        let ports = options.ports.reserve()?;
        let settings = Settings::load(&dir, env_file(&options).as_deref())?;
        let python = python::environment(progress).await?;
        let binaries = binaries::build(progress).await?;

        let front_origin = origin(&ports.front)?;
        let Reserved { front: front_port, simulator: simulator_port, aws: aws_port } = ports;
        let simulator = if settings.real {
            None
        } else {
            progress.say("meta         starting the simulator");
            Some(simulator::start(&settings, &dir, simulator_port, &front_origin).await?)
        };
        progress.say("cloud        starting");
        // What was kept for the simulator's clients is nothing to a real app, and the other way round.
        let state = if settings.real { "cloud-real" } else { "cloud" };
        let traces = traces::listen(&dir).await?;
        let mode = Mode { state, enforce_roles: options.enforce_roles, traces };
        let mut emulator = Emulator::start(&python, &dir, mode, aws_port)?;
        let origins = Origins {
            front: front_origin,
            aws: emulator.endpoint().to_owned(),
            simulator: simulator.as_ref().map(Simulator::url),
        };
        let parameters = parameters(&settings, &origins, &options.overrides);
        let issuer = open_issuer(&python, &dir, origins.front.clone()).await?;
        // Only the newest callers' tokens count: they are renewed at each start.
        let tokens = issuer.all(Timestamp::now())?;
        let front = Arc::new(Front {
            issuer,
            page: PageConfig::new(&settings, &origins, &parameters["GraphVersion"]),
            web: crate::root().join("web"),
            api: Api::new(http_client::client()?),
        });
        // Before the deployment: the emulator fetches the tokens' key from it.
        let server = front::serve(front.clone(), front_port)?;
        let deployment =
            Deployment { python: &python, dir: &dir, binaries: &binaries, parameters: &parameters };
        let deployed = cloud::deploy(&mut emulator, deployment, progress).await?;
        front.api.is_at(deployed.api_base(emulator.endpoint())?);

        let mut info = describe(&settings, &origins, &dir, &deployed)?;
        if !settings.real {
            info.app_secret = Some(settings.app_secret);
            info.verify_token = Some(settings.verify_token);
            info.tokens = Some(tokens);
        }
        sam_env::write(&dir, &deployed)?;
        dir.write(STACK, &serde_json::to_vec_pretty(&info).context("stack.json cannot be written")?)?;
        Ok(Self { info, dir, emulator, simulator, _front: server })
    }

    /// A token of a caller with these claims, for tests of callers that a local stack does not have.
    pub fn token_of(&self, claims: &serde_json::Value) -> Result<String> {
        let issuer = Issuer::open(&self.dir.file(KEY), self.info.api_url.clone())?;
        issuer.sign_claims(claims.clone(), Timestamp::now(), crate::tokens::CALLER_LIFETIME)
    }

    /// Returns, with an error, when the local cloud ends by itself.
    pub async fn failed(&mut self) -> anyhow::Error {
        let log = self.info.logs.join("ministack.log");
        match self.emulator.ended().await {
            Ok(status) => {
                anyhow::anyhow!("the local cloud ended by itself ({status}): its log is {}", log.display())
            }
            Err(error) => error,
        }
    }

    /// The local cloud's process, which starts the functions' processes; `None` if it ended.
    pub(crate) fn emulator_process(&self) -> Option<u32> {
        self.emulator.process()
    }

    /// Stops everything that was started; what it holds is kept for the next start.
    pub async fn stop(self) -> Result<()> {
        let Self { dir, emulator, simulator, _front: server, .. } = self;
        dir.remove(STACK)?;
        sam_env::remove(&dir)?;
        drop(server);
        let stopped = emulator.stop().await;
        if let Some(simulator) = simulator {
            simulator.stop().await;
        }
        stopped
    }
}

/// The stack that runs in this state folder, if one does.
pub fn running(options: &Options) -> Result<Option<StackInfo>> {
    let file = options.state_dir.join(STACK);
    if !file.exists() || !StateDir::is_in_use(&options.state_dir)? {
        return Ok(None);
    }
    let json = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&json).map(Some).with_context(|| format!("{} is not readable", file.display()))
}

/// The stack that runs in this state folder. Errors say how to start one.
pub fn must_run(options: &Options) -> Result<StackInfo> {
    running(options)?.context("no stack runs here: start one by `cargo run`")
}

/// A day's token of a local caller of the running stack. `caller` is `admin` or a local bot.
pub fn token(options: &Options, caller: &str) -> Result<String> {
    let info = must_run(options)?;
    let tokens = Issuer::open(&options.state_dir.join(KEY), info.api_url)?.all(Timestamp::now())?;
    match tokens.bots.get(caller) {
        Some(token) => Ok(token.clone()),
        None if caller == "admin" => Ok(tokens.admin),
        None => bail!("{caller} is no local caller: choose admin or one of {}", crate::BOTS.join(", ")),
    }
}

/// Only the working tree's own stack may work for a real app; tests never do.
fn env_file(options: &Options) -> Option<std::path::PathBuf> {
    (options.state_dir == Options::default().state_dir).then(|| crate::root().join(".env"))
}

fn origin(listener: &std::net::TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr().context("a reserved port has no address")?))
}

async fn open_issuer(python: &Path, dir: &StateDir, origin: String) -> Result<Issuer> {
    let key = dir.file(KEY);
    if !key.exists() {
        let script = crate::root().join("infra/local/make_key.py");
        python::run(Command::new(python).arg(script).arg(&key), "make_key.py").await?;
    }
    Issuer::open(&key, origin)
}

fn describe(
    settings: &Settings,
    origins: &Origins,
    dir: &StateDir,
    deployed: &Deployed,
) -> Result<StackInfo> {
    Ok(StackInfo {
        api_url: origins.front.clone(),
        web_url: origins.front.clone(),
        meta_url: origins.graph().to_owned(),
        aws_endpoint: origins.aws.clone(),
        region: cloud::REGION.to_owned(),
        app_id: settings.app_id.clone(),
        app_secret: None,
        verify_token: None,
        config_id: settings.config_id.clone(),
        tokens: None,
        tables: deployed.tables()?,
        queues: deployed.queues()?,
        buckets: deployed.buckets()?,
        functions: deployed.functions()?,
        logs: dir.file("logs"),
    })
}
