//! The operator's block list, at the gate and at the door.

use crate::support::*;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_transport::{
    BlockList, ConnectError, Direction, MemHub, MemTransport, OpenError, Rule, SendError, SendOutcome, Side,
    Subject, TransportConfig, TxImpHnd, Verdict,
};
use quorate_wire::SpaceId;
use std::sync::Arc;

const OTHER: SpaceId = SpaceId::from_static(b"other");

fn list(unknown: Verdict) -> Arc<BlockList> {
    Arc::new(BlockList::new(unknown, Wall::default))
}

fn bench(list: &Arc<BlockList>) -> Bench {
    Bench::with_list(TransportConfig::default(), list)
}

#[tokio::test]
async fn a_peer_blocked_in_a_space_is_never_heard_there_and_is_heard_elsewhere() {
    let list = list(Verdict::Allow);
    let bench = bench(&list);
    let (_space, _registration) = bench.space();
    let other = Probe::new("other", &bench.log);
    let (_other, _) = bench.transport.register_space_handler(OTHER, other).unwrap();
    list.set(Rule::block(Subject::peer(&mem("bob")), "rude").in_space(SPACE)).unwrap();
    let mut ready = bench.ready("bob").await;
    bench.log.take();

    ready.recv(notify(b"blocked")).unwrap();
    let frame = quorate_wire::Frame::Notify { space: OTHER, data: Bytes::from_static(b"passes") };
    ready.recv(frame.encode().to_bytes()).unwrap();
    assert_eq!(bench.log.lines(), ["other: notify passes"]);
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Ok(SendOutcome::Blocked));
    let sent = bench.transport.send_space_notify(&mem("bob"), &OTHER, Bytes::new()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));

    let counts = bench.transport.stats().blocked_message_counts;
    assert_eq!(counts.len(), 1);
    let count = counts[&mem("bob")][&SPACE];
    assert_eq!((count.incoming, count.outgoing), (1, 1));
    bench.transport.reset_block_counts();
    assert!(bench.transport.stats().blocked_message_counts.is_empty());

    list.remove(&Subject::peer(&mem("bob")), Some(&SPACE)).unwrap();
    ready.recv(notify(b"again")).unwrap();
    assert_eq!(bench.log.lines().last().unwrap(), "space: notify again");
}

#[tokio::test]
async fn a_peer_blocked_everywhere_gets_no_connection() {
    let list = list(Verdict::Allow);
    let bench = bench(&list);
    let (_space, _registration) = bench.space();
    let mut ready = bench.ready("bob").await;
    list.set(Rule::block(Subject::Key("bob".into()), "floods")).unwrap();
    bench.log.take();
    ready.recv(notify(b"late")).unwrap();
    assert!(bench.log.lines().is_empty(), "nothing passes over the connection that it has");

    let opened = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.unwrap_err();
    assert_eq!(opened, OpenError::Blocked);
    assert_eq!(opened.close().reason, "blocked", "the reason is the operator's");
    let connected = bench.transport.connect(&mem("bob")).await;
    let refused = ConnectError::Refused { by: Side::Local, reason: "blocked".into() };
    assert_eq!(connected, Err(SendError::Connect(refused)));
    assert!(bench.log.lines().is_empty(), "no handler hears of it");
    let totals = bench.transport.totals();
    assert_eq!((totals.refused_here, totals.refused_blocked), (1, 1));
}

#[tokio::test]
async fn unknown_peers_are_what_the_caller_chose() {
    for (unknown, outcome) in
        [(Verdict::Allow, SendOutcome::HandedOff), (Verdict::Block, SendOutcome::Blocked)]
    {
        let list = list(unknown);
        let bench = bench(&list);
        let (_space, _registration) = bench.space();
        let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
        assert_eq!(sent, Ok(outcome));
        let opened = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await;
        assert_eq!(opened.is_ok(), unknown == Verdict::Allow);
        list.set(Rule::allow(Subject::Key("friend".into()), "")).unwrap();
        bench.ready("friend").await.recv(notify(b"x")).unwrap();
        assert_eq!(bench.log.count("space: notify x"), 1);
    }
}

#[tokio::test]
async fn the_handlers_block_and_the_list_are_both_asked() {
    let list = list(Verdict::Allow);
    list.set(Rule::allow(Subject::Anyone, "the list has nothing against anybody")).unwrap();
    let bench = bench(&list);
    let (space, _registration) = bench.space();
    space.blocks.store(true, std::sync::atomic::Ordering::SeqCst);
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Ok(SendOutcome::Blocked));
}

#[tokio::test]
async fn a_clock_that_panics_lets_nobody_in_and_harms_nobody_else() {
    let list = Arc::new(BlockList::new(Verdict::Allow, || {
        static FIRST: std::sync::Once = std::sync::Once::new();
        let mut first = false;
        FIRST.call_once(|| first = true);
        assert!(first, "this panic belongs to the test");
        Wall::default()
    }));
    list.set(Rule::block(Subject::Key("bob".into()), "").until(Wall::from_unix_millis(1))).unwrap();
    let bench = bench(&list);
    let opened = bench.hnd.open(peer("eve"), Direction::Incoming, Wall::default()).await;
    assert_eq!(opened.unwrap_err(), OpenError::Blocked);
    assert_eq!(bench.transport.totals().handler_panics, 1);
}

#[tokio::test]
async fn a_blocked_dialer_is_told_that_it_was_refused_and_no_more() {
    let (hub, list) = (MemHub::default(), list(Verdict::Allow));
    list.set(Rule::block(Subject::Key("alice".into()), "a secret of the operator")).unwrap();
    let alice = Node::new(&hub, "alice");
    let bob = Node::built(
        "bob",
        |top| TxImpHnd::with_block_list(top, TransportConfig::default(), list).unwrap(),
        |hnd| Arc::new(MemTransport::bind(&hub, mem("bob"), hnd).unwrap()),
    );
    let error = alice.notify(&bob, b"hello").await.unwrap_err();
    assert_eq!(error.refused(), Some((Side::Remote, "blocked")));
}
