//! A node of the suite: a transport whose handlers write down what they hear.

use super::MakeImp;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    Pause, Refusal, SendOutcome, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler,
    TxSpaceHandler,
};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU32, AtomicUsize, Ordering},
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
        let build = async |hnd| Some(make.make(hnd).await);
        Self::build(build, config).await.expect("every transport can be made")
    }

    /// A node at the address of one that is gone. `None` where `make` cannot.
    pub async fn again(make: &impl MakeImp, url: &PeerUrl, config: TransportConfig) -> Option<Self> {
        Self::build(async |hnd| make.make_again(url, hnd).await, config).await
    }

    async fn build(
        imp: impl AsyncFnOnce(Arc<TxImpHnd>) -> Option<Arc<dyn TxImp>>,
        config: TransportConfig,
    ) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (heard, events) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear {
            preflight: format!("node {}", NEXT.fetch_add(1, Ordering::Relaxed)).into(),
            heard,
            veto: Mutex::default(),
            reject: Mutex::default(),
            enough: Mutex::default(),
            messages: AtomicUsize::new(0),
            deaf_to: watch::Sender::new(None),
            torn_over: watch::Sender::new(None),
            unresponsive: watch::Sender::new(false),
        });
        let handler: Arc<dyn TxHandler> = ear.clone();
        let config = TransportConfig { allow_unauthenticated: true, ..config };
        let hnd = TxImpHnd::new(handler, config).expect("the suite's configs are valid");
        let transport = Transport::new(Arc::clone(&hnd), imp(hnd).await?);
        let space = transport.register_space_handler(SPACE, ear.clone());
        space.expect("the space is new").0.keep();
        let module = transport.register_module_handler(SPACE, MODULE, ear.clone());
        module.expect("the module is new").keep();
        Some(Self { transport, ear, events, url: OnceLock::new() })
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

    /// Of all messages that this node hears in its life, so many are taken and the next is refused.
    pub fn refuse_messages_after(&self, count: usize, reason: &'static str) {
        *lock(&self.ear.enough) = Some((count, reason));
    }

    /// From now on everybody is welcome.
    pub fn refuse_nothing(&self) {
        self.ear.set(None, None);
        *lock(&self.ear.enough) = None;
    }

    /// From its next message on, nothing more is read from `peer`.
    pub fn stop_reading_from(&self, peer: &PeerUrl) {
        self.ear.deaf_to.send_replace(Some(peer.clone()));
    }

    /// From now on everybody is listened to.
    pub fn read_again(&self) {
        self.ear.deaf_to.send_replace(None);
    }

    /// From now on a preflight of `peer` gets no answer.
    pub fn ponder_over(&self, peer: &PeerUrl) {
        self.ear.torn_over.send_replace(Some(peer.clone()));
    }

    /// Whoever waits for an answer to its preflight gets it now.
    pub fn decide(&self) {
        self.ear.torn_over.send_replace(None);
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
    /// After how many messages the next is refused, and in which words.
    enough: Mutex<Option<(usize, &'static str)>>,
    messages: AtomicUsize,
    /// From whom nothing is read.
    deaf_to: watch::Sender<Option<PeerUrl>>,
    /// Whose preflight is neither accepted nor refused.
    torn_over: watch::Sender<Option<PeerUrl>>,
    unresponsive: watch::Sender<bool>,
}

impl Ear {
    fn set(&self, veto: Option<&'static str>, reject: Option<&'static str>) {
        *lock(&self.veto) = veto;
        *lock(&self.reject) = reject;
    }

    /// A message: whether it is one too many, and else what is heard.
    fn message(&self, event: Event) -> Result<(), Refusal> {
        let before = self.messages.fetch_add(1, Ordering::Relaxed);
        match *lock(&self.enough) {
            Some((count, reason)) if before >= count => Err(Refusal::new(reason)),
            _ => {
                self.hear(event);
                Ok(())
            }
        }
    }

    /// For as long as `peer` is not listened to.
    fn deafness(&self, peer: &PeerUrl) -> Option<Pause> {
        if self.deaf_to.borrow().as_ref() != Some(peer) {
            return None;
        }
        let mut deaf_to = self.deaf_to.subscribe();
        Some(Box::pin(async move {
            // The node that made this deaf may be gone: then it is over, too.
            let _ = deaf_to.wait_for(Option::is_none).await;
        }))
    }

    fn hear(&self, event: Event) {
        // A node that was dropped listens to nobody.
        let _ = self.heard.send(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(reason: &Mutex<Option<&'static str>>) -> Result<(), Refusal> {
    match *lock(reason) {
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
        // The sender lives as long as `self`.
        let _ = self.torn_over.subscribe().wait_for(|torn_over| torn_over.as_ref() != Some(peer)).await;
        answer(&self.reject)
    }
}

#[async_trait]
impl TxSpaceHandler for Ear {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.message(Event::Notify { peer: peer.clone(), data })
    }
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        self.deafness(peer)
    }
    async fn set_unresponsive(&self, _: &PeerUrl, _: quorate_base::Wall) {
        self.unresponsive.send_replace(true);
    }
}

impl TxModuleHandler for Ear {
    fn recv_module_msg(&self, peer: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        self.message(Event::Module { peer: peer.clone(), data })
    }
    fn pause(&self, peer: &PeerUrl) -> Option<Pause> {
        self.deafness(peer)
    }
}
