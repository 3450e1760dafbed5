//! Scalable Data Sync: who has what, in which causal order, and what is to be sent again.
//!
//! ```text
//! Frontier  what the next message cites        Outgoing  own messages until acknowledged
//! Incoming  what waits for its causal past      Schedule  when to speak without anything to say
//! ```
//!
//! The messages are those of the SDS LIP (dialect `Lip`); what Quorate peers tell one another beyond
//! it travels in one extension field that others skip (`docs/specs/sds.md`). The profile is
//! `Compact`: acknowledgement vectors, no Bloom filter.

mod clock;
mod dialect;
mod filter;
mod frontier;
mod incoming;
mod message;
mod outgoing;
mod ranges;
mod schedule;
mod void;

pub use clock::Lamport;
pub use dialect::Dialect;
pub use filter::{BloomFilter, FilterConfig, FilterError, Fingerprint, RollingFilter};
pub use frontier::Frontier;
pub use incoming::{Arrival, Delivery, Incoming, IncomingConfig, IncomingEvent, Missing, Verdict};
pub use message::{AckVector, Dependency, Kind, SdsDecodeError, SdsMessage, Wanted};
#[cfg(test)]
pub(crate) use message::{LipProto, NimProto};
pub use outgoing::{Acknowledged, Outgoing, Retransmission};
pub use ranges::RangeSet;
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
