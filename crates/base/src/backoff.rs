//! Delays that grow from attempt to attempt, up to a bound, spread by jitter.
//!
//! The random number is an argument: the same numbers give the same delays, on every platform and
//! whatever features other crates turn on.

use std::time::Duration;

/// Exponential backoff: `initial * factor^attempt`, at most `max`, times `1 ± jitter`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
}

impl Backoff {
    /// From `initial`, doubling, up to `max`, with a quarter of jitter either way.
    ///
    /// A `max` below `initial` is raised to it.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        let max = if max.as_nanos() < initial.as_nanos() { initial } else { max };
        Self { initial, max, factor: 2.0, jitter: 0.25 }
    }

    /// Sets the growth per attempt; values below 1 count as 1 (a constant delay).
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// Sets the spread: 0 for none, 0.25 for a delay between 75 % and 125 %. Clamped to `0..=1`.
    #[must_use]
    pub const fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = if jitter >= 0.0 { if jitter <= 1.0 { jitter } else { 1.0 } } else { 0.0 };
        self
    }

    /// The delay before attempt `attempt + 1`, where `random` is uniform in `0..1`.
    ///
    /// `random = 0.5` is the middle of the spread. The result is at most `max * (1 + jitter)`.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempt.min(1_024)).unwrap_or(1_024);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let bounded = grown.min(self.max.as_secs_f64());
        let spread = 1.0 + self.jitter * (random.clamp(0.0, 1.0) * 2.0 - 1.0);
        Duration::try_from_secs_f64(bounded * spread).unwrap_or(self.max)
    }

    /// The longest the first `attempts` delays can take together, jitter included.
    ///
    /// Deadlines that are documented as a formula of a backoff are this sum.
    pub fn worst_case(&self, attempts: u32) -> Duration {
        (0..attempts).fold(Duration::ZERO, |sum, attempt| sum.saturating_add(self.delay(attempt, 1.0)))
    }

    /// The first delay, without jitter.
    pub const fn initial(&self) -> Duration {
        self.initial
    }

    /// The bound on a delay, without jitter.
    pub const fn max(&self) -> Duration {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn delays_double_up_to_the_bound() {
        let backoff = Backoff::new(MS(100), MS(1_000)).jitter(0.0);
        let delays: Vec<_> = (0..6).map(|attempt| backoff.delay(attempt, 0.9).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.worst_case(3), MS(700));
    }

    #[test]
    fn a_bound_below_the_first_delay_is_raised_to_it() {
        assert_eq!(Backoff::new(MS(500), MS(1)).max(), MS(500));
    }

    proptest! {
        #[test]
        fn a_delay_never_leaves_its_spread(attempt: u32, random in 0.0..1.0f64, jitter in -1.0..2.0f64) {
            let backoff = Backoff::new(MS(10), MS(5_000)).jitter(jitter);
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay <= MS(10_000));
            if jitter <= 0.25 {
                prop_assert!(delay >= MS(7));
            }
        }
    }
}
