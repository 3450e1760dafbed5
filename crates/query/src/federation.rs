//! The async driver: a federation of peers, and a query as a future.
//!
//! The rules: a query is one future on the caller's task. Dropping it drops every request it has in flight; nothing goes on
//! behind it but the connections. Who was of no use for the last value is asked last for the next one: all are asked at once, and yet a liar
//! that speaks last is not waited for.

mod api;

pub use api::{ApiError, JoinError};

use crate::attempts::AttemptOutput;
use crate::call::{Answer, Call};
use crate::client::{ClientSettings, Requester, client};
use crate::endpoint::Endpoint;
use crate::error::PeerError;
use crate::flights::Flights;
use crate::peer::PeerId;
use crate::query::Query;
use crate::quorum::{Quorum, QuorumOutput};
use crate::report::{QueryError, QueryReport};
use crate::strategy::QueryStrategy;
use bytes::Bytes;
use quorate_base::{Mono, TokioClock};
use quorate_versioning::{ModuleInstanceId, NumPeers};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep_until;

/// The guardians of a federation (seed `WsFederationApi`). Cheap to clone; the connections are shared.
#[derive(Clone)]
pub struct Federation {
    shared: Arc<Shared>,
    module: Option<ModuleInstanceId>,
}

struct Shared {
    peers: BTreeMap<PeerId, Arc<dyn Requester>>,
    /// In which order they are asked.
    order: Mutex<Vec<PeerId>>,
    count: NumPeers,
    clock: TokioClock,
    seed: AtomicU64,
}

/// A federation needs at least one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a federation has at least one guardian")]
pub struct EmptyFederation;

/// How a query went: its outcome, and what every peer did.
#[derive(Debug, Clone)]
pub struct Explained<R> {
    /// The value, or why there is none.
    pub outcome: Result<R, QueryError<PeerId>>,
    /// What every peer did.
    pub report: QueryReport<PeerId>,
}

impl Federation {
    /// A federation of these peers, each with its own client. Of two under one number the last counts.
    ///
    /// # Errors
    ///
    /// [`EmptyFederation`].
    pub fn new(
        peers: impl IntoIterator<Item = (PeerId, Arc<dyn Requester>)>,
    ) -> Result<Self, EmptyFederation> {
        let peers: BTreeMap<_, _> = peers.into_iter().collect();
        let count = NumPeers::new(peers.len()).ok_or(EmptyFederation)?;
        // Without randomness the jitter is the same for all, which is harmless.
        let seed = AtomicU64::new(getrandom::u64().unwrap_or(0));
        let order = Mutex::new(peers.keys().copied().collect());
        let shared = Arc::new(Shared { peers, order, count, clock: TokioClock::new(), seed });
        Ok(Self { shared, module: None })
    }

    /// A federation at these endpoints. Nothing is connected before the first query.
    ///
    /// # Errors
    ///
    /// [`EmptyFederation`].
    pub fn at(
        endpoints: impl IntoIterator<Item = (PeerId, Endpoint)>,
        settings: ClientSettings,
    ) -> Result<Self, EmptyFederation> {
        let settings = Arc::new(settings);
        Self::new(endpoints.into_iter().map(|(peer, endpoint)| (peer, client(endpoint, settings.clone()))))
    }

    /// The same federation, asked about a module instance: every method becomes `module_{id}_{method}`.
    #[must_use]
    pub fn module(&self, id: ModuleInstanceId) -> Self {
        Self { shared: self.shared.clone(), module: Some(id) }
    }

    /// How many peers there are.
    pub fn num_peers(&self) -> NumPeers {
        self.shared.count
    }

    /// Their numbers.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.shared.peers.keys().copied()
    }

    pub(crate) fn clock(&self) -> TokioClock {
        self.shared.clock
    }

    /// Asks, and waits for the value.
    ///
    /// # Errors
    ///
    /// [`QueryError`], by the query's deadline at the latest, with what every peer did.
    pub async fn run<A, S>(&self, query: Query<S, A>) -> Result<S::Output, QueryError<PeerId>>
    where
        A: DeserializeOwned,
        S: QueryStrategy<PeerId, A>,
    {
        self.drive(query).await.0
    }

    /// The same, and what every peer did in either case.
    pub async fn explain<A, S>(&self, query: Query<S, A>) -> Explained<S::Output>
    where
        A: DeserializeOwned,
        S: QueryStrategy<PeerId, A>,
    {
        let (outcome, machine, ended) = self.drive(query).await;
        Explained { outcome, report: machine.report(ended) }
    }

    /// Asks one peer, without a strategy.
    ///
    /// # Errors
    ///
    /// [`PeerError`], after `timeout` at the latest.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        peer: PeerId,
        call: &Call,
        timeout: Duration,
    ) -> Result<A, PeerError> {
        let requester = self.shared.peers.get(&peer).ok_or(PeerError::UnknownPeer)?;
        let scoped = self.module.map(|id| call.clone().of_module(id));
        let asking = requester.request(scoped.as_ref().unwrap_or(call));
        let answer = tokio::time::timeout(timeout, asking).await;
        answer.map_err(|_| PeerError::TimedOut { after: timeout })??.decode()
    }

    /// Says goodbye to all peers that there is a connection to, at once, and waits until that is said: two seconds at most. Dropping the last
    /// handle says it too, as long as the runtime goes on. A later query connects again.
    pub async fn close(&self) {
        futures::future::join_all(self.shared.peers.values().map(|peer| peer.close())).await;
    }

    async fn drive<A, S>(
        &self,
        query: Query<S, A>,
    ) -> (Result<S::Output, QueryError<PeerId>>, Quorum<PeerId, A, S>, Mono)
    where
        A: DeserializeOwned,
        S: QueryStrategy<PeerId, A>,
    {
        let Query { call, strategy, config, .. } = query;
        let call = match self.module {
            Some(id) => call.of_module(id),
            None => call,
        };
        let clock = self.shared.clock;
        let seed = self.shared.seed.fetch_add(1, Ordering::Relaxed);
        let method = call.method().clone();
        let started = clock.now().mono;
        let mut machine = Quorum::new(started, method, self.shared.order(), strategy, config, seed);
        let mut flights = Flights::new();
        // The alarm rings when a repetition can be due for the first time. To set it to an earlier time costs more than all the rest of it: that
        // wakes the thread that waits for the sockets.
        let repeated = started + config.backoff.delay(0, 0.0);
        let mut armed = machine.poll_timeout().map(|at| at.min(repeated));
        let alarm = sleep_until(clock.instant(armed.unwrap_or(Mono::ZERO)));
        tokio::pin!(alarm);
        loop {
            while let Some(output) = machine.poll_output() {
                match output {
                    QuorumOutput::Attempt(AttemptOutput::Ask { attempt, peer, .. }) => {
                        match self.shared.peers.get(&peer) {
                            Some(requester) => flights.start(attempt, requester.request(&call)),
                            None => machine.handle_failure(clock.now().mono, attempt, PeerError::UnknownPeer),
                        }
                    }
                    QuorumOutput::Attempt(AttemptOutput::Cancel { attempt, .. }) => flights.stop(&attempt),
                    QuorumOutput::Done(outcome) => {
                        if outcome.is_ok() {
                            self.shared.learn(&machine);
                        }
                        return (outcome, machine, clock.now().mono);
                    }
                }
            }
            // An alarm that is too early only costs a look at the clock; one that is too late is moved.
            let wanted = machine.poll_timeout();
            if wanted < armed || armed.is_none() {
                armed = wanted;
                alarm.as_mut().reset(clock.instant(wanted.unwrap_or(Mono::ZERO)));
            }
            tokio::select! {
                biased;
                (attempt, answer) = flights.next() => {
                    let now = clock.now().mono;
                    match answer.and_then(decoded) {
                        Ok((answer, shown)) => machine.handle_answer(now, attempt, answer, shown),
                        Err(error) => machine.handle_failure(now, attempt, error),
                    }
                }
                () = &mut alarm => {
                    armed = None;
                    machine.handle_timeout(clock.now().mono);
                }
            }
        }
    }
}

impl Shared {
    fn order(&self) -> Vec<PeerId> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks those last from now on who were of no use.
    fn learn<A, S: QueryStrategy<PeerId, A>>(&self, machine: &Quorum<PeerId, A, S>) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.clear();
        order.extend(machine.of_use().filter_map(|(peer, of_use)| of_use.then_some(*peer)));
        order.extend(machine.of_use().filter_map(|(peer, of_use)| (!of_use).then_some(*peer)));
    }
}

fn decoded<A: DeserializeOwned>(answer: Answer) -> Result<(A, Bytes), PeerError> {
    Ok((answer.decode()?, answer.0))
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federation").field("peers", &self.shared.count).field("module", &self.module).finish()
    }
}
