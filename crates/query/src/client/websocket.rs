//! JSON-RPC over a websocket: one task per connection, answers matched by id.
//!
//! The rules: the task ends when the connection does, or when the last handle is dropped; then everybody who waits is told.
//! A message that breaks the protocol ends the connection with that as the cause. An answer that comes late, to a
//! request that was given up, is dropped.

use super::stream::Stream;
use super::{ClientSettings, JsonRpcClient};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectFault, Malformed, PeerError};
use crate::jsonrpc::{Incoming, read_message, write_request};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_websockets::{ClientBuilder, Config, Limits, Message, WebSocketStream};

/// Bytes that are queued before the connection waits for the network.
const FLUSH_THRESHOLD: usize = 64 << 10;
/// Requests taken from the queue at one go.
const BATCH: usize = 64;
/// Requests that were given up are looked for when this many wait.
const SWEEP_AT: usize = 64;

/// A client with one websocket. Dropping it closes the connection.
#[derive(Debug)]
pub struct WebsocketClient {
    requests: mpsc::Sender<Request>,
    waiting_bytes: Arc<AtomicUsize>,
    max_waiting: usize,
    max_request_bytes: usize,
}

type Reply = oneshot::Sender<Result<Answer, PeerError>>;

#[derive(Debug)]
struct Request {
    call: Call,
    reply: Reply,
    charge: Charge,
}

/// The bytes of a request that waits; given back when it no longer does.
#[derive(Debug)]
struct Charge {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[async_trait]
impl JsonRpcClient for WebsocketClient {
    async fn connect(endpoint: &Endpoint, settings: &ClientSettings) -> Result<Self, ConnectFault> {
        let after = settings.connect_timeout;
        let opening = tokio::time::timeout(after, open(endpoint, settings));
        let socket = opening.await.map_err(|_| ConnectFault::TimedOut { after })??;
        let (requests, queue) = mpsc::channel(settings.max_waiting.get());
        let connection = Connection {
            socket,
            queue,
            waiting: HashMap::new(),
            next_id: 0,
            max_waiting: settings.max_waiting.get(),
            max_answer_bytes: settings.max_answer_bytes,
            sweep_at: SWEEP_AT,
        };
        tokio::spawn(connection.run(settings.silence));
        Ok(Self {
            requests,
            waiting_bytes: Arc::default(),
            max_waiting: settings.max_waiting.get(),
            max_request_bytes: settings.max_request_bytes,
        })
    }

    fn is_connected(&self) -> bool {
        !self.requests.is_closed()
    }

    async fn request(&self, call: &Call) -> Result<Answer, PeerError> {
        let bytes = call.len();
        let busy = PeerError::Busy { max: self.max_waiting };
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let charge = Charge { bytes, total: self.waiting_bytes.clone() };
        if bytes > self.max_request_bytes || before + bytes > self.max_request_bytes.saturating_mul(16) {
            return Err(busy);
        }
        let (reply, answer) = oneshot::channel();
        match self.requests.try_send(Request { call: call.clone(), reply, charge }) {
            Ok(()) => answer.await.unwrap_or(Err(PeerError::Closed)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(PeerError::Closed),
        }
    }
}

async fn open(
    endpoint: &Endpoint,
    settings: &ClientSettings,
) -> Result<WebSocketStream<Stream>, ConnectFault> {
    let uri = format!("{}://{}{}", endpoint.url().scheme(), endpoint.authority(), endpoint.target());
    let uri = uri.parse().map_err(|_| ConnectFault::BadEndpoint)?;
    let limits = Limits::default().max_payload_len(Some(settings.max_answer_bytes));
    let config = Config::default().flush_threshold(FLUSH_THRESHOLD);
    let mut builder = ClientBuilder::from_uri(uri).limits(limits).config(config);
    if let Some(credentials) = endpoint.authorization() {
        let mut value = HeaderValue::try_from(credentials).map_err(|_| ConnectFault::BadEndpoint)?;
        value.set_sensitive(true);
        builder = builder.add_header(AUTHORIZATION, value).map_err(|_| ConnectFault::BadEndpoint)?;
    }
    let stream = Stream::open(endpoint, settings).await?;
    let (socket, _) = builder.connect_on(stream).await.map_err(handshake_fault)?;
    Ok(socket)
}

fn handshake_fault(error: tokio_websockets::Error) -> ConnectFault {
    use tokio_websockets::{Error, upgrade};
    match error {
        Error::Io(error) => ConnectFault::Io(error.kind()),
        Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status)) => ConnectFault::Refused { status },
        _ => ConnectFault::NotWebsocket,
    }
}

/// A request that has no answer yet.
struct Waiting {
    reply: Reply,
    whole: bool,
    _charge: Charge,
}

struct Connection {
    socket: WebSocketStream<Stream>,
    queue: mpsc::Receiver<Request>,
    waiting: HashMap<u64, Waiting>,
    next_id: u64,
    max_waiting: usize,
    max_answer_bytes: usize,
    sweep_at: usize,
}

impl Connection {
    async fn run(mut self, silence: Duration) {
        let cause = self.serve(silence).await;
        tracing::debug!(%cause, "a connection to a peer has ended");
        self.queue.close();
        for (_, waiting) in self.waiting.drain() {
            let _ = waiting.reply.send(Err(cause.clone()));
        }
        while let Ok(request) = self.queue.try_recv() {
            let _ = request.reply.send(Err(cause.clone()));
        }
        // A polite close, if the peer takes it; the connection is gone either way.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.close()).await;
    }

    /// Until the connection is of no use any more; why.
    async fn serve(&mut self, silence: Duration) -> PeerError {
        let mut batch = Vec::with_capacity(BATCH);
        let mut heard = Instant::now();
        let mut pinged = false;
        let alarm = sleep_until(heard + silence / 2);
        tokio::pin!(alarm);
        loop {
            tokio::select! {
                biased;
                message = self.socket.next() => {
                    heard = Instant::now();
                    pinged = false;
                    let handled = match message {
                        Some(Ok(message)) => self.receive(message),
                        Some(Err(error)) => Err(self.socket_fault(&error)),
                        None => Err(PeerError::Closed),
                    };
                    if let Err(cause) = handled {
                        return cause;
                    }
                }
                taken = self.queue.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return PeerError::Closed;
                    }
                    if self.waiting.is_empty() {
                        heard = Instant::now();
                    }
                    for request in batch.drain(..) {
                        if let Err(cause) = self.send(request).await {
                            return cause;
                        }
                    }
                    // What is queued leaves when the socket is read next: see `tokio_websockets`.
                }
                () = &mut alarm => {
                    let now = Instant::now();
                    let quiet = now.duration_since(heard);
                    if self.waiting.is_empty() || quiet < silence / 2 {
                        alarm.as_mut().reset(heard.max(now - silence / 4) + silence / 2);
                    } else if !pinged {
                        pinged = true;
                        if let Err(error) = self.socket.feed(Message::ping(Bytes::new())).await {
                            return self.socket_fault(&error);
                        }
                        alarm.as_mut().reset(heard + silence);
                    } else {
                        return PeerError::Closed;
                    }
                }
            }
        }
    }

    async fn send(&mut self, request: Request) -> Result<(), PeerError> {
        if request.reply.is_closed() {
            return Ok(());
        }
        if self.waiting.len() >= self.sweep_at {
            self.waiting.retain(|_, waiting| !waiting.reply.is_closed());
            self.sweep_at = (self.waiting.len() * 2).max(SWEEP_AT);
        }
        if self.waiting.len() >= self.max_waiting {
            let _ = request.reply.send(Err(PeerError::Busy { max: self.max_waiting }));
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        let message = Message::text(Bytes::from(write_request(id, &request.call)));
        self.waiting.insert(
            id,
            Waiting { reply: request.reply, whole: request.call.wants_whole(), _charge: request.charge },
        );
        self.socket.feed(message).await.map_err(|error| self.socket_fault(&error))
    }

    fn receive(&mut self, message: Message) -> Result<(), PeerError> {
        if message.is_close() {
            return Err(PeerError::Closed);
        }
        if !message.is_text() && !message.is_binary() {
            return Ok(());
        }
        let message = Bytes::from(message.into_payload());
        match read_message(&message)? {
            Incoming::Answer { id, answer } => match self.waiting.remove(&id) {
                Some(waiting) => {
                    let answer = if waiting.whole { Ok(Answer(message)) } else { answer };
                    // Whoever gave it up in the meantime does not mind.
                    let _ = waiting.reply.send(answer.map_err(PeerError::Rpc));
                    Ok(())
                }
                None if id < self.next_id => Ok(()),
                None => Err(Malformed::UnknownId.into()),
            },
            Incoming::Unaddressed(error) => Err(error.into()),
            Incoming::Notification => Ok(()),
        }
    }

    fn socket_fault(&self, error: &tokio_websockets::Error) -> PeerError {
        match error {
            tokio_websockets::Error::Protocol(_) => Malformed::Framing.into(),
            tokio_websockets::Error::PayloadTooLong { .. } => {
                Malformed::TooLarge { max: self.max_answer_bytes }.into()
            }
            _ => PeerError::Closed,
        }
    }
}
