//! Keeps one connection to a peer: opened on first use, and again when it is lost.
//!
//! The rules: many who need the connection cause one connect, and one that fails fails all of them once. It goes on when
//! those who wait give up, so it makes progress under short timeouts. Between connects that fail there is a pause, in
//! which requests fail at once with the last cause: a quorum that does not need this peer never waits for it.

use super::pauses::Pauses;
use super::{ClientSettings, JsonRpcClient, Requester};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, ConnectFault, PeerError};
use async_trait::async_trait;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// A [`Requester`] over a [`JsonRpcClient`].
pub struct Reconnecting<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    endpoint: Endpoint,
    settings: Arc<ClientSettings>,
    state: Mutex<State<C>>,
}

struct State<C> {
    link: Link<C>,
    /// After connects that failed and connections that were lost too early.
    pauses: Pauses,
}

enum Link<C> {
    /// None.
    Down,
    /// One is being opened.
    Opening(Opened<C>),
    /// It stands, or did when it was last looked at.
    Up { client: Arc<C>, since: Instant },
}

/// What becomes of a connect: `None` until it is known.
type Opened<C> = watch::Receiver<Option<Result<Arc<C>, ConnectFault>>>;

impl<C: JsonRpcClient> Reconnecting<C> {
    /// A client for `endpoint`; nothing is opened yet.
    pub fn new(endpoint: Endpoint, settings: Arc<ClientSettings>) -> Self {
        let state = Mutex::new(State { link: Link::Down, pauses: Pauses::new() });
        Self { shared: Arc::new(Shared { endpoint, settings, state }) }
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        matches!(&self.shared.lock().link, Link::Up { client, .. } if client.is_connected())
    }

    async fn connected(&self) -> Result<Arc<C>, ConnectError> {
        let mut opened = match self.shared.look()? {
            Look::Ready(client) => return Ok(client),
            Look::Wait(opened) => opened,
        };
        let outcome = opened.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome {
            Ok(Some(Ok(client))) => Ok(client),
            Ok(Some(Err(fault))) => Err(fault.into()),
            // The task that connects was ended with its runtime.
            Ok(None) | Err(_) => Err(ConnectFault::Io(std::io::ErrorKind::Interrupted).into()),
        }
    }
}

#[async_trait]
impl<C: JsonRpcClient> Requester for Reconnecting<C> {
    async fn request(&self, call: &Call) -> Result<Answer, PeerError> {
        self.connected().await?.request(call).await
    }

    async fn close(&self) {
        if let Some(client) = self.shared.take_up() {
            client.close().await;
        }
    }
}

enum Look<C> {
    Ready(Arc<C>),
    Wait(Opened<C>),
}

impl<C: JsonRpcClient> Shared<C> {
    /// The connection, or the one that is being opened, or the reason why none is.
    fn look(self: &Arc<Self>) -> Result<Look<C>, ConnectError> {
        let mut state = self.lock();
        match &state.link {
            Link::Up { client, .. } if client.is_connected() => return Ok(Look::Ready(client.clone())),
            Link::Opening(opened) => return Ok(Look::Wait(opened.clone())),
            Link::Up { client, since } => {
                let (cause, early) = (client.ended(), since.elapsed() < self.settings.stable_after);
                state.link = Link::Down;
                match early {
                    true => {
                        let cause = cause.unwrap_or(PeerError::Closed);
                        state.pauses.lost_early(ConnectFault::Lost(Box::new(cause)), &self.settings);
                    }
                    false => state.pauses.stable(),
                }
            }
            Link::Down => {}
        }
        state.pauses.allow()?;
        let (tell, opened) = watch::channel(None);
        state.link = Link::Opening(opened.clone());
        drop(state);
        let shared = self.clone();
        tokio::spawn(async move {
            let outcome = shared.open().await;
            let _ = tell.send(Some(outcome));
        });
        Ok(Look::Wait(opened))
    }

    /// The connection, which is none any more here.
    fn take_up(&self) -> Option<Arc<C>> {
        let mut state = self.lock();
        let Link::Up { client, .. } = &state.link else { return None };
        let client = client.clone();
        state.link = Link::Down;
        Some(client)
    }

    async fn open(&self) -> Result<Arc<C>, ConnectFault> {
        let outcome = C::connect(&self.endpoint, &self.settings).await.map(Arc::new);
        let mut state = self.lock();
        match &outcome {
            Ok(client) => state.link = Link::Up { client: client.clone(), since: Instant::now() },
            Err(fault) => {
                state.link = Link::Down;
                state.pauses.failed(fault.clone(), &self.settings);
                tracing::debug!(endpoint = %self.endpoint, %fault, "a peer cannot be reached");
            }
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing under this lock panics half-way, and no foreign code runs but `is_connected`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for Reconnecting<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
