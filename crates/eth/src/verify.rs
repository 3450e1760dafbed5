//! Holds an answer against its question and its proof.
//!
//! The rule: what comes out was derived from the proof and agrees with what the node told; a node that
//! tells nothing (`null`, a refusal, an empty list without proof) is believed nothing.

mod account;
mod block;
mod logs;
mod receipt;
mod send;
mod transaction;

use crate::answer::Answer;
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::question::{BlockId, Question};
use crate::trie;
use crate::trust::{Anchor, Trust, Verified};
use alloy_primitives::{B256, Bytes};
use quorate_query::{RpcError, verified::Unproven};
use serde_json::Value;

/// The most nodes in the proof of one key: one for each nibble of 32 bytes, and the last.
const MAX_NODES: usize = 65;
/// The most transactions, receipts or logs that are looked at in one answer.
const MAX_ENTRIES: usize = 100_000;

/// What an answer amounts to, if it is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// A value that was verified.
    Verified(Verified<Answer>),
    /// Nothing that could be verified, and nothing that convicts the node either.
    Unproven(Unproven),
}

/// How much proof was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// None: nothing is verified but what needs no proof.
    None,
    /// What the protocol proves by default.
    #[default]
    Standard,
    /// All that can be proven: uncles, and who sent the transaction of a receipt, too.
    Full,
}

/// Verifies one answer: a JSON-RPC response object, or an array that holds one.
///
/// The error says what does not hold and where; it is the node's fault. Cost: linear in the answer, plus
/// one signature recovery per transaction.
pub fn verify(
    question: &Question,
    response: &Value,
    trust: &Trust,
    depth: Depth,
) -> Result<Verdict, Rejected> {
    let root = Json::root(response);
    let response = match root.value().as_array().map(Vec::len) {
        None if root.is_null() => return Ok(Verdict::Unproven(Unproven::Null)),
        None => root,
        Some(0) => return Ok(Verdict::Unproven(Unproven::Empty)),
        Some(1) => root.item(0),
        Some(_) => return Err(root.malformed("one response")),
    };
    if !response.is_object() {
        return Err(response.malformed("a response object"));
    }
    if let Some(refusal) = response.find("error") {
        return Ok(Verdict::Unproven(refused(&refusal)));
    }
    if response.value().get("result").is_none() {
        return Err(response.at("result").reject(Reason::Missing));
    }
    let (result, in3) = (response.at("result"), response.at("in3"));
    let case = Case { result, proof: in3.at("proof"), trust, depth };
    if result.is_null() && !matches!(question, Question::TransactionAt { .. }) {
        return Ok(Verdict::Unproven(Unproven::Null));
    }
    if let Question::SendRaw { raw } = question {
        return send::verify(&case, raw).map(Verdict::Verified);
    }
    if case.proof.is_null() {
        return without_proof(&case);
    }
    match question {
        Question::Block { block, full } => block::verify(&case, *block, *full),
        Question::TransactionCount { block } => block::count_transactions(&case, *block),
        Question::UncleCount { block } => block::count_uncles(&case, *block),
        Question::Account { address, field, block } => account::verify(&case, *address, *field, *block),
        Question::Transaction { hash } => transaction::verify(&case, *hash),
        Question::TransactionAt { block, index } => return transaction::verify_at(&case, *block, *index),
        Question::Receipt { hash } => receipt::verify(&case, *hash),
        Question::Logs(filter) => return logs::verify(&case, filter),
        Question::SendRaw { .. } => return Err(case.proof.reject(Reason::Missing)),
    }
    .map(Verdict::Verified)
}

/// One answer, taken apart.
struct Case<'a> {
    result: Json<'a>,
    proof: Json<'a>,
    trust: &'a Trust,
    depth: Depth,
}

impl Case<'_> {
    /// An error unless the proof is of the kind that is needed.
    fn kind(&self, expected: &'static str) -> Result<(), Rejected> {
        let kind = self.proof.need("type")?;
        if kind.text()? == expected { Ok(()) } else { Err(kind.reject(Reason::WrongProof { expected })) }
    }

    /// The header whose bytes the proof has.
    fn header(&self) -> Result<Header, Rejected> {
        let bytes = self.proof.need("block")?;
        Header::decode(&bytes.bytes()?).map_err(|reason| bytes.reject(reason))
    }

    /// Who vouches for a header of this answer.
    fn vouch(&self, header: &Header) -> Result<Option<Anchor>, Rejected> {
        self.trust.vouch(header, &self.proof)
    }
}

/// Nothing was learned, and whether that is the node's fault depends on what it was asked for.
fn without_proof(case: &Case<'_>) -> Result<Verdict, Rejected> {
    if case.result.is_null() {
        return Ok(Verdict::Unproven(Unproven::Null));
    }
    if case.result.value().as_array().is_some_and(Vec::is_empty) {
        return Ok(Verdict::Unproven(Unproven::Empty));
    }
    match case.depth {
        Depth::None => Ok(Verdict::Unproven(Unproven::NotAsked)),
        Depth::Standard | Depth::Full => Err(case.proof.reject(Reason::Missing)),
    }
}

fn refused(error: &Json<'_>) -> Unproven {
    let code = error.value().get("code").and_then(Value::as_i64).unwrap_or_default();
    let message = error.value().get("message").unwrap_or(error.value());
    let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    let message = RpcError::new(code, &message).message;
    Unproven::Refused { code, message }
}

/// An error unless the header is that of the block that was asked for.
fn expect_block(wanted: BlockId, header: &Header, hash: B256, told: &Json<'_>) -> Result<(), Rejected> {
    const ASKED: &str = "the block that was asked for";
    match wanted {
        BlockId::Hash(wanted) => told.expect(hash, wanted, ASKED),
        BlockId::Number(wanted) => told.expect(header.number, wanted, ASKED),
        BlockId::Any => Ok(()),
    }
}

/// An error unless the name under which something stands in an object is the one that belongs to it.
fn expect_name<T: PartialEq>(
    given: &Json<'_>,
    name: &str,
    read: impl Fn(&Json<'_>) -> Result<T, Rejected>,
    wanted: T,
) -> Result<(), Rejected> {
    let name = Value::String(name.to_owned());
    let read = read(&Json::root(&name)).map_err(|rejected| given.reject(rejected.reason))?;
    given.expect(read, wanted, "what its name says")
}

/// The value at `key` in a trie of which `nodes` is the proof, and `None` if it is proven that there is none.
fn look_up(root: B256, key: &[u8], nodes: &Json<'_>) -> Result<Option<Bytes>, Rejected> {
    let proof = nodes.list_of_bytes(MAX_NODES)?;
    let found = trie::lookup(root, key, &proof).map_err(|error| nodes.reject(error))?;
    Ok(found.map(Bytes::copy_from_slice))
}

/// The value at `index` in the trie of a block's list.
fn look_up_index(root: B256, index: u64, nodes: &Json<'_>) -> Result<Option<Bytes>, Rejected> {
    look_up(root, &alloy_rlp::encode(index), nodes)
}
