//! A bad network as a pure function: which copies of a message arrive, and when.
//!
//! The rule: a fate depends on the seed, the link, the message and the attempt, and on nothing else. So it
//! is the same in whatever order one asks, on every platform, in a simulation and on real sockets, and a
//! failure replays from its seed.
//!
//! ```
//! use quorate_testkit::network::{FaultPlan, Link};
//!
//! let plan = FaultPlan { seed: 7, loss: 0.2, ..FaultPlan::default() };
//! plan.validate()?;
//! let link = Link { from: "alice", to: "bob" };
//! let fate = plan.fate(link, "message 1", 0);
//! for delay in fate.delays() {
//!     assert!(*delay <= *plan.latency.end()); // deliver a copy after `delay`
//! }
//! assert_eq!(plan.fate(link, "message 1", 0), fate);
//! # Ok::<(), quorate_testkit::network::FaultError>(())
//! ```

mod draw;

use draw::Draw;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How bad a network is.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Names the run: the same seed, the same faults.
    pub seed: u64,
    /// How many messages are dropped: a probability in `0..1`.
    pub loss: f64,
    /// How many of the rest arrive twice: a probability in `0..=1`.
    pub duplicate: f64,
    /// How many copies are held back, so that later ones overtake them: a probability in `0..=1`. A copy
    /// is held back by one to three times the longest latency, and by at least 10 to 30 ms.
    pub reorder: f64,
    /// How long a copy is under way, uniformly.
    pub latency: RangeInclusive<Duration>,
}

/// A direction between two participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Who sends.
    pub from: &'a str,
    /// Who receives.
    pub to: &'a str,
}

/// What becomes of one attempt to send one message over one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    delays: [Duration; 2],
    copies: usize,
}

/// A plan that is no network. The caller's fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// With a loss of 1 or more nothing ever arrives.
    #[error("a loss of {0} is not in 0..1")]
    Loss(f64),
    /// No probability.
    #[error("`{field}` is {value}, which is not in 0..=1")]
    Probability {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// The shortest latency is longer than the longest.
    #[error("the latency runs from {0:?} down to {1:?}")]
    Latency(Duration, Duration),
}

impl Default for FaultPlan {
    /// A perfect network: seed 0, no faults, no latency.
    fn default() -> Self {
        Self { seed: 0, loss: 0.0, duplicate: 0.0, reorder: 0.0, latency: Duration::ZERO..=Duration::ZERO }
    }
}

impl FaultPlan {
    /// Checks every range.
    pub fn validate(&self) -> Result<(), FaultError> {
        if !(0.0..1.0).contains(&self.loss) {
            return Err(FaultError::Loss(self.loss));
        }
        for (field, value) in [("duplicate", self.duplicate), ("reorder", self.reorder)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(FaultError::Probability { field, value });
            }
        }
        if self.latency.is_empty() {
            return Err(FaultError::Latency(*self.latency.start(), *self.latency.end()));
        }
        Ok(())
    }

    /// The fate of attempt `attempt` (0 for the first) to send `message` over `link`.
    ///
    /// `message` is any name that is the same at every attempt and another for every other message.
    pub fn fate(&self, link: Link<'_>, message: &str, attempt: u32) -> Fate {
        let draw = Draw::new(self.seed, link, message, attempt);
        let mut fate = Fate { delays: [Duration::ZERO; 2], copies: 0 };
        if draw.unit("loss") < self.loss {
            return fate;
        }
        fate.copies = 1 + usize::from(draw.unit("duplicate") < self.duplicate);
        for (delay, names) in fate.delays.iter_mut().zip(COPIES).take(fate.copies) {
            *delay = self.delay(&draw, names);
        }
        fate
    }

    fn delay(&self, draw: &Draw, [latency, reorder, held_back]: [&str; 3]) -> Duration {
        const LEAST: Duration = Duration::from_millis(10);
        let (shortest, longest) = (*self.latency.start(), *self.latency.end());
        let delay = shortest + longest.saturating_sub(shortest).mul_f64(draw.unit(latency));
        if draw.unit(reorder) < self.reorder {
            delay + longest.max(LEAST).mul_f64(1.0 + 2.0 * draw.unit(held_back))
        } else {
            delay
        }
    }
}

/// What is drawn for each copy.
const COPIES: [[&str; 3]; 2] =
    [["latency", "reorder", "held back"], ["latency 2", "reorder 2", "held back 2"]];

impl Fate {
    /// After how long each copy arrives; empty when the message is dropped.
    pub fn delays(&self) -> &[Duration] {
        self.delays.get(..self.copies).unwrap_or_default()
    }

    /// Whether nothing arrives.
    pub const fn is_dropped(&self) -> bool {
        self.copies == 0
    }
}

#[cfg(test)]
mod tests;
