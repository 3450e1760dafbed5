//! The stream that we read.
//!
//! The rule: the URL in the peer's introduction belongs to the key that the peer proved, also where we dialed.

use super::LinkConfig;
use crate::{
    Protocol,
    address::{is_relay_scheme, key_of},
    close::{link_error, read_error},
};
use async_trait::async_trait;
use bytes::Bytes;
use iroh::endpoint::{Connection, ReadError, RecvStream};
use quorate_transport::sessions::stream::{Arrived, FrameReader, ReadChunks};
use quorate_transport::{AuthenticatedPeer, FrameSource, LinkError, PeerViolation};
use quorate_wire::{PeerUrlError, Scheme, StreamDecoder, StreamError};
use std::{collections::VecDeque, time::Duration};
use tokio::time::timeout;

/// How many chunks are taken from QUIC at once.
const CHUNKS: usize = 64;

/// The reading half of a connection.
pub(crate) struct QuicSource {
    input: Input,
    reader: FrameReader,
}

/// The streams of a connection, one after the other.
struct Input {
    connection: Connection,
    stream: Option<RecvStream>,
    /// There was a stream before this one, or before the one that is awaited.
    stream_ended: bool,
    chunks: Box<[Bytes; CHUNKS]>,
    close_time: Duration,
}

impl QuicSource {
    pub(super) fn new(connection: Connection, config: &LinkConfig) -> Self {
        let input = Input {
            connection,
            stream: None,
            stream_ended: false,
            chunks: Box::new([const { Bytes::new() }; CHUNKS]),
            close_time: config.close_time,
        };
        Self { input, reader: FrameReader::new(config.stream.clone()) }
    }

    /// Waits for the introduction of a peer that dialed us, and says who it is; the frame in it is handed on later.
    ///
    /// `relayed`: the URL may name a relay. Cancel safe.
    pub(crate) async fn introduction(&mut self, relayed: bool) -> Result<AuthenticatedPeer, LinkError> {
        let peer = self.introduced().await?;
        let by_relay = is_relay_scheme(peer.url().scheme());
        let by_address = peer.url().scheme() == Scheme::Quic;
        let suits = match Protocol::of(&self.input.connection) {
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
        let url = self.reader.introduction(&mut self.input).await?;
        Ok(AuthenticatedPeer::new(key_of(self.input.connection.remote_id()), url)?)
    }
}

impl Input {
    /// The stream that is open, or the next one that the peer opens.
    async fn stream(&mut self) -> Result<&mut RecvStream, LinkError> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => {
                let accepted = self.connection.accept_uni();
                let accepted = match self.stream_ended {
                    false => accepted.await,
                    true => timeout(self.close_time, accepted)
                        .await
                        .map_err(|_| LinkError::broken("the peer ended its stream and began no other"))?,
                };
                Ok(none.insert(accepted.map_err(|error| link_error(&self.connection, &error))?))
            }
        }
    }

    /// The peer ended its stream, which it does before it closes: its reason comes now.
    async fn last_words(&self) -> LinkError {
        match timeout(self.close_time, self.connection.closed()).await {
            Ok(error) => link_error(&self.connection, &error),
            Err(_) => LinkError::broken("the peer ended its stream and did not close"),
        }
    }
}

impl ReadChunks for Input {
    async fn read(&mut self, decoder: &mut StreamDecoder) -> Result<Arrived, LinkError> {
        self.stream().await?;
        let Some(stream) = &mut self.stream else { return Ok(Arrived::More) };
        match stream.read_many_chunks(&mut self.chunks[..]).await {
            Ok(Some(count)) => {
                for chunk in self.chunks.iter_mut().take(count) {
                    decoder.push(std::mem::take(chunk));
                }
                Ok(Arrived::More)
            }
            // A Kitsune2 node whose write failed goes on with a new stream.
            Ok(None) | Err(ReadError::Reset(_)) if Protocol::of(&self.connection) == Protocol::Kitsune2 => {
                self.stream = None;
                self.stream_ended = true;
                Ok(Arrived::NextStream)
            }
            Ok(None) => Err(self.last_words().await),
            Err(error) => Err(read_error(&self.connection, &error)),
        }
    }
}

#[async_trait]
impl FrameSource for QuicSource {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        if self.reader.awaits_introduction() {
            self.introduced().await?;
        }
        self.reader.recv(&mut self.input, frames).await
    }
}
