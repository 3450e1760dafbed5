//! `cargo xtask crash`: the long tests of durability, which the ordinary run shortens.
//!
//! A real process is killed two hundred times, and channels on disks that lose power go through thousands of cuts.

use crate::process::Program;
use crate::{Outcome, only};

/// The tests that the ordinary run leaves out.
const TESTS: [&str; 2] = ["two_hundred_kills_lose_nothing", "thousands_of_power_cuts_lose_nothing"];

/// Runs them, with what they say.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    let test = Program::cargo().args("test --release --package quorate-tests --test crash --test durable --");
    TESTS.iter().fold(test.args("--include-ignored --nocapture"), |test, name| test.arg(name)).run()
}
