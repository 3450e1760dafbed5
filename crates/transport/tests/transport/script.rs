//! A node whose peers are played by the test: it answers each dial and holds the far end of each link.

use crate::support::*;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    AuthenticatedPeer, Close, DialError, Dialer, FrameSink, FrameSource, Link, LinkError, PeerIdent,
    SendError, SendOutcome, Sessions, TransportConfig, TxImp,
};
use quorate_wire::{EncodedFrame, PeerUrl};
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};
use tokio::sync::{mpsc, oneshot};

type Dialed = Result<(AuthenticatedPeer, Link), DialError>;

/// A dial that waits for the test's answer.
pub(crate) struct Dial {
    pub(crate) url: PeerUrl,
    answer: oneshot::Sender<Dialed>,
}

impl Dial {
    pub(crate) fn answer(self, answer: Dialed) {
        // A dial that was given up meanwhile needs no answer.
        let _ = self.answer.send(answer);
    }

    /// Answers with a link; the far end.
    pub(crate) fn link(self) -> Far {
        let (link, far) = link(1_000);
        let peer = AuthenticatedPeer::new(self.url.peer_id().unwrap().into(), self.url.clone()).unwrap();
        self.answer(Ok((peer, link)));
        far
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

struct Script(mpsc::UnboundedSender<Dial>);

#[async_trait]
impl Dialer for Script {
    async fn dial(&self, peer: &PeerUrl) -> Dialed {
        let (answer, answered) = oneshot::channel();
        self.0.send(Dial { url: peer.clone(), answer }).unwrap();
        answered.await.unwrap()
    }
}

/// A transport on [`Sessions`], as an author would write it.
struct Scripted(PeerUrl, Sessions);

#[async_trait]
impl TxImp for Scripted {
    fn url(&self) -> Option<PeerUrl> {
        Some(self.0.clone())
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.1.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.1.disconnect(peer, reason).await;
    }
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.1)
    }
}

/// What the far end is handed.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Frame(Bytes),
    Close(Close),
}

/// The far end of a link.
pub(crate) struct Far {
    to_node: mpsc::UnboundedSender<Result<Bytes, LinkError>>,
    from_node: mpsc::Receiver<Item>,
}

impl Far {
    pub(crate) fn send(&self, frame: Bytes) {
        // A node that hung up hears nothing.
        let _ = self.to_node.send(Ok(frame));
    }

    pub(crate) fn end(&self, error: LinkError) {
        let _ = self.to_node.send(Err(error));
    }

    /// The next thing from the node; `None` when its end is gone.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        self.from_node.recv().await
    }

    pub(crate) async fn frame(&mut self) -> Bytes {
        match self.next().await {
            Some(Item::Frame(frame)) => frame,
            other => panic!("no frame but {other:?}"),
        }
    }

    /// Reads frames up to the node's last words.
    pub(crate) async fn last_words(&mut self) -> Option<Close> {
        loop {
            match self.next().await {
                Some(Item::Frame(_)) => {}
                Some(Item::Close(close)) => return Some(close),
                None => return None,
            }
        }
    }

    pub(crate) fn nothing_yet(&mut self) -> bool {
        matches!(self.from_node.try_recv(), Err(mpsc::error::TryRecvError::Empty))
    }

    /// The peer's part of the preflights on a link that the node dialed.
    pub(crate) async fn welcome(&mut self) {
        assert_eq!(self.frame().await, preflight(b"node"));
        self.send(preflight(b"far"));
    }
}

/// A link with room for `room` frames towards the test, and its far end.
pub(crate) fn link(room: usize) -> (Link, Far) {
    let (to_node, source) = mpsc::unbounded_channel();
    let (sink, from_node) = mpsc::channel(room);
    (Link::new(Sink(sink), Source(source)), Far { to_node, from_node })
}

struct Sink(mpsc::Sender<Item>);

#[async_trait]
impl FrameSink for Sink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        while let Some(frame) = batch.front() {
            assert_ne!(frame.payload(), "sink panics", "this panic belongs to the test");
            let room = self.0.reserve().await.map_err(LinkError::broken)?;
            room.send(Item::Frame(frame.to_bytes()));
            batch.pop_front();
        }
        Ok(())
    }
    async fn close(&mut self, close: &Close) {
        let _ = self.0.send(Item::Close(close.clone())).await;
    }
}

struct Source(mpsc::UnboundedReceiver<Result<Bytes, LinkError>>);

#[async_trait]
impl FrameSource for Source {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        frames.push_back(self.0.recv().await.ok_or_else(|| LinkError::broken("gone"))??);
        Ok(())
    }
}

/// A node called "node" whose dials go to the test.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) sessions: Sessions,
    dials: tokio::sync::Mutex<mpsc::UnboundedReceiver<Dial>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(TransportConfig::default())
    }

    pub(crate) fn with(config: TransportConfig) -> Self {
        let (asked, dials) = mpsc::unbounded_channel();
        let made = OnceLock::new();
        let node = Node::on("node", config, |hnd| {
            let sessions = Sessions::new(hnd, PeerIdent::Key("node".into()), Script(asked)).unwrap();
            made.set(sessions.clone()).unwrap();
            Arc::new(Scripted(mem("node"), sessions))
        });
        Self { node, sessions: made.into_inner().unwrap(), dials: dials.into() }
    }

    pub(crate) async fn dial(&self) -> Dial {
        self.dials.lock().await.recv().await.unwrap()
    }

    pub(crate) fn no_dial(&self) -> bool {
        self.dials.try_lock().unwrap().try_recv().is_err()
    }

    /// A ready connection that the node dialed.
    pub(crate) async fn dialed(&self, name: &str) -> Far {
        let far = async {
            let mut far = self.dial().await.link();
            far.welcome().await;
            far
        };
        let (connected, far) = tokio::join!(self.connect(name), far);
        connected.unwrap();
        far
    }

    pub(crate) async fn connect(&self, to: &str) -> Result<(), SendError> {
        self.node.transport.connect(&mem(to)).await
    }

    pub(crate) fn try_send(&self, to: &str, data: impl Into<Bytes>) -> Result<SendOutcome, SendError> {
        self.node.transport.try_send_space_notify(&mem(to), &SPACE, data.into())
    }

    /// A link from a peer that dialed the node; the far end.
    pub(crate) fn incoming(&self, name: &str, room: usize) -> Far {
        let (link, far) = link(room);
        self.sessions.accept(peer(name), link);
        far
    }

    /// A ready connection that `name` dialed.
    pub(crate) async fn guest(&self, name: &str) -> Far {
        let mut far = self.incoming(name, 1_000);
        far.send(preflight(b"far"));
        assert_eq!(far.frame().await, preflight(b"node"));
        far
    }

    pub(crate) async fn send(&self, to: &str, data: &'static [u8]) -> Result<(), SendError> {
        let data = Bytes::from_static(data);
        self.node.transport.send_space_notify(&mem(to), &SPACE, data).await.map(|_| ())
    }
}
