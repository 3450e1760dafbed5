//! A transport over TCP: what a stranger writes to bring frames to peers by other means.
//!
//! Run: `cargo run -p quorate-transport --example tcp`
//!
//! It authenticates nobody and encrypts nothing: whoever reaches the port can speak under any URL, so the core starts
//! it only with `allow_unauthenticated`. The first half is the transport, the second half says hello over it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use quorate_transport::{
    AuthenticatedPeer, Close, DialError, Dialer, FrameSink, FrameSource, Link, LinkError, PeerIdent,
    PeerViolation, Refusal, SendError, Sessions, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd,
    TxSpaceHandler,
};
use quorate_wire::stream::{encode_data, encode_preflight};
use quorate_wire::{EncodedFrame, Frame, PeerUrl, SpaceId, StreamDecoder, StreamFrame, StreamLimits};
use std::{collections::VecDeque, error::Error, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

type Failure = Box<dyn Error + Send + Sync>;

/// Peers at `ws://ip:port`. (`PeerUrl` has no scheme for TCP; the address is what counts.)
pub(crate) struct TcpTransport {
    url: PeerUrl,
    sessions: Sessions,
    accepting: JoinHandle<()>,
}

impl TcpTransport {
    /// Listens at an address such as `127.0.0.1:0`.
    pub(crate) async fn bind(addr: &str, hnd: Arc<TxImpHnd>) -> Result<Self, Failure> {
        let listener = TcpListener::bind(addr).await?;
        let url: PeerUrl = format!("ws://{}", listener.local_addr()?).parse()?;
        let limit = hnd.config().preflight_time;
        let sessions = Sessions::new(hnd, PeerIdent::Url(url.clone()), TcpDialer(url.clone()))?;
        let (own, weak) = (url.clone(), sessions.downgrade());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut source, sink) = halves(stream, own.clone());
                let weak = weak.clone();
                // One task each: who is slow to say its name holds up nobody.
                tokio::spawn(timeout(limit, async move {
                    if let (Ok(peer), Some(sessions)) = (source.introduction().await, weak.upgrade()) {
                        sessions.accept(peer, Link::new(sink, source));
                    }
                }));
            }
        });
        Ok(Self { url, sessions, accepting })
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[async_trait]
impl TxImp for TcpTransport {
    fn url(&self) -> Option<PeerUrl> {
        Some(self.url.clone())
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.sessions.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.sessions.disconnect(peer, reason).await;
    }
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.sessions)
    }
}

/// Dials, and says there under which URL.
struct TcpDialer(PeerUrl);

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, peer: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let stream = TcpStream::connect(peer.addr()).await.map_err(DialError::unreachable)?;
        let (source, sink) = halves(stream, self.0.clone());
        Ok((AuthenticatedPeer::unauthenticated(peer.clone()), Link::new(sink, source)))
    }
}

// From here on: frames on a TCP stream, with `quorate-wire`'s framing.

/// A frame may be 16 MiB, what comes before the peer is known 64 KiB.
const LIMITS: StreamLimits = StreamLimits { preflight: 68 << 10, data: (16 << 20) + 5 };

fn halves(stream: TcpStream, own: PeerUrl) -> (Source, Sink) {
    // Many small frames are gathered by `Sessions`; the kernel must not wait for more of them.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (
        Source { read, decoder: StreamDecoder::new(LIMITS), first: None },
        Sink { write, own: Some(own), mid_frame: false },
    )
}

struct Sink {
    write: OwnedWriteHalf,
    /// Our URL, until it has been told.
    own: Option<PeerUrl>,
    /// A frame is on its way: if that is cut off, nothing may follow it.
    mid_frame: bool,
}

#[async_trait]
impl FrameSink for Sink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        while let Some(frame) = batch.front().cloned() {
            let mut framed = match self.own.take() {
                Some(own) => encode_preflight(&own, frame, &LIMITS),
                None => encode_data(frame, &LIMITS),
            }
            .map_err(LinkError::broken)?;
            self.mid_frame = true;
            self.write.write_all_buf(&mut framed).await.map_err(LinkError::broken)?;
            self.mid_frame = false;
            batch.pop_front();
        }
        Ok(())
    }

    async fn close(&mut self, close: &Close) {
        let mut batch = VecDeque::from([goodbye(close).encode()]);
        if !self.mid_frame && self.send(&mut batch).await.is_ok() && self.write.shutdown().await.is_ok() {
            // A socket that is dropped with something unread in it takes back what it wrote: until the peer closes too.
            let stream: &TcpStream = self.write.as_ref();
            while stream.readable().await.is_ok() && !matches!(stream.try_read(&mut [0; 4096]), Ok(0)) {}
        }
    }
}

struct Source {
    read: OwnedReadHalf,
    decoder: StreamDecoder,
    /// The peer's preflight, until it is handed on.
    first: Option<Bytes>,
}

impl Source {
    /// Who dialed, by its own account.
    async fn introduction(&mut self) -> Result<AuthenticatedPeer, LinkError> {
        match self.next().await? {
            StreamFrame::Preflight { url, frame } => {
                self.first = Some(frame);
                Ok(AuthenticatedPeer::unauthenticated(url))
            }
            StreamFrame::Data { .. } => Err(LinkError::broken("no introduction")),
        }
    }

    async fn next(&mut self) -> Result<StreamFrame, LinkError> {
        loop {
            if let Some(frame) = self.decoder.poll().map_err(PeerViolation::from)? {
                return Ok(frame);
            }
            let mut chunk = BytesMut::with_capacity(64 << 10);
            match self.read.read_buf(&mut chunk).await {
                Ok(0) => return Err(LinkError::broken("the peer closed the stream")),
                Ok(_) => self.decoder.push(chunk.freeze()),
                Err(error) => return Err(LinkError::broken(error)),
            }
        }
    }
}

#[async_trait]
impl FrameSource for Source {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        if let Some(first) = self.first.take() {
            frames.push_back(first);
            return Ok(());
        }
        // The core says whether a preflight belongs where it stands.
        let (StreamFrame::Preflight { frame, .. } | StreamFrame::Data { frame }) = self.next().await?;
        if let Some(close) = last_words(&frame) {
            return Err(LinkError::Closed(close));
        }
        frames.push_back(frame);
        Ok(())
    }
}

/// TCP has no close reason, so the last frame is one: a disconnect that says the code and the words.
fn goodbye(close: &Close) -> Frame {
    Frame::Disconnect { reason: format!("{} {}", close.code.number(), close.reason).into() }
}

fn last_words(frame: &Bytes) -> Option<Close> {
    // The kind stands first in a frame of ours, so that nothing else has to be read for it.
    let goodbye = frame.starts_with(&[8, 15]).then(|| Frame::decode(frame.clone()).ok())??;
    let words = goodbye.reason()?;
    let (code, reason) = words.split_once(' ')?;
    Some(Close::new(code.parse::<u64>().ok()?.into(), reason))
}

// From here on: two nodes that say hello.

/// Accepts everybody, and prints what it hears.
struct App(mpsc::Sender<Bytes>);

impl TxHandler for App {}

impl TxSpaceHandler for App {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        println!("{peer} says {}", data.escape_ascii());
        self.0.try_send(data).map_err(|_| Refusal::new("too many greetings"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let space = SpaceId::from_static(b"example");
    let (heard, mut greetings) = mpsc::channel(16);
    let node = async || -> Result<(Transport, PeerUrl), Failure> {
        let app = Arc::new(App(heard.clone()));
        let config = TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() };
        let hnd = TxImpHnd::new(app.clone(), config)?;
        let transport =
            Transport::new(Arc::clone(&hnd), Arc::new(TcpTransport::bind("127.0.0.1:0", hnd).await?));
        let (registered, url) = transport.register_space_handler(space.clone(), app)?;
        registered.keep();
        Ok((transport, url.ok_or("no address")?))
    };
    let ((alice, alices), (bob, bobs)) = (node().await?, node().await?);
    let sent = alice.send_space_notify(&bobs, &space, Bytes::from_static(b"hello over TCP")).await?;
    println!("{alices} sent to {bobs}: {sent:?}");
    let heard = greetings.recv().await.ok_or("nobody said anything")?;
    assert_eq!(heard, "hello over TCP");
    alice.close().await;
    bob.close().await;
    Ok(())
}
