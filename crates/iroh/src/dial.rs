//! Reaching peers by their URLs.
//!
//! The rule: who answers has proven the key in the URL, or there is no link.

use crate::{
    ALPN,
    address::{endpoint_addr, key_of},
    link::{LinkConfig, link},
};
use async_trait::async_trait;
use iroh::{
    Endpoint,
    endpoint::{ConnectError, ConnectingError, Connection, ConnectionError},
};
use quorate_transport::{AuthenticatedPeer, DialError, Dialer, Link};
use quorate_wire::PeerUrl;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// TLS alerts reach QUIC as transport errors from here to 255 above (RFC 9001, section 4.8).
const TLS_ALERTS: u64 = 0x100;

pub(crate) struct QuicDialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) links: Arc<LinkConfig>,
    pub(crate) connect_time: Duration,
}

#[async_trait]
impl Dialer for QuicDialer {
    async fn dial(&self, url: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let connection = self.connect(url).await?;
        let key = key_of(connection.remote_id());
        let peer = AuthenticatedPeer::new(key, url.clone())
            .map_err(|_| DialError::WrongPeer { found: connection.remote_id().to_string() })?;
        let (sink, source) = self.links.halves(connection);
        Ok((peer, link(sink, source)))
    }
}

impl QuicDialer {
    async fn connect(&self, url: &PeerUrl) -> Result<Connection, DialError> {
        let addr = endpoint_addr(url)?;
        match timeout(self.connect_time, self.endpoint.connect(addr, ALPN)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(dial_error(&error)),
            Err(_) => {
                let reason = format!("no answer within {:?}", self.connect_time);
                Err(DialError::Unreachable { reason })
            }
        }
    }
}

fn dial_error(error: &ConnectError) -> DialError {
    let connection = match error {
        ConnectError::Connection { source, .. }
        | ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => source,
        other => return DialError::Unreachable { reason: other.to_string() },
    };
    match connection {
        // We are the side that checks a certificate first, and it must be that of the key in the URL.
        ConnectionError::TransportError(error) if u64::from(error.code) >= TLS_ALERTS => {
            DialError::WrongPeer { found: format!("a peer that did not prove the key: {}", error.reason) }
        }
        other => DialError::Unreachable { reason: other.to_string() },
    }
}
