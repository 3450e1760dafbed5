//! The query machine: a strategy on top of the fan-out.
//!
//! The rule: a query ends. It ends with a value when the strategy has one, with a reason when the strategy has that, and
//! by its deadline in any case; then everything in flight is cancelled. Until then it says at any time what every
//! peer did.

use crate::attempts::{AttemptId, AttemptOutput, Attempts, AttemptsConfig, Lapse};
use crate::error::PeerError;
use crate::report::{PeerReport, PeerState, QueryError, QueryFailure, QueryReport};
use crate::strategy::{QueryStep, QueryStrategy};
use bytes::Bytes;
use quorate_base::Mono;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// What the driver has to do.
#[derive(Debug)]
pub enum QuorumOutput<P, R> {
    /// Ask a peer, or stop waiting for one.
    Attempt(AttemptOutput<P>),
    /// The query has ended. Comes once, and last.
    Done(Result<R, QueryError<P>>),
}

/// One query of peers `P` whose answers `A` the strategy `S` judges.
#[derive(Debug)]
pub struct Quorum<P, A, S: QueryStrategy<P, A>> {
    method: Arc<str>,
    strategy: S,
    /// The strategy's own deadline, until it was told that it has passed.
    strategy_deadline: Option<Mono>,
    attempts: Attempts<P, ()>,
    states: Vec<PeerState>,
    /// Whose answer came last.
    latest: Option<usize>,
    ended: Mono,
    outcome: Outcome<P, S::Output>,
    answers: PhantomData<fn(A)>,
}

/// Where the end of the query is.
#[derive(Debug)]
enum Outcome<P, R> {
    Open,
    Ready(Result<R, QueryError<P>>),
    Taken,
}

impl<P, A, S> Quorum<P, A, S>
where
    P: Ord + Clone,
    S: QueryStrategy<P, A>,
{
    /// Starts a query. `method` is for reports, `seed` draws the jitter.
    pub fn new(
        now: Mono,
        method: impl Into<Arc<str>>,
        peers: impl IntoIterator<Item = P>,
        mut strategy: S,
        config: AttemptsConfig,
        seed: u64,
    ) -> Self {
        let attempts = Attempts::new(now, peers, config, seed);
        let mut quorum = Self {
            method: method.into(),
            strategy_deadline: strategy.deadline(now),
            strategy,
            states: attempts.peers().map(|_| PeerState::Silent).collect(),
            attempts,
            latest: None,
            ended: now,
            outcome: Outcome::Open,
            answers: PhantomData,
        };
        if quorum.states.is_empty() {
            quorum.end(now, |_| Err(QueryFailure::NoPeers));
        }
        quorum
    }

    /// An attempt brought an answer; `shown` is what reports say it was. One that is late changes nothing.
    pub fn handle_answer(&mut self, now: Mono, attempt: AttemptId, answer: A, shown: Bytes) {
        let Some(peer) = self.attempts.handle_answered(now, attempt) else { return };
        let after = now.since(self.attempts.started());
        self.set_state(peer, PeerState::Answered { answer: shown, after });
        self.latest = Some(peer);
        let Some(name) = self.attempts.peers().nth(peer).cloned() else { return };
        let step = self.strategy.process(now, &name, Ok(answer));
        self.take(now, step);
        self.judge_rest(now);
    }

    /// An attempt failed. It is repeated while that can help; then the strategy is told.
    pub fn handle_failure(&mut self, now: Mono, attempt: AttemptId, error: PeerError) {
        let lapse = match (error.is_retryable(), error.retry_after()) {
            (true, Some(wait)) => self.attempts.handle_deferred(now, attempt, (), wait),
            (retryable, _) => self.attempts.handle_failed(now, attempt, (), retryable),
        };
        if let Some(lapse) = lapse {
            self.lapsed(now, lapse, error);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        while self.is_open() {
            let Some(lapse) = self.attempts.handle_timeout(now) else { break };
            let after = self.attempts.attempt_timeout();
            self.lapsed(now, lapse, PeerError::TimedOut { after });
        }
        if self.is_open() && self.strategy_deadline.is_some_and(|deadline| deadline <= now) {
            self.strategy_deadline = None;
            let step = self.strategy.exhausted(now, &self.attempts.open());
            self.take(now, step);
        }
        if self.is_open() && self.attempts.deadline() <= now {
            // With nobody left to wait for, the strategy may still make something of what it has.
            self.attempts.stop(now);
            let step = self.strategy.exhausted(now, &self.attempts.open());
            match step {
                QueryStep::Success(value) => self.end(now, |_| Ok(value)),
                QueryStep::Failure { general: general @ QueryFailure::Disagreement { .. }, .. } => {
                    self.end(now, |_| Err(general));
                }
                _ => self.end(now, |_| Err(QueryFailure::Deadline)),
            }
        }
    }

    /// Nobody wants the value any more.
    pub fn cancel(&mut self, now: Mono) {
        self.end(now, |_| Err(QueryFailure::Cancelled));
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<QuorumOutput<P, S::Output>> {
        if let Some(output) = self.attempts.poll_output() {
            return Some(QuorumOutput::Attempt(output));
        }
        match std::mem::replace(&mut self.outcome, Outcome::Taken) {
            Outcome::Ready(outcome) => Some(QuorumOutput::Done(outcome)),
            other => {
                self.outcome = other;
                None
            }
        }
    }

    /// When [`Self::handle_timeout`] has to be called; `None` when the query has ended.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if !self.is_open() {
            return None;
        }
        [self.attempts.poll_timeout(), self.strategy_deadline, Some(self.attempts.deadline())]
            .into_iter()
            .flatten()
            .min()
    }

    /// What every peer did until now, or until the end; by peer, in whatever order they were asked.
    pub fn report(&self, now: Mono) -> QueryReport<P> {
        let end = if self.is_open() { now } else { self.ended };
        let peers = self.attempts.peers().zip(&self.states).enumerate();
        let mut peers: Vec<_> = peers
            .map(|(index, (peer, state))| PeerReport {
                peer: peer.clone(),
                asked: self.attempts.asked(index),
                state: state.clone(),
            })
            .collect();
        peers.sort_by(|one, other| one.peer.cmp(&other.peer));
        QueryReport { method: self.method.clone(), elapsed: end.since(self.attempts.started()), peers }
    }

    /// The peers in the order in which they were asked, and whether each was of use: it said, byte by byte, what the latest answer says.
    ///
    /// Of a query with a value those who were of no use are the ones to ask last the next time: they lied, failed or were slower.
    pub fn of_use(&self) -> impl Iterator<Item = (&P, bool)> {
        let latest = self.latest.and_then(|peer| self.states.get(peer)).and_then(PeerState::answer);
        self.attempts
            .peers()
            .zip(&self.states)
            .map(move |(peer, state)| (peer, latest.is_some() && state.answer() == latest))
    }

    /// How often all peers were asked.
    pub fn total_asked(&self) -> u64 {
        self.attempts.total_asked()
    }

    /// How many answers and failures came too late.
    pub const fn late(&self) -> u64 {
        self.attempts.late()
    }

    const fn is_open(&self) -> bool {
        matches!(self.outcome, Outcome::Open)
    }

    fn lapsed(&mut self, now: Mono, lapse: Lapse, error: PeerError) {
        let step = match (lapse.spent, self.attempts.peers().nth(lapse.peer)) {
            (true, Some(name)) => self.strategy.process(now, name, Err(&error)),
            _ => QueryStep::Continue,
        };
        let after = now.since(self.attempts.started());
        self.set_state(lapse.peer, PeerState::Failed { error, after });
        self.take(now, step);
        if lapse.spent {
            self.judge_rest(now);
        }
    }

    /// Does what the strategy says.
    fn take(&mut self, now: Mono, step: QueryStep<P, S::Output>) {
        match step {
            QueryStep::Continue => {}
            QueryStep::RetryMembers(peers) => {
                for peer in peers {
                    if let Some(index) = self.attempts.index_of(&peer) {
                        self.attempts.ask_again(now, index);
                    }
                }
            }
            QueryStep::FailMembers(members) => self.fail_members(now, members),
            QueryStep::Failure { general, members } => {
                self.fail_members(now, members);
                self.end(now, |_| Err(general));
            }
            QueryStep::Success(value) => self.end(now, |_| Ok(value)),
        }
    }

    /// Asks the strategy whether those who can still answer are enough for it.
    fn judge_rest(&mut self, now: Mono) {
        if self.is_open() {
            let step = self.strategy.exhausted(now, &self.attempts.open());
            self.take(now, step);
        }
        // A strategy that wants to go on with nobody left has nothing to wait for.
        if self.is_open() && self.attempts.open().is_empty() {
            self.end(now, |_| Err(QueryFailure::NobodyLeft));
        }
    }

    fn fail_members(&mut self, now: Mono, members: BTreeMap<P, PeerError>) {
        let after = now.since(self.attempts.started());
        for (peer, error) in members {
            if let Some(index) = self.attempts.index_of(&peer) {
                self.set_state(index, PeerState::Failed { error, after });
            }
        }
    }

    fn set_state(&mut self, peer: usize, state: PeerState) {
        if let Some(slot) = self.states.get_mut(peer) {
            *slot = state;
        }
    }

    fn end(&mut self, now: Mono, outcome: impl FnOnce(&Self) -> Result<S::Output, QueryFailure>) {
        if !self.is_open() {
            return;
        }
        self.attempts.stop(now);
        self.ended = now;
        self.outcome = Outcome::Ready(
            outcome(self).map_err(|failure| QueryError { failure, report: Box::new(self.report(now)) }),
        );
    }
}

#[cfg(test)]
mod tests;
