//! Messages that cite one another in a circle: no order exists in which each comes after what it cites.
//!
//! The rule: nobody who keeps Lamport times can make one, as a message is later than all it follows. So of those in a circle the
//! earliest by the order of the log (Lamport time, then id) does not follow the others. All are delivered, none is lost, and it is
//! counted. The numbers of one sender stay in order: what is passed over is a citation.

use super::Incoming;
use super::waiting::Waiting;
use crate::sds::Key;
use std::collections::BTreeSet;

impl Incoming {
    /// Looks at payloads that are overdue, whether they wait for one another. Costs a step for each that waits, whatever they wait for.
    pub(super) fn break_cycles(&mut self, overdue: Vec<u64>) {
        let mut seen = BTreeSet::new();
        for start in overdue {
            let mut path = Vec::new();
            let mut next = Some(start);
            while let Some(waiter) = next {
                if !seen.insert(waiter) {
                    // Back where this path was, or where an earlier one went through.
                    if let Some(at) = path.iter().position(|before| *before == waiter) {
                        self.break_cycle(&path.split_off(at).into_iter().collect());
                    }
                    break;
                }
                path.push(waiter);
                next = self.waits_for(waiter);
            }
        }
        self.deliver_ready();
    }

    /// How many circles were broken.
    pub const fn cycles(&self) -> u64 {
        self.cycles
    }

    /// The payload that `waiter` waits for, where it is here.
    fn waits_for(&self, waiter: u64) -> Option<u64> {
        let blocker = self.blocker(self.waiting.get(waiter)?)?;
        self.waiting.holder(&blocker)
    }

    fn break_cycle(&mut self, circle: &BTreeSet<u64>) {
        let cites = circle.iter().filter_map(|waiter| {
            let waiting = self.waiting.get(*waiter)?;
            let within = self.cited_within(waiting, circle);
            let order = (waiting.set.time, waiting.set.last_id.clone());
            (!within.is_empty() && self.earlier_open(waiting).is_none()).then_some((order, *waiter, within))
        });
        let Some((_, waiter, within)) = cites.min() else { return };
        self.waiting.retain_past(waiter, |key| !within.contains(key));
        self.cycles += 1;
        self.settle(waiter);
    }

    /// What a payload cites and waits for that is in the circle, or later than itself.
    fn cited_within(&self, waiting: &Waiting, circle: &BTreeSet<u64>) -> BTreeSet<Key> {
        let own = (waiting.set.time, &waiting.set.last_id);
        let is_within = |key: &&Key| {
            let holder = self.open_upto(key).and_then(|open| self.waiting.holder(&open));
            holder.is_some_and(|holder| {
                let later = self.waiting.get(holder).map(|other| (other.set.time, &other.set.last_id));
                circle.contains(&holder) || later >= Some(own)
            })
        };
        waiting.set.past.iter().filter(is_within).cloned().collect()
    }
}
