//! What an application implements: the handler of the whole transport, of a space, of a module.
//!
//! The rule: no handler is ever called while a lock is held, so it may register, unregister and
//! send from inside a call. One that panics ends its connection and nothing else.

use crate::Refusal;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::{future::Future, pin::Pin};

/// Something to wait for before more is read from a peer.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether somebody joined a space: known at once, or to be waited for.
///
/// ```
/// use quorate_transport::{LocalAgents, TxSpaceHandler};
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// struct Space(AtomicBool);
///
/// impl TxSpaceHandler for Space {
///     fn has_local_agents(&self) -> LocalAgents<'_> {
///         self.0.load(Ordering::Relaxed).into()
///     }
/// }
/// ```
pub enum LocalAgents<'a> {
    /// The answer; `Err` fails what was asked for.
    Known(Result<bool, Refusal>),
    /// The answer comes when this ends.
    Later(Pin<Box<dyn Future<Output = Result<bool, Refusal>> + Send + 'a>>),
}

impl<'a> LocalAgents<'a> {
    /// An answer that has to be waited for.
    pub fn later(answer: impl Future<Output = Result<bool, Refusal>> + Send + 'a) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl From<bool> for LocalAgents<'_> {
    fn from(answer: bool) -> Self {
        Self::Known(Ok(answer))
    }
}

impl From<Result<bool, Refusal>> for LocalAgents<'_> {
    fn from(answer: Result<bool, Refusal>) -> Self {
        Self::Known(answer)
    }
}

impl std::fmt::Debug for LocalAgents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(answer) => f.debug_tuple("Known").field(answer).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

/// Handler of the whole transport: what is said before anything else, and who may connect.
#[async_trait]
pub trait TxHandler: Send + Sync + 'static {
    /// Peers now reach this node at `this_url`.
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        let _ = this_url;
    }

    /// A connection to `peer` opens, whoever dialed; `Err` closes it and tells the peer why.
    ///
    /// It is asked after the modules and the spaces. Quick: it holds up this peer's connection.
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        let _ = peer;
        Ok(())
    }

    /// A connection to `peer` ended, once for each that was announced.
    ///
    /// The reason is what a side said when it closed the connection; `None` when it just broke.
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let _ = (peer, reason);
    }

    /// What to send first on a new connection; the default is nothing. (Even that is sent.)
    ///
    /// `Err` closes the connection and tells the peer why.
    async fn preflight_gather_outgoing(&self, peer: &PeerUrl) -> Result<Bytes, Refusal> {
        let _ = peer;
        Ok(Bytes::new())
    }

    /// What the peer sent first; the default accepts anything.
    ///
    /// `Err` closes the connection and tells the peer why. Until this returns `Ok`, nothing else of
    /// that connection is delivered.
    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        let _ = (peer, data);
        Ok(())
    }
}

/// Handler of one space.
#[async_trait]
pub trait TxSpaceHandler: Send + Sync + 'static {
    /// Peers now reach this node at `this_url`.
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        let _ = this_url;
    }

    /// A connection to `peer` opens; `Err` closes it and tells the peer why.
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        let _ = peer;
        Ok(())
    }

    /// A connection to `peer` ended.
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let _ = (peer, reason);
    }

    /// A message to the space, in the order it was sent. Quick: it holds up this peer's connection.
    ///
    /// `Err` closes the connection and tells the peer why.
    fn recv_space_notify(&self, peer: &PeerUrl, space: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        let _ = (peer, space, data);
        Ok(())
    }

    /// Asked after each message that was taken: what to wait for before more is read from this peer, if
    /// anything. Other peers, and what is sent to this one, go on. The default never waits.
    ///
    /// It must end by itself: two nodes that wait for each other wait for ever otherwise.
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        let _ = peer;
        None
    }

    /// Whether messages between this space and `peer` are dropped, either way. Asked for each one.
    ///
    /// The default blocks nobody, which goes for peers that nothing is known about: whoever wants
    /// it otherwise says so here. `Err` closes the connection (or fails the send).
    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        let _ = peer;
        Ok(false)
    }

    /// `peer` could not be reached, or its connection ended without a goodbye.
    async fn set_unresponsive(&self, peer: &PeerUrl, when: Wall) {
        let _ = (peer, when);
    }

    /// Whether somebody joined this space here. Without, sends fail, and no connection opens while no
    /// space has any: a preflight that introduces nobody would only make peers distrust this node.
    ///
    /// Asked for each message that is sent: an answer that is [`Known`](LocalAgents::Known) costs nothing.
    fn has_local_agents(&self) -> LocalAgents<'_> {
        true.into()
    }
}

/// Handler of one module of a space.
#[async_trait]
pub trait TxModuleHandler: Send + Sync + 'static {
    /// Peers now reach this node at `this_url`.
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        let _ = this_url;
    }

    /// A connection to `peer` opens; `Err` closes it and tells the peer why.
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        let _ = peer;
        Ok(())
    }

    /// A connection to `peer` ended.
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let _ = (peer, reason);
    }

    /// A message to the module, in the order it was sent. Quick: it holds up this peer's connection.
    ///
    /// `Err` closes the connection and tells the peer why.
    fn recv_module_msg(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: &ModuleId,
        data: Bytes,
    ) -> Result<(), Refusal> {
        let _ = (peer, space, module, data);
        Ok(())
    }

    /// As [`TxSpaceHandler::pause`], for the module's messages.
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        let _ = peer;
        None
    }
}
