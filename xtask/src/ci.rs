//! `cargo xtask ci`: all that must hold before a change goes in, in one command.
//!
//! The stages run one after the other, the quick ones first, and the first failure ends the run.
//! The table at the end names every stage with the minutes it took, however the run ended.

use std::time::{Duration, Instant};

use crate::test::Count;
use crate::{Outcome, deny, doc, examples, fmt, fuzz, lint, only, out, test, tidy, wasm};

/// A stage: its name and what it does; the count is for the stage that counts tests.
type Stage = (&'static str, fn(&mut Option<Count>) -> Outcome);

const STAGES: &[Stage] = &[
    ("fmt", |_| fmt::run(&[])),
    ("tidy", |_| tidy::run(&[])),
    ("lint", |_| lint::run(&[])),
    ("test", |count| test::counted(&[]).map(|counted| *count = Some(counted))),
    ("doc test", |_| test::doc_tests()),
    ("examples", |_| examples::run(&[])),
    ("doc", |_| doc::run(&[])),
    ("wasm", |_| wasm::run(&[])),
    ("deny", |_| deny::run(&[])),
    ("fuzz", |_| fuzz::run(&[])),
];

/// Runs the stages and prints the table.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    let mut count = None;
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, stage) in STAGES {
        out::line(&format!("\n== {name}"));
        let start = Instant::now();
        let ended = stage(&mut count);
        times.push(start.elapsed());
        if let Err(reason) = ended {
            outcome = Err(format!("the stage `{name}` failed: {reason}"));
            break;
        }
    }
    out::line(&table(&times, outcome.is_ok()));
    if let Some(count) = count {
        out::line(&count.to_string());
    }
    outcome
}

/// One line per stage; `times` holds those that ran, of which the last may have failed.
fn table(times: &[Duration], passed: bool) -> String {
    let minutes = |time: Duration| format!("{:>6.1} min", time.as_secs_f64() / 60.0);
    let mut table = String::from("\n== stages\n");
    for (index, (name, _)) in STAGES.iter().enumerate() {
        let failed = !passed && index + 1 == times.len();
        let line = match times.get(index) {
            Some(time) => format!("{name:<10}{}  {}\n", minutes(*time), if failed { "FAILED" } else { "ok" }),
            None => format!("{name:<10}{:>10}  not run\n", "-"),
        };
        table.push_str(&line);
    }
    table.push_str(&format!("{:<10}{}", "all", minutes(times.iter().sum())));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_stage_that_failed_and_those_that_did_not_run() {
        let table = table(&[Duration::from_secs(6), Duration::from_secs(90)], false);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(lines[0], "fmt          0.1 min  ok");
        assert_eq!(lines[1], "tidy         1.5 min  FAILED");
        assert_eq!(lines[2], "lint               -  not run");
        assert_eq!(lines.last(), Some(&"all          1.6 min"));
    }

    #[test]
    fn a_run_that_passed_names_no_failure() {
        let times = vec![Duration::ZERO; STAGES.len()];
        assert!(!table(&times, true).contains("FAILED"));
    }
}
