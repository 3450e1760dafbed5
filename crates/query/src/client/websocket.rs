//! JSON-RPC over a websocket: requests are written by whoever asks, answers are read by one task per connection and matched by id.
//!
//! The rules: the task ends when the connection does, or when the last handle is dropped; then everybody who waits is told why. A message
//! that breaks the protocol ends the connection with that as the cause. An answer that comes late, to a request that was given up, is
//! dropped. So is one to a question that was never asked; a peer that gives many of those, or no other for a while, is given up, and so is one
//! that keeps sending what nobody waits for. What a peer does not read is not written for ever: requests are refused beyond a bound, and pongs
//! are left out.

mod handshake;
mod outgoing;

use super::stream::ReadHalf;
use super::{ClientSettings, JsonRpcClient};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectFault, Malformed, PeerError};
use crate::jsonrpc::{Incoming, read_message};
use crate::websocket::{FrameReader, Received};
use async_trait::async_trait;
use bytes::Bytes;
use outgoing::Shared;
use std::future::pending;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// The room there is for each read.
const READ_BYTES: usize = 8 << 10;
/// Messages that nobody waits for, within [`STRAYS_WITHIN`], beside one for each request.
const STRAYS: usize = 256;
/// When that many are allowed anew.
const STRAYS_WITHIN: Duration = Duration::from_secs(10);
/// So many answers to questions that were never asked are dropped, in the life of a connection.
const FOREIGN: usize = 16;
/// After one of them what was asked must be answered within this. Shorter than what makes a connection count as stable.
const FOREIGN_WITHIN: Duration = Duration::from_millis(250);
/// How long the end of a peer's bytes is waited for, once goodbye is said: what is left unread would cut that short.
const LINGER: Duration = Duration::from_millis(100);

/// A client with one websocket. Dropping it closes the connection.
#[derive(Debug)]
pub struct WebsocketClient {
    shared: Arc<Shared>,
    /// Closed when the connection's task has ended.
    gone: watch::Receiver<()>,
}

#[async_trait]
impl JsonRpcClient for WebsocketClient {
    async fn connect(endpoint: &Endpoint, settings: &ClientSettings) -> Result<Self, ConnectFault> {
        let after = settings.connect_timeout;
        let opening = tokio::time::timeout(after, handshake::open(endpoint, settings));
        let (stream, early) = opening.await.map_err(|_| ConnectFault::TimedOut { after })??;
        let (reader, writer) = stream.split();
        let shared = Arc::new(Shared::new(writer, settings));
        let mut frames = FrameReader::new(settings.max_answer_bytes);
        frames.buffer().extend_from_slice(&early);
        let (at_work, gone) = watch::channel(());
        let connection = Connection {
            shared: shared.clone(),
            reader,
            frames,
            strays: 0,
            counted: Instant::now(),
            foreign: 0,
            answer_by: None,
            _at_work: at_work,
        };
        tokio::spawn(connection.run(settings.silence));
        Ok(Self { shared, gone })
    }

    fn is_connected(&self) -> bool {
        self.shared.ended().is_none()
    }

    fn ended(&self) -> Option<PeerError> {
        self.shared.ended()
    }

    async fn request(&self, call: &Call) -> Result<Answer, PeerError> {
        self.shared.ask(call)?.await
    }

    async fn close(&self) {
        self.shared.leave();
        // Nothing is ever sent: this ends when the task does.
        let _ = self.gone.clone().changed().await;
    }
}

impl Drop for WebsocketClient {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

/// The reading side of a connection.
struct Connection {
    shared: Arc<Shared>,
    reader: ReadHalf,
    frames: FrameReader,
    /// Messages that nobody waited for, since `counted`.
    strays: usize,
    counted: Instant,
    /// Answers to questions that were never asked.
    foreign: usize,
    /// After one of them: when what was asked must be answered.
    answer_by: Option<Instant>,
    _at_work: watch::Sender<()>,
}

impl Connection {
    async fn run(mut self, silence: Duration) {
        let cause = self.serve(silence).await;
        tracing::debug!(%cause, "a connection to a peer has ended");
        self.shared.end(&cause).await;
        let mut rest = [0; 512];
        let reading = async { while matches!(self.reader.read(&mut rest).await, Ok(1..)) {} };
        let _ = timeout(LINGER, reading).await;
    }

    /// Until the connection is of no use any more; why.
    async fn serve(&mut self, silence: Duration) -> PeerError {
        let mut heard = Instant::now();
        let mut pinged = false;
        let mut tick = interval((silence / 4).max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What came with the handshake is there already.
        if let Err(cause) = self.take_messages() {
            return cause;
        }
        loop {
            self.frames.buffer().reserve(READ_BYTES);
            let answer_by = self.answer_by;
            let overdue = async {
                match answer_by {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                cause = self.shared.write_rest() => return cause,
                read = self.reader.read_buf(self.frames.buffer()) => {
                    heard = Instant::now();
                    pinged = false;
                    match read {
                        Ok(0) | Err(_) => return PeerError::Closed,
                        Ok(_) => {}
                    }
                    if let Err(cause) = self.take_messages() {
                        return cause;
                    }
                }
                () = overdue => {
                    self.answer_by = self.shared.waiting_since().map(|since| since + FOREIGN_WITHIN);
                    if self.answer_by.is_some_and(|by| by <= Instant::now()) {
                        return Malformed::UnknownId.into();
                    }
                }
                _ = tick.tick() => {
                    let Some(since) = self.shared.waiting_since() else { continue };
                    let quiet = since.max(heard).elapsed();
                    if quiet >= silence {
                        return PeerError::Closed;
                    }
                    if quiet >= silence / 2 && !pinged {
                        pinged = true;
                        self.shared.ping();
                    }
                }
            }
        }
    }

    /// Hands out the messages that are complete.
    fn take_messages(&mut self) -> Result<(), PeerError> {
        while let Some(received) = self.frames.take()? {
            let was_awaited = match received {
                Received::Message(message) => self.take_message(&message)?,
                Received::Close => return Err(PeerError::Closed),
                Received::Ping(payload) => {
                    self.shared.pong(&payload);
                    false
                }
                Received::Pong => false,
            };
            if !was_awaited {
                self.count_stray()?;
            }
        }
        Ok(())
    }

    /// Hands an answer to who waits for it; whether anybody did.
    fn take_message(&mut self, message: &Bytes) -> Result<bool, PeerError> {
        let taken = match read_message(message) {
            Ok(Incoming::Answer { id, answer }) => self.shared.answer(id, message, answer),
            Ok(Incoming::Unaddressed(error)) => return Err(error.into()),
            Ok(Incoming::Notification) => return Ok(false),
            Err(malformed) => Err(malformed),
        };
        match taken {
            Ok(true) => self.answer_by = None,
            Err(Malformed::UnknownId) if self.foreign < FOREIGN => {
                self.foreign += 1;
                self.answer_by.get_or_insert(Instant::now() + FOREIGN_WITHIN);
                return Ok(false);
            }
            _ => {}
        }
        Ok(taken?)
    }

    fn count_stray(&mut self) -> Result<(), Malformed> {
        self.strays += 1;
        if self.strays <= STRAYS {
            return Ok(());
        }
        // A request that was given up may be answered all the same, and so may each one a second time.
        let excused = self.shared.take_sent();
        if excused > 0 || self.counted.elapsed() >= STRAYS_WITHIN {
            self.strays = self.strays.saturating_sub(excused.max(STRAYS / 2));
            self.counted = Instant::now();
            return Ok(());
        }
        Err(Malformed::Unasked)
    }
}
