//! What is missing: what others cite or have, and we lack.
//!
//! The rule: it is noticed as soon as anybody speaks of it, so that it can be asked for; what is from before we joined is not missed.

use super::peers::Standing;
use super::{Arrival, Incoming, Lack};
use crate::config::JoinPolicy;
use crate::ids::{SenderTag, StructuredId};
use crate::sds::machine::is_sync;
use crate::sds::{AckVector, Key, Kind, SdsMessage};
use crate::segment::SegmentOrigin;
use quorate_base::Now;
use std::ops::Range;

/// The most lacks that wait to be taken; what is missing is noticed again.
const MAX_LACKS: usize = 1_024;
/// The most runs that one vector of somebody else's tells to be missing.
const MAX_TOLD: usize = 8;

impl Incoming {
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

    /// What an arrival follows, without what is from before we joined.
    pub(super) fn missed_past<C>(&mut self, now: Now, arrival: &Arrival<C>) -> Vec<Key> {
        // Who cites itself says nothing by it.
        let others = arrival.history.iter().filter(|dependency| dependency.id != arrival.id);
        let follows = others.filter(|dependency| !is_sync(&dependency.id));
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
    pub(super) fn notice_lacks<C>(
        &mut self,
        arrival: &Arrival<C>,
        origin: &SegmentOrigin,
        count: u64,
        past: &[Key],
    ) {
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

    pub(super) fn lacks_range(&mut self, tag: SenderTag, range: Range<u64>) {
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
    pub(super) fn is_before_we_joined<C>(&self, now: Now, arrival: &Arrival<C>, time: u64) -> bool {
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
}
