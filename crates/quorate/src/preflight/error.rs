//! What can be wrong with the bytes of a preflight.
//!
//! The rule: whoever reads the error knows whether the other side is another program, a newer
//! Quorate, or broken.

use std::fmt;

use quorate_versioning::{Component, InvalidApiVersions};

/// Bytes that are no preflight, or a preflight that must not be sent. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The magic is missing: another program's preflight.
    #[error("these bytes are not a Quorate preflight")]
    NotOurs,
    /// A format that a later Quorate brought.
    #[error("the preflight has format {found}, we read up to {known}: one side must be updated")]
    NewerFormat {
        /// The format of the bytes.
        found: u8,
        /// The newest that this build reads.
        known: u8,
    },
    /// What follows the head is not the protobuf message.
    #[error("the preflight is malformed")]
    Malformed(#[source] prost::DecodeError),
    /// A bound is crossed.
    #[error("the preflight is too large: {what} {found}, at most {max}")]
    TooLarge {
        /// Which bound.
        what: PreflightLimit,
        /// How much there is.
        found: usize,
        /// How much is allowed.
        max: usize,
    },
    /// The message can be read and breaks a rule.
    #[error("the preflight is inconsistent")]
    Inconsistent(#[source] Inconsistency),
}

/// A bound of the preflight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PreflightLimit {
    /// All bytes together.
    Total,
    /// The modules of one summary.
    Modules,
    /// The bytes of one module name.
    ModuleName,
    /// The API majors of one component.
    Majors,
}

impl fmt::Display for PreflightLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "bytes",
            Self::Modules => "modules",
            Self::ModuleName => "bytes of a module name",
            Self::Majors => "API majors",
        })
    }
}

/// A rule that a preflight breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A part that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The field, as the `.proto` text names it.
        field: &'static str,
    },
    /// A module name is empty, or has characters that do not print (control characters, and those
    /// that turn the direction of text).
    #[error("{name:?} is no module name")]
    ModuleName {
        /// The name in question.
        name: String,
    },
    /// A module stands there twice.
    #[error("module {name} is listed twice")]
    DuplicateModule {
        /// The name in question.
        name: String,
    },
    /// A module stands behind one whose name is higher, byte by byte.
    #[error("module {name} is listed after {after}: names must ascend")]
    UnsortedModule {
        /// The module that is out of order.
        name: String,
        /// The one before it.
        after: String,
    },
    /// The API versions of a component are not a list of ascending majors.
    #[error("{component}: {source}")]
    Api {
        /// Whose versions.
        component: Component<String>,
        /// What is wrong with them.
        source: InvalidApiVersions,
    },
}

impl From<Inconsistency> for PreflightError {
    fn from(inconsistency: Inconsistency) -> Self {
        Self::Inconsistent(inconsistency)
    }
}
