//! A set of chunk numbers: one bit each, with runs as its short form on the wire.
//!
//! The rule: a set never holds a number at or beyond its length, so what came from a peer can be
//! combined with what is ours without looking again.

/// Which of `0..len` are in the set. One bit of memory each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSet {
    len: u32,
    count: u32,
    words: Vec<u64>,
}

impl ChunkSet {
    /// An empty set over `0..len`.
    pub fn new(len: u32) -> Self {
        Self { len, count: 0, words: vec![0; len.div_ceil(64) as usize] }
    }

    /// The set that holds all of `0..len`.
    pub fn full(len: u32) -> Self {
        let mut set = Self::new(len);
        set.add_missing_from(&Self::new(len));
        set
    }

    /// Adds `number`; false when it was there or lies outside.
    pub fn insert(&mut self, number: u32) -> bool {
        let new = number < self.len && !self.contains(number);
        if new {
            self.words[number as usize / 64] |= 1 << (number % 64);
            self.count += 1;
        }
        new
    }

    /// Removes `number`; false when it was not there.
    pub fn remove(&mut self, number: u32) -> bool {
        let there = self.contains(number);
        if there {
            self.words[number as usize / 64] &= !(1 << (number % 64));
            self.count -= 1;
        }
        there
    }

    /// Adds all that `other`, of the same length, lacks.
    pub fn add_missing_from(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own | !theirs);
    }

    /// Adds all that `other`, of the same length, holds.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own | theirs);
    }

    /// Removes all that `other` holds.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own & !theirs);
    }

    /// Keeps only what `other` holds too.
    pub fn retain_in(&mut self, other: &Self) {
        self.combine(other, |own, theirs| own & theirs);
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u32) -> bool {
        number < self.len && self.words[number as usize / 64] & (1 << (number % 64)) != 0
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The length of the range that the set is over.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether all of `0..len` are in the set.
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The smallest number in the set from `from` on.
    pub fn next_from(&self, from: u32) -> Option<u32> {
        self.scan(from, |word| word)
    }

    /// The smallest number not in the set from `from` on.
    pub fn next_missing_from(&self, from: u32) -> Option<u32> {
        self.scan(from, |word| !word)
    }

    /// How many of `range` are in the set.
    pub fn count_in(&self, range: std::ops::Range<u32>) -> u32 {
        let end = range.end.min(self.len);
        let mut count = 0;
        let mut at = range.start;
        while at < end {
            let upto = (at / 64 + 1).saturating_mul(64).min(end);
            let width = upto - at;
            let mask = if width == 64 { u64::MAX } else { ((1 << width) - 1) << (at % 64) };
            count += (self.words[at as usize / 64] & mask).count_ones();
            at = upto;
        }
        count
    }

    /// The part of the set in `range` as lengths of runs: lacking, held, lacking, held… in turn.
    ///
    /// It starts with a lacking run (perhaps 0) and ends with a held one; at most `max` numbers,
    /// an even count. What a cut leaves out counts as lacking.
    pub fn runs(&self, range: std::ops::Range<u32>, max: usize) -> Vec<u32> {
        let end = range.end.min(self.len);
        let (mut runs, mut at) = (Vec::new(), range.start);
        while runs.len() + 2 <= max {
            let Some(held) = self.next_from(at).filter(|&held| held < end) else { break };
            let upto = self.next_missing_from(held).map_or(end, |missing| missing.min(end));
            runs.extend([held - at, upto - held]);
            at = upto;
        }
        runs
    }

    /// Adds the runs that [`runs`](Self::runs) wrote for `range`.
    ///
    /// False when they do not fit into the range; the numbers up to there are added.
    pub fn insert_runs(&mut self, range: std::ops::Range<u32>, runs: &[u32]) -> bool {
        let end = range.end.min(self.len);
        let mut at = range.start;
        for (index, &run) in runs.iter().enumerate() {
            let Some(upto) = at.checked_add(run).filter(|&upto| upto <= end) else { return false };
            if index % 2 == 1 {
                (at..upto).for_each(|number| {
                    self.insert(number);
                });
            }
            at = upto;
        }
        true
    }

    fn scan(&self, from: u32, view: impl Fn(u64) -> u64) -> Option<u32> {
        if from >= self.len {
            return None;
        }
        let first = from as usize / 64;
        for (index, &word) in self.words.iter().enumerate().skip(first) {
            let mut bits = view(word);
            if index == first {
                bits &= u64::MAX << (from % 64);
            }
            if bits != 0 {
                let number = index as u32 * 64 + bits.trailing_zeros();
                return (number < self.len).then_some(number);
            }
        }
        None
    }

    /// Applies `with` to each word of both, and drops what it makes beyond the length.
    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word = with(*word, other.words.get(index).copied().unwrap_or(0));
        }
        if let Some(last) = self.words.last_mut()
            && !self.len.is_multiple_of(64)
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
        self.count = self.words.iter().map(|word| word.count_ones()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(len: u32, numbers: &BTreeSet<u32>) -> ChunkSet {
        let mut set = ChunkSet::new(len);
        numbers.iter().for_each(|&number| {
            set.insert(number);
        });
        set
    }

    #[test]
    fn a_full_set_holds_exactly_its_range() {
        for len in [0, 1, 63, 64, 65, 200] {
            let full = ChunkSet::full(len);
            assert_eq!((full.count(), full.is_full()), (len, true));
            assert_eq!((full.contains(len), full.next_missing_from(0)), (false, None));
        }
    }

    #[test]
    fn runs_that_leave_their_range_are_refused() {
        let mut set = ChunkSet::new(10);
        assert!(!set.insert_runs(2..8, &[0, 7]));
        assert!(!set.insert_runs(2..8, &[u32::MAX, u32::MAX]));
        assert!(set.insert_runs(2..8, &[1, 5]));
        assert_eq!(set.count_in(0..10), 5);
    }

    proptest! {
        #[test]
        fn a_set_agrees_with_a_set_of_numbers(
            len in 0u32..300,
            numbers: BTreeSet<u8>,
            other: BTreeSet<u8>,
            from in 0u32..300,
        ) {
            let numbers: BTreeSet<u32> = numbers.into_iter().map(u32::from).filter(|n| *n < len).collect();
            let other: BTreeSet<u32> = other.into_iter().map(u32::from).filter(|n| *n < len).collect();
            let set = of(len, &numbers);
            prop_assert_eq!(set.count() as usize, numbers.len());
            prop_assert_eq!(set.next_from(from), numbers.range(from..).next().copied());
            prop_assert_eq!(set.next_missing_from(from), (from..len).find(|n| !numbers.contains(n)));
            prop_assert_eq!(set.count_in(from..len) as usize, numbers.range(from..len.max(from)).count());
            let mut lacking = set.clone();
            lacking.add_missing_from(&of(len, &other));
            prop_assert_eq!(lacking, of(len, &(0..len).filter(|n| numbers.contains(n) || !other.contains(n)).collect()));
            let mut without = set.clone();
            without.subtract(&of(len, &other));
            prop_assert_eq!(without, of(len, &numbers.difference(&other).copied().collect()));
            let mut both = set.clone();
            both.add(&of(len, &other));
            prop_assert_eq!(both, of(len, &numbers.union(&other).copied().collect()));
            let mut kept = set.clone();
            kept.retain_in(&of(len, &other));
            prop_assert_eq!(kept, of(len, &numbers.intersection(&other).copied().collect()));
        }

        #[test]
        fn runs_read_back_and_a_cut_only_leaves_out(len in 0u32..300, numbers: BTreeSet<u8>, max in 0usize..40) {
            let numbers: BTreeSet<u32> = numbers.into_iter().map(u32::from).filter(|n| *n < len).collect();
            let set = of(len, &numbers);
            let mut whole = ChunkSet::new(len);
            prop_assert!(whole.insert_runs(0..len, &set.runs(0..len, usize::MAX)));
            prop_assert_eq!(&whole, &set);
            let cut = set.runs(0..len, max);
            prop_assert!(cut.len() <= max);
            let mut part = ChunkSet::new(len);
            prop_assert!(part.insert_runs(0..len, &cut));
            prop_assert!((0..len).all(|n| !part.contains(n) || set.contains(n)));
        }
    }
}
