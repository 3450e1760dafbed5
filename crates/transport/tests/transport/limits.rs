//! How many connections a peer may have, and how fast it may send.

use crate::{script::*, support::*};
use bytes::Bytes;
use quorate_base::{Mono, Wall};
use quorate_transport::{
    Close, CloseCode, Direction, OpenError, OverRate, PeerViolation, Rate, RecvError, TransportConfig,
};
use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

fn rate(messages: u64, bytes: u64) -> Option<Rate> {
    let number = |value| NonZeroU64::new(value).unwrap();
    Some(Rate { messages_per_s: number(messages), bytes_per_s: number(bytes), burst: Duration::from_secs(1) })
}

fn per_key(max: usize) -> TransportConfig {
    let max_connections_per_key = NonZeroUsize::new(max).unwrap();
    TransportConfig { max_connections_per_key, ..TransportConfig::default() }
}

#[tokio::test]
async fn one_peer_never_takes_the_places_of_the_others() {
    let bench = Bench::with(per_key(2));
    let open = async |name| bench.hnd.open(peer(name), Direction::Incoming, Wall::default()).await;
    let (one, _two) = (open("bob").await.unwrap(), open("bob").await.unwrap());
    assert_eq!(open("bob").await.unwrap_err(), OpenError::TooManyConnectionsOfPeer { max: 2 });
    assert!(open("eve").await.is_ok());
    assert_eq!(bench.log.count("top: connect bob"), 2, "nobody hears of the third");
    drop(one);
    assert!(open("bob").await.is_ok());
    let totals = bench.transport.totals();
    assert_eq!((totals.refused_here, totals.refused_too_many), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dials_and_dials_never_has_more_links_than_it_may() {
    let stage = Stage::with(per_key(3));
    let mut links: Vec<_> = (0..20).map(|_| stage.incoming("far", 1)).collect();
    for link in links.split_off(3) {
        let mut link = link;
        let words = Close::new(CloseCode::Refused, "too many connections of one peer");
        assert_eq!(link.last_words().await, Some(words));
    }
    assert_eq!(stage.node.transport.totals().refused_too_many, 17);
    drop(links);
    settle().await;
    stage.guest("far").await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_too_fast_is_slowed_down_and_loses_nothing() {
    let config = TransportConfig { peer_rate: rate(100, 1 << 20), ..TransportConfig::default() };
    let stage = Stage::with(config);
    let (fast, slow) = (stage.guest("fast").await, stage.guest("slow").await);
    for _ in 0..300 {
        fast.send(notify(b"f"));
    }
    settle().await;
    let early = stage.node.log.count("space: notify f");
    assert!((100..=101).contains(&early), "a burst of 100, not {early}");
    slow.send(notify(b"s"));
    stage.node.log.wait_for("space: notify s").await;
    assert!(stage.node.log.count("space: notify f") <= 101, "the other peer waited for nobody");

    let begin = tokio::time::Instant::now();
    stage
        .node
        .log
        .wait_until(|lines| lines.iter().filter(|line| **line == "space: notify f").count() == 300)
        .await;
    let took = begin.elapsed().as_secs_f64();
    assert!((1.9..2.2).contains(&took), "200 messages at 100 a second took {took} virtual seconds");
    assert!(stage.node.transport.totals().slowed > 0);
    assert_eq!(stage.node.transport.totals().violations.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_as_messages_are() {
    let config = TransportConfig { peer_rate: rate(1_000_000, 1_000), ..TransportConfig::default() };
    let stage = Stage::with(config);
    let far = stage.guest("far").await;
    let big = Bytes::from(vec![7; 990]);
    let frame = quorate_wire::Frame::Notify { space: SPACE, data: big }.encode().to_bytes();
    let begin = tokio::time::Instant::now();
    for _ in 0..3 {
        far.send(frame.clone());
    }
    far.send(notify(b"last"));
    stage.node.log.wait_for("space: notify last").await;
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_the_config_says_so_a_peer_that_is_too_fast_is_disconnected() {
    let config = TransportConfig {
        peer_rate: rate(10, 1 << 20),
        over_rate: OverRate::Disconnect,
        ..TransportConfig::default()
    };
    let stage = Stage::with(config);
    let mut far = stage.guest("far").await;
    for _ in 0..12 {
        far.send(notify(b"x"));
    }
    let words = Close::new(CloseCode::Violation, PeerViolation::TooFast.to_string());
    assert_eq!(far.last_words().await, Some(words));
    assert_eq!(stage.node.log.count("space: notify x"), 10);
    assert_eq!(stage.node.transport.totals().violations.too_fast, 1);

    // Coming back is no way around it.
    let mut again = stage.guest("far").await;
    again.send(notify(b"x"));
    assert!(again.last_words().await.is_some_and(|close| close.code == CloseCode::Violation));
}

#[tokio::test(start_paused = true)]
async fn a_space_that_gets_too_much_slows_its_senders_and_disconnects_nobody() {
    let config = TransportConfig {
        peer_rate: None,
        space_rate: rate(100, 1 << 20),
        over_rate: OverRate::Disconnect,
        ..TransportConfig::default()
    };
    let stage = Stage::with(config);
    let (one, two) = (stage.guest("one").await, stage.guest("two").await);
    let begin = tokio::time::Instant::now();
    for _ in 0..150 {
        one.send(notify(b"x"));
        two.send(notify(b"x"));
    }
    stage
        .node
        .log
        .wait_until(|lines| lines.iter().filter(|line| **line == "space: notify x").count() == 300)
        .await;
    let took = begin.elapsed().as_secs_f64();
    assert!((1.8..2.2).contains(&took), "200 messages beyond the burst took {took} virtual seconds");
    assert_eq!(stage.node.transport.totals().violations.total(), 0);
}

#[tokio::test]
async fn a_connection_that_nobody_charges_is_never_limited() {
    let config =
        TransportConfig { peer_rate: rate(1, 1), space_rate: rate(1, 1), ..TransportConfig::default() };
    let bench = Bench::with(config);
    let (_space, _registration) = bench.space();
    let mut ready = bench.ready("bob").await;
    for _ in 0..10 {
        ready.recv(notify(b"x")).unwrap();
    }
    assert_eq!(bench.log.count("space: notify x"), 10);
    assert!(!ready.charge(Mono::ZERO, 1, 1).unwrap().is_zero(), "the space is charged all the same");
}

#[tokio::test]
async fn what_is_too_fast_ends_the_connection_for_good() {
    let config = TransportConfig {
        peer_rate: rate(1, 1),
        over_rate: OverRate::Disconnect,
        ..TransportConfig::default()
    };
    let bench = Bench::with(config);
    let mut ready = bench.ready("bob").await;
    let error = ready.charge(Mono::ZERO, 5, 5).unwrap_err();
    assert_eq!(error, RecvError::Violation(PeerViolation::TooFast));
    assert_eq!(ready.recv(notify(b"x")), Err(RecvError::Ended));
    drop(ready);
    assert_eq!(bench.log.count("top: disconnect bob (more came than the rate of this node allows)"), 1);
}
