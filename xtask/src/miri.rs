//! `cargo xtask miri`: the tests of the wire crate under miri, which sees undefined behaviour in the
//! dependencies that move bytes (our own code has no `unsafe`).
//!
//! Properties run with few cases: miri is some hundred times slower. It takes about eight minutes, six of them the tests. Where the component is not
//! installed this is a skip, shown, with the command that installs it.

use crate::process::Program;
use crate::{Outcome, only, out, tools};

const PACKAGE: &str = "quorate-wire";
const CASES: &str = "4";

/// Runs them.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    if let Some(reason) = cannot_run() {
        out::skipped("miri", reason);
        return Ok(());
    }
    Program::new("rustup")
        .args(&format!("run nightly cargo miri test --package {PACKAGE} --lib"))
        // Proptest looks for the file of past failures, and for the time.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", CASES)
        .run()
}

/// Why miri cannot run here, when that is no fault of the tree.
fn cannot_run() -> Option<&'static str> {
    if !tools::has_toolchain("nightly") {
        return Some("no nightly toolchain: `rustup toolchain install nightly` gets it");
    }
    let installed = Program::new("rustup").args("run nightly cargo miri --version").succeeds();
    (!installed).then_some("not installed: `rustup component add miri rust-src --toolchain nightly` gets it")
}
