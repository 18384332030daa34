//! Prints a document that is made out of the template and the code: `configuration` or `cost`.

use std::io::Write as _;

fn main() -> anyhow::Result<()> {
    let document = match std::env::args().nth(1).as_deref() {
        Some("configuration") => reference::configuration::document()?,
        Some("cost") => reference::cost::document()?,
        _ => anyhow::bail!("which one? cargo run -p reference -- configuration, or cost"),
    };
    write!(std::io::stdout(), "{document}")?;
    Ok(())
}
