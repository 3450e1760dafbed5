//! Clients: how one peer is asked.
//!
//! The rule: whoever asks gets an answer or a cause, and no waiter is forgotten: when a connection breaks, everybody who
//! waits on it is told at once. A client keeps what a hostile peer can make it hold within bounds.

mod http;
mod pauses;
mod reconnect;
mod settings;
mod stream;
mod websocket;

pub use http::HttpClient;
pub use reconnect::Reconnecting;
pub use settings::ClientSettings;
pub use websocket::WebsocketClient;

use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::error::{ConnectFault, PeerError};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Asks one peer. The trait of whoever brings a client of another kind.
#[async_trait]
pub trait Requester: Send + Sync + 'static {
    /// The peer's answer, or why there is none. Dropping the future gives the request up.
    async fn request(&self, call: &Call) -> Result<Answer, PeerError>;

    /// The whole response objects to several calls, in the order of the calls, or why there are not all of them.
    ///
    /// By default each call is a request of its own, all at once. Who can send them as one body does so.
    async fn batch(&self, calls: &[Call]) -> Result<Vec<Bytes>, PeerError> {
        let requests = calls.iter().map(|call| {
            let call = call.clone().whole();
            async move { self.request(&call).await.map(|answer| answer.0) }
        });
        futures::future::try_join_all(requests).await
    }

    /// Says goodbye to the peer, where its protocol has a word for it, and waits until that is said: two seconds at most. Whoever waits for an
    /// answer is told that the connection is gone. A later request connects again.
    async fn close(&self) {}
}

/// A client with one connection, which [`Reconnecting`] opens again when it is lost (seed `JsonRpcClient`).
#[async_trait]
pub trait JsonRpcClient: Sized + Send + Sync + 'static {
    /// Opens a connection.
    async fn connect(endpoint: &Endpoint, settings: &ClientSettings) -> Result<Self, ConnectFault>;

    /// Whether the connection still stands, as far as is known.
    fn is_connected(&self) -> bool;

    /// Why the connection has ended, where that is known.
    fn ended(&self) -> Option<PeerError> {
        None
    }

    /// Asks over it.
    async fn request(&self, call: &Call) -> Result<Answer, PeerError>;

    /// Ends the connection politely, and waits until that is done. Dropping it does the same and does not wait.
    async fn close(&self) {}
}

/// A client for an endpoint: a websocket that is opened on first use, or HTTP, by the endpoint's scheme.
pub fn client(endpoint: Endpoint, settings: Arc<ClientSettings>) -> Arc<dyn Requester> {
    match endpoint.scheme().is_websocket() {
        true => Arc::new(Reconnecting::<WebsocketClient>::new(endpoint, settings)),
        false => Arc::new(HttpClient::new(endpoint, settings)),
    }
}
