//! One API version: a major, and a minor whose meaning depends on the side that lists it.
//!
//! The rule: an API version means something only within its component's consensus version. When
//! that changes, API versions start again at 0.0.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An API version of the core or of a module (seed `ApiVersion`). Ordered by major, then minor.
///
/// ```
/// use quorate_versioning::ApiVersion;
///
/// assert!(ApiVersion::new(1, 9) < ApiVersion::new(2, 0));
/// assert!(ApiVersion::new(2, 0) < ApiVersion::new(2, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApiVersion {
    /// Grows with each change that breaks callers; `minor` then starts again at 0.
    pub major: u32,
    /// Among needs the least minor that will do, among offers the most there is.
    pub minor: u32,
}

impl ApiVersion {
    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Whether a party that offers `offered` satisfies one that needs `self`: the same major, and
    /// a minor that is not below the needed one.
    pub const fn is_satisfied_by(self, offered: Self) -> bool {
        self.major == offered.major && self.minor <= offered.minor
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
