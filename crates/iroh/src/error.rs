//! Why a transport did not start. What can go wrong later is in `quorate-transport`'s errors.

use std::{io, net::SocketAddr, time::Duration};

/// Why [`IrohTransport::bind`](crate::IrohTransport::bind) did not start a transport. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] IrohConfigError),
    /// The limits of the transport core do not fit this transport.
    #[error(transparent)]
    Core(#[from] quorate_transport::ConfigError),
    /// Another socket has the port.
    #[error("{addr} is in use")]
    AddrInUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The operating system gave no socket at the address.
    #[error("cannot bind {addr}")]
    Socket {
        /// The address asked for.
        addr: SocketAddr,
        /// What it said.
        source: io::Error,
    },
    /// The QUIC endpoint did not start for another reason.
    #[error("cannot start a QUIC endpoint: {reason}")]
    Endpoint {
        /// What it said.
        reason: String,
    },
}

impl BindError {
    /// Whether the same call may succeed later without anybody changing the configuration.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::AddrInUse { .. })
    }
}

/// Why an [`IrohConfig`](crate::IrohConfig) cannot be used. The caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IrohConfigError {
    /// A time limit of zero would end everything at once.
    #[error("`{name}` must be longer than zero")]
    ZeroTime {
        /// The field.
        name: &'static str,
    },
    /// A connection without traffic would end between two signs of life, or never.
    #[error(
        "`idle_timeout` must be longer than `keep_alive` ({keep_alive:?}) and at most a day, not {idle_timeout:?}"
    )]
    IdleTimeout {
        /// The value found.
        idle_timeout: Duration,
        /// How often a sign of life is sent.
        keep_alive: Duration,
    },
    /// From a larger window so many packets can be lost that QUIC ends the connection.
    #[error("`receive_window` must be at most {max}, not {found}")]
    ReceiveWindow {
        /// The value found, in bytes.
        found: u32,
        /// The largest.
        max: u32,
    },
    /// Bound to all interfaces, and `advertised_addr` does not say where peers reach this node.
    #[error("`advertised_addr` must say where peers reach a node that is bound to {bind_addr}")]
    NoAddress {
        /// Where the node is bound.
        bind_addr: SocketAddr,
    },
    /// Nobody can reach that address, or it cannot stand in a URL.
    #[error("peers cannot reach {addr}")]
    Unreachable {
        /// The address.
        addr: SocketAddr,
    },
    /// That is no relay: `https://` or `http://`, a host, and perhaps a port and a path.
    #[error("{url} is not the URL of a relay")]
    RelayUrl {
        /// The URL.
        url: String,
    },
    /// The relay is spoken to without TLS, and `allow_plain_text` is not set.
    #[error("{url} is a relay without TLS: set `allow_plain_text` to use it all the same")]
    PlainText {
        /// The relay's URL.
        url: String,
    },
    /// Nodes of `kitsune2/0` know each other by their relay.
    #[error("kitsune2/0 needs a relay")]
    NoRelay,
}
