//! `cargo xtask fuzz`: every target of `tests/fuzz` for a few seconds, or those that are named for longer.
//!
//! A smoke test: it finds what breaks at once, and keeps every target building. What it finds
//! stays in `tests/fuzz/artifacts`; inputs worth keeping are committed to `tests/fuzz/seeds/TARGET`.
//! The sanitizer is off, because no crate here has unsafe code and without it more inputs are tried.

use std::path::Path;

use crate::process::Program;
use crate::{Outcome, machines, out, tools};

const FOLDER: &str = "tests/fuzz";
const SECONDS: u32 = 10;

/// Runs the targets that `arguments` name, or all; `--seconds N` sets the time of each (10).
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Options { seconds, targets } = Options::parse(arguments)?;
    if let Some(reason) = cannot_run()? {
        out::skipped("fuzz targets", &reason);
        return Ok(());
    }
    tools::ensure(&tools::FUZZ)?;
    let known = fuzz("list").output()?;
    let known: Vec<&str> = known.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let Some(unknown) = targets.iter().find(|target| !known.contains(&target.as_str())) {
        return Err(format!("no fuzz target `{unknown}`; there are: {}", known.join(" ")));
    }
    let chosen =
        known.iter().filter(|name| targets.is_empty() || targets.iter().any(|target| target == *name));
    fuzz("build --sanitizer none").run()?;
    for target in chosen {
        let corpus = Path::new(FOLDER).join("corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
        let seeds = Path::new(FOLDER).join("seeds").join(target);
        let folders = [corpus, seeds].into_iter().filter(|folder| folder.is_dir());
        let program = fuzz("run --sanitizer none").arg(target);
        let program = folders.fold(program, |program, folder| program.arg(folder.display().to_string()));
        let limits = format!("-- -max_total_time={seconds} -timeout=10 -rss_limit_mb=2048");
        program.args(&limits).run_and_read(|line| !is_chatter(line))?;
    }
    Ok(())
}

/// Why nothing can be fuzzed here, when that is no fault of the tree.
fn cannot_run() -> Outcome<Option<String>> {
    if !Path::new(FOLDER).join("Cargo.toml").is_file() {
        let reason = format!("{FOLDER} is not there yet");
        return if machines::GROWING { Ok(Some(reason)) } else { Err(reason) };
    }
    let nightly = tools::has_toolchain("nightly");
    Ok((!nightly).then(|| "no nightly toolchain: `rustup toolchain install nightly` gets it".to_owned()))
}

/// `cargo fuzz COMMAND` on the nightly.
fn fuzz(command: &str) -> Program {
    let (verb, options) = command.split_once(' ').unwrap_or((command, ""));
    Program::new("rustup").args(&format!("run nightly cargo fuzz {verb} --fuzz-dir {FOLDER} {options}"))
}

/// Whether a line is libFuzzer's progress: hundreds of lines that say nothing when all goes well.
fn is_chatter(line: &str) -> bool {
    ["#", "\"", "INFO: ", "\tNEW_FUNC", "WARNING: Failed to find function"]
        .iter()
        .any(|start| line.starts_with(start))
}

#[derive(Debug, PartialEq)]
struct Options {
    seconds: u32,
    targets: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self { seconds: SECONDS, targets: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let number =
                    arguments.next().and_then(|number| number.parse().ok()).filter(|seconds| *seconds > 0);
                options.seconds = number.ok_or("--seconds needs a number from 1 up")?;
            } else if argument.starts_with('-') {
                return Err(format!("unknown argument `{argument}`; known: --seconds N"));
            } else {
                options.targets.push(argument.clone());
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Outcome<Options> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn seconds_and_targets_are_told_apart() {
        let options = Options { seconds: 3, targets: vec!["frame".to_owned(), "stream".to_owned()] };
        assert_eq!(parse(&["frame", "--seconds", "3", "stream"]), Ok(options));
    }

    #[test]
    fn progress_is_hidden_and_a_crash_is_not() {
        assert!(
            is_chatter("#2\tINITED cov: 49 ft: 50 corp: 1/11b")
                && is_chatter("###### Recommended dictionary. ######")
        );
        for line in [
            "Done 61 runs in 3 second(s)",
            "thread '<unnamed>' panicked at src/lib.rs:1:1:",
            "==1== ERROR: libFuzzer",
        ] {
            assert!(!is_chatter(line), "{line}");
        }
    }

    #[test]
    fn a_fuzz_run_without_end_is_refused() {
        // libFuzzer takes 0 for "for ever".
        for words in [&["--seconds", "0"][..], &["--seconds"], &["--seconds", "long"], &["--second"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
