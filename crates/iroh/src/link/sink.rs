//! The stream that we write.

use crate::close::{CloseOnDrop, link_error, write_error};
use async_trait::async_trait;
use bytes::Bytes;
use iroh::endpoint::{Connection, SendStream};
use quorate_transport::sessions::stream::{FrameWriter, StreamConfig, WriteChunks};
use quorate_transport::{Close, FrameSink, LinkError};
use quorate_wire::{EncodedFrame, PeerUrl};
use std::collections::VecDeque;

/// The writing half of a connection. Its stream is opened by the first frame.
pub(crate) struct QuicSink {
    connection: Connection,
    stream: Option<SendStream>,
    writer: FrameWriter,
}

/// The stream that is open, and the connection that says why it cannot be written.
struct Output<'a> {
    stream: &'a mut SendStream,
    connection: &'a Connection,
}

impl WriteChunks for Output<'_> {
    async fn write(&mut self, chunks: &mut &mut [Bytes]) -> Result<usize, LinkError> {
        let written = self.stream.write_many_chunks(chunks).await;
        written.map_err(|error| write_error(self.connection, &error))
    }
}

impl QuicSink {
    pub(super) fn new(connection: Connection, config: &StreamConfig) -> Self {
        Self { connection, stream: None, writer: FrameWriter::new(config.limits) }
    }

    /// Sets the URL under which this node speaks. Without one nothing is written.
    pub(crate) fn introduce_as(&mut self, url: PeerUrl) {
        self.writer.introduce_as(url);
    }
}

#[async_trait]
impl FrameSink for QuicSink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        let connection = &self.connection;
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let opened = connection.open_uni().await;
                none.insert(opened.map_err(|error| link_error(connection, &error))?)
            }
        };
        self.writer.write(batch, &mut Output { stream, connection }).await
    }

    async fn close(&mut self, close: &Close) {
        // Also when this future is dropped because the peer does not read.
        let _told = CloseOnDrop { connection: &self.connection, close };
        if let Some(stream) = &mut self.stream
            && !self.writer.is_mid_frame()
            && stream.finish().is_ok()
        {
            // All that was written has arrived; what the peer has not read yet it still can.
            let _ = stream.stopped().await;
        }
    }

    fn is_direct(&self) -> bool {
        self.connection.paths().iter().any(|path| path.is_selected() && path.is_ip())
    }
}
