//! The driver: one dial, one connection, one queue per peer, and an end that everybody hears of.

use crate::{script::*, support::*};
use bytes::Bytes;
use quorate_transport::{
    AuthenticatedPeer, Close, CloseCode, ConfigError, ConnectError, DialError, LinkError, MemHub,
    MemTransport, OpenError, PeerViolation, SendError, SendOutcome, Side, TransportConfig, TxImpHnd,
};
use std::{future::poll_fn, num::NonZeroUsize, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{join, time::timeout};

fn graceful(reason: &str) -> Close {
    Close::new(CloseCode::Graceful, reason)
}

fn refused(by: Side, reason: &str) -> Result<(), SendError> {
    Err(ConnectError::Refused { by, reason: reason.into() }.into())
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_always_learns_why() {
    let hub = MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    *b.space.veto.lock().unwrap() = Some("not in this space");
    assert_eq!(a.transport.connect(&b.url).await, refused(Side::Remote, "not in this space"));
    *b.space.veto.lock().unwrap() = None;
    *b.top.reject.lock().unwrap() = Some("wrong version");
    assert_eq!(a.notify(&b, b"lost").await, refused(Side::Remote, "wrong version"));
    b.log.wait_for("top: disconnect a (wrong version)").await;
    a.log.wait_for("top: disconnect b (wrong version)").await;
    *b.top.reject.lock().unwrap() = None;
    *a.top.reject.lock().unwrap() = Some("too old");
    assert_eq!(a.transport.connect(&b.url).await, refused(Side::Local, "too old"));
    b.log.wait_for("top: disconnect a (too old)").await;
    assert_eq!(b.log.count("space: notify lost"), 0);
    assert_eq!((a.transport.totals().refused_by_peer, b.transport.totals().refused_by_peer), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_peer_is_accepted() {
    let stage = Stage::new();
    let script = async {
        let mut far = stage.dial().await.link();
        assert_eq!(far.frame().await, preflight(b"node"));
        settle().await;
        assert!(far.nothing_yet(), "data went before the peer was accepted");
        far.send(preflight(b"far"));
        assert_eq!(far.frame().await, notify(b"data"));
    };
    let (sent, ()) = join!(stage.send("far", b"data"), script);
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_sends_at_once_never_dial_twice() {
    let stage = Stage::new();
    let script = async {
        let mut far = stage.dial().await.link();
        settle().await;
        assert!(stage.no_dial());
        far.welcome().await;
        let mut frames = [far.frame().await, far.frame().await, far.frame().await];
        frames.sort();
        assert_eq!(frames, [notify(b"1"), notify(b"2"), notify(b"3")]);
    };
    let (one, two, three, ()) =
        join!(stage.send("far", b"1"), stage.send("far", b"2"), stage.send("far", b"3"), script);
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn one_failed_dial_fails_all_who_waited_for_it() {
    let stage = Stage::new();
    let unreachable = DialError::Unreachable { reason: "no route".into() };
    let script = async {
        let dial = stage.dial().await;
        settle().await;
        dial.answer(Err(unreachable.clone()));
    };
    let (one, two, ()) = join!(stage.connect("far"), stage.send("far", b"1"), script);
    let wanted = Err(ConnectError::Dial(unreachable.clone()).into());
    assert_eq!((&one, &two), (&wanted, &wanted));
    assert!(stage.no_dial());
    stage.node.log.wait_for("space: unresponsive far").await;
    assert_eq!(stage.node.log.lines(), ["space: unresponsive far"], "once, and no connection was announced");
    stage.dialed("far").await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_given_up_gives_up_nobody_else() {
    let stage = Stage::new();
    assert!(timeout(Duration::from_secs(1), stage.send("far", b"impatient")).await.is_err());
    let script = async {
        let mut far = stage.dial().await.link();
        far.welcome().await;
        assert_eq!(far.frame().await, notify(b"patient"));
    };
    let (sent, ()) = join!(stage.send("far", b"patient"), script);
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_introduces_itself_is_given_up() {
    let stage = Stage::new();
    let script = async {
        let mut far = stage.dial().await.link();
        far.last_words().await
    };
    let (connected, words) = join!(stage.connect("far"), script);
    assert_eq!(connected, Err(ConnectError::Violation(PeerViolation::PreflightTimeout).into()));
    assert_eq!(words.unwrap().code, CloseCode::Violation);
    let mut silent = stage.incoming("silent", 10);
    assert_eq!(silent.last_words().await.unwrap().reason, "the preflights took too long");
    stage.node.log.wait_for("top: disconnect silent").await;
    assert_eq!(stage.node.transport.totals().violations.preflight_timeout, 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_is_closed_and_told() {
    let stage = Stage::new();
    let mut eager = stage.incoming("eager", 10);
    eager.send(notify(b"data first"));
    let words = Close::new(CloseCode::Violation, "the first frame must be a preflight, not a notify frame");
    assert_eq!(eager.last_words().await, Some(words));

    let mut twice = stage.guest("twice").await;
    twice.send(preflight(b"again"));
    assert_eq!(twice.last_words().await.unwrap().code, CloseCode::Violation);

    let mut broken = stage.guest("broken").await;
    broken.end(PeerViolation::TooLarge { len: 100 << 20, max: 5 }.into());
    assert_eq!(broken.last_words().await.unwrap().code, CloseCode::Violation);

    settle().await;
    let violations = stage.node.transport.totals().violations;
    assert_eq!((violations.not_preflight, violations.second_preflight, violations.too_large), (1, 1, 1));
    assert!(stage.node.transport.connected_peers().is_empty());
    assert_eq!(stage.node.log.count("space: notify data first"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_never_holds_up_another() {
    let stage = Stage::with(TransportConfig {
        queue_bytes: NonZeroUsize::new(64 << 10).unwrap(),
        ..TransportConfig::default()
    });
    let mut slow = stage.incoming("slow", 1);
    slow.send(preflight(b"far"));
    assert_eq!(slow.frame().await, preflight(b"node"));
    let mut quick = stage.guest("quick").await;
    settle().await;

    let mut taken = 0;
    while stage.try_send("slow", vec![taken; 10 << 10]) == Ok(SendOutcome::HandedOff) {
        taken += 1;
        settle().await;
    }
    assert!((6..10).contains(&taken), "{taken} frames of 10 KiB in a queue of 64 KiB");
    assert_eq!(stage.try_send("slow", "x".repeat(10 << 10)), Err(SendError::Full));
    let (url, space, data) = (mem("slow"), SPACE, Bytes::from(vec![taken; 10 << 10]));
    let mut last = pin!(stage.node.transport.send_space_notify(&url, &space, data));
    let waits = poll_fn(|context| Poll::Ready(last.as_mut().poll(context).is_pending())).await;
    assert!(waits, "there is no room");
    stage.send("quick", b"hello").await.unwrap();
    assert_eq!(quick.frame().await, notify(b"hello"));

    let read = async {
        for number in 0..=taken {
            let frame = slow.frame().await;
            assert_eq!(frame[frame.len() - 10], number, "in order, none lost");
        }
    };
    let (last, ()) = join!(last, read);
    assert_eq!(last, Ok(SendOutcome::HandedOff));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_wait_begins_to_dial() {
    let stage = Stage::new();
    assert_eq!(stage.try_send("far", "dropped"), Err(SendError::Full));
    let mut far = stage.dial().await.link();
    assert_eq!(stage.try_send("far", "dropped"), Err(SendError::Full));
    far.welcome().await;
    settle().await;
    assert_eq!(stage.try_send("far", "taken"), Ok(SendOutcome::HandedOff));
    assert_eq!(far.frame().await, notify(b"taken"));
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_loses_nothing_that_was_handed_off_and_both_sides_hear_the_reason() {
    let hub = MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    for _ in 0..500 {
        a.notify(&b, b"x").await.unwrap();
    }
    a.transport.disconnect(&b.url, Some("test-reason")).await;
    a.log.wait_for("top: disconnect b (test-reason)").await;
    b.log.wait_for("top: disconnect a (test-reason)").await;
    assert_eq!(b.log.count("space: notify x"), 500);
    assert!(a.transport.stats().transport_stats.connections.is_empty());
    let (ours, theirs) = (a.transport.totals(), b.transport.totals());
    assert_eq!(
        (ours.send_message_count, theirs.recv_message_count),
        (501, 501),
        "totals outlive connections"
    );
    assert_eq!((ours.send_bytes, theirs.recv_bytes), (theirs.recv_bytes, ours.send_bytes));
    settle().await;
    assert!(!a.log.lines().iter().chain(&b.log.lines()).any(|line| line.contains("unresponsive")));
    a.notify(&b, b"again").await.unwrap();
    b.log.wait_for("space: notify again").await;
}

#[tokio::test(start_paused = true)]
async fn a_send_during_a_disconnect_is_never_lost_in_the_old_connection() {
    let hub = MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    for round in 1..50 {
        a.notify(&b, b"before").await.unwrap();
        let ((), after) = join!(a.transport.disconnect(&b.url, None), a.notify(&b, b"after"));
        after.unwrap();
        b.log
            .wait_until(|lines| lines.iter().filter(|line| *line == "space: notify after").count() == round)
            .await;
        assert_eq!(b.log.count("space: notify before"), round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_marks_the_peer_unresponsive_and_a_goodbye_does_not() {
    let stage = Stage::new();
    let far = stage.dialed("far").await;
    drop(far);
    stage.node.log.wait_for("space: unresponsive far").await;
    assert_eq!(stage.node.log.count("top: disconnect far"), 1, "without a reason");
    stage.node.log.take();

    let far = stage.dialed("far").await;
    far.end(LinkError::Closed(graceful("bye")));
    stage.node.log.wait_for("top: disconnect far (bye)").await;
    let mut far = stage.dialed("far").await;
    far.send(quorate_wire::Frame::Disconnect { reason: "in words".into() }.encode().to_bytes());
    stage.node.log.wait_for("top: disconnect far (in words)").await;
    assert_eq!(far.last_words().await.unwrap().code, CloseCode::Graceful);
    settle().await;
    assert_eq!(stage.node.log.count("space: unresponsive far"), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_a_dial_is_never_taken_for_another() {
    let stage = Stage::new();
    let script = async {
        let dial = stage.dial().await;
        let (link, far) = link(10);
        dial.answer(Ok((peer("mallory"), link)));
        far
    };
    let (connected, mut far) = join!(stage.connect("far"), script);
    assert_eq!(connected, Err(ConnectError::Dial(DialError::WrongPeer { found: "mallory".into() }).into()));
    assert_eq!(far.next().await, None, "not even our preflight");
}

#[tokio::test(start_paused = true)]
async fn a_url_without_a_peer_and_our_own_url_are_errors() {
    let stage = Stage::new();
    let nobody = stage.node.transport.connect(&url("mem://host:1")).await.unwrap_err();
    assert!(matches!(nobody, SendError::Connect(ConnectError::Dial(DialError::InvalidUrl { .. }))));
    assert_eq!(stage.connect("node").await, Err(ConnectError::Dial(DialError::OwnUrl).into()));
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_are_refused_with_a_reason() {
    let max_connections = NonZeroUsize::new(2).unwrap();
    let stage = Stage::with(TransportConfig { max_connections, ..TransportConfig::default() });
    let (_one, _two) = (stage.guest("one").await, stage.guest("two").await);
    let mut three = stage.incoming("three", 10);
    assert_eq!(three.last_words().await, Some(Close::new(CloseCode::Refused, "too many connections")));
    let too_many = OpenError::TooManyConnections { max: 2 };
    assert_eq!(stage.connect("four").await, Err(ConnectError::Open(too_many).into()));
    stage.node.transport.disconnect(&mem("one"), None).await;
    stage.guest("three").await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything_politely_and_nothing_begins_after_it() {
    let stage = Stage::new();
    let (mut one, mut two) = (stage.guest("one").await, stage.dialed("two").await);
    let mut half_open = stage.incoming("three", 10);
    stage.send("one", b"last").await.unwrap();
    settle().await;
    stage.node.transport.close().await;
    assert_eq!(one.frame().await, notify(b"last"));
    for far in [&mut one, &mut two, &mut half_open] {
        assert_eq!(far.last_words().await, Some(graceful("closing")));
    }
    assert_eq!(stage.send("one", b"late").await, Err(SendError::Closed));
    let mut late = stage.incoming("late", 10);
    assert_eq!(late.last_words().await, Some(graceful("closing")));
    let totals = stage.node.transport.totals();
    assert_eq!((totals.connections_opened, totals.connections_ended), (3, 3));
    stage.node.transport.close().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_connections() {
    let stage = Stage::new();
    let mut far = stage.guest("one").await;
    let Stage { node, sessions, .. } = stage;
    let Node { transport, log, .. } = node;
    drop((transport, sessions));
    assert_eq!(far.last_words().await, Some(graceful("")));
    log.wait_for("top: disconnect one").await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_panics_ends_its_own_connection_only() {
    let stage = Stage::new();
    let (mut one, mut two) = (stage.guest("one").await, stage.guest("two").await);
    stage.send("one", b"sink panics").await.unwrap();
    stage.node.log.wait_until(|lines| lines.iter().any(|line| line.starts_with("top: disconnect one"))).await;
    stage.send("two", b"fine").await.unwrap();
    assert_eq!(two.frame().await, notify(b"fine"));
    assert!(one.last_words().await.is_some());
    settle().await;
    assert_eq!(stage.node.transport.totals().dropped_unsent, 1);
    stage.guest("one").await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_up_tells_the_peer_why() {
    let stage = Stage::new();
    let mut far = stage.guest("far").await;
    *stage.node.space.hangs_up.lock().unwrap() = Some("spam");
    far.send(notify(b"buy"));
    assert_eq!(far.last_words().await, Some(Close::new(CloseCode::Refused, "spam")));
    stage.node.log.wait_for("top: disconnect far (spam)").await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_wakes_those_who_wait_for_room_and_they_dial_anew() {
    let stage = Stage::with(TransportConfig {
        queue_bytes: NonZeroUsize::new(1 << 10).unwrap(),
        ..TransportConfig::default()
    });
    let mut stuck = stage.incoming("far", 1);
    stuck.send(preflight(b"far"));
    assert_eq!(stuck.frame().await, preflight(b"node"));
    settle().await;
    while stage.try_send("far", vec![0; 1_000]).is_ok() {
        settle().await;
    }
    let script = async {
        settle().await;
        stuck.end(LinkError::broken("reset"));
        let mut far = stage.dial().await.link();
        far.welcome().await;
        assert_eq!(far.frame().await, notify(b"waited"));
    };
    let (sent, ()) = join!(stage.send("far", b"waited"), script);
    sent.unwrap();
    assert!(stage.node.transport.totals().dropped_unsent > 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_its_way_out_is_never_taken_for_a_ready_one() {
    let stage = Stage::new();
    let mut old = stage.incoming("far", 1);
    old.send(preflight(b"far"));
    assert_eq!(old.frame().await, preflight(b"node"));
    settle().await;
    stage.send("far", b"fills the link").await.unwrap();
    settle().await;
    old.send(preflight(b"again"));
    stage.node.log.wait_until(|lines| lines.iter().any(|line| line.starts_with("top: disconnect far"))).await;
    // The link is full, so the last words of the old connection wait.
    let script = async {
        let mut far = stage.dial().await.link();
        far.welcome().await;
        assert_eq!(far.frame().await, notify(b"new"));
        far
    };
    let connect_and_send = async {
        stage.connect("far").await.unwrap();
        assert_eq!(stage.try_send("far", "new"), Ok(SendOutcome::HandedOff));
    };
    let (_far, ()) = join!(script, connect_and_send);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dials_while_we_disconnect_gets_a_connection_that_works() {
    let stage = Stage::new();
    let mut old = stage.incoming("far", 1);
    old.send(preflight(b"far"));
    assert_eq!(old.frame().await, preflight(b"node"));
    settle().await;
    stage.send("far", b"fills the link").await.unwrap();
    stage.send("far", b"waits").await.unwrap();
    let transport = stage.node.transport.clone();
    let disconnect = tokio::spawn(async move { transport.disconnect(&mem("far"), Some("bye")).await });
    settle().await;
    let mut new = stage.guest("far").await;
    disconnect.await.unwrap();
    let sent = timeout(Duration::from_secs(60), stage.send("far", b"over the new one")).await;
    sent.expect("it never gets there").unwrap();
    assert_eq!(new.frame().await, notify(b"over the new one"));
    assert_eq!(stage.node.transport.connected_peers(), [mem("far")]);
}

#[tokio::test]
async fn a_transport_keyed_by_urls_must_be_allowed_to() {
    let hub = MemHub::default();
    let log = Log::new();
    let strict = TxImpHnd::new(Probe::new("top", &log), TransportConfig::default()).unwrap();
    let bound = MemTransport::bind(&hub, url("mem://host:1"), strict);
    assert_eq!(bound.err(), Some(ConfigError::Unauthenticated));
    let config = TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() };
    let make = |at: &'static str| {
        Node::on("anonymous", config.clone(), |hnd| Arc::new(MemTransport::bind(&hub, url(at), hnd).unwrap()))
    };
    let (a, b) = (make("mem://a:1"), make("mem://b:1"));
    let sent = a.transport.send_space_notify(&url("mem://b:1"), &SPACE, Bytes::from_static(b"hi")).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    b.log.wait_for("space: notify hi").await;
    assert_eq!(b.transport.connected_peers(), [url("mem://a:1")]);
    assert_eq!(AuthenticatedPeer::unauthenticated(url("mem://a:1")).key(), None);
}

#[tokio::test(start_paused = true)]
async fn stats_count_frames_and_bytes_on_the_wire() {
    let hub = MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    a.notify(&b, b"12345").await.unwrap();
    b.log.wait_for("space: notify 12345").await;
    settle().await;
    let stats = a.transport.stats().transport_stats;
    assert_eq!((stats.backend.as_str(), stats.peer_urls), ("mem", vec![a.url.clone()]));
    let [connection] = &stats.connections[..] else { panic!("one connection") };
    let (hello, data) = (preflight(b"a").len() as u64, notify(b"12345").len() as u64);
    assert_eq!((connection.pub_key.as_str(), connection.is_direct), ("b", true));
    assert_eq!((connection.send_message_count, connection.send_bytes), (2, hello + data));
    assert_eq!((connection.recv_message_count, connection.recv_bytes), (1, hello));
    assert!(connection.opened_at_s > 1_700_000_000);
    let far = b.transport.stats();
    assert_eq!(far.transport_stats.connections[0].recv_bytes, hello + data);
    assert_eq!(far.totals.recv_bytes, hello + data, "connections that live count in the totals");
}
