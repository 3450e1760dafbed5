//! Links over byte streams: TCP, TLS, a Unix socket, a pipe.
//!
//! The rule: the author brings a stream that keeps the order of its bytes and knows nothing of frames. Framing, limits,
//! the introduction, gathering small frames and the last words are here.
//!
//! Frames stand on the stream as [`quorate_wire::stream`] says; the first one in each direction carries its sender's URL. A
//! byte stream has no close reason, so the last frame is one: a disconnect whose reason is the code of the [`Close`] as a
//! decimal number, a space, and the words.

mod accept;
mod gather;
mod goodbye;
mod reader;
mod writer;

pub(super) use accept::MAX_STRANGERS;

pub use reader::{Arrived, FrameReader, ReadChunks};
pub use writer::{FrameWriter, WriteChunks};

use super::{FrameSink, FrameSource, Link, LinkError};
use crate::{Close, TransportConfig};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use quorate_wire::{EncodedFrame, PartialBudget, PeerUrl, StreamDecoder, StreamLimits, stream::HEAD_LEN};
use std::{collections::VecDeque, io::IoSlice, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};

/// The most that a preflight has around its payload: framing, a URL, and the frame's own head.
const PREFLIGHT_OVERHEAD: usize = HEAD_LEN + 4 + PeerUrl::MAX_LEN + 32;
/// How many bytes to make room for when there is little left.
const READ_ROOM: usize = 64 << 10;
/// Less room than this is too little for a read.
const LEAST_ROOM: usize = 4 << 10;
/// How many pieces are written by one call.
const MAX_PIECES: usize = 64;

/// What all streams of a transport have in common: limits, and one budget for unfinished frames.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// The limits on a stream that follow from the core's limits on frames.
    pub limits: StreamLimits,
    /// What unfinished frames may take, all streams together.
    pub budget: PartialBudget,
    /// How long a frame may take from its first byte to its last.
    pub frame_time: Duration,
}

impl StreamConfig {
    /// As the core's limits say. Make it once for a transport: each has a budget of its own.
    pub fn new(config: &TransportConfig) -> Self {
        let limits = StreamLimits {
            preflight: config.max_preflight_bytes.get().saturating_add(PREFLIGHT_OVERHEAD),
            data: config.max_frame_bytes.get().saturating_add(HEAD_LEN),
        };
        let budget = PartialBudget::new(config.partial_bytes.get());
        Self { limits, budget, frame_time: config.frame_time }
    }
}

/// Makes byte streams into links, all under one URL and one budget. A cheap clone.
#[derive(Debug, Clone)]
pub struct StreamLinks {
    url: PeerUrl,
    config: StreamConfig,
}

impl StreamLinks {
    /// For the node at `url`, which it tells its peers, within the core's limits.
    pub fn new(url: PeerUrl, config: &TransportConfig) -> Self {
        Self { url, config: StreamConfig::new(config) }
    }

    /// Both halves of a byte stream as a link: what [`Dialer::dial`](super::Dialer::dial) returns, and what
    /// [`Sessions::accept_stream`](super::Sessions::accept_stream) takes.
    pub fn link<R, W>(&self, read: R, write: W) -> StreamLink<R, W> {
        let read = Arc::new(Mutex::new(read));
        let mut writer = FrameWriter::new(self.config.limits);
        writer.introduce_as(self.url.clone());
        let sink = Sink { out: Output(write), rest: Arc::clone(&read), writer };
        let from = Input { read, room: BytesMut::new() };
        StreamLink {
            sink,
            source: Source { from, reader: FrameReader::new(self.config.clone()), closed: None },
        }
    }
}

/// A byte stream that carries frames. Becomes a [`Link`] by `into`.
pub struct StreamLink<R, W> {
    sink: Sink<R, W>,
    source: Source<R>,
}

impl<R, W> From<StreamLink<R, W>> for Link
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    fn from(link: StreamLink<R, W>) -> Self {
        Self::new(link.sink, link.source).with_overhead(HEAD_LEN)
    }
}

/// The writing half.
struct Sink<R, W> {
    out: Output<W>,
    /// The reading half, for the time after our last words.
    rest: Arc<Mutex<R>>,
    writer: FrameWriter,
}

struct Output<W>(W);

impl<W: AsyncWrite + Send + Unpin> WriteChunks for Output<W> {
    async fn write(&mut self, chunks: &mut &mut [Bytes]) -> Result<usize, LinkError> {
        let pieces: Vec<_> = chunks.iter().take(MAX_PIECES).map(|chunk| IoSlice::new(chunk)).collect();
        let written = self.0.write_vectored(&pieces).await.map_err(LinkError::broken)?;
        if written == 0 {
            return Err(LinkError::broken("the stream takes no more bytes"));
        }
        writer::advance(chunks, written);
        Ok(written)
    }
}

#[async_trait]
impl<R, W> FrameSink for Sink<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        self.writer.write(batch, &mut self.out).await?;
        self.out.0.flush().await.map_err(LinkError::broken)
    }

    async fn close(&mut self, close: &Close) {
        let mut batch = VecDeque::from([goodbye::frame(close)]);
        if self.send(&mut batch).await.is_ok() && self.out.0.shutdown().await.is_ok() {
            // A socket that is dropped with something unread in it takes back what it wrote: until the peer closes too.
            let mut rest = self.rest.lock().await;
            let mut unread = [0; 4096];
            while !matches!(rest.read(&mut unread).await, Ok(0) | Err(_)) {}
        }
    }
}

/// The reading half.
struct Source<R> {
    from: Input<R>,
    reader: FrameReader,
    /// The peer's last words, behind frames that were handed on.
    closed: Option<Close>,
}

struct Input<R> {
    /// Nobody else reads while frames are awaited.
    read: Arc<Mutex<R>>,
    room: BytesMut,
}

impl<R: AsyncRead + Send + Unpin> ReadChunks for Input<R> {
    async fn read(&mut self, decoder: &mut StreamDecoder) -> Result<Arrived, LinkError> {
        if self.room.capacity() < LEAST_ROOM {
            self.room.reserve(READ_ROOM);
        }
        match self.read.lock().await.read_buf(&mut self.room).await {
            Ok(0) => Err(LinkError::broken("the peer closed the stream")),
            Ok(_) => {
                decoder.push(self.room.split().freeze());
                Ok(Arrived::More)
            }
            Err(error) => Err(LinkError::broken(error)),
        }
    }
}

#[async_trait]
impl<R: AsyncRead + Send + Unpin + 'static> FrameSource for Source<R> {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        if let Some(close) = self.closed.take() {
            return Err(LinkError::Closed(close));
        }
        let before = frames.len();
        self.reader.recv(&mut self.from, frames).await?;
        let last = frames.iter().skip(before).position(goodbye::is_one);
        if let Some(last) = last {
            self.closed = frames.get(before + last).and_then(goodbye::read);
            if self.closed.is_some() {
                frames.truncate(before + last);
            }
        }
        match self.closed.take_if(|_| frames.len() == before) {
            Some(close) => Err(LinkError::Closed(close)),
            None => Ok(()),
        }
    }
}
