//! How a verified request goes about.

use crate::attempts::{AttemptsConfig, Fanout};
use crate::pool::Filter;
use quorate_base::Backoff;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// How many nodes are asked, how often and how long.
///
/// The defaults suit a person who waits: two nodes at a time, seven rounds, 10 s for an answer, 30 s for the whole with all that it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedConfig {
    /// How many nodes are raced in one round (IN3's `requestCount`). Default: 2.
    pub race: NonZeroUsize,
    /// With a value, so many more stand ready in each round: the next one is asked when that long nobody was verified, or
    /// when one failed. Default: none.
    pub hedge: Option<Duration>,
    /// How many rounds there are, each with new nodes as long as there are any (IN3's `maxAttempts`). Default: 7.
    pub rounds: NonZeroU32,
    /// How long one node has. Any duration counts, below a second too. Default: 10 s.
    pub attempt_timeout: Duration,
    /// How long the whole may take, with everything that it needs. Default: 30 s.
    pub deadline: Duration,
    /// The pauses before rounds in which nobody new is left to ask. At least 1 ms.
    pub backoff: Backoff,
    /// How many nodes have to say that they give nothing (a refusal, `null`, an empty list) until that is the end. With fewer
    /// nodes to ask, all of them. Default: 3.
    pub refusals: NonZeroUsize,
    /// How many signers out of the pool have to vouch for an answer. Default: 0.
    pub witnesses: usize,
    /// Which nodes may be asked.
    pub nodes: Filter,
    /// Which nodes may vouch.
    pub signers: Filter,
    /// Whether answers that come after the first verified one are verified as well, so that who lies is known though it lost
    /// the race. Default: no.
    pub audit: bool,
}

impl Default for VerifiedConfig {
    fn default() -> Self {
        Self {
            race: const { NonZeroUsize::new(2).expect("not zero") },
            hedge: None,
            rounds: const { NonZeroU32::new(7).expect("not zero") },
            attempt_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(2)),
            refusals: const { NonZeroUsize::new(3).expect("not zero") },
            witnesses: 0,
            nodes: Filter::default(),
            signers: Filter::default(),
            audit: false,
        }
    }
}

impl VerifiedConfig {
    /// Sets the deadline of the whole, and the timeout of an attempt to no more than a third of it: so that others can be asked
    /// when the first ones are silent.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self.attempt_timeout = self.attempt_timeout.min(deadline / 3);
        self
    }

    /// How many nodes a round has.
    pub(super) const fn round_size(&self) -> usize {
        match self.hedge {
            Some(_) => self.race.get().saturating_mul(2),
            None => self.race.get(),
        }
    }

    /// One round is a fan-out in which each node is asked once.
    pub(super) fn fanout(&self, left: Duration) -> AttemptsConfig {
        AttemptsConfig {
            attempt_timeout: self.attempt_timeout.min(left),
            deadline: left,
            attempts: NonZeroU32::MIN,
            rounds: 0,
            backoff: self.backoff,
            fanout: match self.hedge {
                Some(after) => Fanout::Hedged { first: self.race, after },
                None => Fanout::All,
            },
        }
    }
}
