//! The blocking driver: the same machine over HTTP, without a runtime.
//!
//! The rule: a request returns by its deadline. Each exchange has a thread of its own, which ends by its timeout; a transport is told
//! exactly once when a request that used it is over.

use super::outputs::{ExchangeId, SignId, VerifiedOutput};
use super::report::{Success, VerifiedError};
use super::{Verified, VerifiedConfig, Verifier};
use crate::blocking::{agent, post};
use crate::call::Call;
use crate::error::{ConnectFault, PeerError};
use crate::jsonrpc::{read_batch, write_batch};
use crate::pool::{Node, Pool, PoolSnapshot, PoolStoreError};
use crate::signer::{SignError, Signed, Signer};
use bytes::Bytes;
use futures::executor::block_on;
use quorate_base::{Mono, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// Reaches nodes, from a thread of its own for each exchange.
pub trait BlockingTransport: Send + Sync + 'static {
    /// Sends calls to a node, and brings the whole response objects in the order of the calls, within `timeout`. `request` is
    /// the same for all exchanges of one request.
    ///
    /// # Errors
    ///
    /// Why there are not all of them.
    fn exchange(
        &self,
        request: u64,
        node: &Node,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Bytes>, PeerError>;

    /// The request is over; exchanges of it may still run, and nobody waits for them. Called exactly once for each
    /// request that sent anything (seed `REQ_ACTION_CLEANUP`).
    fn cleanup(&self, request: u64) {
        let _ = request;
    }
}

/// Nodes by HTTP.
#[derive(Debug, Clone)]
pub struct BlockingHttp {
    agent: Agent,
}

impl Default for BlockingHttp {
    fn default() -> Self {
        Self { agent: agent() }
    }
}

impl BlockingTransport for BlockingHttp {
    fn exchange(
        &self,
        _request: u64,
        node: &Node,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Bytes>, PeerError> {
        if node.endpoint.scheme().is_websocket() {
            return Err(PeerError::Connect(ConnectFault::BadEndpoint.into()));
        }
        let (status, body) = post(&self.agent, &node.endpoint, &write_batch(1, calls), timeout)?;
        read_batch(status, &body, 1, calls.len())
    }
}

/// Asks nodes, and believes what a [`Verifier`] verified. Cheap to clone; the pool is shared.
pub struct BlockingVerified<V> {
    shared: Arc<Shared<V>>,
    config: VerifiedConfig,
}

struct Shared<V> {
    verifier: Arc<V>,
    pool: Mutex<Pool>,
    transport: Arc<dyn BlockingTransport>,
    signer: Option<Arc<dyn Signer>>,
    began: Instant,
    next: AtomicU64,
    seed: u64,
}

impl<V> Clone for BlockingVerified<V> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), config: self.config.clone() }
    }
}

impl<V: Verifier + 'static> BlockingVerified<V>
where
    V::Request: 'static,
    V::Output: 'static,
{
    /// Asks the nodes of `pool` by `transport`.
    #[expect(clippy::disallowed_methods, reason = "a driver reads the clock")]
    pub fn new(verifier: V, pool: Pool, transport: impl BlockingTransport) -> Self {
        let shared = Shared {
            verifier: Arc::new(verifier),
            pool: Mutex::new(pool),
            transport: Arc::new(transport),
            signer: None,
            began: Instant::now(),
            next: AtomicU64::new(0),
            // Without randomness the same nodes come first for all, which is harmless.
            seed: getrandom::u64().unwrap_or(0),
        };
        Self { shared: Arc::new(shared), config: VerifiedConfig::default() }
    }

    /// Another way to go about requests. Clones made before keep theirs.
    #[must_use]
    pub fn with_config(mut self, config: VerifiedConfig) -> Self {
        self.config = config;
        self
    }

    /// Who signs. Call it before the client is cloned. Its futures are polled on a thread without a runtime.
    #[must_use]
    pub fn with_signer(mut self, signer: impl Signer) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.signer = Some(Arc::new(signer));
        }
        self
    }

    /// Asks, and waits for a verified value.
    ///
    /// # Errors
    ///
    /// [`VerifiedError`], by the deadline at the latest, with what every node did.
    pub fn ask(&self, request: V::Request) -> Result<Success<V::Output>, VerifiedError> {
        let mut run = Run::begin(self.shared.clone(), request, self.config.clone());
        let outcome = loop {
            if let Some(outcome) = run.turn() {
                break outcome;
            }
        };
        if run.machine.poll_timeout().is_some() {
            // Without a thread nobody is audited, and nothing else is lost.
            let _ = thread::Builder::new().name("audit".to_owned()).spawn(move || {
                while run.machine.poll_timeout().is_some() {
                    run.turn();
                }
            });
        }
        outcome
    }

    /// What is known of every node.
    pub fn snapshot(&self) -> PoolSnapshot {
        self.shared.pool().snapshot(self.shared.now())
    }

    /// Changes the pool: takes nodes in.
    pub fn with_pool<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        change(&mut self.shared.pool())
    }

    /// Begins with what a store has of the nodes.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`]; then nothing was taken over.
    pub fn load(&self, store: &dyn Store) -> Result<(), PoolStoreError> {
        self.shared.pool().load(self.shared.now(), store)
    }

    /// Stores what is known of the nodes.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`].
    pub fn save(&self, store: &dyn Store) -> Result<(), PoolStoreError> {
        let batch = self.shared.pool().to_batch(self.shared.now())?;
        Ok(store.commit(batch)?)
    }
}

impl<V> Shared<V> {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Mono {
        Mono::from_origin(self.began.elapsed())
    }
}

/// What a thread reports.
enum Report {
    Answers(ExchangeId, Result<Vec<Bytes>, PeerError>),
    Signed(SignId, Result<Signed, SignError>),
}

/// One request under way.
struct Run<V: Verifier> {
    machine: Verified<V>,
    shared: Arc<Shared<V>>,
    request: u64,
    used: bool,
    sender: Sender<Report>,
    reports: Receiver<Report>,
}

impl<V: Verifier> Drop for Run<V> {
    fn drop(&mut self) {
        if self.used {
            self.shared.transport.cleanup(self.request);
        }
    }
}

impl<V: Verifier> Run<V> {
    fn begin(shared: Arc<Shared<V>>, request: V::Request, config: VerifiedConfig) -> Self {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let seed = shared.seed.wrapping_add(number);
        let now = shared.now();
        let machine = Verified::new(now, &mut shared.pool(), shared.verifier.clone(), request, config, seed);
        let (sender, reports) = mpsc::channel();
        Self { machine, shared, request: number, used: false, sender, reports }
    }

    /// Does what the machine wants done, then waits for one thing to happen. The end, when it is there.
    fn turn(&mut self) -> Option<Result<Success<V::Output>, VerifiedError>> {
        while let Some(output) = self.machine.poll_output() {
            if let Some(outcome) = self.act(output) {
                return Some(outcome);
            }
        }
        let wait = self.machine.poll_timeout().map_or(Duration::ZERO, |at| at.since(self.shared.now()));
        let report = self.reports.recv_timeout(wait);
        let mut pool = self.shared.pool();
        let now = self.shared.now();
        match report {
            Ok(Report::Answers(exchange, Ok(answers))) => {
                self.machine.handle_answers(now, &mut pool, exchange, answers);
            }
            Ok(Report::Answers(exchange, Err(error))) => {
                self.machine.handle_failure(now, &mut pool, exchange, error);
            }
            Ok(Report::Signed(id, signed)) => self.machine.handle_signed(now, &mut pool, id, signed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.machine.handle_timeout(now, &mut pool);
            }
        }
        None
    }

    fn act(
        &mut self,
        output: VerifiedOutput<V::Output>,
    ) -> Option<Result<Success<V::Output>, VerifiedError>> {
        match output {
            VerifiedOutput::Ask { exchange, node, calls, timeout } => {
                self.used = true;
                let node = self.shared.pool().node(node).cloned();
                let (transport, request) = (self.shared.transport.clone(), self.request);
                let job = move || {
                    let node = node.ok_or(PeerError::UnknownPeer)?;
                    transport.exchange(request, &node, &calls, timeout)
                };
                let busy = Err(PeerError::Busy { max: self.shared.pool().len() });
                self.spawn(job, busy, move |outcome| Report::Answers(exchange, outcome));
            }
            // The thread ends by itself, at its timeout; what it brings is late.
            VerifiedOutput::Cancel { .. } => {}
            VerifiedOutput::Sign { id, request, fetched } => {
                let signer = self.shared.signer.clone();
                let job = move || {
                    let signer = signer.ok_or(SignError::NoSigner)?;
                    block_on(signer.sign(&request, &fetched))
                };
                self.spawn(job, Err(SignError::NoSigner), move |signed| Report::Signed(id, signed));
            }
            VerifiedOutput::Done(outcome) => return Some(outcome),
        }
        None
    }

    /// Runs a job on a thread; `unable` is its outcome where there is no thread to be had.
    fn spawn<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        unable: T,
        report: impl FnOnce(T) -> Report + Send + Copy + 'static,
    ) {
        let sender = self.sender.clone();
        let thread = thread::Builder::new().name("verified".to_owned());
        // Whoever waited may be gone; the outcome is then nobody's.
        if thread.spawn(move || drop(sender.send(report(job())))).is_err() {
            let _ = self.sender.send(report(unable));
        }
    }
}
