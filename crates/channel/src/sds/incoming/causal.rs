//! Causal order: a whole payload waits until everything that it follows was delivered, or was declared lost.
//!
//! The rule: who follows a message follows all earlier ones of its sender. So where one is lost and an earlier one is still there
//! and waits, what follows the lost one waits for the earlier one.

use super::waiting::Waiting;
use super::{Delivery, Incoming, IncomingEvent, Set};
use crate::ids::{MessageId, SenderTag};
use crate::sds::Key;
use crate::segment::SegmentOrigin;
use bytes::Bytes;
use quorate_base::Mono;
use std::ops::Range;

impl Incoming {
    /// A payload is whole: it waits for its past.
    pub(super) fn wait(
        &mut self,
        now: Mono,
        origin: SegmentOrigin,
        set: Set,
        payload: Bytes,
        charged: usize,
    ) {
        let deadline = now + self.config.lost_after;
        let waiter = self.waiting.push(Waiting { origin, set, payload, charged, deadline, overdue: false });
        self.settle(waiter);
        self.deliver_ready();
    }

    /// Blocks a waiting payload on the first thing it lacks, or marks it ready.
    pub(super) fn settle(&mut self, waiter: u64) {
        let Some(blocker) = self.waiting.get(waiter).map(|waiting| self.blocker(waiting)) else { return };
        match blocker {
            Some(key) => self.waiting.block(waiter, key),
            None => self.waiting.ready(waiter),
        }
    }

    pub(super) fn blocker(&self, waiting: &Waiting) -> Option<Key> {
        self.earlier_open(waiting).or_else(|| waiting.set.past.iter().find_map(|key| self.open_upto(key)))
    }

    /// An earlier message of the same sender that is not over.
    pub(super) fn earlier_open(&self, waiting: &Waiting) -> Option<Key> {
        let SegmentOrigin::Structured(tag, base) = waiting.origin else { return None };
        let open = self.peers.first_open(&tag).filter(|open| *open < base)?;
        Some(Key::Sequence(tag, open))
    }

    /// The message `key`, or an earlier one of its sender, whatever is not over.
    pub(super) fn open_upto(&self, key: &Key) -> Option<Key> {
        if !self.peers.is_over(key) {
            return Some(key.clone());
        }
        let Key::Sequence(tag, sequence) = key else { return None };
        let open = self.peers.first_open(tag).filter(|open| open < sequence)?;
        Some(Key::Sequence(*tag, open))
    }

    pub(super) fn deliver_ready(&mut self) {
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
    pub(super) fn over(&mut self, origin: &SegmentOrigin, set: &Set) {
        self.released.iter_mut().for_each(|released| released.push(origin.clone()));
        match origin {
            SegmentOrigin::Structured(tag, base) => self.over_range(*tag, *base..*base + set.count),
            SegmentOrigin::Opaque(..) | SegmentOrigin::Whole(_) => {
                set.ids.iter().for_each(|id| self.over_opaque(id.clone()))
            }
        }
    }

    pub(super) fn over_range(&mut self, tag: SenderTag, range: Range<u64>) {
        self.peers.over(tag, range.clone());
        self.wake(tag, range);
    }

    pub(super) fn over_opaque(&mut self, id: MessageId) {
        self.peers.over_opaque(id.clone());
        let woken = self.waiting.unblock_one(&Key::Opaque(id));
        woken.into_iter().for_each(|waiter| self.settle(waiter));
    }

    /// Settles anew those that waited for numbers in `range`.
    pub(super) fn wake(&mut self, tag: SenderTag, range: Range<u64>) {
        let woken = self.waiting.unblock(Key::Sequence(tag, range.start)..Key::Sequence(tag, range.end));
        woken.into_iter().for_each(|waiter| self.settle(waiter));
    }
}
