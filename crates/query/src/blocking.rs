//! The blocking driver: the same questions over HTTP, without a runtime.
//!
//! The rule: a query returns by its deadline. Each request has a thread of its own that ends by its attempt's timeout, so at most as many
//! are left behind as there are peers, and none for longer than that.

use crate::attempts::{AttemptId, AttemptOutput};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectFault, Malformed, PeerError};
use crate::jsonrpc::{read_http_answer, read_retry_after, write_request};
use crate::peer::PeerId;
use crate::query::Query;
use crate::quorum::{Quorum, QuorumOutput};
use crate::report::QueryError;
use crate::strategy::QueryStrategy;
use bytes::Bytes;
use quorate_base::Mono;
use quorate_versioning::NumPeers;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use ureq::Agent;

/// The longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// The guardians of a federation, over HTTP. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlockingFederation {
    peers: Arc<BTreeMap<PeerId, Endpoint>>,
    count: NumPeers,
    agent: Agent,
}

/// Endpoints that this driver cannot use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// There are none.
    #[error("a federation has at least one guardian")]
    Empty,
    /// A guardian has a websocket only.
    #[error("guardian {0} is reached by websocket: the blocking driver speaks HTTP")]
    Websocket(PeerId),
}

impl BlockingFederation {
    /// A federation at these endpoints, `http` or `https`.
    ///
    /// # Errors
    ///
    /// [`BlockingError`].
    pub fn at(endpoints: impl IntoIterator<Item = (PeerId, Endpoint)>) -> Result<Self, BlockingError> {
        let peers: BTreeMap<_, _> = endpoints.into_iter().collect();
        let count = NumPeers::new(peers.len()).ok_or(BlockingError::Empty)?;
        if let Some((peer, _)) = peers.iter().find(|(_, endpoint)| endpoint.scheme().is_websocket()) {
            return Err(BlockingError::Websocket(*peer));
        }
        Ok(Self { peers: Arc::new(peers), count, agent: agent() })
    }

    /// How many peers there are.
    pub const fn num_peers(&self) -> NumPeers {
        self.count
    }

    /// Their numbers.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.keys().copied()
    }

    /// Asks, and waits for the value.
    ///
    /// # Errors
    ///
    /// [`QueryError`], by the query's deadline at the latest, with what every peer did.
    #[expect(clippy::disallowed_methods, reason = "a driver reads the clock")]
    pub fn run<A, S>(&self, query: Query<S, A>) -> Result<S::Output, QueryError<PeerId>>
    where
        A: DeserializeOwned,
        S: QueryStrategy<PeerId, A>,
    {
        let began = Instant::now();
        let now = || Mono::from_origin(began.elapsed());
        // Without randomness the jitter is the same for all, which is harmless.
        let seed = getrandom::u64().unwrap_or(0);
        let Query { call, strategy, config, .. } = query;
        let mut machine = Quorum::new(now(), call.method().clone(), self.peers(), strategy, config, seed);
        let (report, reports) = mpsc::channel::<(AttemptId, Result<Answer, PeerError>)>();
        loop {
            while let Some(output) = machine.poll_output() {
                match output {
                    QuorumOutput::Attempt(AttemptOutput::Ask { attempt, peer, timeout }) => {
                        let report = report.clone();
                        let ask = self.request(peer, &call, timeout);
                        let thread = std::thread::Builder::new().name(format!("query-{peer}"));
                        // Whoever waited may be gone; the answer is then nobody's.
                        if thread.spawn(move || drop(report.send((attempt, ask())))).is_err() {
                            machine.handle_failure(
                                now(),
                                attempt,
                                PeerError::Busy { max: self.count.total() },
                            );
                        }
                    }
                    // The thread ends by itself, at the attempt's timeout.
                    QuorumOutput::Attempt(AttemptOutput::Cancel { .. }) => {}
                    QuorumOutput::Done(outcome) => return outcome,
                }
            }
            let wait = machine.poll_timeout().map_or(Duration::ZERO, |at| at.since(now()));
            match reports.recv_timeout(wait) {
                Ok((attempt, answer)) => match answer.and_then(|answer| Ok((answer.decode()?, answer.0))) {
                    Ok((answer, shown)) => machine.handle_answer(now(), attempt, answer, shown),
                    Err(error) => machine.handle_failure(now(), attempt, error),
                },
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    machine.handle_timeout(now())
                }
            }
        }
    }

    /// The job of a thread: one request.
    fn request(
        &self,
        peer: PeerId,
        call: &Call,
        timeout: Duration,
    ) -> impl FnOnce() -> Result<Answer, PeerError> + Send + 'static {
        let (agent, call, endpoint) = (self.agent.clone(), call.clone(), self.peers.get(&peer).cloned());
        move || {
            let endpoint = endpoint.ok_or(PeerError::UnknownPeer)?;
            let (status, retry_after, body) = exchange(&agent, &endpoint, &write_request(1, &call), timeout)?;
            read_http_answer(status, &body, 1).map_err(|error| error.asks_for(retry_after))
        }
    }
}

/// An agent that follows no redirect and uses no proxy.
pub(crate) fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build().into()
}

/// Sends a body, and reads what comes: the status and the body.
pub(crate) fn post(
    agent: &Agent,
    endpoint: &Endpoint,
    body: &[u8],
    timeout: Duration,
) -> Result<(u16, Bytes), PeerError> {
    exchange(agent, endpoint, body, timeout).map(|(status, _, body)| (status, body))
}

/// The same with the wait that the peer asks for.
fn exchange(
    agent: &Agent,
    endpoint: &Endpoint,
    body: &[u8],
    timeout: Duration,
) -> Result<(u16, Option<Duration>, Bytes), PeerError> {
    let url = format!("{}://{}{}", endpoint.url().scheme(), endpoint.authority(), endpoint.target());
    let mut request = agent.post(url).header("content-type", "application/json");
    if let Some(credentials) = endpoint.authorization() {
        request = request.header("authorization", credentials);
    }
    let request = request.config().timeout_global(Some(timeout)).build();
    let mut response = request.send(body).map_err(|error| fault(&error, timeout))?;
    let retry_after = response.headers().get("retry-after").map(|value| value.as_bytes());
    let retry_after = retry_after.and_then(read_retry_after);
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
    let body = Bytes::from(body.map_err(|error| fault(&error, timeout))?);
    Ok((response.status().as_u16(), retry_after, body))
}

fn fault(error: &ureq::Error, after: Duration) -> PeerError {
    use ureq::Error;
    match error {
        Error::Timeout(_) => PeerError::TimedOut { after },
        Error::HostNotFound => PeerError::Connect(ConnectFault::Resolve.into()),
        Error::Io(error) => PeerError::Connect(ConnectFault::Io(error.kind()).into()),
        Error::ConnectionFailed => {
            PeerError::Connect(ConnectFault::Io(std::io::ErrorKind::NotConnected).into())
        }
        Error::BodyExceedsLimit(max) => {
            Malformed::TooLarge { max: usize::try_from(*max).unwrap_or(usize::MAX) }.into()
        }
        Error::Protocol(_) | Error::Http(_) | Error::LargeResponseHeader(..) => Malformed::Framing.into(),
        Error::BadUri(_) => PeerError::Connect(ConnectFault::BadEndpoint.into()),
        _ => PeerError::Closed,
    }
}
