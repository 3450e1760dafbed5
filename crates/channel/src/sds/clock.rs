//! The Lamport clock of a channel: it never runs backwards and never runs away.
//!
//! The rule: a message from further in the future than any clock is refused, and one from further than half of that moves no
//! clock. So one forged timestamp cannot poison everybody's, and what honest members send next is never refused.

use super::Dialect;
use quorate_base::Wall;

/// A Lamport clock: milliseconds in the dialect `Lip`, seconds and counts in the dialect `Nim`.
#[derive(Debug, Clone, Copy)]
pub struct Lamport {
    dialect: Dialect,
    current: u64,
}

impl Lamport {
    /// A clock that starts at `now`.
    pub fn starting_at(dialect: Dialect, now: Wall) -> Self {
        Self { dialect, current: wall(dialect, now) }
    }

    /// The time of the next own message: the wall time, or one more than anything seen.
    pub fn tick(&mut self, now: Wall) -> u64 {
        let now = wall(self.dialect, now);
        self.current = match self.dialect {
            Dialect::Lip => now.max(self.current.saturating_add(1)),
            Dialect::Nim => now.max(self.current).saturating_add(1),
        };
        self.current
    }

    /// Takes note of a delivered message's time, unless it is too far ahead to be believed.
    pub fn observe(&mut self, now: Wall, time: u64) {
        if time <= wall(self.dialect, now).saturating_add(most_ahead(self.dialect) / 2) {
            self.current = self.current.max(time);
        }
    }

    /// Times up to this one may have been given out before.
    pub(crate) fn restore(&mut self, time: u64) {
        self.current = self.current.max(time);
    }

    /// Whether a message may claim `time`.
    pub fn is_plausible(dialect: Dialect, now: Wall, time: u64) -> bool {
        time <= wall(dialect, now).saturating_add(most_ahead(dialect))
    }

    /// The latest time given out or observed.
    pub const fn current(&self) -> u64 {
        self.current
    }
}

/// How far ahead of the wall clock a message may claim to be: 24 hours in the dialect `Lip`. Clocks of nim-sds run ahead by one for
/// each message: 2^40.
const fn most_ahead(dialect: Dialect) -> u64 {
    match dialect {
        Dialect::Lip => 24 * 3_600 * 1_000,
        Dialect::Nim => 1 << 40,
    }
}

/// The wall time in the dialect's unit.
fn wall(dialect: Dialect, now: Wall) -> u64 {
    match dialect {
        Dialect::Lip => now.unix_millis(),
        Dialect::Nim => now.unix_millis() / 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_repeats_when_the_wall_clock_runs_backwards() {
        let at = Wall::from_unix_millis;
        let mut clock = Lamport::starting_at(Dialect::Lip, at(1_000));
        assert_eq!(clock.tick(at(2_000)), 2_000);
        assert_eq!(clock.tick(at(500)), 2_001);
        clock.observe(at(2_500), 9_000);
        assert_eq!(clock.tick(at(2_500)), 9_001);
    }

    #[test]
    fn nim_counts_on_from_seconds() {
        let at = Wall::from_unix_millis;
        let mut clock = Lamport::starting_at(Dialect::Nim, at(1_764_000_000_999));
        assert_eq!(clock.tick(at(1_764_000_000_999)), 1_764_000_001);
        assert_eq!(clock.tick(at(1_764_000_000_999)), 1_764_000_002);
        clock.observe(at(1_764_000_000_999), 1_764_000_009);
        assert_eq!(clock.tick(at(1_764_000_000_999)), 1_764_000_010);
    }

    #[test]
    fn a_poisoned_time_is_refused_or_moves_no_clock() {
        for dialect in [Dialect::Lip, Dialect::Nim] {
            let now = Wall::from_unix_millis(1_764_000_000_000);
            let start = wall(dialect, now);
            assert!(!Lamport::is_plausible(dialect, now, u64::MAX));
            assert!(!Lamport::is_plausible(dialect, now, i64::MAX.unsigned_abs()));
            let furthest = start + most_ahead(dialect);
            assert!(Lamport::is_plausible(dialect, now, furthest));
            let mut clock = Lamport::starting_at(dialect, now);
            clock.observe(now, furthest);
            assert_eq!(clock.current(), start, "it was believed");
            clock.observe(now, start + most_ahead(dialect) / 2);
            for _ in 0..100_000 {
                let time = clock.tick(now);
                assert!(Lamport::is_plausible(dialect, now, time), "what follows is refused by others");
            }
        }
    }
}
