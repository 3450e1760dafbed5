//! What the command writes: results to standard output, everything else to standard error.
//!
//! The rule: with `--json` each line of standard output is one JSON object and nothing else is there.
//! A reader that went away is not an error.

use crate::exit::Failure;
use serde_json::Value;
use std::io::Write;

/// Writes a line to standard output, at once.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: the files are what matters.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a JSON object as one line to standard output, at once.
pub(crate) fn json(object: &Value) {
    line(&object.to_string());
}

/// Writes a line to standard error. With bars on the terminal use `Progress::say`.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says why the command fails.
pub(crate) fn complain(failure: &Failure) {
    say(&format!("quorate: {failure}"));
}
