//! Reaching peers by their URLs.
//!
//! The rule: who answers has proven the key in the URL, or there is no link.

use crate::{
    Protocol, Protocols, RelayStatus,
    address::{Route, is_plain_text, key_of},
    link::{LinkConfig, link},
    own::OwnUrls,
};
use async_trait::async_trait;
use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{ConnectError, ConnectOptions, ConnectingError, Connection, ConnectionError},
};
use quorate_transport::{AuthenticatedPeer, DialError, Dialer, Link};
use quorate_wire::PeerUrl;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// TLS alerts reach QUIC as transport errors from here to 255 above (RFC 9001, section 4.8).
const TLS_ALERTS: u64 = 0x100;
/// The alert of a server that speaks none of the protocols offered (RFC 7301, section 3.2).
const NO_PROTOCOL: u64 = TLS_ALERTS + 120;

pub(crate) struct QuicDialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) links: Arc<LinkConfig>,
    pub(crate) own: OwnUrls,
    pub(crate) protocols: Protocols,
    pub(crate) allow_plain_text: bool,
    pub(crate) connect_time: Duration,
}

#[async_trait]
impl Dialer for QuicDialer {
    async fn dial(&self, url: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let (addr, protocols) = self.plan(url)?;
        let connection = match timeout(self.connect_time, self.connect(url, addr, protocols)).await {
            Ok(connected) => connected?,
            Err(_) => {
                return Err(self.unreachable(url, format_args!("no answer within {:?}", self.connect_time)));
            }
        };
        let key = key_of(connection.remote_id());
        let peer = AuthenticatedPeer::new(key, url.clone())
            .map_err(|_| DialError::WrongPeer { found: connection.remote_id().to_string() })?;
        let own = self.own.toward(url).ok_or_else(|| offline("it has no URL yet"))?;
        let (mut sink, source) = self.links.halves(connection);
        sink.introduce_as(own);
        Ok((peer, link(sink, source)))
    }
}

impl QuicDialer {
    /// Where to dial, and what may be spoken there.
    fn plan(&self, url: &PeerUrl) -> Result<(EndpointAddr, &'static [Protocol]), DialError> {
        let refused = |reason: &str| DialError::invalid_url(format_args!("{url}: {reason}"));
        match Route::to(url)? {
            Route::Direct(addr) if self.protocols.contains(Protocol::Quorate) => {
                Ok((addr, &[Protocol::Quorate]))
            }
            Route::Direct(_) => Err(refused("peers of kitsune2/0 are reached through relays only")),
            Route::Relayed(..) if self.own.relay().is_none() => Err(refused("this node uses no relay")),
            Route::Relayed(_, relay) if is_plain_text(&relay) && !self.allow_plain_text => {
                Err(refused("the relay is spoken to without TLS, which is not allowed"))
            }
            Route::Relayed(addr, _) => Ok((addr, self.protocols.list())),
        }
    }

    async fn connect(
        &self,
        url: &PeerUrl,
        addr: EndpointAddr,
        protocols: &[Protocol],
    ) -> Result<Connection, DialError> {
        match self.own.relay().filter(|_| addr.relay_urls().next().is_some()) {
            None => self.handshake(url, addr, protocols).await,
            Some(relay) => {
                online(relay.clone()).await?;
                tokio::select! {
                    connected = self.handshake(url, addr, protocols) => connected,
                    error = gone(relay.clone()) => Err(error),
                }
            }
        }
    }

    async fn handshake(
        &self,
        url: &PeerUrl,
        addr: EndpointAddr,
        protocols: &[Protocol],
    ) -> Result<Connection, DialError> {
        let mut alpns = protocols.iter().map(|protocol| protocol.alpn().to_vec());
        let Some(first) = alpns.next() else { return Err(offline("it speaks no protocol")) };
        let options = ConnectOptions::new().with_additional_alpns(alpns.collect());
        let connecting = self.endpoint.connect_with_opts(addr, &first, options).await;
        let connecting = connecting.map_err(|error| self.failed(url, &error.into()))?;
        connecting.await.map_err(|error| self.failed(url, &error.into()))
    }

    fn failed(&self, url: &PeerUrl, error: &ConnectError) -> DialError {
        let connection = match error {
            ConnectError::Connection { source, .. }
            | ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => {
                source
            }
            other => return self.unreachable(url, other),
        };
        match connection {
            ConnectionError::ConnectionClosed(closed) if u64::from(closed.error_code) == NO_PROTOCOL => {
                let offered = self.protocols.list().iter().map(|protocol| protocol.alpn());
                let offered = offered.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" nor ");
                DialError::Incompatible { reason: format!("not {offered}") }
            }
            // We are the side that checks a certificate first, and it must be that of the key in the URL.
            ConnectionError::TransportError(error) if u64::from(error.code) >= TLS_ALERTS => {
                let found = format!("a peer that did not prove the key: {}", error.reason);
                DialError::WrongPeer { found }
            }
            other => self.unreachable(url, other),
        }
    }

    /// The peer did not answer; or nobody could have, because our relay is gone.
    fn unreachable(&self, url: &PeerUrl, reason: impl ToString) -> DialError {
        let by_relay = crate::address::is_relay_scheme(url.scheme());
        match self.own.relay().filter(|_| by_relay).map(|relay| relay.borrow()) {
            Some(relay) if !relay.connected => offline(relay.error.as_deref().unwrap_or("the relay is gone")),
            _ => DialError::unreachable(reason),
        }
    }
}

/// Waits for the relay's first answer. An error at once where it was there and is gone, or does not answer.
async fn online(mut relay: watch::Receiver<RelayStatus>) -> Result<(), DialError> {
    let status = relay.wait_for(|status| status.connected || status.is_down()).await;
    match status.as_deref() {
        Ok(status) if status.connected => Ok(()),
        Ok(status) => Err(offline(status.error.as_deref().unwrap_or("the relay is gone"))),
        Err(_) => Err(offline("it is closing")),
    }
}

/// Waits until the relay is gone.
async fn gone(mut relay: watch::Receiver<RelayStatus>) -> DialError {
    match relay.wait_for(RelayStatus::is_down).await.as_deref() {
        Ok(status) => offline(status.error.as_deref().unwrap_or("the relay is gone")),
        Err(_) => offline("it is closing"),
    }
}

fn offline(reason: &str) -> DialError {
    DialError::Offline { reason: reason.to_owned() }
}
