//! What is known of every sender: what we received of it, and what nothing waits for any more.
//!
//! The rule: both are sets of ranges, so a sender's whole past costs a few numbers, and a message
//! that was delivered once is known for ever.

mod stored;

use super::super::{AckVector, Key, RangeSet};
use crate::ids::{MessageId, ParticipantId, SenderTag, StructuredId};
use quorate_base::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// The most holes in one sender's sequence; a message that would make one more is refused.
const MAX_HOLES: usize = 4_096;
/// The most opaque ids that are remembered; the oldest are forgotten first.
const MAX_OPAQUE: usize = 65_536;
/// The most senders that were only ever heard of.
const MAX_STRANGERS: usize = 1_024;
/// How long after a sender was first heard what it settles counts as from before: the first messages heard may be old ones,
/// repeated for somebody else.
const MEETING: Duration = Duration::from_secs(10);
/// After this long in silence a sender may be forgotten to make room for another.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Never seen.
    New,
    /// Received before.
    Received,
    /// Not received, and nothing waits for it: from before we joined, or declared lost.
    Over,
    /// New, but one hole too many.
    TooScattered,
}

/// Every sender we heard, or heard of.
#[derive(Debug)]
pub(super) struct Peers {
    max: usize,
    known: BTreeMap<SenderTag, Peer>,
    /// Sequence numbers declared lost of senders that were never heard themselves.
    strangers: BTreeMap<SenderTag, RangeSet>,
    opaque: Opaque,
    news: BTreeSet<SenderTag>,
    /// A message with an opaque id was received, which only a citation or a filter acknowledges.
    opaque_news: bool,
    /// What is to be written; `None` where nothing is.
    changes: Option<stored::Changes>,
}

#[derive(Debug)]
struct Peer {
    participant: ParticipantId,
    received: RangeSet,
    /// Delivered, lost, void, or from before we joined.
    over: RangeSet,
    /// What lies below was sent before we first heard the sender: it is missed as long as it may be sent again.
    past_end: u64,
    met: Mono,
    heard: Mono,
}

#[derive(Debug, Default)]
struct Opaque {
    received: BTreeSet<MessageId>,
    over: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
    changes: Option<BTreeSet<MessageId>>,
}

impl Peers {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            known: BTreeMap::new(),
            strangers: BTreeMap::new(),
            opaque: Opaque::default(),
            news: BTreeSet::new(),
            opaque_news: false,
            changes: None,
        }
    }

    /// Whether a tag may be that of `participant`: nobody else was heard with it.
    pub(super) fn may_be(&self, tag: &SenderTag, participant: &ParticipantId) -> bool {
        self.known.get(tag).is_none_or(|peer| peer.participant == *participant)
    }

    /// The parts of `range` that a known sender has sent us neither, nor we gave up.
    pub(super) fn lacks(&self, tag: &SenderTag, range: Range<u64>) -> Vec<Range<u64>> {
        match self.known.get(tag) {
            Some(peer) => {
                let open = peer.over.gaps(range);
                open.into_iter().flat_map(|part| peer.received.gaps(part)).collect()
            }
            None => {
                self.strangers.get(tag).map_or_else(|| vec![range.clone()], |over| over.gaps(range.clone()))
            }
        }
    }

    /// Where what was received of a known sender ends, below `number`.
    pub(super) fn received_below(&self, tag: &SenderTag, number: u64) -> u64 {
        self.known.get(tag).map_or(0, |peer| peer.received.end_below(number).max(peer.over.end_below(number)))
    }

    /// Makes a sender known; everything below `past.start` is from before we joined, and what lies in
    /// `past` may be. `false` when there is no room for another sender.
    pub(super) fn meet(
        &mut self,
        now: Mono,
        tag: SenderTag,
        participant: &ParticipantId,
        past: Range<u64>,
    ) -> bool {
        if let Some(peer) = self.known.get_mut(&tag) {
            peer.heard = now;
            if now.since(peer.met) < MEETING {
                peer.past_end = peer.past_end.max(past.end);
            }
            return true;
        }
        if self.known.len() >= self.max && !self.forget_one(now) {
            return false;
        }
        self.note(tag);
        self.note_stranger(tag);
        let mut over = self.strangers.remove(&tag).unwrap_or_default();
        over.insert(0..past.start);
        let (participant, received) = (participant.clone(), RangeSet::new());
        let peer = Peer { participant, received, over, past_end: past.end, met: now, heard: now };
        self.known.insert(tag, peer);
        true
    }

    pub(super) fn knows(&self, tag: &SenderTag) -> bool {
        self.known.contains_key(tag)
    }

    pub(super) fn standing(&self, key: &Key) -> Standing {
        match key {
            Key::Sequence(tag, sequence) => {
                let Some(peer) = self.known.get(tag) else { return Standing::New };
                if peer.received.contains(*sequence) {
                    Standing::Received
                } else if peer.over.contains(*sequence) {
                    Standing::Over
                } else if peer.received.pieces() >= MAX_HOLES && peer.received.splits(*sequence) {
                    Standing::TooScattered
                } else {
                    Standing::New
                }
            }
            Key::Opaque(id) if self.opaque.received.contains(id) => Standing::Received,
            Key::Opaque(id) if self.opaque.over.contains(id) => Standing::Over,
            Key::Opaque(_) => Standing::New,
        }
    }

    pub(super) fn received(&mut self, key: &Key) {
        match key {
            Key::Sequence(tag, sequence) => {
                if let Some(peer) = self.known.get_mut(tag) {
                    peer.received.insert(*sequence..sequence + 1);
                    self.news.insert(*tag);
                    self.note(*tag);
                }
            }
            Key::Opaque(id) => {
                self.opaque.remember(id);
                self.opaque.received.insert(id.clone());
                self.opaque.note(id);
                self.opaque_news = true;
            }
        }
    }

    /// Every number in `range` of `tag` counts as received: their payload is whole.
    pub(super) fn received_all(&mut self, tag: SenderTag, range: Range<u64>) {
        if let Some(peer) = self.known.get_mut(&tag)
            && !peer.received.insert(range).is_empty()
        {
            self.news.insert(tag);
            self.note(tag);
        }
    }

    /// Nothing waits for `range` of `tag` any more.
    pub(super) fn over(&mut self, tag: SenderTag, range: Range<u64>) {
        let over = if let Some(peer) = self.known.get_mut(&tag) {
            &mut peer.over
        } else if self.strangers.len() < MAX_STRANGERS || self.strangers.contains_key(&tag) {
            self.strangers.entry(tag).or_default()
        } else {
            return;
        };
        // One hole too many: the one below closes.
        let crowded = over.pieces() >= MAX_HOLES;
        let start = if crowded { over.end_below(range.start).min(range.start) } else { range.start };
        over.insert(start..range.end);
        if self.known.contains_key(&tag) {
            self.note(tag);
        } else {
            self.note_stranger(tag);
        }
    }

    /// A sender says that it sends nothing below `oldest` again: which numbers from before we first
    /// heard it are therefore not missed any more.
    pub(super) fn settled(&mut self, tag: &SenderTag, oldest: u64) -> Range<u64> {
        let Some(peer) = self.known.get_mut(tag) else { return 0..0 };
        let end = oldest.min(peer.past_end);
        if end == peer.past_end && end > 0 {
            peer.past_end = 0;
            self.note(*tag);
        }
        self.first_open(tag).unwrap_or(0).min(end)..end
    }

    pub(super) fn over_opaque(&mut self, id: MessageId) {
        self.opaque.remember(&id);
        self.opaque.note(&id);
        self.opaque.over.insert(id);
    }

    pub(super) fn is_over(&self, key: &Key) -> bool {
        match key {
            Key::Sequence(tag, sequence) => {
                let over = self.known.get(tag).map(|peer| &peer.over).or_else(|| self.strangers.get(tag));
                over.is_some_and(|over| over.contains(*sequence))
            }
            Key::Opaque(id) => self.opaque.over.contains(id),
        }
    }

    /// The first sequence number of a known sender that something may have to wait for.
    pub(super) fn first_open(&self, tag: &SenderTag) -> Option<u64> {
        self.known.get(tag).map(|peer| peer.over.first_missing(0))
    }

    /// The sequence numbers below `end` that something may have to wait for. Of a sender that was never heard they may be from before
    /// we joined (`since_now`): then only the last of them.
    pub(super) fn open(&self, tag: &SenderTag, end: u64, since_now: bool) -> Vec<Range<u64>> {
        match self.known.get(tag) {
            Some(peer) => peer.over.gaps(0..end),
            None if since_now => self.lacks(tag, end.saturating_sub(1)..end),
            None => self.lacks(tag, 0..end),
        }
    }

    pub(super) fn remind(&mut self, id: &MessageId) {
        match StructuredId::parse(id.as_str()) {
            Some(id) if self.known.contains_key(&id.tag) => drop(self.news.insert(id.tag)),
            Some(_) => {}
            None => self.opaque_news = true,
        }
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty() || self.opaque_news
    }

    /// The vectors with news, or all; nothing is news afterwards.
    pub(super) fn take_acks(&mut self, whole: bool) -> Vec<AckVector> {
        let news = std::mem::take(&mut self.news);
        self.opaque_news = false;
        let told = self
            .known
            .iter()
            .filter(|(tag, peer)| whole && peer.received.pieces() > 0 || news.contains(*tag));
        told.map(|(tag, peer)| AckVector::of(*tag, &peer.received))
            .take(super::super::message::MAX_ENTRIES)
            .collect()
    }

    /// The name behind a tag.
    pub(super) fn participant(&self, tag: &SenderTag) -> Option<&ParticipantId> {
        self.known.get(tag).map(|peer| &peer.participant)
    }

    fn forget_one(&mut self, now: Mono) -> bool {
        let oldest =
            self.known.iter().min_by_key(|(_, peer)| peer.heard).map(|(tag, peer)| (*tag, peer.heard));
        match oldest {
            Some((tag, heard)) if now.since(heard) >= FORGET_AFTER => {
                self.news.remove(&tag);
                self.note(tag);
                self.known.remove(&tag).is_some()
            }
            _ => false,
        }
    }
}

impl Opaque {
    fn remember(&mut self, id: &MessageId) {
        if self.received.contains(id) || self.over.contains(id) {
            return;
        }
        self.order.push_back(id.clone());
        if self.order.len() > MAX_OPAQUE
            && let Some(oldest) = self.order.pop_front()
        {
            self.note(&oldest);
            self.received.remove(&oldest);
            self.over.remove(&oldest);
        }
    }
}
