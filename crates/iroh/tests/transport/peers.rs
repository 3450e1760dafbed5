//! Addresses, keys, ports and sizes.

use crate::{node, plain};
use quorate_iroh::{BindError, IrohConfig, IrohConfigError, IrohTransport, SecretKey};
use quorate_testkit::transport::{Event, Node, SPACE};
use quorate_transport::{
    ConnectError, DialError, SendError, SendOutcome, TransportConfig, TxHandler, TxImp, TxImpHnd,
};
use quorate_wire::{PeerUrl, Scheme};
use std::{net::UdpSocket, sync::Arc, time::Duration};

fn dial_error(result: Result<(), SendError>) -> DialError {
    match result {
        Err(SendError::Connect(ConnectError::Dial(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// The same address, under another key.
fn with_key(url: &PeerUrl, key: &SecretKey) -> PeerUrl {
    format!("{}://{}/{}", Scheme::Quic, url.addr(), key.public()).parse().unwrap()
}

struct Nobody;
impl TxHandler for Nobody {}

fn core() -> Arc<TxImpHnd> {
    TxImpHnd::new(Arc::new(Nobody), TransportConfig::default()).unwrap()
}

#[tokio::test]
async fn a_url_is_the_address_and_the_key() {
    let key = SecretKey::from_bytes(&[3; 32]);
    let config = IrohConfig { secret_key: Some(key.clone()), ..IrohConfig::default() };
    let transport = IrohTransport::bind(config, core()).await.unwrap();
    let bound = transport.bound_addr().unwrap();
    assert!(bound.ip().is_loopback() && bound.port() != 0);
    let url = transport.url().unwrap();
    assert_eq!(url.as_str(), format!("quic://{bound}/{}", key.public()));
    assert_eq!(url.peer_id().map(str::len), Some(64));
    transport.close().await;
}

#[tokio::test]
async fn an_advertised_address_stands_in_the_url() {
    let config = IrohConfig { advertised_addr: "192.0.2.7:0".parse().ok(), ..IrohConfig::default() };
    let transport = IrohTransport::bind(config, core()).await.unwrap();
    let url = transport.url().unwrap();
    assert_eq!(url.host(), "192.0.2.7");
    assert_eq!(url.port(), transport.bound_addr().unwrap().port());
    transport.close().await;
}

#[tokio::test]
async fn a_port_in_use_is_recognisable() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let config = IrohConfig { bind_addr: addr, ..IrohConfig::default() };
    let error = IrohTransport::bind(config, core()).await.unwrap_err();
    assert!(matches!(error, BindError::AddrInUse { addr: found } if found == addr), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_config_that_cannot_work_binds_nothing() {
    let config = IrohConfig { bind_addr: "0.0.0.0:0".parse().unwrap(), ..IrohConfig::default() };
    let error = IrohTransport::bind(config, core()).await.unwrap_err();
    assert!(matches!(error, BindError::Config(IrohConfigError::NoAddress { .. })), "{error:?}");
}

#[tokio::test]
async fn the_wrong_key_in_a_url_reaches_nobody() {
    let (a, mut b) = (plain().await, plain().await);
    let stranger = with_key(&b.url(), &SecretKey::from_bytes(&[9; 32]));
    let error = dial_error(a.transport.connect(&stranger).await);
    assert!(matches!(error, DialError::WrongPeer { .. }), "{error:?}");
    // The first thing that the peer hears of is the call under its own key.
    a.transport.connect(&b.url()).await.unwrap();
    assert_eq!(b.next().await, Event::Connect { peer: a.url() });
}

#[tokio::test]
async fn a_port_where_nobody_answers_is_unreachable_within_the_connect_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = IrohConfig { connect_time: Duration::from_millis(200), ..IrohConfig::default() };
    let a = node(config, TransportConfig::default()).await;
    let key = SecretKey::from_bytes(&[9; 32]).public();
    let url = format!("quic://{}/{key}", silent.local_addr().unwrap()).parse().unwrap();
    let error = dial_error(a.transport.connect(&url).await);
    assert!(matches!(&error, DialError::Unreachable { reason } if reason.contains("200ms")), "{error:?}");
}

#[tokio::test]
async fn urls_of_other_transports_are_refused() {
    let a = plain().await;
    let key = SecretKey::from_bytes(&[9; 32]).public();
    for url in
        [format!("mem://host:1/{key}"), format!("quic://a.b:1/{key}"), format!("quic://127.0.0.1:1/x/{key}")]
    {
        let error = dial_error(a.transport.connect(&url.parse().unwrap()).await);
        assert!(matches!(error, DialError::InvalidUrl { .. }), "{url}: {error:?}");
    }
    let own = dial_error(a.transport.connect(&a.url()).await);
    assert_eq!(own, DialError::OwnUrl);
}

#[tokio::test]
async fn a_peer_that_restarts_on_its_port_with_its_key_is_reached_again() {
    let key = SecretKey::from_bytes(&[5; 32]);
    let config = IrohConfig { secret_key: Some(key), ..IrohConfig::default() };
    let (mut a, mut b) = (plain().await, node(config.clone(), TransportConfig::default()).await);
    a.notify(&b, "before").await;
    assert_eq!(b.next_data().await, "before");

    let url = b.url();
    b.transport.close().await;
    drop(b);
    a.expect_disconnect(&url).await;
    let mut b = again(IrohConfig { bind_addr: url.socket_addr().unwrap(), ..config }).await;
    assert_eq!(b.url(), url);
    a.notify(&b, "after").await;
    assert_eq!(b.next_data().await, "after");
    b.notify(&a, "and back").await;
    assert_eq!(a.next_data().await, "and back");
}

/// Binds a port that another transport of this process is about to give back.
async fn again(config: IrohConfig) -> Node {
    let make = |hnd: Arc<TxImpHnd>| {
        let config = config.clone();
        async move {
            loop {
                match IrohTransport::bind(config.clone(), Arc::clone(&hnd)).await {
                    Ok(transport) => return transport as Arc<dyn TxImp>,
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
                tokio::task::yield_now().await;
            }
        }
    };
    Node::new(&make, TransportConfig::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_frame_arrives_and_a_larger_one_is_not_sent() {
    let (a, mut b) = (plain().await, plain().await);
    let largest = (16 << 20) - 2 - 5 - 2 - SPACE.as_bytes().len();
    let data = bytes::Bytes::from((0..largest).map(|at| (at * 31) as u8).collect::<Vec<_>>());
    a.notify(&b, data.clone()).await;
    assert!(b.next_data().await == data, "the largest payload did not arrive as it was");
    let sent = a.transport.send_space_notify(&b.url(), &SPACE, vec![0; largest + 1].into()).await;
    let (len, max) = ((16 << 20) + 1, 16 << 20);
    assert_eq!(sent, Err(SendError::TooLarge { len, max }));
    let sent = a.transport.send_space_notify(&b.url(), &SPACE, "still here".into()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    assert_eq!(b.next_data().await, "still here");
}

#[tokio::test]
async fn the_socket_counts_what_goes_over_it() {
    let transport = IrohTransport::bind(IrohConfig::default(), core()).await.unwrap();
    let mut b = plain().await;
    transport.connect(&b.url()).await.unwrap();
    let notify = quorate_wire::Frame::Notify { space: SPACE, data: vec![7; 100_000].into() };
    transport.send(&b.url(), notify.into_encoded()).await.unwrap();
    assert_eq!(b.next_data().await.len(), 100_000);
    let stats = transport.stats();
    assert!((100_000..200_000).contains(&stats.sent_bytes), "{stats:?}");
    assert!((1..100_000).contains(&stats.received_bytes), "{stats:?}");
    assert!(stats.received_datagrams > 0, "{stats:?}");
    transport.close().await;
}
