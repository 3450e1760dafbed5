//! Blocks: the header is rebuilt from what a node tells and must have the hash that it tells.
//!
//! The rule: lists are proven by their roots in the header. Transactions that are told as hashes only are
//! proven by the transactions in the proof; without them they stay open. Total difficulty and size are
//! nobody's to prove.
//!
//! Source: Yellow Paper 4.3; EIP-4895 for withdrawals.

use super::{Case, MAX_ENTRIES, expect_block, transaction};
use crate::answer::{Answer, Block, Transaction, Transactions};
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::question::BlockId;
use crate::trust::Verified;
use crate::verify::Depth;
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::root::{ordered_trie_root, ordered_trie_root_encoded};

/// `eth_getBlockBy…`.
pub(super) fn verify(case: &Case<'_>, wanted: BlockId, full: bool) -> Result<Verified<Answer>, Rejected> {
    case.kind("blockProof")?;
    let told = &case.result;
    let header = Header::from_json(told)?;
    let hash = header.hash();
    let claimed = told.need("hash")?;
    claimed.expect(claimed.hash()?, hash, "the hash of the header that is told")?;
    expect_block(wanted, &header, hash, &told.at("number"))?;
    if let Some(block) = case.proof.find("block") {
        block.expect(keccak256(block.bytes()?), hash, "the header that is told")?;
    }
    let anchor = case.vouch(&header)?;
    let transactions = transactions(case, &header, hash, full)?;
    let uncles = uncles(case, &header)?;
    let withdrawals = withdrawals(told, &header)?;
    Ok(Verified::new(
        Answer::Block(Box::new(Block { hash, header, transactions, uncles, withdrawals })),
        anchor,
    ))
}

/// `eth_getBlockTransactionCountBy…`: the proof has the header and all transactions.
pub(super) fn count_transactions(case: &Case<'_>, wanted: BlockId) -> Result<Verified<Answer>, Rejected> {
    let header = counted(case, wanted)?;
    let proof = case.proof.need("transactions")?;
    let raw = raw_transactions(&proof)?;
    expect_root(&proof, &raw, header.transactions_root)?;
    count(case, raw.len(), &header)
}

/// `eth_getUncleCountBy…`: the proof has the header and the uncles' headers.
pub(super) fn count_uncles(case: &Case<'_>, wanted: BlockId) -> Result<Verified<Answer>, Rejected> {
    let header = counted(case, wanted)?;
    let uncles = match case.proof.find("uncles") {
        Some(uncles) => proven_uncles(&uncles, &header)?.len(),
        None if header.uncles_hash == EMPTY_LIST_HASH => 0,
        None => return Err(case.proof.at("uncles").reject(Reason::Missing)),
    };
    count(case, uncles, &header)
}

fn counted(case: &Case<'_>, wanted: BlockId) -> Result<Header, Rejected> {
    case.kind("blockProof")?;
    let header = case.header()?;
    expect_block(wanted, &header, header.hash(), &case.proof.at("block"))?;
    Ok(header)
}

fn count(case: &Case<'_>, proven: usize, header: &Header) -> Result<Verified<Answer>, Rejected> {
    let proven = proven as u64;
    case.result.expect(case.result.u64()?, proven, "the count of what is proven")?;
    Ok(Verified::new(Answer::Count(proven), case.vouch(header)?))
}

/// The transactions of the result, by what proves them.
fn transactions(case: &Case<'_>, header: &Header, block: B256, full: bool) -> Result<Transactions, Rejected> {
    let told = case.result.need("transactions")?;
    let items = told.items()?;
    if items.len() > MAX_ENTRIES {
        return Err(told.reject(Reason::TooMany { max: MAX_ENTRIES }));
    }
    let raw = case.proof.find("transactions").map(|proof| {
        let raw = raw_transactions(&proof)?;
        expect_root(&proof, &raw, header.transactions_root).map(|()| raw)
    });
    let raw = raw.transpose()?;
    if full {
        return full_transactions(&told, header, block);
    }
    let hashes = items.map(|item| item.hash()).collect::<Result<Vec<_>, _>>()?;
    match raw {
        Some(raw) => {
            if raw.len() != hashes.len() {
                return Err(told.differs("the proven transactions"));
            }
            for (at, (hash, raw)) in hashes.iter().zip(&raw).enumerate() {
                told.item(at).expect(*hash, keccak256(raw), "the proven transaction")?;
            }
            Ok(Transactions::Hashes(hashes))
        }
        None if header.transactions_root == ordered_trie_root::<Bytes>(&[]) => {
            if hashes.is_empty() {
                Ok(Transactions::Hashes(hashes))
            } else {
                Err(told.differs("the empty block"))
            }
        }
        None if hashes.is_empty() => Err(told.reject(Reason::WrongRoot { root: "transactionsRoot" })),
        None if case.depth == Depth::Full => Err(case.proof.at("transactions").reject(Reason::Missing)),
        None => Ok(Transactions::Open),
    }
}

/// Transactions that are told whole, which prove themselves.
fn full_transactions(told: &Json<'_>, header: &Header, block: B256) -> Result<Transactions, Rejected> {
    let mut envelopes = Vec::new();
    for item in told.items()? {
        envelopes.push(transaction::from_json(&item)?);
    }
    let raw: Vec<Bytes> = envelopes.iter().map(|envelope| envelope.encoded_2718().into()).collect();
    expect_root(told, &raw, header.transactions_root)?;
    let checked = (0_u64..).zip(told.items()?).zip(envelopes);
    let all: Result<Vec<Transaction>, _> = checked
        .map(|((index, item), envelope)| transaction::check(&item, envelope, header, block, index))
        .collect();
    all.map(Transactions::Full)
}

/// The transactions in a proof: encoded, or as JSON.
fn raw_transactions(proof: &Json<'_>) -> Result<Vec<Bytes>, Rejected> {
    let items = proof.items()?;
    if items.len() > MAX_ENTRIES {
        return Err(proof.reject(Reason::TooMany { max: MAX_ENTRIES }));
    }
    items
        .map(|item| {
            if item.is_object() {
                Ok(transaction::from_json(&item)?.encoded_2718().into())
            } else {
                item.bytes()
            }
        })
        .collect()
}

fn expect_root(list: &Json<'_>, raw: &[Bytes], root: B256) -> Result<(), Rejected> {
    if ordered_trie_root_encoded(raw) == root {
        Ok(())
    } else {
        Err(list.reject(Reason::WrongRoot { root: "transactionsRoot" }))
    }
}

/// What an empty list of uncles hashes to.
const EMPTY_LIST_HASH: B256 = alloy_consensus::EMPTY_OMMER_ROOT_HASH;

/// The uncles' hashes that the result tells, if they are proven.
fn uncles(case: &Case<'_>, header: &Header) -> Result<Option<Vec<B256>>, Rejected> {
    let told = case.result.at("uncles");
    let hashes = match told.is_null() {
        true => None,
        false => Some(told.items()?.map(|hash| hash.hash()).collect::<Result<Vec<_>, _>>()?),
    };
    let proven = match case.proof.find("uncles") {
        Some(uncles) => proven_uncles(&uncles, header)?,
        None if header.uncles_hash == EMPTY_LIST_HASH => Vec::new(),
        None if hashes.as_ref().is_some_and(Vec::is_empty) => {
            return Err(told.reject(Reason::WrongRoot { root: "sha3Uncles" }));
        }
        None if case.depth == Depth::Full => return Err(case.proof.at("uncles").reject(Reason::Missing)),
        None => return Ok(None),
    };
    match hashes {
        Some(hashes) if hashes != proven => Err(told.differs("the proven uncles")),
        _ => Ok(Some(proven)),
    }
}

/// The hashes of the headers in a proof, whose list must have the hash that the header tells.
fn proven_uncles(uncles: &Json<'_>, header: &Header) -> Result<Vec<B256>, Rejected> {
    /// No block has more; two is what the protocol allows.
    const MAX_UNCLES: usize = 16;
    let raw = uncles.list_of_bytes(MAX_UNCLES)?;
    let mut list = Vec::new();
    let payload_length = raw.iter().map(|uncle| uncle.len()).sum();
    alloy_rlp::Header { list: true, payload_length }.encode(&mut list);
    raw.iter().for_each(|uncle| list.extend_from_slice(uncle));
    if keccak256(&list) != header.uncles_hash {
        return Err(uncles.reject(Reason::WrongRoot { root: "sha3Uncles" }));
    }
    Ok(raw.iter().map(keccak256).collect())
}

/// The withdrawals, which a block has since Shanghai.
fn withdrawals(told: &Json<'_>, header: &Header) -> Result<Option<Vec<Withdrawal>>, Rejected> {
    let Some(root) = header.withdrawals_root else {
        return match told.find("withdrawals") {
            Some(given) if given.items()?.len() > 0 => Err(given.differs("a header without withdrawals")),
            _ => Ok(None),
        };
    };
    let Some(given) = told.find("withdrawals") else { return Ok(None) };
    let list = told.list("withdrawals", MAX_ENTRIES, withdrawal)?;
    if ordered_trie_root(&list) == root {
        Ok(Some(list))
    } else {
        Err(given.reject(Reason::WrongRoot { root: "withdrawalsRoot" }))
    }
}

fn withdrawal(told: &Json<'_>) -> Result<Withdrawal, Rejected> {
    Ok(Withdrawal {
        index: told.need("index")?.u64()?,
        validator_index: told.need("validatorIndex")?.u64()?,
        address: told.need("address")?.address()?,
        amount: told.need("amount")?.u64()?,
    })
}
