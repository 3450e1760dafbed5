//! Voids in the store, and back.

use super::Voids;
use crate::durable::{Journal, Kind, VoidsRecord, age};
use quorate_base::Mono;
use std::ops::Range;

impl Voids {
    /// Writes what changed.
    pub(crate) fn write(&mut self, journal: &mut Journal) {
        if std::mem::take(&mut self.changed) {
            let voids = self.ranges.iter().flat_map(|(until, range)| [age(*until), range.start, range.end]);
            journal.put(journal.keys().of(Kind::Voids), &VoidsRecord { voids: voids.collect() });
        }
    }

    /// Takes those of before.
    pub(crate) fn restore(&mut self, ranges: Vec<(Mono, Range<u64>)>) {
        self.ranges = ranges.into();
    }
}
