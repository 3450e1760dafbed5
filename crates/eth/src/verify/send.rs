//! `eth_sendRawTransaction`: the answer is the hash of what was sent.

use super::Case;
use crate::answer::Answer;
use crate::error::Rejected;
use crate::trust::{Anchor, Verified};
use alloy_primitives::{Bytes, keccak256};

pub(super) fn verify(case: &Case<'_>, raw: &Bytes) -> Result<Verified<Answer>, Rejected> {
    let hash = keccak256(raw);
    case.result.expect(case.result.hash()?, hash, "the hash of the transaction that was sent")?;
    Ok(Verified::new(Answer::Sent(hash), Some(Anchor::Content)))
}
