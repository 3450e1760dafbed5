//! Scalable Data Sync: who has what, in which causal order, and what is to be sent again.
//!
//! ```text
//! Sds       the machine: of the parts below, one layer
//! Frontier  what the next message cites        Outgoing  own messages until acknowledged
//! Incoming  what waits for its causal past      Schedule  when to speak without anything to say
//! Repair    what is asked for and given (SDS-R) RollingFilter  what was lately seen
//! ```
//!
//! The messages are those of the SDS LIP or of nim-sds ([`Dialect`]); what Quorate peers tell one another beyond
//! them travels in one extension field that others skip (`docs/specs/sds.md`). What is written is stated by the [`Profile`].

mod auth;
mod clock;
mod company;
mod config;
mod dialect;
mod filter;
mod frontier;
mod incoming;
mod machine;
mod message;
mod outgoing;
mod ranges;
mod repair;
mod schedule;
mod void;

pub use auth::{PublicKey, Roster, SenderAuth};
pub use clock::Lamport;
pub(crate) use company::Company;
pub use config::{Profile, RepairConfig, SdsConfig};
pub use dialect::Dialect;
pub use filter::{BloomFilter, FilterConfig, FilterError, Fingerprint, RollingFilter};
pub use frontier::Frontier;
pub use incoming::{Arrival, Delivery, Incoming, IncomingConfig, IncomingEvent, Lack, Missing, Verdict};
pub use machine::{Content, Due, Prepared, Sds, SdsError, SdsEvent, SdsStats};
pub use message::{AckVector, Dependency, Kind, SdsDecodeError, SdsMessage, Wanted};
#[cfg(test)]
pub(crate) use message::{LipProto, NimProto};
pub use outgoing::{Acknowledged, Outgoing, Retransmission};
pub use ranges::RangeSet;
pub use repair::{KeptMessage, Repair};
pub use schedule::{Schedule, SyncConfig};
pub use void::Voids;

use crate::ids::{MessageId, SenderTag, StructuredId};

/// What a dependency is known by: a place in a sender's sequence, or an opaque id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An id that Quorate made.
    Sequence(SenderTag, u64),
    /// Anybody else's.
    Opaque(MessageId),
}

impl Key {
    /// The key of a message id.
    pub fn of(id: &MessageId) -> Self {
        StructuredId::parse(id.as_str())
            .map_or_else(|| Self::Opaque(id.clone()), |id| Self::Sequence(id.tag, id.sequence))
    }

    /// About how many bytes it takes to remember.
    pub fn cost(&self) -> usize {
        let text = match self {
            Self::Sequence(..) => 0,
            Self::Opaque(id) => id.as_str().len(),
        };
        64 + text
    }
}
