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

/// The top handler of a node.
pub(super) struct Handshake {
    versions: NodeVersions,
    encoded: Bytes,
    peers: Mutex<BTreeMap<PeerUrl, Met>>,
}

/// What a connected peer told.
struct Met {
    agreement: Agreement,
    app: Bytes,
}

impl Handshake {
    pub(super) fn new(preflight: &Preflight) -> Result<Self, PreflightError> {
        let encoded = preflight.encode()?;
        Ok(Self { versions: preflight.versions.clone(), encoded, peers: Mutex::default() })
    }

    pub(super) fn agreement(&self, peer: &PeerUrl) -> Option<Agreement> {
        self.lock().get(peer).map(|met| met.agreement.clone())
    }

    pub(super) fn app(&self, peer: &PeerUrl) -> Option<Bytes> {
        self.lock().get(peer).map(|met| met.app.clone())
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
        let theirs = Preflight::decode(data).map_err(|error| Refusal::new(error.to_string()))?;
        // The reason is read by the other side, so it is worded for it.
        let agreement =
            judge(&self.versions, &theirs.versions).map_err(|error| Refusal::new(error.for_them()))?;
        self.lock().insert(peer.clone(), Met { agreement, app: theirs.app });
        Ok(())
    }
}
