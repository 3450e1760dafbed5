//! What can go wrong, by operation, and whose fault it is.
//!
//! The rule: what a peer did wrong ([`PeerViolation`]), what a side did not want ([`Refusal`]) and
//! what just failed are different values, so that a caller can blame the right party.

use crate::{Close, CloseCode, PeerKey, close::bounded, guarded::Panicked};
use quorate_wire::{DecodeError, FrameKind, PeerUrl, SpaceId, StreamError};

/// A handler's no, in words that the other side is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why, at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES) of it.
    pub reason: String,
}

impl Refusal {
    /// A refusal in these words.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: bounded(reason.into()) }
    }
}

/// Which of the two sides of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// This node.
    Local,
    /// The peer.
    Remote,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local => "this node",
            Self::Remote => "the peer",
        })
    }
}

/// What a peer did that no honest peer does. It is counted, and its connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerViolation {
    /// The first frame was no preflight.
    #[error("the first frame must be a preflight, not a {kind} frame")]
    NotPreflight {
        /// What it was.
        kind: FrameKind,
    },
    /// A preflight came after the first frame.
    #[error("a connection has one preflight in each direction, not two")]
    SecondPreflight,
    /// The bytes are no frame, or one that lacks its space or module.
    #[error("{0}")]
    Frame(#[from] DecodeError),
    /// The bytes do not follow the framing of the stream.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// A frame, or the payload of a preflight, is larger than this node allows.
    #[error("{len} bytes are more than the {max} that are allowed")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The peer says it is at a URL that belongs to another key.
    #[error("{url} does not belong to the key {key}")]
    SpoofedUrl {
        /// What the peer said.
        url: PeerUrl,
        /// What it proved.
        key: PeerKey,
    },
    /// The exchange of preflights took longer than the configured time.
    #[error("the preflights took too long")]
    PreflightTimeout,
    /// A frame began and was not whole within the configured time.
    #[error("a frame was not finished in time")]
    FrameTimeout,
    /// More came than the configured rate allows, and the config says that this ends the connection.
    #[error("more came than the rate of this node allows")]
    TooFast,
}

/// Why [`TxImpHnd::open`](crate::TxImpHnd::open) yields no connection. Nobody is left believing in it:
/// handlers that were told of it have been told of its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A handler of this node does not want the peer.
    #[error("this node refused: {0}")]
    Refused(Refusal),
    /// No space of this node has a local agent yet, so that our preflight would introduce nobody. Later it may.
    #[error("no space of this node has a local agent yet")]
    NoLocalAgentsDuringPreflight,
    /// The block list has a rule against the peer, everywhere.
    #[error("the peer is blocked")]
    Blocked,
    /// The peer proved no key, and the config does not allow that.
    #[error("the peer proved no key")]
    Unauthenticated,
    /// As many connections as the config allows are open.
    #[error("this node has {max} connections, as many as it allows")]
    TooManyConnections {
        /// The limit.
        max: usize,
    },
    /// The peer has as many connections as the config allows one peer.
    #[error("the peer has {max} connections, as many as this node allows one peer")]
    TooManyConnectionsOfPeer {
        /// The limit.
        max: usize,
    },
    /// What the handler gave for our preflight is larger than the config allows.
    #[error("this node's preflight has {len} bytes, {max} are allowed")]
    PreflightTooLarge {
        /// Its size in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A handler of this node panicked.
    #[error("a handler of this node panicked")]
    HandlerPanicked,
    /// This transport was closed.
    #[error("this transport was closed")]
    Closed,
}

impl From<Panicked> for OpenError {
    fn from(_: Panicked) -> Self {
        Self::HandlerPanicked
    }
}

impl OpenError {
    /// What to tell the peer when closing the link.
    pub fn close(&self) -> Close {
        match self {
            Self::Refused(refusal) => Close::new(CloseCode::Refused, refusal.reason.clone()),
            Self::NoLocalAgentsDuringPreflight => Close::new(CloseCode::Refused, "no local agents yet"),
            Self::Blocked => Close::new(CloseCode::Refused, "blocked"),
            Self::Unauthenticated => Close::new(CloseCode::Refused, "a proven key is required"),
            Self::TooManyConnections { .. } => Close::new(CloseCode::Refused, "too many connections"),
            Self::TooManyConnectionsOfPeer { .. } => {
                Close::new(CloseCode::Refused, "too many connections of one peer")
            }
            Self::HandlerPanicked | Self::PreflightTooLarge { .. } => {
                Close::new(CloseCode::Failure, "internal error")
            }
            Self::Closed => Close::new(CloseCode::Graceful, "closing"),
        }
    }
}

/// Why a connection that awaited the peer's preflight ended instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// A side does not want the other.
    #[error("{by} refused: {reason}")]
    Refused {
        /// Which side.
        by: Side,
        /// Its words.
        reason: String,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(PeerViolation),
    /// A handler of this node panicked.
    #[error("a handler of this node panicked")]
    HandlerPanicked,
}

impl PreflightError {
    /// What to tell the peer when closing the link.
    pub fn close(&self) -> Close {
        match self {
            Self::Refused { by: Side::Local, reason } => Close::new(CloseCode::Refused, reason.clone()),
            Self::Refused { by: Side::Remote, .. } => Close::new(CloseCode::Graceful, ""),
            Self::Violation(violation) => Close::new(CloseCode::Violation, violation.to_string()),
            Self::HandlerPanicked => Close::new(CloseCode::Failure, "internal error"),
        }
    }
}

/// Why a connection ends after a frame. It takes no further frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The peer said goodbye.
    #[error("the peer disconnected: {reason}")]
    RemoteDisconnect {
        /// Its words, at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES).
        reason: String,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(#[from] PeerViolation),
    /// A handler of this node does not want the peer any more.
    #[error("this node refused: {0}")]
    Refused(Refusal),
    /// A handler of this node panicked.
    #[error("a handler of this node panicked")]
    HandlerPanicked,
    /// The connection had ended before: the transport must not feed it any more.
    #[error("the connection has ended")]
    Ended,
}

impl RecvError {
    /// What to tell the peer when closing the link.
    pub fn close(&self) -> Close {
        match self {
            Self::RemoteDisconnect { .. } | Self::Ended => Close::new(CloseCode::Graceful, ""),
            Self::Violation(violation) => Close::new(CloseCode::Violation, violation.to_string()),
            Self::Refused(refusal) => Close::new(CloseCode::Refused, refusal.reason.clone()),
            Self::HandlerPanicked => Close::new(CloseCode::Failure, "internal error"),
        }
    }
}

/// Why a peer was not reached. No connection was announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The URL is not one of this transport's.
    #[error("not a URL of this transport: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered, or not in time.
    #[error("the peer cannot be reached: {reason}")]
    Unreachable {
        /// What the network said.
        reason: String,
    },
    /// Somebody answered who is not the peer that the URL names.
    #[error("somebody else answered: {found}")]
    WrongPeer {
        /// The key or URL of who answered.
        found: String,
    },
    /// The URL is this node's own.
    #[error("the URL is this node's own")]
    OwnUrl,
    /// The peer answered, and speaks none of this node's protocols.
    #[error("the peer speaks another protocol: {reason}")]
    Incompatible {
        /// What was offered to it.
        reason: String,
    },
    /// This node itself has no way to the outside now. Says nothing about the peer, which is not marked unresponsive.
    #[error("this node is offline: {reason}")]
    Offline {
        /// What is missing.
        reason: String,
    },
}

impl DialError {
    /// Nobody answered.
    pub fn unreachable(reason: impl ToString) -> Self {
        Self::Unreachable { reason: bounded(reason.to_string()) }
    }

    /// The URL is not one of this transport's.
    pub fn invalid_url(reason: impl ToString) -> Self {
        Self::InvalidUrl { reason: bounded(reason.to_string()) }
    }
}

/// Why there is no connection to a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The peer was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A side does not want the other.
    #[error("{by} refused: {reason}")]
    Refused {
        /// Which side.
        by: Side,
        /// Its words.
        reason: String,
    },
    /// This node opened none, for a reason that is no handler's.
    #[error(transparent)]
    Open(OpenError),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(PeerViolation),
    /// The connection ended before it was ready, or was ended by a disconnect of this node.
    #[error("the connection ended: {reason}")]
    Ended {
        /// What is known about why.
        reason: String,
    },
    /// The peer preferred another connection, which did not come.
    #[error("the peer preferred another connection, which did not come")]
    Superseded,
    /// A handler of this node, or the transport's own code, panicked.
    #[error("a handler of this node panicked")]
    HandlerPanicked,
}

impl ConnectError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Dial(error) => {
                matches!(error, DialError::Unreachable { .. } | DialError::Offline { .. })
            }
            Self::Open(error) => matches!(
                error,
                OpenError::NoLocalAgentsDuringPreflight
                    | OpenError::TooManyConnections { .. }
                    | OpenError::TooManyConnectionsOfPeer { .. }
            ),
            Self::Ended { .. } | Self::Superseded => true,
            Self::Violation(violation) => {
                matches!(violation, PeerViolation::PreflightTimeout | PeerViolation::FrameTimeout)
            }
            Self::Refused { .. } | Self::HandlerPanicked => false,
        }
    }
}

impl From<OpenError> for ConnectError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(refusal) => Self::Refused { by: Side::Local, reason: refusal.reason },
            OpenError::HandlerPanicked => Self::HandlerPanicked,
            OpenError::Blocked => Self::Refused { by: Side::Local, reason: "blocked".into() },
            other => Self::Open(other),
        }
    }
}

impl From<PreflightError> for ConnectError {
    fn from(error: PreflightError) -> Self {
        match error {
            PreflightError::Refused { by, reason } => Self::Refused { by, reason },
            PreflightError::Violation(violation) => Self::Violation(violation),
            PreflightError::HandlerPanicked => Self::HandlerPanicked,
        }
    }
}

/// Why a message was not handed to the transport. Nothing of it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No handler is registered for the space. The caller's fault.
    #[error("no handler is registered for the space {space}")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// Nobody joined the space here yet. Later somebody may.
    #[error("the space has no local agent yet")]
    NoLocalAgents,
    /// The space's handler refused to say whether the peer is blocked, or to look for agents.
    #[error("the space's handler refused: {0}")]
    Handler(Refusal),
    /// A handler of this node panicked.
    #[error("a handler of this node panicked")]
    HandlerPanicked,
    /// There is no connection to the peer.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The frame is larger than the config allows. The caller's fault.
    #[error("the frame has {len} bytes, {max} are allowed")]
    TooLarge {
        /// The size of the frame in bytes, its ids included.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A call that does not wait would have had to: the peer's queue is full, or its connection is
    /// not up yet.
    #[error("the peer's queue is full, or its connection is not up yet")]
    Full,
    /// This transport was closed.
    #[error("this transport was closed")]
    Closed,
}

impl SendError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoLocalAgents | Self::Full => true,
            Self::Connect(error) => error.is_retryable(),
            Self::UnknownSpace { .. }
            | Self::TooLarge { .. }
            | Self::Handler(_)
            | Self::HandlerPanicked
            | Self::Closed => false,
        }
    }

    /// Who refused the connection and in which words, where that is what happened.
    pub fn refused(&self) -> Option<(Side, &str)> {
        match self {
            Self::Connect(ConnectError::Refused { by, reason }) => Some((*by, reason)),
            _ => None,
        }
    }
}
