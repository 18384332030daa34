//! A real Chromium under WebDriver.
//!
//! Uses the Chromium and chromedriver of the machine; as root on Debian it installs what is missing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;

/// Longest wait for anything to appear. No measure of speed: it only ends a test that hangs.
const HANG: Duration = Duration::from_secs(90);
/// How often a condition is looked at: WebDriver has no way to be told.
const TICK: Duration = Duration::from_millis(50);
/// How long chromedriver may take to end its browsers; afterwards it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
const MISSING: &str =
    "the browser tests need Chromium and chromedriver: apt-get install chromium chromium-driver";

/// A browser with an empty profile. It ends when this is dropped, also by a failed test.
pub(crate) struct Browser {
    client: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        static READY: OnceCell<()> = OnceCell::const_new();
        READY.get_or_try_init(install).await?;
        let driver = Driver::start().await?;
        let profile = TempDir::new()?;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&profile)?)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .context("chromedriver did not start Chromium")?;
        Ok(Self { client, _driver: driver, _profile: profile })
    }

    /// The WebDriver session, for what has no shorter name here.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for an element that a person can see.
    pub(crate) async fn see(&self, css: &str) -> anyhow::Result<Element> {
        self.until(css, async || {
            let found = self.client.find_all(Locator::Css(css)).await?;
            for element in found {
                // A page that is drawn anew takes its elements with it: then they are looked for again.
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(Some(element));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Waits for a visible element and clicks it once it is enabled.
    pub(crate) async fn click(&self, css: &str) -> anyhow::Result<()> {
        self.see(&format!("{css}:enabled")).await?.click().await.with_context(|| format!("click on {css}"))
    }

    /// Types into a field, in place of what it holds.
    pub(crate) async fn fill(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let field = self.see(css).await?;
        field.clear().await?;
        field.send_keys(text).await.with_context(|| format!("typing into {css}"))
    }

    /// Waits until an element's text has this in it.
    pub(crate) async fn read(&self, css: &str, text: &str) -> anyhow::Result<()> {
        self.until(&format!("{text:?} in {css}"), async || {
            let shown = self.see(css).await?.text().await.unwrap_or_default();
            Ok(shown.contains(text).then_some(()))
        })
        .await
    }

    /// Waits for so many windows and goes to the newest.
    pub(crate) async fn to_newest_window(&self, of: usize) -> anyhow::Result<()> {
        let newest = self
            .until(&format!("{of} windows"), async || {
                let windows = self.client.windows().await?;
                Ok(windows.last().filter(|_| windows.len() == of).cloned())
            })
            .await?;
        Ok(self.client.switch_to_window(newest).await?)
    }

    /// Waits until `check` answers something. What it waited for is in the error.
    async fn until<T>(
        &self,
        what: &str,
        check: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let waiting = async {
            loop {
                if let Some(found) = check().await? {
                    return anyhow::Ok(found);
                }
                tokio::time::sleep(TICK).await;
            }
        };
        match tokio::time::timeout(HANG, waiting).await {
            Ok(found) => found,
            Err(_) => bail!("the page never showed {what}; it shows: {}", self.text().await),
        }
    }

    /// The page's text, for a failure's message.
    async fn text(&self) -> String {
        let body = self.client.execute("return document.body.innerText", vec![]).await;
        body.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A running chromedriver.
struct Driver {
    process: Child,
    port: u16,
    /// Kept open: a program that writes to a closed pipe dies.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// Starts it on a port that the system chooses. It asks for the same port twice, for both kinds of address,
    /// and ends where another program was given the second one: then it is started again.
    async fn start() -> anyhow::Result<Self> {
        const TRIES: usize = 5;
        for _ in 1..TRIES {
            if let Some(driver) = Self::try_start().await? {
                return Ok(driver);
            }
        }
        Self::try_start().await?.context("chromedriver ended before it was ready")
    }

    /// `None` if it ended at once.
    async fn try_start() -> anyhow::Result<Option<Self>> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context(MISSING)?;
        let output = process.stdout.take().context("chromedriver has no output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            // "ChromeDriver was started successfully on port 37041."
            if let Some((_, port)) = line.trim_end_matches('.').rsplit_once("on port ")
                && line.contains("successfully")
            {
                return Ok(Some(Self { process, port: port.parse()?, _output: lines }));
            }
        }
        Ok(None)
    }

    /// Asks it to end: unlike a kill, that ends its browsers too.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(FAREWELL))?;
        write!(connection, "GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        connection.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A driver that is gone already has nothing left to end.
        self.shut_down().ok();
        self.process.start_kill().ok();
    }
}

fn capabilities(profile: &TempDir) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let data = format!("--user-data-dir={}", profile.path().display());
    let switches = [
        "--headless=new",
        // Root, as in most containers, may not use Chromium's sandbox.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &data,
    ];
    let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": switches } });
    wanted.as_object().cloned().context("capabilities are an object")
}

/// Makes sure that both programs are there.
async fn install() -> anyhow::Result<()> {
    if is_installed().await {
        return Ok(());
    }
    let id = Command::new("id").arg("-u").output().await?;
    ensure!(id.stdout == b"0\n", MISSING);
    for arguments in
        [vec!["update"], [vec!["install", "-y", "--no-install-recommends"], PACKAGES.to_vec()].concat()]
    {
        let done = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .await
            .context(MISSING)?;
        ensure!(done.status.success(), "{MISSING}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    ensure!(is_installed().await, MISSING);
    Ok(())
}

async fn is_installed() -> bool {
    for program in ["chromium", "chromedriver"] {
        let version = Command::new(program).arg("--version").output().await;
        if !version.is_ok_and(|answer| answer.status.success()) {
            return false;
        }
    }
    true
}
