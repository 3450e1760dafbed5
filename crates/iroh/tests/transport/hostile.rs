//! Peers that have a key and no manners.

use crate::{
    node, plain,
    stranger::{Stranger, closed, dial, introduction, introduction_of},
};
use quorate_iroh::IrohConfig;
use quorate_testkit::transport::{Event, Node};
use quorate_transport::{CloseCode, PeerViolation, TransportConfig};
use quorate_wire::{Frame, PeerUrl, StreamLimits, stream::encode_data};
use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};
use tokio::net::UdpSocket;

/// A limit that a test lets expire.
const SHORT: Duration = Duration::from_millis(200);

pub(crate) fn data(payload: &[u8]) -> Vec<u8> {
    let space = quorate_testkit::transport::SPACE;
    let frame = Frame::Notify { space, data: payload.to_vec().into() }.into_encoded();
    encode_data(frame, &StreamLimits::default()).unwrap().to_bytes().to_vec()
}

/// That a well-behaved peer is served as if nothing had been.
async fn still_serves(node: &mut Node) {
    let friend = plain().await;
    friend.notify(node, "hello").await;
    assert_eq!(node.next_data().await, "hello");
}

#[tokio::test]
async fn a_stranger_with_manners_is_a_peer() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    let (mut call, _theirs) = stranger.introduced(&node.url()).await;
    assert_eq!(node.next().await, Event::Connect { peer: stranger.url() });
    call.stream.write_all(&data(b"hi")).await.unwrap();
    assert_eq!(node.next_data().await, "hi");
}

#[tokio::test]
async fn nobody_speaks_under_the_url_of_another() {
    let (mut node, victim, stranger) = (plain().await, plain().await, Stranger::new().await);
    let call = stranger.call(&node.url(), &introduction(&victim.url())).await;
    let (code, reason) = call.closed().await;
    assert_eq!(code, CloseCode::Violation);
    assert!(reason.contains("does not belong to the key"), "{reason}");
    assert!(node.transport.connected_peers().is_empty());
    assert_eq!(node.transport.totals().violations.total(), 1);

    // The handlers never heard of it: the first that they hear of is the victim itself.
    victim.notify(&node, "it is me").await;
    assert_eq!(node.next().await, Event::Connect { peer: victim.url() });
}

#[tokio::test]
async fn who_answers_cannot_speak_under_the_url_of_another_either() {
    let (node, victim) = (plain().await, plain().await);
    let stranger = Stranger::new().await;
    stranger.endpoint.set_alpns(vec![quorate_iroh::Protocol::Quorate.alpn().to_vec()]);
    let endpoint = stranger.endpoint.clone();
    let lie = introduction(&victim.url());
    let answering = tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&lie).await.unwrap();
        closed(&connection).await
    });
    let error = node.transport.connect(&stranger.url()).await.unwrap_err();
    assert!(error.to_string().contains("does not belong to the key"), "{error}");
    assert_eq!(answering.await.unwrap().0, CloseCode::Violation);
}

#[tokio::test]
async fn what_is_no_introduction_is_a_violation() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    let wrong_scheme = format!("ws://127.0.0.1:1/{}", stranger.endpoint.id()).parse().unwrap();
    let url = stranger.url();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("a notify inside", introduction_of(&url, &[8, 2, 26, 0]), "must be a preflight, not a notify frame"),
        ("nothing inside", introduction_of(&url, &[]), "must be a preflight"),
        ("no frame inside", introduction_of(&url, &[0xff]), "ends inside a field"),
        ("data first", data(b"hi"), "must be a preflight, not a notify frame"),
        ("an unknown type", vec![9], "unknown type 9"),
        ("too large", vec![0, 0xff, 0xff, 0xff, 0xff], "are allowed"),
        ("no URL", vec![0, 0, 0, 0, 4, 0, 0, 0, 0], "invalid URL"),
        ("a short one", vec![0, 0, 0, 0, 1, 0], "ends inside its URL"),
        ("another transport's URL", introduction(&wrong_scheme), "invalid URL"),
    ];
    let count = cases.len() as u64;
    for (name, bytes, words) in cases {
        let call = stranger.call(&node.url(), &bytes).await;
        let (code, reason) = call.closed().await;
        assert_eq!(code, CloseCode::Violation, "{name}");
        assert!(reason.contains(words), "{name}: {reason}");
    }
    assert_eq!(node.transport.totals().violations.total(), count);
    still_serves(&mut node).await;
}

#[tokio::test]
async fn what_breaks_the_stream_later_is_a_violation() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("a preflight as data", vec![1, 0, 0, 0, 2, 8, 1], "one preflight"),
        ("a second introduction", introduction(&stranger.url()), "one preflight"),
        ("an unknown type", vec![7], "unknown type 7"),
        ("too large", vec![1, 0xff, 0xff, 0xff, 0xff], "are allowed"),
        ("no frame", vec![1, 0, 0, 0, 1, 0xff], "ends inside a field"),
    ];
    for (name, bytes, words) in cases {
        let (mut call, _theirs) = stranger.introduced(&node.url()).await;
        call.stream.write_all(&[data(b"before"), bytes].concat()).await.unwrap();
        assert_eq!(node.next_data().await, "before", "{name}: what came whole is handed on");
        let (code, reason) = call.closed().await;
        assert_eq!(code, CloseCode::Violation, "{name}");
        assert!(reason.contains(words), "{name}: {reason}");
        node.expect_disconnect(&stranger.url()).await;
    }
    still_serves(&mut node).await;
}

#[tokio::test]
async fn a_frame_that_never_ends_ends_the_connection() {
    let core = TransportConfig { frame_time: SHORT, ..TransportConfig::default() };
    let (mut node, stranger) = (node(IrohConfig::default(), core).await, Stranger::new().await);
    let (mut call, _theirs) = stranger.introduced(&node.url()).await;
    call.stream.write_all(&[data(b"whole"), data(b"half")[..8].to_vec()].concat()).await.unwrap();
    assert_eq!(node.next_data().await, "whole");
    let (code, reason) = call.closed().await;
    assert_eq!((code, reason), (CloseCode::Violation, PeerViolation::FrameTimeout.to_string()));
    node.expect_disconnect(&stranger.url()).await;
    still_serves(&mut node).await;
}

#[tokio::test]
async fn whole_frames_with_pauses_between_them_are_no_offence() {
    let core = TransportConfig { frame_time: Duration::from_millis(50), ..TransportConfig::default() };
    let (mut node, stranger) = (node(IrohConfig::default(), core).await, Stranger::new().await);
    let (mut call, _theirs) = stranger.introduced(&node.url()).await;
    for _ in 0..3 {
        call.stream.write_all(&data(b"whole")).await.unwrap();
        assert_eq!(node.next_data().await, "whole");
        // Longer than a frame may take, with no frame on its way.
        tokio::time::timeout(SHORT, call.connection.closed()).await.unwrap_err();
    }
}

#[tokio::test]
async fn who_does_not_introduce_itself_is_dropped() {
    let core = TransportConfig { preflight_time: SHORT, ..TransportConfig::default() };
    let (mut node, stranger) = (node(IrohConfig::default(), core).await, Stranger::new().await);
    let silent = stranger.connect(&node.url()).await;
    let slow = stranger.call(&node.url(), &introduction(&stranger.url())[..20]).await;
    let expected = (CloseCode::Violation, "the preflights took too long".to_owned());
    assert_eq!(closed(&silent).await, expected);
    assert_eq!(slow.closed().await, expected);
    still_serves(&mut node).await;
}

#[tokio::test]
async fn silent_strangers_hold_up_nobody() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(stranger.connect(&node.url()).await);
    }
    still_serves(&mut node).await;
    assert!(silent.iter().all(|connection| connection.close_reason().is_none()), "they are still waiting");
}

/// Passes on what comes to it, and nothing that comes back.
async fn one_way_street(to: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = [0; 2_048];
        while let Ok((len, from)) = socket.recv_from(&mut datagram).await {
            if from != to {
                socket.send_to(&datagram[..len], to).await.unwrap();
            }
        }
    });
    addr
}

#[tokio::test]
async fn dialers_that_never_finish_their_handshake_hold_up_nobody() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    let to = node.url();
    let street = one_way_street(to.socket_addr().unwrap()).await;
    let slow: PeerUrl = format!("quic://{street}/{}", to.peer_id().unwrap()).parse().unwrap();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let (endpoint, slow) = (stranger.endpoint.clone(), slow.clone());
            tokio::spawn(async move { dial(&endpoint, &slow).await.is_err() })
        })
        .collect();
    // What they have sent so far has arrived when what comes later has.
    while node.transport.connected_peers().is_empty() {
        still_serves(&mut node).await;
    }
    assert!(slow.iter().all(|dial| !dial.is_finished()), "they are still at it");
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn five_bytes_that_announce_a_hundred_mebibytes_cost_nothing() {
    const ANNOUNCED: usize = 100 << 20;
    let many = NonZeroUsize::new(ANNOUNCED).unwrap();
    let core = TransportConfig {
        max_frame_bytes: many,
        max_preflight_bytes: many,
        partial_bytes: many.saturating_mul(many),
        ..TransportConfig::default()
    };
    let mut node = node(IrohConfig::default(), core).await;
    let mut greedy = Vec::new();
    let before = resident();
    for kind in [0, 1] {
        for _ in 0..20 {
            let stranger = Stranger::new().await;
            let mut call = match kind {
                0 => stranger.call(&node.url(), &[]).await,
                _ => stranger.introduced(&node.url()).await.0,
            };
            // The head counts towards the limit.
            let [a, b, c, d] = (ANNOUNCED as u32 - 5).to_be_bytes();
            call.stream.write_all(&[kind, a, b, c, d]).await.unwrap();
            greedy.push((stranger, call));
        }
    }
    still_serves(&mut node).await;
    assert!(greedy.iter().all(|(_, call)| call.connection.close_reason().is_none()), "the limit allows them");
    // Four gigabytes were announced; forty connections cost what they cost.
    let more = resident().saturating_sub(before);
    assert!(more < 64 << 20, "{more} bytes");
}

/// Bytes of memory that this process has, where the system says.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default();
    kibibytes << 10
}

#[tokio::test]
async fn beyond_the_bound_newcomers_are_turned_away_and_later_let_in() {
    let config = IrohConfig { max_pending: NonZeroUsize::MIN.saturating_add(1), ..IrohConfig::default() };
    let (mut node, stranger) = (node(config, TransportConfig::default()).await, Stranger::new().await);
    let first = stranger.connect(&node.url()).await;
    let second = stranger.connect(&node.url()).await;
    let turned_away = stranger.try_connect(&node.url(), quorate_iroh::Protocol::Quorate.alpn()).await;
    assert!(turned_away.is_err(), "two are waiting already");
    first.close(0_u32.into(), b"");
    second.close(0_u32.into(), b"");
    // The places come back when the node has noticed.
    while stranger.try_connect(&node.url(), quorate_iroh::Protocol::Quorate.alpn()).await.is_err() {}
    drop((first, second));
    let friend = plain().await;
    while friend.transport.connect(&node.url()).await.is_err() {}
    friend.notify(&node, "hello").await;
    assert_eq!(node.next_data().await, "hello");
}

#[tokio::test]
async fn another_protocol_is_not_spoken() {
    let (mut node, stranger) = (plain().await, Stranger::new().await);
    for alpn in [b"kitsune2/0", b"quorate/2 "] {
        assert!(stranger.try_connect(&node.url(), alpn).await.is_err());
    }
    still_serves(&mut node).await;
}
