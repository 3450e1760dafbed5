//! The connection table and the driver that transports are built on (feature `tokio`).
//!
//! The rule: an author dials and accepts, everything between a link and the core is here. One
//! connection per peer counts, one dial per peer runs, one task per connection owns it; no lock is
//! held while anything waits.

mod link;
mod links;
mod outbox;
mod pair;
mod pump;
mod run;
pub mod stream;
mod table;

pub use link::{Dialer, FrameSink, FrameSource, Link, LinkError};

use crate::{
    AuthenticatedPeer, Close, CloseCode, ConfigError, ConnectError, DialError, Incoming, OpenError,
    PeerIdent, SendError, TxImpHnd, guarded, locked,
};
use links::{Links, Place};
use outbox::Rejected;
use quorate_base::{TokioClock, Wall};
use quorate_wire::{EncodedFrame, PeerUrl};
use run::Run;
use std::sync::{Arc, Mutex, Weak};
use table::{Entry, Peer, Stop, Table};
use tokio::sync::{Semaphore, watch};

/// How often a send finds that the connection it was about to use has just ended, before it gives up.
const SEND_ATTEMPTS: usize = 8;
/// How many links that get no connection are told why at the same time; more are just dropped.
const MAX_FAREWELLS: usize = 64;

/// The connections of one transport: a table and the tasks that drive them. A cheap clone.
///
/// A [`TxImp`](crate::TxImp) holds one and passes its calls on. It must be made and used inside a tokio
/// runtime. Dropping the last clone ends all connections as [`close`](Self::close) does, without
/// waiting.
#[derive(Clone)]
pub struct Sessions(Arc<Handle>);

/// A [`Sessions`] that does not keep the connections open: for whatever accepts links.
#[derive(Clone)]
pub struct WeakSessions(Weak<Handle>);

/// What the last clone drops.
struct Handle(Arc<Inner>);

/// What the tasks share.
struct Inner {
    hnd: Arc<TxImpHnd>,
    local: PeerIdent,
    dialer: Box<dyn Dialer>,
    clock: TokioClock,
    table: Mutex<Table>,
    links: Links,
    /// Tasks that run.
    tasks: watch::Sender<usize>,
    farewells: Arc<Semaphore>,
    /// Streams whose peers have not introduced themselves.
    strangers: Arc<Semaphore>,
}

impl Sessions {
    /// An empty table for the node that is known as `local`.
    ///
    /// `local` says how peers are told apart: by their keys, or (for a transport that authenticates
    /// nobody, which the config of `hnd` must allow) by their URLs.
    pub fn new(hnd: Arc<TxImpHnd>, local: PeerIdent, dialer: impl Dialer) -> Result<Self, ConfigError> {
        if matches!(local, PeerIdent::Url(_)) && !hnd.config().allow_unauthenticated {
            return Err(ConfigError::Unauthenticated);
        }
        let config = hnd.config();
        let links = Links::new(config.max_connections.get(), config.max_connections_per_key.get());
        Ok(Self(Arc::new(Handle(Arc::new(Inner {
            hnd,
            links,
            local,
            dialer: Box::new(dialer),
            clock: TokioClock::new(),
            table: Mutex::default(),
            tasks: watch::Sender::new(0),
            farewells: Arc::new(Semaphore::new(MAX_FAREWELLS)),
            strangers: Arc::new(Semaphore::new(stream::MAX_STRANGERS)),
        })))))
    }

    /// As [`TxImp::send`](crate::TxImp::send): dials where there is no connection, waits while the peer's
    /// queue is full. Cancel safe.
    pub async fn send(&self, url: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        let mut frame = Some(frame);
        for _ in 0..SEND_ATTEMPTS {
            let peer = self.inner().peer_or_dial(url)?;
            let mut pushed = peer.outbox.try_push(&mut frame);
            if pushed == Err(Rejected::Full) {
                pushed = peer.outbox.push(&mut frame).await;
            }
            match pushed {
                Ok(()) => return Ok(()),
                Err(Rejected::Held | Rejected::Full) => {
                    peer.ready().await?;
                }
                Err(Rejected::Closed) => peer.ended().await,
            }
        }
        Err(keeps_ending())
    }

    /// As [`TxImp::send_now`](crate::TxImp::send_now): the frame stays where there is no ready connection (one is dialed
    /// then), or no room.
    pub fn send_now(&self, url: &PeerUrl, frame: &mut Option<EncodedFrame>) -> Result<(), SendError> {
        let peer = self.inner().peer_or_dial(url)?;
        // What it is rejected for is waited for in `send`.
        let _ = peer.outbox.try_push(frame);
        Ok(())
    }

    /// As [`TxImp::connect`](crate::TxImp::connect): returns when a connection is past the preflights.
    pub async fn connect(&self, url: &PeerUrl) -> Result<(), SendError> {
        for _ in 0..SEND_ATTEMPTS {
            let peer = self.inner().peer_or_dial(url)?;
            if peer.ready().await? {
                return Ok(());
            }
            peer.ended().await;
        }
        Err(keeps_ending())
    }

    /// Takes a link that a peer dialed. Never waits: preflights and limits are a task's business.
    ///
    /// For a peer that has a connection already, the rules of [`Slot`](crate::Slot) say which stays.
    pub fn accept(&self, peer: AuthenticatedPeer, link: Link) {
        Inner::accept(self.inner(), peer, link);
    }

    /// As [`TxImp::disconnect`](crate::TxImp::disconnect): what was handed off before is still written if
    /// that is quick. Returns when the connection is gone.
    pub async fn disconnect(&self, url: &PeerUrl, reason: Option<&str>) {
        let Some(name) = self.inner().local.same_way(url) else { return };
        let stop = Stop::Graceful(reason.unwrap_or_default().to_owned());
        let peer = locked(&self.inner().table).stop(name, stop);
        if let Some(peer) = peer {
            peer.ended().await;
        }
    }

    /// Ends all connections politely and refuses new ones. Returns when all tasks have ended.
    pub async fn close(&self) {
        self.inner().stop_all("closing");
        let mut tasks = self.inner().tasks.subscribe();
        // The sender lives as long as `self`.
        let _ = tasks.wait_for(|running| *running == 0).await;
    }

    /// A reference that does not keep the connections open.
    pub fn downgrade(&self) -> WeakSessions {
        WeakSessions(Arc::downgrade(&self.0))
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }
}

impl WeakSessions {
    /// The connections, if somebody still holds them.
    pub fn upgrade(&self) -> Option<Sessions> {
        self.0.upgrade().map(Sessions)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("local", &self.inner().local).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop_all("");
    }
}

impl Inner {
    /// The peer's place in the table; where there is none, one that is being dialed.
    fn peer_or_dial(self: &Arc<Self>, url: &PeerUrl) -> Result<Arc<Peer>, SendError> {
        let name = self.local.same_way(url).ok_or_else(|| {
            let reason = format!("{url} names no peer");
            ConnectError::from(DialError::InvalidUrl { reason })
        })?;
        let mut table = locked(&self.table);
        if table.closed {
            return Err(SendError::Closed);
        }
        if let Some(entry) = table.peers.get(name) {
            return Ok(Arc::clone(&entry.peer));
        }
        if name == self.local.as_str() {
            return Err(ConnectError::from(DialError::OwnUrl).into());
        }
        let max = self.hnd.config().max_connections.get();
        if table.peers.len() >= max {
            return Err(ConnectError::from(OpenError::TooManyConnections { max }).into());
        }
        let mut entry = self.new_entry(name);
        let peer = Arc::clone(&entry.peer);
        if let Some(id) = entry.slot.handle_dial() {
            let run = Run::new(self, &mut entry, id);
            self.spawn(run::outgoing(run, url.clone()));
        }
        table.peers.insert(name.into(), entry);
        Ok(peer)
    }

    fn accept(self: &Arc<Self>, peer: AuthenticatedPeer, link: Link) {
        let ident = peer.ident();
        let name = ident.as_str();
        let mut table = locked(&self.table);
        let place = match self.admit(&table, name) {
            Ok(place) => place,
            Err(error) => {
                drop(table);
                self.hnd.counters.refused(&error);
                return self.farewell(link, error.close());
            }
        };
        // A connection that is being closed takes no part any more; the new one only waits for its end.
        let (mut entry, mut predecessor) = match table.peers.remove(name) {
            Some(entry) if entry.closing => (self.new_entry(name), Some(entry.holder.done)),
            Some(entry) => (entry, None),
            None => (self.new_entry(name), None),
        };
        match entry.slot.handle_incoming(entry.frames_received()) {
            Incoming::Supersede => {
                table.peers.insert(name.into(), entry);
                drop(table);
                tracing::debug!(peer = name, "a second connection from a peer was superseded");
                self.farewell(link, Close::new(CloseCode::Superseded, "superseded by preferred connection"));
            }
            Incoming::Accept { id, displaced } => {
                if displaced.is_some() {
                    entry.displace();
                    predecessor = Some(entry.holder.done.clone());
                }
                let run = Run::new(self, &mut entry, id);
                table.peers.insert(name.into(), entry);
                self.spawn(run::incoming(run, peer, link, predecessor, place));
            }
        }
    }

    /// Whether there is a place for one more connection from the peer of this name.
    fn admit(&self, table: &Table, name: &str) -> Result<Place, OpenError> {
        let max = self.hnd.config().max_connections.get();
        if table.closed {
            Err(OpenError::Closed)
        } else if !table.peers.contains_key(name) && table.peers.len() >= max {
            Err(OpenError::TooManyConnections { max })
        } else {
            self.links.admit(name)
        }
    }

    fn new_entry(&self, name: &str) -> Entry {
        Entry::new(name, self.local.as_str() > name, self.hnd.config().queue_bytes.get())
    }

    /// Tells a link that gets no connection why, without holding anybody up.
    fn farewell(self: &Arc<Self>, mut link: Link, close: Close) {
        let Ok(permit) = Arc::clone(&self.farewells).try_acquire_owned() else { return };
        let limit = self.hnd.config().close_time;
        self.spawn(async move {
            let _ = tokio::time::timeout(limit, guarded::drive(link.sink.close(&close))).await;
            drop(permit);
        });
    }

    /// Nothing new from now on; all that is there ends by itself.
    fn stop_all(&self, reason: &str) {
        let mut table = locked(&self.table);
        table.closed = true;
        table.stop_all(&Stop::Graceful(reason.to_owned()));
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::new(Arc::clone(self));
        tokio::spawn(async move {
            // Handlers and links are guarded where they are called; this keeps the count right if we err.
            let _ = guarded::drive(task).await;
            drop(running);
        });
    }

    fn wall(&self) -> Wall {
        self.clock.now().wall
    }
}

fn keeps_ending() -> SendError {
    ConnectError::Ended { reason: "the connection keeps ending".into() }.into()
}

/// Counts a task for as long as it lives.
struct Running(Arc<Inner>);

impl Running {
    fn new(inner: Arc<Inner>) -> Self {
        inner.tasks.send_modify(|running| *running += 1);
        Self(inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests;
