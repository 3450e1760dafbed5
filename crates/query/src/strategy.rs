//! What a strategy is: it takes the answers one by one and says when they are enough.
//!
//! The rule: a strategy decides from what it was told, and does nothing. Asking, waiting, giving up and remembering
//! are the work of [`Quorum`](crate::Quorum), so no strategy can run for ever.

mod decoded;
mod filter;
mod gather;
mod versions;
mod votes;

pub use decoded::Decoded;
pub use filter::{FilterMap, TrustAllPeers, Unverified, VerifiableResponse};
pub use gather::{AllOrDeadline, FilterMapThreshold, UnionResponses, UnionResponsesSingle};
pub use versions::{DiscoverApiVersionSet, NegotiateVersions};
pub use votes::{CurrentConsensus, EventuallyConsistent, ThresholdAgreement, ThresholdConsensus};

use crate::attempts::Open;
use crate::error::PeerError;
use crate::report::QueryFailure;
use quorate_base::Mono;
use std::collections::{BTreeMap, BTreeSet};

/// How answers `A` of peers `P` become one value (seed `QueryStrategy`).
pub trait QueryStrategy<P, A> {
    /// The value.
    type Output;

    /// A peer has answered, or it will not: its failure is final, or its attempts are used up.
    ///
    /// A peer that was asked again comes again. After [`QueryStep::Success`] or [`QueryStep::Failure`] nothing comes.
    fn process(&mut self, now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, Self::Output>;

    /// Until when the strategy wants to wait; called once, at the start. The query's own deadline holds beside it.
    fn deadline(&mut self, _started: Mono) -> Option<Mono> {
        None
    }

    /// Fewer peers can answer than before, or [`Self::deadline`] has passed. The last chance to decide is the call
    /// with nobody in `open`.
    fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, Self::Output>
    where
        P: PartialEq,
    {
        match open.is_empty() {
            true => QueryStep::fail(QueryFailure::NobodyLeft),
            false => QueryStep::Continue,
        }
    }
}

/// What is to be done after an answer (seed `QueryStep`).
#[derive(Debug)]
pub enum QueryStep<P, R> {
    /// Ask these again, after a pause and as long as they have rounds left.
    RetryMembers(BTreeSet<P>),
    /// The answers of these count as failures.
    FailMembers(BTreeMap<P, PeerError>),
    /// Nothing yet.
    Continue,
    /// It cannot be decided any more.
    Failure {
        /// Why.
        general: QueryFailure,
        /// Peers whose answers count as failures.
        members: BTreeMap<P, PeerError>,
    },
    /// This is the value.
    Success(R),
}

impl<P, R> QueryStep<P, R> {
    /// A failure without more about single peers.
    pub const fn fail(general: QueryFailure) -> Self {
        Self::Failure { general, members: BTreeMap::new() }
    }

    /// The same step with another value.
    pub fn map<T>(self, into: impl FnOnce(R) -> T) -> QueryStep<P, T> {
        match self {
            Self::RetryMembers(peers) => QueryStep::RetryMembers(peers),
            Self::FailMembers(errors) => QueryStep::FailMembers(errors),
            Self::Continue => QueryStep::Continue,
            Self::Failure { general, members } => QueryStep::Failure { general, members },
            Self::Success(value) => QueryStep::Success(into(value)),
        }
    }
}

impl<P: Ord + Clone, R> QueryStep<P, R> {
    /// The answer of one peer counts as a failure.
    pub fn fail_member(peer: &P, error: PeerError) -> Self {
        Self::FailMembers(BTreeMap::from([(peer.clone(), error)]))
    }
}

#[cfg(test)]
mod tests;
