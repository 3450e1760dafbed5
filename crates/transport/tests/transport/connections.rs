//! A connection begins with one preflight, and ends once.

use crate::support::*;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_transport::{
    AuthenticatedPeer, Direction, OpenError, PeerViolation, PreflightError, RecvError, Side, TransportConfig,
};
use quorate_wire::{DecodeError, Frame, FrameKind};
use std::{num::NonZeroUsize, sync::atomic::Ordering::SeqCst};

#[tokio::test]
async fn a_frame_before_the_preflight_is_never_delivered() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    for (frame, violation) in [
        (notify(b"early"), PeerViolation::NotPreflight { kind: FrameKind::Notify }),
        (module(b"early"), PeerViolation::NotPreflight { kind: FrameKind::Module }),
        // Kitsune2 takes an empty frame for a preflight, and then never validates one.
        (Bytes::new(), PeerViolation::NotPreflight { kind: FrameKind::Unspecified }),
        (Bytes::from_static(b"\x08"), PeerViolation::Frame(DecodeError::Truncated)),
    ] {
        let awaiting = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.unwrap();
        let error = awaiting.handle_preflight(frame).await.unwrap_err();
        assert_eq!(error, PreflightError::Violation(violation));
    }
    assert!(
        !bench.log.lines().iter().any(|line| line.contains("early") || line.starts_with("top: preflight"))
    );
    let violations = bench.transport.totals().violations;
    assert_eq!((violations.not_preflight, violations.undecodable, violations.total()), (3, 1, 4));
}

#[tokio::test]
async fn a_second_preflight_is_never_validated() {
    let bench = Bench::new();
    let mut ready = bench.ready("bob").await;
    let error = ready.recv(preflight(b"again")).unwrap_err();
    assert_eq!(error, RecvError::Violation(PeerViolation::SecondPreflight));
    assert_eq!(ready.recv(notify(b"late")), Err(RecvError::Ended), "the connection is over");
    drop(ready);
    assert_eq!(bench.log.count("top: preflight again"), 0);
    assert_eq!(
        bench.log.lines().last().unwrap(),
        "top: disconnect bob (a connection has one preflight in each direction, not two)"
    );
    assert_eq!(bench.transport.totals().violations.second_preflight, 1);
}

#[tokio::test]
async fn a_preflight_on_one_connection_never_serves_for_another() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let _first = bench.ready("bob").await;
    let second = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.unwrap();
    assert!(second.handle_preflight(notify(b"sneaked in")).await.is_err());
    assert_eq!(bench.log.count("space: notify sneaked in"), 0);
}

#[tokio::test]
async fn a_frame_without_its_space_or_module_never_passes_in_silence() {
    let missing_space = [&b"\x08\x02"[..], b"\x08\x03"];
    let missing_module = &b"\x08\x03\x1a\x05space"[..];
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    for bytes in missing_space.into_iter().chain([missing_module]) {
        let mut ready = bench.ready("bob").await;
        let error = ready.recv(Bytes::from_static(bytes)).unwrap_err();
        assert!(matches!(error, RecvError::Violation(PeerViolation::Frame(_))), "{error:?}");
    }
    let violations = bench.transport.totals().violations;
    assert_eq!((violations.missing_space, violations.missing_module), (2, 1));
}

#[tokio::test]
async fn garbage_never_panics_and_ends_the_connection() {
    let bench = Bench::new();
    for garbage in [&b"\xff\xff\xff\xff\xff"[..], b"\x12\xff\xff\xff\xff\x0f", b"\x00", b"\x0b"] {
        let mut ready = bench.ready("bob").await;
        assert!(matches!(ready.recv(garbage.into()), Err(RecvError::Violation(PeerViolation::Frame(_)))));
    }
    assert_eq!(bench.transport.totals().violations.undecodable, 4);
}

#[tokio::test]
async fn an_unknown_kind_is_ignored_but_counted() {
    let bench = Bench::new();
    let mut ready = bench.ready("bob").await;
    for kind in [0, 4, 14, 16, -1] {
        let frame = Frame::Other { kind, data: Bytes::from_static(b"?"), space: None, module: None };
        assert_eq!(ready.recv(frame.encode().to_bytes()), Ok(()));
    }
    assert_eq!(bench.transport.totals().ignored_unknown_kind, 5);
}

#[tokio::test]
async fn a_goodbye_is_told_with_its_reason() {
    let bench = Bench::new();
    let mut ready = bench.ready("bob").await;
    let goodbye = Frame::Disconnect { reason: Bytes::from_static(b"see you \xff") }.encode().to_bytes();
    let reason = "see you \u{fffd}".to_owned();
    assert_eq!(ready.recv(goodbye), Err(RecvError::RemoteDisconnect { reason }));
    drop(ready);
    assert_eq!(bench.log.lines().last().unwrap(), "top: disconnect bob (see you \u{fffd})");
    assert_eq!(bench.transport.totals().violations.total(), 0);
}

#[tokio::test]
async fn a_goodbye_instead_of_a_preflight_is_a_refusal() {
    let bench = Bench::new();
    let awaiting = bench.hnd.open(peer("bob"), Direction::Outgoing, Wall::default()).await.unwrap();
    let goodbye = Frame::Disconnect { reason: Bytes::from_static(b"not you") }.encode().to_bytes();
    let error = awaiting.handle_preflight(goodbye).await.unwrap_err();
    assert_eq!(error, PreflightError::Refused { by: Side::Remote, reason: "not you".into() });
    assert_eq!(bench.transport.totals().refused_by_peer, 1);
}

#[tokio::test]
async fn a_disconnect_is_never_told_twice_nor_without_a_connect() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    bench.ready("bob").await.disconnect("done");
    drop(bench.hnd.open(peer("carol"), Direction::Outgoing, Wall::default()).await.unwrap());
    let wanted = [
        "space: connect bob",
        "top: connect bob",
        "top: preflight ",
        "space: disconnect bob (done)",
        "top: disconnect bob (done)",
        "space: connect carol",
        "top: connect carol",
        "space: disconnect carol",
        "top: disconnect carol",
    ];
    assert_eq!(bench.log.lines(), wanted);
    let totals = bench.transport.totals();
    assert_eq!((totals.connections_opened, totals.connections_ready, totals.connections_ended), (2, 1, 2));
}

#[tokio::test]
async fn an_open_that_is_dropped_half_way_takes_its_announcement_back() {
    struct Slow(Log);
    #[async_trait::async_trait]
    impl quorate_transport::TxHandler for Slow {
        fn peer_connect(&self, _: &quorate_wire::PeerUrl) -> Result<(), quorate_transport::Refusal> {
            self.0.write("connect");
            Ok(())
        }
        fn peer_disconnect(&self, _: &quorate_wire::PeerUrl, _: Option<&str>) {
            self.0.write("disconnect");
        }
        async fn preflight_gather_outgoing(
            &self,
            _: &quorate_wire::PeerUrl,
        ) -> Result<Bytes, quorate_transport::Refusal> {
            std::future::pending().await
        }
    }
    let log = Log::new();
    let handler = std::sync::Arc::new(Slow(log.clone()));
    let hnd = quorate_transport::TxImpHnd::new(handler, TransportConfig::default()).unwrap();
    let mut opening = Box::pin(hnd.open(peer("bob"), Direction::Outgoing, Wall::default()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(opening.as_mut().poll(&mut context).is_pending());
    drop(opening);
    assert_eq!(log.lines(), ["connect", "disconnect"]);
}

#[tokio::test]
async fn a_transport_that_authenticates_nobody_needs_permission() {
    let anybody = || AuthenticatedPeer::unauthenticated(mem("bob"));
    let strict = Bench::new();
    let refused = strict.hnd.open(anybody(), Direction::Incoming, Wall::default()).await;
    assert_eq!(refused.unwrap_err(), OpenError::Unauthenticated);
    assert!(strict.log.lines().is_empty(), "no handler hears of it");
    let lax = Bench::with(TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() });
    assert!(lax.hnd.open(anybody(), Direction::Incoming, Wall::default()).await.is_ok());
}

#[tokio::test]
async fn no_connection_beyond_the_limit_is_announced() {
    let max_connections = NonZeroUsize::new(2).unwrap();
    let bench = Bench::with(TransportConfig { max_connections, ..TransportConfig::default() });
    let first = bench.ready("a").await;
    let _second = bench.ready("b").await;
    let third = bench.hnd.open(peer("c"), Direction::Incoming, Wall::default()).await;
    assert_eq!(third.unwrap_err(), OpenError::TooManyConnections { max: 2 });
    assert_eq!(bench.log.count("top: connect c"), 0);
    drop(first);
    assert!(bench.hnd.open(peer("c"), Direction::Incoming, Wall::default()).await.is_ok());
}

#[tokio::test]
async fn nobody_is_introduced_while_no_space_has_an_agent() {
    let bench = Bench::new();
    assert!(
        bench.hnd.open(peer("bob"), Direction::Outgoing, Wall::default()).await.is_ok(),
        "no space at all"
    );
    let (space, _registration) = bench.space();
    space.has_agents.store(false, SeqCst);
    bench.log.take();
    let opened = bench.hnd.open(peer("bob"), Direction::Outgoing, Wall::default()).await;
    assert_eq!(opened.unwrap_err(), OpenError::NoLocalAgentsDuringPreflight);
    let wanted = [
        "space: connect bob",
        "top: connect bob",
        "space: disconnect bob (no local agents yet)",
        "top: disconnect bob (no local agents yet)",
    ];
    assert_eq!(bench.log.lines(), wanted);
}

#[tokio::test]
async fn no_frame_and_no_preflight_above_its_limit_is_looked_at() {
    let config = TransportConfig {
        max_frame_bytes: NonZeroUsize::new(100).unwrap(),
        max_preflight_bytes: NonZeroUsize::new(10).unwrap(),
        ..TransportConfig::default()
    };
    let bench = Bench::with(config);
    let (_space, _registration) = bench.space();
    let awaiting = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.unwrap();
    let error = awaiting.handle_preflight(preflight(b"eleven byte")).await.unwrap_err();
    let violation = PeerViolation::TooLarge { len: 15, max: 10 };
    assert_eq!(error, PreflightError::Violation(violation));
    let mut ready = bench.ready("bob").await;
    let error = ready.recv(notify(&[b'x'; 100])).unwrap_err();
    assert_eq!(error, RecvError::Violation(PeerViolation::TooLarge { len: 111, max: 100 }));
    assert!(!bench.log.lines().iter().any(|line| line.contains("eleven") || line.contains("xxx")));
    assert_eq!(bench.transport.totals().violations.too_large, 2);
}
