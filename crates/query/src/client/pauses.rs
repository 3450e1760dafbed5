//! The pauses between connects that fail.

use super::ClientSettings;
use crate::error::{ConnectError, ConnectFault};
use fastrand::Rng;
use tokio::time::Instant;

/// How often connects to one peer have failed, and until when none is tried.
#[derive(Debug)]
pub(super) struct Pauses {
    /// In a row.
    failures: u32,
    /// The last one's cause, and when the next may be tried.
    last: Option<(ConnectFault, Instant)>,
    rng: Rng,
}

impl Pauses {
    pub(super) fn new() -> Self {
        // Without randomness the jitter is the same for all, which is harmless.
        Self { failures: 0, last: None, rng: Rng::with_seed(getrandom::u64().unwrap_or(0)) }
    }

    /// Whether a connect may be tried now; else the last cause, and the time that is left.
    pub(super) fn allow(&self) -> Result<(), ConnectError> {
        let Some((fault, until)) = &self.last else { return Ok(()) };
        match until.saturating_duration_since(Instant::now()) {
            left if left.is_zero() => Ok(()),
            left => Err(ConnectError { fault: fault.clone(), retry_in: Some(left) }),
        }
    }

    /// A connect has failed.
    pub(super) fn failed(&mut self, fault: ConnectFault, settings: &ClientSettings) {
        let pause = settings.connect_backoff.delay(self.failures, self.rng.f64());
        self.failures = self.failures.saturating_add(1);
        self.last = Some((fault, Instant::now() + pause));
    }

    /// A connection was of use for a while.
    pub(super) fn stable(&mut self) {
        (self.failures, self.last) = (0, None);
    }

    /// A connection was there and was lost early. The first of a row has no consequence.
    pub(super) fn lost_early(&mut self, fault: ConnectFault, settings: &ClientSettings) {
        match self.failures {
            0 => self.failures = 1,
            failures => {
                self.failures = failures - 1;
                self.failed(fault, settings);
                self.failures = failures + 1;
            }
        }
    }
}
