//! The preflight as a transport handler: what we send first, and what we make of theirs.
//!
//! The rule: what is remembered of a peer is dropped with its connection.

use crate::preflight::{Agreement, NodeVersions, Preflight, PreflightError, judge};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{Refusal, TxHandler};
use quorate_wire::PeerUrl;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How many refusals are kept for an application that does not keep up; the oldest go first.
const KEPT_REFUSALS: usize = 32;

/// A peer that this node turned away, because the two cannot work together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPeer {
    /// Its address, as it proved it.
    pub peer: PeerUrl,
    /// Why, in words for our side. It may quote the peer.
    pub reason: String,
}

/// The top handler of a node.
pub(super) struct Handshake {
    versions: NodeVersions,
    encoded: Bytes,
    peers: Mutex<BTreeMap<PeerUrl, Met>>,
    refused: broadcast::Sender<RefusedPeer>,
}

/// What a connected peer told.
struct Met {
    agreement: Agreement,
    app: Bytes,
}

impl Handshake {
    pub(super) fn new(preflight: &Preflight) -> Result<Self, PreflightError> {
        let encoded = preflight.encode()?;
        let (versions, refused) = (preflight.versions.clone(), broadcast::Sender::new(KEPT_REFUSALS));
        Ok(Self { versions, encoded, peers: Mutex::default(), refused })
    }

    pub(super) fn refusals(&self) -> broadcast::Receiver<RefusedPeer> {
        self.refused.subscribe()
    }

    pub(super) fn agreement(&self, peer: &PeerUrl) -> Option<Agreement> {
        self.lock().get(peer).map(|met| met.agreement.clone())
    }

    pub(super) fn app(&self, peer: &PeerUrl) -> Option<Bytes> {
        self.lock().get(peer).map(|met| met.app.clone())
    }

    /// Turns a peer away: `ours` is what this side is told, `theirs` the peer.
    fn refuse(&self, peer: &PeerUrl, ours: String, theirs: String) -> Refusal {
        // Nobody may be listening.
        let _ = self.refused.send(RefusedPeer { peer: peer.clone(), reason: ours });
        Refusal::new(theirs)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerUrl, Met>> {
        // Nothing that can panic runs under this lock, so a poisoned one still guards a whole map.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TxHandler for Handshake {
    fn peer_disconnect(&self, peer: &PeerUrl, _: Option<&str>) {
        self.lock().remove(peer);
    }

    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        Ok(self.encoded.clone())
    }

    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        let theirs = Preflight::decode(data)
            .map_err(|error| self.refuse(peer, format!("its preflight: {error}"), error.to_string()))?;
        // The reason is read by the other side too, and worded for it there.
        let agreement = judge(&self.versions, &theirs.versions)
            .map_err(|error| self.refuse(peer, error.to_string(), error.for_them()))?;
        self.lock().insert(peer.clone(), Met { agreement, app: theirs.app });
        Ok(())
    }
}
