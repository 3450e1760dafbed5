//! The smallest transport: peers in one process. The template for authors.
//!
//! The rule: a transport only says who is where, dials and accepts. All that one needs on top of
//! [`Sessions`] stands below; a network's own `Link` (here a pair of channels) is in its place.

mod factory;

pub use factory::{MemConfig, MemFactory};

use crate::{
    AuthenticatedPeer, ConfigError, DialError, Dialer, Link, SendError, Sessions, TxImp, TxImpHnd,
    WeakSessions, locked,
};
use async_trait::async_trait;
use quorate_wire::{EncodedFrame, PeerUrl};
use std::{collections::HashMap, sync::Arc, sync::Mutex};

/// Where the transports of one process find each other. A cheap clone; no two know each other.
///
/// The hub vouches for its peers: the last segment of a URL counts as a key that its owner proved.
#[derive(Clone, Default)]
pub struct MemHub(Arc<Mutex<HashMap<PeerUrl, WeakSessions>>>);

/// A [`TxImp`] within the process, for tests and simulations: bounded, in order, and real enough to
/// lose what was in flight when a link is dropped.
pub struct MemTransport {
    url: PeerUrl,
    sessions: Sessions,
}

impl MemTransport {
    /// A transport that `hub` finds at `url`, a peer URL such as `mem://host:1/alice`.
    ///
    /// It takes the place of one that was there before. Without a last segment the peer proves nothing
    /// and is known by its URL, which the config of `hnd` must allow.
    pub fn bind(hub: &MemHub, url: PeerUrl, hnd: Arc<TxImpHnd>) -> Result<Self, ConfigError> {
        let local = AuthenticatedPeer::vouched(url.clone());
        let sessions = Sessions::new(hnd, local.ident(), MemDialer(hub.clone(), local))?;
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
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.sessions)
    }
    fn backend(&self) -> &str {
        "mem"
    }
}

/// Finds peers at the hub, and says there who dials.
struct MemDialer(MemHub, AuthenticatedPeer);

#[async_trait]
impl Dialer for MemDialer {
    async fn dial(&self, peer: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let found = locked(&self.0.0).get(peer).and_then(WeakSessions::upgrade);
        let acceptor = found.ok_or_else(|| DialError::unreachable("nobody is there"))?;
        let (ours, theirs) = Link::pair();
        acceptor.accept(self.1.clone(), theirs);
        Ok((AuthenticatedPeer::vouched(peer.clone()), ours))
    }
}
