//! One peer's place in the fan-out, and what is remembered of its attempts.

use super::{AttemptId, AttemptsConfig};
use quorate_base::Mono;

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord<E> {
    /// The peer, as an index.
    pub peer: usize,
    /// Which attempt.
    pub attempt: AttemptId,
    /// When the peer was asked.
    pub started: Mono,
    /// When the attempt ended.
    pub ended: Mono,
    /// How.
    pub outcome: AttemptOutcome<E>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome<E> {
    /// The peer answered.
    Answered,
    /// It failed.
    Failed(E),
    /// It took too long.
    TimedOut,
    /// It was not needed any more.
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Slot<P> {
    pub(super) peer: P,
    pub(super) state: State,
    pub(super) asked: u32,
    pub(super) attempts_left: u32,
    pub(super) rounds_left: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// Not asked yet.
    Idle,
    /// Asked, and not heard of.
    InFlight { attempt: AttemptId, since: Mono, until: Mono },
    /// Asked again at that time.
    Pausing { until: Mono },
    /// Has answered.
    Done,
    /// Failed, and is not asked again by itself.
    Spent,
    /// The whole has ended before it could answer.
    Stopped,
}

impl<P> Slot<P> {
    pub(super) const fn new(peer: P, config: &AttemptsConfig) -> Self {
        Self {
            peer,
            state: State::Idle,
            asked: 0,
            attempts_left: config.attempts.get(),
            rounds_left: config.rounds,
        }
    }

    /// Whether it can still answer.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Idle | State::InFlight { .. } | State::Pausing { .. })
    }
}
