//! How long acknowledgements take, and what that means for repetitions.

use std::time::Duration;

/// How long an acknowledgement takes, smoothed as in RFC 6298.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    /// What it takes at least.
    pub(super) least: Duration,
}

impl RoundTrip {
    pub(super) fn sample(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// `delay`, stretched by as much as an acknowledgement takes longer than `initial`.
    pub(super) fn stretch(&self, initial: Duration, delay: Duration) -> Duration {
        let measured = self.smoothed.map_or(Duration::ZERO, |smoothed| smoothed + self.variation * 4);
        delay + measured.saturating_sub(initial).max(self.least)
    }
}
