//! What the machine has to be told about a protocol: how a question is asked, and when an answer is proven.
//!
//! The rule: a verifier is pure. It opens nothing, waits for nothing and keeps nothing; what it needs to know it asks for as a
//! sub-request, and is called again when that is there.

use super::job::{Jobs, Part};
use crate::call::Call;
use crate::error::Reason;
use crate::pool::NodeId;
use crate::signer::{SignRequest, Signature};
use bytes::Bytes;
use std::fmt;

/// Verifies the answers of one protocol.
pub trait Verifier: Sized + Send + Sync {
    /// What is asked. Two that are equal are asked once.
    type Request: Clone + PartialEq + Send;
    /// A verified value. That it exists says that its proof holds.
    type Output: Clone + Send;

    /// What has to happen before the request can be sent. By default nothing.
    ///
    /// Called again, from the beginning, when all that it said it needs is there.
    fn prepare(
        &self,
        _request: &Self::Request,
        _parts: Parts<'_, Self>,
    ) -> Prepared<Self::Request, Self::Output> {
        Prepared::Send
    }

    /// The calls to send: one, or several as a batch. Called once a round.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent; the caller's fault.
    fn encode(&self, request: &Self::Request, context: Context<'_, Self>) -> Result<Vec<Call>, Reason>;

    /// Judges a node's answers: the whole response objects, one for each call, in the order of the calls.
    ///
    /// Called again, from the beginning, when all that it said it needs is there.
    fn verify(
        &self,
        request: &Self::Request,
        answers: &[Bytes],
        context: Context<'_, Self>,
    ) -> Verdict<Self::Request, Self::Output>;

    /// What a signer asks for as a request of this protocol. By default nothing can be asked for.
    ///
    /// # Errors
    ///
    /// When there is no such request.
    fn request(&self, call: &Call) -> Result<Self::Request, Reason> {
        Err(Reason::new(NoSuchRequest(call.method().to_string())))
    }

    /// A verified value as JSON, for a signer and for people.
    fn show(&self, output: &Self::Output) -> Bytes;

    /// What a request is called in reports, such as its method.
    fn name(&self, request: &Self::Request) -> String;
}

#[derive(Debug, thiserror::Error)]
#[error("there is no verified request {0:?}")]
struct NoSuchRequest(String);

/// What happens to a request first.
#[derive(Debug)]
pub enum Prepared<R, O> {
    /// It is sent.
    Send,
    /// It needs nobody.
    Local(O),
    /// It needs these first.
    Need(Vec<SubRequest<R>>),
    /// It makes no sense; the caller's fault.
    Refuse(Reason),
}

/// Something that a request needs. Those that are named together are fetched in parallel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubRequest<R> {
    /// Another verified value.
    Query(R),
    /// A signature.
    Sign(SignRequest),
}

/// What a node's answer amounts to.
#[derive(Debug)]
pub enum Verdict<R, O> {
    /// It is proven.
    Verified(O),
    /// That cannot be told without these.
    Need(Vec<SubRequest<R>>),
    /// It claims nothing that could be proven; it never wins alone.
    Unproven(Unproven),
    /// It contradicts its proof, or has none though one was asked for: the node is banned.
    Lie(Reason),
    /// It cannot be used, and the node is not to blame.
    Unusable {
        /// Why.
        reason: Reason,
        /// Whose vouching is missing: they are reported as offline.
        absent: Vec<Bytes>,
    },
}

/// An answer without proof.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unproven {
    /// `null`: the node says that there is no such thing.
    Null,
    /// An error in place of a result.
    Refused {
        /// The JSON-RPC error's code; 0 where it has none.
        code: i64,
        /// Its message.
        message: String,
    },
    /// An empty list, and no proof that nothing belongs into it.
    Empty,
    /// A result, and no proof, as none was asked for.
    NotAsked,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null, without a proof that there is nothing"),
            Self::Refused { code, message } => write!(f, "refused with code {code}: {message}"),
            Self::Empty => f.write_str("an empty list, without a proof that nothing belongs into it"),
            Self::NotAsked => f.write_str("a result without proof"),
        }
    }
}

/// What a request can look at.
pub struct Context<'a, V: Verifier> {
    /// The round, from 0.
    pub round: u32,
    /// Who answers; nobody while the request is being written.
    pub node: Option<NodeId>,
    /// The keys of those who have to vouch in this round.
    pub witnesses: &'a [Bytes],
    /// What the request said it needs.
    pub parts: Parts<'a, V>,
}

/// The results of sub-requests.
pub struct Parts<'a, V: Verifier> {
    pub(super) jobs: &'a Jobs<V>,
}

impl<V: Verifier> Clone for Parts<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Verifier> Copy for Parts<'_, V> {}

impl<'a, V: Verifier> Parts<'a, V> {
    /// The verified value of a request that was needed.
    pub fn value(&self, request: &V::Request) -> Option<&'a V::Output> {
        match self.jobs.part_of_query(request)? {
            Part::Value(value) => Some(value),
            Part::Signature(_) => None,
        }
    }

    /// The signature that was needed.
    pub fn signature(&self, request: &SignRequest) -> Option<&'a Signature> {
        match self.jobs.part_of_signature(request)? {
            Part::Signature(signature) => Some(signature),
            Part::Value(_) => None,
        }
    }
}
