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

/// Writes lines to standard error. With bars on the terminal use `Progress::say`.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", tame(text));
}

/// The text without control characters, but for line ends: what peers wrote does not steer a terminal.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The same without line ends: what peers wrote is not a line of ours.
pub(crate) fn tame_line(text: &str) -> String {
    tame(text).replace('\n', "\u{fffd}")
}

/// Says why the command fails.
pub(crate) fn complain(failure: &Failure) {
    say(&format!("quorate: {failure}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_wrote_does_not_steer_the_terminal() {
        assert_eq!(tame("a\x1b[2Jb\r\nc\u{9b}"), "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}");
        assert_eq!(tame_line("a\r\nb"), "a\u{fffd}\u{fffd}b");
    }
}
