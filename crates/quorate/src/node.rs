//! A node: one transport, the versions it speaks, and the spaces it is in.
//!
//! The rule: two nodes whose versions do not fit part in the preflight, with a reason that both sides
//! can show; no message crosses before that.

mod handshake;

use crate::faults::LinkFaults;
use crate::preflight::{Agreement, NodeVersions, Preflight, PreflightError};
use crate::space::{JoinError, Space};
use bytes::Bytes;
use handshake::Handshake;
use quorate_transport::{
    ApiTransportStats, ConfigError, MemHub, MemTransport, SendError, Transport, TransportConfig, TxImp,
    TxImpHnd,
};
use quorate_versioning::{ApiVersion, ModuleConsensusVersion};
use quorate_wire::{PeerUrl, SpaceId};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::broadcast;

pub use handshake::RefusedPeer;

/// The module of a space through which channels send their envelopes.
pub const CHANNEL_MODULE: &str = "quorate/channel";

/// A node of a peer-to-peer application. Cheap to clone; [`Node::shutdown`] ends it for all clones.
#[derive(Clone)]
pub struct Node {
    transport: Transport,
    handshake: Arc<Handshake>,
    faults: Option<Arc<dyn LinkFaults>>,
}

/// Composes a [`Node`].
pub struct NodeBuilder {
    versions: NodeVersions,
    app: Bytes,
    transport: TransportConfig,
    faults: Option<Arc<dyn LinkFaults>>,
}

/// Why a node could not be made. Nothing was left open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The transport's configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The versions or the application's preflight bytes do not fit a preflight.
    #[error("this node's preflight cannot be sent")]
    Preflight(#[from] PreflightError),
    /// The transport could not be bound.
    #[error("the transport could not be bound: {0}")]
    Bind(#[source] Box<dyn Error + Send + Sync>),
}

impl Node {
    /// A builder with the versions of this build and default limits.
    pub fn builder() -> NodeBuilder {
        NodeBuilder {
            versions: default_versions(),
            app: Bytes::new(),
            transport: TransportConfig::default(),
            faults: None,
        }
    }

    /// Where this node is reached, once it is known.
    pub fn url(&self) -> Option<PeerUrl> {
        self.transport.url()
    }

    /// Connects to a peer and exchanges preflights; does nothing when that was done before.
    pub async fn connect(&self, peer: &PeerUrl) -> Result<(), SendError> {
        self.transport.connect(peer).await
    }

    /// Ends the connections to a peer, telling it why.
    pub async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.transport.disconnect(peer, reason).await;
    }

    /// What a connected peer and this node can do together.
    pub fn agreement(&self, peer: &PeerUrl) -> Option<Agreement> {
        self.handshake.agreement(peer)
    }

    /// The bytes that a connected peer's application put into its preflight.
    pub fn app_preflight(&self, peer: &PeerUrl) -> Option<Bytes> {
        self.handshake.app(peer)
    }

    /// The peers that this node turns away from now on because the two cannot work together. Who does not keep up
    /// with them misses the oldest.
    pub fn refusals(&self) -> broadcast::Receiver<RefusedPeer> {
        self.handshake.refusals()
    }

    /// Enters a space, to meet its members and open channels with them. Needs a tokio runtime.
    pub fn join(&self, space: SpaceId) -> Result<Space, JoinError> {
        Space::join(self.transport.clone(), space, self.faults.clone())
    }

    /// The transport, for everything that the façade does not cover.
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What the transport has counted.
    pub fn stats(&self) -> ApiTransportStats {
        self.transport.stats()
    }

    /// Ends all connections politely.
    pub async fn shutdown(&self) {
        self.transport.close().await;
    }
}

impl NodeBuilder {
    /// What this node needs of its peers and offers them, instead of this build's own.
    #[must_use]
    pub fn versions(mut self, versions: NodeVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Bytes of the application for the peer's application, sent in the preflight.
    #[must_use]
    pub fn app_preflight(mut self, app: impl Into<Bytes>) -> Self {
        self.app = app.into();
        self
    }

    /// The transport's limits.
    #[must_use]
    pub fn limits(mut self, limits: TransportConfig) -> Self {
        self.transport = limits;
        self
    }

    /// Loses, repeats and delays envelopes on purpose.
    #[must_use]
    pub fn faults(mut self, faults: Arc<dyn LinkFaults>) -> Self {
        self.faults = Some(faults);
        self
    }

    /// A node in this process only, reached through `hub`.
    pub fn bind_mem(self, hub: &MemHub, url: PeerUrl) -> Result<Node, NodeError> {
        let limits = TransportConfig { allow_unauthenticated: true, ..self.transport.clone() };
        let node = self.limits(limits);
        let (hnd, handshake) = node.handshake()?;
        let imp = MemTransport::bind(hub, url, Arc::clone(&hnd))?;
        Ok(node.compose(hnd, handshake, Arc::new(imp)))
    }

    /// A node on QUIC.
    #[cfg(feature = "iroh")]
    pub async fn bind_iroh(self, config: quorate_iroh::IrohConfig) -> Result<Node, NodeError> {
        let (hnd, handshake) = self.handshake()?;
        let imp = quorate_iroh::IrohTransport::bind(config, Arc::clone(&hnd))
            .await
            .map_err(|error| NodeError::Bind(Box::new(error)))?;
        Ok(self.compose(hnd, handshake, imp))
    }

    /// A node on any transport, which `bind` makes. [`NodeError::Bind`] is its error.
    pub async fn bind_with<F, B>(self, bind: F) -> Result<Node, NodeError>
    where
        F: FnOnce(Arc<TxImpHnd>) -> B,
        B: Future<Output = Result<Arc<dyn TxImp>, Box<dyn Error + Send + Sync>>>,
    {
        let (hnd, handshake) = self.handshake()?;
        let imp = bind(Arc::clone(&hnd)).await.map_err(NodeError::Bind)?;
        Ok(self.compose(hnd, handshake, imp))
    }

    fn compose(self, hnd: Arc<TxImpHnd>, handshake: Arc<Handshake>, imp: Arc<dyn TxImp>) -> Node {
        Node { transport: Transport::new(hnd, imp), handshake, faults: self.faults }
    }

    fn handshake(&self) -> Result<(Arc<TxImpHnd>, Arc<Handshake>), NodeError> {
        let preflight = Preflight::new(self.versions.clone()).with_app(self.app.clone());
        let handshake = Arc::new(Handshake::new(&preflight)?);
        let hnd = TxImpHnd::new(handshake.clone(), self.transport.clone())?;
        Ok((hnd, handshake))
    }
}

/// What this build needs and offers: its core, and channels.
fn default_versions() -> NodeVersions {
    let api = ApiVersion::new(1, 0);
    NodeVersions::default().with_module(CHANNEL_MODULE, ModuleConsensusVersion::new(1, 0), api, api)
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("transport", &self.transport).finish_non_exhaustive()
    }
}
