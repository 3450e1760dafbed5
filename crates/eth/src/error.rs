//! Why an answer is not believed: what does not hold, and where in the JSON.
//!
//! The rule: whatever is wrong with an answer is the fault of the node that gave it. What is wrong with
//! the question has its own type, [`QuestionError`].

use crate::trie::TrieError;
use alloy_primitives::{Address, B256};

/// An answer that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Rejected {
    /// The place in the answer, such as `$.in3.proof.accountProof[2]`.
    pub path: String,
    /// What does not hold there.
    pub reason: Reason,
}

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A member that must be there is not.
    #[error("it is missing")]
    Missing,
    /// A value of another kind was expected.
    #[error("it is not {expected}")]
    Malformed {
        /// What was expected.
        expected: &'static str,
    },
    /// The value differs from what is proven, or from what the question asked for.
    #[error("it differs from {from}")]
    Differs {
        /// What it should be equal to.
        from: &'static str,
    },
    /// The proof is of another kind than the question needs.
    #[error("the question needs a {expected}")]
    WrongProof {
        /// The kind that is needed.
        expected: &'static str,
    },
    /// A trie's proof does not hold.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// What a trie holds is not what was expected there.
    #[error("the trie does not hold {what}")]
    NotInTrie {
        /// What was looked for.
        what: &'static str,
    },
    /// The root of the given list is not that of the header.
    #[error("the list's root is not the header's {root}")]
    WrongRoot {
        /// Which of the header's roots.
        root: &'static str,
    },
    /// The header's number is one whose hash is trusted, and it has another hash.
    #[error("block {number} is known to have the hash {trusted}")]
    NotTrusted {
        /// The block.
        number: u64,
        /// Its trusted hash.
        trusted: B256,
    },
    /// A signer who was asked for did not sign the header.
    #[error("the signature of {signer} is missing")]
    NotSigned {
        /// Who should have signed.
        signer: Address,
    },
    /// A signer who was asked for does not sign yet: the block is too young for it.
    #[error("the signature of {signer} is missing: a signer holds the block not to be final yet")]
    NotFinal {
        /// Who should have signed.
        signer: Address,
    },
    /// A signature is by nobody who can be found out, or not low in `s`.
    #[error("the signature is invalid")]
    InvalidSignature,
    /// The header has fields that the current fork does not know.
    #[error("the header has {fields} fields, known are 15 to {known}")]
    UnknownFork {
        /// How many it has.
        fields: usize,
        /// How many are known.
        known: usize,
    },
    /// A log does not match the filter that was asked for.
    #[error("the filter does not ask for it")]
    OutsideFilter,
    /// Entries do not ascend, or one is there twice.
    #[error("it is out of order")]
    OutOfOrder,
    /// A log that is in a proven receipt and matches the filter is not in the answer.
    #[error("a proven log of block {number} is left out")]
    LeftOut {
        /// The block that has it.
        number: u64,
    },
    /// More of something than is looked at.
    #[error("it has more than {max} entries")]
    TooMany {
        /// The bound.
        max: usize,
    },
}

/// A question that cannot be asked, whose fault is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// Nothing that a node answers to this method can be verified.
    #[error("answers to `{method}` cannot be verified")]
    UnknownMethod {
        /// The method.
        method: String,
    },
    /// A parameter is missing or is not what the method takes.
    #[error("parameter {path}: {reason}")]
    Parameter {
        /// The place in the parameters.
        path: String,
        /// What does not hold there.
        reason: Reason,
    },
}
