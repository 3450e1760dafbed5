//! Receipts, proven under the header's receipts root.
//!
//! The rule: a receipt does not tell whose it is; the transaction at the same index does. Both are proven.
//! Gas used and the logs' place in the block are so for a block's first receipt only; of the others they are not told on.
//!
//! Source: Yellow Paper 4.3.1; EIP-658, 2718.

mod derived;

use super::{Case, MAX_ENTRIES, look_up_index};
use crate::answer::{Answer, Receipt};
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::trust::Verified;

use alloy_consensus::{Eip658Value, ReceiptEnvelope, Transaction as _, TxEnvelope, TxReceipt, TxType};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{B256, Bloom, Bytes, Log, LogData, keccak256};

/// What the trie holds at the index that the proof names.
const TRIE: &str = "the receipt in the trie";

/// `eth_getTransactionReceipt`.
pub(super) fn verify(case: &Case<'_>, wanted: B256) -> Result<Verified<Answer>, Rejected> {
    case.kind("receiptProof")?;
    let header = case.header()?;
    let block = header.hash();
    let anchor = case.vouch(&header)?;
    let index = case.proof.need("txIndex")?.u64()?;
    let nodes = case.proof.need("txProof")?;
    let transaction = transaction_at(&header, index, &nodes)?;
    case.result.at("transactionHash").expect(
        keccak256(&transaction),
        wanted,
        "the hash that was asked for",
    )?;
    let transaction = decode::<TxEnvelope>(&transaction)
        .ok_or_else(|| nodes.malformed("the proof of a transaction of type 0 to 4"))?;

    let nodes = case.proof.need("merkleProof")?;
    let encoded = receipt_at(&header, index, &nodes)?;
    let held = decode::<ReceiptEnvelope>(&encoded)
        .ok_or_else(|| nodes.malformed("the proof of a receipt of type 0 to 4"))?;
    let told = Told::read(&case.result, transaction.tx_type(), held.status_or_post_state())?;
    if told.envelope().encoded_2718() != encoded {
        return Err(told.blame(&case.result, &held));
    }
    let place = Place { header: &header, block, index, transaction: wanted };
    place.check(&case.result)?;
    check_logs(&case.result, &place)?;
    derived::check(case, &place, &transaction, &held)?;
    let receipt = Receipt {
        transaction: wanted,
        block,
        number: header.number,
        index,
        succeeded: match told.status {
            Eip658Value::Eip658(status) => Some(status),
            Eip658Value::PostState(_) => None,
        },
        cumulative_gas_used: told.cumulative_gas_used,
        effective_gas_price: transaction.effective_gas_price(header.base_fee_per_gas),
        first_log: (index == 0).then_some(0),
        logs: told.logs,
    };
    Ok(Verified::new(Answer::Receipt(Box::new(receipt)), anchor))
}

/// The encoded transaction at `index`.
pub(super) fn transaction_at(header: &Header, index: u64, nodes: &Json<'_>) -> Result<Bytes, Rejected> {
    let held = look_up_index(header.transactions_root, index, nodes)?;
    held.ok_or_else(|| nodes.reject(Reason::NotInTrie { what: "a transaction at this index" }))
}

/// The encoded receipt at `index`.
pub(super) fn receipt_at(header: &Header, index: u64, nodes: &Json<'_>) -> Result<Bytes, Rejected> {
    let held = look_up_index(header.receipts_root, index, nodes)?;
    held.ok_or_else(|| nodes.reject(Reason::NotInTrie { what: "a receipt at this index" }))
}

/// The logs of an encoded receipt, and nothing where it is of a type that is not known.
pub(super) fn logs_of(receipt: &[u8]) -> Option<Vec<Log>> {
    decode::<ReceiptEnvelope>(receipt).map(|envelope| envelope.logs().to_vec())
}

/// What is encoded, if it is all that is there.
fn decode<T: Decodable2718>(bytes: &[u8]) -> Option<T> {
    let mut rest = bytes;
    let value = T::decode_2718(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// Where a receipt and its logs are.
pub(super) struct Place<'a> {
    pub(super) header: &'a Header,
    pub(super) block: B256,
    pub(super) index: u64,
    pub(super) transaction: B256,
}

impl Place<'_> {
    /// Holds what a receipt or a log says about its place against the proof.
    pub(super) fn check(&self, told: &Json<'_>) -> Result<(), Rejected> {
        check_block(told, self.header, self.block, self.index)?;
        if let Some(hash) = told.told("transactionHash") {
            hash.expect(hash.hash()?, self.transaction, "the proven transaction")?;
        }
        Ok(())
    }
}

/// Holds what a transaction, a receipt or a log says about its block and its index in it against the proof.
pub(super) fn check_block(told: &Json<'_>, header: &Header, block: B256, at: u64) -> Result<(), Rejected> {
    const HEADER: &str = "the header";
    if let Some(hash) = told.told("blockHash") {
        hash.expect(hash.hash()?, block, HEADER)?;
    }
    if let Some(number) = told.told("blockNumber") {
        number.expect(number.u64()?, header.number, HEADER)?;
    }
    if let Some(time) = told.find("blockTimestamp") {
        time.expect(time.u64()?, header.timestamp, HEADER)?;
    }
    if let Some(index) = told.told("transactionIndex") {
        index.expect(index.u64()?, at, "the proof's index")?;
    }
    Ok(())
}

/// What the JSON says, ready to be encoded.
struct Told {
    kind: TxType,
    status: Eip658Value,
    cumulative_gas_used: u64,
    bloom: Bloom,
    logs: Vec<Log>,
}

impl Told {
    fn read(told: &Json<'_>, kind: TxType, held: Eip658Value) -> Result<Self, Rejected> {
        if let Some(given) = told.find("type") {
            given.expect(given.u64()?, u64::from(u8::from(kind)), "the transaction's type")?;
        }
        Ok(Self {
            kind,
            status: status(told, held)?,
            cumulative_gas_used: told.need("cumulativeGasUsed")?.u64()?,
            bloom: Bloom(told.need("logsBloom")?.fixed()?),
            logs: told.list("logs", MAX_ENTRIES, read_log)?,
        })
    }

    fn envelope(&self) -> ReceiptEnvelope {
        let receipt = alloy_consensus::Receipt {
            status: self.status,
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        };
        ReceiptEnvelope::from_typed(self.kind, receipt.with_given_bloom(self.bloom))
    }

    /// Which member differs from what the trie holds.
    fn blame(&self, told: &Json<'_>, held: &ReceiptEnvelope) -> Rejected {
        let same = [
            ("status", held.status_or_post_state() == self.status),
            ("cumulativeGasUsed", held.cumulative_gas_used() == self.cumulative_gas_used),
            ("logsBloom", held.bloom() == self.bloom),
            ("logs", held.logs() == self.logs),
        ];
        match same.iter().find(|(_, same)| !same) {
            Some((name, _)) => told.at(name).differs(TRIE),
            None => told.differs(TRIE),
        }
    }
}

/// A receipt with the bloom filter that a node told.
trait WithBloom {
    fn with_given_bloom(self, bloom: Bloom) -> alloy_consensus::ReceiptWithBloom<alloy_consensus::Receipt>;
}

impl WithBloom for alloy_consensus::Receipt {
    fn with_given_bloom(self, logs_bloom: Bloom) -> alloy_consensus::ReceiptWithBloom<Self> {
        alloy_consensus::ReceiptWithBloom { receipt: self, logs_bloom }
    }
}

/// `status` since Byzantium, the state root before it, as the receipt in the trie has it. A root beside a status is of nothing; a status
/// beside a root is the node's own finding, and not told on.
fn status(told: &Json<'_>, held: Eip658Value) -> Result<Eip658Value, Rejected> {
    if held.is_post_state() {
        return Ok(Eip658Value::PostState(told.need("root")?.hash()?));
    }
    if let Some(root) = told.find("root").filter(|root| !root.is_empty_text()) {
        return Err(root.differs("a receipt that has a status in its place"));
    }
    let status = told.need("status")?;
    match status.u64()? {
        bit @ (0 | 1) => Ok(Eip658Value::Eip658(bit == 1)),
        _ => Err(status.malformed("0 or 1")),
    }
}

/// The part of a log that is in the receipt.
pub(super) fn read_log(told: &Json<'_>) -> Result<Log, Rejected> {
    let topics = told.list("topics", 4, |topic| topic.hash())?;
    let data = LogData::new_unchecked(topics, told.need("data")?.bytes()?);
    Ok(Log { address: told.need("address")?.address()?, data })
}

/// The places that the logs of a receipt say they have. In the block they follow those of the receipts before, which are not here.
fn check_logs(told: &Json<'_>, place: &Place<'_>) -> Result<(), Rejected> {
    const ITS_PLACE: &str = "its place in the receipt";
    let Some(logs) = told.find("logs") else { return Ok(()) };
    let mut first = (place.index == 0).then_some(0);
    for (at, log) in (0_u64..).zip(logs.items()?) {
        place.check(&log)?;
        check_log(&log, at)?;
        if let Some(index) = log.told("logIndex") {
            let claimed = index.u64()?;
            let before = claimed.checked_sub(at).ok_or_else(|| index.differs(ITS_PLACE))?;
            index.expect(before, *first.get_or_insert(before), ITS_PLACE)?;
        }
    }
    Ok(())
}

/// What a log says of itself, whatever else there is: its place in its receipt, and that it counts.
pub(super) fn check_log(told: &Json<'_>, at: u64) -> Result<(), Rejected> {
    if let Some(within) = told.told("transactionLogIndex") {
        within.expect(within.u64()?, at, "its place in the receipt")?;
    }
    if let Some(removed) = told.find("removed") {
        removed.expect(removed.boolean()?, false, "a log in a block")?;
    }
    Ok(())
}
