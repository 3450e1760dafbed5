//! Sends in the store, and back.

use super::{Request, Requests, SegmentState};
use crate::durable::{Journal, Kind, RequestRecord, age, cited_record, deadline};
use crate::ids::{MessageId, ParticipantId, RequestId};
use crate::sds::Dependency;
use std::collections::{BTreeMap, BTreeSet};

impl Requests {
    /// From here on changes are noted.
    pub(crate) fn track(&mut self) {
        self.changes = Some(BTreeSet::new());
    }

    /// Writes what changed; `cited` is what sends that did not leave yet cite.
    pub(crate) fn write(
        &mut self,
        journal: &mut Journal,
        cited: &BTreeMap<RequestId, (MessageId, Vec<Dependency>)>,
    ) {
        for id in self.changes.as_mut().map(std::mem::take).unwrap_or_default() {
            let key = journal.keys().numbered(Kind::Request, id.0);
            match self.open.get(&id) {
                Some(open) => journal.put(key, &open.record(cited.get(&id))),
                None => journal.delete(key),
            }
        }
    }

    /// Takes a send that was open before. `is_somewhere` says that a segment left or need not, `is_held` that somebody
    /// has to acknowledge it.
    pub(crate) fn restore(
        &mut self,
        id: RequestId,
        record: &RequestRecord,
        acks: Vec<(ParticipantId, usize)>,
        is_somewhere: impl Fn(u64) -> bool,
        is_held: impl Fn(u64) -> bool,
    ) {
        let sequences = record.first..record.first + record.count;
        self.push(id, sequences.clone(), record.data, false);
        let Some(open) = self.open.get_mut(&id) else { return };
        for (state, sequence) in open.segments.iter_mut().zip(sequences.clone()) {
            if record.sent || is_somewhere(sequence) {
                *state = SegmentState::Confirmed;
            }
        }
        open.acks = acks.into_iter().collect();
        open.delivered = !sequences.into_iter().any(is_held);
        open.sent = record.sent;
        if let Some(at) = record.deadline {
            self.deadline(id, deadline(at));
        }
    }
}

impl Request {
    fn record(&self, cited: Option<&(MessageId, Vec<Dependency>)>) -> RequestRecord {
        RequestRecord {
            first: self.sequences.start,
            count: self.sequences.end - self.sequences.start,
            data: self.data,
            sent: self.sent,
            deadline: self.deadline.filter(|_| self.sent).map(age),
            cited: cited.map(|(_, cited)| cited.iter().map(cited_record).collect()).unwrap_or_default(),
            last: cited.map(|(last, _)| last.as_str().to_owned()),
        }
    }
}
