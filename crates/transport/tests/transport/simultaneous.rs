//! Two that dial each other end with one connection, and nothing that was queued is lost.

use crate::{script::*, support::*};
use quorate_transport::{CloseCode, ConnectError, LinkError, MemHub, SendOutcome, TransportConfig};
use quorate_wire::Frame;
use std::{num::NonZeroUsize, time::Duration};
use tokio::{join, time::timeout};

fn superseded() -> LinkError {
    LinkError::closed(CloseCode::Superseded, "superseded by preferred connection")
}

#[tokio::test(start_paused = true)]
async fn first_sends_that_cross_are_all_delivered_once() {
    for _ in 0..50 {
        let hub = MemHub::default();
        let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
        let (one, two, three, four) =
            join!(a.notify(&b, b"1"), b.notify(&a, b"2"), a.notify(&b, b"3"), b.notify(&a, b"4"));
        assert_eq!((one, two, three, four), (Ok(()), Ok(()), Ok(()), Ok(())));
        b.log.wait_for("space: notify 3").await;
        a.log.wait_for("space: notify 4").await;
        settle().await;
        for (node, lines) in
            [(&a, ["space: notify 2", "space: notify 4"]), (&b, ["space: notify 1", "space: notify 3"])]
        {
            assert_eq!(lines.map(|line| node.log.count(line)), [1, 1]);
            assert_eq!(node.transport.connected_peers().len(), 1);
            assert!(!node.log.lines().iter().any(|line| line.contains("unresponsive")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_sends_that_cross_on_two_threads_are_all_delivered() {
    for _ in 0..200 {
        let hub = MemHub::default();
        let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
        let (ours, theirs) = (a.transport.clone(), b.transport.clone());
        let from_a = tokio::spawn(async move { ours.send_space_notify(&mem("b"), &SPACE, "1".into()).await });
        let from_b =
            tokio::spawn(async move { theirs.send_space_notify(&mem("a"), &SPACE, "2".into()).await });
        assert_eq!(from_a.await.unwrap(), Ok(SendOutcome::HandedOff));
        assert_eq!(from_b.await.unwrap(), Ok(SendOutcome::HandedOff));
        b.log.wait_for("space: notify 1").await;
        a.log.wait_for("space: notify 2").await;
        join!(a.transport.close(), b.transport.close());
    }
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_the_larger_key_dialed_stays() {
    // "node" is larger than "far": ours stays.
    let stage = Stage::new();
    let script = async {
        let mut ours = stage.dial().await.link();
        let mut theirs = stage.incoming("far", 10);
        assert_eq!(theirs.last_words().await.unwrap().code, CloseCode::Superseded);
        ours.welcome().await;
        ours
    };
    let (connected, _ours) = join!(stage.connect("far"), script);
    connected.unwrap();

    // "node" is smaller than "zoe": theirs stays, and our dial is given up.
    let script = async {
        let ours = stage.dial().await;
        let theirs = stage.guest("zoe").await;
        assert!(ours.is_given_up());
        theirs
    };
    let (sent, mut theirs) = join!(stage.send("zoe", b"over theirs"), script);
    sent.unwrap();
    assert_eq!(theirs.frame().await, notify(b"over theirs"));
    assert_eq!(stage.node.transport.connected_peers(), [mem("far"), mem("zoe")]);
}

#[tokio::test(start_paused = true)]
async fn a_loser_waits_for_the_winner_and_its_senders_never_notice() {
    let stage = Stage::new();
    let script = async {
        let mut ours = stage.dial().await.link();
        assert_eq!(ours.frame().await, preflight(b"node"));
        ours.end(superseded());
        settle().await;
        let mut theirs = stage.guest("zoe").await;
        assert_eq!(theirs.frame().await, notify(b"patience"));
    };
    let (sent, ()) = join!(stage.send("zoe", b"patience"), script);
    sent.unwrap();
    assert!(stage.no_dial());
    assert_eq!(stage.node.log.count("space: unresponsive zoe"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_loser_whose_winner_never_comes_dials_again_and_gives_up_in_the_end() {
    let stage = Stage::new();
    let script = async {
        for _ in 0..3 {
            let mut ours = stage.dial().await.link();
            assert_eq!(ours.frame().await, preflight(b"node"));
            ours.end(superseded());
        }
    };
    let limited = timeout(Duration::from_secs(10), stage.connect("zoe"));
    let (connected, ()) = join!(limited, script);
    assert_eq!(connected.unwrap(), Err(ConnectError::Superseded.into()));
    assert!(stage.no_dial());
}

#[tokio::test(start_paused = true)]
async fn frames_that_were_queued_but_not_written_go_to_the_winner_in_order() {
    let stage = Stage::with(TransportConfig {
        queue_bytes: NonZeroUsize::new(1 << 20).unwrap(),
        ..TransportConfig::default()
    });
    let mut old = stage.incoming("zoe", 1);
    old.send(preflight(b"far"));
    assert_eq!(old.frame().await, preflight(b"node"));
    settle().await;
    for half in [0..50_u8, 50..100] {
        for number in half {
            assert_eq!(stage.try_send("zoe", vec![number]), Ok(SendOutcome::HandedOff));
        }
        settle().await;
    }
    // One frame is in the old link; the rest of the first half is in the writer's hands, the second in the queue.
    let mut new = stage.guest("zoe").await;
    stage.send("zoe", b"d").await.unwrap();
    let mut numbers = Vec::new();
    while let Some(Item::Frame(frame)) = old.next().await {
        numbers.push(payload(frame));
    }
    while numbers.len() < 101 {
        numbers.push(payload(new.frame().await));
    }
    assert_eq!(numbers, (0..=100).collect::<Vec<_>>());
    assert_eq!(stage.node.transport.totals().dropped_unsent, 0);
}

fn payload(frame: bytes::Bytes) -> u8 {
    Frame::decode(frame).unwrap().data()[0]
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_sent_before_it_dialed_again_is_heard_first() {
    let stage = Stage::new();
    let old = stage.guest("zoe").await;
    for data in [&b"1"[..], b"2", b"3"] {
        old.send(notify(data));
    }
    let _new = stage.guest("zoe").await;
    let log = stage.node.log.lines().into_iter();
    let heard: Vec<_> =
        log.filter(|line| !line.starts_with("module: ") && !line.starts_with("space: connect")).collect();
    let wanted = [
        "top: connect zoe",
        "top: preflight far",
        "space: notify 1",
        "space: notify 2",
        "space: notify 3",
        "space: disconnect zoe (superseded by preferred connection)",
        "top: disconnect zoe (superseded by preferred connection)",
        "top: connect zoe",
        "top: preflight far",
    ];
    assert_eq!(heard, wanted, "and never are two connections to one peer announced at once");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_came_back_is_let_in_while_the_old_connection_still_seems_alive() {
    // Ours stays when two cross, so a peer that lost ours has to insist.
    let stage = Stage::new();
    let _lost = stage.dialed("far").await;
    let mut first = stage.incoming("far", 10);
    assert_eq!(first.last_words().await.unwrap().code, CloseCode::Superseded);
    let mut second = stage.guest("far").await;
    stage.send("far", b"welcome back").await.unwrap();
    assert_eq!(second.frame().await, notify(b"welcome back"));
}
