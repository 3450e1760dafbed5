//! What the author of a transport provides: a dialer, and links that carry frames.
//!
//! The rule: a link only moves frames. What they mean, in which order they are allowed and when the
//! link has to end is decided above it.

use crate::{AuthenticatedPeer, Close, CloseCode, DialError, PeerViolation};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_wire::{EncodedFrame, PeerUrl};
use std::collections::VecDeque;

/// Reaches peers.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Opens a link to the peer at `peer`, and says who answered.
    ///
    /// Only one call per peer runs at a time. It is dropped when it takes longer than
    /// [`connect_time`](crate::TransportConfig::connect_time), or when a connection from the peer wins.
    async fn dial(&self, peer: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError>;
}

/// The two directions of one connection.
pub struct Link {
    /// Where frames go.
    pub sink: Box<dyn FrameSink>,
    /// Where frames come from.
    pub source: Box<dyn FrameSource>,
    /// Bytes that the link itself adds to each frame, counted in the stats. Default 0.
    pub overhead: usize,
}

impl Link {
    /// A link without any framing of its own.
    pub fn new(sink: impl FrameSink, source: impl FrameSource) -> Self {
        Self { sink: Box::new(sink), source: Box::new(source), overhead: 0 }
    }

    /// The same link with `overhead` bytes of framing around each frame.
    #[must_use]
    pub fn with_overhead(mut self, overhead: usize) -> Self {
        self.overhead = overhead;
        self
    }
}

/// Where the frames of one connection go. The first one is our preflight.
#[async_trait]
pub trait FrameSink: Send + 'static {
    /// Writes frames in their order, taking each out of `batch` when it is written.
    ///
    /// Waits while the peer does not read. When the future is dropped, a frame that is still in `batch`
    /// counts as not written: it goes to another connection, if one takes this one's place.
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError>;

    /// Sees to it that what was written arrives, tells the peer why this is the end, and closes.
    ///
    /// Dropped when it takes longer than [`close_time`](crate::TransportConfig::close_time). A link that
    /// has no close reason of its own writes a disconnect frame. No other call follows.
    async fn close(&mut self, close: &Close);

    /// Whether bytes go to the peer without a relay, as of now.
    fn is_direct(&self) -> bool {
        true
    }
}

/// Where the frames of one connection come from. The first one should be the peer's preflight.
#[async_trait]
pub trait FrameSource: Send + 'static {
    /// Waits for at least one frame and appends what is there, in order. `Err` is the end, and comes
    /// without frames: those that arrived before it are handed over first.
    ///
    /// Cancel safe: when the future is dropped, no frame is lost.
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError>;
}

/// Why a link carries nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed it and said why.
    #[error("the peer closed the connection ({}): {}", .0.code, .0.reason)]
    Closed(Close),
    /// It broke: a timeout, a reset, a process that is gone.
    #[error("the connection broke: {reason}")]
    Broken {
        /// What the network said.
        reason: String,
    },
    /// The peer broke the rules of the link.
    #[error("the peer broke the protocol: {0}")]
    Violation(#[from] PeerViolation),
}

impl LinkError {
    /// The peer closed the link.
    pub fn closed(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Closed(Close::new(code, reason))
    }

    /// The link broke.
    pub fn broken(reason: impl ToString) -> Self {
        Self::Broken { reason: reason.to_string() }
    }
}
