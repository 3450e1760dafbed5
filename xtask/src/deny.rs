//! `cargo xtask deny`: `deny.toml` holds for every dependency.
//!
//! Advisories are left to the public CI, daily: their database is fetched from the network, and a
//! new advisory is no fault of the change at hand.

use crate::process::Program;
use crate::{Outcome, only, tools};

/// Checks bans, licences and sources.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    tools::ensure(&tools::DENY)?;
    Program::cargo().args("deny check --hide-inclusion-graph bans licenses sources").run()
}
