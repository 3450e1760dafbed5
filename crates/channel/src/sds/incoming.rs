//! What came in: who sent what, what is whole, and what waits for its causal past.
//!
//! The rule: segments are put together as they arrive, payloads are delivered in causal order, each
//! once. A payload waits until everything it follows was delivered, or was declared lost after
//! [`IncomingConfig::lost_after`]; then a [`IncomingEvent::Gap`] names what is missing, and what comes
//! after it is never delivered before it.

mod causal;
mod cycles;
mod lacks;
mod loss;
mod peers;
mod stored;
mod terms;
mod waiting;

pub use terms::{Arrival, Delivery, IncomingEvent, Lack, Missing, Verdict};

use super::Key;
use crate::config::JoinPolicy;
use crate::ids::{MessageId, ParticipantId, SenderTag, StructuredId};
use crate::segment::{
    Admission, Discard, Need, Reassembled, Reassembler, ReassemblyLimits, SEGMENT_COST, SegmentCounts,
    SegmentOrigin,
};
use bytes::Bytes;
use peers::{Peers, Standing};
use quorate_base::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use waiting::WaitingRoom;

/// The bounds and deadlines of the receiving side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingConfig {
    /// How long a missing dependency is waited for.
    pub lost_after: Duration,
    /// Whether messages from before we joined are missed.
    pub join: JoinPolicy,
    /// How much may be incomplete or waiting.
    pub reassembly: ReassemblyLimits,
    /// Participants, each incarnation counted.
    pub max_participants: usize,
}

/// The receiving half of SDS with its reassembler.
#[derive(Debug)]
pub struct Incoming {
    config: IncomingConfig,
    joined: Mono,
    /// For how long we were not there since; `joined` does not count it.
    away: Duration,
    own: SenderTag,
    peers: Peers,
    reassembler: Reassembler,
    sets: BTreeMap<SegmentOrigin, Set>,
    waiting: WaitingRoom,
    events: VecDeque<IncomingEvent>,
    lacks: VecDeque<Lack>,
    /// Whether a citation of an opaque id was seen: what the first of them cites is from before we joined.
    met_opaque: bool,
    cycles: u64,
    /// Sets that nothing waits for any more: their messages need not be kept. `None` where none are.
    released: Option<Vec<SegmentOrigin>>,
}

/// What is known of a payload beside its bytes.
#[derive(Debug)]
pub(super) struct Set {
    sender: ParticipantId,
    last_id: MessageId,
    ids: Vec<MessageId>,
    count: u64,
    time: u64,
    past: BTreeSet<Key>,
}

impl Incoming {
    /// An empty receiving side of the participant whose own messages bear `own`.
    pub fn new(now: Now, own: SenderTag, config: IncomingConfig) -> Self {
        let reassembler = Reassembler::new(config.reassembly);
        Self {
            joined: now.mono,
            away: Duration::ZERO,
            own,
            peers: Peers::new(config.max_participants),
            reassembler,
            sets: BTreeMap::new(),
            waiting: WaitingRoom::default(),
            events: VecDeque::new(),
            lacks: VecDeque::new(),
            met_opaque: false,
            cycles: 0,
            released: None,
            config,
        }
    }

    /// Takes a content message.
    pub fn handle_arrival(&mut self, now: Now, arrival: Arrival) -> Verdict {
        let structured = StructuredId::parse(arrival.id.as_str());
        let Some(origin) = origin_of(&arrival, structured) else { return Verdict::Malformed };
        let count = u64::from(arrival.segment.data_count) + u64::from(arrival.segment.parity_count);
        match self.standing(now.mono, &arrival, &origin, count, structured) {
            Some(verdict) => verdict,
            None => self.admit(now, arrival, origin, count, structured),
        }
    }

    /// Takes a message that is no duplicate.
    fn admit(
        &mut self,
        now: Now,
        arrival: Arrival,
        origin: SegmentOrigin,
        count: u64,
        structured: Option<StructuredId>,
    ) -> Verdict {
        let past = self.missed_past(now, &arrival);
        let need = self.need(&origin, &past);
        self.notice_lacks(&arrival, &origin, count, &past);
        let beside = past.iter().map(Key::cost).sum();
        let admission = self.reassembler.handle_segment(
            now.mono,
            &origin,
            &arrival.sender,
            arrival.segment.clone(),
            beside,
            need,
        );
        match admission {
            Admission::Discarded(Discard::CacheFull) => return Verdict::Full,
            Admission::Discarded(Discard::Duplicate) => return Verdict::Duplicate,
            Admission::Discarded(_) => return Verdict::Malformed,
            Admission::Stored | Admission::Complete(_) => {}
        }
        self.peers.received(&Key::of(&arrival.id));
        self.describe(&origin, arrival, past, structured);
        if let Admission::Complete(whole) = admission {
            self.complete(now.mono, origin, whole);
        }
        Verdict::Accepted
    }

    /// Takes a content message that is a whole payload.
    pub fn handle_whole(&mut self, now: Now, arrival: Arrival<Bytes>) -> Verdict {
        let structured = StructuredId::parse(arrival.id.as_str());
        let origin = match structured {
            Some(id) => SegmentOrigin::Structured(id.tag, id.sequence),
            None => SegmentOrigin::Whole(arrival.id.clone()),
        };
        if let Some(verdict) = self.standing(now.mono, &arrival, &origin, 1, structured) {
            return verdict;
        }
        let past = self.missed_past(now, &arrival);
        let need = self.need(&origin, &past);
        self.notice_lacks(&arrival, &origin, 1, &past);
        let cost = SEGMENT_COST + arrival.segment.len() + past.iter().map(Key::cost).sum::<usize>();
        if !self.reassembler.charge(&origin, &arrival.sender, cost, need) {
            return Verdict::Full;
        }
        self.peers.received(&Key::of(&arrival.id));
        let past = past.into_iter().filter(|key| !is_sibling(&origin, 1, key)).collect();
        let set = Set {
            sender: arrival.sender,
            ids: if structured.is_none() { vec![arrival.id.clone()] } else { Vec::new() },
            last_id: arrival.id,
            count: 1,
            time: arrival.time,
            past,
        };
        self.wait(now.mono, origin, set, arrival.segment, cost);
        Verdict::Accepted
    }

    /// Declares lost what is due, and lets go what only waited for it.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((origin, _)) = self.reassembler.poll_expired(now.mono) {
            self.drop_set(&origin);
        }
        let mut overdue = Vec::new();
        while let Some(waiter) = self.waiting.poll_due(now.mono) {
            if self.declare_lost(now.mono, waiter) {
                overdue.push(waiter);
            }
        }
        if !overdue.is_empty() {
            self.break_cycles(overdue);
        }
    }

    /// The next delivery or gap, in order.
    pub fn poll_event(&mut self) -> Option<IncomingEvent> {
        self.events.pop_front()
    }

    /// When something is to be declared lost or given up.
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.waiting.poll_timeout(), self.reassembler.poll_timeout()].into_iter().flatten().min()
    }

    /// The vectors that changed since they were last taken, or all of them.
    pub fn take_acks(&mut self, whole: bool) -> Vec<super::AckVector> {
        self.peers.take_acks(whole)
    }

    /// Marks a sender's vector as news again: it repeated what we have.
    pub fn remind(&mut self, id: &MessageId) {
        self.peers.remind(id);
    }

    /// Whether there are acknowledgements to give that nobody was told yet.
    pub fn has_news(&self) -> bool {
        self.peers.has_news()
    }

    /// Bytes of incomplete and waiting payloads.
    pub const fn bytes(&self) -> usize {
        self.reassembler.bytes()
    }

    /// What became of segments and sets.
    pub const fn segment_counts(&self) -> SegmentCounts {
        self.reassembler.counts()
    }

    /// Whole payloads that wait for their past.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether an arrival is settled by what is known of its id.
    fn standing<C>(
        &mut self,
        now: Mono,
        arrival: &Arrival<C>,
        origin: &SegmentOrigin,
        count: u64,
        structured: Option<StructuredId>,
    ) -> Option<Verdict> {
        if let (Some(id), SegmentOrigin::Structured(_, base)) = (structured, origin) {
            if !self.peers.may_be(&id.tag, &arrival.sender) {
                return Some(Verdict::Malformed);
            }
            let past = match self.config.join {
                JoinPolicy::FromNow => arrival.oldest.unwrap_or(*base).min(*base)..base + count,
                JoinPolicy::Since(_) => 0..0,
            };
            let is_new = !self.peers.knows(&id.tag);
            if !self.peers.meet(now, id.tag, &arrival.sender, past.clone()) {
                return Some(Verdict::Full);
            }
            if is_new {
                // Some may wait for what is now known to be from before we joined.
                self.wake(id.tag, 0..past.start);
            }
        }
        match self.peers.standing(&Key::of(&arrival.id)) {
            Standing::New => None,
            // A set in the making may hold a forged piece in its place.
            Standing::Received if self.sets.contains_key(origin) => None,
            Standing::Received => Some(Verdict::Duplicate),
            Standing::Over => Some(Verdict::Late),
            Standing::TooScattered => Some(Verdict::Full),
        }
    }

    /// Whether this is the next payload of its sender, so that others may be waiting for it, and whether it waits for any itself.
    fn need(&self, origin: &SegmentOrigin, past: &[Key]) -> Need {
        match origin {
            SegmentOrigin::Structured(tag, base) if self.peers.first_open(tag) == Some(*base) => {
                let waits = past.iter().any(|key| self.open_upto(key).is_some());
                if waits { Need::Waited } else { Need::Ready }
            }
            _ => Need::None,
        }
    }

    fn describe(
        &mut self,
        origin: &SegmentOrigin,
        arrival: Arrival,
        past: Vec<Key>,
        structured: Option<StructuredId>,
    ) {
        let count = u64::from(arrival.segment.data_count) + u64::from(arrival.segment.parity_count);
        let set = self.sets.entry(origin.clone()).or_insert_with(|| Set {
            sender: arrival.sender,
            last_id: arrival.id.clone(),
            ids: Vec::new(),
            count,
            time: 0,
            past: BTreeSet::new(),
        });
        // Siblings bear consecutive times, so any of them tells that of the last, which later messages cite.
        let siblings_after = match structured {
            Some(_) => count.saturating_sub(1 + u64::from(arrival.segment.place())),
            None => 0,
        };
        set.time = set.time.max(arrival.time.saturating_add(siblings_after));
        match (structured, origin) {
            (Some(id), SegmentOrigin::Structured(_, base)) => {
                set.last_id = id.sibling(base + count - 1).to_message_id();
            }
            _ => {
                set.last_id = arrival.id.clone();
                set.ids.push(arrival.id);
            }
        }
        set.past.extend(past.into_iter().filter(|key| !is_sibling(origin, count, key)));
    }

    fn complete(&mut self, now: Mono, origin: SegmentOrigin, whole: Reassembled) {
        let Some(mut set) = self.sets.remove(&origin) else { return };
        let Reassembled { payload, segments, charged, .. } = whole;
        set.count = segments;
        let ids = &set.ids;
        set.past.retain(|key| !matches!(key, Key::Opaque(id) if ids.contains(id)));
        if let SegmentOrigin::Structured(tag, base) = origin {
            // Whoever has the payload has all its segments, those that never came too.
            self.peers.received_all(tag, base..base + segments);
            let last = StructuredId::parse(set.last_id.as_str()).map(|id| id.sibling(base + segments - 1));
            set.last_id = last.map_or(set.last_id, StructuredId::to_message_id);
        }
        self.wait(now, origin, set, payload, charged);
    }
}

/// The set a message's segment belongs to; `None` when its place contradicts its number.
fn origin_of(arrival: &Arrival, structured: Option<StructuredId>) -> Option<SegmentOrigin> {
    let segment = &arrival.segment;
    let Some(id) = structured else {
        return Some(SegmentOrigin::Opaque(arrival.sender.clone(), segment.hash));
    };
    let place = if segment.is_parity { segment.data_count + segment.index } else { segment.index };
    let base = id.sequence.checked_sub(u64::from(place))?;
    segment.hash.starts_with(&id.content).then_some(SegmentOrigin::Structured(id.tag, base))
}

fn is_sibling(origin: &SegmentOrigin, count: u64, key: &Key) -> bool {
    match (origin, key) {
        (SegmentOrigin::Structured(tag, base), Key::Sequence(other, sequence)) => {
            tag == other && (*base..*base + count).contains(sequence)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
