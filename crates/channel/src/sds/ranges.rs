//! A set of sequence numbers, as disjoint ranges.
//!
//! The rule: its size is the number of holes, not of members, so a participant's whole past costs
//! one range when nothing is missing.

use std::collections::BTreeMap;
use std::ops::Range;

/// Sequence numbers, held as disjoint, non-adjacent half-open ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// start → end (exclusive).
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: BTreeMap::new() }
    }

    /// Adds `range` and returns the parts of it that were not there before, in order.
    pub fn insert(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let added = self.gaps(range.clone());
        if added.is_empty() {
            return added;
        }
        let (mut start, mut end) = (range.start, range.end);
        let touching: Vec<u64> = self
            .ranges
            .range(..=range.end)
            .rev()
            .take_while(|(_, to)| **to >= range.start)
            .map(|(from, _)| *from)
            .collect();
        for from in touching {
            if let Some(to) = self.ranges.remove(&from) {
                start = start.min(from);
                end = end.max(to);
            }
        }
        self.ranges.insert(start, end);
        added
    }

    /// Whether `number` is a member.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// The parts of `range` that are not in the set, in order.
    pub fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let around = self.ranges.range(..=range.start).next_back();
        if around.is_some_and(|(_, end)| *end >= range.end) {
            return gaps;
        }
        let before = around.map_or(range.start, |(from, _)| *from);
        for (&from, &to) in self.ranges.range(before..range.end) {
            if to <= at {
                continue;
            }
            if from > at {
                gaps.push(at..from);
            }
            at = to;
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// The smallest number at or above `from` that is not a member.
    pub fn first_missing(&self, from: u64) -> u64 {
        match self.ranges.range(..=from).next_back() {
            Some((_, end)) if *end > from => *end,
            _ => from,
        }
    }

    /// Where the last range that begins below `number` ends; 0 where there is none.
    pub fn end_below(&self, number: u64) -> u64 {
        self.ranges.range(..number).next_back().map_or(0, |(_, end)| *end)
    }

    /// How many disjoint ranges there are.
    pub fn pieces(&self) -> usize {
        self.ranges.len()
    }

    /// Whether adding `number` would make one more range.
    pub fn splits(&self, number: u64) -> bool {
        let around = number.saturating_sub(1)..number.saturating_add(2);
        self.gaps(around.clone()) == [around]
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(from, to)| *from..*to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(steps in prop::collection::vec((0u64..60, 0u64..12), 0..40)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (start, len) in steps {
                let fresh: Vec<u64> = (start..start + len).filter(|number| model.insert(*number)).collect();
                let added: Vec<u64> = set.insert(start..start + len).into_iter().flatten().collect();
                prop_assert_eq!(fresh, added);
            }
            for number in 0..80 {
                prop_assert_eq!(set.contains(number), model.contains(&number));
                let missing = (number..).find(|candidate| !model.contains(candidate)).unwrap();
                prop_assert_eq!(set.first_missing(number), missing);
                let below = set.iter().filter(|range| range.start < number).last().map_or(0, |range| range.end);
                prop_assert_eq!(set.end_below(number), below);
            }
            let gaps: Vec<u64> = set.gaps(10..70).into_iter().flatten().collect();
            prop_assert_eq!(gaps, (10..70).filter(|number| !model.contains(number)).collect::<Vec<_>>());
            let ranges: Vec<_> = set.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "adjacent ranges merge");
        }
    }
}
