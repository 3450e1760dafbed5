//! How a verified request went: what every node did in every round.
//!
//! The rule: nothing is forgotten that explains the end. The history has a bound, and says how much lies beyond it.

use super::verifier::Unproven;
use crate::error::{Fault, PeerError, Reason, Seconds};
use crate::pool::{NoNodes, NodeId};
use crate::signer::SignError;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How many ended questions are remembered.
pub const MAX_HISTORY: usize = 1_024;

/// Why there is no verified value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VerifiedFailure {
    /// So many nodes gave nothing that could be proven that no more are asked.
    #[error("{nodes} nodes gave no proof; the last one: {what}")]
    Unproven {
        /// What the last one said.
        what: Unproven,
        /// How many said the like.
        nodes: usize,
    },
    /// Everybody who could be asked was convicted of a lie.
    #[error("{nodes} nodes answered, and all of them lied")]
    AllLied {
        /// How many.
        nodes: usize,
    },
    /// All rounds are used up.
    #[error("no verified answer in {rounds} rounds")]
    Exhausted {
        /// How many there were.
        rounds: u32,
    },
    /// Nobody can be asked.
    #[error(transparent)]
    NoNodes(#[from] NoNodes),
    /// Too few nodes can vouch for an answer.
    #[error("{wanted} signers have to vouch, {there} can")]
    NoSigners {
        /// How many have to.
        wanted: usize,
        /// How many can, and are not asked for the answer itself.
        there: usize,
    },
    /// The time is up.
    #[error("the time is up")]
    Deadline,
    /// Whoever asked does not want to know any more.
    #[error("cancelled")]
    Cancelled,
    /// The request makes no sense.
    #[error("the request cannot be asked: {0}")]
    Refused(#[source] Reason),
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Something that is needed could not be had.
    #[error("{name}, which is needed first: {failure}")]
    Part {
        /// What.
        name: Arc<str>,
        /// Why.
        failure: Box<VerifiedFailure>,
    },
    /// The request needs more than is fetched.
    #[error("more than {max} things are needed")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// What is needed needs something in its turn, and so on.
    #[error("what is needed goes deeper than {max} steps")]
    TooDeep {
        /// The bound.
        max: u32,
    },
    /// What is needed needs what it is needed for.
    #[error("what is needed goes in a circle")]
    Circular,
    /// What is needed is there, and it is asked for again.
    #[error("what is needed is there, and asked for again")]
    NoProgress,
}

impl VerifiedFailure {
    /// Whether the same request may succeed later, without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unproven { .. }
            | Self::Exhausted { .. }
            | Self::NoNodes(_)
            | Self::NoSigners { .. }
            | Self::Deadline => true,
            Self::Sign(error) => matches!(error, SignError::Failed(_)),
            Self::Part { failure, .. } => failure.is_retryable(),
            _ => false,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Exhausted { .. } | Self::Unproven { .. } | Self::AllLied { .. } => Fault::Peer,
            Self::Deadline | Self::NoNodes(_) | Self::NoSigners { .. } => Fault::Network,
            Self::Part { failure, .. } => failure.fault(),
            _ => Fault::Caller,
        }
    }
}

/// A verified value, and how it came about.
#[derive(Debug, Clone)]
pub struct Success<O> {
    /// The value.
    pub value: O,
    /// Whose answer it is; nobody's where no node was needed.
    pub node: Option<NodeId>,
    /// What happened.
    pub report: VerifiedReport,
}

/// A request without a verified value: why, and what every node did.
#[derive(Debug, Clone)]
pub struct VerifiedError {
    /// Why.
    pub failure: VerifiedFailure,
    /// What happened.
    pub report: Box<VerifiedReport>,
}

/// What happened, question by question.
#[derive(Debug, Clone, Default)]
pub struct VerifiedReport {
    /// The questions that have ended, in that order, at most [`MAX_HISTORY`].
    pub questions: VecDeque<QuestionReport>,
    /// How many older ones are not there.
    pub forgotten: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// One question to one node.
#[derive(Debug, Clone)]
pub struct QuestionReport {
    /// What was asked, such as the method.
    pub request: Arc<str>,
    /// In which round, from 0.
    pub round: u32,
    /// The node.
    pub node: NodeId,
    /// Where it is.
    pub url: Arc<str>,
    /// When it was asked, after the start of the whole.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: QuestionEnd,
}

/// How a question ended.
#[derive(Debug, Clone)]
pub enum QuestionEnd {
    /// Its answer is proven.
    Verified,
    /// Its answer has no proof.
    Unproven(Unproven),
    /// Its answer contradicts its proof.
    Lie(Reason),
    /// Its answer cannot be used, and the node is not to blame.
    Unusable(Reason),
    /// There was no answer.
    Failed(PeerError),
    /// It was not needed any more.
    Cancelled,
}

impl VerifiedReport {
    pub(super) fn push(&mut self, question: QuestionReport) {
        if self.questions.len() == MAX_HISTORY {
            self.questions.pop_front();
            self.forgotten += 1;
        }
        self.questions.push_back(question);
    }
}

impl fmt::Display for VerifiedError {
    /// One line: "eth_getBalance: no verified answer …; http://… in round 1: lied: …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {})", self.failure, Seconds(self.report.elapsed))?;
        if self.report.forgotten > 0 {
            write!(f, "; {} questions before", self.report.forgotten)?;
        }
        self.report.questions.iter().try_for_each(|question| write!(f, "; {question}"))
    }
}

impl Error for VerifiedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}

impl fmt::Display for QuestionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in round {} of {}: {}", self.url, self.round + 1, self.request, self.end)
    }
}

impl QuestionEnd {
    /// One word for it: `verified`, `unproven`, `lie`, `unusable`, `failed`, `cancelled`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unproven(_) => "unproven",
            Self::Lie(_) => "lie",
            Self::Unusable(_) => "unusable",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for QuestionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => f.write_str("verified"),
            Self::Unproven(what) => what.fmt(f),
            Self::Lie(reason) => write!(f, "lied: {reason}"),
            Self::Unusable(reason) => write!(f, "not usable: {reason}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Cancelled => f.write_str("not needed any more"),
        }
    }
}
