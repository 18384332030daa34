//! The DynamoDB Local process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use shared::adapters::dynamo::Client;
use tokio::time::{Instant, sleep};

/// Java starts in five seconds; a machine that is busy building needs more.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// Ends Java when standard input closes, which it does however the tests end, `kill -9` included.
const SCRIPT: &str = r#"java "$@" </dev/null & cat >/dev/null; kill $!"#;

/// Where it is installed.
pub(crate) struct Emulator(PathBuf);

/// The running server. It ends when this is dropped.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    _process: Child,
}

impl Server {
    /// Looks for Java and the emulator: in the folder that `DYNAMODB_LOCAL` names, else where
    /// `.ci/dynamodb-local` puts it. The error says what is missing.
    pub(crate) fn found(root: &Path) -> Result<Emulator> {
        let folder = std::env::var_os("DYNAMODB_LOCAL").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| root.join(".local/dynamodb-local/package/emulator"));
        let jar = folder.join("DynamoDBLocal.jar");
        ensure!(jar.is_file(), "{} is not there: run .ci/dynamodb-local", jar.display());
        let java = Command::new("java").arg("-version").stdin(Stdio::null()).output();
        match java {
            Ok(output) if output.status.success() => Ok(Emulator(folder)),
            _ => bail!("no Java was found: install one (Debian: openjdk-17-jre-headless)"),
        }
    }

    /// Starts it empty, in memory. It takes no address to listen on and takes all: what it holds are the
    /// contracts' invented records, for some seconds, on a port that nobody knows.
    pub(crate) fn start(Emulator(folder): &Emulator) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new("sh")
            .args(["-c", SCRIPT, "sh", "-Xmx512m", "-Djava.library.path=DynamoDBLocal_lib"])
            .args(["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-disableTelemetry", "-port"])
            .arg(port.to_string())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("DynamoDB Local could not be started")?;
        Ok(Self { endpoint: format!("http://127.0.0.1:{port}"), _process: process })
    }

    /// Returns when it answers.
    pub(crate) async fn answers(&self, client: &Client) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = client.list_tables().send().await {
            if Instant::now() > deadline {
                return Err(error).context("DynamoDB Local does not answer");
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
