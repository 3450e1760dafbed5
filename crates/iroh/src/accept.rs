//! Taking the connections that peers open.
//!
//! The rule: accepting never waits for anybody. Each newcomer has a task of its own, there is a bound on how
//! many there are, and a time by which each has introduced itself.

use crate::{
    close::close,
    link::{LinkConfig, link},
    own::OwnUrls,
};
use iroh::{
    Endpoint,
    endpoint::{Connection, Incoming},
};
use quorate_transport::{Close, CloseCode, LinkError, PeerViolation, TxImpHnd, WeakSessions};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// What the tasks of newcomers share.
pub(crate) struct Acceptor {
    pub(crate) hnd: Arc<TxImpHnd>,
    pub(crate) sessions: WeakSessions,
    pub(crate) links: Arc<LinkConfig>,
    pub(crate) own: OwnUrls,
}

/// Accepts until the endpoint is closed.
pub(crate) async fn accept_all(endpoint: Endpoint, acceptor: Arc<Acceptor>, max_pending: usize) {
    let places = Arc::new(Semaphore::new(max_pending));
    while let Some(incoming) = endpoint.accept().await {
        // When it gets busy, newcomers prove first that they are where they say.
        if places.available_permits() <= max_pending / 2 && !incoming.remote_addr_validated() {
            let _ = incoming.retry();
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let acceptor = Arc::clone(&acceptor);
        tokio::spawn(async move {
            acceptor.welcome(incoming).await;
            drop(place);
        });
    }
}

impl Acceptor {
    /// From the first packet to a link that introduced itself.
    async fn welcome(&self, incoming: Incoming) {
        let limit = self.hnd.config().preflight_time;
        match timeout(limit, incoming).await {
            Ok(Ok(connection)) => self.meet(connection, limit).await,
            Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
            Err(_) => tracing::debug!("a handshake took too long"),
        }
    }

    async fn meet(&self, connection: Connection, limit: Duration) {
        let (mut sink, mut source) = self.links.halves(connection.clone());
        let relayed = self.own.relay().is_some();
        let met = match timeout(limit, source.introduction(relayed)).await {
            Ok(Ok(peer)) => self.own.toward(peer.url()).map(|own| (peer, own)).ok_or(None),
            Ok(Err(LinkError::Violation(violation))) => Err(Some(violation)),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(PeerViolation::PreflightTimeout)),
        };
        match (met, self.sessions.upgrade()) {
            (Ok((peer, own)), Some(sessions)) => {
                sink.introduce_as(own);
                sessions.accept(peer, link(sink, source));
            }
            (Err(Some(violation)), _) => {
                self.hnd.count_violation(&violation);
                close(&connection, &Close::new(CloseCode::Violation, violation.to_string()));
            }
            // The peer is gone, or we are, or have no URL to answer with.
            (Ok(_), None) | (Err(None), _) => {}
        }
    }
}
