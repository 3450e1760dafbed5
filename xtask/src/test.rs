//! `cargo xtask test`: unit, integration and doc tests of the workspace.
//!
//! nextest runs them where it is installed (each test in its own process, in parallel across
//! packages); elsewhere `cargo test` does, and says so. All packages and features are built at
//! once, so that no dependency is built twice.

use crate::process::Program;
use crate::{Outcome, out};

const EVERYTHING: &str = "--workspace --all-features";
const CHOSEN: &str = "--all-features";

/// Runs the tests, then the doc tests; arguments (a filter, `-p NAME`) go to the runner of the first.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    out::line(&counted(arguments)?.to_string());
    if arguments.is_empty() { doc_tests() } else { Ok(()) }
}

/// Unit and integration tests; returns how many ran. None at all is a failure.
pub(crate) fn counted(arguments: &[String]) -> Outcome<Count> {
    // Beside `--workspace` cargo would overlook the choice of a package.
    let chooses =
        arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let selection = if chooses { CHOSEN } else { EVERYTHING };
    let program = if Program::cargo().args("nextest --version").succeeds() {
        Program::cargo().args("nextest run").args(selection)
    } else {
        out::skipped("cargo nextest", "not installed; `cargo test` runs the tests instead");
        Program::cargo().args("test --tests --examples").args(selection)
    };
    let mut count = Count::default();
    let program = arguments.iter().fold(program, |program, argument| program.arg(argument));
    program.run_and_read(|line| {
        count.add(line);
        true
    })?;
    if count.passed == 0 { Err("no test ran".to_owned()) } else { Ok(count) }
}

/// The examples in the documentation.
pub(crate) fn doc_tests() -> Outcome {
    Program::cargo().args("test --doc").args(EVERYTHING).run()
}

/// How many tests ran, summed over the closing lines of the runner.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    /// Whether no test passed or failed.
    pub(crate) const fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed == 0
    }

    /// Adds a line when it is a closing line of nextest or of the built-in harness.
    pub(crate) fn add(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim_start();
        if !(line.starts_with("Summary [") || line.starts_with("test result:")) {
            return;
        }
        let words: Vec<_> = line.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let number = number.parse().unwrap_or(0);
            match *what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "skipped" | "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl std::ops::AddAssign<&Self> for Count {
    fn add_assign(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tests: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The line without terminal escapes.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lines: &[&str]) -> Count {
        let mut count = Count::default();
        lines.iter().for_each(|line| count.add(line));
        count
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.051s] 26 tests run: 24 passed (1 slow), 2 failed, 3 skipped";
        assert_eq!(count(&[line]), Count { passed: 24, failed: 2, skipped: 3 });
    }

    #[test]
    fn the_results_of_cargo_test_are_summed() {
        let line =
            "test result: ok. 20 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(count(&["running 20 tests", line, line]), Count { passed: 40, failed: 0, skipped: 2 });
    }

    #[test]
    fn a_line_that_only_looks_alike_counts_nothing() {
        assert_eq!(count(&["3 passed, 1 failed", "the test result: none"]), Count::default());
    }
}
