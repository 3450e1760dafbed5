//! Answers from a federation: ask many, believe what enough of them say, and always come to an end.
//!
//! **What it is.** A federation has `n` guardians of whom up to `f = (n - 1) / 3` may lie, hang or be gone. A query asks
//! them over JSON-RPC, and a [`QueryStrategy`] decides when their answers are enough. Below the strategies
//! stands one fan-out machine, [`Attempts`]: a timeout on every attempt, a deadline on the whole, bounded repetition with
//! pauses, hedging, and an account of what every peer did. [`Quorum`] joins the two.
//!
//! **What it does not do.** It opens no connection of its own accord and knows no module of Fedimint: payloads are
//! the caller's types. The machines read no clock; drivers do.
//!
//! **The drive loop.** After any `handle_*`, drain [`Quorum::poll_output`] until `None`, then wait until
//! [`Quorum::poll_timeout`] or until an attempt has an answer:
//!
//! ```
//! use quorate_base::Mono;
//! use quorate_query::{
//!     AttemptOutput, AttemptsConfig, NumPeers, Quorum, QuorumOutput, strategy::ThresholdConsensus,
//! };
//!
//! let peers = NumPeers::new(4).expect("not zero");
//! let strategy = ThresholdConsensus::overcome_evil(peers);
//! let mut query = Quorum::new(Mono::ZERO, "session_count", 0..4u16, strategy, AttemptsConfig::default(), 7);
//! let mut value = None;
//! while let Some(output) = query.poll_output() {
//!     match output {
//!         // A driver sends a request here; these peers answer at once, the first of them with a lie.
//!         QuorumOutput::Attempt(AttemptOutput::Ask { attempt, peer, .. }) => {
//!             let answer = if peer == 0 { 7u64 } else { 42 };
//!             query.handle_answer(Mono::ZERO, attempt, answer, answer.to_string().into());
//!         }
//!         QuorumOutput::Attempt(AttemptOutput::Cancel { .. }) => {}
//!         QuorumOutput::Done(outcome) => value = outcome.ok(),
//!     }
//! }
//! assert_eq!(value, Some(42));
//! ```
//!
//! **Features.** `tokio` (default): the async driver. `blocking`: a driver over HTTP without a runtime. With neither, the
//! machines, strategies, invite codes and types are left, which build for `wasm32-unknown-unknown`.
//!
//! The layer's page is `docs/query.md`.

pub mod attempts;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call;
#[cfg(feature = "tokio")]
pub mod client;
mod config;
mod connect_info;
#[cfg(feature = "tokio")]
pub mod discovery;
mod endpoint;
mod error;
mod exact;
#[cfg(feature = "tokio")]
mod federation;
#[cfg(feature = "tokio")]
mod flights;
mod invite;
pub mod jsonrpc;
mod peer;
pub mod pool;
pub mod query;
mod quorum;
mod report;
pub mod signer;
mod status;
pub mod strategy;
mod text;
mod transaction;
pub mod verified;
pub mod websocket;

#[cfg(test)]
mod sim;

pub use attempts::{AttemptId, AttemptOutput, Attempts, AttemptsConfig, Fanout};
pub use call::{Answer, Call};
#[cfg(feature = "tokio")]
pub use client::{ClientSettings, Requester};
pub use config::{ClientConfig, PeerUrl, WrongFederation};
pub use connect_info::{ConnectInfo, ConnectInfoError};
#[cfg(feature = "tokio")]
pub use discovery::{Discovered, Discovery, DiscoveryConfig, DiscoveryError};
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use error::{
    ConnectError, ConnectFault, Fault, MAX_MESSAGE_BYTES, MAX_RETRY_AFTER, Malformed, PeerError, Reason,
    RpcError, RpcErrorKind,
};
pub use exact::ExactJson;
#[cfg(feature = "tokio")]
pub use federation::{ApiError, EmptyFederation, Explained, Federation, JoinError};
pub use invite::{FederationId, InviteCode, InviteError, MAX_PARTS};
pub use peer::PeerId;
pub use query::Query;
pub use quorate_versioning::NumPeers;
pub use quorum::{Quorum, QuorumOutput};
pub use report::{PeerReport, PeerState, QueryError, QueryFailure, QueryReport};
pub use status::{
    ConsensusContribution, ConsensusStatus, PeerConnectionStatus, PeerConsensusStatus, ServerStatus,
    StatusResponse,
};
pub use strategy::{QueryStep, QueryStrategy};
pub use text::{MAX_TEXT, TextError};
pub use transaction::{OutcomeError, TransactionStatus};

/// The layer's page, so that its examples run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/query.md")]
struct LayerPage;
