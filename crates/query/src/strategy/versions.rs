//! Strategies that come to the API versions of a federation.

use super::{AllOrDeadline, QueryStep, QueryStrategy};
use crate::attempts::Open;
use crate::error::PeerError;
use crate::report::QueryFailure;
use quorate_base::Mono;
use quorate_versioning::{
    ApiVersionSet, ModuleInstanceId, Negotiation, NumPeers, SupportedApiVersionsSummary,
    discover_common_api_versions, negotiate,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The versions that most of those peers satisfy who answer before a deadline (seed).
///
/// **One peer that answers is enough**, so one liar is too, and one peer that hangs makes it take the whole deadline. Use
/// [`NegotiateVersions`].
#[derive(Debug, Clone)]
pub struct DiscoverApiVersionSet<P> {
    answers: AllOrDeadline<P, SupportedApiVersionsSummary>,
    client: SupportedApiVersionsSummary,
}

impl<P: Ord> DiscoverApiVersionSet<P> {
    /// For a client that needs `client`: of `total` peers, those that answer within `within`.
    pub const fn new(total: usize, within: Duration, client: SupportedApiVersionsSummary) -> Self {
        Self { answers: AllOrDeadline::new(total, within), client }
    }

    fn choose(
        &self,
        step: QueryStep<P, BTreeMap<P, SupportedApiVersionsSummary>>,
    ) -> QueryStep<P, ApiVersionSet> {
        match step.map(|answers| discover_common_api_versions(&self.client, &answers)) {
            QueryStep::Success(Ok(set)) => QueryStep::Success(set),
            QueryStep::Success(Err(none)) => QueryStep::fail(QueryFailure::Strategy(Arc::new(none))),
            QueryStep::RetryMembers(peers) => QueryStep::RetryMembers(peers),
            QueryStep::FailMembers(errors) => QueryStep::FailMembers(errors),
            QueryStep::Continue => QueryStep::Continue,
            QueryStep::Failure { general, members } => QueryStep::Failure { general, members },
        }
    }
}

impl<P: Ord + Clone> QueryStrategy<P, SupportedApiVersionsSummary> for DiscoverApiVersionSet<P> {
    type Output = ApiVersionSet;

    fn process(
        &mut self,
        now: Mono,
        peer: &P,
        answer: Result<SupportedApiVersionsSummary, &PeerError>,
    ) -> QueryStep<P, ApiVersionSet> {
        let step = self.answers.process(now, peer, answer);
        self.choose(step)
    }

    fn deadline(&mut self, started: Mono) -> Option<Mono> {
        self.answers.deadline(started)
    }

    fn exhausted(&mut self, now: Mono, open: &Open<'_, P>) -> QueryStep<P, ApiVersionSet> {
        let step = self.answers.exhausted(now, open);
        self.choose(step)
    }
}

/// What a quorum of the federation can do with the client; as soon as a quorum's answers decide it.
///
/// While a component is undecided, further answers are waited for. At the end the negotiation is the value, decided or
/// not: it says who is silent, who is incompatible and why. Only when fewer than a quorum have answered it is a failure.
#[derive(Debug, Clone)]
pub struct NegotiateVersions<P> {
    client: SupportedApiVersionsSummary,
    peers: NumPeers,
    answers: BTreeMap<P, Option<SupportedApiVersionsSummary>>,
}

impl<P: Ord + Clone> NegotiateVersions<P> {
    /// For a client that needs `client`, with these peers, who all count as silent at first.
    pub fn new(
        client: SupportedApiVersionsSummary,
        peers: NumPeers,
        named: impl IntoIterator<Item = P>,
    ) -> Self {
        Self { client, peers, answers: named.into_iter().map(|peer| (peer, None)).collect() }
    }

    fn answered(&self) -> usize {
        self.answers.values().flatten().count()
    }

    fn negotiate(&self) -> Negotiation<P, ModuleInstanceId> {
        negotiate(&self.client, &self.answers, self.peers)
    }
}

impl<P: Ord + Clone> QueryStrategy<P, SupportedApiVersionsSummary> for NegotiateVersions<P> {
    type Output = Negotiation<P, ModuleInstanceId>;

    fn process(
        &mut self,
        _now: Mono,
        peer: &P,
        answer: Result<SupportedApiVersionsSummary, &PeerError>,
    ) -> QueryStep<P, Self::Output> {
        let Ok(summary) = answer else { return QueryStep::Continue };
        self.answers.insert(peer.clone(), Some(summary));
        if self.answered() < self.peers.threshold() {
            return QueryStep::Continue;
        }
        let negotiation = self.negotiate();
        let decided = |(_, choice): (_, &quorate_versioning::ComponentChoice<P>)| match &choice.outcome {
            Ok(_) => true,
            Err(none) => none.is_final(),
        };
        let all_decided = negotiation.components().all(decided);
        if all_decided { QueryStep::Success(negotiation) } else { QueryStep::Continue }
    }

    fn exhausted(&mut self, _now: Mono, open: &Open<'_, P>) -> QueryStep<P, Self::Output> {
        let (need, have) = (self.peers.threshold(), self.answered());
        match (have + open.len() < need, open.is_empty()) {
            (true, _) => QueryStep::fail(QueryFailure::TooFew { need, have }),
            (false, true) => QueryStep::Success(self.negotiate()),
            (false, false) => QueryStep::Continue,
        }
    }
}
