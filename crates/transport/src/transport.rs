//! The handle that applications hold: registration, sending, and what was counted.
//!
//! The rule: the caller learns what became of a send. It was handed off, it was blocked, or there is
//! an error that says why nothing was sent.

use crate::{
    ApiTransportStats, BlockList, ConfigError, ConfigSections, ConnectError, LocalAgents, ModuleRegistration,
    Refusal, RegisterError, SendError, Side, SpaceRegistration, TransportStats, TransportTotals, TxImp,
    TxImpHnd, TxModuleHandler, TxSpaceHandler, gate::Way, guarded, hnd::GateError, registry::Handlers,
};
use bytes::Bytes;
use quorate_wire::{EncodedFrame, ModuleId, PeerUrl, SpaceId};
use std::sync::{Arc, Weak};

/// A transport: a [`TxImp`] under the core. A cheap clone.
///
/// Handlers that hold a `Transport` keep it alive until they are unregistered or it is
/// [`close`](Self::close)d; one that is to go with it holds a [`WeakTransport`].
#[derive(Clone)]
pub struct Transport {
    hnd: Arc<TxImpHnd>,
    imp: Arc<dyn TxImp>,
}

/// A [`Transport`] that does not keep it alive: for handlers, which the transport holds in turn.
#[derive(Clone)]
pub struct WeakTransport {
    hnd: Weak<TxImpHnd>,
    imp: Weak<dyn TxImp>,
}

impl WeakTransport {
    /// The transport, while somebody holds it.
    pub fn upgrade(&self) -> Option<Transport> {
        Some(Transport { hnd: self.hnd.upgrade()?, imp: self.imp.upgrade()? })
    }
}

impl std::fmt::Debug for WeakTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeakTransport").finish_non_exhaustive()
    }
}

/// What became of a send that was no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a blocked message was not sent"]
pub enum SendOutcome {
    /// The message has its place in the order of the peer's connection. It may still be lost with it.
    HandedOff,
    /// The space has blocked the peer: nothing was sent, and that was counted.
    Blocked,
}

impl Transport {
    /// `imp` must have been built on `hnd`.
    pub fn new(hnd: Arc<TxImpHnd>, imp: Arc<dyn TxImp>) -> Self {
        Self { hnd, imp }
    }

    /// A reference that does not keep the transport alive.
    pub fn downgrade(&self) -> WeakTransport {
        WeakTransport { hnd: Arc::downgrade(&self.hnd), imp: Arc::downgrade(&self.imp) }
    }

    /// Makes `handler` responsible for `space` until the registration is dropped, and returns where the
    /// space is reached now: at its own address if it has one, else at the transport's. Where there is a handler already, nothing changes.
    pub fn register_space_handler(
        &self,
        space: SpaceId,
        handler: Arc<dyn TxSpaceHandler>,
    ) -> Result<(SpaceRegistration, Option<PeerUrl>), RegisterError> {
        let (registration, own) = self.hnd.registry.add_space(space, handler)?;
        // Asked after the handler is in: a new address reaches it here or by its callback.
        Ok((registration, own.or_else(|| self.imp.url())))
    }

    /// Makes `handler` responsible for `module` of `space` until the registration is dropped. Where
    /// there is one already, nothing changes.
    ///
    /// The module may come before its space, but gets no message until the space has its handler.
    pub fn register_module_handler(
        &self,
        space: SpaceId,
        module: ModuleId,
        handler: Arc<dyn TxModuleHandler>,
    ) -> Result<ModuleRegistration, RegisterError> {
        self.hnd.registry.add_module(space, module, handler)
    }

    /// Removes the space's handler and those of all its modules, and its own address. Connections stay open.
    pub fn unregister_space(&self, space: &SpaceId) {
        self.hnd.registry.remove_space(space);
    }

    /// Has the transport do for one space what the sections say: a relay of its own, for example. What can be
    /// done is the transport's business; the default does nothing.
    pub async fn configure_for_space(
        &self,
        space: &SpaceId,
        config: &ConfigSections,
    ) -> Result<(), ConfigError> {
        if self.hnd.is_closed() {
            return Err(ConfigError::Closed);
        }
        self.imp.configure_for_space(space, config).await
    }

    /// Takes back what [`configure_for_space`](Self::configure_for_space) did.
    pub async fn unconfigure_for_space(&self, space: &SpaceId) {
        self.imp.unconfigure_for_space(space).await;
        self.hnd.forget_listening_address_for(space);
    }

    /// Sends a message to a space of a peer; waits while the peer's queue is full.
    pub fn send_space_notify<'a>(
        &'a self,
        peer: &'a PeerUrl,
        space: &'a SpaceId,
        data: Bytes,
    ) -> impl Future<Output = Result<SendOutcome, SendError>> + Send + 'a {
        self.send(peer, space, None, data)
    }

    /// Sends a message to a module of a space of a peer; waits while the peer's queue is full.
    pub fn send_module<'a>(
        &'a self,
        peer: &'a PeerUrl,
        space: &'a SpaceId,
        module: &'a ModuleId,
        data: Bytes,
    ) -> impl Future<Output = Result<SendOutcome, SendError>> + Send + 'a {
        self.send(peer, space, Some(module), data)
    }

    /// As [`send_space_notify`](Self::send_space_notify), but never waits: [`SendError::Full`] instead.
    pub fn try_send_space_notify(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        data: Bytes,
    ) -> Result<SendOutcome, SendError> {
        self.try_send(peer, space, None, data)
    }

    /// As [`send_module`](Self::send_module), but never waits: [`SendError::Full`] instead.
    ///
    /// Where there is no connection it begins to open one and returns `Full`. A space whose
    /// [`has_local_agents`](TxSpaceHandler::has_local_agents) has to wait makes it `Full`, too.
    pub fn try_send_module(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: &ModuleId,
        data: Bytes,
    ) -> Result<SendOutcome, SendError> {
        self.try_send(peer, space, Some(module), data)
    }

    /// Opens a connection to `peer` where there is none: refusals show here and not only at a send.
    pub async fn connect(&self, peer: &PeerUrl) -> Result<(), SendError> {
        self.refuse_when_closed()?;
        if !self.hnd.may_connect(peer, true) {
            return Err(ConnectError::Refused { by: Side::Local, reason: "blocked".into() }.into());
        }
        self.imp.connect(peer).await
    }

    /// Closes the connection to `peer`, telling it the reason, and returns when it is gone.
    ///
    /// What was handed off before is still written if that takes no longer than
    /// [`close_time`](crate::TransportConfig::close_time).
    pub async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.imp.disconnect(peer, reason).await;
    }

    /// Ends all connections politely and lets go of all handlers. Sends and registrations fail from now on.
    ///
    /// Returns when it is done, also where another call does it at the same time; after one that was dropped
    /// half-way, another finishes it.
    pub async fn close(&self) {
        self.hnd.set_closed();
        self.imp.close().await;
        for peer in self.connected_peers() {
            self.imp.disconnect(&peer, Some("closing")).await;
        }
        self.hnd.release();
    }

    /// Where peers reach this node now, if anywhere.
    pub fn url(&self) -> Option<PeerUrl> {
        self.imp.url()
    }

    /// The peers whose connections are past the preflights, in the order of their URLs.
    pub fn connected_peers(&self) -> Vec<PeerUrl> {
        self.hnd.counters.connected_peers()
    }

    /// Connections, block counts and totals.
    pub fn stats(&self) -> ApiTransportStats {
        let blocked = self.hnd.blocked.snapshot();
        ApiTransportStats {
            transport_stats: TransportStats {
                backend: self.imp.backend().to_owned(),
                peer_urls: self.addresses(),
                connections: self.hnd.counters.connections(),
            },
            blocked_message_counts: blocked.by_peer,
            blocked_message_counts_other: blocked.other,
            totals: self.totals(),
        }
    }

    /// Sums over all connections, those that have ended included.
    pub fn totals(&self) -> TransportTotals {
        self.hnd.counters.totals()
    }

    /// The operator's rules about who may talk, if this transport was made with some.
    pub fn block_list(&self) -> Option<&Arc<BlockList>> {
        self.hnd.block_list()
    }

    /// Forgets which messages were blocked.
    pub fn reset_block_counts(&self) {
        self.hnd.blocked.reset();
    }

    /// The transport's address, then those of spaces alone, each once.
    fn addresses(&self) -> Vec<PeerUrl> {
        let mut addresses: Vec<_> = self.imp.url().into_iter().collect();
        for address in self.hnd.registry.snapshot().addresses() {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// All of it happens at once, but where the space has to think or the peer's queue is full.
    async fn send(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: Option<&ModuleId>,
        data: Bytes,
    ) -> Result<SendOutcome, SendError> {
        let mut frame = None;
        {
            let handlers = self.hnd.registry.snapshot();
            let (handler, agents) = self.ask(&handlers, space)?;
            let answer = match agents {
                LocalAgents::Known(answer) => answer,
                LocalAgents::Later(answer) => self.hnd.asked(answer).await.map_err(GateError::from)?,
            };
            self.pass(handler, answer, peer, (space, module), data, &mut frame)?;
        }
        if frame.is_none() {
            return Ok(SendOutcome::Blocked);
        }
        self.imp.send_now(peer, &mut frame)?;
        if let Some(frame) = frame {
            self.imp.send(peer, frame).await?;
        }
        Ok(SendOutcome::HandedOff)
    }

    fn try_send(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: Option<&ModuleId>,
        data: Bytes,
    ) -> Result<SendOutcome, SendError> {
        let mut frame = None;
        {
            let handlers = self.hnd.registry.snapshot();
            let (handler, agents) = self.ask(&handlers, space)?;
            let answer = match agents {
                LocalAgents::Known(answer) => answer,
                LocalAgents::Later(answer) => {
                    let answer = guarded::at_once(self.hnd.asked(answer)).ok_or(SendError::Full)?;
                    answer.map_err(GateError::from)?
                }
            };
            self.pass(handler, answer, peer, (space, module), data, &mut frame)?;
        }
        match frame {
            Some(frame) => self.imp.try_send(peer, frame).map(|()| SendOutcome::HandedOff),
            None => Ok(SendOutcome::Blocked),
        }
    }

    /// The space's handler, and what it says of its agents.
    fn ask<'a>(
        &self,
        handlers: &'a Handlers,
        space: &SpaceId,
    ) -> Result<(&'a dyn TxSpaceHandler, LocalAgents<'a>), SendError> {
        self.refuse_when_closed()?;
        let unknown = || SendError::UnknownSpace { space: space.clone() };
        let (handler, _) = handlers.space(space).ok_or_else(unknown)?;
        Ok((handler, self.hnd.call(|| handler.has_local_agents()).map_err(GateError::from)?))
    }

    /// Past the agents, the gate and the limit: makes the frame to send, or none for a blocked peer.
    fn pass(
        &self,
        handler: &dyn TxSpaceHandler,
        has_agents: Result<bool, Refusal>,
        peer: &PeerUrl,
        (space, module): (&SpaceId, Option<&ModuleId>),
        data: Bytes,
        frame: &mut Option<EncodedFrame>,
    ) -> Result<(), SendError> {
        if !has_agents.map_err(GateError::Refused)? {
            return Err(SendError::NoLocalAgents);
        }
        if !self.hnd.permits(handler, peer, true, (space, module), Way::Out)? {
            return Ok(());
        }
        let encoded = frame.insert(match module {
            Some(module) => EncodedFrame::module(space, module, data),
            None => EncodedFrame::notify(space, data),
        });
        let (len, max) = (encoded.len(), self.hnd.config().max_frame_bytes.get());
        if len > max { Err(SendError::TooLarge { len, max }) } else { Ok(()) }
    }

    fn refuse_when_closed(&self) -> Result<(), SendError> {
        if self.hnd.is_closed() { Err(SendError::Closed) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Transport");
        out.field("backend", &self.imp.backend()).field("url", &self.imp.url()).finish_non_exhaustive()
    }
}

impl From<GateError> for SendError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Refused(refusal) => Self::Handler(refusal),
            GateError::Panicked => Self::HandlerPanicked,
        }
    }
}
