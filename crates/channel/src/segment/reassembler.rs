//! Putting segments together again, eagerly: in any order, as they arrive.
//!
//! The rule: a segment is admitted, and so may be acknowledged, only when there is room for it. A
//! segment for which there is no room is refused and the sender's retransmission brings it again;
//! an admitted one is never thrown away to make room for another.

use super::Segment;
use crate::ids::{MessageId, ParticipantId, SenderTag};
use bytes::{Bytes, BytesMut};
use quorate_base::Mono;
use sha3::{Digest, Keccak256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a segment is charged beside its bytes, for what is kept of it: 256 bytes. A set's first
/// one is charged 32 bytes more for each place.
pub const SEGMENT_COST: usize = 256;
const PLACE_COST: usize = 32;

/// Which set a segment belongs to. Two payloads that are equal are still two sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentOrigin {
    /// Sent with structured ids: the sender's tag and the sequence number of its first segment.
    Structured(SenderTag, u64),
    /// Sent with opaque ids: the sender and the payload's hash.
    Opaque(ParticipantId, [u8; 32]),
    /// A payload in one message with an opaque id, without segments.
    Whole(MessageId),
}

/// A payload whose hash is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Reassembled {
    /// The whole payload.
    pub payload: Bytes,
    /// What it was charged for; to be given back with [`Reassembler::release`].
    pub charged: usize,
}

/// What became of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Kept; the set is not whole yet.
    Stored,
    /// Kept, and it was the last one missing.
    Complete(Reassembled),
    /// Had it already.
    Duplicate,
    /// Refused: contradicts its siblings. The segment's fault, the set lives on.
    Contradicts,
    /// Refused: no room now.
    Full,
    /// It was the last one missing, and the whole does not match its hash: the set is gone.
    HashMismatch,
}

/// Sets in the making, within a budget of bytes in total and per sender.
#[derive(Debug)]
pub struct Reassembler {
    max_bytes: usize,
    max_bytes_per_sender: usize,
    max_sets: usize,
    timeout: Duration,
    sets: BTreeMap<SegmentOrigin, Set>,
    expiries: BTreeSet<(Mono, SegmentOrigin)>,
    bytes: usize,
    per_sender: BTreeMap<ParticipantId, usize>,
    /// The one set that may exceed the budget, so that what others wait for always gets through.
    exempt: Option<SegmentOrigin>,
}

#[derive(Debug)]
struct Set {
    sender: ParticipantId,
    hash: [u8; 32],
    length: Option<u64>,
    pieces: Vec<Option<Bytes>>,
    missing: usize,
    parity_count: u32,
    parity_seen: BTreeSet<u32>,
    charged: usize,
    expires: Mono,
}

impl Reassembler {
    /// Room for `max_bytes` in all and `max_bytes_per_sender` of one sender, in at most `max_sets`
    /// sets; a set is given up `timeout` after its last new segment.
    pub fn new(max_bytes: usize, max_bytes_per_sender: usize, max_sets: usize, timeout: Duration) -> Self {
        Self {
            max_bytes,
            max_bytes_per_sender,
            max_sets,
            timeout,
            sets: BTreeMap::new(),
            expiries: BTreeSet::new(),
            bytes: 0,
            per_sender: BTreeMap::new(),
            exempt: None,
        }
    }

    /// Takes one segment. `beside` is what the caller keeps with it, in bytes; `needed` says that later payloads
    /// already wait for this set, which may then exceed the budget (one set at a time).
    pub fn handle_segment(
        &mut self,
        now: Mono,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        segment: Segment,
        beside: usize,
        needed: bool,
    ) -> Admission {
        if let Some(set) = self.sets.get(origin) {
            if !set.agrees_with(&segment) {
                return Admission::Contradicts;
            }
            if set.has(&segment) {
                return Admission::Duplicate;
            }
        }
        let kept = if segment.is_parity { 0 } else { segment.payload.len() };
        let places =
            if self.sets.contains_key(origin) { 0 } else { PLACE_COST * segment.data_count as usize };
        let cost = SEGMENT_COST + kept + places + beside;
        if !self.has_room(origin, sender, cost, needed) {
            return Admission::Full;
        }
        self.store(now, origin, sender, segment, cost)
    }

    /// Charges a payload that needs no putting together; `false` when there is no room. Given back with
    /// [`Reassembler::release`].
    pub fn charge(
        &mut self,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        cost: usize,
        needed: bool,
    ) -> bool {
        if !self.has_room(origin, sender, cost, needed) {
            return false;
        }
        if self.exempt.as_ref() == Some(origin) {
            // It is whole: the next one may exceed the budget again.
            self.exempt = None;
        }
        self.bytes += cost;
        *self.per_sender.entry(sender.clone()).or_insert(0) += cost;
        true
    }

    /// Gives back what a delivered or dropped payload of `sender` was charged for.
    pub fn release(&mut self, sender: &ParticipantId, charged: usize) {
        self.bytes = self.bytes.saturating_sub(charged);
        if let Some(of_sender) = self.per_sender.get_mut(sender) {
            *of_sender = of_sender.saturating_sub(charged);
            if *of_sender == 0 {
                self.per_sender.remove(sender);
            }
        }
    }

    /// Forgets a set, whole or not.
    pub fn forget(&mut self, origin: &SegmentOrigin) {
        if let Some(set) = self.take(origin) {
            self.release(&set.sender, set.charged);
        }
    }

    /// The sets whose time is up, one at a call.
    pub fn poll_expired(&mut self, now: Mono) -> Option<SegmentOrigin> {
        let (at, origin) = self.expiries.first()?.clone();
        if at > now {
            return None;
        }
        self.forget(&origin);
        Some(origin)
    }

    /// When the next set expires.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Bytes charged, complete payloads that were not released included.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn has_room(
        &mut self,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        cost: usize,
        needed: bool,
    ) -> bool {
        let of_sender = self.per_sender.get(sender).copied().unwrap_or(0);
        let new_set = !self.sets.contains_key(origin);
        let fits = self.bytes + cost <= self.max_bytes
            && of_sender + cost <= self.max_bytes_per_sender
            && (!new_set || self.sets.len() < self.max_sets);
        if fits || self.exempt.as_ref() == Some(origin) {
            return true;
        }
        if needed && self.exempt.is_none() {
            self.exempt = Some(origin.clone());
            return true;
        }
        false
    }

    fn store(
        &mut self,
        now: Mono,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        segment: Segment,
        cost: usize,
    ) -> Admission {
        let expires = now + self.timeout;
        let set = self.sets.entry(origin.clone()).or_insert_with(|| Set::new(sender, &segment, expires));
        set.insert(segment, cost);
        self.expiries.remove(&(set.expires, origin.clone()));
        set.expires = expires;
        let whole = set.missing == 0;
        self.bytes += cost;
        *self.per_sender.entry(sender.clone()).or_insert(0) += cost;
        if !whole {
            self.expiries.insert((expires, origin.clone()));
            return Admission::Stored;
        }
        let Some(set) = self.take(origin) else { return Admission::Stored };
        let (sender, charged) = (set.sender.clone(), set.charged);
        match set.join() {
            Some(payload) => Admission::Complete(Reassembled { payload, charged }),
            None => {
                self.release(&sender, charged);
                Admission::HashMismatch
            }
        }
    }

    fn take(&mut self, origin: &SegmentOrigin) -> Option<Set> {
        let set = self.sets.remove(origin)?;
        self.expiries.remove(&(set.expires, origin.clone()));
        if self.exempt.as_ref() == Some(origin) {
            self.exempt = None;
        }
        Some(set)
    }
}

impl Set {
    fn new(sender: &ParticipantId, first: &Segment, expires: Mono) -> Self {
        let count = first.data_count as usize;
        Self {
            sender: sender.clone(),
            hash: first.hash,
            length: first.length,
            pieces: vec![None; count],
            missing: count,
            parity_count: first.parity_count,
            parity_seen: BTreeSet::new(),
            charged: 0,
            expires,
        }
    }

    fn agrees_with(&self, segment: &Segment) -> bool {
        self.hash == segment.hash
            && self.length == segment.length
            && self.pieces.len() == segment.data_count as usize
            && self.parity_count == segment.parity_count
    }

    fn has(&self, segment: &Segment) -> bool {
        if segment.is_parity {
            self.parity_seen.contains(&segment.index)
        } else {
            matches!(self.pieces.get(segment.index as usize), Some(Some(_)))
        }
    }

    /// Keeps the piece, charged `cost`. Parity is noted, not kept.
    fn insert(&mut self, segment: Segment, cost: usize) {
        self.charged += cost;
        if segment.is_parity {
            self.parity_seen.insert(segment.index);
        } else if let Some(slot) = self.pieces.get_mut(segment.index as usize) {
            *slot = Some(segment.payload);
            self.missing -= 1;
        }
    }

    fn join(mut self) -> Option<Bytes> {
        let payload = match self.pieces.as_mut_slice() {
            [Some(only)] => std::mem::take(only),
            pieces => {
                let len = pieces.iter().flatten().map(Bytes::len).sum();
                let mut whole = BytesMut::with_capacity(len);
                pieces.iter().flatten().for_each(|piece| whole.extend_from_slice(piece));
                whole.freeze()
            }
        };
        let length_holds = self.length.is_none_or(|length| length == payload.len() as u64);
        let hash: [u8; 32] = Keccak256::digest(&payload).into();
        (length_holds && hash == self.hash).then_some(payload)
    }
}

#[cfg(test)]
mod tests;
