//! What every transport promises, held by this one.

use quorate_iroh::{IrohConfig, IrohTransport};
use quorate_testkit::transport as suite;
use quorate_transport::{TxImp, TxImpHnd};
use std::sync::Arc;

async fn make(hnd: Arc<TxImpHnd>) -> Arc<dyn TxImp> {
    IrohTransport::bind(IrohConfig::default(), hnd).await.unwrap()
}

macro_rules! checks {
    ($($check:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            suite::$check(&make).await;
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

#[tokio::test(flavor = "current_thread")]
async fn one_thread_is_enough() {
    suite::both_directions(&make).await;
    suite::first_sends_that_cross_all_arrive(&make).await;
}
