//! Transactions: rebuilt from what a node tells, and proven under the header's transactions root.
//!
//! The rule: the JSON is encoded anew, and the bytes must be those of the trie. What else the JSON says (who
//! sent it, its hash, its place) is then held against them.
//!
//! Source: EIP-155, 2718, 2930, 1559, 4844, 7702.

mod build;

use super::receipt::check_block;
use super::{Case, Verdict, expect_block, look_up_index};
use crate::answer::{Answer, Transaction};
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::question::BlockId;
use crate::recover::recover_sender;
use crate::trust::Verified;

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, keccak256};

pub(super) use build::{from_json, recipient};

/// What the trie holds at the index that the proof names.
const TRIE: &str = "the transaction in the trie";

/// `eth_getTransactionByHash`.
pub(super) fn verify(case: &Case<'_>, wanted: B256) -> Result<Verified<Answer>, Rejected> {
    let (header, index) = located(case, BlockId::Any)?;
    let transaction = proven(case, &header, index)?;
    case.result.at("hash").expect(*transaction.envelope.tx_hash(), wanted, "the hash that was asked for")?;
    let anchor = case.vouch(&header)?;
    Ok(Verified::new(Answer::Transaction(Box::new(transaction)), anchor))
}

/// `eth_getTransactionByBlock…AndIndex`: the transaction, or that there is none.
pub(super) fn verify_at(case: &Case<'_>, block: BlockId, wanted: u64) -> Result<Verdict, Rejected> {
    if case.result.is_null() && case.proof.is_null() {
        return Ok(Verdict::Unproven(super::Unproven::Null));
    }
    let (header, index) = located(case, block)?;
    case.proof.at("txIndex").expect(index, wanted, "the index that was asked for")?;
    let answer = if case.result.is_null() {
        let nodes = case.proof.need("merkleProof")?;
        match look_up_index(header.transactions_root, index, &nodes)? {
            None => Answer::NoTransaction,
            Some(_) => return Err(case.result.differs(TRIE)),
        }
    } else {
        Answer::Transaction(Box::new(proven(case, &header, index)?))
    };
    let anchor = case.vouch(&header)?;
    Ok(Verdict::Verified(Verified::new(answer, anchor)))
}

/// The header and the index of which the proof is.
fn located(case: &Case<'_>, block: BlockId) -> Result<(Header, u64), Rejected> {
    case.kind("transactionProof")?;
    let header = case.header()?;
    expect_block(block, &header, header.hash(), &case.proof.at("block"))?;
    Ok((header, case.proof.need("txIndex")?.u64()?))
}

fn proven(case: &Case<'_>, header: &Header, index: u64) -> Result<Transaction, Rejected> {
    let nodes = case.proof.need("merkleProof")?;
    let held = look_up_index(header.transactions_root, index, &nodes)?
        .ok_or_else(|| nodes.reject(Reason::NotInTrie { what: "a transaction at this index" }))?;
    let envelope = from_json(&case.result)?;
    if envelope.encoded_2718() != held {
        return Err(blame(&case.result, &envelope, &held));
    }
    check(&case.result, envelope, header, header.hash(), index)
}

/// Holds what the JSON says about a rebuilt transaction against it, and finds out who sent it.
pub(super) fn check(
    told: &Json<'_>,
    envelope: TxEnvelope,
    header: &Header,
    block: B256,
    index: u64,
) -> Result<Transaction, Rejected> {
    let from = recover_sender(&envelope).ok_or_else(|| told.at("s").reject(Reason::InvalidSignature))?;
    if let Some(hash) = told.find("hash") {
        hash.expect(hash.hash()?, *envelope.tx_hash(), "the transaction's hash")?;
    }
    check_block(told, header, block, index)?;
    claims(told, &envelope, from)?;
    fees(told, &envelope, header)?;
    other_types(told, &envelope)?;
    Ok(Transaction { envelope, from, block, number: header.number, index })
}

/// What some nodes tell in addition and follows from the transaction.
fn claims(told: &Json<'_>, envelope: &TxEnvelope, from: Address) -> Result<(), Rejected> {
    const DERIVED: &str = "what follows from the transaction";
    if let Some(sender) = told.find("from") {
        sender.expect(sender.address()?, from, "who signed")?;
    }
    if let Some(key) = told.find("publicKey") {
        let bytes = key.bytes()?;
        let hashed = keccak256(&bytes);
        let address = Address::from_slice(hashed.get(12..).unwrap_or_default());
        key.expect((bytes.len(), address), (64, from), "who signed")?;
    }
    if let Some(raw) = told.find("raw") {
        raw.expect(raw.bytes()?.to_vec(), envelope.encoded_2718(), DERIVED)?;
    }
    if let Some(parity) = told.find("standardV") {
        parity.expect(parity.u64()?, u64::from(envelope.signature().v()), DERIVED)?;
    }
    if let Some(chain) = told.find("chainId") {
        chain.expect(Some(chain.u64()?), envelope.chain_id(), DERIVED)?;
    }
    if let Some(created) = told.find("creates") {
        let address = envelope.kind().is_create().then(|| from.create(envelope.nonce()));
        created.expect(Some(created.address()?), address, DERIVED)?;
    }
    Ok(())
}

/// The prices that nodes tell for every type: what a unit of gas cost, and the most that it could.
fn fees(told: &Json<'_>, envelope: &TxEnvelope, header: &Header) -> Result<(), Rejected> {
    const FEE: &str = "what follows from the transaction and the base fee";
    if let Some(price) = told.find("gasPrice") {
        price.expect(price.u128()?, envelope.effective_gas_price(header.base_fee_per_gas), FEE)?;
    }
    if let Some(most) = told.find("maxFeePerGas") {
        most.expect(most.u128()?, envelope.max_fee_per_gas(), FEE)?;
    }
    if let Some(tip) = told.find("maxPriorityFeePerGas") {
        // Of a type without a tip all of the price is one.
        let follows = envelope.max_priority_fee_per_gas().unwrap_or_else(|| envelope.max_fee_per_gas());
        tip.expect(tip.u128()?, follows, FEE)?;
    }
    Ok(())
}

/// Members of other types than the transaction's, which some nodes tell as empty.
fn other_types(told: &Json<'_>, envelope: &TxEnvelope) -> Result<(), Rejected> {
    const TYPE: &str = "a transaction of this type";
    let signature = envelope.signature();
    if let Some(parity) = told.find("yParity") {
        parity.expect(parity.u64()?, u64::from(signature.v()), "the signature's parity")?;
    }
    if let Some(fee) = told.find("maxFeePerBlobGas") {
        fee.expect(fee.u128()?, envelope.max_fee_per_blob_gas().unwrap_or_default(), TYPE)?;
    }
    let lists = [
        ("accessList", envelope.access_list().map_or(0, |list| list.len())),
        ("blobVersionedHashes", envelope.blob_versioned_hashes().map_or(0, <[_]>::len)),
        ("authorizationList", envelope.authorization_list().map_or(0, <[_]>::len)),
    ];
    for (name, entries) in lists {
        if let Some(list) = told.find(name) {
            list.expect(list.items()?.len(), entries, TYPE)?;
        }
    }
    Ok(())
}

/// Which member differs from what the trie holds.
fn blame(told: &Json<'_>, rebuilt: &TxEnvelope, held: &[u8]) -> Rejected {
    let Ok(held) = TxEnvelope::decode_2718(&mut &held[..]) else { return told.differs(TRIE) };
    let (ours, theirs) = (rebuilt.signature(), held.signature());
    let same = [
        ("type", rebuilt.tx_type() == held.tx_type()),
        ("nonce", rebuilt.nonce() == held.nonce()),
        ("gas", rebuilt.gas_limit() == held.gas_limit()),
        ("to", rebuilt.kind() == held.kind()),
        ("value", rebuilt.value() == held.value()),
        ("input", rebuilt.input() == held.input()),
        ("chainId", rebuilt.chain_id() == held.chain_id()),
        ("gasPrice", rebuilt.gas_price() == held.gas_price()),
        ("maxFeePerGas", rebuilt.max_fee_per_gas() == held.max_fee_per_gas()),
        ("maxPriorityFeePerGas", rebuilt.max_priority_fee_per_gas() == held.max_priority_fee_per_gas()),
        ("maxFeePerBlobGas", rebuilt.max_fee_per_blob_gas() == held.max_fee_per_blob_gas()),
        ("accessList", rebuilt.access_list() == held.access_list()),
        ("blobVersionedHashes", rebuilt.blob_versioned_hashes() == held.blob_versioned_hashes()),
        ("authorizationList", rebuilt.authorization_list() == held.authorization_list()),
        ("r", ours.r() == theirs.r()),
        ("s", ours.s() == theirs.s()),
        ("v", ours.v() == theirs.v()),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((name, _)) => told.at(name).differs(TRIE),
        None => told.differs(TRIE),
    }
}
