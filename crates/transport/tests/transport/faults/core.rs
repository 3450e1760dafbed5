//! Faults of the core: locks, panics, silent losses.

use crate::{script::*, support::*};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    ApiTransportStats, Close, CloseCode, LinkError, MemHub, Refusal, SendError, Transport, TransportConfig,
    TxHandler, TxImp, TxImpHnd, TxSpaceHandler,
};
use quorate_wire::{EncodedFrame, PeerUrl, SpaceId};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

/// A handler that stays in its call until the test opens the gate.
#[derive(Default)]
struct Stuck {
    open: Mutex<bool>,
    changed: Condvar,
    inside: tokio::sync::Notify,
}

impl TxSpaceHandler for Stuck {
    fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, _: Bytes) -> Result<(), Refusal> {
        self.inside.notify_one();
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_handler_never_holds_up_other_peers_or_sends() {
    const STUCK: SpaceId = SpaceId::from_static(b"stuck");
    let hub = MemHub::default();
    let (node, slow, quick) = (Node::new(&hub, "node"), Node::new(&hub, "slow"), Node::new(&hub, "quick"));
    let stuck = Arc::new(Stuck::default());
    for transport in [&node.transport, &slow.transport] {
        transport.register_space_handler(STUCK, stuck.clone()).unwrap().0.keep();
    }
    let sent = slow.transport.send_space_notify(&node.url, &STUCK, Bytes::from_static(b"x")).await;
    assert!(sent.is_ok());
    stuck.inside.notified().await;

    quick.notify(&node, b"other peer, other space").await.unwrap();
    node.log.wait_for("space: notify other peer, other space").await;
    node.notify(&quick, b"a send").await.unwrap();
    quick.log.wait_for("space: notify a send").await;
    let late: SpaceId = b"late"[..].into();
    node.transport.register_space_handler(late.clone(), node.space.clone()).unwrap().0.keep();
    node.transport.unregister_space(&late);
    assert_eq!(node.transport.stats().transport_stats.connections.len(), 2);

    *stuck.open.lock().unwrap() = true;
    stuck.changed.notify_all();
}

#[tokio::test]
async fn a_panic_or_a_duplicate_never_breaks_what_comes_after() {
    struct Panics;
    impl TxHandler for Panics {}
    impl TxSpaceHandler for Panics {
        fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, _: Bytes) -> Result<(), Refusal> {
            panic!("this panic belongs to the test");
        }
    }
    let bench = Bench::new();
    let panics: SpaceId = b"panics"[..].into();
    let (first, _) = bench.transport.register_space_handler(panics.clone(), Arc::new(Panics)).unwrap();
    assert!(bench.transport.register_space_handler(panics.clone(), Arc::new(Panics)).is_err());
    let frame = quorate_wire::Frame::Notify { space: panics.clone(), data: Bytes::new() }.encode().to_bytes();
    assert!(bench.ready("bob").await.recv(frame).is_err());

    let (_space, _registration) = bench.space();
    bench.ready("eve").await.recv(notify(b"still here")).unwrap();
    assert_eq!(bench.log.count("space: notify still here"), 1);
    assert!(bench.transport.send_space_notify(&mem("eve"), &SPACE, Bytes::new()).await.is_ok());
    drop(first);
    bench.transport.register_space_handler(panics, Arc::new(Panics)).unwrap().0.keep();
    bench.transport.stats();
    bench.transport.close().await;
}

/// A transport whose `url` asks the core, as one does whose address depends on it.
#[derive(Default)]
struct AsksBack(OnceLock<Transport>);

#[async_trait]
impl TxImp for AsksBack {
    fn url(&self) -> Option<PeerUrl> {
        let transport = self.0.get()?;
        let space: SpaceId = b"from within"[..].into();
        let log = Log::new();
        // One of the calls finds the space taken by the one that it is made in.
        if let Ok((registration, _)) = transport.register_space_handler(space, Probe::new("inner", &log)) {
            registration.keep();
        }
        Some(mem("asks-back"))
    }
    async fn send(&self, _: &PeerUrl, _: EncodedFrame) -> Result<(), SendError> {
        Ok(())
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

#[tokio::test]
async fn a_transport_that_asks_back_for_its_url_never_deadlocks() {
    let log = Log::new();
    let hnd = TxImpHnd::new(Probe::new("top", &log), TransportConfig::default()).unwrap();
    let imp = Arc::new(AsksBack::default());
    let transport = Transport::new(hnd, imp.clone());
    assert!(imp.0.set(transport.clone()).is_ok());
    let (_registration, url) = transport.register_space_handler(SPACE, Probe::new("space", &log)).unwrap();
    assert_eq!(url, Some(mem("asks-back")));
    transport.stats();
    transport.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_is_never_a_success_when_the_connection_ended_in_the_preflights() {
    let ends: [(&str, LinkError); 3] = [
        ("graceful", LinkError::Closed(Close::new(CloseCode::Graceful, "later"))),
        ("failure", LinkError::Closed(Close::new(CloseCode::Failure, ""))),
        ("broken", LinkError::broken("reset")),
    ];
    for (name, end) in ends {
        let stage = Stage::new();
        let far = async {
            let mut far = stage.dial().await.link();
            assert_eq!(far.frame().await, preflight(b"node"));
            far.end(end);
            far
        };
        let (sent, mut far) = tokio::join!(stage.send("far", b"lost"), far);
        assert!(matches!(sent, Err(SendError::Connect(_))), "{name}: {sent:?}");
        assert_eq!(far.next().await, None, "{name}: nothing of it was written");
    }
}

#[tokio::test]
async fn stats_are_never_unreadable_from_a_reader_or_a_value() {
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    let mut ready = bench.ready("bob").await;
    space.blocks.store(true, std::sync::atomic::Ordering::SeqCst);
    ready.recv(notify(b"x")).unwrap();
    let stats = bench.transport.stats();
    let text = serde_json::to_vec(&stats).unwrap();
    assert_eq!(serde_json::from_reader::<_, ApiTransportStats>(text.as_slice()).unwrap(), stats);
    let value = serde_json::to_value(&stats).unwrap();
    assert_eq!(serde_json::from_value::<ApiTransportStats>(value.clone()).unwrap(), stats);
    let connection = &value["transport_stats"]["connections"][0];
    let names: Vec<_> = connection.as_object().unwrap().keys().map(String::as_str).collect();
    let seed = [
        "is_direct",
        "opened_at_s",
        "pub_key",
        "recv_bytes",
        "recv_message_count",
        "send_bytes",
        "send_message_count",
    ];
    assert_eq!(names, seed);
    assert_eq!(value["blocked_message_counts"]["mem://host:1/bob"]["c3BhY2U"]["incoming"], 1);
}
