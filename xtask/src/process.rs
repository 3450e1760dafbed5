//! Runs programs: each is printed before it runs, and its failure names it.
//!
//! A program that is started here sees the environment of the person who called `cargo xtask`,
//! without what cargo added for xtask itself: build scripts that watch those variables (ring's
//! does) would otherwise rebuild half the tree at every change between `cargo` and `cargo xtask`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, out, tools};

/// A program with its arguments, not started yet.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

impl Program {
    /// The program `name`, looked up in the path and among the installed tools.
    pub(crate) fn new(name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        let mut command = Command::new(name);
        command.stdin(Stdio::null()).env("PATH", search_path());
        for (key, _) in std::env::vars_os().filter(|(key, _)| set_by_cargo_run(&key.to_string_lossy())) {
            command.env_remove(key);
        }
        Self { command, shown: name.display().to_string() }
    }

    /// The cargo that runs us, or the path's.
    pub(crate) fn cargo() -> Self {
        let mut program = Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).as_os_str());
        program.shown = "cargo".to_owned();
        program
    }

    /// Adds arguments that are separated by blanks.
    pub(crate) fn args(self, arguments: &str) -> Self {
        arguments.split_whitespace().fold(self, Self::arg)
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<str>) -> Self {
        let argument = argument.as_ref();
        self.command.arg(argument);
        self.shown.push(' ');
        self.shown.push_str(argument);
        self
    }

    /// Sets a variable, shown before the program.
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self.shown = format!("{key}='{value}' {}", self.shown);
        self
    }

    /// Prints the program, runs it, and fails when it does.
    pub(crate) fn run(mut self) -> Outcome {
        out::command(&self.shown);
        let status = self.command.status().map_err(|error| self.not_started(&error))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", self.shown)) }
    }

    /// As [`Program::run`], but stops the program and fails when it takes longer than `limit`.
    pub(crate) fn run_within(mut self, limit: Duration) -> Outcome {
        out::command(&self.shown);
        let mut child = self.command.spawn().map_err(|error| self.not_started(&error))?;
        let deadline = Instant::now() + limit;
        loop {
            match child.try_wait().map_err(|error| format!("`{}`: {error}", self.shown))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("`{}` failed ({status})", self.shown)),
                None if Instant::now() >= deadline => {
                    let _already_ended = child.kill();
                    let _reaped = child.wait();
                    return Err(format!("`{}` did not end within {} s", self.shown, limit.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// As [`Program::run`], and hands every line that the program prints to `see`, which says whether to show it.
    ///
    /// Standard output and standard error arrive as one stream, in order.
    pub(crate) fn run_and_read(mut self, mut see: impl FnMut(&str) -> bool) -> Outcome {
        out::command(&self.shown);
        let (reader, writer) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
        let second = writer.try_clone().map_err(|error| format!("no pipe: {error}"))?;
        let mut child =
            self.command.stdout(writer).stderr(second).spawn().map_err(|error| self.not_started(&error))?;
        // The command holds the pipe's writing end open: without it the reading below ends with the child.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.map_err(|error| format!("`{}`: {error}", self.shown))?;
            let line = String::from_utf8_lossy(&line);
            if see(&line) {
                out::line(&line);
            }
        }
        let status = child.wait().map_err(|error| format!("`{}`: {error}", self.shown))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", self.shown)) }
    }

    /// Runs the program and returns its standard output; prints nothing but its standard error.
    pub(crate) fn output(mut self) -> Outcome<String> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            return Err(format!("`{}` failed ({})", self.shown, output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed no UTF-8", self.shown))
    }

    /// Whether the program is there and exits with 0; prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("`{}` could not be started: {error}", self.shown)
    }
}

/// Whether `cargo run` set this variable for xtask alone.
fn set_by_cargo_run(key: &str) -> bool {
    key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") || key == "CARGO_BIN_NAME"
}

/// The path with the folder of the installed tools behind it: a tool of the user's own comes first.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(std::iter::once(tools::folder().join("bin")));
    std::env::join_paths(folders).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named() {
        let outcome = Program::new("sh").arg("-c").arg("exit 3").run();
        assert!(outcome.is_err_and(|reason| reason.contains("exit 3")));
    }

    #[test]
    fn a_missing_program_is_an_error_and_does_not_succeed() {
        assert!(Program::new("no-such-program-here").run().is_err());
        assert!(!Program::new("no-such-program-here").succeeds());
    }

    #[test]
    fn both_streams_are_read_in_full_and_the_exit_code_counts() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; exit 1";
        let outcome = Program::new("sh").arg("-c").arg(script).run_and_read(|line| {
            lines.push(line.to_owned());
            false
        });
        assert_eq!(lines, ["one", "two"]);
        assert!(outcome.is_err());
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let outcome = Program::new("sleep").arg("1000").run_within(Duration::from_millis(1));
        assert!(outcome.is_err_and(|reason| reason.contains("did not end")));
        assert!(Program::new("true").run_within(Duration::from_secs(60)).is_ok());
    }
}
