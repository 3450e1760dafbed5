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

/// What is to be kept over a restart, so that it does not refill the budget. Durations only: a monotonic
/// instant means nothing to the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentBudget {
    /// The epoch's number by the wall clock.
    pub epoch: u64,
    /// Envelopes charged in it.
    pub spent: u32,
    /// How much of it is left by the monotonic clock.
    pub left: Duration,
}

/// A first-in-first-out queue in front of a budget.
#[derive(Debug)]
pub struct RateLimiter<T> {
    config: RateLimitConfig,
    /// What the network itself allows, where it is known to be less.
    quota: Option<u32>,
    queue: VecDeque<T>,
    /// Goes before everything else, though not twice in a row: the one sync message.
    urgent: Option<T>,
    urgent_was_last: bool,
    epoch: u64,
    /// When the epoch is over whatever the wall clock says.
    ends: Mono,
    spent: u32,
}

impl<T> RateLimiter<T> {
    /// An empty queue and a full budget.
    pub fn new(now: Now, config: RateLimitConfig) -> Self {
        Self {
            config,
            quota: None,
            queue: VecDeque::new(),
            urgent: None,
            urgent_was_last: false,
            epoch: number(&config, now),
            ends: now.mono + config.epoch,
            spent: 0,
        }
    }

    /// What an earlier process had spent counts on, unless its epoch is over by now.
    pub fn restore(&mut self, now: Now, before: SpentBudget) {
        if number(&self.config, now) > before.epoch {
            return;
        }
        self.epoch = before.epoch;
        self.spent = before.spent;
        self.ends = now.mono + before.left.min(self.config.epoch);
    }

    /// What is to be kept over a restart.
    pub fn spent(&mut self, now: Now) -> SpentBudget {
        self.roll(now);
        SpentBudget { epoch: self.epoch, spent: self.spent, left: self.ends.since(now.mono) }
    }

    /// What the network allows per epoch (RLN's user message limit); the lower of this and the configured limit holds.
    /// `Some(0)` lets nothing out; `None` leaves the configured limit alone.
    pub const fn set_quota(&mut self, quota: Option<u32>) {
        self.quota = quota;
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
        let Some(limit) = self.limit() else { return BudgetState::Normal };
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
    pub fn expected_at(&mut self, now: Now) -> Option<Mono> {
        self.roll(now);
        let limit = u64::from(self.limit()?);
        let ahead = self.queue.len() as u64;
        let left = u64::from(self.budget()?);
        if ahead < left {
            return None;
        }
        let epochs = (ahead - left).checked_div(limit).and_then(|epochs| u32::try_from(epochs).ok());
        Some(self.next_epoch(now) + self.config.epoch.saturating_mul(epochs.unwrap_or(u32::MAX)))
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

    /// What is left of the budget; `None` where there is no limit.
    pub fn budget(&self) -> Option<u32> {
        self.limit().map(|limit| limit.saturating_sub(self.spent))
    }

    fn limit(&self) -> Option<u32> {
        match (self.config.per_epoch, self.quota) {
            (Some(limit), Some(quota)) => Some(limit.min(quota)),
            (limit, quota) => limit.or(quota),
        }
    }

    fn roll(&mut self, now: Now) {
        let epoch = number(&self.config, now);
        if epoch > self.epoch || now.mono >= self.ends {
            self.epoch = epoch;
            self.ends = now.mono + self.config.epoch;
            self.spent = 0;
        }
    }

    /// When the next epoch begins: by the wall clock, unless that has fallen behind.
    fn next_epoch(&self, now: Now) -> Mono {
        if number(&self.config, now) < self.epoch {
            return self.ends;
        }
        let into = now.wall.unix().as_nanos() % self.config.epoch.as_nanos().max(1);
        let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
        self.ends.min(now.mono + self.config.epoch.saturating_sub(into))
    }
}

fn number(config: &RateLimitConfig, now: Now) -> u64 {
    let period = config.epoch.as_nanos().max(1);
    u64::try_from(now.wall.unix().as_nanos() / period).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
