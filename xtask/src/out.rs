//! What the commands print: the one place of the package that writes to a terminal.
//!
//! Everything goes to standard output but errors, so that a log reads in order.

/// A line as it is.
#[expect(clippy::print_stdout, reason = "a command speaks to its user")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A program that is about to run.
pub(crate) fn command(text: &str) {
    line(&format!("$ {text}"));
}

/// Something that was not done, and why: never silent.
pub(crate) fn skipped(what: &str, why: &str) {
    line(&format!("skipped: {what} ({why})"));
}

/// Something that deserves a look and fails nothing.
pub(crate) fn warning(text: &str) {
    line(&format!("warning: {text}"));
}

/// What went wrong, on standard error.
#[expect(clippy::print_stderr, reason = "a command speaks to its user")]
pub(crate) fn error(text: &str) {
    eprintln!("error: {text}");
}
