//! QUIC's ends of a connection, in the transport's words and back.
//!
//! The rule: what one side says when it closes, code and reason, is what the other side's error says,
//! in the numbers of the protocol that the two agreed on.

use crate::Protocol;
use iroh::endpoint::{Connection, ConnectionError, ReadError, WriteError};
use quorate_transport::{Close, LinkError};

/// Closes a connection and says why. What is not yet acknowledged may be lost.
pub(crate) fn close(connection: &Connection, close: &Close) {
    connection.close(Protocol::of(connection).number(close.code), close.reason.as_bytes());
}

/// Closes a connection when it is dropped, so that a peer is told even by a future that is cut off.
pub(crate) struct CloseOnDrop<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) close: &'a Close,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        close(self.connection, self.close);
    }
}

/// Why a connection is over.
pub(crate) fn link_error(connection: &Connection, error: &ConnectionError) -> LinkError {
    match error {
        ConnectionError::ApplicationClosed(closed) => {
            let code = Protocol::of(connection).code(closed.error_code);
            LinkError::closed(code, String::from_utf8_lossy(&closed.reason))
        }
        other => LinkError::broken(other),
    }
}

/// Why a stream cannot be read.
pub(crate) fn read_error(connection: &Connection, error: &ReadError) -> LinkError {
    match error {
        ReadError::ConnectionLost(error) => link_error(connection, error),
        other => LinkError::broken(other),
    }
}

/// Why a stream cannot be written.
pub(crate) fn write_error(connection: &Connection, error: &WriteError) -> LinkError {
    match error {
        WriteError::ConnectionLost(error) => link_error(connection, error),
        other => LinkError::broken(other),
    }
}
