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
//! quorate_testkit::transport::conformance(make).await;
//! # }
//! ```
//!
//! In a test file, [`conformance_tests!`](crate::conformance_tests) makes one `#[test]` of each check. A transport whose nodes can come back
//! under their old address implements [`MakeImp`] itself, and is checked for that too.

mod crowd;
mod ends;
mod half;
mod node;
mod pressure;
mod sizes;

pub use crowd::{a_hundred_peers_are_served_at_once, a_peer_that_restarts_is_reached_again};
pub use ends::{
    a_disconnect_reason_reaches_both_sides, a_peer_is_reached_again_after_a_disconnect,
    a_peer_that_vanishes_is_noticed, a_refusal_reaches_both_sides,
    a_refused_message_ends_the_connection_in_its_words, closing_is_polite_and_final,
};
pub use half::{
    a_half_open_peer_is_given_up_and_holds_up_nobody,
    an_unfinished_frame_is_never_delivered_and_costs_nobody_anything,
};
pub use node::{Event, MODULE, Node, SPACE};
pub use pressure::{a_peer_that_does_not_read_stops_its_sender_alone, back_pressure_does_not_deadlock};
pub use sizes::frames_of_every_size_arrive_whole;

use bytes::Bytes;
use quorate_transport::{SendOutcome, TransportConfig, TxImp, TxImpHnd};
use quorate_wire::PeerUrl;
use std::{future::Future, sync::Arc};
use tokio::join;

/// Makes a transport on a core: one more node that can reach those made before it.
///
/// An `async` closure that takes an `Arc<TxImpHnd>` is one.
pub trait MakeImp: Sync {
    /// Builds it. Panics where that fails: it is part of a test.
    fn make(&self, hnd: Arc<TxImpHnd>) -> impl Future<Output = Arc<dyn TxImp>>;

    /// Builds one that is reached at `url`, where one was that is gone now. `None`, the default: this
    /// transport cannot, and the check of restarts says nothing about it.
    fn make_again(&self, url: &PeerUrl, hnd: Arc<TxImpHnd>) -> impl Future<Output = Option<Arc<dyn TxImp>>> {
        let _ = (url, hnd);
        std::future::ready(None)
    }
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

/// Calls a macro with the names of all checks. [`conformance`] and
/// [`conformance_tests!`](crate::conformance_tests) are made of it, so that neither forgets one.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_transport_check {
    ([$($callback:tt)*]($($argument:tt)*)) => {
        $($callback)*! { $($argument)*;
            both_directions,
            preflights_come_first_and_once,
            frames_keep_their_order,
            frames_of_every_size_arrive_whole,
            a_refusal_reaches_both_sides,
            a_refused_message_ends_the_connection_in_its_words,
            a_disconnect_reason_reaches_both_sides,
            a_peer_is_reached_again_after_a_disconnect,
            a_peer_that_restarts_is_reached_again,
            a_peer_that_vanishes_is_noticed,
            a_half_open_peer_is_given_up_and_holds_up_nobody,
            an_unfinished_frame_is_never_delivered_and_costs_nobody_anything,
            first_sends_that_cross_all_arrive,
            back_pressure_does_not_deadlock,
            a_peer_that_does_not_read_stops_its_sender_alone,
            a_hundred_peers_are_served_at_once,
            closing_is_polite_and_final,
            the_counts_of_both_sides_agree,
        }
    };
}

/// One `#[test]` for each check of the suite, under its name: `conformance_tests!(make)`, where `make` is a function
/// `async fn(Arc<TxImpHnd>) -> Arc<dyn TxImp>`, or any expression that is a
/// [`MakeImp`](crate::transport::MakeImp).
///
/// They run on two threads. The crate that calls it needs `tokio` with `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::for_each_transport_check!([$crate::__conformance_tests]($make));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($make:expr; $($check:ident,)*) => {$(
        #[test]
        fn $check() {
            let mut runtime = ::tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async { $crate::transport::$check(&$make).await });
        }
    )*};
}

/// Runs every check of the suite, one after the other. Panics at the first that fails.
pub async fn conformance(make: impl MakeImp) {
    macro_rules! run {
        ($make:expr; $($check:ident,)*) => {{ $($check(&$make).await;)* }};
    }
    for_each_transport_check!([run](make));
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

/// Two that send to each other for the first time at the same time lose nothing, and end up with one connection.
pub async fn first_sends_that_cross_all_arrive(make: &impl MakeImp) {
    const FRAMES: u8 = 30;
    let send = async |from: &Node, to: &Node| {
        for number in 0..FRAMES {
            from.notify(to, vec![number]).await;
        }
    };
    for _ in 0..10 {
        let (mut a, mut b) = pair(make).await;
        join!(send(&a, &b), send(&b, &a));
        for number in 0..FRAMES {
            assert_eq!(
                (a.next_data().await, b.next_data().await),
                (vec![number].into(), vec![number].into())
            );
        }
        assert_eq!((a.transport.connected_peers().len(), b.transport.connected_peers().len()), (1, 1));
    }
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
