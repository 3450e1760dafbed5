//! Frames onto a stream.
//!
//! The rule: a frame leaves the batch when the stream has taken its last byte, not before; after a frame that
//! was cut off in the middle nothing is written any more.

use super::gather::Gather;
use crate::LinkError;
use bytes::{Buf, Bytes};
use quorate_wire::stream::{data_head, preflight_head};
use quorate_wire::{EncodedFrame, PeerUrl, StreamLimits};
use std::collections::VecDeque;

/// How many bytes are gathered before they are written.
const ROUND: usize = 1 << 20;

/// Where the bytes of frames go.
pub trait WriteChunks: Send {
    /// Writes from the front of `chunks`, moving it past what was written, and returns how many bytes that were.
    /// `Ok(0)` only where `chunks` is empty.
    fn write(&mut self, chunks: &mut &mut [Bytes]) -> impl Future<Output = Result<usize, LinkError>> + Send;
}

/// Writes frames onto one stream; the first one with this node's URL.
#[derive(Debug)]
pub struct FrameWriter {
    intro: Intro,
    /// The stream has taken a part of a frame.
    mid_frame: bool,
    gather: Gather,
}

/// How this node introduces itself, and whether it has.
#[derive(Debug)]
struct Intro {
    url: Option<PeerUrl>,
    limits: StreamLimits,
    done: bool,
}

impl FrameWriter {
    /// At the beginning of a stream.
    pub fn new(limits: StreamLimits) -> Self {
        Self { intro: Intro { url: None, limits, done: false }, mid_frame: false, gather: Gather::default() }
    }

    /// Sets the URL under which this node speaks. Without one nothing is written.
    pub fn introduce_as(&mut self, url: PeerUrl) {
        self.intro.url = Some(url);
    }

    /// Whether a frame was cut off in the middle: no other can follow.
    pub const fn is_mid_frame(&self) -> bool {
        self.mid_frame
    }

    /// Writes the frames of `batch` in order, taking each out when it is written.
    pub async fn write(
        &mut self,
        batch: &mut VecDeque<EncodedFrame>,
        to: &mut impl WriteChunks,
    ) -> Result<(), LinkError> {
        if self.mid_frame {
            return Err(LinkError::broken("a frame was cut off"));
        }
        while !batch.is_empty() {
            self.write_round(batch, to).await?;
        }
        Ok(())
    }

    /// Writes as many frames of `batch` as are gathered at once.
    async fn write_round(
        &mut self,
        batch: &mut VecDeque<EncodedFrame>,
        to: &mut impl WriteChunks,
    ) -> Result<(), LinkError> {
        let mut ends = self.gather(batch)?;
        let mut chunks = self.gather.take();
        let mut rest = &mut chunks[..];
        let (mut written, mut done) = (0, 0);
        while !rest.is_empty() {
            written += to.write(&mut rest).await?;
            while let Some(end) = ends.pop_front_if(|end| *end <= written) {
                done = end;
                batch.pop_front();
                self.intro.done = true;
            }
            self.mid_frame = written != done;
        }
        Ok(())
    }

    /// Gathers frames from the front of `batch`; returns where each of them ends.
    fn gather(&mut self, batch: &VecDeque<EncodedFrame>) -> Result<VecDeque<usize>, LinkError> {
        let Self { intro, gather, .. } = self;
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
}

/// Moves `chunks` past their first `count` bytes.
pub(super) fn advance(chunks: &mut &mut [Bytes], mut count: usize) {
    while let Some((first, _)) = chunks.split_first_mut() {
        if first.len() > count {
            first.advance(count);
            return;
        }
        count -= first.len();
        *chunks = &mut std::mem::take(chunks)[1..];
    }
}
