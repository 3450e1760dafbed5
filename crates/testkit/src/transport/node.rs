//! A node of the suite: a transport whose handlers write down what they hear.

use super::MakeImp;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    Refusal, SendOutcome, Transport, TransportConfig, TxHandler, TxImpHnd, TxModuleHandler, TxSpaceHandler,
};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicU32, Ordering},
};
use tokio::sync::{mpsc, watch};

/// The space of every node.
pub const SPACE: SpaceId = SpaceId::from_static(b"conformance");
/// The module of every node.
pub const MODULE: ModuleId = ModuleId::from_static("echo");

/// What a handler of a node heard.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the arguments of the callbacks")]
pub enum Event {
    /// `TxHandler::peer_connect`.
    Connect { peer: PeerUrl },
    /// `TxHandler::preflight_validate_incoming`.
    Preflight { peer: PeerUrl, data: Bytes },
    /// `TxSpaceHandler::recv_space_notify`.
    Notify { peer: PeerUrl, data: Bytes },
    /// `TxModuleHandler::recv_module_msg`.
    Module { peer: PeerUrl, data: Bytes },
    /// `TxHandler::peer_disconnect`.
    Disconnect { peer: PeerUrl, reason: Option<String> },
}

/// A transport with handlers for [`SPACE`] and [`MODULE`], and the events in their order.
pub struct Node {
    /// The transport.
    pub transport: Transport,
    ear: Arc<Ear>,
    events: mpsc::UnboundedReceiver<Event>,
    url: OnceLock<PeerUrl>,
}

impl Node {
    /// A node on a transport that `make` builds. Peers that prove no key are allowed.
    pub async fn new(make: &impl MakeImp, config: TransportConfig) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (heard, events) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear {
            preflight: format!("node {}", NEXT.fetch_add(1, Ordering::Relaxed)).into(),
            heard,
            veto: Mutex::default(),
            reject: Mutex::default(),
            unresponsive: watch::Sender::new(false),
        });
        let handler: Arc<dyn TxHandler> = ear.clone();
        let config = TransportConfig { allow_unauthenticated: true, ..config };
        let hnd = TxImpHnd::new(handler, config).expect("the suite's configs are valid");
        let transport = Transport::new(Arc::clone(&hnd), make.make(hnd).await);
        let space = transport.register_space_handler(SPACE, ear.clone());
        space.expect("the space is new").0.keep();
        let module = transport.register_module_handler(SPACE, MODULE, ear.clone());
        module.expect("the module is new").keep();
        Self { transport, ear, events, url: OnceLock::new() }
    }

    /// Where the node is reached. Panics while it has no address.
    pub fn url(&self) -> PeerUrl {
        let url = || self.transport.url().expect("a transport that was made has an address");
        self.url.get_or_init(url).clone()
    }

    /// What the node introduces itself with.
    pub fn preflight(&self) -> Bytes {
        self.ear.preflight.clone()
    }

    /// Sends to the space of `to`. Panics unless it is handed off.
    pub async fn notify(&self, to: &Node, data: impl Into<Bytes>) {
        let sent = self.transport.send_space_notify(&to.url(), &SPACE, data.into()).await;
        assert_eq!(sent, Ok(SendOutcome::HandedOff));
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        self.events.recv().await.expect("the handlers live as long as the node")
    }

    /// The payload of the next message, whatever happens before it.
    pub async fn next_data(&mut self) -> Bytes {
        loop {
            if let Event::Notify { data, .. } | Event::Module { data, .. } = self.next().await {
                return data;
            }
        }
    }

    /// Waits for this event, whatever happens before it.
    pub async fn expect(&mut self, event: &Event) {
        while self.next().await != *event {}
    }

    /// Waits for the end of a connection to `peer`, whatever the reason.
    pub async fn expect_disconnect(&mut self, peer: &PeerUrl) {
        while !matches!(self.next().await, Event::Disconnect { peer: gone, .. } if gone == *peer) {}
    }

    /// From now on no peer may connect.
    pub fn refuse_peers(&self, reason: &'static str) {
        self.ear.set(Some(reason), None);
    }

    /// From now on peers may connect, but no preflight is accepted.
    pub fn refuse_preflights(&self, reason: &'static str) {
        self.ear.set(None, Some(reason));
    }

    /// From now on everybody is welcome.
    pub fn refuse_nothing(&self) {
        self.ear.set(None, None);
    }

    /// Whether a peer was ever reported as unresponsive.
    pub fn has_seen_unresponsive(&self) -> bool {
        *self.ear.unresponsive.borrow()
    }

    /// Waits until a peer is reported as unresponsive.
    pub async fn wait_unresponsive(&self) {
        // The sender lives as long as the node.
        let _ = self.ear.unresponsive.subscribe().wait_for(|seen| *seen).await;
    }
}

/// All handlers of a node in one.
struct Ear {
    preflight: Bytes,
    heard: mpsc::UnboundedSender<Event>,
    veto: Mutex<Option<&'static str>>,
    reject: Mutex<Option<&'static str>>,
    unresponsive: watch::Sender<bool>,
}

impl Ear {
    fn set(&self, veto: Option<&'static str>, reject: Option<&'static str>) {
        *self.veto.lock().unwrap_or_else(PoisonError::into_inner) = veto;
        *self.reject.lock().unwrap_or_else(PoisonError::into_inner) = reject;
    }

    fn hear(&self, event: Event) {
        // A node that was dropped listens to nobody.
        let _ = self.heard.send(event);
    }
}

fn answer(reason: &Mutex<Option<&'static str>>) -> Result<(), Refusal> {
    match *reason.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(reason) => Err(Refusal::new(reason)),
        None => Ok(()),
    }
}

#[async_trait]
impl TxHandler for Ear {
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        answer(&self.veto)?;
        self.hear(Event::Connect { peer: peer.clone() });
        Ok(())
    }
    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.hear(Event::Disconnect { peer: peer.clone(), reason: reason.map(str::to_owned) });
    }
    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        Ok(self.preflight.clone())
    }
    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        self.hear(Event::Preflight { peer: peer.clone(), data });
        answer(&self.reject)
    }
}

#[async_trait]
impl TxSpaceHandler for Ear {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.hear(Event::Notify { peer: peer.clone(), data });
        Ok(())
    }
    async fn set_unresponsive(&self, _: &PeerUrl, _: quorate_base::Wall) {
        self.unresponsive.send_replace(true);
    }
}

impl TxModuleHandler for Ear {
    fn recv_module_msg(&self, peer: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        self.hear(Event::Module { peer: peer.clone(), data });
        Ok(())
    }
}
