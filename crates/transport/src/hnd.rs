//! The core: where a transport brings its connections to, and where the handlers are called from.
//!
//! The rule: connections are values that only [`TxImpHnd::open`] makes, and it tells every handler
//! before it returns one. Who was told of a beginning is told of the end, exactly once.

use crate::{
    AuthenticatedPeer, AwaitingPreflight, BlockList, ConfigError, Direction, LocalAgents, OpenError,
    PeerViolation, Refusal, TransportConfig, TxHandler, TxModuleHandler, TxSpaceHandler, Verdict,
    connection::Announced,
    counters::{Counters, count},
    gate::{BlockCounts, Way},
    guarded::{self, Panicked},
    locked,
    pace::Debts,
    registry::{Registry, Space},
};
use quorate_base::Wall;
use quorate_wire::{Frame, ModuleId, PeerUrl, SpaceId};
use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a [`TxImp`](crate::TxImp) reports to: it opens connections here, and frames go in through them.
///
/// Make one with the application's [`TxHandler`], build the `TxImp` with it, and give both to
/// [`Transport::new`](crate::Transport::new).
pub struct TxImpHnd {
    /// Gone when the transport was closed.
    handler: Mutex<Option<Arc<dyn TxHandler>>>,
    config: TransportConfig,
    block_list: Option<Arc<BlockList>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) debts: Debts,
    pub(crate) blocked: BlockCounts,
    pub(crate) counters: Counters,
    closed: AtomicBool,
}

impl TxImpHnd {
    /// A core without connections, spaces or modules.
    pub fn new(handler: Arc<dyn TxHandler>, config: TransportConfig) -> Result<Arc<Self>, ConfigError> {
        Self::build(handler, config, None)
    }

    /// The same, with an operator's rules about who may talk.
    pub fn with_block_list(
        handler: Arc<dyn TxHandler>,
        config: TransportConfig,
        block_list: Arc<BlockList>,
    ) -> Result<Arc<Self>, ConfigError> {
        Self::build(handler, config, Some(block_list))
    }

    fn build(
        handler: Arc<dyn TxHandler>,
        config: TransportConfig,
        block_list: Option<Arc<BlockList>>,
    ) -> Result<Arc<Self>, ConfigError> {
        config.validate()?;
        Ok(Arc::new(Self {
            handler: Mutex::new(Some(handler)),
            block_list,
            registry: Arc::new(Registry::new(config.space_rate)),
            debts: Debts::new(config.peer_rate),
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

    /// The operator's rules, if there are any.
    pub const fn block_list(&self) -> Option<&Arc<BlockList>> {
        self.block_list.as_ref()
    }

    /// Peers now reach this node at `this_url`: tells the transport's handler, the spaces, the modules.
    ///
    /// Spaces that have an address of their own are not told, nor are their modules. [`TxImp::url`](crate::TxImp::url) must return the new URL before this is called, so that a space
    /// that registers meanwhile learns of it one way or the other.
    pub async fn new_listening_address(&self, this_url: &PeerUrl) {
        let handlers = self.registry.full_snapshot();
        if let Some(handler) = self.handler() {
            self.watch(handler.new_listening_address(this_url)).await;
        }
        for space in handlers.without_address().filter_map(Space::handler) {
            self.watch(space.new_listening_address(this_url)).await;
        }
        for module in handlers.without_address().flat_map(Space::modules) {
            self.watch(module.new_listening_address(this_url)).await;
        }
    }

    /// Peers of `space` reach this node at `this_url`, and from now on not where the others do: tells the space
    /// and its modules.
    ///
    /// A space that registers later, however close the race, learns of it by what its registration returns.
    pub async fn new_listening_address_for(&self, space: &SpaceId, this_url: &PeerUrl) {
        let told = self.registry.set_address(space, Some(this_url));
        if let Some(space) = told.handler() {
            self.watch(space.new_listening_address(this_url)).await;
        }
        for module in told.modules() {
            self.watch(module.new_listening_address(this_url)).await;
        }
    }

    /// `space` has no address of its own any more: it is told of the transport's next one.
    pub fn forget_listening_address_for(&self, space: &SpaceId) {
        self.registry.set_address(space, None);
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
                self.counters.refused(error);
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
        if !self.may_connect(peer.url(), peer.key().is_some()) {
            return Err(OpenError::Blocked);
        }
        let record = self.counters.reserve(peer, now, &self.config)?;
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
            if self.has_local_agents(space.as_ref()).await?.map_err(OpenError::Refused)? {
                somebody = true;
                break;
            }
        }
        if !somebody {
            return Err(OpenError::NoLocalAgentsDuringPreflight);
        }
        let handler = self.handler().ok_or(OpenError::Closed)?;
        let data = self.asked(handler.preflight_gather_outgoing(peer)).await?;
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

    /// The application's own handler, until the transport is closed.
    pub(crate) fn handler(&self) -> Option<Arc<dyn TxHandler>> {
        locked(&self.handler).clone()
    }

    /// Lets go of all handlers, for good.
    pub(crate) fn release(&self) {
        self.registry.close();
        let handler = locked(&self.handler).take();
        // What it holds is dropped without the lock.
        drop(handler);
    }

    /// Whether the block list lets a peer connect that has proven the key in its URL, or has not.
    pub(crate) fn may_connect(&self, peer: &PeerUrl, proven: bool) -> bool {
        let Some(list) = &self.block_list else { return true };
        // The list's clock is user code; one that panics lets nobody in.
        self.call(|| list.may_connect(peer, proven)).unwrap_or(false)
    }

    /// Tells modules, then spaces, then the handler; at the first that refuses takes it all back.
    pub(crate) fn tell_connect(&self, peer: &PeerUrl) -> Result<(), OpenError> {
        let handlers = self.registry.full_snapshot();
        let handler = self.handler().ok_or(OpenError::Closed)?;
        let modules = handlers.modules().map(Told::Module);
        let spaces = handlers.spaces().map(Told::Space);
        let mut told = Vec::new();
        for next in modules.chain(spaces).chain([Told::Handler(handler.as_ref())]) {
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
        let handler = self.handler();
        for next in modules.chain(spaces).chain(handler.as_deref().map(Told::Handler)) {
            let _ = self.call(|| next.disconnect(peer, reason));
        }
    }

    /// Whether a message may pass between `space` (and its `module`) and `peer`, which has proven the key in its URL or has
    /// not; one that may not is counted.
    pub(crate) fn permits(
        &self,
        handler: &dyn TxSpaceHandler,
        peer: &PeerUrl,
        proven: bool,
        (space, module): (&SpaceId, Option<&ModuleId>),
        way: Way,
    ) -> Result<bool, GateError> {
        let listed = match &self.block_list {
            Some(list) => self.call(|| list.verdict(peer, proven, Some(space)))? == Verdict::Block,
            None => false,
        };
        let blocked =
            listed || self.call(|| handler.is_any_agent_at_url_blocked(peer))?.map_err(GateError::Refused)?;
        if blocked {
            tracing::debug!(%peer, %space, ?module, ?way, "a message to or from a blocked peer was dropped");
            self.blocked.add(peer, space, way);
        }
        Ok(!blocked)
    }

    /// Calls user code; a panic is counted.
    pub(crate) fn call<T>(&self, code: impl FnOnce() -> T) -> Result<T, Panicked> {
        guarded::call(code).inspect_err(|_| self.count_panic())
    }

    /// Asks a space, and waits only where it has to think.
    pub(crate) async fn has_local_agents(
        &self,
        space: &dyn TxSpaceHandler,
    ) -> Result<Result<bool, Refusal>, Panicked> {
        match self.call(|| space.has_local_agents())? {
            LocalAgents::Known(answer) => Ok(answer),
            LocalAgents::Later(answer) => self.asked(answer).await,
        }
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
