//! What changed since the last write, record by record; several changes of one record are one write.

use super::key::{Keys, Kind};
use super::record::{AboutRecord, AgeRecord, BudgetRecord, CountersRecord, age};
use crate::ids::{ChannelId, ParticipantId, SenderTag};
use crate::segment::SegmentOrigin;
use bytes::Bytes;
use prost::Message;
use quorate_base::{Mono, Now, Op};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The records' schema.
pub(crate) const SCHEMA: u32 = 1;
/// Lamport times are reserved this far ahead, in milliseconds: one write for all times up to there.
const LAMPORT_STEP: u64 = 2_000;
/// Ephemeral numbers are reserved in blocks.
pub(crate) const EPHEMERAL_STEP: u64 = 1_024;
/// The age is written at least this often while a deadline is pending.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The changes of one channel on their way to its store.
#[derive(Debug)]
pub(crate) struct Journal {
    keys: Keys,
    changes: BTreeMap<Bytes, Change>,
    ready: VecDeque<Op>,
    counters: CountersRecord,
    budget: Option<BudgetRecord>,
    aged: Mono,
    /// For how many milliseconds the channel was not open since it began.
    away: u64,
    /// The records of messages that were accepted and not delivered yet.
    arrivals: BTreeMap<SegmentOrigin, Vec<u64>>,
    next_arrival: u64,
    next_opaque: u64,
    log: Log,
}

/// The event log as far as it is not confirmed.
#[derive(Debug, Default)]
struct Log {
    sizes: VecDeque<usize>,
    bytes: usize,
}

#[derive(Debug)]
struct Change {
    /// `None`: the record goes.
    value: Option<Bytes>,
    /// The store has no such record yet.
    is_new: bool,
}

/// The machine's numbers at the time of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) now: Now,
    pub(crate) sequence: u64,
    pub(crate) request: u64,
    pub(crate) lamport: u64,
    pub(crate) ephemeral: u64,
    pub(crate) budget: Option<BudgetRecord>,
    /// Whether something waits for a deadline.
    pub(crate) waits: bool,
}

/// What recovery found of the journal's own.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) counters: CountersRecord,
    pub(crate) budget: Option<BudgetRecord>,
    pub(crate) age: Mono,
    pub(crate) away: u64,
    pub(crate) next_arrival: u64,
    pub(crate) next_opaque: u64,
    pub(crate) event_sizes: VecDeque<usize>,
}

impl Journal {
    /// The journal of a channel without a past: the first write says who we are.
    pub(crate) fn new(channel: &ChannelId, participant: &ParticipantId, tag: SenderTag) -> Self {
        let past = Past { counters: CountersRecord { event: 1, ..Default::default() }, ..Past::default() };
        let mut journal = Self::resumed(channel, past);
        let about = AboutRecord {
            schema: SCHEMA,
            participant: participant.as_str().to_owned(),
            tag: Bytes::copy_from_slice(&tag.0),
        };
        journal.put_new(journal.keys.of(Kind::About), &about);
        journal
    }

    /// The journal of a channel that was there before.
    pub(crate) fn resumed(channel: &ChannelId, past: Past) -> Self {
        Self {
            keys: Keys::new(channel),
            changes: BTreeMap::new(),
            ready: VecDeque::new(),
            counters: past.counters,
            budget: past.budget,
            aged: past.age,
            away: past.away,
            arrivals: BTreeMap::new(),
            next_arrival: past.next_arrival,
            next_opaque: past.next_opaque,
            log: Log { bytes: past.event_sizes.iter().sum(), sizes: past.event_sizes },
        }
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Writes a record that the store has, or may have.
    pub(crate) fn put(&mut self, key: Bytes, record: &impl Message) {
        let is_new = self.changes.get(&key).is_some_and(|change| change.is_new);
        self.changes.insert(key, Change { value: Some(record.encode_to_vec().into()), is_new });
    }

    /// Writes a record that the store has not.
    pub(crate) fn put_new(&mut self, key: Bytes, record: &impl Message) {
        self.changes.insert(key, Change { value: Some(record.encode_to_vec().into()), is_new: true });
    }

    /// Removes a record, if there is one.
    pub(crate) fn delete(&mut self, key: Bytes) {
        if self.changes.get(&key).is_some_and(|change| change.is_new) {
            self.changes.remove(&key);
        } else {
            self.changes.insert(key, Change { value: None, is_new: false });
        }
    }

    /// Notes a message that was accepted and belongs to `origin`.
    pub(crate) fn arrived(&mut self, origin: SegmentOrigin, record: &impl Message) {
        let number = self.next_arrival;
        self.put_new(self.keys.numbered(Kind::Arrival, number), record);
        self.resume_arrival(origin, number);
    }

    /// The same of one that is in the store.
    pub(crate) fn resume_arrival(&mut self, origin: SegmentOrigin, number: u64) {
        self.next_arrival = self.next_arrival.max(number.saturating_add(1));
        self.arrivals.entry(origin).or_default().push(number);
    }

    /// Nothing waits for `origin` any more.
    pub(crate) fn released(&mut self, origin: &SegmentOrigin) {
        for number in self.arrivals.remove(origin).unwrap_or_default() {
            self.delete(self.keys.numbered(Kind::Arrival, number));
        }
    }

    /// The place of a foreign id in the order in which they are forgotten.
    pub(crate) const fn next_opaque(&mut self) -> u64 {
        self.next_opaque += 1;
        self.next_opaque
    }

    /// Appends an event to the log; returns its number.
    pub(crate) fn log(&mut self, record: &impl Message) -> u64 {
        let number = self.counters.event;
        let size = record.encoded_len();
        self.put_new(self.keys.numbered(Kind::Event, number), record);
        self.counters.event += 1;
        self.log.sizes.push_back(size);
        self.log.bytes += size;
        self.touch_counters();
        number
    }

    /// The application has dealt with all events up to `number`.
    pub(crate) fn confirm(&mut self, number: u64) {
        while self.counters.confirmed < number
            && let Some(size) = self.log.sizes.pop_front()
        {
            self.log.bytes -= size;
            self.counters.confirmed += 1;
            self.delete(self.keys.numbered(Kind::Event, self.counters.confirmed));
            self.touch_counters();
        }
    }

    /// How many events are not confirmed, and their bytes.
    pub(crate) fn unconfirmed(&self) -> (usize, usize) {
        (self.log.sizes.len(), self.log.bytes)
    }

    /// The last event that was confirmed, and the next one's number.
    pub(crate) const fn events(&self) -> (u64, u64) {
        (self.counters.confirmed, self.counters.event)
    }

    /// Turns what changed into writes. The machine's numbers come last: they are reserved ahead where they change
    /// without anything else to write.
    pub(crate) fn close(&mut self, machine: Snapshot) {
        let before = self.counters;
        self.counters.sequence = machine.sequence;
        if machine.sequence != before.sequence {
            self.counters.request = machine.request;
        }
        if machine.lamport > before.lamport {
            self.counters.lamport = machine.lamport.saturating_add(LAMPORT_STEP);
        }
        if machine.ephemeral > before.ephemeral {
            self.counters.ephemeral = machine.ephemeral + EPHEMERAL_STEP;
            self.counters.request = machine.request;
        }
        if self.counters != before {
            self.touch_counters();
        }
        let spent = |budget: BudgetRecord| (budget.epoch, budget.spent);
        if machine.budget.map(spent) != self.budget.map(spent)
            && let Some(budget) = machine.budget
        {
            self.budget = machine.budget;
            self.put(self.keys.of(Kind::Budget), &budget);
        }
        let is_due = machine.waits && machine.now.mono.since(self.aged) >= HEARTBEAT;
        if !self.changes.is_empty() || is_due {
            self.aged = machine.now.mono;
            let (age, wall) = (age(machine.now.mono), machine.now.wall.unix_millis());
            self.put(self.keys.of(Kind::Age), &AgeRecord { age, wall, away: self.away });
        }
        let op = |(key, change): (Bytes, Change)| match change.value {
            Some(value) => Op::Put { key, value },
            None => Op::Delete { key },
        };
        self.ready.extend(std::mem::take(&mut self.changes).into_iter().map(op));
    }

    /// When the age is to be written again, if something waits.
    pub(crate) fn heartbeat(&self) -> Mono {
        self.aged + HEARTBEAT
    }

    /// The next write.
    pub(crate) fn poll(&mut self) -> Option<Op> {
        self.ready.pop_front()
    }

    fn touch_counters(&mut self) {
        let counters = self.counters;
        self.put(self.keys.of(Kind::Counters), &counters);
    }
}
