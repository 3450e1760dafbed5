//! What is begun and not finished: connections that stay half open, frames that stay half sent.

use super::{Event, MakeImp, Node, SPACE};
use bytes::Bytes;
use quorate_transport::{SendError, SendOutcome, TransportConfig};
use std::{num::NonZeroUsize, time::Duration};
use tokio::task::yield_now;

/// A peer that never answers a preflight is given up by the side that waits, and holds up nobody; when it decides at last, it is
/// reached again.
pub async fn a_half_open_peer_is_given_up_and_holds_up_nobody(make: &impl MakeImp) {
    // Long enough to be met by a peer that answers; where it is not, the last step tries again.
    let config = TransportConfig { preflight_time: Duration::from_millis(300), ..TransportConfig::default() };
    let hasty = Node::new(make, config).await;
    let mut torn = Node::new(make, TransportConfig::default()).await;
    let mut other = Node::new(make, TransportConfig::default()).await;
    torn.ponder_over(&hasty.url());
    let error = hasty.transport.connect(&torn.url()).await.expect_err("nobody answers");
    assert!(matches!(error, SendError::Connect(_)), "{error:?}");
    assert!(hasty.transport.connected_peers().is_empty());
    assert_eq!(hasty.transport.totals().violations.preflight_timeout, 1);

    // The other side may still wait for its handler, and serves everybody else meanwhile.
    assert!(torn.transport.connected_peers().is_empty());
    other.notify(&torn, "no wait").await;
    assert_eq!(torn.next_data().await, "no wait");
    torn.notify(&other, "here neither").await;
    assert_eq!(other.next_data().await, "here neither");

    torn.decide();
    torn.expect_disconnect(&hasty.url()).await;
    while hasty.transport.connect(&torn.url()).await.is_err() {}
    // Ready on the one side, on its way to be on the other.
    hasty.notify(&torn, "at last").await;
    assert_eq!(torn.next_data().await, "at last");
}

/// A peer that ends in the middle of a frame is heard as far as whole frames came, and takes nothing with it: what was held
/// of the unfinished frames of many such peers is there again for others.
pub async fn an_unfinished_frame_is_never_delivered_and_costs_nobody_anything(make: &impl MakeImp) {
    /// Were it kept, what each leaves behind would soon be the whole budget.
    const PEERS: usize = 8;
    /// More than the buffers on the way take.
    const LEN: usize = 12 << 20;
    const BUDGET: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16 << 20);
    let config =
        TransportConfig { partial_bytes: BUDGET, max_frame_bytes: BUDGET, ..TransportConfig::trusted() };
    let mut reader = Node::new(make, config).await;
    let payload = |number: usize| Bytes::from(vec![number as u8; LEN]);
    for _ in 0..PEERS {
        let queue_bytes = NonZeroUsize::MIN.saturating_add(64 << 10);
        let close_time = Duration::from_millis(50);
        let config = TransportConfig { queue_bytes, close_time, ..TransportConfig::trusted() };
        let leaves = Node::new(make, config).await;
        leaves.notify(&reader, "hello").await;
        assert_eq!(reader.next_data().await, "hello");
        reader.stop_reading_from(&leaves.url());
        // As many as there is room for, and one at least.
        let mut accepted = 0;
        loop {
            match leaves.transport.try_send_space_notify(&reader.url(), &SPACE, payload(accepted)) {
                Ok(sent) => {
                    assert_eq!(sent, SendOutcome::HandedOff);
                    accepted += 1;
                }
                Err(SendError::Full) if accepted == 0 => yield_now().await,
                Err(error) => {
                    assert_eq!(error, SendError::Full);
                    break;
                }
            }
        }
        let gone = leaves.url();
        leaves.transport.close().await;
        drop(leaves);
        reader.read_again();
        let mut heard = Vec::new();
        loop {
            match reader.next().await {
                Event::Notify { data, .. } => heard.push(data),
                Event::Disconnect { peer, .. } if peer == gone => break,
                _ => {}
            }
        }
        assert!(heard.len() <= accepted, "{} frames of {accepted}", heard.len());
        let in_order = heard.iter().enumerate().all(|(number, data)| *data == payload(number));
        assert!(in_order, "whole frames, in order, none left out");
    }
    let friend = Node::new(make, TransportConfig::trusted()).await;
    let whole = Bytes::from(vec![9; LEN]);
    friend.notify(&reader, whole.clone()).await;
    assert!(reader.next_data().await == whole, "there is room for a frame in pieces");
}
