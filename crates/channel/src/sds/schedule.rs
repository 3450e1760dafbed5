//! When to speak without anything to say: sync messages, adaptively.
//!
//! The rule: what was received is acknowledged soon after ([`SyncConfig::ack_delay`]), also by a
//! participant that never sends content; without traffic syncs become rarer up to a bound, and any
//! content makes them frequent again.

use quorate_base::{Backoff, Mono};
use std::time::Duration;

/// When sync messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyncConfig {
    /// How long an acknowledgement waits for content to travel with; halved to one and a half times
    /// at random. Default 50 ms. In groups of more than five it grows with the group, up to 5 s.
    pub ack_delay: Duration,
    /// The distance of syncs without traffic, growing from message to message. Default 5 s to 2 min.
    pub idle: Backoff,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            ack_delay: Duration::from_millis(50),
            idle: Backoff::new(Duration::from_secs(5), Duration::from_secs(120)),
        }
    }
}

/// The others among whom `ack_delay` is as configured.
const SMALL: usize = 5;
/// How far it grows in large groups.
const MAX_ACK_DELAY: Duration = Duration::from_secs(5);

impl SyncConfig {
    /// How long an acknowledgement waits where there are so many others: as everybody gives one, all of them together then speak
    /// as often as five do.
    pub fn ack_delay_among(&self, others: usize) -> Duration {
        let grown = self.ack_delay.mul_f64(others.max(SMALL) as f64 / SMALL as f64);
        grown.min(MAX_ACK_DELAY.max(self.ack_delay))
    }
}

/// The two timers behind sync messages.
#[derive(Debug)]
pub struct Schedule {
    config: SyncConfig,
    ack_due: Option<Mono>,
    idle_due: Option<Mono>,
    idle_count: u32,
}

impl Schedule {
    /// Silent until the first [`Schedule::activity`].
    pub const fn new(config: SyncConfig) -> Self {
        Self { config, ack_due: None, idle_due: None, idle_count: 0 }
    }

    /// Something is to be acknowledged, and `others` do so too. `random` is uniform in `0..1`.
    pub fn acknowledge(&mut self, now: Mono, others: usize, random: f64) {
        let delay = self.config.ack_delay_among(others).mul_f64(0.5 + random.clamp(0.0, 1.0));
        self.ack_due.get_or_insert(now + delay);
    }

    /// Content was sent or received: syncs become frequent again.
    pub fn activity(&mut self, now: Mono, random: f64) {
        self.idle_count = 0;
        self.idle_due = Some(now + self.config.idle.delay(0, random));
    }

    /// Somebody else's sync was received: ours, where it has nothing to acknowledge, may wait.
    pub fn heard(&mut self, now: Mono, random: f64) {
        if let Some(due) = &mut self.idle_due {
            *due = (*due).max(now + self.config.idle.delay(self.idle_count, random));
        }
    }

    /// Whether a sync is due now.
    pub fn is_due(&self, now: Mono) -> bool {
        self.poll_timeout().is_some_and(|due| due <= now)
    }

    /// A message with all acknowledgements was made.
    pub const fn acknowledged(&mut self) {
        self.ack_due = None;
    }

    /// A sync was made: the next one without traffic comes later than this one did.
    pub fn synced(&mut self, now: Mono, random: f64) {
        self.ack_due = None;
        if self.idle_due.is_some_and(|due| due <= now) {
            self.idle_count = self.idle_count.saturating_add(1);
            self.idle_due = Some(now + self.config.idle.delay(self.idle_count, random));
        }
    }

    /// When the next sync is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        [self.ack_due, self.idle_due].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_share_one_sync_and_idle_syncs_become_rare() {
        let idle = Backoff::new(Duration::from_secs(1), Duration::from_secs(4)).jitter(0.0);
        let config = SyncConfig { ack_delay: Duration::from_millis(50), idle };
        let mut schedule = Schedule::new(config);
        let at = |millis| Mono::from_origin(Duration::from_millis(millis));
        assert_eq!(schedule.poll_timeout(), None);
        schedule.activity(at(0), 0.5);
        schedule.acknowledge(at(0), 2, 0.5);
        schedule.acknowledge(at(30), 2, 0.5);
        assert_eq!(schedule.poll_timeout(), Some(at(50)));
        schedule.synced(at(50), 0.5);
        let mut due = Vec::new();
        for _ in 0..4 {
            let next = schedule.poll_timeout().unwrap();
            due.push(next.elapsed().as_millis());
            schedule.synced(next, 0.5);
        }
        assert_eq!(due, [1_000, 3_000, 7_000, 11_000]);
    }

    #[test]
    fn the_larger_the_group_the_longer_an_acknowledgement_waits_up_to_a_bound() {
        let config = SyncConfig { ack_delay: Duration::from_millis(50), ..SyncConfig::default() };
        let delay = |others| config.ack_delay_among(others).as_millis();
        assert_eq!([0, 1, 5, 10, 100, 500, 5_000].map(delay), [50, 50, 50, 100, 1_000, 5_000, 5_000]);
        let slow = SyncConfig { ack_delay: Duration::from_secs(60), ..config };
        assert_eq!(slow.ack_delay_among(1_000).as_secs(), 60, "never less than configured");
    }
}
