//! What an inbox is registered as: handlers that put messages into it, and pass on everything else.

use super::{InboxMessage, Shared};
use crate::{LocalAgents, Pause, Refusal, TxModuleHandler, TxSpaceHandler};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::{Arc, OnceLock, atomic::Ordering};

/// Makes handlers for one [`Inbox`](super::Inbox): as many as you like, for spaces and modules. A cheap clone.
#[derive(Debug, Clone)]
pub struct InboxHandlers(Arc<Feed>);

/// Ends the inbox when the last handler is gone.
#[derive(Debug)]
struct Feed(Arc<Shared>);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.filled.notify_one();
    }
}

/// A space's handler that knows nothing but the defaults.
struct Plain;
impl TxSpaceHandler for Plain {}
impl TxModuleHandler for Plain {}

impl InboxHandlers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Feed(shared)))
    }

    /// A handler for a space that blocks nobody and wants to know nothing else.
    pub fn space(&self) -> Arc<dyn TxSpaceHandler> {
        self.space_over(Arc::new(Plain))
    }

    /// A handler for a space whose other calls go to `inner`: who may connect, who is blocked, who has joined.
    pub fn space_over(&self, inner: Arc<dyn TxSpaceHandler>) -> Arc<dyn TxSpaceHandler> {
        Arc::new(Handler { feed: Arc::clone(&self.0), inner, ids: OnceLock::new() })
    }

    /// A handler for a module that wants to know nothing else.
    pub fn module(&self) -> Arc<dyn TxModuleHandler> {
        self.module_over(Arc::new(Plain))
    }

    /// A handler for a module whose other calls go to `inner`.
    pub fn module_over(&self, inner: Arc<dyn TxModuleHandler>) -> Arc<dyn TxModuleHandler> {
        Arc::new(Handler { feed: Arc::clone(&self.0), inner, ids: OnceLock::new() })
    }
}

struct Handler<T: ?Sized> {
    feed: Arc<Feed>,
    inner: Arc<T>,
    /// The ids of the first message: those of the next are mostly the same, and need not be copied again.
    ids: OnceLock<(SpaceId, Option<ModuleId>)>,
}

impl<T: ?Sized> Handler<T> {
    fn take(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: Option<&ModuleId>,
        data: Bytes,
    ) -> Result<(), Refusal> {
        let own = || (space.detach(), module.map(ModuleId::detach));
        let known = self.ids.get_or_init(own);
        let same = known.0 == *space && known.1.as_ref() == module;
        let (space, module) = if same { known.clone() } else { own() };
        self.feed.0.take(InboxMessage { peer: peer.clone(), space, module, data })
    }
}

#[async_trait]
impl TxSpaceHandler for Handler<dyn TxSpaceHandler> {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.inner.new_listening_address(this_url).await;
    }
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.inner.peer_connect(peer)
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.inner.peer_disconnect(peer, reason);
    }
    fn recv_space_notify(&self, peer: &PeerUrl, space: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.take(peer, space, None, data)
    }
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        self.feed.0.pause(peer)
    }
    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        self.inner.is_any_agent_at_url_blocked(peer)
    }
    async fn set_unresponsive(&self, peer: &PeerUrl, when: Wall) {
        self.inner.set_unresponsive(peer, when).await;
    }
    fn has_local_agents(&self) -> LocalAgents<'_> {
        self.inner.has_local_agents()
    }
}

#[async_trait]
impl TxModuleHandler for Handler<dyn TxModuleHandler> {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.inner.new_listening_address(this_url).await;
    }
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.inner.peer_connect(peer)
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.inner.peer_disconnect(peer, reason);
    }
    fn recv_module_msg(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: &ModuleId,
        data: Bytes,
    ) -> Result<(), Refusal> {
        self.take(peer, space, Some(module), data)
    }
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        self.feed.0.pause(peer)
    }
}
