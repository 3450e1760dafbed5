//! The async driver: nodes, a transport, a signer, and a request as a future.
//!
//! The rule: dropping the future drops what is in flight. Every answer comes in singly, and a transport is told exactly once when
//! a request that used it is over, whatever became of it.

use super::builder::Shared;
use super::outputs::{ExchangeId, SignId, VerifiedOutput};
use super::report::{Success, VerifiedError, VerifiedFailure};
use super::{Verified, VerifiedConfig, Verifier};
use crate::call::Call;
use crate::client::{ClientSettings, Requester, client};
use crate::endpoint::Endpoint;
use crate::error::PeerError;
use crate::flights::Flights;
use crate::pool::{Node, Pool, PoolSnapshot, PoolStoreError};
use crate::signer::{SignError, Signed};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::{Mono, TokioClock};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep_until;

/// How many clients of nodes are kept; beyond that all are made anew.
const MAX_CLIENTS: usize = 1_024;
/// How long what is known of the nodes may be newer than what is stored.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Reaches nodes.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends calls to a node, and brings the whole response objects in the order of the calls. Dropping the future gives the
    /// exchange up. `request` is the same for all exchanges of one request.
    async fn exchange(&self, request: u64, node: &Node, calls: &[Call]) -> Result<Vec<Bytes>, PeerError>;

    /// The request is over. Called exactly once for each request that sent anything, also when it was given up (seed
    /// `REQ_ACTION_CLEANUP`).
    fn cleanup(&self, request: u64) {
        let _ = request;
    }
}

/// Nodes by HTTP or websocket, as their URLs say; connections are kept.
pub struct Clients {
    settings: Arc<ClientSettings>,
    /// By all that a client is made from: the URL, and who asks.
    clients: Mutex<HashMap<Endpoint, Arc<dyn Requester>>>,
}

impl Clients {
    /// Without a connection yet.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings: Arc::new(settings), clients: Mutex::default() }
    }

    fn of(&self, node: &Node) -> Arc<dyn Requester> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = clients.get(&node.endpoint) {
            return there.clone();
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let made = client(node.endpoint.clone(), self.settings.clone());
        clients.insert(node.endpoint.clone(), made.clone());
        made
    }
}

#[async_trait]
impl Transport for Clients {
    async fn exchange(&self, _request: u64, node: &Node, calls: &[Call]) -> Result<Vec<Bytes>, PeerError> {
        self.of(node).batch(calls).await
    }
}

/// Asks nodes, and believes what a [`Verifier`] verified; a [`VerifiedBuilder`](super::VerifiedBuilder) makes it. Cheap to clone;
/// pool and connections are shared.
///
/// A verifier works on the task that asks: one that takes long holds up that task, and nobody else's request.
pub struct VerifiedClient<V> {
    driver: Arc<Driver<V>>,
    config: VerifiedConfig,
}

struct Driver<V> {
    shared: Shared<V>,
    transport: Arc<dyn Transport>,
    saved: Mutex<Option<Mono>>,
    clock: TokioClock,
}

impl<V> Clone for VerifiedClient<V> {
    fn clone(&self) -> Self {
        Self { driver: self.driver.clone(), config: self.config.clone() }
    }
}

impl<V> VerifiedClient<V> {
    pub(super) fn make(shared: Shared<V>, config: VerifiedConfig, transport: impl Transport) -> Self {
        let (transport, saved, clock) = (Arc::new(transport), Mutex::new(None), TokioClock::new());
        Self { driver: Arc::new(Driver { shared, transport, saved, clock }), config }
    }

    /// Another way to go about requests. Clones made before keep theirs.
    #[must_use]
    pub fn with_config(mut self, config: VerifiedConfig) -> Self {
        self.config = config;
        self
    }
}

impl<V: Verifier + 'static> VerifiedClient<V>
where
    V::Request: 'static,
    V::Output: 'static,
{
    /// Asks, and waits for a verified value.
    ///
    /// # Errors
    ///
    /// [`VerifiedError`], by the deadline at the latest, with what every node did.
    pub async fn ask(&self, request: V::Request) -> Result<Success<V::Output>, VerifiedError> {
        let mut run = Run::begin(self.driver.clone(), request, self.config.clone());
        let outcome = run.until_done().await;
        if run.machine.poll_timeout().is_some() {
            tokio::spawn(run.finish_audits());
        }
        self.driver.save_now_and_then();
        outcome
    }

    /// What is known of every node.
    pub fn snapshot(&self) -> PoolSnapshot {
        let now = self.driver.clock.now().mono;
        self.driver.shared.pool().snapshot(now)
    }

    /// Changes the pool: takes nodes in.
    pub fn with_pool<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        change(&mut self.driver.shared.pool())
    }

    /// Stores what is known of the nodes. It is done by itself after requests, at most once a second.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`]. Without a store nothing happens.
    pub async fn save(&self) -> Result<(), PoolStoreError> {
        self.driver.save().await
    }
}

impl<V: Verifier + 'static> Driver<V> {
    async fn save(&self) -> Result<(), PoolStoreError> {
        let Some(store) = self.shared.store.clone() else { return Ok(()) };
        let now = self.clock.now().mono;
        let batch = self.shared.pool().to_batch(now)?;
        let written = tokio::task::spawn_blocking(move || store.commit(batch)).await;
        // A store that panics is the caller's; nothing of ours depends on it.
        written.map_or(Ok(()), |written| Ok(written?))
    }

    /// Saves behind the caller's back: an answer does not wait for a disk.
    fn save_now_and_then(self: &Arc<Self>) {
        let now = self.clock.now().mono;
        {
            let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
            if self.shared.store.is_none() || saved.is_some_and(|saved| now < saved + SAVE_EVERY) {
                return;
            }
            *saved = Some(now);
        }
        let driver = self.clone();
        tokio::spawn(async move {
            if let Err(error) = driver.save().await {
                tracing::debug!(%error, "what is known of the nodes could not be stored");
            }
        });
    }
}

type Exchanged = Result<Vec<Bytes>, PeerError>;

/// One request under way.
struct Run<V: Verifier> {
    machine: Verified<V>,
    exchanges: Flights<'static, ExchangeId, Exchanged>,
    signings: Flights<'static, SignId, Result<Signed, SignError>>,
    cleanup: Cleanup,
    driver: Arc<Driver<V>>,
}

/// Tells the transport that a request is over.
struct Cleanup {
    transport: Arc<dyn Transport>,
    request: u64,
    used: bool,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if self.used {
            self.transport.cleanup(self.request);
        }
    }
}

impl<V: Verifier + 'static> Run<V> {
    fn begin(driver: Arc<Driver<V>>, request: V::Request, config: VerifiedConfig) -> Self {
        let (number, machine) = driver.shared.begin(driver.clock.now().mono, request, config);
        let cleanup = Cleanup { transport: driver.transport.clone(), request: number, used: false };
        Self { machine, exchanges: Flights::new(), signings: Flights::new(), cleanup, driver }
    }

    async fn until_done(&mut self) -> Result<Success<V::Output>, VerifiedError> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                if let Some(outcome) = self.act(output) {
                    return outcome;
                }
            }
            if !self.wait().await {
                // The machine ends by its deadline; it cannot run out of things to wait for before.
                return Err(VerifiedError {
                    failure: VerifiedFailure::Cancelled,
                    report: Box::new(self.machine.report().clone()),
                });
            }
        }
    }

    /// Waits for the answers that lost, to hold them to their proofs.
    async fn finish_audits(mut self) {
        while self.wait().await {
            while let Some(output) = self.machine.poll_output() {
                self.act(output);
            }
        }
    }

    fn act(
        &mut self,
        output: VerifiedOutput<V::Output>,
    ) -> Option<Result<Success<V::Output>, VerifiedError>> {
        match output {
            VerifiedOutput::Ask { exchange, node, calls, .. } => {
                let node = self.driver.shared.pool().node(node).cloned();
                let (transport, request) = (self.cleanup.transport.clone(), self.cleanup.request);
                self.cleanup.used = true;
                let flight = async move {
                    let node = node.ok_or(PeerError::UnknownPeer)?;
                    transport.exchange(request, &node, &calls).await
                };
                self.exchanges.start(exchange, Box::pin(flight));
            }
            VerifiedOutput::Cancel { exchange, .. } => self.exchanges.stop(&exchange),
            VerifiedOutput::Sign { id, request, fetched } => {
                let signer = self.driver.shared.signer.clone();
                let flight = async move {
                    let signer = signer.ok_or(SignError::NoSigner)?;
                    signer.sign(&request, &fetched).await
                };
                self.signings.start(id, Box::pin(flight));
            }
            VerifiedOutput::Done(outcome) => return Some(outcome),
        }
        None
    }

    /// Waits for what comes next, and tells the machine. False when there is nothing to wait for.
    async fn wait(&mut self) -> bool {
        let Some(at) = self.machine.poll_timeout() else { return false };
        let clock = self.driver.clock;
        let now = || clock.now().mono;
        let mut nodes = &self.driver.shared.pool;
        tokio::select! {
            biased;
            (exchange, outcome) = self.exchanges.next() => match outcome {
                Ok(answers) => self.machine.handle_answers(now(), &mut nodes, exchange, answers),
                Err(error) => self.machine.handle_failure(now(), &mut nodes, exchange, error),
            },
            (id, signed) = self.signings.next() => self.machine.handle_signed(now(), &mut nodes, id, signed),
            () = sleep_until(clock.instant(at)) => self.machine.handle_timeout(now(), &mut nodes),
        }
        true
    }
}
