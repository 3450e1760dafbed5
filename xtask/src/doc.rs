//! `cargo xtask doc`: the documentation of all packages; a broken link is an error.

use crate::process::Program;
use crate::{Outcome, only};

/// Builds it; `--open` shows it in a browser.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &["--open"])?;
    let open = if arguments.is_empty() { "" } else { "--open" };
    Program::cargo()
        .env("RUSTDOCFLAGS", "-Dwarnings")
        .args("doc --workspace --all-features --no-deps")
        .args(open)
        .run()
}
