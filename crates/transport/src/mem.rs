//! The smallest transport: peers in one process. The template for authors.
//!
//! The rule: a transport only says who is where and moves frames. Below stands all that one needs:
//! a dialer, the two ends of a link, and three methods (and two that `Sessions` has for free).

use crate::{
    AuthenticatedPeer, Close, ConfigError, DialError, Dialer, FrameSink, FrameSource, Link, LinkError,
    PeerIdent, PeerKey, SendError, Sessions, TxImp, TxImpHnd, WeakSessions, locked,
};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_wire::{EncodedFrame, PeerUrl};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Frames in flight in each direction of a link; a sender waits for room.
const IN_FLIGHT: usize = 64;

/// Where the transports of one process find each other. A cheap clone; no two know each other.
///
/// The hub vouches for its peers: the last segment of a URL counts as a key that its owner proved.
#[derive(Clone, Default)]
pub struct MemHub(Arc<Mutex<HashMap<PeerUrl, WeakSessions>>>);

/// A [`TxImp`] within the process, for tests and simulations. Bounded, in order, and real enough
/// to lose what was in flight when a link is dropped.
pub struct MemTransport {
    url: PeerUrl,
    sessions: Sessions,
}

impl MemTransport {
    /// A transport that `hub` finds at `url`, a peer URL such as `mem://host:1/alice`.
    ///
    /// It takes the place of one that was there before. Call it inside a tokio runtime.
    pub fn bind(hub: &MemHub, url: PeerUrl, hnd: Arc<TxImpHnd>) -> Result<Self, ConfigError> {
        let ident = PeerKey::named_by(&url).map_or_else(|| PeerIdent::Url(url.clone()), PeerIdent::Key);
        let sessions = Sessions::new(hnd, ident, MemDialer { hub: hub.clone(), url: url.clone() })?;
        locked(&hub.0).insert(url.clone(), sessions.downgrade());
        Ok(Self { url, sessions })
    }
}

#[async_trait]
impl TxImp for MemTransport {
    fn url(&self) -> Option<PeerUrl> {
        Some(self.url.clone())
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.sessions.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.sessions.disconnect(peer, reason).await;
    }
    async fn connect(&self, peer: &PeerUrl) -> Result<(), SendError> {
        self.sessions.connect(peer).await
    }
    async fn close(&self) {
        self.sessions.close().await;
    }
    fn backend(&self) -> &str {
        "mem"
    }
}

/// Finds peers at the hub.
struct MemDialer {
    hub: MemHub,
    url: PeerUrl,
}

#[async_trait]
impl Dialer for MemDialer {
    async fn dial(&self, peer: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let found = locked(&self.hub.0).get(peer).and_then(WeakSessions::upgrade);
        let sessions = found.ok_or_else(|| DialError::Unreachable { reason: format!("nobody at {peer}") })?;
        let (to_peer, from_us) = mpsc::channel(IN_FLIGHT);
        let (to_us, from_peer) = mpsc::channel(IN_FLIGHT);
        sessions.accept(vouched(&self.url), Link::new(MemSink(to_us), MemSource(from_us)));
        Ok((vouched(peer), Link::new(MemSink(to_peer), MemSource(from_peer))))
    }
}

/// The hub knows who binds a URL, so the key in it is as good as proven.
fn vouched(url: &PeerUrl) -> AuthenticatedPeer {
    let key = PeerKey::named_by(url).and_then(|key| AuthenticatedPeer::new(key, url.clone()).ok());
    key.unwrap_or_else(|| AuthenticatedPeer::unauthenticated(url.clone()))
}

/// A frame, or the last words.
type Item = Result<Bytes, Close>;

struct MemSink(mpsc::Sender<Item>);

#[async_trait]
impl FrameSink for MemSink {
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

struct MemSource(mpsc::Receiver<Item>);

#[async_trait]
impl FrameSource for MemSource {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        let item = self.0.recv().await.ok_or_else(|| LinkError::broken("the peer is gone"))?;
        frames.push_back(item.map_err(LinkError::Closed)?);
        Ok(())
    }
}
