//! Quorate's façade: what joins two or more of its layers.
//!
//! **What it is.** A [`Node`] composes a transport, the versions it speaks and the spaces it is in. In a
//! [`Space`] members meet and open reliable channels, and [`files`] travel over them. [`preflight`] is what
//! two nodes tell one another before anything else; a [`ticket`] is what one person hands to another so
//! that their nodes meet.
//!
//! **What it does not do.** It finds no peers on its own: somebody names the first one.
//!
//! **Features.** `iroh` (default): nodes on QUIC. `query`: answers from a federation (`quorate::query`).

pub mod faults;
pub mod files;
pub mod preflight;
pub mod secret;
pub mod ticket;
pub mod transfer;

mod node;
mod space;

pub use node::{CHANNEL_MODULE, Node, NodeBuilder, NodeError, RefusedPeer};
pub use quorate_base as base;
pub use quorate_channel as channel;
#[cfg(feature = "iroh")]
pub use quorate_iroh as iroh;
#[cfg(feature = "query")]
pub use quorate_query as query;
pub use quorate_transport as transport;
pub use quorate_versioning as versioning;
pub use quorate_wire as wire;
pub use space::{Absence, JoinError, LinkStats, Members, Space};
