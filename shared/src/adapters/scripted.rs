//! A local HTTP server that answers as a test tells it, for the tests of the adapters.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use url::Url;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: Url,
    headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        self.target.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }
}

/// What the server does with a request.
pub(super) enum Act {
    /// Answers with status, content type and body.
    Answer(u16, &'static str, String),
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Drop,
    /// Promises more than it sends.
    BreakOff,
}

impl Act {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, "application/json", body.to_string())
    }
}

/// The server. Each connection serves one request. Its threads end with the test process.
pub(super) struct Scripted {
    pub(super) url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    pub(super) fn start(script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, log, base) = (Arc::new(script), Arc::clone(&requests), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log, base) = (Arc::clone(&script), Arc::clone(&log), base.clone());
                std::thread::spawn(move || serve(stream, &base, &log, &*script));
            }
        });
        Self { url, requests }
    }

    /// Everything that was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, base: &Url, log: &Mutex<Vec<Request>>, script: &dyn Fn(&Request) -> Act) {
    let Some(request) = read(&stream, base) else { return };
    log.lock().unwrap().push(request.clone());
    let (status, kind, body, missing) = match script(&request) {
        Act::Answer(status, kind, body) => (status, kind, body, 0),
        Act::BreakOff => (200, "application/json", "{".to_owned(), 100),
        Act::Drop => return stream.shutdown(Shutdown::Both).unwrap_or_default(),
        Act::Hang => {
            // Until the client gives up and closes.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let length = body.len() + missing;
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // The client may be gone already; then nobody misses the answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn read(stream: &TcpStream, base: &Url) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), base.join(words.next()?).ok()?);
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |value| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}
