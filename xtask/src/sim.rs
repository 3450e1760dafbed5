//! `cargo xtask sim`: groups of real channels in virtual time, from 3 to 100 participants, with `--nightly` 1,000.
//!
//! The program is `quorate-sim` in `tests/`, so that no other command here has to build the channel first. With `--write`
//! it writes `docs/simulation.md` and its picture anew.

use crate::Outcome;
use crate::process::Program;

/// Runs the simulation with the given options: `[--quick | --nightly] [--only PARTICIPANTS] [--seed N] [--resume FILE] [--write]`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let program = Program::cargo().args("run --release -p quorate-tests --bin quorate-sim --");
    let program = arguments.iter().fold(program, |program, argument| match argument.as_str() {
        "--write" => program.args("--write docs"),
        _ => program.arg(argument),
    });
    program.run()
}
