//! A peer that speaks QUIC with a proven key, and beyond that says what a test wants.

use iroh::{
    Endpoint, EndpointAddr, RelayMode, RelayUrl,
    endpoint::{ConnectOptions, Connection, ConnectionError, RecvStream, SendStream, presets},
};
use quorate_iroh::Protocol;
use quorate_transport::CloseCode;
use quorate_wire::{Frame, PeerUrl, StreamLimits, stream::encode_preflight};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

pub(crate) struct Stranger {
    pub(crate) endpoint: Endpoint,
    /// The relay that it is at, if any: it speaks `kitsune2/0` then.
    relay: Option<String>,
}

/// A connection of a stranger, and the stream it writes.
pub(crate) struct Call {
    pub(crate) connection: Connection,
    pub(crate) stream: SendStream,
}

impl Stranger {
    pub(crate) async fn new() -> Self {
        let builder =
            Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled).clear_ip_transports();
        let endpoint = builder.bind_addr("127.0.0.1:0").unwrap().bind().await.unwrap();
        Self { endpoint, relay: None }
    }

    /// One that speaks `kitsune2/0` through a relay.
    pub(crate) async fn at_relay(relay: &str) -> Self {
        let mode = RelayMode::custom([relay.parse().unwrap()]);
        let builder = Endpoint::builder(presets::Minimal).relay_mode(mode).clear_ip_transports();
        let endpoint = builder.bind_addr("127.0.0.1:0").unwrap().bind().await.unwrap();
        // On a busy machine iroh may fail to measure the relay, and then tries again only when it is told to.
        while timeout(Duration::from_secs(2), endpoint.online()).await.is_err() {
            let url: RelayUrl = relay.parse().unwrap();
            endpoint.insert_relay(url.clone(), Arc::new(url.into())).await;
        }
        Self { endpoint, relay: Some(relay.to_owned()) }
    }

    /// The URL that belongs to its key.
    pub(crate) fn url(&self) -> PeerUrl {
        if let Some(relay) = &self.relay {
            return format!("{relay}/{}", self.endpoint.id()).parse().unwrap();
        }
        let addr = self.endpoint.bound_sockets()[0];
        format!("quic://{addr}/{}", self.endpoint.id()).parse().unwrap()
    }

    /// Connects and says nothing yet.
    pub(crate) async fn connect(&self, to: &PeerUrl) -> Connection {
        let protocol = if self.relay.is_some() { Protocol::Kitsune2 } else { Protocol::Quorate };
        self.try_connect(to, protocol.alpn()).await.unwrap()
    }

    pub(crate) async fn try_connect(
        &self,
        to: &PeerUrl,
        alpn: &[u8],
    ) -> Result<Connection, iroh::endpoint::ConnectError> {
        self.offer(to, &[alpn]).await
    }

    /// Connects with these protocols, the preferred one first.
    pub(crate) async fn offer(
        &self,
        to: &PeerUrl,
        alpns: &[&[u8]],
    ) -> Result<Connection, iroh::endpoint::ConnectError> {
        let addr = EndpointAddr::new(to.peer_id().unwrap().parse().unwrap());
        let addr = match &self.relay {
            Some(relay) => addr.with_relay_url(relay.parse().unwrap()),
            None => addr.with_ip_addr(to.socket_addr().unwrap()),
        };
        let more = alpns[1..].iter().map(|alpn| alpn.to_vec()).collect();
        let options = ConnectOptions::new().with_additional_alpns(more);
        Ok(self.endpoint.connect_with_opts(addr, alpns[0], options).await?.await?)
    }

    /// Connects and writes these bytes.
    pub(crate) async fn call(&self, to: &PeerUrl, bytes: &[u8]) -> Call {
        let connection = self.connect(to).await;
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Call { connection, stream }
    }

    /// Connects, introduces itself, and waits for the introduction of the other side.
    pub(crate) async fn introduced(&self, to: &PeerUrl) -> (Call, RecvStream) {
        let call = self.call(to, &introduction(&self.url())).await;
        let mut stream = call.connection.accept_uni().await.unwrap();
        let mut kind = [0xff];
        stream.read_exact(&mut kind).await.unwrap();
        assert_eq!(kind, [0], "the first frame is a preflight");
        (call, stream)
    }
}

impl Call {
    /// Waits until the other side closes: its code and its words.
    pub(crate) async fn closed(&self) -> (CloseCode, String) {
        closed(&self.connection).await
    }
}

/// Waits until the other side closes: its code and its words.
pub(crate) async fn closed(connection: &Connection) -> (CloseCode, String) {
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => {
            let reason = String::from_utf8(close.reason.to_vec()).unwrap();
            (CloseCode::from(close.error_code.into_inner()), reason)
        }
        other => panic!("{other:?}"),
    }
}

/// An introduction under a URL, with an empty preflight.
pub(crate) fn introduction(url: &PeerUrl) -> Vec<u8> {
    let frame = Frame::Preflight { data: bytes::Bytes::new() }.into_encoded();
    encode_preflight(url, frame, &StreamLimits::default()).unwrap().to_bytes().to_vec()
}

/// The same with these bytes in the place of the frame.
pub(crate) fn introduction_of(url: &PeerUrl, frame: &[u8]) -> Vec<u8> {
    let url = url.as_str().as_bytes();
    let (body, named) = ((4 + url.len() + frame.len()) as u32, url.len() as u32);
    [&[0], &body.to_be_bytes()[..], &named.to_be_bytes(), url, frame].concat()
}

/// Dials an address.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    to: &PeerUrl,
) -> Result<Connection, iroh::endpoint::ConnectError> {
    let addr = EndpointAddr::new(to.peer_id().unwrap().parse().unwrap());
    endpoint.connect(addr.with_ip_addr(to.socket_addr().unwrap()), Protocol::Quorate.alpn()).await
}
