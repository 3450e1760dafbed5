//! `cargo xtask examples`: runs every example as its first lines say.
//!
//! An example opens with its run command, `cargo run … --example NAME [-- ARGUMENTS]`, and that is
//! how it is run here: with those arguments, from the build that the tests made. One that never
//! ends by itself, or needs a second process, says `Not run by CI: REASON` there instead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::process::Program;
use crate::workspace::{self, Workspace};
use crate::{Outcome, only, out};

/// No example may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Builds all examples at once, then runs one after the other.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    let workspace = Workspace::load()?;
    let examples: Vec<_> = workspace.targets("example").map(|(_, target)| target).collect();
    if examples.is_empty() {
        out::skipped("examples", "there is none yet");
        return Ok(());
    }
    let built = build()?;
    for example in examples {
        match how_to_run(&example.name, &workspace::read(&example.source)?)? {
            HowToRun::NotInCi(reason) => out::skipped(&example.name, &reason),
            HowToRun::With(arguments) => {
                let (_, program) = built
                    .iter()
                    .find(|(source, _)| source.ends_with(&example.source))
                    .ok_or_else(|| format!("cargo built no example from {}", example.source.display()))?;
                Program::new(program).args(&arguments).run_within(LIMIT)?;
            }
        }
    }
    Ok(())
}

/// Builds the examples with the features that the tests are built with; returns source and executable of each.
fn build() -> Outcome<Vec<(PathBuf, PathBuf)>> {
    let arguments = "build --workspace --all-features --examples --message-format=json-render-diagnostics";
    out::command(&format!("cargo {arguments}"));
    let messages = Program::cargo().args(arguments).output()?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// The source and the executable that one of cargo's messages tells of.
fn executable(message: &str) -> Option<(PathBuf, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_example = target["kind"][0].as_str() == Some("example");
    let source = Path::new(target["src_path"].as_str()?).to_owned();
    let executable = Path::new(message["executable"].as_str()?).to_owned();
    is_example.then_some((source, executable))
}

/// What the first lines of an example say.
#[derive(Debug, PartialEq)]
pub(crate) enum HowToRun {
    /// Run it with these arguments.
    With(String),
    /// Leave it, for this reason.
    NotInCi(String),
}

/// Reads the opening `//!` lines of the example `name`.
pub(crate) fn how_to_run(name: &str, text: &str) -> Outcome<HowToRun> {
    let mut command = None;
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        if let Some((_, reason)) = line.split_once("Not run by CI:") {
            return Ok(HowToRun::NotInCi(reason.trim().to_owned()));
        }
        let Some((_, after)) =
            line.split_once("cargo run ").and_then(|(_, rest)| rest.split_once("--example "))
        else {
            continue;
        };
        let after = after.trim_end().trim_end_matches('`');
        let (options, arguments) = after.split_once(" -- ").unwrap_or((after, ""));
        if options.split_whitespace().next() == Some(name) && command.is_none() {
            command = Some(HowToRun::With(arguments.trim().to_owned()));
        }
    }
    command.ok_or_else(|| format!("the example {name} does not open with `cargo run … --example {name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(arguments: &str) -> Outcome<HowToRun> {
        Ok(HowToRun::With(arguments.to_owned()))
    }

    #[test]
    fn the_run_command_is_read_from_the_first_lines() {
        let text = "//! Says hello.\n//!\n//! ```console\n//! $ cargo run -p quorate --example hello -- --peers 3\n//! ```\n";
        assert_eq!(how_to_run("hello", text), with("--peers 3"));
        assert_eq!(how_to_run("hello", "//! `cargo run -p quorate --example hello`"), with(""));
        assert_eq!(how_to_run("hello", "//! cargo run --example hello --features iroh"), with(""));
    }

    #[test]
    fn an_example_without_its_own_command_is_refused() {
        assert!(how_to_run("hello", "//! Says hello.").is_err());
        assert!(how_to_run("hello", "//! cargo run --example hello2").is_err());
        assert!(how_to_run("hello", "//! Hello.\nfn main() {} // cargo run --example hello").is_err());
    }

    #[test]
    fn an_example_may_say_why_ci_leaves_it() {
        let text = "//! cargo run --example serve\n//! Not run by CI: it serves until it is stopped.";
        let reason = "it serves until it is stopped.".to_owned();
        assert_eq!(how_to_run("serve", text), Ok(HowToRun::NotInCi(reason)));
    }
}
