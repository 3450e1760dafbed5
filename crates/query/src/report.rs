//! What came of a query: who answered what, who failed how, who said nothing.

use crate::error::{PeerError, Seconds};
use bytes::Bytes;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes of an answer an error shows.
const SHOWN_BYTES: usize = 60;

/// Why there is no value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// Peers disagree: no value has the votes it needs, and none can get them.
    #[error("no agreement: {values} different answers, {best} peers agree where {need} are needed")]
    Disagreement {
        /// How many equal answers are needed.
        need: usize,
        /// The most that there are.
        best: usize,
        /// How many different answers there are.
        values: usize,
    },
    /// Too few peers answer.
    #[error("too few answers: {have} where {need} are needed")]
    TooFew {
        /// How many are needed.
        need: usize,
        /// How many there are.
        have: usize,
    },
    /// As many peers failed as the strategy bears.
    #[error("{count} peers failed, {limit} end the query")]
    TooManyErrors {
        /// How many failed.
        count: usize,
        /// How many end it.
        limit: usize,
    },
    /// The time is up.
    #[error("the time is up")]
    Deadline,
    /// Every peer has answered or failed, and nothing came of it.
    #[error("nobody is left to ask")]
    NobodyLeft,
    /// There is nobody to ask.
    #[error("there are no peers")]
    NoPeers,
    /// Whoever asked does not want to know any more.
    #[error("cancelled")]
    Cancelled,
    /// The strategy's own reason.
    #[error("{0}")]
    Strategy(#[source] Arc<dyn Error + Send + Sync>),
}

/// How a query went, whether it had a value or not.
#[derive(Debug, Clone)]
pub struct QueryReport<P> {
    /// What was asked: the method.
    pub method: Arc<str>,
    /// How long it took.
    pub elapsed: Duration,
    /// Every peer.
    pub peers: Vec<PeerReport<P>>,
}

/// What is known of one peer.
#[derive(Debug, Clone)]
pub struct PeerReport<P> {
    /// Who.
    pub peer: P,
    /// How often it was asked.
    pub asked: u32,
    /// What came, last.
    pub state: PeerState,
}

/// What came of one peer.
#[derive(Debug, Clone)]
pub enum PeerState {
    /// It answered.
    Answered {
        /// What, as it came.
        answer: Bytes,
        /// When, after the start of the query.
        after: Duration,
    },
    /// It failed.
    Failed {
        /// How, the last time.
        error: PeerError,
        /// When, after the start of the query.
        after: Duration,
    },
    /// Nothing: it has not answered, or it was not asked.
    Silent,
}

impl PeerState {
    /// What it answered, as it came.
    pub const fn answer(&self) -> Option<&Bytes> {
        match self {
            Self::Answered { answer, .. } => Some(answer),
            Self::Failed { .. } | Self::Silent => None,
        }
    }
}

/// A query without a value: why, and what every peer did (seed `FederationError`).
#[derive(Debug, Clone)]
pub struct QueryError<P> {
    /// Why.
    pub failure: QueryFailure,
    /// What every peer did.
    pub report: Box<QueryReport<P>>,
}

impl<P> QueryError<P> {
    /// Whether the same query may have a value later, without anybody changing anything.
    ///
    /// By the causes: it is when enough peers have answered, are silent, or failed in a way that may pass. One
    /// that may pass among three that are final does not make it so.
    pub fn is_retryable(&self) -> bool {
        let hopeful = self.report.peers.iter().filter(|peer| match &peer.state {
            PeerState::Answered { .. } | PeerState::Silent => true,
            PeerState::Failed { error, .. } => error.is_retryable(),
        });
        let hopeful = hopeful.count();
        match self.failure {
            QueryFailure::Disagreement { need, .. } | QueryFailure::TooFew { need, .. } => hopeful >= need,
            QueryFailure::TooManyErrors { limit, .. } => {
                self.report.peers.len().saturating_sub(hopeful) < limit
            }
            QueryFailure::Deadline => hopeful > 0,
            QueryFailure::NobodyLeft => {
                self.report.peers.iter().any(
                    |peer| matches!(&peer.state, PeerState::Failed { error, .. } if error.is_retryable()),
                )
            }
            QueryFailure::NoPeers | QueryFailure::Cancelled | QueryFailure::Strategy(_) => false,
        }
    }

    /// What a peer failed with, if it did.
    pub fn peer_error(&self, peer: &P) -> Option<&PeerError>
    where
        P: PartialEq,
    {
        let report = self.report.peers.iter().find(|report| report.peer == *peer)?;
        match &report.state {
            PeerState::Failed { error, .. } => Some(error),
            PeerState::Answered { .. } | PeerState::Silent => None,
        }
    }
}

impl<P: fmt::Display> fmt::Display for QueryError<P> {
    /// One line: "session_count: no agreement …; peer 0 answered 42; peer 1 failed: connection refused; …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (after {})", self.report.method, self.failure, Seconds(self.report.elapsed))?;
        self.report.peers.iter().try_for_each(|peer| write!(f, "; {peer}"))
    }
}

impl<P: fmt::Debug + fmt::Display> Error for QueryError<P> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}

impl<P: fmt::Display> fmt::Display for PeerReport<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {} ", self.peer)?;
        match &self.state {
            PeerState::Answered { answer, .. } => write!(f, "answered {}", Shown(answer)),
            PeerState::Failed { error, .. } => match self.asked {
                0 | 1 => write!(f, "failed: {error}"),
                asked => write!(f, "failed {asked} times: {error}"),
            },
            PeerState::Silent if self.asked == 0 => f.write_str("was not asked"),
            PeerState::Silent => f.write_str("is silent"),
        }
    }
}

/// The beginning of an answer, without control characters.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0.get(..self.0.len().min(SHOWN_BYTES)).unwrap_or_default());
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).try_for_each(|c| write!(f, "{c}"))?;
        match self.0.len() > SHOWN_BYTES {
            true => write!(f, "… ({} bytes)", self.0.len()),
            false => Ok(()),
        }
    }
}
