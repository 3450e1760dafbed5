//! Exit codes, and failures that know theirs.
//!
//! The rule: 2 says that the same words can never work, 1 that they may work another time.

use serde_json::{Value, json};
use std::error::Error;
use std::fmt::{self, Write};
use std::process::ExitCode;

/// How the command can end, other than well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A delivery failed: somebody lacks something.
    Failed,
    /// The options or what they name cannot be used.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Failed => Self::from(1),
            // What clap uses for options that it does not understand.
            Exit::Usage => Self::from(2),
        }
    }
}

/// Why the command ends with an exit code other than 0, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    /// What people are told below it; empty for nothing.
    below: String,
    /// What programs are told in addition: a JSON object, or null.
    details: Value,
}

impl Failure {
    /// A delivery failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message.into())
    }

    /// The options or what they name cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message.into())
    }

    const fn new(exit: Exit, message: String) -> Self {
        Self { exit, message, below: String::new(), details: Value::Null }
    }

    /// The same with more for people, on lines of its own.
    #[must_use]
    pub(crate) fn with_table(mut self, table: String) -> Self {
        self.below = table;
        self
    }

    /// The same with more for programs: the fields of the JSON object `details`.
    #[must_use]
    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The event `failed`.
    pub(crate) fn to_json(&self) -> Value {
        let exit = match self.exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
        };
        let mut object = json!({ "event": "failed", "exit": exit, "message": self.message });
        if let (Some(object), Some(details)) = (object.as_object_mut(), self.details.as_object()) {
            object.extend(details.clone());
        }
        object
    }

    /// The code to end with.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.below.is_empty() { Ok(()) } else { write!(f, "\n{}", self.below) }
    }
}

impl Error for Failure {}

/// An error and what it comes from, as one line: "it failed: the disk is full".
///
/// A source that its error has already told is not repeated.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let told = source.to_string();
        if !text.contains(&told) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {told}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("middle: inner")]
        struct Middle(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner;
        assert_eq!(chain(&Outer(Middle(Inner))), "outer: middle: inner");
    }
}
