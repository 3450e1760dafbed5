//! Reliable group channels: a payload sent arrives once, in causal order, and its sender learns who
//! has it.
//!
//! **What it is.** Five stages, each a machine, composed by [`ReliableChannel`]:
//!
//! ```text
//! out  segment -> SDS -> rate limit -> encrypt -> dispatch
//! in   decrypt -> SDS -> reassemble -> event
//! ```
//!
//! A payload of up to 26 MB is cut into segments of 100 KiB ([`segment`]). Each travels in an SDS message
//! that cites what it causally follows and tells what its sender has of others ([`sds`]); it is repeated
//! until it is acknowledged. An epoch budget delays what exceeds it ([`rate_limit`]). The cipher seals
//! each attempt anew ([`cipher`]), and the result leaves in a 14/WAKU2-MESSAGE envelope ([`envelope`]).
//!
//! **What it does not do.** It knows no peers, sockets or topics of a network: where an envelope goes is
//! the business of whoever drives it. It does not prove who sent a message, unless senders sign ([`SenderAuth`]):
//! any holder of the group's key can pose as any member. Without a store it keeps its state in memory: a participant that restarts is a
//! new incarnation of itself, and what it had not sent is lost. On a store ([`ReliableChannel::open_durable`]) it goes on where it was.
//!
//! **The drive loop.** After any `handle_*`, or several that came at once, drain [`ReliableChannel::poll_output`] until `None`,
//! doing what it says: writes first, in one batch, and what came with them when they are on disk; then wait for the next input, or until [`ReliableChannel::poll_timeout`] and call
//! [`ReliableChannel::handle_timeout`]. [`ReliableChannel`] has an example that runs.
//!
//! **Features.** `tokio` (default): `Channel`, a driver with one task per channel, `Messaging`, the trait it
//! sends through, and `ReliableChannelManager`, which knows channels by their ids. Without it no runtime is in the dependency tree, and the crate
//! builds for `wasm32-unknown-unknown`.

pub mod cipher;
pub mod config;
pub mod envelope;
pub mod rate_limit;
pub mod sds;
pub mod segment;

mod channel;
#[cfg(feature = "tokio")]
mod driver;
mod durable;
mod error;
mod ids;
#[cfg(feature = "tokio")]
mod manager;
#[cfg(feature = "tokio")]
mod messaging;
mod output;
pub mod request;
#[cfg(test)]
mod specifications;
mod stats;

pub use channel::{Identity, ReliableChannel, SendOptions};
pub use cipher::{ChannelKey, Cipher, NoCipher, SealError, XChaCha20Poly1305Cipher};
pub use config::{AckPolicy, ChannelConfig, ConfigError, JoinPolicy};
#[cfg(feature = "tokio")]
pub use driver::{Channel, ChannelClosed, ChannelEvents, OpenError};
pub use durable::{EventLog, EventSeq, LoggedEvent, Recovery, RecoveryError};
pub use envelope::{MAX_ENVELOPE_BYTES, MessageEnvelope};
pub use error::{IngressError, SendError, SendRefused};
pub use ids::{
    ChannelId, ContentTopic, DispatchId, MessageId, ParticipantId, RequestId, SenderTag, StructuredId,
};
#[cfg(feature = "tokio")]
pub use manager::{ManagerError, ReliableChannelManager};
#[cfg(feature = "tokio")]
pub use messaging::{Messaging, MessagingError};
pub use output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
pub use rate_limit::{BudgetState, RateLimitConfig, SpentBudget};
pub use request::SegmentState;
pub use sds::{Dialect, Missing, Profile, RepairConfig, Roster, SenderAuth, SyncConfig};
pub use stats::ChannelStats;
