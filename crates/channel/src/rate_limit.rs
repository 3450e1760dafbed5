//! The epoch rate limit: so many envelopes per epoch, the rest in order in the next ones.
//!
//! The rule: what is over budget waits, in the order in which it came; an attempt that was cancelled
//! while it waited costs nothing. Epochs follow the wall clock (17/WAKU2-RLN-RELAY), yet a clock that
//! jumps back neither refills the budget nor freezes it: after one period of monotonic time an epoch
//! is over whatever the wall says.

use crate::config::ConfigError;
use quorate_base::{Mono, Now};
use std::collections::VecDeque;
use std::time::Duration;

/// The budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// Envelopes per epoch; `None` for no limit. Default `None`.
    pub per_epoch: Option<u32>,
    /// The length of an epoch. Default 600 s.
    pub epoch: Duration,
    /// How many attempts may wait. Default 16,384.
    pub max_queued: usize,
    /// From this percentage of the budget on, ephemeral messages are dropped. Default 80.
    pub approaching_percent: u8,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self { per_epoch: None, epoch: Duration::from_secs(600), max_queued: 16_384, approaching_percent: 80 }
    }
}

impl RateLimitConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let too_small = |field, value| Err(ConfigError::TooSmall { field, value, least: 1 });
        match self {
            Self { per_epoch: Some(0), .. } => too_small("rate_limit.per_epoch", 0),
            Self { max_queued: 0, .. } => too_small("rate_limit.max_queued", 0),
            Self { epoch, .. } if epoch.is_zero() => Err(ConfigError::Zero("rate_limit.epoch")),
            _ => Ok(()),
        }
    }
}

/// How much of the budget is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetState {
    /// Enough is left.
    Normal,
    /// Little is left: ephemeral messages are dropped first.
    Approaching,
    /// Nothing is left in this epoch.
    Exhausted,
}

/// A first-in-first-out queue in front of a budget.
#[derive(Debug)]
pub struct RateLimiter<T> {
    config: RateLimitConfig,
    queue: VecDeque<T>,
    /// Goes before everything else, though not twice in a row: the one sync message.
    urgent: Option<T>,
    urgent_was_last: bool,
    epoch: u64,
    epoch_began: Mono,
    spent: u32,
}

impl<T> RateLimiter<T> {
    /// An empty queue and a full budget.
    pub fn new(now: Now, config: RateLimitConfig) -> Self {
        Self {
            config,
            queue: VecDeque::new(),
            urgent: None,
            urgent_was_last: false,
            epoch: number(&config, now),
            epoch_began: now.mono,
            spent: 0,
        }
    }

    /// How many more attempts may wait.
    pub fn room(&self) -> usize {
        self.config.max_queued.saturating_sub(self.queue.len())
    }

    /// Queues an attempt. The caller asks for [`RateLimiter::room`] first; retransmissions of what was
    /// accepted are bounded by what may be unacknowledged.
    pub fn enqueue(&mut self, item: T) {
        self.queue.push_back(item);
    }

    /// Queues the sync message, before everything else, unless one waits already. Where other attempts wait, every
    /// second one is theirs, so that a budget of one is not spent on syncs alone.
    pub fn enqueue_urgent(&mut self, item: T) {
        self.urgent.get_or_insert(item);
    }

    /// Whether the sync message waits.
    pub const fn has_urgent(&self) -> bool {
        self.urgent.is_some()
    }

    /// The next attempt that waits; taken, and not charged yet.
    pub fn poll(&mut self, now: Now) -> Option<T> {
        self.roll(now);
        if self.budget() == Some(0) {
            return None;
        }
        let urgent = if self.urgent_was_last && !self.queue.is_empty() { None } else { self.urgent.take() };
        self.urgent_was_last = urgent.is_some();
        urgent.or_else(|| self.queue.pop_front())
    }

    /// Charges an attempt that is made.
    pub const fn charge(&mut self) {
        self.spent = self.spent.saturating_add(1);
    }

    /// How much of the budget is gone.
    pub fn state(&mut self, now: Now) -> BudgetState {
        self.roll(now);
        let Some(limit) = self.config.per_epoch else { return BudgetState::Normal };
        let approaching = u64::from(limit) * u64::from(self.config.approaching_percent);
        if self.spent >= limit {
            BudgetState::Exhausted
        } else if u64::from(self.spent) * 100 >= approaching {
            BudgetState::Approaching
        } else {
            BudgetState::Normal
        }
    }

    /// When an attempt queued now is expected to leave; `None` when nothing holds it back.
    pub fn expected_at(&self, now: Now) -> Option<Mono> {
        let limit = u64::from(self.config.per_epoch?);
        let ahead = self.queue.len() as u64;
        let left = u64::from(self.budget()?);
        if ahead < left {
            return None;
        }
        let epochs = u32::try_from((ahead - left) / limit).unwrap_or(u32::MAX);
        Some(self.next_epoch(now) + self.config.epoch.saturating_mul(epochs))
    }

    /// When the budget is refilled, if something waits for that.
    pub fn poll_timeout(&self, now: Now) -> Option<Mono> {
        let waits = self.budget() == Some(0) && !self.is_empty();
        waits.then(|| self.next_epoch(now))
    }

    /// Attempts that wait.
    pub fn len(&self) -> usize {
        self.queue.len() + usize::from(self.urgent.is_some())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn budget(&self) -> Option<u32> {
        self.config.per_epoch.map(|limit| limit.saturating_sub(self.spent))
    }

    fn roll(&mut self, now: Now) {
        let epoch = number(&self.config, now);
        if epoch > self.epoch || now.mono.since(self.epoch_began) >= self.config.epoch {
            self.epoch = epoch;
            self.epoch_began = now.mono;
            self.spent = 0;
        }
    }

    fn next_epoch(&self, now: Now) -> Mono {
        let by_mono = self.epoch_began + self.config.epoch;
        let into = now.wall.unix().as_nanos() % self.config.epoch.as_nanos().max(1);
        let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
        by_mono.min(now.mono + self.config.epoch.saturating_sub(into))
    }
}

fn number(config: &RateLimitConfig, now: Now) -> u64 {
    let period = config.epoch.as_nanos().max(1);
    u64::try_from(now.wall.unix().as_nanos() / period).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_base::Wall;

    fn at(mono: u64, wall: u64) -> Now {
        Now::new(Mono::from_origin(Duration::from_secs(mono)), Wall::from_unix(Duration::from_secs(wall)))
    }

    fn limiter(per_epoch: u32) -> RateLimiter<u32> {
        let epoch = Duration::from_secs(10);
        RateLimiter::new(
            at(0, 1_000),
            RateLimitConfig { per_epoch: Some(per_epoch), epoch, ..Default::default() },
        )
    }

    fn drain(limiter: &mut RateLimiter<u32>, now: Now) -> Vec<u32> {
        std::iter::from_fn(|| limiter.poll(now).inspect(|_| limiter.charge())).collect()
    }

    #[test]
    fn what_is_over_budget_leaves_in_order_in_the_next_epoch() {
        let mut limiter = limiter(2);
        (1..=5).for_each(|item| limiter.enqueue(item));
        assert_eq!(drain(&mut limiter, at(3, 1_003)), [1, 2]);
        assert_eq!(limiter.state(at(3, 1_003)), BudgetState::Exhausted);
        assert_eq!(limiter.poll_timeout(at(3, 1_003)), Some(at(10, 0).mono));
        assert_eq!(limiter.expected_at(at(3, 1_003)), Some(at(20, 0).mono));
        assert_eq!(drain(&mut limiter, at(10, 1_010)), [3, 4]);
        assert_eq!(drain(&mut limiter, at(20, 1_020)), [5]);
        assert_eq!(limiter.poll_timeout(at(20, 1_020)), None);
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut limiter = RateLimiter::new(at(0, 1_000), RateLimitConfig::default());
        (1..=5).for_each(|item| limiter.enqueue(item));
        assert_eq!(drain(&mut limiter, at(0, 1_000)).len(), 5);
        assert_eq!(limiter.expected_at(at(0, 1_000)), None);
    }

    #[test]
    fn a_wall_clock_that_jumps_back_neither_refills_nor_freezes() {
        let mut limiter = limiter(1);
        (1..=3).for_each(|item| limiter.enqueue(item));
        assert_eq!(drain(&mut limiter, at(0, 5_000)), [1], "a jump forward is another epoch");
        assert_eq!(drain(&mut limiter, at(1, 1_000)), [0u32; 0], "the jump back refills nothing");
        assert_eq!(drain(&mut limiter, at(10, 1_009)), [2], "one period later an epoch is over");
    }

    #[test]
    fn the_sync_message_goes_first_and_once() {
        let mut limiter = limiter(10);
        limiter.enqueue(1);
        limiter.enqueue_urgent(8);
        limiter.enqueue_urgent(9);
        assert_eq!(drain(&mut limiter, at(0, 1_000)), [8, 1]);
    }

    #[test]
    fn syncs_do_not_spend_all_of_a_small_budget() {
        let mut limiter = limiter(1);
        let mut left = Vec::new();
        for epoch in 0..4 {
            limiter.enqueue(epoch);
            limiter.enqueue_urgent(100 + epoch);
            left.extend(drain(&mut limiter, at(10 * u64::from(epoch), 1_000 + 10 * u64::from(epoch))));
        }
        assert_eq!(left, [100, 0, 101, 1]);
    }

    #[test]
    fn the_state_is_approaching_before_it_is_exhausted() {
        let mut limiter = limiter(5);
        let states: Vec<_> = (0..6)
            .map(|_| {
                let state = limiter.state(at(0, 1_000));
                limiter.charge();
                state
            })
            .collect();
        use BudgetState::{Approaching, Exhausted, Normal};
        assert_eq!(states, [Normal, Normal, Normal, Normal, Approaching, Exhausted]);
    }
}
