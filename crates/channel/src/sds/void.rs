//! Own sequence numbers that nothing will ever bear: those of sends that were undone.
//!
//! The rule: a send that failed must hold nobody up. Its numbers are told with every message for as long as a message
//! from before may still be under way, so receivers do not wait for them.

mod stored;

use quorate_base::Mono;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// The most ranges that are told; beyond them receivers wait until they give up.
const MAX_RANGES: usize = 16;

/// The numbers of sends that were undone lately.
#[derive(Debug)]
pub struct Voids {
    lifetime: Duration,
    /// By the time at which they were undone, with the time until which they are told.
    ranges: VecDeque<(Mono, Range<u64>)>,
    changed: bool,
}

impl Voids {
    /// None yet; each is told for `lifetime`.
    pub const fn new(lifetime: Duration) -> Self {
        Self { lifetime, ranges: VecDeque::new(), changed: false }
    }

    /// The send of `range` was undone.
    pub fn push(&mut self, now: Mono, range: Range<u64>) {
        self.changed = true;
        let until = now + self.lifetime;
        if let Some((told, last)) = self.ranges.back_mut()
            && last.end == range.start
        {
            (*told, last.end) = (until, range.end);
            return;
        }
        if self.ranges.len() >= MAX_RANGES {
            self.ranges.pop_front();
        }
        self.ranges.push_back((until, range));
    }

    /// What is to be told now.
    pub fn current(&mut self, now: Mono) -> Vec<Range<u64>> {
        while self.ranges.front().is_some_and(|(until, _)| *until <= now) {
            self.ranges.pop_front();
        }
        self.ranges.iter().map(|(_, range)| range.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range_and_each_is_told_for_its_time() {
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let mut voids = Voids::new(Duration::from_secs(10));
        voids.push(at(0), 3..5);
        voids.push(at(5), 5..6);
        voids.push(at(8), 9..10);
        assert_eq!(voids.current(at(14)), [3..6, 9..10]);
        assert_eq!(voids.current(at(15)), [9..10]);
        (0..100).for_each(|number| voids.push(at(15), number * 3..number * 3 + 1));
        assert_eq!(voids.current(at(16)).len(), MAX_RANGES);
    }
}
