//! Quorate's transport layer: connections as values, handlers, the gate, and a driver to build on.
//!
//! **What it is.** The contract between an application and any way to reach peers. The application
//! registers handlers with a [`Transport`] and sends through it; a [`TxImp`] reaches peers and brings
//! its connections to a [`TxImpHnd`]. In between this crate sees to it that a preflight comes first
//! and once, that a URL belongs to the key that was proven, that blocked messages are dropped and
//! counted, and that whoever was told of a connection is told of its end.
//!
//! **What it does not do.** It opens no socket: that is a `TxImp`'s business (`MemTransport` here,
//! QUIC in `quorate-iroh`). It does not acknowledge, retry or store messages: a message that was handed off
//! may be lost with its connection (`quorate-channel` makes that good). It does not encrypt.
//!
//! **The drive loop**, for authors who do not build on `Sessions`:
//!
//! 1. [`TxImpHnd::open`] for each new link, in and out; `Err` means: close it.
//! 2. Exchange preflights: who dialed sends [`AwaitingPreflight::preflight`] first, who was dialed answers
//!    when [`AwaitingPreflight::handle_preflight`] has returned [`Ready`].
//! 3. Every further frame goes to [`Ready::recv`]; `Err` means: close the link.
//! 4. When the link is gone, drop the value.
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use bytes::Bytes;
//! use quorate_transport::{MemHub, MemTransport, Refusal, Transport, TransportConfig, TxHandler, TxImpHnd, TxSpaceHandler};
//! use quorate_wire::{PeerUrl, SpaceId};
//! use std::sync::Arc;
//!
//! struct App;
//! impl TxHandler for App {}
//!
//! struct Notes(tokio::sync::mpsc::UnboundedSender<Bytes>);
//! impl TxSpaceHandler for Notes {
//!     fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
//!         self.0.send(data).map_err(|_| Refusal::new("nobody reads the notes"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = MemHub::default();
//! let node = |url: &str| -> Result<Transport, Box<dyn std::error::Error>> {
//!     let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default())?;
//!     let imp = MemTransport::bind(&hub, url.parse()?, Arc::clone(&hnd))?;
//!     Ok(Transport::new(hnd, Arc::new(imp)))
//! };
//! let (alice, bob) = (node("mem://host:1/alice")?, node("mem://host:1/bob")?);
//!
//! let space = SpaceId::from_static(b"notes");
//! let (notes, mut inbox) = tokio::sync::mpsc::unbounded_channel();
//! let (_bobs, bobs_url) = bob.register_space_handler(space.clone(), Arc::new(Notes(notes.clone())))?;
//! let (_alices, _) = alice.register_space_handler(space.clone(), Arc::new(Notes(notes)))?;
//!
//! let sent = alice.send_space_notify(&bobs_url.ok_or("no URL")?, &space, Bytes::from_static(b"hello")).await?;
//! assert_eq!(sent, quorate_transport::SendOutcome::HandedOff);
//! assert_eq!(inbox.recv().await.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! **Features.** `tokio` (default): `Sessions`, the connection table and driver that transports
//! are built on, and `MemTransport`, the smallest transport and the template for authors. Without it the
//! crate has no runtime in its dependency tree.
//!
//! More in `docs/transport.md`.

mod block;
mod by_url;
mod close;
mod config;
mod connection;
mod counters;
mod error;
mod factory;
mod gate;
mod guarded;
mod handler;
mod hnd;
mod imp;
#[cfg(feature = "tokio")]
mod inbox;
#[cfg(feature = "tokio")]
mod mem;
mod pace;
mod peer;
mod rate;
mod registry;
#[cfg(feature = "tokio")]
pub mod sessions;
mod slot;
mod stats;
mod transport;

pub use block::{BlockList, BlockListError, Rule, Subject, Verdict};
pub use by_url::{UrlConnections, UrlError};
pub use close::{Close, CloseCode, MAX_REASON_BYTES};
pub use config::{ConfigError, ConfigSections, OverRate, TransportConfig};
pub use connection::{AwaitingPreflight, Ready};
pub use counters::ConnectionMeter;
pub use error::{
    ConnectError, DialError, OpenError, PeerViolation, PreflightError, RecvError, Refusal, SendError, Side,
};
pub use factory::{CreateError, TransportFactory};
pub use handler::{LocalAgents, Pause, TxHandler, TxModuleHandler, TxSpaceHandler};
pub use hnd::TxImpHnd;
pub use imp::TxImp;
#[cfg(feature = "tokio")]
pub use inbox::{Inbox, InboxConfig, InboxHandlers, InboxMessage, InboxStats, Overflow};
#[cfg(feature = "tokio")]
pub use mem::{MemConfig, MemFactory, MemHub, MemTransport};
pub use peer::{AuthenticatedPeer, Direction, PeerIdent, PeerKey};
pub use rate::{Rate, TokenBucket};
pub use registry::{ModuleRegistration, RegisterError, SpaceRegistration};
#[cfg(feature = "tokio")]
pub use sessions::{Dialer, FrameSink, FrameSource, Link, LinkError, Sessions, WeakSessions};
pub use slot::{ConnectionId, Incoming, Slot, SlotEnd};
pub use stats::{
    ApiTransportStats, MessageBlockCount, TransportConnectionStats, TransportStats, TransportTotals,
    ViolationCounts,
};
pub use transport::{SendOutcome, Transport, WeakTransport};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic of somebody who held the lock is no reason to panic here.
///
/// What stands behind our locks is counts and tables whose every change is complete in itself, and no
/// user code runs while one is held.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
