//! Handlers that write down what they hear, and transports to hear it from.

use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_transport::{
    AuthenticatedPeer, BlockList, ConfigError, Direction, LocalAgents, MemHub, MemTransport, Ready, Refusal,
    SendError, SpaceRegistration, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler,
    TxSpaceHandler,
};
use quorate_wire::{EncodedFrame, Frame, ModuleId, PeerUrl, SpaceId};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::sync::watch;

pub(crate) const SPACE: SpaceId = SpaceId::from_static(b"space");
pub(crate) const MODULE: ModuleId = ModuleId::from_static("module");

pub(crate) fn url(text: &str) -> PeerUrl {
    text.parse().unwrap()
}

/// `mem://host:1/NAME`.
pub(crate) fn mem(name: &str) -> PeerUrl {
    url(&format!("mem://host:1/{name}"))
}

pub(crate) fn peer(name: &str) -> AuthenticatedPeer {
    AuthenticatedPeer::new(name.into(), mem(name)).unwrap()
}

pub(crate) fn notify(data: &'static [u8]) -> Bytes {
    Frame::Notify { space: SPACE, data: Bytes::from_static(data) }.encode().to_bytes()
}

pub(crate) fn module(data: &'static [u8]) -> Bytes {
    Frame::Module { space: SPACE, module: MODULE, data: Bytes::from_static(data) }.encode().to_bytes()
}

pub(crate) fn preflight(data: &'static [u8]) -> Bytes {
    Frame::Preflight { data: Bytes::from_static(data) }.encode().to_bytes()
}

/// Lets every other task of this thread run until all of them wait.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Lines in the order in which they were written.
#[derive(Clone)]
pub(crate) struct Log(watch::Sender<Vec<String>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.send_modify(|lines| lines.push(line.into()));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        let mut taken = Vec::new();
        self.0.send_modify(|lines| taken = std::mem::take(lines));
        taken
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.borrow().iter().filter(|written| *written == line).count()
    }

    /// Waits until the line is there.
    pub(crate) async fn wait_for(&self, line: &str) {
        self.wait_until(|lines| lines.iter().any(|written| written == line)).await;
    }

    pub(crate) async fn wait_until(&self, reached: impl Fn(&[String]) -> bool) {
        self.0.subscribe().wait_for(|lines| reached(lines)).await.unwrap();
    }
}

/// A handler of any kind that logs as `NAME: …` and does what its fields say.
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    pub(crate) log: Log,
    pub(crate) veto: Mutex<Option<&'static str>>,
    pub(crate) reject: Mutex<Option<&'static str>>,
    pub(crate) preflight: Bytes,
    pub(crate) blocks: AtomicBool,
    pub(crate) has_agents: AtomicBool,
    /// What `recv_*` fails with.
    pub(crate) hangs_up: Mutex<Option<&'static str>>,
}

impl Probe {
    pub(crate) fn new(name: &'static str, log: &Log) -> Arc<Self> {
        Arc::new(Self::value(name, log))
    }

    pub(crate) fn value(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
            veto: Mutex::default(),
            reject: Mutex::default(),
            preflight: Bytes::new(),
            blocks: AtomicBool::new(false),
            has_agents: AtomicBool::new(true),
            hangs_up: Mutex::default(),
        }
    }

    fn write(&self, what: impl std::fmt::Display) {
        self.log.write(format!("{}: {what}", self.name));
    }

    fn connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.write(format_args!("connect {}", peer.peer_id().unwrap_or("?")));
        no(&self.veto)
    }

    fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let peer = peer.peer_id().unwrap_or("?");
        self.write(format_args!(
            "disconnect {peer}{}",
            reason.map(|text| format!(" ({text})")).unwrap_or_default()
        ));
    }

    fn receive(&self, what: &str, data: &Bytes) -> Result<(), Refusal> {
        self.write(format_args!("{what} {}", String::from_utf8_lossy(data)));
        no(&self.hangs_up)
    }
}

fn no(words: &Mutex<Option<&'static str>>) -> Result<(), Refusal> {
    match *words.lock().unwrap() {
        Some(words) => Err(Refusal::new(words)),
        None => Ok(()),
    }
}

#[async_trait]
impl TxHandler for Probe {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.write(format_args!("address {this_url}"));
    }
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.connect(peer)
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer, reason);
    }
    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        Ok(self.preflight.clone())
    }
    async fn preflight_validate_incoming(&self, _: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        self.write(format_args!("preflight {}", String::from_utf8_lossy(&data)));
        no(&self.reject)
    }
}

#[async_trait]
impl TxSpaceHandler for Probe {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.write(format_args!("address {this_url}"));
    }
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.connect(peer)
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer, reason);
    }
    fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.receive("notify", &data)
    }
    fn is_any_agent_at_url_blocked(&self, _: &PeerUrl) -> Result<bool, Refusal> {
        Ok(self.blocks.load(SeqCst))
    }
    async fn set_unresponsive(&self, peer: &PeerUrl, _: Wall) {
        self.write(format_args!("unresponsive {}", peer.peer_id().unwrap_or("?")));
    }
    fn has_local_agents(&self) -> LocalAgents<'_> {
        self.has_agents.load(SeqCst).into()
    }
}

#[async_trait]
impl TxModuleHandler for Probe {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.write(format_args!("address {this_url}"));
    }
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.connect(peer)
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer, reason);
    }
    fn recv_module_msg(&self, _: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        self.receive("module", &data)
    }
}

/// A transport that keeps what it is given.
#[derive(Default)]
pub(crate) struct Drawer(pub(crate) Mutex<Vec<EncodedFrame>>);

#[async_trait]
impl TxImp for Drawer {
    fn url(&self) -> Option<PeerUrl> {
        Some(mem("drawer"))
    }
    async fn send(&self, _: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.0.lock().unwrap().push(frame);
        Ok(())
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

/// A core without a network.
pub(crate) struct Bench {
    pub(crate) log: Log,
    pub(crate) top: Arc<Probe>,
    pub(crate) hnd: Arc<TxImpHnd>,
    pub(crate) drawer: Arc<Drawer>,
    pub(crate) transport: Transport,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(TransportConfig::default())
    }

    pub(crate) fn with(config: TransportConfig) -> Self {
        Self::built(|top| TxImpHnd::new(top, config))
    }

    pub(crate) fn with_list(config: TransportConfig, list: &Arc<BlockList>) -> Self {
        Self::built(|top| TxImpHnd::with_block_list(top, config, Arc::clone(list)))
    }

    fn built(core: impl FnOnce(Arc<dyn TxHandler>) -> Result<Arc<TxImpHnd>, ConfigError>) -> Self {
        let log = Log::new();
        let top = Probe::new("top", &log);
        let hnd = core(top.clone()).unwrap();
        let drawer = Arc::new(Drawer::default());
        let transport = Transport::new(hnd.clone(), drawer.clone());
        Self { log, top, hnd, drawer, transport }
    }

    /// A connection past the preflights.
    pub(crate) async fn ready(&self, name: &str) -> Ready {
        let awaiting = self.hnd.open(peer(name), Direction::Incoming, Wall::default()).await.unwrap();
        awaiting.handle_preflight(preflight(b"")).await.unwrap()
    }

    /// A handler for [`SPACE`].
    pub(crate) fn space(&self) -> (Arc<Probe>, SpaceRegistration) {
        let probe = Probe::new("space", &self.log);
        let (registration, _) = self.transport.register_space_handler(SPACE, probe.clone()).unwrap();
        (probe, registration)
    }
}

/// A node on a hub, with handlers for [`SPACE`] and [`MODULE`].
pub(crate) struct Node {
    pub(crate) url: PeerUrl,
    pub(crate) log: Log,
    pub(crate) top: Arc<Probe>,
    pub(crate) space: Arc<Probe>,
    pub(crate) transport: Transport,
}

impl Node {
    pub(crate) fn new(hub: &MemHub, name: &'static str) -> Self {
        Self::with(hub, name, TransportConfig::default())
    }

    pub(crate) fn with(hub: &MemHub, name: &'static str, config: TransportConfig) -> Self {
        Self::on(name, config, |hnd| Arc::new(MemTransport::bind(hub, mem(name), hnd).unwrap()))
    }

    pub(crate) fn on(
        name: &'static str,
        config: TransportConfig,
        imp: impl FnOnce(Arc<TxImpHnd>) -> Arc<dyn TxImp>,
    ) -> Self {
        Self::built(name, |top| TxImpHnd::new(top, config).unwrap(), imp)
    }

    pub(crate) fn built(
        name: &'static str,
        core: impl FnOnce(Arc<dyn TxHandler>) -> Arc<TxImpHnd>,
        imp: impl FnOnce(Arc<TxImpHnd>) -> Arc<dyn TxImp>,
    ) -> Self {
        let log = Log::new();
        let top = Arc::new(Probe { preflight: name.into(), ..Probe::value("top", &log) });
        let hnd = core(top.clone());
        let transport = Transport::new(hnd.clone(), imp(hnd));
        let space = Probe::new("space", &log);
        let (registration, _) = transport.register_space_handler(SPACE, space.clone()).unwrap();
        registration.keep();
        transport.register_module_handler(SPACE, MODULE, Probe::new("module", &log)).unwrap().keep();
        Self { url: mem(name), log, top, space, transport }
    }

    pub(crate) async fn notify(&self, to: &Node, data: &'static [u8]) -> Result<(), SendError> {
        self.transport.send_space_notify(&to.url, &SPACE, Bytes::from_static(data)).await.map(|_| ())
    }
}
