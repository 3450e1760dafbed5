//! Taking the streams that strangers open.
//!
//! The rule: accepting never waits for anybody. Each newcomer has a task of its own, there is a bound on how many there
//! are, and a time by which each has introduced itself.

use super::{Sink, StreamLink};
use crate::sessions::{FrameSink, Inner, Sessions};
use crate::{AuthenticatedPeer, Close, CloseCode, LinkError, OpenError, PeerKey, PeerViolation, guarded};
use quorate_wire::PeerUrl;
use std::sync::{Arc, Weak};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

/// Streams whose peers have not introduced themselves, at the same time.
pub(in crate::sessions) const MAX_STRANGERS: usize = 128;

impl<R, W> StreamLink<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Waits for the peer's first frame, and returns the URL in it: what it says, proven by nothing. Cancel safe.
    ///
    /// [`Sessions::accept_stream`] calls it. After it the link can be used as if it had not been called.
    pub async fn introduction(&mut self) -> Result<PeerUrl, LinkError> {
        self.source.reader.introduction(&mut self.source.from).await
    }

    /// Who is at the other end, where it proved `key` or nothing.
    async fn peer(&mut self, key: Option<PeerKey>) -> Result<AuthenticatedPeer, LinkError> {
        let url = self.introduction().await?;
        Ok(match key {
            Some(key) => AuthenticatedPeer::new(key, url)?,
            None => AuthenticatedPeer::unauthenticated(url),
        })
    }
}

impl Sessions {
    /// Takes a stream that a peer opened: waits in a task of its own until it has said its URL, for as long as the core's
    /// `preflight_time`, then does as [`accept`](Self::accept). Never waits itself.
    ///
    /// `key` is what the peer proved on the way here (in a TLS handshake, for example), `None` for nothing. A URL that names
    /// another key is a violation. With 128 strangers waiting, one more is turned away.
    pub fn accept_stream<R, W>(&self, link: StreamLink<R, W>, key: Option<PeerKey>)
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let inner = self.inner();
        let Ok(place) = Arc::clone(&inner.strangers).try_acquire_owned() else {
            inner.hnd.counters.refused(&OpenError::TooManyConnections { max: MAX_STRANGERS });
            return;
        };
        // A stranger keeps no connections open.
        let inner = Arc::downgrade(inner);
        tokio::spawn(async move {
            let _ = guarded::drive(meet(inner, link, key)).await;
            drop(place);
        });
    }
}

async fn meet<R, W>(sessions: Weak<Inner>, mut link: StreamLink<R, W>, key: Option<PeerKey>)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let Some(limit) = sessions.upgrade().map(|inner| inner.hnd.config().preflight_time) else { return };
    let met = timeout(limit, link.peer(key)).await;
    let Some(inner) = sessions.upgrade() else { return };
    match met {
        Ok(Ok(peer)) => Inner::accept(&inner, peer, link.into()),
        Ok(Err(LinkError::Violation(violation))) => turn_away(&inner, link.sink, &violation).await,
        Ok(Err(error)) => tracing::debug!(%error, "a stream ended before its peer had introduced itself"),
        Err(_) => turn_away(&inner, link.sink, &PeerViolation::PreflightTimeout).await,
    }
}

async fn turn_away<R, W>(inner: &Inner, mut sink: Sink<R, W>, violation: &PeerViolation)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    inner.hnd.count_violation(violation);
    let close = Close::new(CloseCode::Violation, violation.to_string());
    let _ = timeout(inner.hnd.config().close_time, sink.close(&close)).await;
}
