//! Peers that do not read.

use super::{MakeImp, Node, SPACE};
use bytes::Bytes;
use quorate_transport::{SendError, SendOutcome, TransportConfig};
use std::{num::NonZeroUsize, time::Duration};
use tokio::{join, time::timeout};

/// Two that fill each other's queues at the same time both get through.
pub async fn back_pressure_does_not_deadlock(make: &impl MakeImp) {
    const FRAMES: usize = 64;
    let config = narrow();
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

/// A peer that reads nothing more stops its sender, after a bounded number of bytes, and nobody else; when it reads again
/// everything that was accepted arrives, in order.
pub async fn a_peer_that_does_not_read_stops_its_sender_alone(make: &impl MakeImp) {
    /// More than all buffers on the way: queue, window, sockets.
    const MOST: usize = 64 << 20;
    /// A sender for which there is no room in this time is stopped. (One that is only slow sends less, and the test still holds.)
    const PATIENCE: Duration = Duration::from_millis(300);
    const LEN: usize = 256 << 10;
    let config = narrow();
    let mut a = Node::new(make, config.clone()).await;
    let (mut b, mut c) = (Node::new(make, config.clone()).await, Node::new(make, config).await);
    a.notify(&b, "hello").await;
    assert_eq!(b.next_data().await, "hello");
    c.notify(&b, "hello").await;
    assert_eq!(b.next_data().await, "hello");

    b.stop_reading_from(&a.url());
    let payload = |number: usize| Bytes::from(vec![number as u8; LEN]);
    let mut accepted = 0;
    while let Ok(sent) =
        timeout(PATIENCE, a.transport.send_space_notify(&b.url(), &SPACE, payload(accepted))).await
    {
        assert_eq!(sent, Ok(SendOutcome::HandedOff));
        accepted += 1;
        assert!(accepted * LEN < MOST, "nothing stops the sender");
    }
    let full = a.transport.try_send_space_notify(&b.url(), &SPACE, payload(accepted));
    assert_eq!(full, Err(SendError::Full), "and it is told so where it does not wait");
    // The first is taken before the reader stops.
    assert_eq!(b.next_data().await, payload(0));
    c.notify(&b, "not I").await;
    assert_eq!(b.next_data().await, "not I");
    b.notify(&a, "nor this way").await;
    assert_eq!(a.next_data().await, "nor this way");
    a.notify(&c, "nor to others").await;
    assert_eq!(c.next_data().await, "nor to others");

    b.read_again();
    for number in 1..accepted {
        assert!(b.next_data().await == payload(number), "frame {number} is not in its place");
    }
}

/// A queue that is soon full.
fn narrow() -> TransportConfig {
    let queue_bytes = NonZeroUsize::MIN.saturating_add(64 << 10);
    TransportConfig { queue_bytes, ..TransportConfig::trusted() }
}
