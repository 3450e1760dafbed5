//! How fast messages may come: a token bucket for one peer, and one that all peers of a space share.
//!
//! The rule: time is an argument, and a bucket is one number for messages and one for bytes: the time at
//! which it would be full again. Charging never waits and never fails; it says how long to wait before more is read.

use quorate_base::Mono;
use serde::{Deserialize, Serialize};
use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Messages and bytes per second, and for how long a burst may run ahead of them.
///
/// As JSON `{"messagesPerS": 20000, "bytesPerS": 268435456, "burstS": 1}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// Messages per second.
    pub messages_per_s: NonZeroU64,
    /// Bytes per second, frames as a whole.
    pub bytes_per_s: NonZeroU64,
    /// What may come at once, as the time that it would take at that rate.
    #[serde(rename = "burstS", with = "crate::config::seconds")]
    pub burst: Duration,
}

/// A [`Rate`] in the units of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Prices {
    message_ns: f64,
    byte_ns: f64,
    burst_ns: u64,
}

impl Prices {
    fn new(rate: &Rate) -> Self {
        let price = |per_s: NonZeroU64| 1e9 / per_s.get() as f64;
        let burst_ns = nanos(rate.burst);
        Self { message_ns: price(rate.messages_per_s), byte_ns: price(rate.bytes_per_s), burst_ns }
    }

    /// How long messages and bytes take at the rate, rounded up, in nanoseconds.
    fn of(&self, messages: u64, bytes: u64) -> [u64; 2] {
        // A float that is too large becomes the largest number.
        [(messages as f64 * self.message_ns).ceil() as u64, (bytes as f64 * self.byte_ns).ceil() as u64]
    }

    /// How long until a bucket that is full again at `full_at` may be charged again.
    fn wait(&self, now: u64, full_at: u64) -> Duration {
        Duration::from_nanos(full_at.saturating_sub(now.saturating_add(self.burst_ns)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

const fn charged(full_at: u64, now: u64, price: u64) -> u64 {
    let begin = if full_at > now { full_at } else { now };
    begin.saturating_add(price)
}

/// A token bucket that one owner charges. Pure.
///
/// ```
/// use quorate_base::Mono;
/// use quorate_transport::{Rate, TokenBucket};
/// use std::{num::NonZeroU64, time::Duration};
///
/// let (ten, many) = (NonZeroU64::new(10).unwrap(), NonZeroU64::MAX);
/// let rate = Rate { messages_per_s: ten, bytes_per_s: many, burst: Duration::from_secs(1) };
/// let mut bucket = TokenBucket::new(&rate);
/// assert_eq!(bucket.charge(Mono::ZERO, 10, 0), Duration::ZERO);
/// assert_eq!(bucket.charge(Mono::ZERO, 1, 0), Duration::from_millis(100));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TokenBucket {
    prices: Prices,
    /// When there would be the whole burst again, in messages and in bytes.
    full_at: [u64; 2],
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: &Rate) -> Self {
        Self { prices: Prices::new(rate), full_at: [0; 2] }
    }

    /// Takes so many messages and bytes out, and says how long to wait before more is taken.
    ///
    /// They are taken in any case: a charge may run into debt, and the wait pays it off.
    pub fn charge(&mut self, now: Mono, messages: u64, bytes: u64) -> Duration {
        let now = nanos(now.elapsed());
        for (full_at, price) in self.full_at.iter_mut().zip(self.prices.of(messages, bytes)) {
            *full_at = charged(*full_at, now, price);
        }
        let [messages, bytes] = self.full_at;
        self.prices.wait(now, messages.max(bytes))
    }

    /// Whether the whole burst is there.
    pub fn is_full(&self, now: Mono) -> bool {
        self.full_at.iter().all(|full_at| *full_at <= nanos(now.elapsed()))
    }
}

/// A token bucket that many connections charge, without a lock.
#[derive(Debug)]
pub(crate) struct SharedBucket {
    prices: Prices,
    full_at: [AtomicU64; 2],
}

impl SharedBucket {
    pub(crate) fn new(rate: &Rate) -> Self {
        Self { prices: Prices::new(rate), full_at: Default::default() }
    }

    /// As [`TokenBucket::charge`].
    pub(crate) fn charge(&self, now: Mono, messages: u64, bytes: u64) -> Duration {
        let now = nanos(now.elapsed());
        let mut latest = 0;
        for (full_at, price) in self.full_at.iter().zip(self.prices.of(messages, bytes)) {
            let mut seen = full_at.load(Relaxed);
            let next = loop {
                let next = charged(seen, now, price);
                match full_at.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                    Ok(_) => break next,
                    Err(other) => seen = other,
                }
            };
            latest = latest.max(next);
        }
        self.prices.wait(now, latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(messages: u64, bytes: u64, burst_ms: u64) -> Rate {
        Rate {
            messages_per_s: NonZeroU64::new(messages).unwrap(),
            bytes_per_s: NonZeroU64::new(bytes).unwrap(),
            burst: Duration::from_millis(burst_ms),
        }
    }

    fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn bytes_and_messages_are_limited_apart() {
        let mut bucket = TokenBucket::new(&rate(1_000, 1_000_000, 1_000));
        assert_eq!(bucket.charge(at(0), 10, 1_000_000), Duration::ZERO);
        assert_eq!(bucket.charge(at(0), 10, 500_000), Duration::from_millis(500));
        assert_eq!(bucket.charge(at(2_000), 1_000, 0), Duration::ZERO, "the bytes are paid off");
        assert_eq!(bucket.charge(at(2_000), 1, 0), Duration::from_millis(1));
    }

    #[test]
    fn a_time_that_runs_backwards_or_far_ahead_is_harmless() {
        let mut bucket = TokenBucket::new(&rate(1, 1, 0));
        bucket.charge(at(5_000), 1, 1);
        assert_eq!(bucket.charge(at(0), 0, 0), Duration::from_secs(6));
        assert_eq!(bucket.charge(Mono::MAX, 1, u64::MAX), Duration::ZERO);
        assert!(!TokenBucket::new(&rate(1, 1, 0)).charge(at(0), u64::MAX, u64::MAX).is_zero());
    }

    proptest! {
        /// Whatever the pauses, what was let in never exceeds rate and burst, and who keeps to the rate never waits.
        #[test]
        fn no_more_comes_in_than_rate_and_burst(
            charges in prop::collection::vec((0_u64..50, 1_u64..20, 0_u64..5_000), 1..60),
        ) {
            let limit = rate(100, 10_000, 500);
            let (mut bucket, shared) = (TokenBucket::new(&limit), SharedBucket::new(&limit));
            let (mut now, mut messages, mut bytes) = (Duration::ZERO, 0, 0);
            for (pause_ms, count, len) in charges {
                now += Duration::from_millis(pause_ms);
                let wait = bucket.charge(Mono::from_origin(now), count, len);
                prop_assert_eq!(shared.charge(Mono::from_origin(now), count, len), wait);
                messages += count;
                bytes += len;
                now += wait;
                let allowed = now.as_secs_f64() + 0.5 + 1e-6;
                prop_assert!(messages as f64 <= allowed * 100.0, "{messages} in {now:?}");
                prop_assert!(bytes as f64 <= allowed * 10_000.0, "{bytes} in {now:?}");
            }
        }

        #[test]
        fn who_keeps_to_the_rate_never_waits(count in 1_u64..200) {
            let mut bucket = TokenBucket::new(&rate(100, 1_000, 10));
            for number in 0..count {
                prop_assert_eq!(bucket.charge(at(number * 10), 1, 10), Duration::ZERO);
            }
        }
    }
}
