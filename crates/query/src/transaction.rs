//! What became of a transaction, and of one of its outputs.

use crate::error::{PeerError, Seconds};
use crate::peer::PeerId;
use crate::report::QueryError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What became of a transaction; `O` is the outcome of an output (seed `TransactionStatus`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionStatus<O> {
    /// The federation does not accept it.
    #[serde(alias = "rejected")]
    Rejected(String),
    /// It was accepted.
    #[serde(alias = "accepted")]
    Accepted {
        /// When.
        epoch: u64,
        /// What became of its outputs, in their order.
        outputs: Vec<O>,
    },
}

/// Why there is no outcome of an output (seed `OutputOutcomeError`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The transaction was rejected.
    #[error("the transaction was rejected: {0}")]
    Rejected(String),
    /// The transaction has no such output.
    #[error("there is no output {index}: the transaction has {outputs}")]
    InvalidOutput {
        /// Which was asked for.
        index: u64,
        /// How many there are.
        outputs: usize,
    },
    /// It took too long.
    #[error("no outcome within {}", Seconds(*.0))]
    Timeout(Duration),
    /// The federation did not say.
    #[error(transparent)]
    Query(#[from] QueryError<PeerId>),
    /// The caller's decoder refused what the federation agrees on.
    #[error("the outcome cannot be read: {0}")]
    Decode(#[source] PeerError),
}

impl<O> TransactionStatus<O> {
    /// The outcome of output `index`, through the caller's decoder.
    ///
    /// # Errors
    ///
    /// [`OutcomeError::Rejected`], [`OutcomeError::InvalidOutput`], and [`OutcomeError::Decode`] with the decoder's error.
    pub fn output<T, E>(self, index: u64, decode: impl FnOnce(O) -> Result<T, E>) -> Result<T, OutcomeError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let outputs = match self {
            Self::Rejected(reason) => return Err(OutcomeError::Rejected(reason)),
            Self::Accepted { outputs, .. } => outputs,
        };
        let count = outputs.len();
        let output = usize::try_from(index).ok().and_then(|index| outputs.into_iter().nth(index));
        let output = output.ok_or(OutcomeError::InvalidOutput { index, outputs: count })?;
        decode(output).map_err(|error| OutcomeError::Decode(PeerError::invalid(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::ParseIntError;

    fn parse(output: String) -> Result<u8, ParseIntError> {
        output.parse()
    }

    #[test]
    fn an_output_is_found_decoded_or_refused_by_name() {
        let accepted = || -> TransactionStatus<String> {
            serde_json::from_str(r#"{"Accepted":{"epoch":7,"outputs":["1","x"]}}"#).unwrap()
        };
        assert_eq!(accepted().output(0, parse).unwrap(), 1);
        assert!(matches!(accepted().output(1, parse), Err(OutcomeError::Decode(_))));
        let missing = accepted().output(2, parse).expect_err("there are two");
        assert_eq!(missing.to_string(), "there is no output 2: the transaction has 2");
        let rejected: TransactionStatus<String> =
            serde_json::from_str(r#"{"rejected":"unbalanced"}"#).unwrap();
        assert!(
            matches!(rejected.output(0, parse), Err(OutcomeError::Rejected(reason)) if reason == "unbalanced")
        );
    }
}
