//! What is asked of Ethereum nodes: questions whose answers can be verified, one or several at once, or a payment.

use crate::error::{QuestionError, Reason, Rejected};
use crate::question::Question;
use alloy_primitives::{Address, Bytes, U256};
use serde_json::Value;

/// The most questions of one batch.
const MAX_BATCH: usize = 256;

/// A request to the verified request machine.
#[derive(Debug, Clone, PartialEq)]
pub struct EthRequest(pub(crate) What);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Calls(Vec<Asked>),
    Pay(Payment),
}

/// One question, as it is sent and as it is understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) params: Value,
    pub(crate) question: Question,
}

/// A transaction that is to be made, signed and sent: type 2 (EIP-1559).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Who pays, and whose key signs.
    pub from: Address,
    /// Who is paid or called; nobody makes a contract.
    pub to: Option<Address>,
    /// In wei.
    pub value: U256,
    /// What the contract is told.
    pub input: Bytes,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// The chain.
    pub chain_id: u64,
    /// How many transactions `from` has sent before; asked of the nodes where it is not given.
    pub nonce: Option<u64>,
    /// The tip for each unit of gas, in wei.
    pub tip: u128,
    /// The most that a unit of gas may cost, in wei, the tip included; by default the tip and twice the base fee of
    /// the latest block.
    pub max_fee: Option<u128>,
    /// Whether a nonce and a base fee will do that nobody vouches for: a node can then make the payment dear, or void.
    pub accept_consistent: bool,
}

impl EthRequest {
    /// A question: a JSON-RPC method and its parameters, a JSON array, or null for none.
    ///
    /// # Errors
    ///
    /// [`QuestionError`] where no answer to it could be verified.
    pub fn new(method: &str, params: &Value) -> Result<Self, QuestionError> {
        Self::batch([(method, params)])
    }

    /// Several questions that one node answers together.
    ///
    /// # Errors
    ///
    /// [`QuestionError`] of the first that cannot be asked; none, or more than 256, are too few and too many.
    pub fn batch<'a>(
        questions: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<Self, QuestionError> {
        let mut calls = Vec::new();
        for (method, params) in questions {
            let question = Question::parse(method, params)?;
            calls.push(Asked { method: method.to_owned(), params: params.clone(), question });
        }
        let number = |reason| QuestionError::Parameter { path: "$".to_owned(), reason };
        match calls.len() {
            0 => Err(number(Reason::Missing)),
            1..=MAX_BATCH => Ok(Self(What::Calls(calls))),
            _ => Err(number(Reason::TooMany { max: MAX_BATCH })),
        }
    }

    /// Makes, signs and sends a transaction. What is not given is asked for first, in parallel; then the machine's signer is
    /// asked.
    pub const fn pay(payment: Payment) -> Self {
        Self(What::Pay(payment))
    }
}

/// A value that does not fit into the place where it belongs.
pub(crate) fn misplaced(expected: &'static str) -> Rejected {
    Rejected { path: "$".to_owned(), reason: Reason::Malformed { expected } }
}
