//! What is given up: after its time, or because its sender says that nothing more comes of it.
//!
//! The rule: what is given up is named once, and never delivered after.

use super::peers::Standing;
use super::waiting::Waiting;
use super::{Incoming, IncomingEvent, Missing, Set};
use crate::config::JoinPolicy;
use crate::ids::{ParticipantId, SenderTag};
use crate::sds::{Key, RangeSet};
use crate::segment::SegmentOrigin;
use quorate_base::Mono;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

impl Incoming {
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
    pub(super) fn drop_set(&mut self, origin: &SegmentOrigin) {
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

    /// The payload `waiter` has waited long enough: what it lacks and nobody is sending is lost. `true` when nothing was for longer
    /// than a look: what it waits for is here, and waits too.
    pub(super) fn declare_lost(&mut self, now: Mono, waiter: u64) -> bool {
        let Some(waiting) = self.waiting.get(waiter) else { return false };
        let mut lost = Vec::new();
        for (tag, end) in upto(waiting) {
            let open = self.peers.open(&tag, end, self.config.join == JoinPolicy::FromNow);
            let absent = open.into_iter().flat_map(|gap| self.absent(tag, gap));
            lost.extend(absent.map(|part| self.missing(tag, part)));
        }
        for key in waiting.set.past.iter().filter(|key| !self.peers.is_over(key)) {
            match key {
                // Received and not over: it is here, and waits itself.
                Key::Opaque(_) if self.peers.standing(key) == Standing::Received => {}
                Key::Opaque(id) => lost.push(Missing::Message(id.clone())),
                Key::Sequence(..) => {}
            }
        }
        // What it lacks besides is on its way, or waits itself: look again later, at all of those together.
        let again = next_look(now, self.config.lost_after);
        let is_blocked = self.blocker(waiting).is_some();
        self.waiting.postpone(waiter, again);
        if lost.is_empty() {
            if is_blocked {
                return self.waiting.mark_overdue(waiter);
            }
            self.waiting.ready(waiter);
            self.deliver_ready();
            return false;
        }
        // Of those there may be no room to remember it.
        let strangers: Vec<_> = lost.iter().filter(|missing| !self.remembers(missing)).cloned().collect();
        self.waiting.forgive(waiter, &strangers);
        self.events.push_back(IncomingEvent::Gap(lost.clone()));
        for missing in lost {
            match missing {
                Missing::Segments { tag, sequences, .. } => self.over_range(tag, sequences),
                Missing::Message(id) => self.over_opaque(id),
            }
        }
        self.deliver_ready();
        false
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

    /// Whether it will be known of `missing` that it is over, whatever else there is.
    fn remembers(&self, missing: &Missing) -> bool {
        matches!(missing, Missing::Segments { tag, .. } if self.peers.knows(tag))
    }
}

/// When those that wait for something that waits are looked at next: all at the same time, so that it costs each a step.
fn next_look(now: Mono, lost_after: Duration) -> Mono {
    let step = lost_after.clamp(Duration::from_millis(1), Duration::from_secs(1)).as_nanos();
    let looks = now.elapsed().as_nanos() / step + 1;
    Mono::from_origin(Duration::from_nanos(u64::try_from(looks * step).unwrap_or(u64::MAX)))
}

/// Up to where a payload follows each sender.
fn upto(waiting: &Waiting) -> BTreeMap<SenderTag, u64> {
    let mut upto = BTreeMap::new();
    if let SegmentOrigin::Structured(tag, base) = waiting.origin {
        upto.insert(tag, base);
    }
    for key in &waiting.set.past {
        if let Key::Sequence(tag, sequence) = key {
            let end = upto.entry(*tag).or_insert(0);
            *end = (*end).max(sequence.saturating_add(1));
        }
    }
    upto
}
