//! Strategies that take the first answer which passes a check.

use super::votes::Votes;
use super::{QueryStep, QueryStrategy};
use crate::attempts::Open;
use crate::error::PeerError;
use crate::report::QueryFailure;
use quorate_base::Mono;
use std::collections::BTreeSet;
use std::error::Error;

/// The first answer that `filter` turns into a value. One that it refuses counts as its peer's failure.
///
/// As safe as the filter is: right where an answer proves itself (a signature, a hash that is known), wrong elsewhere.
#[derive(Debug, Clone)]
pub struct FilterMap<F> {
    filter: F,
}

impl<F> FilterMap<F> {
    /// With this filter: `FnMut(A) -> Result<R, E>`.
    pub const fn new(filter: F) -> Self {
        Self { filter }
    }
}

impl<P, A, R, E, F> QueryStrategy<P, A> for FilterMap<F>
where
    P: Ord + Clone,
    E: Error + Send + Sync + 'static,
    F: FnMut(A) -> Result<R, E>,
{
    type Output = R;

    fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, R> {
        match answer.map(&mut self.filter) {
            Ok(Ok(value)) => QueryStep::Success(value),
            Ok(Err(refused)) => QueryStep::fail_member(peer, PeerError::invalid(refused)),
            Err(_) => QueryStep::Continue,
        }
    }
}

/// The first answer, whoever gives it.
///
/// **Safe only where every peer is trusted.** Use [`ThresholdConsensus`](super::ThresholdConsensus).
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustAllPeers;

impl<P, A> QueryStrategy<P, A> for TrustAllPeers {
    type Output = A;

    fn process(&mut self, _now: Mono, _peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, A> {
        answer.map_or(QueryStep::Continue, QueryStep::Success)
    }
}

/// An answer that the caller's check did not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid signature")]
pub struct Unverified;

/// The first answer that verifies; with the fallback, else `k` equal ones that do not (seed).
///
/// **The fallback is as unsafe as [`CurrentConsensus`](super::CurrentConsensus)** when k is f + 1, as the seed has it: `k`
/// liars who agree win. Without it this is a [`FilterMap`] that gives up at `k` failed peers. The seed downloads the
/// config with k = n, so that one peer which hangs holds it up; here every attempt has a timeout.
#[derive(Debug, Clone)]
pub struct VerifiableResponse<P, A, F> {
    verify: F,
    limit: usize,
    unverified: Option<Votes<P, A>>,
    failed: BTreeSet<P>,
}

impl<P: Ord + Clone, A: Eq, F: FnMut(&A) -> bool> VerifiableResponse<P, A, F> {
    /// `k` failed peers end it; with `fallback`, `k` equal answers that do not verify are the value.
    pub const fn new(k: usize, fallback: bool, verify: F) -> Self {
        let unverified = if fallback { Some(Votes::published(k)) } else { None };
        Self { verify, limit: k, unverified, failed: BTreeSet::new() }
    }
}

impl<P: Ord + Clone, A: Eq, F: FnMut(&A) -> bool> QueryStrategy<P, A> for VerifiableResponse<P, A, F> {
    type Output = A;

    fn process(&mut self, _now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, A> {
        let answer = match answer {
            Ok(value) if (self.verify)(&value) => return QueryStep::Success(value),
            other => other,
        };
        if let Some(votes) = &mut self.unverified {
            return votes.process(peer, answer);
        }
        self.failed.insert(peer.clone());
        let mut members = std::collections::BTreeMap::new();
        if answer.is_ok() {
            members.insert(peer.clone(), PeerError::invalid(Unverified));
        }
        match self.failed.len() {
            count if count >= self.limit => QueryStep::Failure {
                general: QueryFailure::TooManyErrors { count, limit: self.limit },
                members,
            },
            _ => QueryStep::FailMembers(members),
        }
    }

    fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, A> {
        // While anybody can answer, an answer that verifies can come.
        match (&self.unverified, open.is_empty()) {
            (_, false) => QueryStep::Continue,
            (Some(votes), true) => votes.exhausted(open),
            (None, true) => QueryStep::fail(QueryFailure::NobodyLeft),
        }
    }
}
