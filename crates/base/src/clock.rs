//! The drivers' source of [`Now`]: tokio's clock for timers, the system's for dates.

use crate::{Mono, Now, Wall};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Reads both clocks, and turns a [`Mono`] deadline into one that tokio can sleep until.
///
/// It follows tokio's paused clock, so tests of a driver run in virtual time.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// A reading of both clocks. A wall clock before 1970 reads as 1970.
    #[expect(clippy::disallowed_methods, reason = "the one place where a driver asks for the date")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now::new(Mono::from_origin(self.origin.elapsed()), Wall::from_unix(wall))
    }

    /// The tokio instant of a deadline; one further away than a year is cut to a year.
    pub fn instant(&self, deadline: Mono) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        self.origin + deadline.elapsed().min(self.origin.elapsed().saturating_add(YEAR))
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}
