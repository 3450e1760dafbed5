//! A Quorate transport over QUIC, with keys that are proven, on iroh.
//!
//! **What it is.** [`IrohTransport`], a [`TxImp`](quorate_transport::TxImp) whose peers are known by the ed25519 key that TLS
//! authenticates. Direct mode: a peer is `quic://ip:port/<64 hex digits of its key>`, and nothing else is
//! needed to reach it: no relay, no discovery, no DNS. Relay mode: a peer is `https://relay:port/<key>`, through a
//! relay of one's own choice, and a Kitsune2 node is a peer like any other ([`Protocols`]).
//!
//! **What it does not do.** It finds nobody: addresses are exchanged elsewhere. It uses no public relay. Which
//! connection counts, in which order frames are allowed and what is queued is `quorate-transport`'s
//! business; here are only the socket, the streams and the close codes.
//!
//! ```
//! use bytes::Bytes;
//! use quorate_iroh::{IrohConfig, IrohTransport};
//! use quorate_transport::{Refusal, SendOutcome, Transport, TransportConfig, TxHandler, TxImpHnd, TxSpaceHandler};
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
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! async fn node() -> Result<Transport, Box<dyn std::error::Error>> {
//!     let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default())?;
//!     let imp = IrohTransport::bind(IrohConfig::default(), Arc::clone(&hnd)).await?;
//!     Ok(Transport::new(hnd, imp))
//! }
//! let (alice, bob) = (node().await?, node().await?);
//!
//! let space = SpaceId::from_static(b"notes");
//! let (notes, mut inbox) = tokio::sync::mpsc::unbounded_channel();
//! let (_bobs, bobs_url) = bob.register_space_handler(space.clone(), Arc::new(Notes(notes.clone())))?;
//! let (_alices, _) = alice.register_space_handler(space.clone(), Arc::new(Notes(notes)))?;
//!
//! let sent = alice.send_space_notify(&bobs_url.ok_or("no URL")?, &space, Bytes::from_static(b"hello")).await?;
//! assert_eq!(sent, SendOutcome::HandedOff);
//! assert_eq!(inbox.recv().await.as_deref(), Some(&b"hello"[..]));
//! alice.close().await;
//! bob.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! **Features.** None. iroh's port mapper, which probes the gateway, is not built.
//!
//! More in `docs/iroh.md`; the frames on a stream are in `docs/specs/frame.md`.

mod accept;
mod address;
mod close;
mod config;
mod dial;
mod endpoint;
mod error;
mod factory;
mod link;
mod own;
mod protocol;
mod relay;
mod transport;

pub use config::IrohConfig;
pub use error::{BindError, IrohConfigError};
pub use factory::{IrohFactory, IrohSection};
pub use iroh::{RelayUrl, SecretKey};
pub use protocol::{Protocol, Protocols};
pub use relay::{RelayConfig, RelayStatus};
pub use transport::{IrohStats, IrohTransport};
