//! How connections end, and what each side hears of it.

use super::{Event, MakeImp, Node, pair};
use bytes::Bytes;
use quorate_transport::{ConnectError, SendError, Side, TransportConfig};
use std::time::Duration;

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

/// A handler that does not want a message ends the connection in its own words, after what came before was delivered.
pub async fn a_refused_message_ends_the_connection_in_its_words(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    for number in 0..20_u8 {
        a.notify(&b, vec![number]).await;
    }
    b.refuse_messages_after(20, "enough");
    a.notify(&b, "one too many").await;
    for number in 0..20_u8 {
        assert_eq!(b.next_data().await, vec![number]);
    }
    a.expect(&Event::Disconnect { peer: b.url(), reason: Some("enough".into()) }).await;
    b.expect(&Event::Disconnect { peer: a.url(), reason: Some("enough".into()) }).await;

    b.refuse_nothing();
    a.notify(&b, "more").await;
    assert_eq!(b.next_data().await, "more");
}

/// What was handed off arrives, then the goodbye, on both sides with its words; nothing is left open.
pub async fn a_disconnect_reason_reaches_both_sides(make: &impl MakeImp) {
    // The last is as long as a reason may be; what is beyond ASCII arrives too.
    for words in ["so long".to_owned(), "äöü ".repeat(4), "x".repeat(1_024)] {
        let (mut a, mut b) = pair(make).await;
        for number in 0..100_u8 {
            a.notify(&b, vec![number]).await;
        }
        a.transport.disconnect(&b.url(), Some(&words)).await;
        assert!(a.transport.connected_peers().is_empty());
        for number in 0..100_u8 {
            assert_eq!(b.next_data().await, vec![number]);
        }
        a.expect(&Event::Disconnect { peer: b.url(), reason: Some(words.clone()) }).await;
        b.expect(&Event::Disconnect { peer: a.url(), reason: Some(words) }).await;
        assert!(b.transport.connected_peers().is_empty());
        assert!(!a.has_seen_unresponsive() && !b.has_seen_unresponsive(), "a goodbye is no failure");
    }
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

/// A peer that is dropped without a word is noticed, and it is not a reason to lose another.
pub async fn a_peer_that_vanishes_is_noticed(make: &impl MakeImp) {
    let (mut a, mut b) = pair(make).await;
    let mut c = Node::new(make, TransportConfig::default()).await;
    a.notify(&b, "to one").await;
    a.notify(&c, "to the other").await;
    assert_eq!((b.next_data().await, c.next_data().await), ("to one".into(), "to the other".into()));
    let url = b.url();
    drop(b);
    a.expect_disconnect(&url).await;
    assert_eq!(a.transport.connected_peers(), [c.url()]);
    a.notify(&c, "still").await;
    assert_eq!(c.next_data().await, "still");
}
