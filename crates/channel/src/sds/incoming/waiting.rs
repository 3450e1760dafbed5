//! Whole payloads that wait for their causal past.
//!
//! The rule: each waits for exactly one thing at a time, so a delivery wakes only those that waited
//! for it, and the cost does not grow with how many wait.

use super::{super::Key, Missing, Set};
use crate::ids::{MessageId, SenderTag};
use crate::segment::SegmentOrigin;
use bytes::Bytes;
use quorate_base::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A whole payload.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) origin: SegmentOrigin,
    pub(super) set: Set,
    pub(super) payload: Bytes,
    pub(super) charged: usize,
    pub(super) deadline: Mono,
    /// It waited long enough, and what it lacks is here and waits too.
    pub(super) overdue: bool,
}

/// The payloads that wait, those that are ready, and what each waits for.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    by_origin: BTreeMap<SegmentOrigin, u64>,
    /// Those with opaque ids.
    by_id: BTreeMap<MessageId, u64>,
    blocked: BTreeMap<Key, Vec<u64>>,
    deadlines: BTreeSet<(Mono, u64)>,
    /// By Lamport time and id: the order among those that became ready at once.
    ready: BTreeSet<(u64, MessageId, u64)>,
}

impl WaitingRoom {
    pub(super) fn push(&mut self, waiting: Waiting) -> u64 {
        let waiter = self.next;
        self.next += 1;
        self.deadlines.insert((waiting.deadline, waiter));
        self.by_origin.insert(waiting.origin.clone(), waiter);
        self.by_id.extend(waiting.set.ids.iter().map(|id| (id.clone(), waiter)));
        self.waiting.insert(waiter, waiting);
        waiter
    }

    pub(super) fn get(&self, waiter: u64) -> Option<&Waiting> {
        self.waiting.get(&waiter)
    }

    pub(super) fn block(&mut self, waiter: u64, on: Key) {
        self.blocked.entry(on).or_default().push(waiter);
    }

    pub(super) fn ready(&mut self, waiter: u64) {
        if let Some(waiting) = self.waiting.get(&waiter) {
            self.ready.insert((waiting.set.time, waiting.set.last_id.clone(), waiter));
        }
    }

    /// Those that waited for a key in `keys`; each is to be settled anew.
    pub(super) fn unblock(&mut self, keys: Range<Key>) -> Vec<u64> {
        let keys: Vec<Key> = self.blocked.range(keys).map(|(key, _)| key.clone()).collect();
        keys.iter().flat_map(|key| self.unblock_one(key)).collect()
    }

    pub(super) fn unblock_one(&mut self, key: &Key) -> Vec<u64> {
        self.blocked.remove(key).unwrap_or_default()
    }

    pub(super) fn poll_ready(&mut self) -> Option<Waiting> {
        let (_, _, waiter) = self.ready.pop_first()?;
        let waiting = self.waiting.remove(&waiter)?;
        self.deadlines.remove(&(waiting.deadline, waiter));
        self.by_origin.remove(&waiting.origin);
        for id in &waiting.set.ids {
            self.by_id.remove(id);
        }
        Some(waiting)
    }

    /// A payload whose deadline has passed. It keeps waiting until it is settled or postponed.
    pub(super) fn poll_due(&self, now: Mono) -> Option<u64> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, waiter)| *waiter)
    }

    pub(super) fn postpone(&mut self, waiter: u64, until: Mono) {
        if let Some(waiting) = self.waiting.get_mut(&waiter) {
            self.deadlines.remove(&(waiting.deadline, waiter));
            waiting.deadline = until;
            self.deadlines.insert((until, waiter));
        }
    }

    /// A payload is overdue; `true` when it was before.
    pub(super) fn mark_overdue(&mut self, waiter: u64) -> bool {
        self.waiting.get_mut(&waiter).is_some_and(|waiting| std::mem::replace(&mut waiting.overdue, true))
    }

    /// The payload that `key` is a message of, where it waits here.
    pub(super) fn holder(&self, key: &Key) -> Option<u64> {
        match key {
            Key::Opaque(id) => self.by_id.get(id).copied(),
            Key::Sequence(tag, sequence) => self.holder_of(*tag, *sequence),
        }
    }

    fn holder_of(&self, tag: SenderTag, sequence: u64) -> Option<u64> {
        let upto = SegmentOrigin::Structured(tag, sequence);
        let (origin, waiter) = self.by_origin.range(..=upto).next_back()?;
        let SegmentOrigin::Structured(of, base) = origin else { return None };
        let count = self.waiting.get(waiter)?.set.count;
        (*of == tag && sequence - base < count).then_some(*waiter)
    }

    /// Drops what `waiter` follows, but for what is to `keep`.
    pub(super) fn retain_past(&mut self, waiter: u64, keep: impl FnMut(&Key) -> bool) {
        if let Some(waiting) = self.waiting.get_mut(&waiter) {
            waiting.set.past.retain(keep);
        }
    }

    /// The payload `waiter` waits no more for any of `lost`.
    pub(super) fn forgive(&mut self, waiter: u64, lost: &[Missing]) {
        let is_lost = |key: &Key| {
            lost.iter().any(|missing| match (missing, key) {
                (Missing::Segments { tag, sequences, .. }, Key::Sequence(of, number)) => {
                    tag == of && sequences.contains(number)
                }
                (Missing::Message(id), Key::Opaque(other)) => id == other,
                _ => false,
            })
        };
        if let Some(waiting) = self.waiting.get_mut(&waiter) {
            waiting.set.past.retain(|key| !is_lost(key));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The waiting payloads within `origins`, with their numbers of segments.
    pub(super) fn origins(
        &self,
        origins: Range<SegmentOrigin>,
    ) -> impl Iterator<Item = (&SegmentOrigin, u64)> {
        let count = |waiter| self.waiting.get(waiter).map_or(1, |waiting| waiting.set.count);
        self.by_origin.range(origins).map(move |(origin, waiter)| (origin, count(waiter)))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
