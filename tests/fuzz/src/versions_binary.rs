//! The binary encoding of version types from any bytes: one value, one encoding.

use quorate_versioning::encoding::ConsensusEncoding;
use quorate_versioning::{ApiVersionSet, MultiApiVersion, SupportedApiVersionsSummary};
use std::fmt::Debug;

/// Any bytes are a value, which has exactly these bytes, or an error within them.
pub fn versions_binary(input: &[u8]) {
    exactly::<MultiApiVersion>(input);
    exactly::<ApiVersionSet>(input);
    exactly::<SupportedApiVersionsSummary>(input);
    exactly::<String>(input);
    exactly::<Option<u64>>(input);
}

fn exactly<T: ConsensusEncoding + PartialEq + Debug>(input: &[u8]) {
    match T::from_consensus_bytes(input) {
        Ok(value) => assert_eq!(value.to_consensus_bytes().as_deref(), Ok(input), "{value:?}"),
        Err(error) => assert!(error.at <= input.len(), "{error}"),
    }
}
