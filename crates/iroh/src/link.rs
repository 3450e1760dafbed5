//! One connection as a link: two streams, one in each direction.
//!
//! The rule: each direction is one unidirectional stream for the whole life of the connection, and its
//! first frame is the sender's introduction: its URL and its preflight.

mod sink;
mod source;

pub(crate) use sink::QuicSink;
pub(crate) use source::QuicSource;

use iroh::endpoint::Connection;
use quorate_transport::{Link, TransportConfig, sessions::stream::StreamConfig};
use quorate_wire::stream::HEAD_LEN;
use std::time::Duration;

/// What all links of a transport have in common.
#[derive(Debug, Clone)]
pub(crate) struct LinkConfig {
    stream: StreamConfig,
    /// How long a peer may take to close after it ended its stream.
    close_time: Duration,
}

impl LinkConfig {
    /// As the core's limits say.
    pub(crate) fn new(config: &TransportConfig) -> Self {
        Self { stream: StreamConfig::new(config), close_time: config.close_time }
    }

    /// Both directions of a connection, still apart.
    pub(crate) fn halves(&self, connection: Connection) -> (QuicSink, QuicSource) {
        (QuicSink::new(connection.clone(), &self.stream), QuicSource::new(connection, self))
    }
}

/// Both directions as the link that sessions drive.
pub(crate) fn link(sink: QuicSink, source: QuicSource) -> Link {
    Link::new(sink, source).with_overhead(HEAD_LEN)
}
