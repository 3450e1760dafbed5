//! The Lamport clock of a channel: milliseconds that never run backwards and never run away.
//!
//! The rule: a message from further in the future than [`MAX_AHEAD`] is refused before it can move
//! the clock, so one forged timestamp cannot poison everybody's.

use quorate_base::Wall;
use std::time::Duration;

/// How far ahead of the wall clock a message may claim to be.
pub(super) const MAX_AHEAD: Duration = Duration::from_secs(24 * 3_600);

/// A Lamport clock in the LIP's terms: starts at the wall time in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Lamport {
    current: u64,
}

impl Lamport {
    /// A clock that starts at `now`.
    pub fn starting_at(now: Wall) -> Self {
        Self { current: now.unix_millis() }
    }

    /// The time of the next own message: the wall time, or one more than anything seen.
    pub fn tick(&mut self, now: Wall) -> u64 {
        self.current = now.unix_millis().max(self.current.saturating_add(1));
        self.current
    }

    /// Takes note of a delivered message's time.
    pub fn observe(&mut self, time: u64) {
        self.current = self.current.max(time);
    }

    /// Whether a message may claim `time`.
    pub fn is_plausible(now: Wall, time: u64) -> bool {
        let ahead = u64::try_from(MAX_AHEAD.as_millis()).unwrap_or(u64::MAX);
        time <= now.unix_millis().saturating_add(ahead)
    }

    /// The latest time given out or observed.
    pub const fn current(&self) -> u64 {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_repeats_when_the_wall_clock_runs_backwards() {
        let mut clock = Lamport::starting_at(Wall::from_unix_millis(1_000));
        assert_eq!(clock.tick(Wall::from_unix_millis(2_000)), 2_000);
        assert_eq!(clock.tick(Wall::from_unix_millis(500)), 2_001);
        clock.observe(9_000);
        assert_eq!(clock.tick(Wall::from_unix_millis(2_500)), 9_001);
    }

    #[test]
    fn the_far_future_is_implausible() {
        let now = Wall::from_unix_millis(1_000);
        assert!(Lamport::is_plausible(now, 1_000 + 3_600_000));
        assert!(!Lamport::is_plausible(now, u64::MAX));
    }
}
