//! One connection as a link: two streams, one in each direction.
//!
//! The rule: each direction is one unidirectional stream for the whole life of the connection, and its
//! first frame is the sender's introduction: its URL and its preflight.

mod gather;
mod sink;
mod source;

pub(crate) use sink::QuicSink;
pub(crate) use source::QuicSource;

use iroh::endpoint::Connection;
use quorate_transport::{Link, TransportConfig};
use quorate_wire::{PartialBudget, PeerUrl, StreamLimits, stream::HEAD_LEN};
use std::time::Duration;

/// The most that a preflight has around its payload: framing, a URL, and the frame's own head.
const PREFLIGHT_OVERHEAD: usize = HEAD_LEN + 4 + PeerUrl::MAX_LEN + 32;

/// What all links of a transport have in common.
#[derive(Debug, Clone)]
pub(crate) struct LinkConfig {
    pub(crate) limits: StreamLimits,
    pub(crate) budget: PartialBudget,
    /// How long a frame may take to arrive.
    pub(crate) frame_time: Duration,
    /// How long a peer may take to close after it ended its stream.
    pub(crate) close_time: Duration,
}

impl LinkConfig {
    /// The limits on a stream that follow from the core's limits on frames.
    pub(crate) fn limits(config: &TransportConfig) -> StreamLimits {
        StreamLimits {
            preflight: config.max_preflight_bytes.get().saturating_add(PREFLIGHT_OVERHEAD),
            data: config.max_frame_bytes.get().saturating_add(HEAD_LEN),
        }
    }

    /// Both directions of a connection, still apart.
    pub(crate) fn halves(&self, connection: Connection) -> (QuicSink, QuicSource) {
        (QuicSink::new(connection.clone(), self), QuicSource::new(connection, self))
    }
}

/// Both directions as the link that sessions drive.
pub(crate) fn link(sink: QuicSink, source: QuicSource) -> Link {
    Link::new(sink, source).with_overhead(HEAD_LEN)
}
