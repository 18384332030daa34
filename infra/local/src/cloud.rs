//! The local cloud: ministack, and the stack deployed in it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, ChildStdin, Command};

use crate::options::release;
use crate::progress::Progress;
use crate::python;
use crate::state_dir::{StateDir, private_dir};

/// Any region will do; this one needs no special partition.
pub(crate) const REGION: &str = "us-east-1";

/// Credentials that the emulator accepts. They open nothing else.
pub(crate) const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
];

const PARAMETERS: &str = "parameters.json";

/// A little more than the wrapper gives the emulator to save its state.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// The running emulator. Dropped or killed, it still ends by itself: its standard input closes.
pub(crate) struct Emulator {
    process: Child,
    /// Held apart from the process: waiting for a process closes its standard input.
    lifeline: ChildStdin,
    endpoint: String,
}

/// How the emulator works.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'a> {
    /// The folder of what it keeps.
    pub(crate) state: &'a str,
    /// Whether a function may do only what its role says, and `calls.jsonl` lists what it did.
    pub(crate) enforce_roles: bool,
    /// Where the functions send their traces.
    pub(crate) traces: SocketAddr,
}

impl Emulator {
    /// Starts it on the reserved port; [`deploy`] waits until it answers.
    pub(crate) fn start(python: &Path, dir: &StateDir, mode: Mode<'_>, port: TcpListener) -> Result<Self> {
        let Mode { state, enforce_roles, traces } = mode;
        let log = dir.file("logs/ministack.log");
        let log = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = log.try_clone().context("the emulator's log cannot be shared")?;
        let address = release(port)?;
        let endpoint = format!("http://{address}");
        move_state(dir, state, &endpoint)?;
        let mut process = Command::new(python)
            .arg(crate::root().join("infra/local/run_ministack.py"))
            // The functions inherit the emulator's environment, so it gets only what is named here. No
            // AWS_ENDPOINT_URL: it would replace the one that the template gives them.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.file("tmp"))
            .env("TMPDIR", dir.file("tmp"))
            .envs(CREDENTIALS)
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .env("PERSIST_STATE", "1")
            .env("STATE_DIR", dir.file(state))
            .env("AUTH", enforce_roles.to_string())
            .env("AWS_XRAY_DAEMON_ADDRESS", traces.to_string())
            .envs(enforce_roles.then(|| ("CALLS_FILE", dir.file("calls.jsonl"))))
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context("the local cloud could not be started")?;
        let lifeline = process.stdin.take().context("the local cloud has no standard input")?;
        Ok(Self { process, lifeline, endpoint })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process id; `None` if it ended.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns when it ends, which it should not by itself.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.wait().await.context("the local cloud cannot be waited for")
    }

    /// Lets it save its state and end, its functions with it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.lifeline);
        match tokio::time::timeout(STOP_WAIT, self.process.wait()).await {
            Ok(status) => status.map(drop).context("the local cloud cannot be waited for"),
            Err(_) => {
                self.process.start_kill().context("the local cloud cannot be ended")?;
                bail!("the local cloud did not end in {} s and was killed", STOP_WAIT.as_secs());
            }
        }
    }
}

/// The parts of the emulator's state that hold addresses of queues.
const WITH_ADDRESSES: [&str; 3] = ["sqs.json", "lambda.json", "cloudformation.json"];

/// Lets kept state follow its ports: the emulator names queues by address, and after a move its event
/// sources would look for them in vain.
fn move_state(dir: &StateDir, state: &str, endpoint: &str) -> Result<()> {
    private_dir(&dir.file(state))?;
    let last = format!("{state}/endpoint");
    let text = |json| String::from_utf8(json).context("the kept state is damaged: start with --fresh");
    if let Some(old) = dir.read(&last)?.map(text).transpose()?
        && old != endpoint
    {
        for name in WITH_ADDRESSES.map(|name| format!("{state}/{name}")) {
            if let Some(kept) = dir.read(&name)?.map(text).transpose()? {
                dir.write(&name, kept.replace(&format!("{old}/"), &format!("{endpoint}/")).as_bytes())?;
            }
        }
    }
    dir.write(&last, endpoint.as_bytes()).map(drop)
}

/// What a deployment needs.
pub(crate) struct Deployment<'a> {
    pub(crate) python: &'a Path,
    pub(crate) dir: &'a StateDir,
    pub(crate) binaries: &'a Path,
    pub(crate) parameters: &'a BTreeMap<String, String>,
}

/// What came out of a deployment.
#[derive(Debug, Deserialize)]
pub(crate) struct Deployed {
    outputs: BTreeMap<String, String>,
    /// The environment of each function, by the template's name.
    pub(crate) environments: BTreeMap<String, BTreeMap<String, String>>,
}

const TABLES: [&str; 15] = [
    "grants",
    "clients",
    "onboardings",
    "messages",
    "conversations",
    "bots",
    "idempotency",
    "events",
    "quarantine",
    "blobs",
    "rates",
    "templates",
    "media",
    "subscriptions",
    "deliveries",
];
const QUEUES: [&str; 10] = [
    "inbound",
    "answers",
    "media",
    "events",
    "inboundDead",
    "answersDead",
    "mediaDead",
    "eventsDead",
    "changesDead",
    "schedulesDead",
];
const BUCKETS: [&str; 1] = ["media"];
const FUNCTIONS: [&str; 2] = ["recovery", "tokenCare"];

impl Deployed {
    /// Where the emulator serves the HTTP API.
    pub(crate) fn api_base(&self, endpoint: &str) -> Result<String> {
        Ok(format!("{endpoint}/_aws/execute-api/{}/$default", self.output("ApiId")?))
    }

    /// Table names by short name.
    pub(crate) fn tables(&self) -> Result<BTreeMap<String, String>> {
        self.named(&TABLES, "Table")
    }

    /// Queue addresses by short name.
    pub(crate) fn queues(&self) -> Result<BTreeMap<String, String>> {
        self.named(&QUEUES, "QueueUrl")
    }

    /// Names of buckets by short name.
    pub(crate) fn buckets(&self) -> Result<BTreeMap<String, String>> {
        self.named(&BUCKETS, "Bucket")
    }

    /// Names of the functions that are called directly, by short name.
    pub(crate) fn functions(&self) -> Result<BTreeMap<String, String>> {
        self.named(&FUNCTIONS, "Function")
    }

    fn named(&self, names: &[&str], suffix: &str) -> Result<BTreeMap<String, String>> {
        let output =
            |name: &&str| Ok(((*name).to_owned(), self.output(&format!("{}{suffix}", pascal(name)))?));
        names.iter().map(output).collect()
    }

    fn output(&self, name: &str) -> Result<String> {
        self.outputs.get(name).cloned().with_context(|| format!("template.yaml has no output {name}"))
    }
}

fn pascal(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

/// Creates or updates the stack; one that is as it should be is left alone.
pub(crate) async fn deploy(
    emulator: &mut Emulator,
    deployment: Deployment<'_>,
    progress: Progress,
) -> Result<Deployed> {
    progress.say("stack        deploying template.yaml");
    let parameters = serde_json::to_vec(deployment.parameters).context("parameters cannot be written")?;
    let parameters: PathBuf = deployment.dir.write(PARAMETERS, &parameters)?;
    let mut command = Command::new(deployment.python);
    command
        .arg(crate::root().join("infra/local/deploy.py"))
        .arg(&emulator.endpoint)
        .arg(crate::root().join("template.yaml"))
        .arg(parameters)
        .arg(deployment.binaries)
        .arg(deployment.dir.file("logs"))
        .arg(deployment.dir.file("template.json"))
        .envs(CREDENTIALS)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::select! {
        output = python::output(&mut command, "the deployment") => output.context(
            "template.yaml could not be deployed; if it fits no longer to what an earlier run kept, \
             start with --fresh",
        )?,
        status = emulator.ended() => bail!(
            "the local cloud ended at its start ({}): its log is {}",
            status?,
            deployment.dir.file("logs/ministack.log").display()
        ),
    };
    // It holds the secrets, which the stack's secret store has now.
    deployment.dir.remove(PARAMETERS)?;
    serde_json::from_slice(&output).context("the deployment gave no readable answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_queues_follow_the_port() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(temp.path(), false).unwrap();
        move_state(&dir, "cloud", "http://127.0.0.1:4566").unwrap();
        let state = r#"{"url":"http://127.0.0.1:4566/000000000000/q","port":"http://127.0.0.1:45660/"}"#;
        dir.write("cloud/sqs.json", state.as_bytes()).unwrap();
        move_state(&dir, "cloud", "http://127.0.0.1:8002").unwrap();
        let moved = String::from_utf8(dir.read("cloud/sqs.json").unwrap().unwrap()).unwrap();
        let expected = r#"{"url":"http://127.0.0.1:8002/000000000000/q","port":"http://127.0.0.1:45660/"}"#;
        assert_eq!(moved, expected);
    }

    #[test]
    fn outputs_are_found_by_their_short_names() {
        let outputs = TABLES.iter().map(|name| (format!("{}Table", pascal(name)), format!("t-{name}")));
        let outputs = outputs.chain([("InboundDeadQueueUrl".to_owned(), "q".to_owned())]).collect();
        let deployed = Deployed { outputs, environments: BTreeMap::new() };
        assert_eq!(deployed.tables().unwrap()["grants"], "t-grants");
        assert!(deployed.queues().unwrap_err().to_string().contains("InboundQueueUrl"));
    }
}
