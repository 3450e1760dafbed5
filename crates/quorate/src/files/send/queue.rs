//! Which chunks go next: those that somebody lacks, within a window of bytes under way.
//!
//! The rule: a chunk is in one place at a time. It is wanted, or under way, or resting after its
//! delivery, or nobody lacks it.

use super::SendToken;
use super::receiver::Receiver;
use crate::files::chunks::ChunkSet;
use crate::files::manifest::Manifest;
use quorate_base::{Backoff, Mono};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The bounds of a queue, from the outbox's config.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendQueueLimits {
    pub(super) window: u64,
    pub(super) rest: Duration,
    pub(super) retry: Backoff,
}

#[derive(Debug)]
pub(super) struct Queue {
    manifest: Manifest,
    limits: SendQueueLimits,
    wanted: ChunkSet,
    under_way: HashMap<SendToken, u32>,
    flying: ChunkSet,
    in_flight: u64,
    resting: ChunkSet,
    /// When each resting chunk has rested, in order.
    rested_at: VecDeque<(Mono, u32)>,
    /// Where the last chunk came from; the next one is sought from here on.
    cursor: u32,
    failures: u32,
    paused_until: Option<Mono>,
}

impl Queue {
    pub(super) fn new(manifest: Manifest, limits: SendQueueLimits) -> Self {
        let none = ChunkSet::new(manifest.total_chunks());
        Self {
            manifest,
            limits,
            wanted: none.clone(),
            under_way: HashMap::new(),
            flying: none.clone(),
            in_flight: 0,
            resting: none,
            rested_at: VecDeque::new(),
            cursor: 0,
            failures: 0,
            paused_until: None,
        }
    }

    /// Wants what a receiver with `held` lacks, but for what is under way and, unless the receiver
    /// `restarted`, what was delivered a moment ago and may have crossed its report.
    pub(super) fn want_what_lacks(&mut self, now: Mono, held: &ChunkSet, restarted: bool) {
        while let Some((_, number)) = self.rested_at.pop_front_if(|(until, _)| *until <= now) {
            self.resting.remove(number);
        }
        let mut lacking = ChunkSet::new(self.manifest.total_chunks());
        lacking.add_missing_from(held);
        lacking.subtract(&self.flying);
        if !restarted {
            lacking.subtract(&self.resting);
        }
        self.wanted.add(&lacking);
    }

    /// Drops what nobody lacks who is receiving.
    pub(super) fn keep_wanted<'a>(&mut self, receivers: impl Iterator<Item = &'a Receiver>) {
        if self.wanted.is_empty() {
            return;
        }
        let mut lacking = ChunkSet::new(self.manifest.total_chunks());
        for receiver in receivers.filter(|receiver| receiver.is_receiving()) {
            lacking.add_missing_from(receiver.held());
        }
        self.wanted.retain_in(&lacking);
    }

    /// The next chunk to send, as file, index and length, if the window has room.
    pub(super) fn poll(&mut self, token: SendToken) -> Option<(u32, u32, u32)> {
        if self.paused_until.is_some() {
            return None;
        }
        let number = self.wanted.next_from(self.cursor).or_else(|| self.wanted.next_from(0))?;
        let (file, chunk) = self.manifest.locate(number)?;
        let len = self.manifest.place_of(number)?.len;
        if self.in_flight > 0 && self.in_flight + u64::from(len) > self.limits.window {
            return None;
        }
        self.wanted.remove(number);
        self.flying.insert(number);
        self.under_way.insert(token, number);
        self.in_flight += u64::from(len);
        self.cursor = number + 1;
        Some((file, chunk, len))
    }

    pub(super) fn handle_delivered(&mut self, now: Mono, token: SendToken) {
        if let Some(number) = self.land(token) {
            self.failures = 0;
            self.resting.insert(number);
            self.rested_at.push_back((now + self.limits.rest, number));
        }
    }

    /// Wants the chunk again, after a pause; false when the token is not that of a chunk.
    pub(super) fn handle_failed(&mut self, now: Mono, token: SendToken) -> bool {
        let Some(number) = self.land(token) else { return false };
        self.wanted.insert(number);
        // Those that fail together are one failure.
        if self.paused_until.is_none() {
            self.paused_until = Some(now + self.limits.retry.delay(self.failures, 0.5));
            self.failures = self.failures.saturating_add(1);
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Mono) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.paused_until
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    fn land(&mut self, token: SendToken) -> Option<u32> {
        let number = self.under_way.remove(&token)?;
        self.flying.remove(number);
        self.in_flight -= self.manifest.place_of(number).map_or(0, |place| u64::from(place.len));
        Some(number)
    }
}
