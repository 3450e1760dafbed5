//! Time as an argument: a monotonic reading for timers, a wall-clock reading for dates.
//!
//! The rule: every timer lives on [`Mono`], and [`Wall`] is only ever written down (Lamport times,
//! epochs, timestamps). So a wall clock that jumps an hour either way freezes nothing and fires
//! nothing.

use std::ops::Add;
use std::time::Duration;

/// A monotonic instant: the time since an origin that the driver chose. Never runs backwards.
///
/// What is persisted is a remaining [`Duration`], never a `Mono`: the origin dies with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The driver's origin.
    pub const ZERO: Self = Self(Duration::ZERO);
    /// Later than every instant a driver reaches: a timer that never fires.
    pub const MAX: Self = Self(Duration::MAX);

    /// The instant `elapsed` after the origin.
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time since the origin.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    /// Saturates at [`Mono::MAX`].
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after))
    }
}

/// What the world's clock says: the time since the Unix epoch. May jump either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(Duration);

impl Wall {
    /// The wall time `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The wall time `since_epoch` after the Unix epoch.
    pub const fn from_unix(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// The time since the Unix epoch.
    pub const fn unix(self) -> Duration {
        self.0
    }

    /// Milliseconds since the Unix epoch, saturating.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the Unix epoch, saturating (the year 2262).
    pub fn unix_nanos(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// One reading of both clocks, taken by a driver and handed to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Drives every timer.
    pub mono: Mono,
    /// Is written down, and decides nothing about when something happens.
    pub wall: Wall,
}

impl Now {
    /// A reading of both clocks.
    pub const fn new(mono: Mono, wall: Wall) -> Self {
        Self { mono, wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_arithmetic_saturates_instead_of_wrapping() {
        let late = Mono::MAX + Duration::from_secs(1);
        assert_eq!(late, Mono::MAX);
        assert_eq!(Mono::ZERO.since(late), Duration::ZERO);
    }

    #[test]
    fn wall_converts_to_the_units_of_the_wire() {
        let wall = Wall::from_unix_millis(1_500);
        assert_eq!((wall.unix_millis(), wall.unix_nanos()), (1_500, 1_500_000_000));
        assert_eq!(Wall::from_unix(Duration::MAX).unix_nanos(), i64::MAX);
    }
}
