//! Many peers at once, and peers that come back.

use super::{MakeImp, Node};
use quorate_transport::TransportConfig;

/// Peers of one node, at the same time.
const PEERS: usize = 100;

/// A node has a hundred peers: each is heard, each hears the answer, and none hears another's.
pub async fn a_hundred_peers_are_served_at_once(make: &impl MakeImp) {
    let mut center = Node::new(make, TransportConfig::default()).await;
    let mut peers = Vec::with_capacity(PEERS);
    for _ in 0..PEERS {
        peers.push(Node::new(make, TransportConfig::default()).await);
    }
    for (number, peer) in peers.iter().enumerate() {
        peer.notify(&center, format!("from {number}")).await;
    }
    let mut heard: Vec<_> = Vec::with_capacity(PEERS);
    for _ in 0..PEERS {
        heard.push(center.next_data().await);
    }
    heard.sort();
    let mut expected: Vec<_> =
        (0..PEERS).map(|number| bytes::Bytes::from(format!("from {number}"))).collect();
    expected.sort();
    assert_eq!(heard, expected);
    assert_eq!(center.transport.connected_peers().len(), PEERS);

    for (number, peer) in peers.iter().enumerate() {
        center.notify(peer, format!("to {number}")).await;
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.next_data().await, format!("to {number}"));
    }
    assert_eq!(
        center.transport.totals().connections_opened,
        PEERS as u64,
        "the answers took the same connections"
    );
}

/// A peer that goes without a goodbye of its application, and comes back at the same address, is reached again, from both sides.
///
/// For transports whose [`MakeImp::make_again`] makes one; for the others it says nothing.
pub async fn a_peer_that_restarts_is_reached_again(make: &impl MakeImp) {
    let config = TransportConfig::default();
    let (mut a, mut b) = (Node::new(make, config.clone()).await, Node::new(make, config.clone()).await);
    let url = b.url();
    for round in 0..3 {
        a.notify(&b, "before").await;
        assert_eq!(b.next_data().await, "before");
        drop(b);
        a.expect_disconnect(&url).await;
        let Some(again) = Node::again(make, &url, config.clone()).await else { return };
        b = again;
        assert_eq!(b.url(), url);
        // Whoever speaks first.
        if round % 2 == 0 {
            a.notify(&b, "after").await;
            assert_eq!(b.next_data().await, "after");
        } else {
            b.notify(&a, "after").await;
            assert_eq!(a.next_data().await, "after");
        }
    }
}
