//! A queue behind a handler, for those who want to take messages in their own time (feature `tokio`).
//!
//! The rule: each peer has its own budget in bytes, and who exceeds it feels it alone. A wait for room
//! always ends, so two nodes whose inboxes are full go on, at the price of a message.

mod handlers;
mod queue;

pub use handlers::InboxHandlers;

use crate::{ConfigError, Pause, Refusal, locked};
use bytes::Bytes;
use queue::{Pushed, Queue};
use quorate_wire::{ModuleId, PeerUrl, SpaceId, detach};
use std::{
    mem,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, sync::oneshot, time::timeout};

/// What a message costs beyond its payload: its place in a queue that grows by doubling.
const MESSAGE_COST: usize = 2 * mem::size_of::<InboxMessage>();
/// A payload that is kept is taken to be a slice of a read of this size, and copied out if it is small beside it.
const READ: usize = 64 << 10;

/// How much waits in an [`Inbox`], and what happens beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxConfig {
    /// Bytes that one peer may have waiting. Default 256 KiB. A message that is larger than all of it may wait alone.
    pub peer_bytes: NonZeroUsize,
    /// Bytes of all peers together; beyond it messages are dropped, whatever `overflow` says. Default 8 MiB.
    pub total_bytes: NonZeroUsize,
    /// What happens to a peer that exceeds its budget. Default: it is slowed down, for 5 s.
    pub overflow: Overflow,
}

/// What happens to a peer whose messages are taken out more slowly than it sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Nothing more is read from it until there is room, so that its own sends wait. After so long the
    /// message is dropped and counted, and reading goes on: Kitsune2 has one stream per direction, and two full
    /// inboxes that face each other would wait for ever.
    Slow(Duration),
    /// The message is dropped and counted.
    Drop,
    /// Its connection ends, with the words `the inbox is full`.
    Disconnect,
}

impl InboxConfig {
    /// Whether the values fit together. [`Inbox::new`] calls it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (peer, total) = (self.peer_bytes.get(), self.total_bytes.get());
        if peer > total { Err(ConfigError::InboxBytes { peer, total }) } else { Ok(()) }
    }
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self {
            peer_bytes: NonZeroUsize::MIN.saturating_add((256 << 10) - 1),
            total_bytes: NonZeroUsize::MIN.saturating_add((8 << 20) - 1),
            overflow: Overflow::Slow(Duration::from_secs(5)),
        }
    }
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxMessage {
    /// Who sent it.
    pub peer: PeerUrl,
    /// To which space.
    pub space: SpaceId,
    /// To which module of it; `None` for the space itself.
    pub module: Option<ModuleId>,
    /// The payload.
    pub data: Bytes,
}

/// Messages that wait to be taken, in the order in which they came.
///
/// ```
/// use bytes::Bytes;
/// use quorate_transport::{Inbox, InboxConfig};
/// # use quorate_transport::{MemHub, MemTransport, Transport, TransportConfig, TxHandler, TxImpHnd};
/// # use std::sync::Arc;
/// # struct App;
/// # impl TxHandler for App {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let hub = MemHub::default();
/// # let node = |url: &str| -> Result<Transport, Box<dyn std::error::Error>> {
/// #     let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default())?;
/// #     let imp = MemTransport::bind(&hub, url.parse()?, Arc::clone(&hnd))?;
/// #     Ok(Transport::new(hnd, Arc::new(imp)))
/// # };
/// # let (alice, bob) = (node("mem://host:1/alice")?, node("mem://host:1/bob")?);
/// let space = quorate_wire::SpaceId::from_static(b"notes");
/// let (handlers, mut inbox) = Inbox::new(InboxConfig::default())?;
/// let (_bobs, url) = bob.register_space_handler(space.clone(), handlers.space())?;
/// # let (_alices, _) = alice.register_space_handler(space.clone(), handlers.space())?;
/// # let url = url.ok_or("no URL")?;
/// alice.send_space_notify(&url, &space, Bytes::from_static(b"hello")).await?;
/// let message = inbox.recv().await.ok_or("the handlers are gone")?;
/// assert_eq!((message.data, message.module), (Bytes::from_static(b"hello"), None));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inbox(Arc<Shared>);

/// What the handlers and the reader have in common.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue<InboxMessage, Waiter>>,
    overflow: Overflow,
    filled: Notify,
    /// Messages that wait for room: most of the time there are none, and nobody has to look.
    waiting: AtomicUsize,
    /// The reader is gone: what comes is dropped.
    unread: AtomicBool,
    /// The handlers are gone: nothing comes any more.
    ended: AtomicBool,
}

/// Where a message that waits for room reports that it found some.
#[derive(Debug)]
struct Waiter {
    admitted: oneshot::Sender<()>,
    /// Until the core asks for the pause.
    awaited: Option<oneshot::Receiver<()>>,
}

/// What an inbox has and what became of the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxStats {
    /// Messages that wait to be taken.
    pub messages: usize,
    /// What they cost, in bytes: payloads, and a place each.
    pub bytes: usize,
    /// Messages that were dropped because there was no room, in time or at all.
    pub dropped: u64,
    /// Messages that had to wait for room.
    pub waited: u64,
    /// Messages that ended their connection.
    pub refused: u64,
}

impl Inbox {
    /// An inbox, and what is to be registered for it.
    pub fn new(config: InboxConfig) -> Result<(InboxHandlers, Self), ConfigError> {
        config.validate()?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(config.peer_bytes.get(), config.total_bytes.get())),
            overflow: config.overflow,
            filled: Notify::new(),
            waiting: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        Ok((InboxHandlers::new(Arc::clone(&shared)), Self(shared)))
    }

    /// The next message, waiting for one; `None` when there is none and all handlers are gone. Cancel safe.
    pub async fn recv(&mut self) -> Option<InboxMessage> {
        loop {
            if let Some(message) = self.try_recv() {
                return Some(message);
            }
            if self.0.ended.load(Ordering::Acquire) {
                return self.try_recv();
            }
            self.0.filled.notified().await;
        }
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Option<InboxMessage> {
        let (message, admitted) = locked(&self.0.queue).pop()?;
        if let Some(waiter) = admitted {
            self.0.waiting.fetch_sub(1, Ordering::Release);
            // A connection that is gone waits no more.
            let _ = waiter.admitted.send(());
        }
        Some(message)
    }

    /// What waits, and what became of the rest.
    pub fn stats(&self) -> InboxStats {
        locked(&self.0.queue).stats()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.0.unread.store(true, Ordering::Release);
        let waiters = locked(&self.0.queue).clear();
        self.0.waiting.fetch_sub(waiters.len(), Ordering::Release);
        for waiter in waiters {
            let _ = waiter.admitted.send(());
        }
    }
}

impl Shared {
    fn take(&self, message: InboxMessage) -> Result<(), Refusal> {
        if self.unread.load(Ordering::Acquire) {
            locked(&self.queue).count_dropped();
            return Ok(());
        }
        let message = InboxMessage { data: detach(message.data, READ), ..message };
        let cost = message.data.len() + MESSAGE_COST;
        let waiter = || {
            let (admitted, awaited) = oneshot::channel();
            Waiter { admitted, awaited: Some(awaited) }
        };
        let mut queue = locked(&self.queue);
        let pushed = queue.push(message.peer.clone(), cost, message);
        let left = match (pushed, self.overflow) {
            (Pushed::Queued, _) => {
                drop(queue);
                self.filled.notify_one();
                return Ok(());
            }
            (Pushed::PeerFull(message), Overflow::Slow(_)) => {
                let peer = message.peer.clone();
                if queue.wait(&peer, cost, message, waiter()) {
                    self.waiting.fetch_add(1, Ordering::Release);
                }
                return Ok(());
            }
            (Pushed::PeerFull(left), Overflow::Disconnect) => {
                queue.count_refused();
                drop(queue);
                drop(left);
                return Err(Refusal::new("the inbox is full"));
            }
            (Pushed::PeerFull(left), Overflow::Drop) | (Pushed::AllFull(left), _) => left,
        };
        queue.count_dropped();
        drop(queue);
        drop(left);
        Ok(())
    }

    /// What the peer's link has to wait for, if one of its messages does.
    fn pause(self: &Arc<Self>, peer: &PeerUrl) -> Option<Pause> {
        let Overflow::Slow(max_wait) = self.overflow else { return None };
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let (ticket, awaited) = locked(&self.queue)
            .waiter(peer, |ticket, waiter| waiter.awaited.take().map(|rx| (ticket, rx)))??;
        let claim = Claim { shared: Arc::clone(self), peer: peer.clone(), ticket };
        Some(Box::pin(async move {
            let _ = timeout(max_wait, awaited).await;
            drop(claim);
        }))
    }
}

/// One link's wait for room. When it is over, in whatever way, the message waits no more.
struct Claim {
    shared: Arc<Shared>,
    peer: PeerUrl,
    ticket: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let given_up = locked(&self.shared.queue).give_up(&self.peer, self.ticket);
        if given_up.is_some() {
            self.shared.waiting.fetch_sub(1, Ordering::Release);
        }
    }
}
