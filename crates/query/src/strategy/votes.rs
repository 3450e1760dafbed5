//! Strategies that count equal answers.
//!
//! One mechanism, [`Votes`], and its settings: how many equal answers are needed, whether a peer's older answers still
//! count, when peers are asked again, and how many failures end it.

use super::{QueryStep, QueryStrategy};
use crate::attempts::Open;
use crate::error::PeerError;
use crate::report::QueryFailure;
use quorate_base::Mono;
use quorate_versioning::NumPeers;
use std::collections::{BTreeMap, BTreeSet};

/// Equal answers, counted by linear search: peers are few, and their answers fewer.
#[derive(Debug, Clone)]
pub(super) struct Votes<P, A> {
    need: usize,
    /// Whether a peer's earlier answers count beside its latest.
    keep_old: bool,
    /// How many failures end it; `None`: when no value can reach `need` any more.
    error_limit: Option<usize>,
    retry: Retry,
    tally: Vec<(A, BTreeSet<P>)>,
    /// Who has spoken since peers were last asked again.
    fresh: BTreeSet<P>,
    errors: BTreeSet<P>,
    retryable: BTreeSet<P>,
}

/// When peers are asked again.
#[derive(Debug, Clone, Copy)]
enum Retry {
    Never,
    /// When that many have answered.
    Answers(usize),
    /// When that many have answered or failed.
    AnswersAndErrors(usize),
}

impl<P: Ord + Clone, A: Eq> Votes<P, A> {
    /// The seed's counting: what a peer ever said counts, `need` failures end it.
    pub(super) const fn published(need: usize) -> Self {
        Self::new(need, true, Some(need), Retry::Never)
    }

    const fn new(need: usize, keep_old: bool, error_limit: Option<usize>, retry: Retry) -> Self {
        Self {
            need,
            keep_old,
            error_limit,
            retry,
            tally: Vec::new(),
            fresh: BTreeSet::new(),
            errors: BTreeSet::new(),
            retryable: BTreeSet::new(),
        }
    }

    pub(super) fn process(&mut self, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, A> {
        match answer {
            Ok(value) => {
                self.errors.remove(peer);
                self.retryable.remove(peer);
                self.fresh.insert(peer.clone());
                if let Some(agreed) = self.vote(peer, value) {
                    return QueryStep::Success(agreed);
                }
            }
            Err(error) => {
                self.withdraw(peer);
                self.errors.insert(peer.clone());
                if error.is_retryable() {
                    self.retryable.insert(peer.clone());
                }
                if matches!(self.retry, Retry::AnswersAndErrors(_)) {
                    self.fresh.insert(peer.clone());
                }
            }
        }
        let count = self.errors.len();
        if let Some(limit) = self.error_limit.filter(|limit| count >= *limit) {
            return QueryStep::fail(QueryFailure::TooManyErrors { count, limit });
        }
        match self.retry {
            Retry::Answers(count) | Retry::AnswersAndErrors(count) if self.fresh.len() >= count => {
                let mut again = std::mem::take(&mut self.fresh);
                again.extend(self.retryable.iter().cloned());
                QueryStep::RetryMembers(again)
            }
            _ => QueryStep::Continue,
        }
    }

    pub(super) fn exhausted(&self, open: &Open<'_, P>) -> QueryStep<P, A> {
        let settled = |peers: &BTreeSet<P>| peers.iter().filter(|peer| !open.contains(peer)).count();
        let settled = self.tally.iter().map(|(_, peers)| settled(peers));
        // Those who are asked again may all change their minds: then only how many there are counts.
        let firm = match self.retry {
            Retry::Never => settled.max().unwrap_or(0),
            Retry::Answers(_) | Retry::AnswersAndErrors(_) => settled.sum(),
        };
        if firm + open.len() >= self.need && !open.is_empty() {
            return QueryStep::Continue;
        }
        let best = self.tally.iter().map(|(_, peers)| peers.len()).max().unwrap_or(0);
        QueryStep::fail(match self.tally.len() {
            0 | 1 => QueryFailure::TooFew { need: self.need, have: best },
            values => QueryFailure::Disagreement { need: self.need, best, values },
        })
    }

    /// Adds a vote; the value, when it has enough.
    fn vote(&mut self, peer: &P, value: A) -> Option<A> {
        if !self.keep_old {
            self.withdraw(peer);
        }
        let index = match self.tally.iter().position(|(voted, _)| *voted == value) {
            Some(index) => index,
            None => {
                self.tally.push((value, BTreeSet::new()));
                self.tally.len() - 1
            }
        };
        let (_, peers) = self.tally.get_mut(index)?;
        peers.insert(peer.clone());
        (peers.len() >= self.need).then(|| self.tally.swap_remove(index).0)
    }

    fn withdraw(&mut self, peer: &P) {
        if !self.keep_old {
            self.tally.retain_mut(|(_, peers)| {
                peers.remove(peer);
                !peers.is_empty()
            });
        }
    }
}

macro_rules! counting {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<P, A>(Votes<P, A>);

        impl<P: Ord + Clone, A: Eq> QueryStrategy<P, A> for $name<P, A> {
            type Output = A;

            fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, A> {
                self.0.process(peer, answer)
            }

            fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, A> {
                self.0.exhausted(open)
            }
        }
    )*};
}

counting! {
    /// The value that a quorum of peers gives at the same time: the safe reading of a federation's state.
    ///
    /// A peer's latest answer counts. When a quorum has answered and no value has one, those are asked again, after
    /// a pause: their states may have been caught in the middle of a change. It fails as soon as no value can reach
    /// the quorum. (Fedimint 0.2 to 0.13; theirs asks again at once and for ever.)
    ThresholdConsensus

    /// The value that `k` peers have ever given (seed; used there with k = f + 1).
    ///
    /// **Unsafe for what changes.** With k = f + 1 two values can both have enough votes, and since older votes
    /// count beside newer ones, votes cast at different times add up: the value can go back in time. Use
    /// [`ThresholdConsensus`]. It ends with a failure at `k` failed peers.
    CurrentConsensus

    /// As [`CurrentConsensus`], and whenever `k` peers have answered or failed without a verdict they are asked again
    /// (seed; used there for the epoch count, with k = f + 1).
    ///
    /// **Unsafe in the same way.** Use [`ThresholdConsensus`].
    EventuallyConsistent
}

impl<P: Ord + Clone, A: Eq> ThresholdConsensus<P, A> {
    /// Equal answers of n - f peers: bears f faulty ones.
    pub const fn overcome_evil(peers: NumPeers) -> Self {
        Self::of(peers.threshold())
    }

    /// Equal answers of all peers.
    pub const fn full_participation(peers: NumPeers) -> Self {
        Self::of(peers.total())
    }

    const fn of(need: usize) -> Self {
        Self(Votes::new(need, false, None, Retry::Answers(need)))
    }
}

impl<P: Ord + Clone, A: Eq> CurrentConsensus<P, A> {
    /// `k` equal answers, ever.
    pub const fn new(k: usize) -> Self {
        Self(Votes::published(k))
    }
}

impl<P: Ord + Clone, A: Eq> EventuallyConsistent<P, A> {
    /// `k` equal answers, ever; asked again after every `k`.
    pub const fn new(k: usize) -> Self {
        Self(Votes::new(k, true, Some(k), Retry::AnswersAndErrors(k)))
    }
}

/// The value of a quorum, or all answers when there is none: asks once and never stalls (Fedimint since 2026).
///
/// `Err` holds every peer's answer, once everybody has answered or failed and a quorum has answered. With fewer
/// answers it is a failure.
#[derive(Debug, Clone)]
pub struct ThresholdAgreement<P, A> {
    need: usize,
    answers: BTreeMap<P, A>,
}

impl<P: Ord + Clone, A: Eq> ThresholdAgreement<P, A> {
    /// Equal answers of n - f peers.
    pub const fn new(peers: NumPeers) -> Self {
        Self { need: peers.threshold(), answers: BTreeMap::new() }
    }
}

impl<P: Ord + Clone, A: Eq> QueryStrategy<P, A> for ThresholdAgreement<P, A> {
    type Output = Result<A, BTreeMap<P, A>>;

    fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, Self::Output> {
        let Ok(value) = answer else { return QueryStep::Continue };
        if self.answers.values().filter(|given| **given == value).count() + 1 >= self.need {
            return QueryStep::Success(Ok(value));
        }
        self.answers.insert(peer.clone(), value);
        QueryStep::Continue
    }

    fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, Self::Output> {
        match (open.is_empty(), self.answers.len()) {
            (false, _) => QueryStep::Continue,
            (true, have) if have < self.need => {
                QueryStep::fail(QueryFailure::TooFew { need: self.need, have })
            }
            (true, _) => QueryStep::Success(Err(std::mem::take(&mut self.answers))),
        }
    }
}
