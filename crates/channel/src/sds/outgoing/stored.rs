//! Own messages in the store, and back.

use super::{Entry, Outgoing};
use crate::config::AckPolicy;
use crate::durable::{AckerRecord, AttemptsRecord, Journal, Kind, MessageRecord, ranges_of};
use crate::ids::{ParticipantId, RequestId, StructuredId};
use crate::sds::{RangeSet, SdsMessage};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What changed since it was last written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) pushed: BTreeSet<u64>,
    /// Tried more than once.
    pub(super) repeated: BTreeSet<u64>,
    pub(super) removed: BTreeSet<u64>,
    pub(super) ackers: BTreeSet<ParticipantId>,
}

impl Changes {
    pub(super) fn remove(&mut self, sequence: u64) {
        self.repeated.remove(&sequence);
        if !self.pushed.remove(&sequence) {
            self.removed.insert(sequence);
        }
    }
}

impl Outgoing {
    /// From here on changes are noted.
    pub(crate) fn track(&mut self) {
        self.changes = Some(Changes::default());
    }

    /// Writes what changed.
    pub(crate) fn write(&mut self, journal: &mut Journal) {
        let Some(changes) = self.changes.as_mut().map(std::mem::take) else { return };
        for sequence in changes.pushed {
            if let Some(entry) = self.entries.get(&sequence) {
                journal.put_new(journal.keys().numbered(Kind::Message, sequence), &entry.record());
            }
        }
        for sequence in changes.repeated {
            if let Some(entry) = self.entries.get(&sequence) {
                journal.put(
                    journal.keys().numbered(Kind::Attempts, sequence),
                    &AttemptsRecord { attempts: entry.attempts },
                );
            }
        }
        for sequence in changes.removed {
            journal.delete(journal.keys().numbered(Kind::Message, sequence));
            journal.delete(journal.keys().numbered(Kind::Attempts, sequence));
        }
        for by in changes.ackers {
            if let Some(ranges) = self.acked.get(&by) {
                let key = journal.keys().named(Kind::Acker, by.as_str().as_bytes());
                journal.put(key, &AckerRecord { ranges: ranges_of(ranges) });
            }
        }
    }

    /// Every number below `end` was sent before.
    pub(crate) fn restore_end(&mut self, end: u64) {
        self.end = end;
    }

    /// `by` has acknowledged `ranges` before.
    pub(crate) fn restore_acked(&mut self, by: ParticipantId, ranges: RangeSet) {
        self.acked.insert(by, ranges);
    }

    /// Takes a message that was sent before.
    pub(crate) fn restore(
        &mut self,
        id: StructuredId,
        message: SdsMessage,
        request: RequestId,
        attempts: u32,
    ) {
        let has =
            |(by, ranges): (&ParticipantId, &RangeSet)| ranges.contains(id.sequence).then(|| by.clone());
        let acked_by: BTreeSet<_> = self.acked.iter().filter_map(has).collect();
        self.push(id, message, request);
        if let Some(entry) = self.entries.get_mut(&id.sequence) {
            entry.attempts = attempts;
            entry.acked_by = acked_by;
        }
    }

    /// The messages of an open send were `sequences`: who has how many of them, those too that need not be sent any more.
    pub(crate) fn restore_send(&mut self, request: RequestId, sequences: Range<u64>) {
        let has: BTreeMap<_, _> = self.acks_of(sequences.clone()).into_iter().collect();
        let Some(send) = self.sends.get_mut(&request) else { return };
        send.messages = sequences.clone().count();
        send.sequences = sequences;
        send.whole = has.iter().filter(|(_, has)| **has >= send.messages).map(|(by, _)| by.clone()).collect();
        send.has = has;
    }

    /// What was acknowledged before is judged by the policy of now: ends the sends that it is satisfied with.
    pub(crate) fn settle_restored(&mut self) {
        let satisfied = self.sends.iter().filter(|(_, send)| self.policy.is_satisfied_by(&send.whole));
        let satisfied: Vec<_> = satisfied.map(|(id, send)| (*id, send.sequences.clone())).collect();
        satisfied.into_iter().for_each(|(request, sequences)| self.forget(request, sequences));
        if matches!(self.policy, AckPolicy::All(_)) {
            let had = self.entries.iter().filter(|(_, entry)| self.policy.is_satisfied_by(&entry.acked_by));
            let had: Vec<u64> = had.map(|(sequence, _)| *sequence).collect();
            had.into_iter().for_each(|sequence| drop(self.remove(sequence)));
        }
    }

    /// Whether anybody has acknowledged a message, or nobody has to any more.
    pub(crate) fn is_somewhere(&self, sequence: u64) -> bool {
        self.entries.get(&sequence).is_none_or(|entry| !entry.acked_by.is_empty())
    }

    /// How many of `sequences` each participant has acknowledged.
    pub(crate) fn acks_of(&self, sequences: Range<u64>) -> Vec<(ParticipantId, usize)> {
        let count =
            |ranges: &RangeSet| sequences.clone().filter(|sequence| ranges.contains(*sequence)).count();
        let counts = self.acked.iter().map(|(by, ranges)| (by.clone(), count(ranges)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

impl Entry {
    fn record(&self) -> MessageRecord {
        MessageRecord {
            content: Bytes::copy_from_slice(&self.id.content),
            request: self.request.0,
            attempts: self.attempts,
            message: self.message.to_record(),
        }
    }
}
