//! What one peer can do wrong, and whose fault it is.
//!
//! The rule: causes stay apart. A peer that answers 401, one that does not know the method and one that cannot be
//! reached are three different things to a caller, so they are three different values.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The longest error message of a peer that is kept, in bytes; the rest is cut.
pub const MAX_MESSAGE_BYTES: usize = 512;
/// The longest wait that a peer can ask for; more is taken as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Why one peer gave no answer, or one that does not count.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// There is no connection. The peer has not seen the request.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was lost. The peer may have seen the request.
    #[error("the connection was lost")]
    Closed,
    /// No answer came in time. The peer may have seen the request.
    #[error("no answer within {}", Seconds(*after))]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The request is longer than the client sends. The peer has not seen it.
    #[error("the request has {len} bytes, at most {max} are sent")]
    RequestTooLarge {
        /// How long it is.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// Too many requests wait for this peer already. It has not seen this one.
    #[error("{max} requests wait for it already")]
    Busy {
        /// How many may wait.
        max: usize,
    },
    /// The peer answered with an error of JSON-RPC.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The peer, or something in front of it, answered with an HTTP status that is no success.
    #[error("HTTP status {status}{}", Asks(*retry_after))]
    Http {
        /// The status.
        status: u16,
        /// How long it asks to be left alone (`Retry-After` in seconds), at most [`MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// What came is not an answer of JSON-RPC to this request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The answer has another shape than what was asked for.
    #[error("the answer has the wrong shape: {0}")]
    Decode(#[source] Arc<serde_json::Error>),
    /// The answer does not hold what the caller's check asks for.
    #[error("the answer is not valid: {0}")]
    Invalid(#[source] Arc<dyn Error + Send + Sync>),
    /// The federation has no such peer. Nobody was asked.
    #[error("the federation has no such peer")]
    UnknownPeer,
}

impl PeerError {
    /// An answer that a caller's check refused.
    pub fn invalid(reason: impl Error + Send + Sync + 'static) -> Self {
        Self::Invalid(Arc::new(reason))
    }

    /// Whether the same request may succeed later without anybody changing anything: by the cause.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(error) => error.fault.is_retryable(),
            Self::Closed | Self::TimedOut { .. } | Self::Busy { .. } => true,
            Self::Rpc(error) => error.kind().is_retryable(),
            Self::Http { status, .. } => is_for_now(*status),
            Self::Malformed(_)
            | Self::Decode(_)
            | Self::Invalid(_)
            | Self::UnknownPeer
            | Self::RequestTooLarge { .. } => false,
        }
    }

    /// How long the peer asks to be left alone, where it says so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same with the wait that the peer asks for, where it has a place for one.
    #[cfg(any(feature = "tokio", feature = "blocking"))]
    pub(crate) fn asks_for(mut self, wait: Option<Duration>) -> Self {
        if let Self::Http { retry_after, .. } = &mut self {
            *retry_after = wait.map(|wait| wait.min(MAX_RETRY_AFTER));
        }
        self
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(ConnectError { fault: ConnectFault::BadEndpoint, .. }) | Self::UnknownPeer => {
                Fault::Caller
            }
            Self::Connect(ConnectError { fault: ConnectFault::Lost(cause), .. }) => cause.fault(),
            Self::Connect(_) | Self::Closed | Self::TimedOut { .. } => Fault::Network,
            Self::Rpc(error) => error.kind().fault(),
            Self::Busy { .. } | Self::RequestTooLarge { .. } => Fault::Caller,
            Self::Http { status: 400..=499, .. } => Fault::Caller,
            Self::Http { .. } | Self::Malformed(_) | Self::Decode(_) | Self::Invalid(_) => Fault::Peer,
        }
    }
}

/// Whether an HTTP status says that the same request may be served later: too early, too many, overloaded, a gateway's trouble.
pub(crate) const fn is_for_now(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 502..=504)
}

/// An error of somebody else's code, kept whole. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reason(Arc<dyn Error + Send + Sync>);

impl Reason {
    /// Keeps an error.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// The error as the type that it has, if it is that one.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Whose fault it is that there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Who asked: wrong parameters, no permission, too many requests.
    Caller,
    /// The peer: it failed, or broke the protocol.
    Peer,
    /// What lies between, or a peer that is down; the two cannot be told apart.
    Network,
}

/// A connection that did not come about.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault}{}", Again(*retry_in))]
pub struct ConnectError {
    /// Why.
    pub fault: ConnectFault,
    /// Set when this request did not try, because the last try failed: how long until one may.
    pub retry_in: Option<Duration>,
}

impl From<ConnectFault> for ConnectError {
    fn from(fault: ConnectFault) -> Self {
        Self { fault, retry_in: None }
    }
}

/// Why a connection did not come about.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFault {
    /// The operating system says so.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The host name is not known.
    #[error("the host name cannot be resolved")]
    Resolve,
    /// Nothing happened in time.
    #[error("no connection within {}", Seconds(*after))]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(#[source] Arc<dyn Error + Send + Sync>),
    /// The peer refused the websocket with an HTTP status.
    #[error("the websocket was refused with HTTP status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// One connection after another was lost as soon as it was there.
    #[error("its connections are lost at once: {0}")]
    Lost(#[source] Box<PeerError>),
    /// What answers there does not speak the protocol.
    #[error("what answers there does not speak websocket")]
    NotWebsocket,
    /// The endpoint cannot be used by this client.
    #[error("this client cannot use such an address")]
    BadEndpoint,
}

impl ConnectFault {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Io(_) | Self::Resolve | Self::TimedOut { .. } => true,
            Self::Refused { status } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Lost(cause) => cause.is_retryable(),
            Self::Tls(_) | Self::NotWebsocket | Self::BadEndpoint => false,
        }
    }
}

/// An error of JSON-RPC, with the code as the peer sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// The code.
    pub code: i64,
    /// The message, without control characters, at most [`MAX_MESSAGE_BYTES`].
    pub message: String,
}

impl RpcError {
    /// From what a peer sent; the message is cut and cleaned.
    pub fn new(code: i64, message: &str) -> Self {
        let clean = message.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut kept = String::new();
        for c in clean {
            if kept.len() + c.len_utf8() > MAX_MESSAGE_BYTES {
                break;
            }
            kept.push(c);
        }
        Self { code, message: kept }
    }

    /// What the code means, by the specification and by Fedimint's servers.
    pub const fn kind(&self) -> RpcErrorKind {
        match self.code {
            400 | -32602 | -32600 | -32700 => RpcErrorKind::InvalidRequest,
            401 | 403 => RpcErrorKind::Unauthorized,
            404 => RpcErrorKind::NotFound,
            -32601 => RpcErrorKind::UnknownMethod,
            -32000 => RpcErrorKind::RequestTimeout,
            -32009 | -32011..=-32010 | 429 => RpcErrorKind::Busy,
            -32008..=-32005 => RpcErrorKind::TooLarge,
            500 | -32603 => RpcErrorKind::Internal,
            _ => RpcErrorKind::Other,
        }
    }
}

/// What an error code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RpcErrorKind {
    /// The request is wrong: 400, -32700, -32600, -32602.
    InvalidRequest,
    /// No permission: 401, 403.
    Unauthorized,
    /// What was asked for is not there, perhaps not yet: 404.
    NotFound,
    /// The method does not exist there: -32601. This is how features are found out.
    UnknownMethod,
    /// The server gave up by itself: -32000.
    RequestTimeout,
    /// The server is busy: -32009 to -32011, 429.
    Busy,
    /// Request or answer is too large for the server: -32005 to -32008.
    TooLarge,
    /// The server failed: 500, -32603.
    Internal,
    /// A code of the application.
    Other,
}

impl RpcErrorKind {
    /// Whether the same request may succeed later.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::NotFound | Self::RequestTimeout | Self::Busy)
    }

    const fn fault(self) -> Fault {
        match self {
            Self::InvalidRequest
            | Self::Unauthorized
            | Self::NotFound
            | Self::UnknownMethod
            | Self::TooLarge => Fault::Caller,
            Self::RequestTimeout | Self::Busy | Self::Internal | Self::Other => Fault::Peer,
        }
    }
}

/// Bytes that are no answer of JSON-RPC; the peer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not JSON, or not an object with a result or an error.
    #[error("it did not answer in JSON-RPC")]
    NotJsonRpc,
    /// An answer to a question that was never asked.
    #[error("it answered a question that was not asked")]
    UnknownId,
    /// A batch without the answer to one of its questions.
    #[error("it did not answer every question of the batch")]
    Incomplete,
    /// Longer than allowed.
    #[error("its answer is longer than {max} bytes")]
    TooLarge {
        /// How long it may be.
        max: usize,
    },
    /// One message after another that nobody waits for.
    #[error("it keeps sending what nobody asked for")]
    Unasked,
    /// A breach of the websocket protocol or of HTTP.
    #[error("it broke the protocol of the connection")]
    Framing,
}

/// A duration for people: "250 ms", "1.5 s".
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 if !self.0.is_zero() => f.write_str("1 ms"),
            millis if millis < 1_000 => write!(f, "{millis} ms"),
            millis if millis % 1_000 < 50 => write!(f, "{} s", millis / 1_000),
            millis => write!(f, "{}.{} s", millis / 1_000, millis % 1_000 / 100),
        }
    }
}

/// The wait that a peer asks for.
struct Asks(Option<Duration>);

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |wait| write!(f, " (asks to wait {})", Seconds(wait)))
    }
}

struct Again(Option<Duration>);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |retry_in| write!(f, " (not tried again for {})", Seconds(retry_in)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_decide_whether_to_try_again() {
        let rpc = |code| PeerError::from(RpcError::new(code, "no"));
        for (error, retryable, fault) in [
            (rpc(404), true, Fault::Caller),
            (rpc(-32000), true, Fault::Peer),
            (rpc(401), false, Fault::Caller),
            (rpc(-32601), false, Fault::Caller),
            (rpc(500), false, Fault::Peer),
            (PeerError::Closed, true, Fault::Network),
            (
                PeerError::Connect(ConnectFault::Io(io::ErrorKind::ConnectionRefused).into()),
                true,
                Fault::Network,
            ),
            (PeerError::Connect(ConnectFault::BadEndpoint.into()), false, Fault::Caller),
            (PeerError::Malformed(Malformed::NotJsonRpc), false, Fault::Peer),
            (PeerError::Http { status: 503, retry_after: None }, true, Fault::Peer),
            (PeerError::Http { status: 429, retry_after: None }, true, Fault::Caller),
            (PeerError::Http { status: 400, retry_after: None }, false, Fault::Caller),
            (PeerError::Http { status: 500, retry_after: None }, false, Fault::Peer),
        ] {
            assert_eq!((error.is_retryable(), error.fault()), (retryable, fault), "{error}");
        }
    }

    #[test]
    fn what_a_peer_wrote_is_cut_and_cleaned() {
        let error = RpcError::new(1, &format!("a\u{1b}[2J\n{}", "ß".repeat(1_000)));
        assert!(error.message.starts_with("a [2J ß") && error.message.len() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn a_connect_error_says_when_one_is_tried_again() {
        let mut error = ConnectError::from(ConnectFault::Io(io::ErrorKind::ConnectionRefused));
        assert_eq!(error.to_string(), "connection refused");
        error.retry_in = Some(Duration::from_millis(1_540));
        assert_eq!(error.to_string(), "connection refused (not tried again for 1.5 s)");
    }
}
