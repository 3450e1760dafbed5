//! Own messages, from the first attempt until they are acknowledged or given up.
//!
//! The rule: a retransmission timer runs only after an attempt was confirmed to have left, at most
//! one attempt per message is queued or under way, and an acknowledgement cancels both. A participant that
//! acknowledges a later message is there: what it lacks waits no longer than before the first repetition.

mod round_trip;
mod stored;

use super::{BloomFilter, Dialect, Fingerprint, RangeSet, SdsMessage};
use crate::config::AckPolicy;
use crate::ids::{MessageId, ParticipantId, RequestId, StructuredId};
use quorate_base::{Backoff, Mono};
use round_trip::RoundTrip;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

/// The most participants whose acknowledgements are told apart.
const MAX_ACKNOWLEDGERS: usize = 4_096;

/// The most own messages whose citations are remembered; the latest.
const MAX_PASTS: usize = 1_024;

/// The most messages that one acknowledgement hastens.
const MAX_HASTENED: usize = 64;

/// The messages that may have to be sent again.
#[derive(Debug)]
pub struct Outgoing {
    policy: AckPolicy,
    backoff: Backoff,
    entries: BTreeMap<u64, Entry>,
    due: BTreeSet<(Mono, u64)>,
    sends: BTreeMap<RequestId, Send>,
    acked: BTreeMap<ParticipantId, RangeSet>,
    /// What each of the latest own messages cites of our own: who says no more than citations has that too.
    pasts: BTreeMap<u64, RangeSet>,
    round_trip: RoundTrip,
    bytes: usize,
    /// One beyond the last sequence number pushed: nobody can have more.
    end: u64,
    /// What is to be written; `None` where nothing is.
    changes: Option<stored::Changes>,
}

/// One attempt to make: the message and how often it was tried before.
#[derive(Debug, Clone)]
pub struct Retransmission {
    /// The message's id.
    pub id: StructuredId,
    /// The SDS message: the same at every attempt, but for what is true of its sender at that time.
    pub message: SdsMessage,
    /// The attempt's number, 0 for the first.
    pub attempt: u32,
    /// The send it belongs to.
    pub request: RequestId,
}

/// A message whose acknowledgements grew.
#[derive(Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The send it belongs to.
    pub request: RequestId,
    /// Its sequence number.
    pub sequence: u64,
    /// Whether as many as the policy asks for now have all messages of the send, and these are forgotten.
    pub satisfied: bool,
}

#[derive(Debug)]
struct Entry {
    id: StructuredId,
    message: SdsMessage,
    request: RequestId,
    attempts: u32,
    /// Queued or handed to the messaging layer: no timer runs.
    under_way: bool,
    left_at: Option<Mono>,
    /// When the last attempt ended.
    tried_at: Mono,
    due: Option<Mono>,
    acked_by: BTreeSet<ParticipantId>,
}

/// The messages of one send. Who has some of them has nothing yet: the policy asks for participants that have all.
#[derive(Debug)]
struct Send {
    sequences: Range<u64>,
    messages: usize,
    /// How many of them each participant has, and who has all.
    has: BTreeMap<ParticipantId, usize>,
    whole: BTreeSet<ParticipantId>,
    /// When somebody last got one more.
    grew_at: Mono,
}

impl Outgoing {
    /// An empty buffer. What `policy` demands is fixed for its life.
    pub fn new(policy: AckPolicy, backoff: Backoff) -> Self {
        Self {
            policy,
            backoff,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            sends: BTreeMap::new(),
            acked: BTreeMap::new(),
            pasts: BTreeMap::new(),
            round_trip: RoundTrip::default(),
            bytes: 0,
            end: 0,
            changes: None,
        }
    }

    /// Takes a message whose first attempt is about to be queued.
    pub fn push(&mut self, id: StructuredId, message: SdsMessage, request: RequestId) {
        self.bytes += message.content.len();
        self.end = self.end.max(id.sequence + 1);
        self.remember_past(id, &message);
        let send = self.sends.entry(request).or_insert_with(|| Send {
            sequences: id.sequence..id.sequence,
            messages: 0,
            has: BTreeMap::new(),
            whole: BTreeSet::new(),
            grew_at: Mono::ZERO,
        });
        send.messages += 1;
        send.sequences.end = id.sequence + 1;
        if let Some(changes) = &mut self.changes {
            changes.pushed.insert(id.sequence);
        }
        self.entries.insert(
            id.sequence,
            Entry {
                id,
                message,
                request,
                attempts: 0,
                under_way: true,
                left_at: None,
                tried_at: Mono::ZERO,
                due: None,
                acked_by: BTreeSet::new(),
            },
        );
    }

    /// The attempt to make for a queued message; `None` when it was acknowledged meanwhile.
    pub fn attempt(&mut self, sequence: u64) -> Option<Retransmission> {
        let entry = self.entries.get_mut(&sequence)?;
        let attempt = entry.attempts;
        entry.attempts += 1;
        if let Some(changes) = self.changes.as_mut().filter(|_| attempt > 0) {
            changes.repeated.insert(sequence);
        }
        Some(Retransmission { id: entry.id, message: entry.message.clone(), attempt, request: entry.request })
    }

    /// Acknowledgements take at least so long: others wait before they give one.
    pub fn expect(&mut self, least: Duration) {
        self.round_trip.least = least;
    }

    /// An attempt ended: it left (`confirmed`), or it did not. Either way the next one is timed. Yields the message's id when
    /// it left for the first time.
    pub fn handle_attempted(
        &mut self,
        now: Mono,
        sequence: u64,
        confirmed: bool,
        random: f64,
    ) -> Option<MessageId> {
        let entry = self.entries.get_mut(&sequence)?;
        entry.under_way = false;
        entry.tried_at = now;
        let first = confirmed && entry.left_at.is_none();
        if first {
            entry.left_at = Some(now);
        }
        let delay = self.backoff.delay(entry.attempts.saturating_sub(1), random);
        let due = now + self.round_trip.stretch(self.backoff.initial(), delay);
        if let Some(planned) = entry.due.replace(due) {
            self.due.remove(&(planned, sequence));
        }
        self.due.insert((due, sequence));
        first.then(|| entry.message.id.clone())
    }

    /// `by` perhaps has what a filter holds: of the oldest `most` messages, those wait for twice their distance from now.
    /// Yields how many. A filter proves nothing, so none is acknowledged.
    pub fn handle_filter<Words: AsRef<[u8]>>(
        &mut self,
        now: Mono,
        dialect: Dialect,
        filter: &BloomFilter<Words>,
        by: &ParticipantId,
        most: usize,
        random: f64,
    ) -> u64 {
        if !self.policy.counts(by) {
            return 0;
        }
        let mut delayed = 0;
        for (sequence, entry) in self.entries.iter_mut().take(most) {
            let Some(planned) = entry.due else { continue };
            let fingerprint = Fingerprint::of(dialect, entry.message.id.as_str());
            let later = now + self.backoff.delay(entry.attempts.saturating_sub(1), random) * 2;
            if later > planned && filter.contains(fingerprint) {
                self.due.remove(&(planned, *sequence));
                self.due.insert((later, *sequence));
                entry.due = Some(later);
                delayed += 1;
            }
        }
        delayed
    }

    /// Somebody asks for a message: its next attempt is due now. `false` when one is under way already.
    pub fn poll_early(&mut self, sequence: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&sequence).filter(|entry| !entry.under_way) else {
            return false;
        };
        if let Some(planned) = entry.due.take() {
            self.due.remove(&(planned, sequence));
        }
        entry.under_way = true;
        true
    }

    /// Whether a message is not acknowledged yet as the policy demands.
    pub fn contains(&self, sequence: u64) -> bool {
        self.entries.contains_key(&sequence)
    }

    /// The next message whose time has come; it counts as queued from here on.
    pub fn poll_due(&mut self, now: Mono) -> Option<u64> {
        loop {
            let (at, sequence) = *self.due.first()?;
            if at > now {
                return None;
            }
            self.due.pop_first();
            let Some(entry) = self.entries.get_mut(&sequence) else { continue };
            let rests = self.policy.is_satisfied_by(&entry.acked_by);
            let until = self.sends.get(&entry.request).map_or(now, |send| send.grew_at + self.backoff.max());
            if rests && until > now {
                entry.due = Some(until);
                self.due.insert((until, sequence));
                continue;
            }
            entry.due = None;
            entry.under_way = true;
            return Some(sequence);
        }
    }

    /// `by` has received `ranges` of our sequence. Yields every message this is news about.
    pub fn handle_ack(&mut self, now: Mono, by: &ParticipantId, ranges: &[Range<u64>]) -> Vec<Acknowledged> {
        self.acknowledged(now, by, ranges, true)
    }

    /// `by` cites `sequences` of ours: it has them, and delivered them, which may be long after they came. `with_past` says that it
    /// delivers nothing before it has what that cites (LIP), and says what it has in no other way: then that counts too.
    pub fn handle_citations(
        &mut self,
        now: Mono,
        by: &ParticipantId,
        sequences: &[u64],
        with_past: bool,
    ) -> Vec<Acknowledged> {
        let mut has = RangeSet::new();
        for sequence in sequences {
            has.insert(*sequence..sequence + 1);
            if let Some(past) = self.pasts.get(sequence).filter(|_| with_past) {
                past.iter().for_each(|range| drop(has.insert(range)));
            }
        }
        self.acknowledged(now, by, &has.iter().collect::<Vec<_>>(), false)
    }

    /// Gives up every message of a send: its deadline passed, or it never left.
    pub fn forget(&mut self, request: RequestId, sequences: Range<u64>) {
        let of_request: Vec<u64> = self
            .entries
            .range(sequences)
            .filter(|(_, entry)| entry.request == request)
            .map(|(sequence, _)| *sequence)
            .collect();
        of_request.into_iter().for_each(|sequence| drop(self.remove(sequence)));
        self.sends.remove(&request);
    }

    /// Who of those that the policy names has not acknowledged the messages in `sequences`.
    pub fn lacking(&self, sequences: Range<u64>) -> BTreeSet<ParticipantId> {
        let AckPolicy::All(roster) = &self.policy else { return BTreeSet::new() };
        let open = self.entries.range(sequences);
        open.flat_map(|(_, entry)| roster.difference(&entry.acked_by).cloned()).collect()
    }

    /// The send that a message belongs to, as long as it may be sent again.
    pub fn request(&self, sequence: u64) -> Option<RequestId> {
        self.entries.get(&sequence).map(|entry| entry.request)
    }

    /// Whether any message in `sequences` may be sent again.
    pub fn has_any(&self, sequences: Range<u64>) -> bool {
        self.entries.range(sequences).next().is_some()
    }

    /// The lowest sequence number that may be sent again.
    pub fn oldest(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(sequence, _)| *sequence)
    }

    /// When the next retransmission is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether every message was acknowledged or given up.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of content held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Only what another cites as well as its own can help: one step back, not what that cites in turn, as published peers count
    /// for there what only waits.
    fn remember_past(&mut self, id: StructuredId, message: &SdsMessage) {
        let mut past = RangeSet::new();
        let own = message.history.iter().filter_map(|cited| StructuredId::parse(cited.id.as_str()));
        for cited in own.filter(|cited| cited.tag == id.tag) {
            past.insert(cited.sequence..cited.sequence + 1);
        }
        if past.pieces() == 0 {
            return;
        }
        self.pasts.insert(id.sequence, past);
        if self.pasts.len() > MAX_PASTS {
            self.pasts.pop_first();
        }
    }

    fn acknowledged(
        &mut self,
        now: Mono,
        by: &ParticipantId,
        ranges: &[Range<u64>],
        on_receipt: bool,
    ) -> Vec<Acknowledged> {
        if !self.acked.contains_key(by) && self.acked.len() >= MAX_ACKNOWLEDGERS {
            return Vec::new();
        }
        let known = self.acked.entry(by.clone()).or_default();
        let sent = ranges.iter().map(|range| range.start..range.end.min(self.end));
        let fresh: Vec<_> =
            sent.filter(|range| !range.is_empty()).flat_map(|range| known.insert(range)).collect();
        let Some(beyond) = fresh.last().map(|range| range.start) else { return Vec::new() };
        if let Some(changes) = &mut self.changes {
            changes.ackers.insert(by.clone());
        }
        self.hasten(now, by, beyond);
        let sequences: Vec<u64> = fresh
            .into_iter()
            .flat_map(|range| self.entries.range(range).map(|(sequence, _)| *sequence))
            .collect();
        let news =
            sequences.into_iter().filter_map(|sequence| self.acknowledge(now, by, sequence, on_receipt));
        news.collect()
    }

    /// What `by` lacks below `beyond` is sent again as if it had been tried once.
    fn hasten(&mut self, now: Mono, by: &ParticipantId, beyond: u64) {
        let (Some(oldest), Some(has)) = (self.oldest(), self.acked.get(by)) else { return };
        if !self.policy.counts(by) || oldest >= beyond {
            return;
        }
        let initial = self.backoff.initial();
        let wait = self.round_trip.stretch(initial, initial);
        let lacks = has.gaps(oldest..beyond).into_iter().flat_map(|gap| self.entries.range(gap));
        let policy = &self.policy;
        let sooner = lacks.filter(|(_, entry)| !policy.is_satisfied_by(&entry.acked_by));
        let sooner = sooner.filter_map(|(sequence, entry)| {
            let due = now.max(entry.tried_at + wait);
            entry.due.filter(|planned| *planned > due).map(|planned| (*sequence, planned, due))
        });
        for (sequence, planned, due) in sooner.take(MAX_HASTENED).collect::<Vec<_>>() {
            self.due.remove(&(planned, sequence));
            self.due.insert((due, sequence));
            if let Some(entry) = self.entries.get_mut(&sequence) {
                entry.due = Some(due);
            }
        }
    }

    /// `by` has one more message. Where as many as the policy asks for have it, it rests: they may complete the send by
    /// what else is under way. It is repeated only when that stops growing, or goes at once where everybody named has it.
    fn acknowledge(
        &mut self,
        now: Mono,
        by: &ParticipantId,
        sequence: u64,
        on_receipt: bool,
    ) -> Option<Acknowledged> {
        let entry = self.entries.get_mut(&sequence)?;
        entry.acked_by.insert(by.clone());
        let request = entry.request;
        if self.policy.is_satisfied_by(&entry.acked_by) {
            // Karn's rule: an answer to a message sent twice measures nothing. Nor does one that waited for others.
            if let (true, 1, Some(left_at)) = (on_receipt, entry.attempts, entry.left_at) {
                self.round_trip.sample(now.since(left_at));
            }
            if matches!(self.policy, AckPolicy::All(_)) {
                self.remove(sequence);
            } else if let Some(planned) = entry.due.take() {
                let until = now + self.backoff.max();
                entry.due = Some(until);
                self.due.remove(&(planned, sequence));
                self.due.insert((until, sequence));
            }
        }
        let send = self.sends.get_mut(&request)?;
        send.grew_at = now;
        let has = send.has.entry(by.clone()).or_insert(0);
        *has += 1;
        let is_whole = *has >= send.messages && send.whole.insert(by.clone());
        let satisfied = is_whole && self.policy.is_satisfied_by(&send.whole);
        if satisfied {
            let sequences = send.sequences.clone();
            self.forget(request, sequences);
        }
        Some(Acknowledged { request, sequence, satisfied })
    }

    fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        if let Some(changes) = &mut self.changes {
            changes.remove(sequence);
        }
        if let Some(due) = entry.due {
            self.due.remove(&(due, sequence));
        }
        self.bytes -= entry.message.content.len();
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
