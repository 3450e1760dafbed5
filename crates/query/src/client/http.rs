//! JSON-RPC over HTTP/1.1: a request per POST, on connections that are kept.
//!
//! The rules: a client has a few connections, and a bounded number of requests that wait for one. Between connects that fail there is a pause, in
//! which requests fail at once with the last cause. What a peer may send for one request is bounded, head, body and all that HTTP puts between:
//! interim answers have no end of their own.

mod metered;

use super::pauses::Pauses;
use super::stream::Stream;
use super::{ClientSettings, Requester};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, ConnectFault, Malformed, PeerError};
use crate::jsonrpc::{read_batch, read_http_answer, read_retry_after, write_batch, write_request};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use metered::{Allowance, Metered};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest head of an answer, and the most that is read at once.
const MAX_HEAD: usize = 64 << 10;

/// A connection: who sends over it, and what may still come.
#[derive(Debug)]
struct Sender {
    requests: SendRequest<Full<Bytes>>,
    allowance: Allowance,
}

/// A client for HTTP. Connections are opened when they are needed and kept for the next request.
#[derive(Debug)]
pub struct HttpClient {
    endpoint: Endpoint,
    settings: Arc<ClientSettings>,
    next_id: AtomicU64,
    idle: Mutex<Vec<Sender>>,
    connections: Semaphore,
    waiting: AtomicUsize,
    pauses: Mutex<Pauses>,
}

/// What came for a request.
struct Reply {
    status: u16,
    retry_after: Option<Duration>,
    body: Bytes,
}

/// A request that waits or is under way.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpClient {
    /// A client for `endpoint`; nothing is opened yet.
    pub fn new(endpoint: Endpoint, settings: Arc<ClientSettings>) -> Self {
        let connections = Semaphore::new(settings.max_http_connections.get());
        Self {
            endpoint,
            settings,
            // Some servers take 0 for no id.
            next_id: AtomicU64::new(1),
            idle: Mutex::default(),
            connections,
            waiting: AtomicUsize::new(0),
            pauses: Mutex::new(Pauses::new()),
        }
    }

    async fn connect(&self) -> Result<Sender, ConnectError> {
        self.pauses().allow()?;
        match self.open().await {
            Ok(sender) => {
                self.pauses().stable();
                Ok(sender)
            }
            Err(fault) => {
                self.pauses().failed(fault.clone(), &self.settings);
                Err(fault.into())
            }
        }
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<Sender, ConnectFault> {
        let after = self.settings.connect_timeout;
        let opening = async {
            let (stream, allowance) = Metered::new(Stream::open(&self.endpoint, &self.settings).await?);
            let handshake =
                http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
            let (requests, connection) =
                handshake.map_err(|_| ConnectFault::Io(std::io::ErrorKind::ConnectionReset))?;
            Ok((Sender { requests, allowance }, connection))
        };
        let opened = tokio::time::timeout(after, opening).await;
        let (sender, connection) = opened.map_err(|_| ConnectFault::TimedOut { after })??;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a peer has ended");
            }
        });
        Ok(sender)
    }

    fn request(&self, body: Bytes) -> Result<http::Request<Full<Bytes>>, ConnectFault> {
        let mut request = http::Request::post(self.endpoint.target())
            .header(HOST, self.endpoint.authority())
            .header(CONTENT_TYPE, "application/json");
        if let Some(credentials) = self.endpoint.authorization() {
            request = request.header(AUTHORIZATION, credentials);
        }
        request.body(Full::new(body)).map_err(|_| ConnectFault::BadEndpoint)
    }

    /// An idle connection, or a new one; whether it is new.
    async fn sender(&self) -> Result<(Sender, bool), PeerError> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut kept) = kept else { break };
            if kept.requests.ready().await.is_ok() {
                return Ok((kept, false));
            }
        }
        Ok((self.connect().await?, true))
    }

    async fn exchange(&self, body: Vec<u8>) -> Result<Reply, PeerError> {
        let max = self.settings.max_waiting.get();
        if body.len() > self.settings.max_request_bytes {
            let max = self.settings.max_request_bytes;
            return Err(PeerError::RequestTooLarge { len: body.len(), max });
        }
        let waits = Waits(&self.waiting);
        if waits.0.fetch_add(1, Ordering::Relaxed) >= max {
            return Err(PeerError::Busy { max });
        }
        let body = Bytes::from(body);
        let _one_of_few = self.connections.acquire().await.map_err(|_| PeerError::Closed)?;
        loop {
            let (mut sender, new) = self.sender().await?;
            let request = self.request(body.clone()).map_err(|fault| PeerError::Connect(fault.into()))?;
            let max = self.settings.max_answer_bytes;
            sender.allowance.set(max.saturating_mul(2).saturating_add(MAX_HEAD));
            let response = match sender.requests.send_request(request).await {
                Ok(response) => response,
                Err(_) if sender.allowance.is_used_up() => return Err(Malformed::TooLarge { max }.into()),
                // The peer closed a kept connection before it saw the request: once more, on another one.
                Err(error) if !new && error.is_canceled() => continue,
                Err(error) if error.is_parse() => return Err(Malformed::Framing.into()),
                Err(_) => return Err(PeerError::Closed),
            };
            let status = response.status().as_u16();
            let retry_after = response.headers().get(RETRY_AFTER);
            let retry_after = retry_after.and_then(|value| read_retry_after(value.as_bytes()));
            let body = Limited::new(response.into_body(), max).collect().await;
            let body = body.map_err(|error| {
                match error.is::<LengthLimitError>() || sender.allowance.is_used_up() {
                    true => Malformed::TooLarge { max }.into(),
                    false => PeerError::Closed,
                }
            })?;
            if !sender.requests.is_closed() {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            }
            return Ok(Reply { status, retry_after, body: body.to_bytes() });
        }
    }
}

#[async_trait]
impl Requester for HttpClient {
    async fn request(&self, call: &Call) -> Result<Answer, PeerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let Reply { status, retry_after, body } = self.exchange(write_request(id, call)).await?;
        let answer = match call.wants_whole() {
            true => read_batch(status, &body, id, 1)
                .and_then(|mut whole| whole.pop().map(Answer).ok_or_else(|| Malformed::Incomplete.into())),
            false => read_http_answer(status, &body, id),
        };
        answer.map_err(|error| error.asks_for(retry_after))
    }

    async fn batch(&self, calls: &[Call]) -> Result<Vec<Bytes>, PeerError> {
        let first = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let Reply { status, retry_after, body } = self.exchange(write_batch(first, calls)).await?;
        read_batch(status, &body, first, calls.len()).map_err(|error| error.asks_for(retry_after))
    }
}
