//! Consensus versions: the one version that all instances of a component run in.
//!
//! The rule: two parties fit when the majors are equal. A minor counts soft changes that older
//! parties can ignore, so it is reported and decides nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The consensus version of the core (seed `CoreConsensusVersion`).
///
/// A breaking change of the core's consensus rules raises `major`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CoreConsensusVersion {
    /// Differs when the rules are incompatible.
    pub major: u32,
    /// Grows with changes that older parties can ignore.
    pub minor: u32,
}

impl CoreConsensusVersion {
    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for CoreConsensusVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The consensus version of one module instance (seed `ModuleConsensusVersion`).
///
/// A breaking change of the module's rules raises `major`. A change that old clients can ignore,
/// such as a new kind of input, raises `minor`. A change of the core's version may leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModuleConsensusVersion {
    /// Differs when the rules are incompatible.
    pub major: u32,
    /// Grows with changes that older parties can ignore.
    pub minor: u32,
}

impl ModuleConsensusVersion {
    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for ModuleConsensusVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
