//! From `send_module` to the peer's handler, within one thread: `DefaultTransport` beside `Transport`.
//!
//! Either transport below hands the frame to the other node's core at once. Nobody is blocked, there is one
//! space and one module, and nobody reads the logs.

use super::measure::{Pair, compare};
use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use kitsune2_api as k2;
use quorate_base::Wall;
use quorate_transport as tx;
use quorate_wire::{EncodedFrame, Frame, ModuleId, PeerUrl, SpaceId};
use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

const SPACE: &[u8] = &[7; 32];
const MODULE: &str = "echo";
const PEER: &str = "ws://host:80/sender";

/// CPU time per message of that size.
pub fn send_to_handler(payload: usize) -> Result<Pair, Box<dyn std::error::Error + Send + Sync>> {
    let (theirs, ours) = (Theirs::new()?, Ours::new()?);
    let data = Bytes::from(vec![1; payload]);
    let pair = compare(
        |calls| (0..calls).for_each(|_| theirs.send(data.clone())),
        |calls| (0..calls).for_each(|_| ours.send(data.clone())),
    );
    for seen in [&theirs.seen, &ours.seen] {
        assert!(seen.0.load(Ordering::Relaxed) > 0, "the handler got the messages");
    }
    Ok(pair)
}

/// A handler that counts.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn count(&self, data: Bytes) {
        black_box(data);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Theirs {
    transport: k2::DynTransport,
    peer: k2::Url,
    space: k2::SpaceId,
    seen: Arc<Counter>,
}

impl Theirs {
    fn new() -> Result<Self, k2::K2Error> {
        let (peer, space) = (k2::Url::from_str(PEER)?, k2::SpaceId::from(Bytes::from_static(SPACE)));
        let seen = Arc::new(Counter::default());
        let receiver = k2::TxImpHnd::new(seen.clone());
        let wire = Arc::new(TheirWire { to: receiver.clone(), me: peer.clone() });
        let receiving = k2::DefaultTransport::create(&receiver, wire.clone());
        let sender = k2::TxImpHnd::new(seen.clone());
        let transport = k2::DefaultTransport::create(&sender, wire);
        for node in [&receiving, &transport] {
            node.register_space_handler(space.clone(), seen.clone());
            node.register_module_handler(space.clone(), MODULE.to_owned(), seen.clone());
        }
        Ok(Self { transport, peer, space, seen })
    }

    fn send(&self, data: Bytes) {
        let (peer, space) = (self.peer.clone(), self.space.clone());
        let sent = block_on(self.transport.send_module(peer, space, MODULE.to_owned(), data));
        assert!(sent.is_ok());
    }
}

#[derive(Debug)]
struct TheirWire {
    to: Arc<k2::TxImpHnd>,
    me: k2::Url,
}

impl k2::TxImp for TheirWire {
    fn url(&self) -> Option<k2::Url> {
        None
    }
    fn disconnect(&self, _: k2::Url, _: Option<(String, Bytes)>) -> k2::BoxFut<'_, ()> {
        Box::pin(async {})
    }
    fn send(&self, _: k2::Url, data: Bytes) -> k2::BoxFut<'_, k2::K2Result<()>> {
        Box::pin(self.to.recv_data(self.me.clone(), data))
    }
    fn get_connected_peers(&self) -> k2::BoxFut<'_, k2::K2Result<Vec<k2::Url>>> {
        Box::pin(async { Ok(vec![]) })
    }
    fn dump_network_stats(&self) -> k2::BoxFut<'_, k2::K2Result<k2::TransportStats>> {
        Box::pin(async { Err(k2::K2Error::other("none")) })
    }
    fn close(&self) -> k2::BoxFut<'_, ()> {
        Box::pin(async {})
    }
}

impl k2::TxBaseHandler for Counter {}
impl k2::TxHandler for Counter {}
impl k2::TxSpaceHandler for Counter {
    fn is_any_agent_at_url_blocked(&self, _: &k2::Url) -> k2::K2Result<bool> {
        Ok(false)
    }
}
impl k2::TxModuleHandler for Counter {
    fn recv_module_msg(&self, _: k2::Url, _: k2::SpaceId, _: String, data: Bytes) -> k2::K2Result<()> {
        self.count(data);
        Ok(())
    }
}

struct Ours {
    transport: tx::Transport,
    peer: PeerUrl,
    space: SpaceId,
    module: ModuleId,
    seen: Arc<Counter>,
}

impl Ours {
    fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (peer, space, module): (PeerUrl, _, _) =
            (PEER.parse()?, SpaceId::from_static(SPACE), ModuleId::from_static(MODULE));
        let seen = Arc::new(Counter::default());
        let hnd = || tx::TxImpHnd::new(Arc::new(Counter::default()), tx::TransportConfig::default());
        let receiver = hnd()?;
        let authenticated = tx::AuthenticatedPeer::vouched(peer.clone());
        let ready = block_on(async {
            let awaiting =
                receiver.open(authenticated, tx::Direction::Incoming, Wall::default()).await.ok()?;
            awaiting.handle_preflight(Frame::Preflight { data: Bytes::new() }.encode().to_bytes()).await.ok()
        });
        let wire: Arc<dyn tx::TxImp> = Arc::new(OurWire(Mutex::new(ready.ok_or("no connection")?)));
        let receiving = tx::Transport::new(receiver, wire.clone());
        let transport = tx::Transport::new(hnd()?, wire);
        for node in [&receiving, &transport] {
            node.register_space_handler(space.clone(), seen.clone())?.0.keep();
            node.register_module_handler(space.clone(), module.clone(), seen.clone())?.keep();
        }
        Ok(Self { transport, peer, space, module, seen })
    }

    fn send(&self, data: Bytes) {
        let sent = block_on(self.transport.send_module(&self.peer, &self.space, &self.module, data));
        assert_eq!(sent, Ok(tx::SendOutcome::HandedOff));
    }
}

struct OurWire(Mutex<tx::Ready>);

#[async_trait]
impl tx::TxImp for OurWire {
    fn url(&self) -> Option<PeerUrl> {
        None
    }
    async fn send(&self, _: &PeerUrl, frame: EncodedFrame) -> Result<(), tx::SendError> {
        let mut ready = self.0.lock().map_err(|_| tx::SendError::Closed)?;
        ready.recv(frame.to_bytes()).map_err(|_| tx::SendError::Closed)
    }
    fn send_now(&self, _: &PeerUrl, frame: &mut Option<EncodedFrame>) -> Result<(), tx::SendError> {
        let Some(bytes) = frame.as_ref().map(EncodedFrame::to_bytes) else { return Ok(()) };
        *frame = None;
        let mut ready = self.0.lock().map_err(|_| tx::SendError::Closed)?;
        ready.recv(bytes).map_err(|_| tx::SendError::Closed)
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

impl tx::TxHandler for Counter {}
impl tx::TxSpaceHandler for Counter {}
impl tx::TxModuleHandler for Counter {
    fn recv_module_msg(
        &self,
        _: &PeerUrl,
        _: &SpaceId,
        _: &ModuleId,
        data: Bytes,
    ) -> Result<(), tx::Refusal> {
        self.count(data);
        Ok(())
    }
}
