//! Through a relay, where there is no network but loopback.

use crate::{
    node,
    stranger::{Stranger, closed, introduction},
    suite::Nodes,
};
use async_trait::async_trait;
use quorate_iroh::{IrohConfig, IrohTransport, Protocol, Protocols, RelayConfig, RelayStatus, SecretKey};
use quorate_testkit::{
    netns,
    relay::Relay,
    transport::{self as suite, Node},
};
use quorate_transport::{
    CloseCode, ConnectError, DialError, SendError, SendOutcome, TransportConfig, TxHandler, TxImp, TxImpHnd,
};
use quorate_wire::PeerUrl;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// A runtime of two threads.
fn block_on(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn relay_config(relay: &Relay) -> RelayConfig {
    RelayConfig { allow_plain_text: true, ..RelayConfig::new(relay.url().parse().unwrap()) }
}

/// A node at this relay, with direct paths beside it.
fn config(relay: &Relay) -> IrohConfig {
    IrohConfig { relay: Some(relay_config(relay)), ..IrohConfig::default() }
}

/// The same without direct paths.
fn hidden(relay: &Relay) -> IrohConfig {
    let relay = RelayConfig { direct_paths: false, ..relay_config(relay) };
    IrohConfig { relay: Some(relay), ..IrohConfig::default() }
}

fn kitsune2(relay: &Relay) -> IrohConfig {
    IrohConfig { protocols: Protocols::Kitsune2, ..config(relay) }
}

/// A node that is at its relay.
async fn at(config: IrohConfig) -> Node {
    node(config, TransportConfig::default()).await
}

fn dial_error(result: Result<(), SendError>) -> DialError {
    match result {
        Err(SendError::Connect(ConnectError::Dial(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// Writes down where the node is reached.
#[derive(Default)]
struct Addresses(Mutex<Vec<PeerUrl>>);

#[async_trait]
impl TxHandler for Addresses {
    async fn new_listening_address(&self, url: &PeerUrl) {
        self.0.lock().unwrap().push(url.clone());
    }
}

/// A transport, what it told its handler, and its relay's status.
async fn bind(config: IrohConfig) -> (Arc<IrohTransport>, Arc<Addresses>, watch::Receiver<RelayStatus>) {
    let addresses = Arc::new(Addresses::default());
    let core = TransportConfig::default();
    let imp = IrohTransport::bind(config, TxImpHnd::new(addresses.clone(), core).unwrap()).await.unwrap();
    let status = imp.relay_status().unwrap();
    (imp, addresses, status)
}

#[test]
fn every_promise_holds_through_a_relay() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            suite::conformance(Nodes::new(config(&relay))).await;
        });
    });
}

#[test]
fn every_promise_holds_without_direct_paths() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            suite::conformance(Nodes::new(hidden(&relay))).await;
        });
    });
}

#[test]
fn every_promise_holds_in_kitsune2s_protocol() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            suite::conformance(Nodes::new(kitsune2(&relay))).await;
        });
    });
}

#[test]
fn the_url_is_the_relay_and_the_key() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let key = SecretKey::from_bytes(&[3; 32]);
            let (imp, addresses, status) =
                bind(IrohConfig { secret_key: Some(key.clone()), ..config(&relay) }).await;
            imp.online().await;
            let expected: PeerUrl = format!("{}/{}", relay.url(), key.public()).parse().unwrap();
            assert_eq!(imp.url().as_ref(), Some(&expected));
            assert_eq!(status.borrow().url.as_ref(), Some(&expected));
            imp.close().await;
            assert_eq!(*addresses.0.lock().unwrap(), [expected]);
        });
    });
}

#[test]
fn without_direct_paths_everything_goes_through_the_relay() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let (a, mut b) = (at(hidden(&relay)).await, at(hidden(&relay)).await);
            a.notify(&b, "hidden").await;
            assert_eq!(b.next_data().await, "hidden");
            assert!(a.transport.stats().transport_stats.connections.iter().all(|peer| !peer.is_direct));
            let (imp, ..) = bind(hidden(&relay)).await;
            assert_eq!(imp.bound_addr(), None, "there is no socket that could give an address away");
        });
    });
}

#[test]
fn a_relay_that_goes_away_is_no_fault_of_the_peers() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let (imp, addresses, mut status) = bind(config(&relay)).await;
            let (a, b) = (at(config(&relay)).await, at(config(&relay)).await);
            imp.online().await;
            let stopped = relay.stop().await;
            status.wait_for(|status| !status.connected && status.error.is_some()).await.unwrap();

            // A peer that was never met cannot be reached now, and it is not the peer's fault.
            let offline = loop {
                let error = dial_error(a.transport.connect(&b.url()).await);
                if matches!(error, DialError::Offline { .. }) {
                    break error;
                }
            };
            assert!(ConnectError::from(offline).is_retryable());
            assert!(!a.has_seen_unresponsive(), "the relay is gone, not the peer");

            let _relay = stopped.start().await;
            status.wait_for(|status| status.connected).await.unwrap();
            let url = b.url();
            while a.transport.connect(&url).await.is_err() {}
            assert!(!a.has_seen_unresponsive());
            assert_eq!(imp.url(), addresses.0.lock().unwrap().first().cloned(), "the URL is what it was");
            assert_eq!(addresses.0.lock().unwrap().len(), 1, "and nobody is told of it again");
        });
    });
}

#[test]
fn a_token_opens_a_relay_and_the_lack_of_one_is_said() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start_with_token("open sesame").await;
            let with = |token: Option<&str>| {
                let relay = RelayConfig { token: token.map(str::to_owned), ..relay_config(&relay) };
                IrohConfig { relay: Some(relay), ..IrohConfig::default() }
            };
            let (a, mut b) = (at(with(Some("open sesame"))).await, at(with(Some("open sesame"))).await);
            a.notify(&b, "inside").await;
            assert_eq!(b.next_data().await, "inside");

            for wrong in [None, Some("open barley")] {
                let (imp, addresses, mut status) = bind(with(wrong)).await;
                let status = status.wait_for(|status| status.denied).await.unwrap().clone();
                assert!(!status.connected && status.url.is_none(), "{status:?}");
                assert_eq!(imp.url(), None);
                let error = imp.connect(&b.url()).await;
                assert!(matches!(dial_error(error), DialError::Offline { .. }));
                assert!(addresses.0.lock().unwrap().is_empty());
            }
        });
    });
}

#[test]
fn two_nodes_at_two_relays_meet() {
    netns::alone(|| {
        block_on(async {
            let (here, there) = (Relay::start().await, Relay::start().await);
            let (mut a, mut b) = (at(hidden(&here)).await, at(hidden(&there)).await);
            a.notify(&b, "from here").await;
            assert_eq!(b.next_data().await, "from here");
            b.notify(&a, "from there").await;
            assert_eq!(a.next_data().await, "from there");
        });
    });
}

#[test]
fn a_node_with_a_relay_and_one_without_meet_at_an_address() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let (mut a, mut b) = (at(config(&relay)).await, crate::plain().await);
            a.notify(&b, "to an address").await;
            assert_eq!(b.next_data().await, "to an address");
            // It introduced itself with an address too, and the answer takes the same connection.
            let [peer] = &b.transport.connected_peers()[..] else { panic!("one peer") };
            assert!(peer.as_str().starts_with("quic://127.0.0.1:"), "{peer}");
            let sent = b.transport.send_space_notify(peer, &suite::SPACE, "back".into()).await;
            assert_eq!(sent, Ok(SendOutcome::HandedOff));
            assert_eq!(a.next_data().await, "back");
            let error = dial_error(crate::plain().await.transport.connect(&a.url()).await);
            assert!(matches!(error, DialError::InvalidUrl { .. }), "{error:?}");
        });
    });
}

#[test]
fn a_relay_without_tls_is_dialed_only_when_that_is_allowed() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let b = at(config(&relay)).await;
            let secure = RelayConfig::new("https://127.0.0.1:1".parse().unwrap());
            let (imp, ..) = bind(IrohConfig { relay: Some(secure), ..IrohConfig::default() }).await;
            let error = dial_error(imp.connect(&b.url()).await);
            assert!(
                matches!(&error, DialError::InvalidUrl { reason } if reason.contains("TLS")),
                "{error:?}"
            );
        });
    });
}

#[test]
fn who_speaks_both_protocols_prefers_ours() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let both = IrohConfig { protocols: Protocols::Both, ..config(&relay) };
            let (mut a, mut ours, mut theirs) =
                (at(both.clone()).await, at(config(&relay)).await, at(kitsune2(&relay)).await);
            for peer in [&mut ours, &mut theirs] {
                a.notify(peer, "one handshake").await;
                assert_eq!(peer.next_data().await, "one handshake");
                peer.notify(&a, "and back").await;
                assert_eq!(a.next_data().await, "and back");
            }
            let stranger = Stranger::at_relay(&relay.url()).await;
            let (first, second) = (Protocol::Kitsune2.alpn(), Protocol::Quorate.alpn());
            for (offered, spoken) in [(vec![first, second], second), (vec![first], first)] {
                let connection = stranger.offer(&a.url(), &offered).await.unwrap();
                assert_eq!(connection.alpn(), spoken);
            }
        });
    });
}

#[test]
fn who_speaks_another_protocol_is_told_apart_from_who_is_not_there() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let (a, b) = (at(config(&relay)).await, at(kitsune2(&relay)).await);
            let error = dial_error(a.transport.connect(&b.url()).await);
            assert!(matches!(error, DialError::Incompatible { .. }), "{error:?}");
            let error = dial_error(b.transport.connect(&a.url()).await);
            assert!(matches!(error, DialError::Incompatible { .. }), "{error:?}");
            let error = dial_error(b.transport.connect(&crate::plain().await.url()).await);
            assert!(
                matches!(error, DialError::InvalidUrl { .. }),
                "kitsune2/0 knows no addresses: {error:?}"
            );
        });
    });
}

#[test]
fn a_kitsune2_peer_hears_three_close_codes() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let node = at(kitsune2(&relay)).await;
            let stranger = Stranger::at_relay(&relay.url()).await;
            let url = stranger.url();

            // A violation, in words, under the number of a failure.
            let direct: PeerUrl = format!("quic://127.0.0.1:1/{}", stranger.endpoint.id()).parse().unwrap();
            let lie: PeerUrl = node.url();
            for (bytes, words) in [
                (introduction(&direct), "invalid URL"),
                (introduction(&lie), "does not belong to the key"),
                (vec![1, 0, 0, 0, 2, 8, 2], "must be a preflight"),
            ] {
                let call = stranger.call(&node.url(), &bytes).await;
                let (code, reason) = call.closed().await;
                assert_eq!(code, CloseCode::Failure, "{reason}");
                assert!(reason.contains(words), "{reason}");
            }
            // A refusal too; a goodbye and a superseded connection under their own numbers.
            node.refuse_preflights("not you");
            let refused = stranger.call(&node.url(), &introduction(&url)).await.closed().await;
            assert_eq!(refused, (CloseCode::Failure, "not you".to_owned()));
            node.refuse_nothing();
            let (first, _theirs) = stranger.introduced(&node.url()).await;
            let (second, _theirs) = stranger.introduced(&node.url()).await;
            let (code, reason) = first.closed().await;
            assert_eq!(
                (code, reason.as_str()),
                (CloseCode::Superseded, "superseded by preferred connection")
            );
            node.transport.disconnect(&url, Some("so long")).await;
            assert_eq!(second.closed().await, (CloseCode::Graceful, "so long".to_owned()));
        });
    });
}

#[test]
fn a_kitsune2_peer_may_go_on_with_another_stream() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let mut node = at(kitsune2(&relay)).await;
            let stranger = Stranger::at_relay(&relay.url()).await;
            let (mut call, _theirs) = stranger.introduced(&node.url()).await;
            let data = crate::hostile::data;
            call.stream.write_all(&[data(b"whole"), data(b"half")[..8].to_vec()].concat()).await.unwrap();
            assert_eq!(node.next_data().await, "whole");
            call.stream.finish().unwrap();
            let mut next = call.connection.open_uni().await.unwrap();
            next.write_all(&data(b"goes on")).await.unwrap();
            assert_eq!(node.next_data().await, "goes on");
            // But nobody introduces itself twice, on whatever stream.
            next.write_all(&introduction(&stranger.url())).await.unwrap();
            let (code, reason) = closed(&call.connection).await;
            assert_eq!(code, CloseCode::Failure);
            assert!(reason.contains("one preflight"), "{reason}");
        });
    });
}

#[test]
fn a_preflight_is_what_the_application_says_and_nothing_else() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let mut node = at(kitsune2(&relay)).await;
            let stranger = Stranger::at_relay(&relay.url()).await;
            let (_call, mut stream) = stranger.introduced(&node.url()).await;
            // `introduced` has read the type; then come the length, the URL behind its length, the frame.
            let frame = [&[8, 1, 18, node.preflight().len() as u8], &node.preflight()[..]].concat();
            let url = node.url();
            let body = [&(url.as_str().len() as u32).to_be_bytes(), url.as_str().as_bytes(), &frame].concat();
            let mut read = vec![0; 4 + body.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(read, [&(body.len() as u32).to_be_bytes()[..], &body].concat());
            let expected = suite::Event::Preflight { peer: stranger.url(), data: bytes::Bytes::new() };
            node.expect(&expected).await;
        });
    });
}

#[test]
fn a_peer_that_is_not_at_the_relay_is_unreachable_and_unresponsive() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let short = IrohConfig { connect_time: Duration::from_millis(300), ..config(&relay) };
            let a = at(short).await;
            let nobody = SecretKey::from_bytes(&[9; 32]).public();
            let url = format!("{}/{nobody}", relay.url()).parse().unwrap();
            let error = dial_error(a.transport.connect(&url).await);
            assert!(matches!(error, DialError::Unreachable { .. }), "{error:?}");
            a.wait_unresponsive().await;
        });
    });
}
