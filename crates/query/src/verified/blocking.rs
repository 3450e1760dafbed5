//! The blocking driver: the same machine over HTTP, without a runtime.
//!
//! The rule: a request returns by its deadline, and leaves nothing behind. Exchanges have threads, of which there is a bounded number;
//! one that nobody waits for any more is cut. A transport is told exactly once when a request that used it is over.

mod http;
mod waiting;
mod workers;

pub use http::BlockingHttp;
pub use waiting::Waiting;

use super::builder::Shared;
use super::outputs::{ExchangeId, SignId, VerifiedOutput};
use super::report::{Success, VerifiedError};
use super::{Verified, VerifiedConfig, Verifier};
use crate::call::Call;
use crate::error::{PeerError, Reason};
use crate::pool::{Node, NodeId, Pool, PoolSnapshot, PoolStoreError};
use crate::signer::{Fetched, SignError, SignRequest, Signed};
use bytes::Bytes;
use futures::executor::block_on;
use quorate_base::Mono;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use workers::Workers;

/// How many exchanges are under way unless the builder says otherwise.
pub(super) const MAX_EXCHANGES: NonZeroUsize = const { NonZeroUsize::new(64).expect("not zero") };
/// How many signatures are being made. A signer that never returns keeps its thread.
const MAX_SIGNINGS: usize = 16;
/// How many requests that have their value still wait for those who lost, to audit them.
const MAX_AUDITS: usize = 8;
/// How many exchanges and signatures wait for a thread.
const MAX_WAITING: usize = 1_024;

/// Reaches nodes, from a thread of its own for each exchange.
pub trait BlockingTransport: Send + Sync + 'static {
    /// Sends calls to a node, and brings the whole response objects in the order of the calls, within the time that `waiting` has.
    /// It should end early when [nobody waits](Waiting::until_over) any more. `request` is the same for all exchanges of one request.
    ///
    /// # Errors
    ///
    /// Why there are not all of them.
    fn exchange(
        &self,
        request: u64,
        node: &Node,
        calls: &[Call],
        waiting: &Waiting,
    ) -> Result<Vec<Bytes>, PeerError>;

    /// The request is over; exchanges of it may still be about to end, and nobody waits for them. Called exactly once for each
    /// request that sent anything (seed `REQ_ACTION_CLEANUP`).
    fn cleanup(&self, request: u64) {
        let _ = request;
    }
}

/// Asks nodes, and believes what a [`Verifier`] verified; a [`VerifiedBuilder`](super::VerifiedBuilder) makes it. Cheap to clone; the
/// pool and the threads are shared.
pub struct BlockingVerified<V> {
    driver: Arc<Driver<V>>,
    config: VerifiedConfig,
}

struct Driver<V> {
    shared: Shared<V>,
    transport: Arc<dyn BlockingTransport>,
    began: Instant,
    exchanges: Workers,
    signings: Workers,
    audits: Workers,
}

impl<V> Clone for BlockingVerified<V> {
    fn clone(&self) -> Self {
        Self { driver: self.driver.clone(), config: self.config.clone() }
    }
}

impl<V> BlockingVerified<V> {
    #[expect(clippy::disallowed_methods, reason = "a driver reads the clock")]
    pub(super) fn make(
        shared: Shared<V>,
        config: VerifiedConfig,
        transport: impl BlockingTransport,
        exchanges: NonZeroUsize,
    ) -> Self {
        let driver = Driver {
            shared,
            transport: Arc::new(transport),
            began: Instant::now(),
            exchanges: Workers::new("exchange", exchanges.get(), MAX_WAITING),
            signings: Workers::new("sign", MAX_SIGNINGS, MAX_WAITING),
            audits: Workers::new("audit", MAX_AUDITS, 0),
        };
        Self { driver: Arc::new(driver), config }
    }

    /// Another way to go about requests. Clones made before keep theirs.
    #[must_use]
    pub fn with_config(mut self, config: VerifiedConfig) -> Self {
        self.config = config;
        self
    }

    /// How many threads have an exchange.
    pub fn exchanges(&self) -> usize {
        self.driver.exchanges.threads()
    }
}

impl<V: Verifier + 'static> BlockingVerified<V>
where
    V::Request: 'static,
    V::Output: 'static,
{
    /// Asks, and waits for a verified value.
    ///
    /// # Errors
    ///
    /// [`VerifiedError`], by the deadline at the latest, with what every node did.
    pub fn ask(&self, request: V::Request) -> Result<Success<V::Output>, VerifiedError> {
        let mut run = Run::begin(self.driver.clone(), request, self.config.clone());
        let outcome = loop {
            if let Some(outcome) = run.turn() {
                break outcome;
            }
        };
        if run.machine.poll_timeout().is_some() {
            let audit = move || {
                while run.machine.poll_timeout().is_some() {
                    run.turn();
                }
            };
            // Where there is no thread for it nobody is audited, and nothing else is lost.
            let _ = self.driver.audits.run(audit);
        }
        outcome
    }

    /// What is known of every node.
    pub fn snapshot(&self) -> PoolSnapshot {
        self.driver.shared.pool().snapshot(self.driver.now())
    }

    /// Changes the pool: takes nodes in.
    pub fn with_pool<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        change(&mut self.driver.shared.pool())
    }

    /// Stores what is known of the nodes. Nothing is stored without it.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`]. Without a store nothing happens.
    pub fn save(&self) -> Result<(), PoolStoreError> {
        let Some(store) = &self.driver.shared.store else { return Ok(()) };
        let batch = self.driver.shared.pool().to_batch(self.driver.now())?;
        Ok(store.commit(batch)?)
    }
}

impl<V> Driver<V> {
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
    driver: Arc<Driver<V>>,
    request: u64,
    used: bool,
    /// The exchanges that are out.
    waiting: BTreeMap<ExchangeId, Waiting>,
    sender: Sender<Report>,
    reports: Receiver<Report>,
}

impl<V: Verifier> Drop for Run<V> {
    fn drop(&mut self) {
        self.waiting.values().for_each(Waiting::end);
        if self.used {
            self.driver.transport.cleanup(self.request);
        }
    }
}

impl<V: Verifier> Run<V> {
    fn begin(driver: Arc<Driver<V>>, request: V::Request, config: VerifiedConfig) -> Self {
        let (number, machine) = driver.shared.begin(driver.now(), request, config);
        let (sender, reports) = mpsc::channel();
        Self { machine, driver, request: number, used: false, waiting: BTreeMap::new(), sender, reports }
    }

    /// Does what the machine wants done, then waits for one thing to happen. The end, when it is there.
    fn turn(&mut self) -> Option<Result<Success<V::Output>, VerifiedError>> {
        while let Some(output) = self.machine.poll_output() {
            if let Some(outcome) = self.act(output) {
                return Some(outcome);
            }
        }
        let wait = self.machine.poll_timeout().map_or(Duration::ZERO, |at| at.since(self.driver.now()));
        let report = self.reports.recv_timeout(wait);
        let (now, mut nodes) = (self.driver.now(), &self.driver.shared.pool);
        match report {
            Ok(Report::Answers(exchange, outcome)) => {
                self.waiting.remove(&exchange);
                match outcome {
                    Ok(answers) => self.machine.handle_answers(now, &mut nodes, exchange, answers),
                    Err(error) => self.machine.handle_failure(now, &mut nodes, exchange, error),
                }
            }
            Ok(Report::Signed(id, signed)) => self.machine.handle_signed(now, &mut nodes, id, signed),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.machine.handle_timeout(now, &mut nodes);
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
                self.ask(exchange, node, calls, Waiting::new(timeout));
            }
            VerifiedOutput::Cancel { exchange, .. } => {
                if let Some(waiting) = self.waiting.remove(&exchange) {
                    waiting.end();
                }
            }
            VerifiedOutput::Sign { id, request, fetched } => self.sign(id, request, fetched),
            VerifiedOutput::Done(outcome) => return Some(outcome),
        }
        None
    }

    fn ask(&mut self, exchange: ExchangeId, node: NodeId, calls: Arc<[Call]>, waiting: Waiting) {
        self.used = true;
        self.waiting.insert(exchange, waiting.clone());
        let node = self.driver.shared.pool().node(node).cloned();
        let (transport, request) = (self.driver.transport.clone(), self.request);
        let (began, asked) = (self.driver.began, self.driver.began.elapsed());
        let job = move || {
            let node = node.ok_or(PeerError::UnknownPeer)?;
            // Some of the time may have passed before there was a thread.
            let left = waiting.timeout().saturating_sub(began.elapsed().saturating_sub(asked));
            if left.is_zero() || waiting.is_over() {
                return Err(PeerError::TimedOut { after: waiting.timeout() });
            }
            transport.exchange(request, &node, &calls, &waiting.left(left))
        };
        let sender = self.sender.clone();
        // Whoever waited may be gone; the outcome is then nobody's.
        let job = move || drop(sender.send(Report::Answers(exchange, job())));
        if let Err(busy) = self.driver.exchanges.run(job) {
            let _ = self.sender.send(Report::Answers(exchange, Err(busy)));
        }
    }

    fn sign(&self, id: SignId, request: SignRequest, fetched: Vec<Fetched>) {
        let (signer, sender) = (self.driver.shared.signer.clone(), self.sender.clone());
        let job = move || {
            let signed = match signer {
                Some(signer) => block_on(signer.sign(&request, &fetched)),
                None => Err(SignError::NoSigner),
            };
            drop(sender.send(Report::Signed(id, signed)));
        };
        if let Err(busy) = self.driver.signings.run(job) {
            let _ = self.sender.send(Report::Signed(id, Err(SignError::Failed(Reason::new(busy)))));
        }
    }
}
