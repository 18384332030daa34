//! How a stack is to be started.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// How a stack is to be started. [`Options::default`] is what `cargo run` does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept that the stack makes. Two stacks never share it.
    pub state_dir: PathBuf,
    /// Where it listens; always on 127.0.0.1.
    pub ports: Ports,
    /// Forget what an earlier run kept.
    pub fresh: bool,
    /// Parameters of `template.yaml` that differ from the local defaults, by name.
    pub overrides: BTreeMap<String, String>,
    /// Print nothing.
    pub quiet: bool,
    /// Let each function do only what its role in the template says, and list in `calls.jsonl` of the state
    /// folder what it did. Off by default, so that the endpoint takes unsigned calls, too; a stack is one or
    /// the other for good.
    pub enforce_roles: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            state_dir: crate::root().join(".local"),
            ports: Ports::default(),
            fresh: false,
            overrides: BTreeMap::new(),
            quiet: false,
            enforce_roles: false,
        }
    }
}

/// Where the three servers of a stack listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// These; a taken one is an error that names it.
    Fixed {
        /// The pages and the API.
        front: u16,
        /// The Meta simulator.
        simulator: u16,
        /// The AWS endpoint.
        aws: u16,
    },
    /// Any free ones, for tests.
    Free,
}

impl Default for Ports {
    fn default() -> Self {
        Self::Fixed { front: 3000, simulator: 3001, aws: 4566 }
    }
}

impl Ports {
    /// Three ports in a row, the front first. Errors if they do not fit below 65,536.
    pub fn base(base: u16) -> Result<Self> {
        match (base, base.checked_add(1), base.checked_add(2)) {
            (1.., Some(simulator), Some(aws)) => Ok(Self::Fixed { front: base, simulator, aws }),
            _ => bail!("--port-base {base} leaves no room for three ports: choose one from 1 to 65533"),
        }
    }

    /// Takes the ports, so that nobody else can between the check and the use.
    pub(crate) fn reserve(self) -> Result<Reserved> {
        let (front, simulator, aws) = match self {
            Self::Fixed { front, simulator, aws } => (front, simulator, aws),
            Self::Free => (0, 0, 0),
        };
        Ok(Reserved {
            front: listen(front, "the pages and the API")?,
            simulator: listen(simulator, "the Meta simulator")?,
            aws: listen(aws, "the AWS endpoint")?,
        })
    }
}

/// The three ports, taken.
pub(crate) struct Reserved {
    pub(crate) front: TcpListener,
    pub(crate) simulator: TcpListener,
    pub(crate) aws: TcpListener,
}

/// Gives a port back, for a server that insists on taking it by itself.
pub(crate) fn release(listener: TcpListener) -> Result<SocketAddr> {
    listener.local_addr().context("a reserved port has no address")
}

fn listen(port: u16, purpose: &str) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} ({purpose}) is taken by another program: end that, or use --port-base N for \
             the three ports N, N+1 and N+2"
        ),
        _ => anyhow::Error::new(error).context(format!("cannot listen on 127.0.0.1:{port} ({purpose})")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_base_moves_all_three_ports() {
        assert_eq!(Ports::base(8000).unwrap(), Ports::Fixed { front: 8000, simulator: 8001, aws: 8002 });
    }

    #[test]
    fn a_port_base_without_room_for_three_is_refused() {
        for base in [0, 65_534, 65_535] {
            assert!(Ports::base(base).is_err(), "{base}");
        }
        assert!(Ports::base(65_533).is_ok());
    }

    #[test]
    fn a_taken_port_is_named_with_its_purpose_and_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen(port, "the Meta simulator").unwrap_err().to_string();
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains("the Meta simulator"), "{error}");
        assert!(error.contains("--port-base"), "{error}");
    }

    #[test]
    fn free_ports_differ() {
        let reserved = Ports::Free.reserve().unwrap();
        let front = release(reserved.front).unwrap();
        let simulator = release(reserved.simulator).unwrap();
        assert_ne!(front, simulator);
    }
}
