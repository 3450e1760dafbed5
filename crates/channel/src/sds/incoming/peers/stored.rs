//! What is known of every sender in the store, and back.

use super::{Opaque, Peer, Peers};
use crate::durable::{
    AckerRecord, Journal, Kind, OpaqueRecord, PeerRecord, age, deadline, ranges_of, set_of,
};
use crate::ids::{MessageId, SenderTag};
use crate::sds::RangeSet;
use std::collections::BTreeSet;

/// What changed since it was last written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) known: BTreeSet<SenderTag>,
    pub(super) strangers: BTreeSet<SenderTag>,
}

impl Peers {
    /// From here on changes are noted.
    pub(in crate::sds::incoming) fn track(&mut self) {
        self.changes = Some(Changes::default());
        self.opaque.changes = Some(BTreeSet::new());
    }

    /// Writes what changed.
    pub(in crate::sds::incoming) fn write(&mut self, journal: &mut Journal) {
        let changes = self.changes.as_mut().map(std::mem::take).unwrap_or_default();
        for tag in changes.known {
            let key = journal.keys().named(Kind::Peer, &tag.0);
            match self.known.get(&tag) {
                Some(peer) => journal.put(key, &peer.record()),
                None => journal.delete(key),
            }
        }
        for tag in changes.strangers {
            let key = journal.keys().named(Kind::Stranger, &tag.0);
            match self.strangers.get(&tag) {
                Some(over) => journal.put(key, &AckerRecord { ranges: ranges_of(over) }),
                None => journal.delete(key),
            }
        }
        self.opaque.write(journal);
    }

    /// Takes a sender that was known before; `None` where its record is no sender's. What it sent is news to all.
    pub(in crate::sds::incoming) fn restore(&mut self, tag: SenderTag, record: PeerRecord) -> Option<()> {
        let peer = Peer {
            participant: record.participant.into(),
            received: set_of(&record.received)?,
            over: set_of(&record.over)?,
            past_end: record.past_end,
            met: deadline(record.met),
            heard: deadline(record.heard),
        };
        self.known.insert(tag, peer);
        self.news.insert(tag);
        Some(())
    }

    /// The same of one that was only heard of.
    pub(in crate::sds::incoming) fn restore_stranger(&mut self, tag: SenderTag, over: RangeSet) {
        self.strangers.insert(tag, over);
    }

    /// The same of a foreign id, the oldest first.
    pub(in crate::sds::incoming) fn restore_opaque(&mut self, id: MessageId, record: OpaqueRecord) {
        self.opaque.remember(&id);
        if record.received {
            self.opaque.received.insert(id.clone());
        }
        if record.over {
            self.opaque.over.insert(id);
        }
    }

    pub(super) fn note(&mut self, tag: SenderTag) {
        if let Some(changes) = &mut self.changes {
            changes.known.insert(tag);
        }
    }

    pub(super) fn note_stranger(&mut self, tag: SenderTag) {
        if let Some(changes) = &mut self.changes {
            changes.strangers.insert(tag);
        }
    }
}

impl Peer {
    fn record(&self) -> PeerRecord {
        PeerRecord {
            participant: self.participant.as_str().to_owned(),
            received: ranges_of(&self.received),
            over: ranges_of(&self.over),
            past_end: self.past_end,
            met: age(self.met),
            heard: age(self.heard),
        }
    }
}

impl Opaque {
    pub(super) fn note(&mut self, id: &MessageId) {
        if let Some(changes) = &mut self.changes {
            changes.insert(id.clone());
        }
    }

    fn write(&mut self, journal: &mut Journal) {
        for id in self.changes.as_mut().map(std::mem::take).unwrap_or_default() {
            let key = journal.keys().named(Kind::Opaque, id.as_str().as_bytes());
            let (received, over) = (self.received.contains(&id), self.over.contains(&id));
            if received || over {
                let order = journal.next_opaque();
                journal.put(key, &OpaqueRecord { order, received, over });
            } else {
                journal.delete(key);
            }
        }
    }
}
