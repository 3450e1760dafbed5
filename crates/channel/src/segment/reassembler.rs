//! Putting segments together again, eagerly: in any order, as they arrive.
//!
//! The rule: a segment is admitted, and so may be acknowledged, only when there is room for it. A
//! segment for which there is no room is refused and the sender's retransmission brings it again;
//! an admitted one is not thrown away to make room for another, but for ephemeral payloads, which nobody repeats.

use super::claim::{Claim, Failure, Place, Shape, Whole};
use super::{Discard, Segment, SegmentCounts, SetDrop};
use crate::ids::{MessageId, ParticipantId, SenderTag};
use bytes::Bytes;
use quorate_base::Mono;
use sha3::{Digest, Keccak256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a segment is charged beside its bytes, for what is kept of it: 256 bytes. A claim's first
/// one is charged 32 bytes more for each place.
pub const SEGMENT_COST: usize = 256;
const PLACE_COST: usize = 32;

/// The most claims of what one set is (its hash, length and counts) that are kept apart.
const MAX_CLAIMS: usize = 3;

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

/// How much may be in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Bytes in all: the pieces, and what is kept beside them.
    pub bytes: usize,
    /// The same for one sender.
    pub bytes_per_sender: usize,
    /// Sets.
    pub sets: usize,
    /// The same for one sender.
    pub sets_per_sender: usize,
    /// How long a set is kept after its last new segment.
    pub timeout: Duration,
    /// Whether an old set makes room for a new one: where nobody repeats anything. Otherwise what was admitted stays.
    pub evict: bool,
}

/// A payload whose hash is right.
#[derive(Debug, PartialEq, Eq)]
pub struct Reassembled {
    /// The whole payload.
    pub payload: Bytes,
    /// How many segments it was cut into, data and parity: whoever has the payload has them all.
    pub segments: u64,
    /// Who was charged for it: the sender of its first segment.
    pub sender: ParticipantId,
    /// How many bytes; to be given back with [`Reassembler::release`].
    pub charged: usize,
}

/// What became of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// Kept; there is no payload yet.
    Stored,
    /// Kept, and there is a payload now.
    Complete(Reassembled),
    /// Not kept. The set lives on.
    Discarded(Discard),
}

/// Sets in the making, within a budget of bytes and sets in total and per sender.
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    sets: BTreeMap<SegmentOrigin, Set>,
    expiries: BTreeSet<(Mono, SegmentOrigin)>,
    bytes: usize,
    per_sender: BTreeMap<ParticipantId, Share>,
    /// The one set that may exceed the budget, so that what others wait for always gets through.
    exempt: Option<SegmentOrigin>,
    counts: SegmentCounts,
}

#[derive(Debug)]
struct Set {
    sender: ParticipantId,
    claims: Vec<Claim>,
    charged: usize,
    expires: Mono,
}

/// What one sender takes of the budget.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    sets: usize,
}

/// What a payload is needed for: whether it may exceed the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing is known to wait for it.
    None,
    /// Later ones wait for it, so it may exceed the budget: one set at a time.
    Waited,
    /// The same, and it waits for nothing itself. One segment that is the whole payload is let through: it is delivered at once, and
    /// keeps no room. So whoever fills the room with what waits does not stop the others.
    Ready,
}

impl Reassembler {
    /// Nothing in the making yet.
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            sets: BTreeMap::new(),
            expiries: BTreeSet::new(),
            bytes: 0,
            per_sender: BTreeMap::new(),
            exempt: None,
            counts: SegmentCounts::default(),
        }
    }

    /// Takes one segment. `beside` is what the caller keeps with it, in bytes; `need` says what waits for this set, which may then
    /// exceed the budget.
    pub fn handle_segment(
        &mut self,
        now: Mono,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        segment: Segment,
        beside: usize,
        need: Need,
    ) -> Admission {
        let shape = Shape::of(&segment);
        let claims = self.sets.get(origin).map(|set| set.claims.as_slice()).unwrap_or_default();
        let claim = claims.iter().find(|claim| claim.shape == shape);
        let place = claim.map_or(Place::Free, |claim| claim.place(&segment));
        let discard = match place {
            Place::Taken | Place::Crowded => Some(Discard::Duplicate),
            _ if claim.is_none() && claims.len() >= MAX_CLAIMS => Some(Discard::CountMismatch),
            _ => None,
        };
        let places = if claim.is_some() { 0 } else { PLACE_COST * shape.places() };
        let cost = SEGMENT_COST + segment.payload.len() + places + beside;
        let need = match need {
            _ if place != Place::Free => Need::None,
            // Only what is the payload is let through: what is not would stay.
            Need::Ready if self.exceeded(origin, sender, cost).is_some() && !is_payload(&segment) => {
                Need::Waited
            }
            need => need,
        };
        let discard = discard.or_else(|| {
            let full = !self.make_room(origin, sender, cost, need);
            full.then_some(Discard::CacheFull)
        });
        if let Some(reason) = discard {
            self.counts.discarded(reason);
            return Admission::Discarded(reason);
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
        need: Need,
    ) -> bool {
        if !self.make_room(origin, sender, cost, need) {
            self.counts.discarded(Discard::CacheFull);
            return false;
        }
        if self.exempt.as_ref() == Some(origin) {
            // It is whole: the next one may exceed the budget again.
            self.exempt = None;
        }
        self.bytes += cost;
        self.per_sender.entry(sender.clone()).or_default().bytes += cost;
        true
    }

    /// Gives back what a delivered or dropped payload of `sender` was charged for.
    pub fn release(&mut self, sender: &ParticipantId, charged: usize) {
        self.bytes = self.bytes.saturating_sub(charged);
        if let Some(share) = self.per_sender.get_mut(sender) {
            share.bytes = share.bytes.saturating_sub(charged);
            if share.bytes == 0 && share.sets == 0 {
                self.per_sender.remove(sender);
            }
        }
    }

    /// Forgets a set.
    pub fn forget(&mut self, origin: &SegmentOrigin) {
        if let Some(set) = self.take(origin) {
            self.release(&set.sender, set.charged);
        }
    }

    /// The sets whose time is up, one at a call, and why they made no payload.
    pub fn poll_expired(&mut self, now: Mono) -> Option<(SegmentOrigin, SetDrop)> {
        let (at, origin) = self.expiries.first()?.clone();
        if at > now {
            return None;
        }
        let failures = || self.sets.get(&origin)?.claims.iter().filter_map(|claim| claim.failure).max();
        let reason = match failures() {
            None => SetDrop::Expired,
            Some(Failure::Malformed) => SetDrop::Malformed,
            Some(Failure::HashMismatch) => SetDrop::HashMismatch,
        };
        self.counts.dropped(reason);
        self.forget(&origin);
        Some((origin, reason))
    }

    /// When the next set expires.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Bytes charged, complete payloads that were not released included.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was counted so far.
    pub const fn counts(&self) -> SegmentCounts {
        self.counts
    }

    /// Whether there is room for `cost` bytes more in this set, which may be a new one.
    fn make_room(&mut self, origin: &SegmentOrigin, sender: &ParticipantId, cost: usize, need: Need) -> bool {
        if need == Need::Ready {
            return true;
        }
        while let Some(bound) = self.exceeded(origin, sender, cost) {
            if self.exempt.as_ref() == Some(origin) && need == Need::Waited {
                return true;
            }
            if need == Need::Waited && self.exempt.is_none() {
                self.exempt = Some(origin.clone());
                return true;
            }
            if !self.limits.evict || !self.evict(origin, sender, bound) {
                return false;
            }
        }
        true
    }

    /// Which bound stands in the way.
    fn exceeded(&self, origin: &SegmentOrigin, sender: &ParticipantId, cost: usize) -> Option<Bound> {
        let limits = &self.limits;
        let share = self.per_sender.get(sender);
        let (bytes, sets) = share.map_or((0, 0), |share| (share.bytes, share.sets));
        let is_new = !self.sets.contains_key(origin);
        if bytes + cost > limits.bytes_per_sender || is_new && sets >= limits.sets_per_sender {
            Some(Bound::Sender)
        } else if self.bytes + cost > limits.bytes || is_new && self.sets.len() >= limits.sets {
            Some(Bound::Total)
        } else {
            None
        }
    }

    /// The oldest set of whoever takes most goes, but not the one that room is made for. `false` when there is none.
    fn evict(&mut self, keep: &SegmentOrigin, sender: &ParticipantId, bound: Bound) -> bool {
        let heaviest = || self.per_sender.iter().max_by_key(|(_, share)| share.bytes).map(|(name, _)| name);
        let victim = match bound {
            Bound::Sender => Some(sender),
            Bound::Total => heaviest(),
        };
        let of_victim = |origin: &&SegmentOrigin| {
            *origin != keep && self.sets.get(*origin).is_some_and(|set| Some(&set.sender) == victim)
        };
        let Some(origin) = self.expiries.iter().map(|(_, origin)| origin).find(of_victim).cloned() else {
            return false;
        };
        self.counts.dropped(SetDrop::Evicted);
        self.forget(&origin);
        true
    }

    fn store(
        &mut self,
        now: Mono,
        origin: &SegmentOrigin,
        sender: &ParticipantId,
        segment: Segment,
        cost: usize,
    ) -> Admission {
        let expires = now + self.limits.timeout;
        let set = self.sets.entry(origin.clone()).or_insert_with(|| {
            self.per_sender.entry(sender.clone()).or_default().sets += 1;
            Set { sender: sender.clone(), claims: Vec::new(), charged: 0, expires }
        });
        // A set is its first sender's, who is charged for all of it.
        let sender = set.sender.clone();
        set.charged += cost;
        self.expiries.remove(&(set.expires, origin.clone()));
        set.expires = expires;
        self.expiries.insert((expires, origin.clone()));
        let segments = Shape::of(&segment).places() as u64;
        let whole = set.insert(segment);
        self.bytes += cost;
        self.per_sender.entry(sender.clone()).or_default().bytes += cost;
        let Some(Whole { payload, recovered, healed }) = whole else { return Admission::Stored };
        self.counts.recovered = self.counts.recovered.saturating_add(u64::from(recovered));
        self.counts.healed = self.counts.healed.saturating_add(u64::from(healed));
        let charged = self.take(origin).map_or(0, |set| set.charged);
        Admission::Complete(Reassembled { payload, segments, sender, charged })
    }

    fn take(&mut self, origin: &SegmentOrigin) -> Option<Set> {
        let set = self.sets.remove(origin)?;
        self.expiries.remove(&(set.expires, origin.clone()));
        if self.exempt.as_ref() == Some(origin) {
            self.exempt = None;
        }
        if let Some(share) = self.per_sender.get_mut(&set.sender) {
            share.sets = share.sets.saturating_sub(1);
        }
        Some(set)
    }
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Sender,
    Total,
}

impl Set {
    /// Keeps a segment with those that claim the same of the set.
    fn insert(&mut self, segment: Segment) -> Option<Whole> {
        let shape = Shape::of(&segment);
        let at = self.claims.iter().position(|claim| claim.shape == shape).unwrap_or(self.claims.len());
        if at == self.claims.len() {
            self.claims.push(Claim::new(shape));
        }
        let whole = self.claims.get_mut(at)?.insert(segment)?;
        Some(Whole { healed: whole.healed || self.claims.len() > 1, ..whole })
    }
}

/// Whether a segment alone is the payload that it says it is of.
fn is_payload(segment: &Segment) -> bool {
    let alone = segment.data_count == 1 && segment.parity_count == 0 && !segment.is_parity;
    alone
        && segment.length == Some(segment.payload.len() as u64)
        && segment.hash == <[u8; 32]>::from(Keccak256::digest(&segment.payload))
}

#[cfg(test)]
mod tests;
