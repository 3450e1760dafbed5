//! The fan-out machine: who is asked, when again, until when. It knows nothing of answers.
//!
//! The rules: a peer has at most one attempt in flight. Every attempt has a timeout, the whole has a deadline, and a
//! peer is asked at most `attempts * (rounds + 1)` times, never twice in a row without a pause. So nothing here can
//! run for ever or run hot, whatever peers and strategies do. What comes late or twice is counted and changes
//! nothing.
//!
//! Drive it like every machine: after any `handle_*`, drain [`Attempts::poll_output`], then wait until
//! [`Attempts::poll_timeout`].

mod config;
mod slot;

pub use config::{AttemptsConfig, Fanout};
pub use slot::{AttemptOutcome, AttemptRecord};

use fastrand::Rng;
use quorate_base::Mono;
use slot::{Slot, State};
use std::collections::VecDeque;
use std::time::Duration;

/// How many finished attempts the history keeps; older ones are counted only.
pub const MAX_HISTORY: usize = 1_024;
/// The shortest pause before a peer is asked again, whatever the backoff says.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// One attempt: a number that its peer has once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    slot: u32,
    number: u32,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutput<P> {
    /// Ask the peer, and report what becomes of it under this id.
    Ask {
        /// The id.
        attempt: AttemptId,
        /// The peer.
        peer: P,
        /// When the machine gives the attempt up by itself.
        timeout: Duration,
    },
    /// Nobody waits for the attempt any more.
    Cancel {
        /// The id.
        attempt: AttemptId,
        /// The peer.
        peer: P,
    },
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lapse {
    /// The peer, as an index into [`Attempts::peers`].
    pub peer: usize,
    /// Whether the peer will not be asked again by itself: its error is final or its attempts are used up.
    pub spent: bool,
}

/// Attempts on a set of peers, of whom each is named by `P` and fails with `E`.
#[derive(Debug, Clone)]
pub struct Attempts<P, E> {
    config: AttemptsConfig,
    started: Mono,
    deadline: Mono,
    slots: Vec<Slot<P>>,
    /// When the next idle peer is asked though nothing failed.
    hedge_at: Option<Mono>,
    outputs: VecDeque<AttemptOutput<P>>,
    history: VecDeque<AttemptRecord<E>>,
    forgotten: u64,
    late: u64,
    rng: Rng,
}

impl<P: Clone + PartialEq, E> Attempts<P, E> {
    /// Starts with the first peers. `seed` draws the jitter. A peer that is named twice is asked once.
    pub fn new(now: Mono, peers: impl IntoIterator<Item = P>, config: AttemptsConfig, seed: u64) -> Self {
        let mut slots: Vec<Slot<P>> = Vec::new();
        for peer in peers {
            if slots.iter().all(|slot| slot.peer != peer) {
                slots.push(Slot::new(peer, &config));
            }
        }
        let mut attempts = Self {
            deadline: now + config.deadline,
            config,
            started: now,
            slots,
            hedge_at: None,
            outputs: VecDeque::new(),
            history: VecDeque::new(),
            forgotten: 0,
            late: 0,
            rng: Rng::with_seed(seed),
        };
        let first = match attempts.config.fanout {
            Fanout::All => attempts.slots.len(),
            Fanout::Hedged { first, .. } => first.get(),
        };
        for _ in 0..first {
            attempts.ask_next(now);
        }
        attempts
    }

    /// An attempt brought an answer. Returns the peer, or `None` for one that is late.
    pub fn handle_answered(&mut self, now: Mono, attempt: AttemptId) -> Option<usize> {
        let peer = self.end(now, attempt, AttemptOutcome::Answered)?;
        self.slot_state(peer, State::Done);
        self.keep_going(now);
        Some(peer)
    }

    /// An attempt failed. A `retryable` failure is repeated after a pause, as long as attempts are left.
    ///
    /// Returns what became of the peer, or `None` for an attempt that is late.
    pub fn handle_failed(
        &mut self,
        now: Mono,
        attempt: AttemptId,
        error: E,
        retryable: bool,
    ) -> Option<Lapse> {
        let peer = self.end(now, attempt, AttemptOutcome::Failed(error))?;
        Some(self.lapse(now, peer, retryable, Duration::ZERO))
    }

    /// An attempt failed, and the peer asks not to be asked again for `wait`: as [`Self::handle_failed`] of a failure that is retryable, with a
    /// pause of at least that. Beyond the deadline there is nothing to wait for, and the peer is spent.
    pub fn handle_deferred(
        &mut self,
        now: Mono,
        attempt: AttemptId,
        error: E,
        wait: Duration,
    ) -> Option<Lapse> {
        let peer = self.end(now, attempt, AttemptOutcome::Failed(error))?;
        Some(self.lapse(now, peer, now + wait < self.deadline, wait))
    }

    /// Time has passed: gives up attempts that took too long, repeats what is due, asks the next peer.
    ///
    /// Returns one attempt that was given up; call again until `None`.
    pub fn handle_timeout(&mut self, now: Mono) -> Option<Lapse> {
        let overdue = self.slots.iter().enumerate().find_map(|(index, slot)| match slot.state {
            State::InFlight { attempt, until, .. } if until <= now => Some((index, attempt)),
            _ => None,
        });
        if let Some((peer, attempt)) = overdue {
            let name = self.slots.get(peer).map(|slot| slot.peer.clone())?;
            self.cancel(attempt, name);
            self.end(now, attempt, AttemptOutcome::TimedOut);
            return Some(self.lapse(now, peer, true, Duration::ZERO));
        }
        for peer in 0..self.slots.len() {
            if self
                .slots
                .get(peer)
                .is_some_and(|slot| matches!(slot.state, State::Pausing { until } if until <= now))
            {
                self.ask(now, peer);
            }
        }
        if self.hedge_at.is_some_and(|at| at <= now) {
            self.ask_next(now);
        }
        None
    }

    /// Asks a peer that has answered, or is spent, once more, after a pause that grows from round to round.
    ///
    /// False when the peer has no round left, is being asked already, or is unknown.
    pub fn ask_again(&mut self, now: Mono, peer: usize) -> bool {
        let random = self.rng.f64();
        let Some(slot) = self.slots.get_mut(peer) else { return false };
        if slot.is_open() || slot.rounds_left == 0 {
            return false;
        }
        let round = self.config.rounds - slot.rounds_left;
        slot.rounds_left -= 1;
        slot.attempts_left = self.config.attempts.get();
        let pause = self.config.backoff.delay(round, random).max(LEAST_PAUSE);
        slot.state = State::Pausing { until: now + pause };
        true
    }

    /// Ends everything: what is in flight is cancelled, nobody is asked any more.
    pub fn stop(&mut self, now: Mono) {
        for peer in 0..self.slots.len() {
            let Some(slot) = self.slots.get(peer) else { continue };
            if let State::InFlight { attempt, .. } = slot.state {
                let name = slot.peer.clone();
                self.end(now, attempt, AttemptOutcome::Cancelled);
                self.cancel(attempt, name);
            }
            if self.slots.get(peer).is_some_and(|slot| slot.is_open()) {
                self.slot_state(peer, State::Stopped);
            }
        }
        self.hedge_at = None;
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<AttemptOutput<P>> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has to be called. The deadline of the whole is not in it: see [`Self::deadline`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        let slots = self.slots.iter().filter_map(|slot| match slot.state {
            State::InFlight { until, .. } | State::Pausing { until } => Some(until),
            _ => None,
        });
        slots.chain(self.hedge_at).min()
    }

    /// When the whole is over.
    pub const fn deadline(&self) -> Mono {
        self.deadline
    }

    /// How long one attempt may take.
    pub const fn attempt_timeout(&self) -> Duration {
        self.config.attempt_timeout
    }

    /// When it began.
    pub const fn started(&self) -> Mono {
        self.started
    }

    /// The peers, in the order in which they are asked. Indices elsewhere are indices into this.
    pub fn peers(&self) -> impl ExactSizeIterator<Item = &P> {
        self.slots.iter().map(|slot| &slot.peer)
    }

    /// The index of a peer.
    pub fn index_of(&self, peer: &P) -> Option<usize> {
        self.slots.iter().position(|slot| slot.peer == *peer)
    }

    /// Who can still answer: in flight, pausing, or not asked yet.
    pub fn open(&self) -> Open<'_, P> {
        Open { slots: &self.slots }
    }

    /// How often a peer was asked.
    pub fn asked(&self, peer: usize) -> u32 {
        self.slots.get(peer).map_or(0, |slot| slot.asked)
    }

    /// How often all peers were asked.
    pub fn total_asked(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.asked)).sum()
    }

    /// Finished attempts in the order in which they ended, at most [`MAX_HISTORY`] of them.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &AttemptRecord<E>> {
        self.history.iter()
    }

    /// How many finished attempts the history no longer has.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many answers and failures came for attempts that had ended.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Takes an attempt back: one that the driver has not seen never leaves.
    fn cancel(&mut self, attempt: AttemptId, peer: P) {
        let unseen = |output: &AttemptOutput<P>| matches!(output, AttemptOutput::Ask { attempt: asked, .. } if *asked == attempt);
        match self.outputs.iter().position(unseen) {
            Some(index) => drop(self.outputs.remove(index)),
            None => self.outputs.push_back(AttemptOutput::Cancel { attempt, peer }),
        }
    }

    fn lapse(&mut self, now: Mono, peer: usize, retryable: bool, wait: Duration) -> Lapse {
        let random = self.rng.f64();
        let Some(slot) = self.slots.get_mut(peer) else { return Lapse { peer, spent: true } };
        let spent = !retryable || slot.attempts_left == 0;
        slot.state = match spent {
            true => State::Spent,
            false => {
                let number = self.config.attempts.get() - slot.attempts_left;
                let pause = self.config.backoff.delay(number.saturating_sub(1), random).max(LEAST_PAUSE);
                State::Pausing { until: now + pause.max(wait) }
            }
        };
        // Another peer takes the place of one that failed.
        self.ask_next(now);
        Lapse { peer, spent }
    }

    /// With nothing in flight, the next peer does not wait for its hedge.
    fn keep_going(&mut self, now: Mono) {
        let waiting = |slot: &Slot<P>| matches!(slot.state, State::InFlight { .. } | State::Pausing { .. });
        if !self.slots.iter().any(waiting) {
            self.ask_next(now);
        }
    }

    fn ask_next(&mut self, now: Mono) {
        let idle = self.slots.iter().position(|slot| matches!(slot.state, State::Idle));
        if let Some(peer) = idle {
            self.ask(now, peer);
        }
        let more = self.slots.iter().any(|slot| matches!(slot.state, State::Idle));
        self.hedge_at = match self.config.fanout {
            Fanout::Hedged { after, .. } if more => Some(now + after.max(LEAST_PAUSE)),
            _ => None,
        };
    }

    fn ask(&mut self, now: Mono, peer: usize) {
        let until = (now + self.config.attempt_timeout).min(self.deadline);
        let (Ok(index), Some(slot)) = (u32::try_from(peer), self.slots.get_mut(peer)) else { return };
        slot.asked += 1;
        slot.attempts_left = slot.attempts_left.saturating_sub(1);
        let attempt = AttemptId { slot: index, number: slot.asked };
        slot.state = State::InFlight { attempt, since: now, until };
        self.outputs.push_back(AttemptOutput::Ask {
            attempt,
            peer: slot.peer.clone(),
            timeout: until.since(now),
        });
    }

    /// Records the end of an attempt that is in flight; `None` when it is not.
    fn end(&mut self, now: Mono, attempt: AttemptId, outcome: AttemptOutcome<E>) -> Option<usize> {
        let peer = attempt.slot as usize;
        let in_flight = self.slots.get(peer).and_then(|slot| match slot.state {
            State::InFlight { attempt: current, since, .. } if current == attempt => Some(since),
            _ => None,
        });
        let Some(since) = in_flight else {
            self.late += 1;
            return None;
        };
        if self.history.len() == MAX_HISTORY {
            self.history.pop_front();
            self.forgotten += 1;
        }
        self.history.push_back(AttemptRecord { peer, attempt, started: since, ended: now, outcome });
        self.slot_state(peer, State::Done);
        Some(peer)
    }

    fn slot_state(&mut self, peer: usize, state: State) {
        if let Some(slot) = self.slots.get_mut(peer) {
            slot.state = state;
        }
    }
}

/// The peers that can still answer.
#[derive(Debug)]
pub struct Open<'a, P> {
    slots: &'a [Slot<P>],
}

impl<P: PartialEq> Open<'_, P> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_open()).count()
    }

    /// Whether nobody can answer any more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this peer can.
    pub fn contains(&self, peer: &P) -> bool {
        self.slots.iter().any(|slot| slot.peer == *peer && slot.is_open())
    }
}

#[cfg(test)]
mod tests;
