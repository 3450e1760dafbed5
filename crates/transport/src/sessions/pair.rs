//! A link within the process: two channels, and the smallest sink and source there are.
//!
//! The rule: it behaves as a network does. What is in flight is bounded, a frame arrives as bytes,
//! and an end that is dropped without a word is a link that broke.

use super::{FrameSink, FrameSource, Link, LinkError};
use crate::Close;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_wire::EncodedFrame;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Frames in flight in each direction; a sender waits for room.
const IN_FLIGHT: usize = 64;

impl Link {
    /// Both ends of a link within the process, for tests and simulations.
    pub fn pair() -> (Self, Self) {
        let (to_right, from_left) = mpsc::channel(IN_FLIGHT);
        let (to_left, from_right) = mpsc::channel(IN_FLIGHT);
        let left = Self::new(PairSink(to_right), PairSource(from_right));
        (left, Self::new(PairSink(to_left), PairSource(from_left)))
    }
}

/// A frame, or the last words.
type Item = Result<Bytes, Close>;

struct PairSink(mpsc::Sender<Item>);

#[async_trait]
impl FrameSink for PairSink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        while let Some(frame) = batch.front() {
            let room = self.0.reserve().await.map_err(LinkError::broken)?;
            room.send(Ok(frame.to_bytes()));
            batch.pop_front();
        }
        Ok(())
    }

    async fn close(&mut self, close: &Close) {
        // A peer that is gone needs no last words.
        let _ = self.0.send(Err(close.clone())).await;
    }
}

struct PairSource(mpsc::Receiver<Item>);

#[async_trait]
impl FrameSource for PairSource {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        let item = self.0.recv().await.ok_or_else(|| LinkError::broken("the peer is gone"))?;
        frames.push_back(item.map_err(LinkError::Closed)?);
        Ok(())
    }
}
