//! What the next message cites in the store, and back.

use super::{Frontier, Head};
use crate::durable::{HeadRecord, Journal, Kind};
use crate::ids::ParticipantId;
use crate::sds::Key;
use bytes::Bytes;
use std::collections::BTreeSet;

/// What changed since it was last written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) heads: BTreeSet<Key>,
    pub(super) own: bool,
}

impl Frontier {
    /// From here on changes are noted.
    pub(crate) fn track(&mut self) {
        self.changes = Some(Changes::default());
    }

    /// Writes what changed.
    pub(crate) fn write(&mut self, journal: &mut Journal) {
        let Some(changes) = self.changes.as_mut().map(std::mem::take) else { return };
        for key in changes.heads {
            let name = name(&key);
            let at = journal.keys().named(Kind::Head, &name);
            match self.heads.get(&key) {
                Some(head) => journal.put(at, &head.record()),
                None => journal.delete(at),
            }
        }
        if changes.own {
            let at = journal.keys().of(Kind::Own);
            match &self.last_own {
                Some(head) => journal.put(at, &head.record()),
                None => journal.delete(at),
            }
        }
    }

    /// Takes a head that was there before.
    pub(crate) fn restore(&mut self, record: HeadRecord) {
        let head = Head::from(record);
        self.remember(&head);
        self.heads.insert(Key::of(&head.id), head);
    }

    /// Takes the last own message of before.
    pub(crate) fn restore_own(&mut self, record: HeadRecord) {
        let head = Head::from(record);
        self.remember(&head);
        self.last_own = Some(head);
    }
}

impl Head {
    fn record(&self) -> HeadRecord {
        HeadRecord {
            id: self.id.as_str().to_owned(),
            time: self.time,
            sender: self.sender.as_ref().map(|sender| sender.as_str().to_owned()),
            hint: self.hint.clone(),
        }
    }
}

impl From<HeadRecord> for Head {
    fn from(record: HeadRecord) -> Self {
        Self {
            id: record.id.into(),
            time: record.time,
            sender: record.sender.map(ParticipantId::from),
            hint: record.hint,
        }
    }
}

fn name(key: &Key) -> Bytes {
    match key {
        Key::Sequence(tag, sequence) => {
            let mut name = vec![0];
            name.extend(tag.0);
            name.extend(sequence.to_be_bytes());
            name.into()
        }
        Key::Opaque(id) => [&[1], id.as_str().as_bytes()].concat().into(),
    }
}
