//! Strategies that collect the answers of many peers.

use super::{QueryStep, QueryStrategy};
use crate::attempts::Open;
use crate::error::PeerError;
use crate::report::QueryFailure;
use quorate_base::Mono;
use quorate_versioning::NumPeers;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

/// The answers of a quorum, each passed through `filter`, by peer.
///
/// Nothing is agreed on: what the peers say stands beside one another, lies included. For what each peer has of its own
/// (its share of a backup, its own status).
#[derive(Debug, Clone)]
pub struct FilterMapThreshold<P, R, F> {
    filter: F,
    need: usize,
    values: BTreeMap<P, R>,
}

impl<P: Ord, R, F> FilterMapThreshold<P, R, F> {
    /// The answers of n - f peers; the filter is `FnMut(&P, A) -> Result<R, E>`.
    pub const fn new(peers: NumPeers, filter: F) -> Self {
        Self { filter, need: peers.threshold(), values: BTreeMap::new() }
    }
}

impl<P, A, R, E, F> QueryStrategy<P, A> for FilterMapThreshold<P, R, F>
where
    P: Ord + Clone,
    E: Error + Send + Sync + 'static,
    F: FnMut(&P, A) -> Result<R, E>,
{
    type Output = BTreeMap<P, R>;

    fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, Self::Output> {
        let Ok(answer) = answer else { return QueryStep::Continue };
        match (self.filter)(peer, answer) {
            Ok(value) => drop(self.values.insert(peer.clone(), value)),
            Err(refused) => return QueryStep::fail_member(peer, PeerError::invalid(refused)),
        }
        match self.values.len() >= self.need {
            true => QueryStep::Success(std::mem::take(&mut self.values)),
            false => QueryStep::Continue,
        }
    }

    fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, Self::Output> {
        reach(self.values.len(), self.need, open)
    }
}

/// Fails as soon as `need` cannot be reached any more.
fn reach<P: PartialEq, R>(have: usize, need: usize, open: &Open<'_, P>) -> QueryStep<P, R> {
    match have + open.len() < need || open.is_empty() {
        true => QueryStep::fail(QueryFailure::TooFew { need, have }),
        false => QueryStep::Continue,
    }
}

/// What `k` peers answered, joined: the mechanism of the two unions.
#[derive(Debug, Clone)]
struct Union<P, R> {
    need: usize,
    answered: BTreeSet<P>,
    failed: BTreeSet<P>,
    values: Vec<R>,
}

impl<P: Ord + Clone, R: PartialEq> Union<P, R> {
    const fn new(need: usize) -> Self {
        Self { need, answered: BTreeSet::new(), failed: BTreeSet::new(), values: Vec::new() }
    }

    fn process(
        &mut self,
        peer: &P,
        answer: Result<impl IntoIterator<Item = R>, &PeerError>,
    ) -> QueryStep<P, Vec<R>> {
        match answer {
            Ok(values) => {
                for value in values {
                    if !self.values.contains(&value) {
                        self.values.push(value);
                    }
                }
                self.failed.remove(peer);
                self.answered.insert(peer.clone());
            }
            Err(_) => drop(self.failed.insert(peer.clone())),
        }
        let count = self.failed.len();
        match self.answered.len() >= self.need {
            true => QueryStep::Success(std::mem::take(&mut self.values)),
            false if count >= self.need => {
                QueryStep::fail(QueryFailure::TooManyErrors { count, limit: self.need })
            }
            false => QueryStep::Continue,
        }
    }
}

macro_rules! union {
    ($($(#[$doc:meta])* $name:ident($answer:ty, $values:ident => $into:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<P, R>(Union<P, R>);

        impl<P: Ord + Clone, R: PartialEq> $name<P, R> {
            /// Of `k` peers; `k` failed peers end it.
            pub const fn new(k: usize) -> Self {
                Self(Union::new(k))
            }
        }

        impl<P: Ord + Clone, R: PartialEq> QueryStrategy<P, $answer> for $name<P, R> {
            type Output = Vec<R>;

            fn process(
                &mut self,
                _now: Mono,
                peer: &P,
                answer: Result<$answer, &PeerError>,
            ) -> QueryStep<P, Vec<R>> {
                self.0.process(peer, answer.map(|$values| $into))
            }

            fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, Vec<R>> {
                reach(self.0.answered.len(), self.0.need, open)
            }
        }
    )*};
}

union! {
    /// The lists of `k` peers in one, without duplicates, in the order in which they came (seed).
    ///
    /// **Every item is one peer's word**: a liar can add whatever it likes. For items that prove themselves, or that
    /// the caller checks. Joining takes time that grows with the square of the items.
    UnionResponses(Vec<R>, values => values);

    /// The values of `k` peers in a list, without duplicates, in the order in which they came (seed).
    ///
    /// **Every value is one peer's word**, as with [`UnionResponses`].
    UnionResponsesSingle(R, value => [value]);
}

/// The answers of all peers, or those that are there at the deadline (seed).
///
/// The value may be empty. A peer that fails is asked again, as long as it has rounds left. The seed's looks at the clock
/// only when something arrives; here the deadline is one.
#[derive(Debug, Clone)]
pub struct AllOrDeadline<P, A> {
    total: usize,
    within: Duration,
    deadline: Option<Mono>,
    answers: BTreeMap<P, A>,
}

impl<P: Ord, A> AllOrDeadline<P, A> {
    /// The answers of `total` peers, or what there is after `within`.
    pub const fn new(total: usize, within: Duration) -> Self {
        Self { total, within, deadline: None, answers: BTreeMap::new() }
    }
}

impl<P: Ord + Clone, A> QueryStrategy<P, A> for AllOrDeadline<P, A> {
    type Output = BTreeMap<P, A>;

    fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, Self::Output> {
        match answer {
            Ok(value) => drop(self.answers.insert(peer.clone(), value)),
            Err(_) => return QueryStep::RetryMembers(BTreeSet::from([peer.clone()])),
        }
        match self.answers.len() >= self.total {
            true => QueryStep::Success(std::mem::take(&mut self.answers)),
            false => QueryStep::Continue,
        }
    }

    fn deadline(&mut self, started: Mono) -> Option<Mono> {
        self.deadline = Some(started + self.within);
        self.deadline
    }

    fn exhausted(&mut self, now: Mono, open: &Open<'_, P>) -> QueryStep<P, Self::Output> {
        match open.is_empty() || self.deadline.is_some_and(|deadline| now >= deadline) {
            true => QueryStep::Success(std::mem::take(&mut self.answers)),
            false => QueryStep::Continue,
        }
    }
}
