//! How patient a query is.

use quorate_base::Backoff;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// How often and how long peers are asked.
///
/// The defaults suit a person who waits: 10 s for an attempt, 30 s for the whole, two attempts per peer and round, five
/// further rounds. A federation of four is asked at most 48 times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttemptsConfig {
    /// How long one attempt may take. Every attempt has it, the first and the repeated ones.
    pub attempt_timeout: Duration,
    /// How long the whole may take.
    pub deadline: Duration,
    /// How often a peer is asked in one round while its failures are retryable.
    pub attempts: NonZeroU32,
    /// How often a strategy may have a peer asked again that has answered or is spent.
    pub rounds: u32,
    /// The pauses: between the attempts of a round, and before each round. At least 1 ms, whatever it says.
    pub backoff: Backoff,
    /// Who is asked at first.
    pub fanout: Fanout,
}

/// Who is asked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fanout {
    /// Everybody at once.
    All,
    /// Some, and one more whenever one fails or time passes without an end.
    Hedged {
        /// How many at first.
        first: NonZeroUsize,
        /// How long until the next one is asked.
        after: Duration,
    },
}

impl Default for AttemptsConfig {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            attempts: NonZeroU32::MIN.saturating_add(1),
            rounds: 5,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
            fanout: Fanout::All,
        }
    }
}

impl AttemptsConfig {
    /// One attempt per peer and no repetition of failures: what strategies of the seed's time saw.
    #[must_use]
    pub const fn single(mut self) -> Self {
        self.attempts = NonZeroU32::MIN;
        self
    }

    /// Sets the deadline of the whole, and the timeout of an attempt to no more.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self.attempt_timeout = self.attempt_timeout.min(deadline);
        self
    }

    /// The most attempts that a query of `peers` peers can make.
    pub fn most_attempts(&self, peers: usize) -> u64 {
        let per_peer = u64::from(self.attempts.get()) * (u64::from(self.rounds) + 1);
        per_peer.saturating_mul(peers as u64)
    }
}
