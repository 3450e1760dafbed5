//! What every `TxImp` has to do, whatever it runs over.
//!
//! The rule: the suite knows nothing but the traits. It makes nodes with your function, talks through
//! [`Transport`](quorate_transport::Transport) and listens through handlers; nothing in it depends on how
//! long something takes.
//!
//! ```
//! use quorate_transport::{MemHub, MemTransport, TxImp, TxImpHnd};
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (hub, next) = (MemHub::default(), AtomicU32::new(0));
//! let make = |hnd: Arc<TxImpHnd>| {
//!     let url = format!("mem://host:1/{}", next.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
//!     let imp: Arc<dyn TxImp> = Arc::new(MemTransport::bind(&hub, url, hnd).unwrap());
//!     async { imp }
//! };
//! quorate_testkit::transport::both_directions(&make).await;
//! # }
//! ```

mod node;

pub use node::{Event, MODULE, Node, SPACE};

use bytes::Bytes;
use quorate_transport::{ConnectError, SendError, SendOutcome, Side, TransportConfig, TxImp, TxImpHnd};
use std::{future::Future, num::NonZeroUsize, sync::Arc, time::Duration};
use tokio::join;

/// Makes a transport on a core: one more node that can reach those made before it.
pub trait MakeImp: Sync {
    /// Builds it. Panics where that fails: it is part of a test.
    fn make(&self, hnd: Arc<TxImpHnd>) -> impl Future<Output = Arc<dyn TxImp>>;
}

impl<F, Fut> MakeImp for F
where
    F: Fn(Arc<TxImpHnd>) -> Fut + Sync,
    Fut: Future<Output = Arc<dyn TxImp>>,
{
    fn make(&self, hnd: Arc<TxImpHnd>) -> impl Future<Output = Arc<dyn TxImp>> {
        self(hnd)
    }
}

/// Runs every check of the suite, one after the other. Panics at the first that fails.
pub async fn conformance(make: impl MakeImp) {
    both_directions(&make).await;
    preflights_come_first_and_once(&make).await;
    frames_keep_their_order(&make).await;
    frames_of_every_size_arrive_whole(&make).await;
    a_refusal_reaches_both_sides(&make).await;
    a_disconnect_reason_reaches_both_sides(&make).await;
    a_peer_is_reached_again_after_a_disconnect(&make).await;
    first_sends_that_cross_all_arrive(&make).await;
    back_pressure_does_not_deadlock(&make).await;
    closing_is_polite_and_final(&make).await;
    the_counts_of_both_sides_agree(&make).await;
}

async fn pair(make: &impl MakeImp) -> (Node, Node) {
    (Node::new(make, TransportConfig::default()).await, Node::new(make, TransportConfig::default()).await)
}

/// Messages to a space and to a module arrive, either way, under the sender's URL, over one connection.
pub async fn both_directions(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    a.notify(&b, "to the space").await;
    b.expect(&Event::Notify { peer: a.url(), data: "to the space".into() }).await;
    b.notify(&a, "back").await;
    a.expect(&Event::Notify { peer: b.url(), data: "back".into() }).await;
    let sent = b.transport.send_module(&a.url(), &SPACE, &MODULE, "to the module".into()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    a.expect(&Event::Module { peer: b.url(), data: "to the module".into() }).await;
    assert_eq!(a.transport.connected_peers(), [b.url()]);
    assert_eq!(b.transport.connected_peers(), [a.url()]);
    assert_eq!(a.transport.totals().connections_opened, 1, "the answer took the same connection");
}

/// Each side hears of the connection, then of the other's preflight, then of everything else.
pub async fn preflights_come_first_and_once(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    for _ in 0..20 {
        a.notify(&b, "x").await;
    }
    b.notify(&a, "y").await;
    assert_eq!(a.next().await, Event::Connect { peer: b.url() });
    assert_eq!(a.next().await, Event::Preflight { peer: b.url(), data: b.preflight() });
    assert_eq!(a.next().await, Event::Notify { peer: b.url(), data: "y".into() });
    assert_eq!(b.next().await, Event::Connect { peer: a.url() });
    assert_eq!(b.next().await, Event::Preflight { peer: a.url(), data: a.preflight() });
    for _ in 0..20 {
        assert_eq!(b.next().await, Event::Notify { peer: a.url(), data: "x".into() });
    }
}

/// What one caller sends arrives in that order, in both directions at once, small and large mixed.
pub async fn frames_keep_their_order(make: &impl MakeImp) {
    const FRAMES: usize = 2_000;
    let (mut a, mut b) = pair(make).await;
    let payload = |number: usize| {
        let len = if number.is_multiple_of(100) { 100_000 } else { 8 + number % 50 };
        let mut data = number.to_be_bytes().to_vec();
        data.resize(len, number as u8);
        Bytes::from(data)
    };
    let send = async |from: &Node, to: quorate_wire::PeerUrl| {
        for number in 0..FRAMES {
            let sent = from.transport.send_space_notify(&to, &SPACE, payload(number)).await;
            assert_eq!(sent, Ok(SendOutcome::HandedOff));
        }
    };
    join!(send(&a, b.url()), send(&b, a.url()));
    for number in 0..FRAMES {
        let (to_a, to_b) = (a.next_data().await, b.next_data().await);
        assert!(to_a == payload(number) && to_b == payload(number), "frame {number} is not in its place");
    }
}

/// Payloads of 0 bytes to 1 MiB arrive as they were.
pub async fn frames_of_every_size_arrive_whole(make: &impl MakeImp) {
    let (a, mut b) = pair(make).await;
    let near = |power: u32| [(1_usize << power) - 1, 1 << power, (1 << power) + 1];
    let sizes = [0].into_iter().chain((1..20).flat_map(near)).chain([1 << 20]);
    for size in sizes {
        let data = Bytes::from((0..size).map(|at| (at * 31 + size) as u8).collect::<Vec<_>>());
        a.notify(&b, data.clone()).await;
        assert!(b.next_data().await == data, "{size} bytes did not arrive as they were");
    }
}

/// A side that refuses tells why: the dialer's call says so, and the handlers of both hear it.
pub async fn a_refusal_reaches_both_sides(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    let refused =
        |by, reason: &str| Err(SendError::from(ConnectError::Refused { by, reason: reason.into() }));
    b.refuse_peers("no room");
    assert_eq!(a.transport.connect(&b.url()).await, refused(Side::Remote, "no room"));
    a.expect(&Event::Disconnect { peer: b.url(), reason: Some("no room".into()) }).await;

    b.refuse_preflights("wrong version");
    assert_eq!(a.transport.connect(&b.url()).await, refused(Side::Remote, "wrong version"));
    b.expect(&Event::Disconnect { peer: a.url(), reason: Some("wrong version".into()) }).await;
    a.expect(&Event::Disconnect { peer: b.url(), reason: Some("wrong version".into()) }).await;

    b.refuse_nothing();
    a.refuse_preflights("too old");
    assert_eq!(a.transport.connect(&b.url()).await, refused(Side::Local, "too old"));
    b.expect(&Event::Disconnect { peer: a.url(), reason: Some("too old".into()) }).await;

    a.refuse_nothing();
    a.notify(&b, "now").await;
    assert_eq!(b.next_data().await, "now");
}

/// What was handed off arrives, then the goodbye, on both sides with its words; nothing is left open.
pub async fn a_disconnect_reason_reaches_both_sides(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    for number in 0..100_u8 {
        a.notify(&b, vec![number]).await;
    }
    a.transport.disconnect(&b.url(), Some("so long")).await;
    assert!(a.transport.connected_peers().is_empty());
    for number in 0..100_u8 {
        assert_eq!(b.next_data().await, vec![number]);
    }
    a.expect(&Event::Disconnect { peer: b.url(), reason: Some("so long".into()) }).await;
    b.expect(&Event::Disconnect { peer: a.url(), reason: Some("so long".into()) }).await;
    assert!(b.transport.connected_peers().is_empty());
    assert!(!a.has_seen_unresponsive() && !b.has_seen_unresponsive(), "a goodbye is no failure");
}

/// After a disconnect by either side, either side reaches the other again.
pub async fn a_peer_is_reached_again_after_a_disconnect(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    for round in 0..10 {
        let data = Bytes::from(format!("round {round}"));
        if round % 2 == 0 {
            a.notify(&b, data.clone()).await;
            assert_eq!(b.next_data().await, data);
        } else {
            b.notify(&a, data.clone()).await;
            assert_eq!(a.next_data().await, data);
        }
        // What is sent to a peer that is just saying goodbye may be lost: each hears it first.
        if round % 4 < 2 {
            a.transport.disconnect(&b.url(), None).await;
            b.expect_disconnect(&a.url()).await;
        } else {
            b.transport.disconnect(&a.url(), None).await;
            a.expect_disconnect(&b.url()).await;
        }
    }
}

/// Two that send to each other for the first time at the same time lose nothing.
pub async fn first_sends_that_cross_all_arrive(make: &impl MakeImp) {
    for _ in 0..10 {
        let (mut a, mut b) = pair(make).await;
        join!(a.notify(&b, "from a"), b.notify(&a, "from b"));
        assert_eq!(b.next_data().await, "from a");
        assert_eq!(a.next_data().await, "from b");
        assert_eq!((a.transport.connected_peers().len(), b.transport.connected_peers().len()), (1, 1));
    }
}

/// Two that fill each other's queues at the same time both get through.
pub async fn back_pressure_does_not_deadlock(make: &impl MakeImp) {
    const FRAMES: usize = 64;
    let queue_bytes = NonZeroUsize::MIN.saturating_add(64 << 10);
    let config = TransportConfig { queue_bytes, ..TransportConfig::default() };
    let (mut a, mut b) = (Node::new(make, config.clone()).await, Node::new(make, config).await);
    let data = Bytes::from(vec![7; 256 << 10]);
    let send = async |from: &Node, to: &Node| {
        for _ in 0..FRAMES {
            from.notify(to, data.clone()).await;
        }
    };
    join!(send(&a, &b), send(&b, &a));
    for _ in 0..FRAMES {
        assert!(a.next_data().await == data && b.next_data().await == data);
    }
}

/// A transport that closes says goodbye, and is then not to be reached or used.
pub async fn closing_is_polite_and_final(make: &impl MakeImp) {
    // For the one dial that nobody answers.
    let config = TransportConfig { connect_time: Duration::from_secs(1), ..TransportConfig::default() };
    let (mut a, b) = (Node::new(make, config).await, Node::new(make, TransportConfig::default()).await);
    b.notify(&a, "last").await;
    assert_eq!(a.next_data().await, "last");
    let (a_url, b_url) = (a.url(), b.url());
    b.transport.close().await;
    a.expect_disconnect(&b_url).await;
    assert_eq!(b.transport.connect(&a_url).await, Err(SendError::Closed));
    assert!(!a.has_seen_unresponsive(), "a goodbye is no failure");
    let error = a.transport.connect(&b_url).await.expect_err("nobody is there");
    assert!(matches!(error, SendError::Connect(_)), "{error:?}");
}

/// Frames and bytes that one side sent are those that the other received.
pub async fn the_counts_of_both_sides_agree(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    for size in [0, 10, 1_000, 100_000] {
        a.notify(&b, vec![1; size]).await;
        b.next_data().await;
        b.notify(&a, vec![2; size]).await;
        a.next_data().await;
    }
    a.transport.disconnect(&b.url(), None).await;
    b.expect_disconnect(&a.url()).await;
    let (ours, theirs) = (a.transport.totals(), b.transport.totals());
    assert_eq!((ours.send_message_count, ours.send_bytes), (theirs.recv_message_count, theirs.recv_bytes));
    assert_eq!((theirs.send_message_count, theirs.send_bytes), (ours.recv_message_count, ours.recv_bytes));
    assert_eq!(ours.send_message_count, 5, "four messages and a preflight");
}
