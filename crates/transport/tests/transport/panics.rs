//! A handler that panics harms its connection and nothing else.

use crate::support::*;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    Direction, LocalAgents, OpenError, PreflightError, RecvError, Refusal, SendError, TransportConfig,
    TxHandler, TxImpHnd, TxModuleHandler, TxSpaceHandler,
};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::Arc;

struct Bomb(&'static str);

impl Bomb {
    fn go(&self, place: &str) {
        assert!(self.0 != place, "this panic belongs to the test");
    }
}

#[async_trait]
impl TxHandler for Bomb {
    fn peer_connect(&self, _: &PeerUrl) -> Result<(), Refusal> {
        self.go("connect");
        Ok(())
    }
    fn peer_disconnect(&self, _: &PeerUrl, _: Option<&str>) {
        self.go("disconnect");
    }
    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        self.go("gather");
        Ok(Bytes::new())
    }
    async fn preflight_validate_incoming(&self, _: &PeerUrl, _: Bytes) -> Result<(), Refusal> {
        self.go("validate");
        Ok(())
    }
}

#[async_trait]
impl TxSpaceHandler for Bomb {
    fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, _: Bytes) -> Result<(), Refusal> {
        self.go("recv");
        Ok(())
    }
    fn is_any_agent_at_url_blocked(&self, _: &PeerUrl) -> Result<bool, Refusal> {
        self.go("gate");
        Ok(false)
    }
    fn has_local_agents(&self) -> LocalAgents<'_> {
        self.go("agents");
        LocalAgents::later(async {
            self.go("agents, later");
            Ok(true)
        })
    }
}

#[async_trait]
impl TxModuleHandler for Bomb {
    fn recv_module_msg(&self, _: &PeerUrl, _: &SpaceId, _: &ModuleId, _: Bytes) -> Result<(), Refusal> {
        self.go("recv");
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_while_receiving_never_harms_other_connections() {
    let bench = Bench::new();
    let (registration, _) = bench.transport.register_space_handler(SPACE, Arc::new(Bomb("recv"))).unwrap();
    let module_bomb = Arc::new(Bomb("recv"));
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module_bomb).unwrap();
    let (mut first, mut second, mut third) =
        (bench.ready("a").await, bench.ready("b").await, bench.ready("c").await);
    assert_eq!(first.recv(notify(b"!")), Err(RecvError::HandlerPanicked));
    assert_eq!(second.recv(module(b"!")), Err(RecvError::HandlerPanicked));
    drop((first, second, registration));
    let (_space, _registration) = bench.space();
    third.recv(notify(b"fine")).unwrap();
    assert_eq!(bench.log.count("space: notify fine"), 1);
    assert_eq!(bench.transport.totals().handler_panics, 2);
    assert_eq!(bench.transport.connected_peers(), [mem("c")]);
}

#[tokio::test]
async fn a_panic_in_the_gate_is_an_error_both_ways() {
    let bench = Bench::new();
    let (_registration, _) = bench.transport.register_space_handler(SPACE, Arc::new(Bomb("gate"))).unwrap();
    let mut ready = bench.ready("a").await;
    assert_eq!(ready.recv(notify(b"!")), Err(RecvError::HandlerPanicked));
    let sent = bench.transport.send_space_notify(&mem("a"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Err(SendError::HandlerPanicked));
    assert!(bench.transport.stats().blocked_message_counts.is_empty(), "and the counts are not poisoned");
}

#[tokio::test]
async fn a_panic_while_opening_takes_the_announcement_back() {
    for place in ["connect", "gather", "agents"] {
        let log = Log::new();
        let top: Arc<dyn TxHandler> = Arc::new(Bomb(place));
        let hnd = TxImpHnd::new(top, TransportConfig::default()).unwrap();
        let transport = quorate_transport::Transport::new(hnd.clone(), Arc::new(Drawer::default()));
        let bomb = Arc::new(Bomb(place));
        let (_bomb, _) = transport.register_space_handler(SPACE, bomb).unwrap();
        let probe = Probe::new("module", &log);
        let _module = transport.register_module_handler(SPACE, MODULE, probe).unwrap();
        let opened = hnd.open(peer("a"), Direction::Incoming, Default::default()).await;
        assert_eq!(opened.unwrap_err(), OpenError::HandlerPanicked, "{place}");
        assert_eq!(log.lines().len(), 2, "{place}: {:?}", log.lines());
        assert!(log.lines()[1].starts_with("module: disconnect a"), "{place}");
    }
}

#[tokio::test]
async fn a_panic_over_a_preflight_or_a_goodbye_is_contained() {
    let hnd = TxImpHnd::new(Arc::new(Bomb("validate")), TransportConfig::default()).unwrap();
    let awaiting = hnd.open(peer("a"), Direction::Incoming, Default::default()).await.unwrap();
    assert_eq!(awaiting.handle_preflight(preflight(b"")).await.unwrap_err(), PreflightError::HandlerPanicked);

    let hnd = TxImpHnd::new(Arc::new(Bomb("disconnect")), TransportConfig::default()).unwrap();
    drop(hnd.open(peer("a"), Direction::Incoming, Default::default()).await.unwrap());
}
