//! What came in: who sent what, what is whole, and what waits for its causal past.
//!
//! The rule: segments are put together as they arrive, payloads are delivered in causal order, each
//! once. A payload waits until everything it follows was delivered, or was declared lost after
//! [`IncomingConfig::lost_after`]; then a [`IncomingEvent::Gap`] names what is missing, and what comes
//! after it is never delivered before it.

mod peers;
mod stored;
mod waiting;

use super::machine::is_sync;
use super::{AckVector, Dependency, Key, Kind, RangeSet, SdsMessage};
use crate::config::JoinPolicy;
use crate::ids::{MessageId, ParticipantId, SenderTag, StructuredId};
use crate::segment::{
    Admission, Discard, Reassembled, Reassembler, ReassemblyLimits, SEGMENT_COST, Segment, SegmentCounts,
    SegmentOrigin,
};
use bytes::Bytes;
use peers::{Peers, Standing};
use quorate_base::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;
use waiting::{Waiting, WaitingRoom};

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

/// A content message, opened and decoded; its content is one segment of a payload, or all of it.
#[derive(Debug)]
pub struct Arrival<Content = Segment> {
    /// Who sent it.
    pub sender: ParticipantId,
    /// Its id.
    pub id: MessageId,
    /// Its Lamport time.
    pub time: u64,
    /// What it follows.
    pub history: Vec<Dependency>,
    /// The lowest sequence number its sender may still send again.
    pub oldest: Option<u64>,
    /// When its sender says this attempt was made, in milliseconds of the Unix epoch, where it says so.
    pub sent_at: Option<u64>,
    /// Its content.
    pub segment: Content,
}

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Kept. It is acknowledged from now on.
    Accepted,
    /// Had it already; the sender seems not to know.
    Duplicate,
    /// From before we joined, or already declared lost.
    Late,
    /// No room now; not acknowledged, so it comes again.
    Full,
    /// It contradicts what came before, or itself. Dropped.
    Malformed,
}

/// A whole payload whose turn has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub sender: ParticipantId,
    /// The payload.
    pub payload: Bytes,
    /// The id of its last segment: what a message that follows it cites.
    pub id: MessageId,
    /// Its Lamport time.
    pub time: u64,
    /// What it follows.
    pub past: Vec<Key>,
    /// How many segments it had.
    pub segments: u64,
}

/// What the receiving side has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum IncomingEvent {
    /// A payload's turn has come.
    Deliver(Delivery),
    /// These messages are missing for good.
    Gap(Vec<Missing>),
}

/// Messages that will not be delivered: nobody sent them again in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Segments of a Quorate sender.
    Segments {
        /// Its name, where we ever heard it.
        sender: Option<ParticipantId>,
        /// Its tag.
        tag: SenderTag,
        /// Which ones.
        sequences: Range<u64>,
    },
    /// A message with an opaque id.
    Message(MessageId),
}

/// A message, or a run of one sender's, that others spoke of and we do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The first one.
    pub key: Key,
    /// Its id; what it says of the content is zero where that is not known.
    pub id: MessageId,
    /// How many.
    pub run: u64,
    /// How a store may find it.
    pub hint: Option<Bytes>,
    /// Who sent it, where that is known.
    pub sender: Option<ParticipantId>,
}

/// The most lacks that wait to be taken; what is missing is noticed again.
const MAX_LACKS: usize = 1_024;
/// The most runs that one vector of somebody else's tells to be missing.
const MAX_TOLD: usize = 8;

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

impl Arrival {
    /// The set it belongs to; `None` when its place contradicts its number.
    pub fn origin(&self) -> Option<SegmentOrigin> {
        origin_of(self, StructuredId::parse(self.id.as_str()))
    }
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
        let needed = self.is_needed(&origin);
        let past = self.missed_past(now, &arrival);
        self.notice_lacks(&arrival, &origin, count, &past);
        let beside = past.iter().map(Key::cost).sum();
        let admission = self.reassembler.handle_segment(
            now.mono,
            &origin,
            &arrival.sender,
            arrival.segment.clone(),
            beside,
            needed,
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
        let needed = self.is_needed(&origin);
        let past = self.missed_past(now, &arrival);
        self.notice_lacks(&arrival, &origin, 1, &past);
        let cost = SEGMENT_COST + arrival.segment.len() + past.iter().map(Key::cost).sum::<usize>();
        if !self.reassembler.charge(&origin, &arrival.sender, cost, needed) {
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

    /// Takes a sync: what it cites and we lack is missing, although nothing waits for it.
    pub fn handle_sync(&mut self, now: Now, message: &SdsMessage, sent_at: Option<u64>) {
        if message.kind() != Kind::Sync {
            return;
        }
        let cited = Arrival {
            sender: message.sender.clone(),
            id: message.id.clone(),
            time: message.time.unwrap_or(0),
            history: message.history.clone(),
            oldest: message.oldest,
            sent_at,
            segment: (),
        };
        let missed = self.missed_past(now, &cited);
        self.cited_lacks(&cited, &missed);
        self.handle_vectors(&message.acks);
    }

    /// Takes note of what another has of senders that we know: what we lack of it is missing.
    pub fn handle_vectors(&mut self, acks: &[AckVector]) {
        for AckVector { tag, ranges } in acks {
            if *tag == self.own || !self.peers.knows(tag) {
                continue;
            }
            let told = ranges.iter().flat_map(|range| self.peers.lacks(tag, range.clone()));
            let told: Vec<_> = told.take(MAX_TOLD).collect();
            told.into_iter().for_each(|range| self.lacks_range(*tag, range));
        }
    }

    /// Takes note of what a sender says of its own numbers: it sends none below `oldest` again, and
    /// nothing will ever bear those in `void`.
    pub fn handle_notice(
        &mut self,
        tag: SenderTag,
        sender: &ParticipantId,
        oldest: Option<u64>,
        void: &[Range<u64>],
    ) {
        if !self.peers.may_be(&tag, sender) {
            return;
        }
        let settled = self.peers.settled(&tag, oldest.unwrap_or(0));
        let void = void.iter().filter(|_| self.peers.knows(&tag)).cloned().collect::<Vec<_>>();
        for range in std::iter::once(settled).chain(void).filter(|range| !range.is_empty()) {
            self.abandon(tag, range);
        }
        self.deliver_ready();
    }

    /// Declares lost what is due, and lets go what only waited for it.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((origin, _)) = self.reassembler.poll_expired(now.mono) {
            self.drop_set(&origin);
        }
        while let Some(waiter) = self.waiting.poll_due(now.mono) {
            self.declare_lost(now.mono, waiter);
        }
    }

    /// The next delivery or gap, in order.
    pub fn poll_event(&mut self) -> Option<IncomingEvent> {
        self.events.pop_front()
    }

    /// The next thing that is missing.
    pub fn poll_lack(&mut self) -> Option<Lack> {
        self.lacks.pop_front()
    }

    /// What of a lack is missing still: its first run.
    pub fn still_lacks(&self, lack: &Lack) -> Option<Lack> {
        match &lack.key {
            Key::Sequence(tag, first) => {
                let missing = self.peers.lacks(tag, *first..first.saturating_add(lack.run));
                let run = missing.into_iter().next()?;
                let id = match StructuredId::parse(lack.id.as_str()) {
                    Some(id) if run.start != *first => {
                        StructuredId { content: [0; 4], ..id.sibling(run.start) }
                    }
                    id => id?,
                };
                let sender = lack.sender.clone().or_else(|| self.peers.participant(tag).cloned());
                let key = Key::Sequence(*tag, run.start);
                Some(Lack {
                    key,
                    id: id.to_message_id(),
                    run: run.end - run.start,
                    sender,
                    hint: lack.hint.clone(),
                })
            }
            Key::Opaque(_) => (self.peers.standing(&lack.key) == Standing::New).then(|| lack.clone()),
        }
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

    /// Whether this is the next payload of its sender: then others may be waiting for it.
    fn is_needed(&self, origin: &SegmentOrigin) -> bool {
        match origin {
            SegmentOrigin::Structured(tag, base) => self.peers.first_open(tag) == Some(*base),
            SegmentOrigin::Opaque(..) | SegmentOrigin::Whole(_) => false,
        }
    }

    /// What an arrival follows, without what is from before we joined.
    fn missed_past<C>(&mut self, now: Now, arrival: &Arrival<C>) -> Vec<Key> {
        let follows = arrival.history.iter().filter(|dependency| !is_sync(&dependency.id));
        let follows: Vec<_> = follows.map(|dependency| (Key::of(&dependency.id), dependency.time)).collect();
        self.joined_amid_opaque(&follows);
        let missed = follows.into_iter().filter(|(key, time)| match key {
            Key::Sequence(tag, _) if *tag == self.own => false,
            Key::Sequence(tag, _) if self.peers.knows(tag) => true,
            _ => !time.is_some_and(|time| self.is_before_we_joined(now, arrival, time)),
        });
        missed.map(|(key, _)| key).collect()
    }

    /// Foreign members do not say when what they cite was sent. Who joins now takes what the first of them cites for the past.
    fn joined_amid_opaque(&mut self, follows: &[(Key, Option<u64>)]) {
        let opaque = follows.iter().filter_map(|(key, time)| match (key, time) {
            (Key::Opaque(id), None) => Some(id.clone()),
            _ => None,
        });
        let opaque: Vec<_> = opaque.collect();
        if opaque.is_empty() || std::mem::replace(&mut self.met_opaque, true) {
            return;
        }
        if self.config.join == JoinPolicy::FromNow {
            let unknown = opaque
                .into_iter()
                .filter(|id| self.peers.standing(&Key::Opaque(id.clone())) == Standing::New);
            let unknown: Vec<_> = unknown.collect();
            unknown.into_iter().for_each(|id| self.over_opaque(id));
        }
    }

    /// What an arrival shows to be missing: what it cites, its sender's numbers below it, its own siblings.
    fn notice_lacks<C>(&mut self, arrival: &Arrival<C>, origin: &SegmentOrigin, count: u64, past: &[Key]) {
        self.cited_lacks(arrival, past);
        let SegmentOrigin::Structured(tag, base) = origin else { return };
        let below = self.peers.received_below(tag, *base);
        if below < *base {
            self.lacks_range(*tag, below..*base);
        }
        if count > 1 && !self.sets.contains_key(origin) {
            self.lacks_range(*tag, *base..base.saturating_add(count));
        }
    }

    fn cited_lacks<C>(&mut self, arrival: &Arrival<C>, past: &[Key]) {
        for dependency in &arrival.history {
            let key = Key::of(&dependency.id);
            let missing = match &key {
                Key::Sequence(tag, number) => !self.peers.lacks(tag, *number..number + 1).is_empty(),
                Key::Opaque(_) => self.peers.standing(&key) == Standing::New,
            };
            if missing && past.contains(&key) {
                let (id, hint) = (dependency.id.clone(), dependency.hint.clone());
                self.lack(Lack { key, id, run: 1, hint, sender: dependency.sender.clone() });
            }
        }
    }

    fn lacks_range(&mut self, tag: SenderTag, range: Range<u64>) {
        let id = StructuredId { tag, sequence: range.start, content: [0; 4] };
        if range.is_empty() || range.start >= StructuredId::SEQUENCE_END {
            return;
        }
        self.lack(Lack {
            key: Key::Sequence(tag, range.start),
            id: id.to_message_id(),
            run: range.end - range.start,
            hint: None,
            sender: self.peers.participant(&tag).cloned(),
        });
    }

    fn lack(&mut self, lack: Lack) {
        if self.lacks.len() < MAX_LACKS {
            self.lacks.push_back(lack);
        }
    }

    /// Whether a message of Lamport time `time`, which `arrival` follows, is from before we joined. Our own wall
    /// clock has no say in it where the sender told us its own.
    fn is_before_we_joined<C>(&self, now: Now, arrival: &Arrival<C>, time: u64) -> bool {
        /// How far apart the clocks of two senders may be for this to be believed, in milliseconds.
        const CLOCK_SLACK: u64 = 5_000;
        match self.config.join {
            JoinPolicy::Since(since) => time.saturating_add(CLOCK_SLACK) < since.unix_millis(),
            JoinPolicy::FromNow => {
                let here =
                    u64::try_from((now.mono.since(self.joined) + self.away).as_millis()).unwrap_or(u64::MAX);
                let sent_at = arrival.sent_at.unwrap_or(now.wall.unix_millis());
                time.saturating_add(CLOCK_SLACK).saturating_add(here) < sent_at
            }
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
        if let SegmentOrigin::Structured(tag, base) = origin {
            // Whoever has the payload has all its segments, those that never came too.
            self.peers.received_all(tag, base..base + segments);
            let last = StructuredId::parse(set.last_id.as_str()).map(|id| id.sibling(base + segments - 1));
            set.last_id = last.map_or(set.last_id, StructuredId::to_message_id);
        }
        self.wait(now, origin, set, payload, charged);
    }

    /// A payload is whole: it waits for its past.
    fn wait(&mut self, now: Mono, origin: SegmentOrigin, set: Set, payload: Bytes, charged: usize) {
        let deadline = now + self.config.lost_after;
        let waiter = self.waiting.push(Waiting { origin, set, payload, charged, deadline });
        self.settle(waiter);
        self.deliver_ready();
    }

    /// Blocks a waiting payload on the first thing it lacks, or marks it ready.
    fn settle(&mut self, waiter: u64) {
        let Some(blocker) = self.waiting.get(waiter).map(|waiting| self.blocker(waiting)) else { return };
        match blocker {
            Some(key) => self.waiting.block(waiter, key),
            None => self.waiting.ready(waiter),
        }
    }

    fn blocker(&self, waiting: &Waiting) -> Option<Key> {
        if let SegmentOrigin::Structured(tag, base) = waiting.origin
            && let Some(open) = self.peers.first_open(&tag)
            && open < base
        {
            return Some(Key::Sequence(tag, open));
        }
        waiting.set.past.iter().find(|key| !self.peers.is_over(key)).cloned()
    }

    fn deliver_ready(&mut self) {
        while let Some(Waiting { origin, set, payload, charged, .. }) = self.waiting.poll_ready() {
            self.reassembler.release(&set.sender, charged);
            self.over(&origin, &set);
            self.events.push_back(IncomingEvent::Deliver(Delivery {
                sender: set.sender,
                payload,
                id: set.last_id,
                time: set.time,
                past: set.past.into_iter().collect(),
                segments: set.count,
            }));
        }
    }

    /// Nothing waits for this set any more: it was delivered, or is lost.
    fn over(&mut self, origin: &SegmentOrigin, set: &Set) {
        self.released.iter_mut().for_each(|released| released.push(origin.clone()));
        match origin {
            SegmentOrigin::Structured(tag, base) => self.over_range(*tag, *base..*base + set.count),
            SegmentOrigin::Opaque(..) | SegmentOrigin::Whole(_) => {
                set.ids.iter().for_each(|id| self.over_opaque(id.clone()))
            }
        }
    }

    fn over_range(&mut self, tag: SenderTag, range: Range<u64>) {
        self.peers.over(tag, range.clone());
        self.wake(tag, range);
    }

    fn over_opaque(&mut self, id: MessageId) {
        self.peers.over_opaque(id.clone());
        let woken = self.waiting.unblock_one(&Key::Opaque(id));
        woken.into_iter().for_each(|waiter| self.settle(waiter));
    }

    /// Settles anew those that waited for numbers in `range`.
    fn wake(&mut self, tag: SenderTag, range: Range<u64>) {
        let woken = self.waiting.unblock(Key::Sequence(tag, range.start)..Key::Sequence(tag, range.end));
        woken.into_iter().for_each(|waiter| self.settle(waiter));
    }

    /// Nothing more comes of `range`: what is half there is forgotten, and nothing waits for the rest.
    fn abandon(&mut self, tag: SenderTag, range: Range<u64>) {
        let from = SegmentOrigin::Structured(tag, range.start);
        let within = |(origin, set): (&SegmentOrigin, &Set)| match origin {
            SegmentOrigin::Structured(_, base) if base + set.count <= range.end => Some(origin.clone()),
            _ => None,
        };
        let until = SegmentOrigin::Structured(tag, range.end);
        let halves: Vec<_> = self.sets.range(from..until).filter_map(within).collect();
        for origin in halves {
            self.sets.remove(&origin);
            self.reassembler.forget(&origin);
            self.released.iter_mut().for_each(|released| released.push(origin.clone()));
        }
        self.absent(tag, range).into_iter().for_each(|part| self.over_range(tag, part));
    }

    /// An incomplete set is given up, or was poisoned: its messages are a gap.
    fn drop_set(&mut self, origin: &SegmentOrigin) {
        let Some(set) = self.sets.remove(origin) else { return };
        let missing = match origin {
            SegmentOrigin::Structured(tag, base) => vec![self.missing(*tag, *base..*base + set.count)],
            SegmentOrigin::Opaque(..) | SegmentOrigin::Whole(_) => {
                set.ids.iter().cloned().map(Missing::Message).collect()
            }
        };
        self.events.push_back(IncomingEvent::Gap(missing));
        self.over(origin, &set);
        self.deliver_ready();
    }

    /// The payload `waiter` has waited long enough: what it lacks and nobody is sending is lost.
    fn declare_lost(&mut self, now: Mono, waiter: u64) {
        let Some(waiting) = self.waiting.get(waiter) else { return };
        let mut lost = Vec::new();
        if let SegmentOrigin::Structured(tag, base) = waiting.origin {
            let open = self.peers.open(&tag, base);
            lost.extend(
                open.into_iter().flat_map(|gap| self.absent(tag, gap)).map(|part| self.missing(tag, part)),
            );
        }
        for key in waiting.set.past.iter().filter(|key| !self.peers.is_over(key)) {
            match (key, &waiting.origin) {
                // Its sender's earlier ones were looked at.
                (Key::Sequence(tag, sequence), SegmentOrigin::Structured(own, base))
                    if tag == own && sequence < base => {}
                (Key::Sequence(tag, sequence), _) => {
                    let absent = self.absent(*tag, *sequence..sequence + 1);
                    lost.extend(absent.into_iter().map(|part| self.missing(*tag, part)));
                }
                // Received and not over: it is here, and waits itself.
                (Key::Opaque(_), _) if self.peers.standing(key) == Standing::Received => {}
                (Key::Opaque(id), _) => lost.push(Missing::Message(id.clone())),
            }
        }
        // What it lacks besides is on its way, or waits itself: look again later.
        let again = now + self.config.lost_after.min(Duration::from_secs(1)).max(Duration::from_millis(1));
        let is_blocked = self.blocker(waiting).is_some();
        self.waiting.postpone(waiter, again);
        if lost.is_empty() {
            if !is_blocked {
                self.waiting.ready(waiter);
                self.deliver_ready();
            }
            return;
        }
        self.waiting.forgive(waiter, &lost);
        self.events.push_back(IncomingEvent::Gap(lost.clone()));
        for missing in lost {
            match missing {
                Missing::Segments { tag, sequences, .. } => self.over_range(tag, sequences),
                Missing::Message(id) => self.over_opaque(id),
            }
        }
        self.deliver_ready();
    }

    fn missing(&self, tag: SenderTag, sequences: Range<u64>) -> Missing {
        Missing::Segments { sender: self.peers.participant(&tag).cloned(), tag, sequences }
    }

    /// The parts of `range` that belong to no set in the making and to no waiting payload.
    fn absent(&self, tag: SenderTag, range: Range<u64>) -> Vec<Range<u64>> {
        let first = range.start.saturating_sub(crate::segment::MAX_SEGMENTS as u64);
        let bounds = SegmentOrigin::Structured(tag, first)..SegmentOrigin::Structured(tag, range.end);
        let in_making = self.sets.range(bounds.clone()).map(|(origin, set)| (origin, set.count));
        let in_waiting = self.waiting.origins(bounds);
        let mut present = RangeSet::new();
        for (origin, count) in in_making.chain(in_waiting) {
            if let SegmentOrigin::Structured(_, base) = origin {
                present.insert(*base..*base + count);
            }
        }
        present.gaps(range)
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
