//! The stream that we read.
//!
//! The rule: the first frame is the peer's introduction, and the URL in it belongs to the key that the
//! peer proved; no later frame is one. Whatever arrives whole is handed on before an error is.

use super::LinkConfig;
use crate::{
    Protocol,
    address::{is_relay_scheme, key_of},
    close::{link_error, read_error},
};
use async_trait::async_trait;
use bytes::Bytes;
use iroh::endpoint::{Connection, ReadError, RecvStream};
use quorate_transport::{AuthenticatedPeer, FrameSource, LinkError, PeerViolation};
use quorate_wire::{
    Frame, FrameKind, PartialBudget, PeerUrlError, Scheme, StreamDecoder, StreamError, StreamFrame,
    StreamLimits,
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How many chunks are taken from QUIC at once.
const CHUNKS: usize = 64;

/// The reading half of a connection.
pub(crate) struct QuicSource {
    connection: Connection,
    stream: Option<RecvStream>,
    /// There was a stream before this one, or before the one that is awaited.
    stream_ended: bool,
    decoder: StreamDecoder,
    limits: StreamLimits,
    budget: PartialBudget,
    chunks: Box<[Bytes; CHUNKS]>,
    /// The peer's first frame, until it is handed on.
    introduction: Introduction,
    frame_time: Duration,
    /// When the frame that is arriving must be whole.
    deadline: Option<Instant>,
    close_time: Duration,
    /// What was found behind frames that were handed on.
    failed: Option<LinkError>,
}

enum Introduction {
    Awaited,
    Held(Bytes),
    Done,
}

impl QuicSource {
    pub(super) fn new(connection: Connection, config: &LinkConfig) -> Self {
        Self {
            connection,
            stream: None,
            stream_ended: false,
            decoder: StreamDecoder::with_budget(config.limits, config.budget.clone()),
            limits: config.limits,
            budget: config.budget.clone(),
            chunks: Box::new([const { Bytes::new() }; CHUNKS]),
            introduction: Introduction::Awaited,
            frame_time: config.frame_time,
            deadline: None,
            close_time: config.close_time,
            failed: None,
        }
    }

    /// Waits for the introduction of a peer that dialed us, and says who it is; the frame in it is handed on later.
    ///
    /// `relayed`: the URL may name a relay. Cancel safe.
    pub(crate) async fn introduction(&mut self, relayed: bool) -> Result<AuthenticatedPeer, LinkError> {
        let peer = self.introduced().await?;
        let by_relay = is_relay_scheme(peer.url().scheme());
        let by_address = peer.url().scheme() == Scheme::Quic;
        let suits = match Protocol::of(&self.connection) {
            Protocol::Quorate => by_address || (by_relay && relayed),
            Protocol::Kitsune2 => by_relay,
        };
        match suits {
            true => Ok(peer),
            false => Err(PeerViolation::from(StreamError::Url(PeerUrlError::Scheme)).into()),
        }
    }

    /// Waits for the peer's first frame. The URL in it is that of the key that the peer proved.
    async fn introduced(&mut self) -> Result<AuthenticatedPeer, LinkError> {
        let (url, frame) = match self.next().await? {
            StreamFrame::Preflight { url, frame } => (url, frame),
            StreamFrame::Data { frame } => {
                let kind = Frame::decode(frame).map_or(FrameKind::Unspecified, |frame| frame.kind());
                return Err(PeerViolation::NotPreflight { kind }.into());
            }
        };
        let peer = AuthenticatedPeer::new(key_of(self.connection.remote_id()), url)?;
        self.introduction = Introduction::Held(frame);
        Ok(peer)
    }

    /// Waits for a whole frame. Cancel safe.
    async fn next(&mut self) -> Result<StreamFrame, LinkError> {
        loop {
            if let Some(frame) = self.decoder.poll().map_err(stream_error)? {
                self.deadline = None;
                return Ok(frame);
            }
            if !self.decoder.is_at_frame_border() {
                self.deadline.get_or_insert_with(|| Instant::now() + self.frame_time);
            }
            self.read().await?;
        }
    }

    /// Takes what has arrived, waiting for at least something.
    async fn read(&mut self) -> Result<(), LinkError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let accepted = self.connection.accept_uni();
                let accepted = match self.stream_ended {
                    false => accepted.await,
                    true => timeout(self.close_time, accepted)
                        .await
                        .map_err(|_| LinkError::broken("the peer ended its stream and began no other"))?,
                };
                none.insert(accepted.map_err(|error| link_error(&self.connection, &error))?)
            }
        };
        let read = stream.read_many_chunks(&mut self.chunks[..]);
        let read = match self.deadline {
            Some(deadline) => timeout_at(deadline, read).await.map_err(|_| PeerViolation::FrameTimeout)?,
            None => read.await,
        };
        let next_stream = Protocol::of(&self.connection) == Protocol::Kitsune2;
        match read {
            Ok(Some(count)) => {
                for chunk in self.chunks.iter_mut().take(count) {
                    self.decoder.push(std::mem::take(chunk));
                }
                Ok(())
            }
            Ok(None) | Err(ReadError::Reset(_)) if next_stream => {
                self.forget_stream();
                Ok(())
            }
            Ok(None) => Err(self.last_words().await),
            Err(error) => Err(read_error(&self.connection, &error)),
        }
    }

    /// A Kitsune2 node whose write failed goes on with a new stream; what was unfinished on the old one is lost.
    fn forget_stream(&mut self) {
        self.stream = None;
        self.stream_ended = true;
        self.deadline = None;
        self.decoder = StreamDecoder::with_budget(self.limits, self.budget.clone());
    }

    /// The peer ended its stream, which it does before it closes: its reason comes now.
    async fn last_words(&self) -> LinkError {
        match timeout(self.close_time, self.connection.closed()).await {
            Ok(error) => link_error(&self.connection, &error),
            Err(_) => LinkError::broken("the peer ended its stream and did not close"),
        }
    }

    /// A frame after the introduction.
    fn data(frame: StreamFrame) -> Result<Bytes, LinkError> {
        match frame {
            StreamFrame::Data { frame } => Ok(frame),
            StreamFrame::Preflight { .. } => Err(PeerViolation::SecondPreflight.into()),
        }
    }
}

#[async_trait]
impl FrameSource for QuicSource {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        if matches!(self.introduction, Introduction::Awaited) {
            self.introduced().await?;
        }
        if let Introduction::Held(frame) = std::mem::replace(&mut self.introduction, Introduction::Done) {
            frames.push_back(frame);
            return Ok(());
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        frames.push_back(Self::data(self.next().await?)?);
        // What is there besides goes with it; an error waits for the next call.
        while let Ok(Some(frame)) = self.decoder.poll() {
            match Self::data(frame) {
                Ok(frame) => frames.push_back(frame),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }
}

fn stream_error(error: StreamError) -> LinkError {
    if error.is_peer_violation() { PeerViolation::from(error).into() } else { LinkError::broken(error) }
}
