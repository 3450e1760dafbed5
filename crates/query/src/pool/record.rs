//! What one node did.
//!
//! The rule: numbers come from the pool's own clock, and no divisor is ever zero.

use super::{Node, NodeId, PoolConfig};
use fastrand::Rng;
use quorate_base::Mono;
use std::time::Duration;

/// What a latency of a second weighs; a faster node weighs more in proportion.
const SECOND_WEIGHS: u128 = 1_000;
/// Latencies below this are taken for it: on a fast network noise would decide otherwise.
const LEAST_LATENCY: Duration = Duration::from_millis(1);
/// How many answers it takes until a node's own latency counts.
const MEASURED_AFTER: u64 = 3;
/// How much of the mean a new latency is: one in so many.
const SMOOTHING: u32 = 8;

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) node: Node,
    pub(super) answers: u64,
    pub(super) latency: Duration,
    pub(super) troubles: u64,
    pub(super) lies: u64,
    /// Troubles since the last verified answer.
    pub(super) in_a_row: u32,
    pub(super) rest_until: Option<Mono>,
    pub(super) ban: Option<Ban>,
    /// Who said last that it did not sign, and when.
    pub(super) reporter: Option<(NodeId, Mono)>,
    pub(super) offline_until: Option<Mono>,
}

/// A ban, which is remembered as long again as it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ban {
    pub(super) until: Mono,
    pub(super) lasts: Duration,
}

impl Record {
    pub(super) const fn new(node: Node) -> Self {
        Self {
            node,
            answers: 0,
            latency: Duration::ZERO,
            troubles: 0,
            lies: 0,
            in_a_row: 0,
            rest_until: None,
            ban: None,
            reporter: None,
            offline_until: None,
        }
    }

    pub(super) fn verified(&mut self, latency: Duration) {
        self.answers = self.answers.saturating_add(1);
        let share = u32::try_from(self.answers).unwrap_or(SMOOTHING).min(SMOOTHING);
        self.latency = (self.latency * (share - 1) + latency) / share;
        self.in_a_row = 0;
        self.rest_until = None;
    }

    pub(super) fn trouble(&mut self, now: Mono, config: &PoolConfig, random: &mut Rng) {
        self.troubles = self.troubles.saturating_add(1);
        let rest = config.trouble.delay(self.in_a_row, random.f64());
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.rest_until = Some(now + rest);
    }

    pub(super) fn lied(&mut self, now: Mono, config: &PoolConfig) {
        self.lies = self.lies.saturating_add(1);
        let again = self.ban.filter(|ban| now < ban.until + ban.lasts);
        let lasts = again.map_or(config.lie_ban, |ban| (ban.lasts * 2).min(config.longest_ban));
        let until = self.ban.map_or(now, |ban| ban.until).max(now + lasts);
        self.ban = Some(Ban { until, lasts });
    }

    pub(super) fn reported_offline(&mut self, now: Mono, by: NodeId, config: &PoolConfig) -> bool {
        // What somebody said long ago is no second opinion on what happens now.
        match self.reporter.filter(|(_, since)| now.since(*since) < config.offline) {
            Some((other, _)) if other != by => {
                self.reporter = None;
                self.offline_until = Some(now + config.offline);
            }
            _ => self.reporter = Some((by, now)),
        }
        self.is_offline(now)
    }

    pub(super) fn is_banned(&self, now: Mono) -> bool {
        self.ban.is_some_and(|ban| now < ban.until)
    }

    pub(super) fn is_offline(&self, now: Mono) -> bool {
        self.offline_until.is_some_and(|until| now < until)
    }

    pub(super) fn rests_until(&self, now: Mono) -> Option<Mono> {
        self.rest_until.filter(|until| now < *until)
    }

    /// At least 1. After a ban it grows from a hundredth to the whole within the time that the ban lasted.
    pub(super) fn weight(&self, now: Mono, config: &PoolConfig) -> u64 {
        let latency = if self.answers < MEASURED_AFTER { config.unmeasured } else { self.latency };
        let micros = latency.max(LEAST_LATENCY).as_micros();
        let whole = SECOND_WEIGHS * 1_000_000 / micros;
        let percent = self.ban.map_or(100, |ban| {
            let since = now.since(ban.until).as_millis().saturating_mul(100);
            (since / ban.lasts.as_millis().max(1)).clamp(1, 100)
        });
        u64::try_from(whole * percent / 100).unwrap_or(u64::MAX >> 17).max(1)
    }
}
