//! Prints the OpenAPI document: `cargo run -p openapi > docs/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{:#}", openapi::document())
}
