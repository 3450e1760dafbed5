//! Blocked messages are dropped and counted, in both directions, and nothing else is.

use crate::support::*;
use bytes::Bytes;
use quorate_transport::{
    Direction, MessageBlockCount, RecvError, Refusal, SendError, SendOutcome, TransportConfig, TxSpaceHandler,
};
use quorate_wire::{Frame, PeerUrl, SpaceId};
use std::sync::{Arc, atomic::Ordering::SeqCst};

#[tokio::test]
async fn a_blocked_message_is_neither_delivered_nor_sent() {
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    let probe = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, probe).unwrap();
    let mut ready = bench.ready("bob").await;
    space.blocks.store(true, SeqCst);

    ready.recv(notify(b"in")).unwrap();
    ready.recv(module(b"in")).unwrap();
    let (bob, data) = (mem("bob"), Bytes::from_static(b"out"));
    let outcomes = [
        bench.transport.send_space_notify(&bob, &SPACE, data.clone()).await,
        bench.transport.send_module(&bob, &SPACE, &MODULE, data.clone()).await,
        bench.transport.try_send_module(&bob, &SPACE, &MODULE, data),
    ];
    assert_eq!(outcomes, [Ok(SendOutcome::Blocked), Ok(SendOutcome::Blocked), Ok(SendOutcome::Blocked)]);
    assert!(bench.drawer.0.lock().unwrap().is_empty());
    assert!(!bench.log.lines().iter().any(|line| line.ends_with(" in")));

    let counts = bench.transport.stats().blocked_message_counts;
    assert_eq!(counts[&bob][&SPACE], MessageBlockCount { incoming: 2, outgoing: 3 });
    bench.transport.reset_block_counts();
    assert!(bench.transport.stats().blocked_message_counts.is_empty());
    space.blocks.store(false, SeqCst);
    ready.recv(notify(b"again")).unwrap();
    assert_eq!(bench.log.count("space: notify again"), 1, "the connection stayed");
}

#[tokio::test]
async fn a_blocked_peer_still_introduces_itself_and_says_goodbye() {
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    space.blocks.store(true, SeqCst);
    let awaiting = bench.hnd.open(peer("bob"), Direction::Incoming, Default::default()).await.unwrap();
    let mut ready = awaiting.handle_preflight(preflight(b"new agents")).await.unwrap();
    assert_eq!(bench.log.count("top: preflight new agents"), 1);
    let goodbye = Frame::Disconnect { reason: Bytes::new() }.encode().to_bytes();
    assert!(matches!(ready.recv(goodbye), Err(RecvError::RemoteDisconnect { .. })));
    assert!(bench.transport.stats().blocked_message_counts.is_empty());
}

#[tokio::test]
async fn unknown_peers_are_not_blocked_unless_the_handler_says_so() {
    struct Plain;
    impl TxSpaceHandler for Plain {}
    let bench = Bench::new();
    let (_registration, _) = bench.transport.register_space_handler(SPACE, Arc::new(Plain)).unwrap();
    let sent = bench.transport.send_space_notify(&mem("stranger"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
}

#[tokio::test]
async fn a_message_for_an_unknown_space_or_module_is_dropped_and_counted_but_not_as_blocked() {
    let bench = Bench::new();
    let mut ready = bench.ready("bob").await;
    ready.recv(notify(b"1")).unwrap();
    ready.recv(module(b"2")).unwrap();
    let (_space, _registration) = bench.space();
    ready.recv(module(b"3")).unwrap();
    let totals = bench.transport.totals();
    assert_eq!((totals.dropped_unknown_space, totals.dropped_unknown_module), (2, 1));
    assert!(bench.transport.stats().blocked_message_counts.is_empty());
}

#[tokio::test]
async fn the_counts_never_grow_beyond_the_configured_entries() {
    let config = TransportConfig { block_count_entries: 2, ..TransportConfig::default() };
    let bench = Bench::with(config);
    let (space, _registration) = bench.space();
    space.blocks.store(true, SeqCst);
    for number in 0..10 {
        let peer = url(&format!("mem://host:1/{number}"));
        assert_eq!(
            bench.transport.try_send_space_notify(&peer, &SPACE, Bytes::new()),
            Ok(SendOutcome::Blocked)
        );
    }
    let stats = bench.transport.stats();
    assert_eq!(stats.blocked_message_counts.len(), 2);
    assert_eq!(stats.blocked_message_counts_other, MessageBlockCount { incoming: 0, outgoing: 8 });
}

#[tokio::test]
async fn a_handler_that_cannot_tell_ends_the_connection_or_fails_the_send() {
    struct Torn;
    impl TxSpaceHandler for Torn {
        fn is_any_agent_at_url_blocked(&self, _: &PeerUrl) -> Result<bool, Refusal> {
            Err(Refusal::new("the list is gone"))
        }
        fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, _: Bytes) -> Result<(), Refusal> {
            unreachable!("it never passed the gate")
        }
    }
    let bench = Bench::new();
    let (_registration, _) = bench.transport.register_space_handler(SPACE, Arc::new(Torn)).unwrap();
    let mut ready = bench.ready("bob").await;
    let refusal = Refusal::new("the list is gone");
    assert_eq!(ready.recv(notify(b"?")), Err(RecvError::Refused(refusal.clone())));
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Err(SendError::Handler(refusal)));
}
