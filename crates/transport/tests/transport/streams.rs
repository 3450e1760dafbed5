//! Links over byte streams: framing, introductions, last words, and strangers.

use crate::support::{SPACE, settle};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::sessions::stream::{StreamLink, StreamLinks};
use quorate_transport::{
    AuthenticatedPeer, Close, CloseCode, DialError, Dialer, FrameSource, Link, LinkError, PeerIdent, PeerKey,
    PeerViolation, SendError, Sessions, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd,
};
use quorate_wire::{EncodedFrame, Frame, PeerUrl};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

fn url(name: &str) -> PeerUrl {
    format!("ws://host:1/{name}").parse().unwrap()
}

type Piped = StreamLink<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

fn piped(name: &str, stream: DuplexStream) -> Piped {
    let (read, write) = split(stream);
    StreamLinks::new(url(name), &TransportConfig::default()).link(read, write)
}

/// Two ends of a stream that holds `room` bytes.
fn pair(room: usize) -> (Link, Link) {
    let (near, far) = duplex(room);
    (piped("near", near).into(), piped("far", far).into())
}

fn hello() -> Frame {
    Frame::Preflight { data: Bytes::from_static(b"hello") }
}

fn notify(data: Vec<u8>) -> Frame {
    Frame::Notify { space: SPACE, data: data.into() }
}

fn batch(frames: impl IntoIterator<Item = Frame>) -> VecDeque<EncodedFrame> {
    frames.into_iter().map(Frame::into_encoded).collect()
}

/// Receives until the end, which is returned with all that came before it.
async fn drain(source: &mut dyn FrameSource) -> (VecDeque<Bytes>, LinkError) {
    let mut frames = VecDeque::new();
    loop {
        if let Err(error) = source.recv(&mut frames).await {
            return (frames, error);
        }
    }
}

#[tokio::test]
async fn frames_of_every_size_cross_whole_and_in_order_and_then_the_last_words() {
    // A stream that takes little at once cuts every frame into pieces; one that takes much has many frames in one read.
    for room in [1, 1_000, 1 << 20] {
        let (mut near, mut far) = pair(room);
        let sizes = [0, 1, 4_095, 4_096, 65_536].into_iter().chain(std::iter::repeat_n(30, 300));
        let frames: Vec<_> = std::iter::once(hello()).chain(sizes.map(|len| notify(vec![7; len]))).collect();
        let (mut all, close) = (batch(frames.clone()), Close::new(CloseCode::Refused, "7 reasons"));
        let write = async {
            near.sink.send(&mut all).await.unwrap();
            near.sink.close(&close).await;
        };
        let read = async {
            let end = drain(far.source.as_mut()).await;
            drop(far);
            end
        };
        let ((), (received, error)) = tokio::join!(write, read);
        assert_eq!(error, LinkError::Closed(close.clone()));
        assert_eq!(received.len(), frames.len());
        for (received, frame) in received.into_iter().zip(frames) {
            assert_eq!(Frame::decode(received).unwrap(), frame);
        }
        assert!(all.is_empty());
    }
}

#[tokio::test]
async fn a_disconnect_without_a_code_is_the_cores_business() {
    let (mut near, mut far) = pair(1_000);
    let words = Frame::Disconnect { reason: "enough of it".into() };
    near.sink.send(&mut batch([hello(), words.clone()])).await.unwrap();
    drop(near);
    let (frames, error) = drain(far.source.as_mut()).await;
    assert_eq!(Frame::decode(frames[1].clone()).unwrap(), words);
    assert!(matches!(error, LinkError::Broken { .. }));
}

#[tokio::test]
async fn nothing_follows_a_frame_that_was_cut_off() {
    let (near, mut far) = duplex(1_000);
    let mut near: Link = piped("near", near).into();
    let mut frames = batch([hello(), notify(vec![7; 5_000]), notify(vec![8; 10])]);
    let mut send = Box::pin(near.sink.send(&mut frames));
    assert!(futures_pending(&mut send).await);
    drop(send);
    assert_eq!(frames.len(), 2, "what was written whole is gone from the batch, the rest is not");
    let mut read = vec![0; 1_000];
    far.read_exact(&mut read).await.unwrap();
    assert!(matches!(near.sink.send(&mut frames).await, Err(LinkError::Broken { .. })));
    near.sink.close(&Close::new(CloseCode::Graceful, "bye")).await;
    drop(near);
    assert_eq!(far.read(&mut read).await.unwrap(), 0, "not even last words");
}

/// Whether a future waits.
async fn futures_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_is_given_up() {
    let (near, mut far) = duplex(1_000);
    let mut near: Link = piped("near", near).into();
    far.write_all(&[0, 0, 0, 0, 100, 1]).await.unwrap();
    let error = near.source.recv(&mut VecDeque::new()).await.unwrap_err();
    assert_eq!(error, PeerViolation::FrameTimeout.into());
}

struct App;
impl TxHandler for App {}

struct Nobody;

#[async_trait]
impl Dialer for Nobody {
    async fn dial(&self, _: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        Err(DialError::unreachable("nobody is there"))
    }
}

/// A transport that is only dialed.
struct Server(Sessions);

#[async_trait]
impl TxImp for Server {
    fn url(&self) -> Option<PeerUrl> {
        Some(url("server"))
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.0.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.0.disconnect(peer, reason).await;
    }
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.0)
    }
}

impl Server {
    fn start() -> (Sessions, Transport) {
        let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default()).unwrap();
        let sessions = Sessions::new(hnd.clone(), PeerIdent::Key("server".into()), Nobody).unwrap();
        (sessions.clone(), Transport::new(hnd, Arc::new(Server(sessions))))
    }
}

/// A stream to the server, whose peer proved `key`.
fn stranger(sessions: &Sessions, key: &str) -> DuplexStream {
    let (near, far) = duplex(1 << 16);
    sessions.accept_stream(piped("server", near), Some(PeerKey::from(key)));
    far
}

#[tokio::test(start_paused = true)]
async fn who_speaks_under_anothers_url_is_told_and_counted() {
    let (sessions, server) = Server::start();
    let mut mallory: Link = piped("alice", stranger(&sessions, "mallory")).into();
    mallory.sink.send(&mut batch([hello()])).await.unwrap();
    let (_, error) = drain(mallory.source.as_mut()).await;
    assert!(matches!(&error, LinkError::Closed(close) if close.code == CloseCode::Violation), "{error}");
    assert_eq!(server.totals().violations.spoofed_url, 1);

    let mut alice: Link = piped("alice", stranger(&sessions, "alice")).into();
    alice.sink.send(&mut batch([hello()])).await.unwrap();
    let mut frames = VecDeque::new();
    alice.source.recv(&mut frames).await.unwrap();
    assert!(matches!(Frame::decode(frames[0].clone()), Ok(Frame::Preflight { .. })));
}

#[tokio::test(start_paused = true)]
async fn strangers_are_few_and_have_little_time() {
    let (sessions, server) = Server::start();
    let mut waiting: Vec<_> = (0..128).map(|_| stranger(&sessions, "silent")).collect();
    let mut late = stranger(&sessions, "late");
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0, "there is no place for it");
    settle().await;
    assert_eq!((server.totals().refused_too_many, server.totals().violations.preflight_timeout), (1, 0));

    tokio::time::sleep(TransportConfig::default().preflight_time + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(server.totals().violations.preflight_timeout, 128);
    let mut told = Vec::new();
    let mut first = waiting.remove(0);
    first.shutdown().await.unwrap();
    first.read_to_end(&mut told).await.unwrap();
    assert!(told.windows(9).any(|words| words == b"preflight"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_must_be_an_introduction_and_no_other_may() {
    let (sessions, server) = Server::start();
    let mut rude = stranger(&sessions, "rude");
    rude.write_all(&[1, 0, 0, 0, 2, 8, 0]).await.unwrap();
    settle().await;
    assert_eq!(server.totals().violations.not_preflight, 1);

    let mut twice: Link = piped("twice", stranger(&sessions, "twice")).into();
    twice.sink.send(&mut batch([hello(), hello()])).await.unwrap();
    let (_, error) = drain(twice.source.as_mut()).await;
    assert!(matches!(&error, LinkError::Closed(close) if close.code == CloseCode::Violation), "{error}");
    assert_eq!(server.totals().violations.second_preflight, 1);
}
