//! The core: where a transport brings its connections to, and where the handlers are called from.
//!
//! The rule: connections are values that only [`TxImpHnd::open`] makes, and it tells every handler
//! before it returns one. Who was told of a beginning is told of the end, exactly once.

use crate::{
    AuthenticatedPeer, AwaitingPreflight, ConfigError, Direction, OpenError, PeerViolation, Refusal,
    TransportConfig, TxHandler, TxModuleHandler, TxSpaceHandler,
    connection::Announced,
    counters::{Counters, count},
    gate::{BlockCounts, Way},
    guarded::{self, Panicked},
    registry::Registry,
};
use quorate_base::Wall;
use quorate_wire::{Frame, PeerUrl, SpaceId};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a [`TxImp`](crate::TxImp) reports to: it opens connections here, and frames go in through them.
///
/// Make one with the application's [`TxHandler`], build the `TxImp` with it, and give both to
/// [`Transport::new`](crate::Transport::new).
pub struct TxImpHnd {
    handler: Arc<dyn TxHandler>,
    config: TransportConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) blocked: BlockCounts,
    pub(crate) counters: Counters,
    closed: AtomicBool,
}

impl TxImpHnd {
    /// A core without connections, spaces or modules.
    pub fn new(handler: Arc<dyn TxHandler>, config: TransportConfig) -> Result<Arc<Self>, ConfigError> {
        config.validate()?;
        Ok(Arc::new(Self {
            handler,
            registry: Arc::default(),
            blocked: BlockCounts::new(config.block_count_entries),
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            config,
        }))
    }

    /// The limits.
    pub const fn config(&self) -> &TransportConfig {
        &self.config
    }

    /// Peers now reach this node at `this_url`: tells the transport's handler, the spaces, the modules.
    ///
    /// [`TxImp::url`](crate::TxImp::url) must return the new URL before this is called, so that a space
    /// that registers meanwhile learns of it one way or the other.
    pub async fn new_listening_address(&self, this_url: &PeerUrl) {
        let handlers = self.registry.full_snapshot();
        self.watch(self.handler.new_listening_address(this_url)).await;
        for space in handlers.spaces() {
            self.watch(space.new_listening_address(this_url)).await;
        }
        for module in handlers.modules() {
            self.watch(module.new_listening_address(this_url)).await;
        }
    }

    /// Opens a connection: asks the modules, the spaces and the handler, looks for local agents and
    /// gathers our preflight.
    ///
    /// A handler that refuses undoes what the others were told. Dropping the future does too. `now` is
    /// what [`opened_at_s`](crate::TransportConnectionStats::opened_at_s) will say.
    pub async fn open(
        self: &Arc<Self>,
        peer: AuthenticatedPeer,
        direction: Direction,
        now: Wall,
    ) -> Result<AwaitingPreflight, OpenError> {
        let outcome = self.open_inner(peer, direction, now).await;
        if let Err(error) = &outcome {
            tracing::debug!(%error, "no connection was opened");
            if !matches!(error, OpenError::Closed | OpenError::HandlerPanicked) {
                count(&self.counters.refused_here);
            }
        }
        outcome
    }

    async fn open_inner(
        self: &Arc<Self>,
        peer: AuthenticatedPeer,
        direction: Direction,
        now: Wall,
    ) -> Result<AwaitingPreflight, OpenError> {
        if self.is_closed() {
            return Err(OpenError::Closed);
        }
        if peer.key().is_none() && !self.config.allow_unauthenticated {
            return Err(OpenError::Unauthenticated);
        }
        let max = self.config.max_connections.get();
        let record = self.counters.reserve(peer, now, max).ok_or(OpenError::TooManyConnections { max })?;
        let mut announced = Announced::reserved(Arc::clone(self), record, direction);
        announced.announce()?;
        let data = self.gather(announced.peer().url()).await.inspect_err(|error| {
            announced.set_reason(error.close().reason);
        })?;
        Ok(AwaitingPreflight::new(announced, Frame::Preflight { data }.encode()))
    }

    /// Our preflight's payload.
    async fn gather(&self, peer: &PeerUrl) -> Result<bytes::Bytes, OpenError> {
        let handlers = self.registry.full_snapshot();
        let mut spaces = handlers.spaces().peekable();
        let mut somebody = spaces.peek().is_none();
        for space in spaces {
            if self.asked(space.has_local_agents()).await?.map_err(OpenError::Refused)? {
                somebody = true;
                break;
            }
        }
        if !somebody {
            return Err(OpenError::NoLocalAgents);
        }
        let data = self.asked(self.handler.preflight_gather_outgoing(peer)).await?;
        let data = data.map_err(OpenError::Refused)?;
        let max = self.config.max_preflight_bytes.get();
        if data.len() > max {
            return Err(OpenError::PreflightTooLarge { len: data.len(), max });
        }
        Ok(data)
    }

    /// `peer` could not be reached, or its connection ended without a goodbye: tells the spaces.
    pub async fn set_unresponsive(&self, peer: &PeerUrl, when: Wall) {
        for space in self.registry.full_snapshot().spaces() {
            self.watch(space.set_unresponsive(peer, when)).await;
        }
    }

    /// Counts a violation that happened below the frames: a spoofed URL, a broken stream.
    ///
    /// What a connection value notices it counts itself.
    pub fn count_violation(&self, violation: &PeerViolation) {
        tracing::debug!(%violation, "a peer broke the protocol");
        self.counters.violation(violation);
    }

    /// Whether [`Transport::close`](crate::Transport::close) was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Opens no further connection from now on.
    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The application's own handler.
    pub(crate) fn handler(&self) -> &dyn TxHandler {
        self.handler.as_ref()
    }

    /// Tells modules, then spaces, then the handler; at the first that refuses takes it all back.
    pub(crate) fn tell_connect(&self, peer: &PeerUrl) -> Result<(), OpenError> {
        let handlers = self.registry.full_snapshot();
        let modules = handlers.modules().map(Told::Module);
        let spaces = handlers.spaces().map(Told::Space);
        let mut told = Vec::new();
        for next in modules.chain(spaces).chain([Told::Handler(self.handler.as_ref())]) {
            let answer = self.call(|| next.connect(peer));
            let error = match answer {
                Ok(Ok(())) => {
                    told.push(next);
                    continue;
                }
                Ok(Err(refusal)) => OpenError::Refused(refusal),
                Err(Panicked) => OpenError::HandlerPanicked,
            };
            let reason = error.close().reason;
            for earlier in told.into_iter().rev() {
                let _ = self.call(|| earlier.disconnect(peer, Some(&reason)));
            }
            return Err(error);
        }
        Ok(())
    }

    /// Tells modules, then spaces, then the handler.
    pub(crate) fn tell_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let handlers = self.registry.full_snapshot();
        let modules = handlers.modules().map(Told::Module);
        let spaces = handlers.spaces().map(Told::Space);
        for next in modules.chain(spaces).chain([Told::Handler(self.handler.as_ref())]) {
            let _ = self.call(|| next.disconnect(peer, reason));
        }
    }

    /// Whether a message may pass between `peer` and `space`; one that may not is counted.
    pub(crate) fn permits(
        &self,
        handler: &dyn TxSpaceHandler,
        peer: &PeerUrl,
        space: &SpaceId,
        way: Way,
    ) -> Result<bool, GateError> {
        let blocked = self.call(|| handler.is_any_agent_at_url_blocked(peer))?.map_err(GateError::Refused)?;
        if blocked {
            tracing::debug!(%peer, %space, ?way, "a message to or from a blocked peer was dropped");
            self.blocked.add(peer, space, way);
        }
        Ok(!blocked)
    }

    /// Calls user code; a panic is counted.
    pub(crate) fn call<T>(&self, code: impl FnOnce() -> T) -> Result<T, Panicked> {
        guarded::call(code).inspect_err(|_| self.count_panic())
    }

    /// Drives a future of user code whose outcome matters.
    pub(crate) async fn asked<F: Future>(&self, future: F) -> Result<F::Output, Panicked> {
        guarded::drive(future).await.inspect_err(|_| self.count_panic())
    }

    /// Drives a future of user code that only wants to know.
    async fn watch(&self, future: impl Future<Output = ()>) {
        let _ = self.asked(future).await;
    }

    fn count_panic(&self) {
        tracing::debug!("a handler panicked");
        count(&self.counters.handler_panics);
    }
}

impl std::fmt::Debug for TxImpHnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxImpHnd").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why the gate has no answer.
pub(crate) enum GateError {
    Refused(Refusal),
    Panicked,
}

impl From<Panicked> for GateError {
    fn from(_: Panicked) -> Self {
        Self::Panicked
    }
}

/// Somebody who is told of connections.
enum Told<'a> {
    Module(&'a Arc<dyn TxModuleHandler>),
    Space(&'a Arc<dyn TxSpaceHandler>),
    Handler(&'a dyn TxHandler),
}

impl Told<'_> {
    fn connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        match self {
            Self::Module(module) => module.peer_connect(peer),
            Self::Space(space) => space.peer_connect(peer),
            Self::Handler(handler) => handler.peer_connect(peer),
        }
    }

    fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        match self {
            Self::Module(module) => module.peer_disconnect(peer, reason),
            Self::Space(space) => space.peer_disconnect(peer, reason),
            Self::Handler(handler) => handler.peer_disconnect(peer, reason),
        }
    }
}
