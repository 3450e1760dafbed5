//! The calls by URL: as thin as they are, they let nothing pass that connections do not.

use crate::support::*;
use bytes::Bytes;
use quorate_base::{Mono, Wall};
use quorate_transport::{
    AuthenticatedPeer, Direction, OpenError, PeerViolation, PreflightError, RecvError, TransportConfig,
    UrlConnections, UrlError,
};
use quorate_wire::{Frame, FrameKind};
use std::{future::Future, sync::Arc, task::Context, task::Waker};

async fn connect(calls: &UrlConnections, name: &str) -> Result<Bytes, UrlError> {
    calls.peer_connect(peer(name), Direction::Incoming, Wall::default()).await
}

fn bench() -> (Bench, UrlConnections) {
    let bench = Bench::new();
    let calls = UrlConnections::new(bench.hnd.clone());
    (bench, calls)
}

#[tokio::test]
async fn a_backend_from_there_does_what_it_did() {
    let (bench, calls) = bench();
    let (_space, _registration) = bench.space();
    assert_eq!(connect(&calls, "bob").await.unwrap(), preflight(b""));
    calls.recv_data(&mem("bob"), preflight(b"I am Bob")).await.unwrap();
    calls.recv_data(&mem("bob"), notify(b"hello")).await.unwrap();
    assert_eq!(bench.transport.connected_peers(), [mem("bob")]);
    calls.peer_disconnect(&mem("bob"), Some("bye"));
    calls.peer_disconnect(&mem("bob"), Some("again"));
    let wanted = [
        "space: connect bob",
        "top: connect bob",
        "top: preflight I am Bob",
        "space: notify hello",
        "space: disconnect bob (bye)",
        "top: disconnect bob (bye)",
    ];
    assert_eq!(bench.log.lines(), wanted);
    assert!(bench.transport.connected_peers().is_empty());
}

#[tokio::test]
async fn nothing_passes_that_a_connection_would_not_let_pass() {
    let (bench, calls) = bench();
    let (_space, _registration) = bench.space();
    assert_eq!(calls.recv_data(&mem("bob"), notify(b"x")).await, Err(UrlError::NotConnected));
    connect(&calls, "bob").await.unwrap();
    assert_eq!(connect(&calls, "bob").await, Err(UrlError::AlreadyConnected));

    let error = calls.recv_data(&mem("bob"), notify(b"x")).await.unwrap_err();
    let violation = PeerViolation::NotPreflight { kind: FrameKind::Notify };
    assert_eq!(error, UrlError::Preflight(PreflightError::Violation(violation)));
    assert!(error.close().is_some());
    assert_eq!(calls.recv_data(&mem("bob"), notify(b"x")).await, Err(UrlError::NotConnected));

    connect(&calls, "bob").await.unwrap();
    calls.recv_data(&mem("bob"), preflight(b"")).await.unwrap();
    let error = calls.recv_data(&mem("bob"), preflight(b"")).await.unwrap_err();
    assert_eq!(error, UrlError::Recv(RecvError::Violation(PeerViolation::SecondPreflight)));
    assert_eq!(bench.log.count("space: notify x"), 0);
    let totals = bench.transport.totals();
    assert_eq!((totals.connections_opened, totals.connections_ended), (2, 2));
}

#[tokio::test]
async fn an_open_that_fails_leaves_no_connection() {
    let (bench, calls) = bench();
    *bench.top.veto.lock().unwrap() = Some("no");
    assert!(matches!(connect(&calls, "bob").await, Err(UrlError::Open(OpenError::Refused(_)))));
    assert_eq!(calls.recv_data(&mem("bob"), preflight(b"")).await, Err(UrlError::NotConnected));
    *bench.top.veto.lock().unwrap() = None;
    connect(&calls, "bob").await.unwrap();
}

#[tokio::test]
async fn urls_alone_need_permission() {
    let config = TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() };
    for (config, allowed) in [(TransportConfig::default(), false), (config, true)] {
        let bench = Bench::with(config);
        let calls = UrlConnections::new(bench.hnd.clone());
        let peer = AuthenticatedPeer::unauthenticated(mem("bob"));
        let opened = calls.peer_connect(peer, Direction::Outgoing, Wall::default()).await;
        assert_eq!(opened.is_ok(), allowed);
    }
}

/// A handler whose preflight waits until the test lets it go on.
struct Slow(Arc<tokio::sync::Notify>, Log);

#[async_trait::async_trait]
impl quorate_transport::TxHandler for Slow {
    fn peer_disconnect(&self, _: &quorate_wire::PeerUrl, reason: Option<&str>) {
        self.1.write(format!("disconnect {}", reason.unwrap_or("?")));
    }
    async fn preflight_validate_incoming(
        &self,
        _: &quorate_wire::PeerUrl,
        _: Bytes,
    ) -> Result<(), quorate_transport::Refusal> {
        self.0.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn a_call_that_is_under_way_is_never_overtaken_nor_lost() {
    let (go, log) = (Arc::new(tokio::sync::Notify::new()), Log::new());
    let slow = Arc::new(Slow(go.clone(), log.clone()));
    let hnd = quorate_transport::TxImpHnd::new(slow, TransportConfig::default()).unwrap();
    let calls = UrlConnections::new(hnd);
    let mut context = Context::from_waker(Waker::noop());

    connect(&calls, "bob").await.unwrap();
    let bob = mem("bob");
    let mut judging = Box::pin(calls.recv_data(&bob, preflight(b"")));
    assert!(judging.as_mut().poll(&mut context).is_pending());
    assert_eq!(calls.recv_data(&bob, notify(b"x")).await, Err(UrlError::Busy));
    assert_eq!(connect(&calls, "bob").await, Err(UrlError::AlreadyConnected));
    calls.peer_disconnect(&bob, Some("ended meanwhile"));
    assert!(log.lines().is_empty(), "the call that has it in hand ends it");
    go.notify_one();
    judging.await.unwrap();
    assert_eq!(log.take(), ["disconnect ended meanwhile"]);

    connect(&calls, "bob").await.unwrap();
    let mut judging = Box::pin(calls.recv_data(&bob, preflight(b"")));
    assert!(judging.as_mut().poll(&mut context).is_pending());
    drop(judging);
    assert_eq!(log.take(), ["disconnect ?"], "a call that was dropped half-way ends the connection");
    assert_eq!(calls.recv_data(&bob, notify(b"x")).await, Err(UrlError::NotConnected));
}

#[tokio::test]
async fn a_message_may_be_asked_about_before_it_is_handed_on() {
    let (bench, _) = bench();
    let (space, _registration) = bench.space();
    let (known, unknown, module) = (SPACE, "unknown".as_bytes().into(), MODULE);
    let ask = |kind, space, module| bench.hnd.check_message_permitted(&mem("bob"), space, module, kind);
    for kind in [FrameKind::Preflight, FrameKind::Disconnect, FrameKind::Unspecified, FrameKind::Unknown(7)] {
        assert_eq!(ask(kind, None, None), Ok(true), "{kind}");
    }
    assert_eq!(ask(FrameKind::Notify, Some(&known), None), Ok(true));
    assert_eq!(ask(FrameKind::Notify, Some(&unknown), None), Ok(false));
    assert!(ask(FrameKind::Notify, None, None).is_err());
    assert!(ask(FrameKind::Module, None, Some(&module)).is_err());
    assert!(ask(FrameKind::Module, Some(&known), None).is_err());
    space.blocks.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(ask(FrameKind::Module, Some(&known), Some(&module)), Ok(false));
    let totals = bench.transport.totals();
    assert_eq!(totals.dropped_unknown_space, 1);
    assert_eq!((totals.violations.missing_space, totals.violations.missing_module), (2, 1));
    assert_eq!(bench.transport.stats().blocked_message_counts[&mem("bob")][&SPACE].incoming, 1);
}

#[tokio::test]
async fn a_rate_holds_here_too() {
    let (_bench, calls) = bench();
    connect(&calls, "bob").await.unwrap();
    assert_eq!(calls.charge(&mem("bob"), Mono::ZERO, 1, 1), Ok(std::time::Duration::ZERO));
    calls.recv_data(&mem("bob"), preflight(b"")).await.unwrap();
    let burst = TransportConfig::default().peer_rate.unwrap().messages_per_s.get();
    assert_eq!(calls.charge(&mem("bob"), Mono::ZERO, burst, 1), Ok(std::time::Duration::ZERO));
    assert!(!calls.charge(&mem("bob"), Mono::ZERO, 1, 1).unwrap().is_zero());
    let goodbye = Frame::Disconnect { reason: "bye".into() }.encode().to_bytes();
    assert!(calls.recv_data(&mem("bob"), goodbye).await.is_err());
    assert_eq!(calls.charge(&mem("bob"), Mono::ZERO, 1, 1), Err(UrlError::NotConnected));
}
