//! The local stack: all of Switchboard on one machine, without an AWS or Meta account.
//!
//! `cargo run` and the system tests use the same [`Stack`]. It deploys `template.yaml` to an AWS emulator
//! (ministack), whose functions are the binaries that cargo built; puts a thin front before the HTTP API;
//! and runs the Meta simulator beside them. Everything it makes lies in one folder, `.local` by default.

mod binaries;
mod cloud;
pub mod demo;
mod front;
mod http_client;
mod info;
mod options;
mod parameters;
mod progress;
mod python;
pub mod recovery;
mod sam_env;
mod settings;
mod simulator;
pub mod soak;
mod stack;
mod state_dir;
mod tokens;
mod traces;

pub use http_client::client;
pub use info::{StackInfo, Tokens};
pub use options::{Options, Ports};
pub use python::virtual_environment;
pub use stack::{Stack, must_run, running, token};

/// The bots that exist in a new local stack; each has a token of its own.
pub const BOTS: [&str; 2] = ["demo-bakery", "demo-florist"];

/// The folder that holds `template.yaml`, `functions` and `web`.
fn root() -> &'static std::path::Path {
    let this_crate = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate.ancestors().nth(2).unwrap_or(this_crate)
}
