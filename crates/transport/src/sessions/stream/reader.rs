//! Frames from a stream.
//!
//! The rule: the first frame is the peer's introduction, and no later one is. Whatever arrives whole is handed on before an
//! error is.

use super::StreamConfig;
use crate::{LinkError, PeerViolation};
use bytes::Bytes;
use quorate_wire::{Frame, FrameKind, PeerUrl, StreamDecoder, StreamError, StreamFrame};
use std::collections::VecDeque;
use tokio::time::{Instant, timeout_at};

/// Where the bytes of frames come from.
pub trait ReadChunks: Send {
    /// Waits for bytes and pushes what is there. Cancel safe.
    fn read(
        &mut self,
        decoder: &mut StreamDecoder,
    ) -> impl Future<Output = Result<Arrived, LinkError>> + Send;
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// Bytes, or nothing; there may be more.
    More,
    /// The end of this stream; another begins, with a frame of its own. What was unfinished is lost.
    NextStream,
}

/// Reads frames from the streams of one connection.
#[derive(Debug)]
pub struct FrameReader {
    decoder: StreamDecoder,
    config: StreamConfig,
    introduction: Introduction,
    /// When the frame that is arriving must be whole.
    deadline: Option<Instant>,
    /// What was found behind frames that were handed on.
    failed: Option<LinkError>,
}

/// The peer's first frame.
#[derive(Debug)]
enum Introduction {
    Awaited,
    Held(Bytes),
    Done,
}

impl FrameReader {
    /// At the beginning of a stream.
    pub fn new(config: StreamConfig) -> Self {
        let decoder = StreamDecoder::with_budget(config.limits, config.budget.clone());
        Self { decoder, config, introduction: Introduction::Awaited, deadline: None, failed: None }
    }

    /// Whether the peer has not introduced itself yet.
    pub const fn awaits_introduction(&self) -> bool {
        matches!(self.introduction, Introduction::Awaited)
    }

    /// Waits for the peer's first frame, and returns the URL in it; the frame is handed on later. Cancel safe.
    ///
    /// Call it once, before the first [`recv`](Self::recv), or not at all.
    pub async fn introduction(&mut self, from: &mut impl ReadChunks) -> Result<PeerUrl, LinkError> {
        match self.next(from).await? {
            StreamFrame::Preflight { url, frame } => {
                self.introduction = Introduction::Held(frame);
                Ok(url)
            }
            StreamFrame::Data { frame } => {
                let kind = Frame::decode(frame).map_or(FrameKind::Unspecified, |frame| frame.kind());
                Err(PeerViolation::NotPreflight { kind }.into())
            }
        }
    }

    /// As [`FrameSource::recv`](crate::FrameSource::recv).
    pub async fn recv(
        &mut self,
        from: &mut impl ReadChunks,
        frames: &mut VecDeque<Bytes>,
    ) -> Result<(), LinkError> {
        if self.awaits_introduction() {
            self.introduction(from).await?;
        }
        if let Introduction::Held(frame) = std::mem::replace(&mut self.introduction, Introduction::Done) {
            frames.push_back(frame);
            return Ok(());
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        frames.push_back(data(self.next(from).await?)?);
        // What is there besides goes with it; an error waits for the next call.
        while let Ok(Some(frame)) = self.decoder.poll() {
            match data(frame) {
                Ok(frame) => frames.push_back(frame),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for a whole frame. Cancel safe.
    async fn next(&mut self, from: &mut impl ReadChunks) -> Result<StreamFrame, LinkError> {
        loop {
            if let Some(frame) = self.decoder.poll().map_err(stream_error)? {
                self.deadline = None;
                return Ok(frame);
            }
            if !self.decoder.is_at_frame_border() {
                self.deadline.get_or_insert_with(|| Instant::now() + self.config.frame_time);
            }
            let read = from.read(&mut self.decoder);
            let arrived = match self.deadline {
                Some(deadline) => {
                    timeout_at(deadline, read).await.map_err(|_| PeerViolation::FrameTimeout)?
                }
                None => read.await,
            };
            if arrived? == Arrived::NextStream {
                self.deadline = None;
                self.decoder = StreamDecoder::with_budget(self.config.limits, self.config.budget.clone());
            }
        }
    }
}

/// A frame after the introduction.
fn data(frame: StreamFrame) -> Result<Bytes, LinkError> {
    match frame {
        StreamFrame::Data { frame } => Ok(frame),
        StreamFrame::Preflight { .. } => Err(PeerViolation::SecondPreflight.into()),
    }
}

fn stream_error(error: StreamError) -> LinkError {
    if error.is_peer_violation() { PeerViolation::from(error).into() } else { LinkError::broken(error) }
}
