//! Virtual time: one monotonic clock for all, and a wall clock for each that may jump.

use quorate_base::{Mono, Now, Wall};
use std::time::Duration;

/// When simulated worlds begin: 2024-01-01, 00:00 UTC.
const BEGINNING: Duration = Duration::from_secs(1_704_067_200);

/// A clock that moves only when it is told to.
#[derive(Debug, Clone, Copy, Default)]
pub struct VirtualClock {
    mono: Mono,
}

/// How a participant's wall clock differs from the true time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WallOffset {
    ahead: Duration,
    behind: Duration,
}

impl VirtualClock {
    /// The time since the beginning.
    pub const fn mono(&self) -> Mono {
        self.mono
    }

    /// What a participant reads whose wall clock is off by `offset`.
    pub fn now(&self, offset: WallOffset) -> Now {
        let wall = BEGINNING + self.mono.elapsed() + offset.ahead;
        Now::new(self.mono, Wall::from_unix(wall.saturating_sub(offset.behind)))
    }

    /// Moves on to `at`; an instant that has passed changes nothing.
    pub fn advance_to(&mut self, at: Mono) {
        self.mono = self.mono.max(at);
    }
}

impl WallOffset {
    /// Jumps forward by `step`.
    pub fn forward(&mut self, step: Duration) {
        self.ahead = self.ahead.saturating_add(step);
    }

    /// Jumps back by `step`.
    pub fn back(&mut self, step: Duration) {
        self.behind = self.behind.saturating_add(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_wall_clock_moves_no_timer() {
        let mut clock = VirtualClock::default();
        let mut offset = WallOffset::default();
        clock.advance_to(Mono::from_origin(Duration::from_secs(5)));
        let before = clock.now(offset);
        offset.forward(Duration::from_secs(3_600));
        let after = clock.now(offset);
        assert_eq!(after.mono, before.mono);
        assert_eq!(after.wall.unix_millis(), before.wall.unix_millis() + 3_600_000);
        offset.back(Duration::from_secs(7_200));
        assert_eq!(clock.now(offset).wall.unix_millis(), before.wall.unix_millis() - 3_600_000);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut clock = VirtualClock::default();
        clock.advance_to(Mono::from_origin(Duration::from_secs(5)));
        clock.advance_to(Mono::from_origin(Duration::from_secs(3)));
        assert_eq!(clock.mono().elapsed(), Duration::from_secs(5));
    }
}
