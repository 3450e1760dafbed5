//! Why a component cannot be used, in words that either side can show.
//!
//! The rule: a reason holds what both sides listed, and nothing about who reads it. Who "we" and
//! "they" are is decided when it is put into words.

use std::fmt;

use crate::{ApiVersion, CoreConsensusVersion, ModuleConsensusVersion, MultiApiVersion};

/// How many versions of a list are written out; a hostile peer may list many.
const WRITTEN_VERSIONS: usize = 8;

/// The core, or a module by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component<K> {
    /// The core.
    Core,
    /// One module.
    Module(K),
}

impl<K: fmt::Display> fmt::Display for Component<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => f.write_str("core"),
            Self::Module(key) => write!(f, "module {key}"),
        }
    }
}

/// A word for one of the two sides, as the reader sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// The side that writes.
    We,
    /// The other side, when it is written about.
    They,
    /// The other side, when it is written to.
    You,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::We => "we",
            Self::They => "they",
            Self::You => "you",
        })
    }
}

/// Why what one side needs is not what the other offers. Neither side is at fault.
///
/// `Display` speaks as the side that needs: "we need API 2.4 or newer of major 2, they offer 2.1".
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.worded(Party::We, Party::They))]
#[non_exhaustive]
pub enum Incompatible {
    /// The cores run in consensus versions with different majors.
    CoreConsensus {
        /// What one side needs.
        needed: CoreConsensusVersion,
        /// What the other runs in.
        offered: CoreConsensusVersion,
    },
    /// The module runs on cores whose consensus versions have different majors.
    ModuleCoreConsensus {
        /// What one side needs it to run on.
        needed: CoreConsensusVersion,
        /// What the other runs it on.
        offered: CoreConsensusVersion,
    },
    /// The module runs in consensus versions with different majors.
    ModuleConsensus {
        /// What one side needs.
        needed: ModuleConsensusVersion,
        /// What the other runs in.
        offered: ModuleConsensusVersion,
    },
    /// Majors are shared, but everywhere the offered minor is too low. The highest of them:
    MinorTooLow {
        /// The least that is needed.
        needed: ApiVersion,
        /// The most that is offered, of the same major.
        offered: ApiVersion,
    },
    /// No API major is in both lists.
    NoSharedMajor {
        /// What is needed; any one of them would do.
        needed: MultiApiVersion,
        /// What is offered.
        offered: MultiApiVersion,
    },
    /// The other side does not list the module.
    NotOffered,
}

impl Incompatible {
    /// This reason in a sentence in which `needer` needs and `offerer` offers.
    ///
    /// ```
    /// use quorate_versioning::{ApiVersion, Incompatible, Party};
    ///
    /// let reason = Incompatible::MinorTooLow { needed: ApiVersion::new(2, 4), offered: ApiVersion::new(2, 1) };
    /// assert_eq!(
    ///     reason.worded(Party::You, Party::We).to_string(),
    ///     "you need API 2.4 or newer of major 2, we offer 2.1"
    /// );
    /// ```
    pub const fn worded(&self, needer: Party, offerer: Party) -> impl fmt::Display + '_ {
        Worded { reason: self, needer, offerer }
    }
}

struct Worded<'a> {
    reason: &'a Incompatible,
    needer: Party,
    offerer: Party,
}

impl fmt::Display for Worded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, needer, offerer } = self;
        match reason {
            Incompatible::CoreConsensus { needed, offered } => {
                write!(f, "{offerer} speak consensus {}, {needer} need {}", offered.major, needed.major)
            }
            Incompatible::ModuleConsensus { needed, offered } => {
                write!(f, "{offerer} speak consensus {}, {needer} need {}", offered.major, needed.major)
            }
            Incompatible::ModuleCoreConsensus { needed, offered } => {
                write!(f, "{offerer} run it on core consensus {}, ", offered.major)?;
                write!(f, "{needer} need {}", needed.major)
            }
            Incompatible::MinorTooLow { needed, offered } => {
                write!(f, "{needer} need API {needed} or newer of major {}, ", needed.major)?;
                write!(f, "{offerer} offer {offered}")
            }
            Incompatible::NoSharedMajor { needed, offered } => {
                match needed.is_empty() {
                    true => write!(f, "{needer} list no API, ")?,
                    false => write!(f, "{needer} need API {}, ", Listed(needed, " or "))?,
                }
                write!(f, "{offerer} offer {}", Listed(offered, " and "))
            }
            Incompatible::NotOffered => write!(f, "{offerer} do not have it"),
        }
    }
}

/// Versions as text: "1.0, 2.4 or 3.0", "none" for an empty list.
struct Listed<'a>(&'a MultiApiVersion, &'static str);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(versions, last_joint) = self;
        if versions.is_empty() {
            return f.write_str("none");
        }
        for (index, version) in versions.iter().enumerate().take(WRITTEN_VERSIONS) {
            match index {
                0 => {}
                _ if index + 1 == versions.len() => f.write_str(last_joint)?,
                _ => f.write_str(", ")?,
            }
            version.fmt(f)?;
        }
        match versions.len().saturating_sub(WRITTEN_VERSIONS) {
            0 => Ok(()),
            more => write!(f, "{last_joint}{more} more"),
        }
    }
}

/// A component that cannot be used, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem<'a, K> {
    /// Which component.
    pub component: Component<&'a K>,
    /// Why.
    pub reason: &'a Incompatible,
}

// Two references: a copy whatever the key is, which a derive would not see.
impl<K> Clone for Problem<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Problem<'_, K> {}

impl<'a, K: fmt::Display> Problem<'a, K> {
    /// "component: reason", in which `needer` needs and `offerer` offers.
    pub fn worded(self, needer: Party, offerer: Party) -> impl fmt::Display + use<'a, K> {
        WordedProblem { problem: self, needer, offerer }
    }
}

impl<K: fmt::Display> fmt::Display for Problem<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.component, self.reason)
    }
}

struct WordedProblem<'a, K> {
    problem: Problem<'a, K>,
    needer: Party,
    offerer: Party,
}

impl<K: fmt::Display> fmt::Display for WordedProblem<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { component, reason } = &self.problem;
        write!(f, "{component}: {}", reason.worded(self.needer, self.offerer))
    }
}
