//! The writing side of a connection, shared by all who ask: whoever asks writes, and the connection's task writes what is left.

use super::super::ClientSettings;
use super::super::stream::WriteHalf;
use crate::call::{Answer, Call};
use crate::error::{Malformed, PeerError, RpcError};
use crate::jsonrpc::write_request;
use crate::websocket::{write_close, write_ping, write_pong, write_text};
use bytes::Bytes;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::AsyncWrite;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Duration, Instant, timeout};

/// Beyond this many bytes that the peer does not take, pings of it are left unanswered.
const PONG_BYTES: usize = 64 << 10;
/// With more requests than this under way, they are gathered before they are written.
const DIRECT: usize = 2;
/// How long a polite end may take.
const FAREWELL: Duration = Duration::from_secs(1);

type Outcome = Result<Answer, PeerError>;

/// Who waits for an answer.
struct Waiting {
    reply: oneshot::Sender<Outcome>,
    /// Whether the answer is the whole response object.
    whole: bool,
}

pub(super) struct Shared {
    outgoing: Mutex<Outgoing>,
    /// Wakes the connection's task: there is something to write, or nobody asks any more.
    changed: Notify,
    max_waiting: usize,
    max_request_bytes: usize,
}

struct Outgoing {
    half: WriteHalf,
    /// Frames that are not written yet, and how much of them is.
    pending: Vec<u8>,
    written: usize,
    /// Whether the half still holds something back.
    unflushed: bool,
    waiting: BTreeMap<u64, Waiting>,
    /// When the oldest of an uninterrupted series of waits began.
    since: Instant,
    next_id: u64,
    /// Requests since the last look.
    sent: usize,
    rng: Rng,
    left: bool,
    ended: Option<PeerError>,
}

impl Shared {
    pub(super) fn new(half: WriteHalf, settings: &ClientSettings) -> Self {
        let outgoing = Outgoing {
            half,
            pending: Vec::new(),
            written: 0,
            unflushed: false,
            waiting: BTreeMap::new(),
            since: Instant::now(),
            // Some servers take 0 for no id.
            next_id: 1,
            sent: 0,
            // Without randomness masks can be foreseen, which matters where strangers choose what is sent.
            rng: Rng::with_seed(getrandom::u64().unwrap_or(0)),
            left: false,
            ended: None,
        };
        Self {
            outgoing: Mutex::new(outgoing),
            changed: Notify::new(),
            max_waiting: settings.max_waiting.get(),
            max_request_bytes: settings.max_request_bytes,
        }
    }

    /// Sends a request; what comes of it.
    pub(super) fn ask(self: &Arc<Self>, call: &Call) -> Result<Asked, PeerError> {
        let busy = Err(PeerError::Busy { max: self.max_waiting });
        let bytes = call.len();
        let mut outgoing = self.lock();
        if let Some(cause) = &outgoing.ended {
            return Err(cause.clone());
        }
        let unsent = outgoing.unwritten() + bytes;
        if bytes > self.max_request_bytes {
            return Err(PeerError::RequestTooLarge { len: bytes, max: self.max_request_bytes });
        }
        if unsent > self.max_request_bytes.saturating_mul(16) {
            return busy;
        }
        if outgoing.waiting.len() >= self.max_waiting {
            return busy;
        }
        if outgoing.waiting.is_empty() {
            outgoing.since = Instant::now();
        }
        let id = outgoing.next_id;
        outgoing.next_id += 1;
        outgoing.sent += 1;
        let (reply, answer) = oneshot::channel();
        outgoing.waiting.insert(id, Waiting { reply, whole: call.wants_whole() });
        self.send(&mut outgoing, write_text, &write_request(id, call));
        drop(outgoing);
        Ok(Asked { shared: self.clone(), id, answer })
    }

    /// An answer came. Whether anybody waits for it.
    pub(super) fn answer(
        &self,
        id: u64,
        message: &Bytes,
        answer: Result<Answer, RpcError>,
    ) -> Result<bool, Malformed> {
        let mut outgoing = self.lock();
        let waiting = outgoing.waiting.remove(&id);
        let was_asked = id < outgoing.next_id;
        drop(outgoing);
        match waiting {
            // Who gave it up in this moment does not mind.
            Some(Waiting { reply, whole: true }) => Ok(reply.send(Ok(Answer(message.clone()))).is_ok()),
            Some(Waiting { reply, whole: false }) => Ok(reply.send(answer.map_err(PeerError::Rpc)).is_ok()),
            None if was_asked => Ok(false),
            None => Err(Malformed::UnknownId),
        }
    }

    /// Answers a ping, unless the peer does not read.
    pub(super) fn pong(&self, payload: &[u8]) {
        let mut outgoing = self.lock();
        if outgoing.unwritten() <= PONG_BYTES {
            self.send(&mut outgoing, write_pong, payload);
        }
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&self) {
        self.send(&mut self.lock(), |out, _, mask| write_ping(out, mask), &[]);
    }

    /// Since when somebody has been waiting.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let outgoing = self.lock();
        (!outgoing.waiting.is_empty()).then_some(outgoing.since)
    }

    /// How many requests were sent since the last call.
    pub(super) fn take_sent(&self) -> usize {
        std::mem::take(&mut self.lock().sent)
    }

    /// Why the connection has ended, if it has.
    pub(super) fn ended(&self) -> Option<PeerError> {
        self.lock().ended.clone()
    }

    /// Nobody asks any more.
    pub(super) fn leave(&self) {
        self.lock().left = true;
        self.changed.notify_one();
    }

    /// Writes what those who asked could not, until nobody asks any more; for the connection's task. Dropping it loses nothing.
    pub(super) async fn write_rest(&self) -> PeerError {
        loop {
            let written = poll_fn(|cx| {
                let mut outgoing = self.lock();
                if outgoing.left { Poll::Ready(Ok(false)) } else { outgoing.write(cx).map_ok(|()| true) }
            });
            if !matches!(written.await, Ok(true)) {
                return PeerError::Closed;
            }
            self.changed.notified().await;
        }
    }

    /// Tells all who wait, and says goodbye to the peer if it takes it.
    pub(super) async fn end(&self, cause: &PeerError) {
        let waiting = {
            let mut outgoing = self.lock();
            outgoing.ended = Some(cause.clone());
            outgoing.queue(|out, _, mask| write_close(out, mask), &[]);
            std::mem::take(&mut outgoing.waiting)
        };
        for waiting in waiting.into_values() {
            // Who gave up meanwhile does not mind.
            let _ = waiting.reply.send(Err(cause.clone()));
        }
        let farewell = poll_fn(|cx| {
            let mut outgoing = self.lock();
            // Whatever comes of it, the connection is gone.
            let _ = ready!(outgoing.write(cx));
            Pin::new(&mut outgoing.half).poll_shutdown(cx)
        });
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Writes a frame, as far as the socket takes it now; the rest is the task's.
    fn send(
        &self,
        outgoing: &mut Outgoing,
        write: impl FnOnce(&mut Vec<u8>, &[u8], [u8; 4]),
        payload: &[u8],
    ) {
        // The task may wait for the socket, and it alone is woken by it: nobody writes beside it.
        let is_first = outgoing.unwritten() == 0 && !outgoing.unflushed;
        outgoing.queue(write, payload);
        // With many under way the task comes after those who ask now, and writes what they have asked in one go. A failure shows
        // when it tries, and it tells everybody.
        let is_direct = is_first && outgoing.waiting.len() <= DIRECT;
        let mut nobody = Context::from_waker(Waker::noop());
        if !is_direct || !matches!(outgoing.write(&mut nobody), Poll::Ready(Ok(()))) {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outgoing> {
        // Nothing under this lock panics half-way.
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing {
    fn unwritten(&self) -> usize {
        self.pending.len() - self.written
    }

    fn queue(&mut self, write: impl FnOnce(&mut Vec<u8>, &[u8], [u8; 4]), payload: &[u8]) {
        write(&mut self.pending, payload, self.rng.u32(..).to_ne_bytes());
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.written < self.pending.len() {
            let rest = self.pending.get(self.written..).unwrap_or_default();
            let count = ready!(Pin::new(&mut self.half).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.unflushed = true;
        }
        self.pending.clear();
        self.pending.shrink_to(PONG_BYTES);
        self.written = 0;
        if self.unflushed {
            ready!(Pin::new(&mut self.half).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// A request that was sent. Dropping it gives it up.
pub(super) struct Asked {
    shared: Arc<Shared>,
    id: u64,
    answer: oneshot::Receiver<Outcome>,
}

impl Future for Asked {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.unwrap_or(Err(PeerError::Closed)))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.answer.is_terminated() {
            return;
        }
        self.shared.lock().waiting.remove(&self.id);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("max_waiting", &self.max_waiting).finish_non_exhaustive()
    }
}
