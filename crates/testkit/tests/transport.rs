//! The in-memory transport keeps what every transport promises.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use quorate_testkit::transport as suite;
use quorate_transport::{MemHub, MemTransport, TxImp, TxImpHnd};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Nodes on one hub, under keys (`mem://host:1/7`) or under bare URLs (`mem://host:7`).
fn mem(keyed: bool) -> impl Fn(Arc<TxImpHnd>) -> std::future::Ready<Arc<dyn TxImp>> {
    let (hub, next) = (MemHub::default(), AtomicU32::new(1));
    move |hnd| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let url = if keyed { format!("mem://host:1/{number}") } else { format!("mem://host:{number}") };
        std::future::ready(Arc::new(MemTransport::bind(&hub, url.parse().unwrap(), hnd).unwrap()))
    }
}

/// Runs a check on one thread and on two.
fn run<C: Future<Output = ()>>(check: impl Fn() -> C) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check());
    let mut two = tokio::runtime::Builder::new_multi_thread();
    two.worker_threads(2).enable_all().build().unwrap().block_on(check());
}

macro_rules! checks {
    ($($check:ident),* $(,)?) => {$(
        #[test]
        fn $check() {
            run(|| async { suite::$check(&mem(true)).await });
        }
    )*};
}

checks! {
    both_directions,
    preflights_come_first_and_once,
    frames_keep_their_order,
    frames_of_every_size_arrive_whole,
    a_refusal_reaches_both_sides,
    a_disconnect_reason_reaches_both_sides,
    a_peer_is_reached_again_after_a_disconnect,
    first_sends_that_cross_all_arrive,
    back_pressure_does_not_deadlock,
    closing_is_polite_and_final,
    the_counts_of_both_sides_agree,
}

#[test]
fn a_transport_that_authenticates_nobody_keeps_it_too() {
    run(|| suite::conformance(mem(false)));
}
