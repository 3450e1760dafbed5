//! What scripted servers share: JSON-RPC over websocket and over HTTP/1.1, on the same port.

mod connection;
mod http;

pub(crate) use connection::serve;

use std::time::Duration;

/// What is done with one request.
#[derive(Debug, PartialEq)]
pub(crate) enum Reaction {
    /// These messages, in this order, after this long.
    Say(Duration, Vec<Vec<u8>>),
    /// Nothing.
    Nothing,
    /// The connection is closed.
    Close,
}

/// Answers requests.
pub(crate) trait Service: Send + Sync {
    /// Whether somebody with this `Authorization` header is let in.
    fn lets_in(&self, _authorization: Option<&[u8]>) -> bool {
        true
    }

    /// Somebody closed a websocket as one should.
    fn said_goodbye(&self) {}

    /// What is done with the request.
    fn react(&self, request: &[u8]) -> Reaction;
}
