//! The stream that we write.
//!
//! The rule: a frame leaves the batch when QUIC has taken its last byte, not before; after a frame that
//! was cut off in the middle nothing is written any more.

use super::{LinkConfig, gather::Gather};
use crate::close::{CloseOnDrop, link_error, write_error};
use async_trait::async_trait;
use iroh::endpoint::{Connection, SendStream};
use quorate_transport::{Close, FrameSink, LinkError};
use quorate_wire::stream::{data_head, preflight_head};
use quorate_wire::{EncodedFrame, PeerUrl, StreamLimits};
use std::collections::VecDeque;

/// How many bytes are gathered before they are written.
const ROUND: usize = 1 << 20;

/// The writing half of a connection. Its stream is opened by the first frame.
pub(crate) struct QuicSink {
    connection: Connection,
    stream: Option<SendStream>,
    intro: Intro,
    /// QUIC has taken a part of a frame.
    mid_frame: bool,
    gather: Gather,
}

/// How this node introduces itself, and whether it has.
struct Intro {
    url: Option<PeerUrl>,
    limits: StreamLimits,
    done: bool,
}

impl QuicSink {
    pub(super) fn new(connection: Connection, config: &LinkConfig) -> Self {
        let intro = Intro { url: None, limits: config.limits, done: false };
        Self { connection, stream: None, intro, mid_frame: false, gather: Gather::default() }
    }

    /// Sets the URL under which this node speaks. Without one nothing is written.
    pub(crate) fn introduce_as(&mut self, url: PeerUrl) {
        self.intro.url = Some(url);
    }

    /// Gathers frames from the front of `batch`; returns where each of them ends.
    fn gather(
        gather: &mut Gather,
        intro: &Intro,
        batch: &VecDeque<EncodedFrame>,
    ) -> Result<VecDeque<usize>, LinkError> {
        let mut ends = VecDeque::with_capacity(batch.len());
        for frame in batch {
            // The core refuses frames above the limit before they come here.
            if !intro.done && ends.is_empty() {
                let url = intro.url.as_ref().ok_or_else(|| LinkError::broken("no URL"))?;
                let head = preflight_head(url, frame.len(), &intro.limits);
                gather.push(&head.map_err(LinkError::broken)?, frame);
            } else {
                let head = data_head(frame.len(), &intro.limits);
                gather.push(&head.map_err(LinkError::broken)?, frame);
            }
            ends.push_back(gather.len());
            if gather.len() >= ROUND {
                break;
            }
        }
        Ok(ends)
    }

    /// Writes as many frames of `batch` as are gathered at once.
    async fn write_round(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        let connection = &self.connection;
        let Some(stream) = &mut self.stream else { return Err(LinkError::broken("no stream")) };
        let mut ends = Self::gather(&mut self.gather, &self.intro, batch)?;
        let mut chunks = self.gather.take();
        let mut rest = &mut chunks[..];
        let (mut written, mut done) = (0, 0);
        while !rest.is_empty() {
            written +=
                stream.write_many_chunks(&mut rest).await.map_err(|error| write_error(connection, &error))?;
            while let Some(end) = ends.pop_front_if(|end| *end <= written) {
                done = end;
                batch.pop_front();
                self.intro.done = true;
            }
            self.mid_frame = written != done;
        }
        Ok(())
    }
}

#[async_trait]
impl FrameSink for QuicSink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        if self.mid_frame {
            return Err(LinkError::broken("a frame was cut off"));
        }
        if self.stream.is_none() {
            let opened = self.connection.open_uni().await;
            self.stream = Some(opened.map_err(|error| link_error(&self.connection, &error))?);
        }
        while !batch.is_empty() {
            self.write_round(batch).await?;
        }
        Ok(())
    }

    async fn close(&mut self, close: &Close) {
        // Also when this future is dropped because the peer does not read.
        let _told = CloseOnDrop { connection: &self.connection, close };
        if let Some(stream) = &mut self.stream
            && !self.mid_frame
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
