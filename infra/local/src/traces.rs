//! Stands in for the X-Ray daemon: what the functions send it is written to `traces.jsonl`, a segment a line.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::UdpSocket;

use crate::state_dir::StateDir;

const FILE: &str = "logs/traces.jsonl";
/// The largest datagram.
const LARGEST: usize = 64 * 1024;

/// Listens on a free port of this machine until the process ends.
pub(crate) async fn listen(dir: &StateDir) -> Result<SocketAddr> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.context("no port is free for traces")?;
    let address = socket.local_addr().context("the port for traces has no address")?;
    let path = dir.file(FILE);
    let mut file =
        std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    tokio::spawn(async move {
        let mut datagram = vec![0; LARGEST];
        // An error concerns one datagram; a trace that is lost is no loss for the stack.
        while let Ok(length) = socket.recv(&mut datagram).await {
            if let Some(segment) = segment(&datagram[..length]) {
                let _ = file.write_all(format!("{segment}\n").as_bytes());
            }
        }
    });
    Ok(address)
}

/// What follows the header `{"format": "json", "version": 1}` and a line feed.
fn segment(datagram: &[u8]) -> Option<&str> {
    let (header, segment) = std::str::from_utf8(datagram).ok()?.split_once('\n')?;
    (header.starts_with('{') && !segment.contains('\n')).then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_follows_its_header() {
        assert_eq!(segment(b"{\"format\":\"json\",\"version\":1}\n{\"id\":\"1\"}"), Some("{\"id\":\"1\"}"));
        assert_eq!(segment(b"{\"id\":\"1\"}"), None);
    }
}
