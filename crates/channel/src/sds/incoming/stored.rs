//! The receiving side in the store, and back.
//!
//! What was accepted and not delivered lies there as the messages that came, so what is in the making or waits is made
//! again by the code that made it first.

use super::{Arrival, Incoming, Verdict};
use crate::durable::{Journal, OpaqueRecord, PeerRecord};
use crate::ids::{MessageId, SenderTag};
use crate::sds::RangeSet;
use quorate_base::{Mono, Now};
use std::time::Duration;

impl Incoming {
    /// From here on changes are noted.
    pub(crate) fn track(&mut self) {
        self.peers.track();
        self.released = Some(Vec::new());
    }

    /// Writes what changed.
    pub(crate) fn write(&mut self, journal: &mut Journal) {
        self.peers.write(journal);
        for origin in self.released.as_mut().map(std::mem::take).unwrap_or_default() {
            journal.released(&origin);
        }
    }

    /// The channel is older than its process: this is when it joined, and for how long it was not open since.
    pub(crate) fn restore_joined(&mut self, joined: Mono, away: Duration) {
        (self.joined, self.away) = (joined, away);
    }

    /// Takes a sender that was known before.
    pub(crate) fn restore_peer(&mut self, tag: SenderTag, record: PeerRecord) -> Option<()> {
        self.peers.restore(tag, record)
    }

    /// The same of one that was only heard of.
    pub(crate) fn restore_stranger(&mut self, tag: SenderTag, over: RangeSet) {
        self.peers.restore_stranger(tag, over);
    }

    /// The same of a foreign id.
    pub(crate) fn restore_opaque(&mut self, id: MessageId, record: OpaqueRecord) {
        self.met_opaque = true;
        self.peers.restore_opaque(id, record);
    }

    /// Takes a message that was accepted before and not delivered, at the time at which it came.
    pub(crate) fn restore_arrival(&mut self, then: Now, arrival: Arrival) -> Verdict {
        let structured = crate::ids::StructuredId::parse(arrival.id.as_str());
        let Some(origin) = arrival.origin() else { return Verdict::Malformed };
        let count = u64::from(arrival.segment.data_count) + u64::from(arrival.segment.parity_count);
        self.admit(then, arrival, origin, count, structured)
    }
}
