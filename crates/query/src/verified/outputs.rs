//! What a driver does for the machine, and under which names it reports back.

use super::report::{Success, VerifiedError};
use crate::attempts::AttemptId;
use crate::call::Call;
use crate::pool::NodeId;
use crate::signer::{Fetched, SignRequest};
use std::sync::Arc;
use std::time::Duration;

/// One question to one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    pub(super) job: u32,
    pub(super) round: u32,
    pub(super) attempt: AttemptId,
}

/// One question to a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignId {
    pub(super) job: u32,
    pub(super) time: u32,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum VerifiedOutput<O> {
    /// Send the calls to the node, and report what comes under this id (seed `REQ_ACTION_SEND`).
    Ask {
        /// The id.
        exchange: ExchangeId,
        /// The node, in the pool.
        node: NodeId,
        /// What to send: with several, as a batch.
        calls: Arc<[Call]>,
        /// When the machine gives it up by itself.
        timeout: Duration,
    },
    /// Nobody waits for this answer any more.
    Cancel {
        /// The id.
        exchange: ExchangeId,
        /// The node.
        node: NodeId,
    },
    /// Have something signed, and report what comes under this id (seed `RT_SIGN`).
    Sign {
        /// The id.
        id: SignId,
        /// What.
        request: SignRequest,
        /// What the signer said it needs to know.
        fetched: Vec<Fetched>,
    },
    /// The request has ended; everything but audits is over. Comes once.
    Done(Result<Success<O>, VerifiedError>),
}

/// Where a request stands (seed `in3_req_exec_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Something has to be sent or signed, or a pause to pass, before anything can come (`REQ_WAITING_TO_SEND`).
    WaitingToSend,
    /// All is sent, nothing of it is verified yet (`REQ_WAITING_FOR_RESPONSE`).
    WaitingForResponse,
    /// There is a verified value (`REQ_SUCCESS`).
    Success,
    /// There will be none (`REQ_ERROR`).
    Error,
}
