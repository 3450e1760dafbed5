//! `cargo xtask bench`: the criterion benchmarks of all packages, or with `--peers` those beside others.
//!
//! Only bench targets are named to cargo: unit tests do not understand criterion's options.

use crate::process::Program;
use crate::workspace::Workspace;
use crate::{Outcome, out, peers};

/// Runs the benchmarks whose name holds one of the given words, or all; `--quick` trades precision for time.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(("--peers", names)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return peers::bench(names);
    }
    let (options, filters): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| option.as_str() != "--quick") {
        return Err(format!("unknown argument `{unknown}`; known: --quick, and --peers before all others"));
    }
    let workspace = Workspace::load()?;
    let mut names: Vec<_> = workspace.targets("bench").map(|(_, target)| target.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        out::skipped("benchmarks", "there is none yet");
        return Ok(());
    }
    let bench = Program::cargo().args("bench --workspace --all-features");
    let bench = names.iter().fold(bench, |bench, name| bench.args("--bench").arg(name)).arg("--");
    let bench = options.iter().fold(bench, |bench, option| bench.arg(option));
    filters.iter().fold(bench, |bench, filter| bench.arg(filter)).run()
}
