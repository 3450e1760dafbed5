//! A strategy behind a step of decoding: what comes from the wire is first made into what the strategy compares.

use super::{QueryStep, QueryStrategy};
use crate::attempts::Open;
use crate::error::PeerError;
use quorate_base::Mono;
use std::error::Error;
use std::marker::PhantomData;

/// Decodes every answer and hands it to another strategy (the seed's epoch history: decoded by the modules' decoders, then
/// checked against the epoch key). An answer that does not decode is its peer's failure.
#[derive(Debug, Clone)]
pub struct Decoded<S, F, D> {
    decode: F,
    inner: S,
    decoded: PhantomData<fn() -> D>,
}

impl<S, F, D> Decoded<S, F, D> {
    /// `decode` is `FnMut(A) -> Result<D, E>`; `inner` takes `D`.
    pub const fn new(inner: S, decode: F) -> Self {
        Self { decode, inner, decoded: PhantomData }
    }
}

impl<P, A, D, E, F, S> QueryStrategy<P, A> for Decoded<S, F, D>
where
    P: Ord + Clone,
    E: Error + Send + Sync + 'static,
    F: FnMut(A) -> Result<D, E>,
    S: QueryStrategy<P, D>,
{
    type Output = S::Output;

    fn process(&mut self, now: Mono, peer: &P, answer: Result<A, &PeerError>) -> QueryStep<P, S::Output> {
        let refused = match answer.map(&mut self.decode) {
            Ok(Ok(decoded)) => return self.inner.process(now, peer, Ok(decoded)),
            Ok(Err(refused)) => PeerError::invalid(refused),
            Err(error) => return self.inner.process(now, peer, Err(error)),
        };
        match self.inner.process(now, peer, Err(&refused)) {
            QueryStep::Continue => QueryStep::fail_member(peer, refused),
            QueryStep::FailMembers(mut members) => {
                members.insert(peer.clone(), refused);
                QueryStep::FailMembers(members)
            }
            QueryStep::Failure { general, mut members } => {
                members.insert(peer.clone(), refused);
                QueryStep::Failure { general, members }
            }
            other => other,
        }
    }

    fn deadline(&mut self, started: Mono) -> Option<Mono> {
        self.inner.deadline(started)
    }

    fn exhausted(&mut self, now: Mono, open: &Open<'_, P>) -> QueryStep<P, S::Output> {
        self.inner.exhausted(now, open)
    }
}
