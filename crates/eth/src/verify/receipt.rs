//! Receipts, proven under the header's receipts root.
//!
//! The rule: a receipt does not tell whose it is; the transaction at the same index does. Both are proven.
//! Gas used and the logs' place in the block are not, and are not told on.
//!
//! Source: Yellow Paper 4.3.1; EIP-658, 2718.

use super::{Case, MAX_ENTRIES, look_up_index};
use crate::answer::{Answer, Receipt};
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use crate::recover::recover_sender;
use crate::trust::Verified;
use crate::verify::Depth;

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
    let transaction = transaction_at(&header, index, &case.proof.need("txProof")?)?;
    case.result.at("transactionHash").expect(
        keccak256(&transaction),
        wanted,
        "the hash that was asked for",
    )?;

    let nodes = case.proof.need("merkleProof")?;
    let held = receipt_at(&header, index, &nodes)?;
    let told = Told::read(&case.result, kind_of(&transaction))?;
    if told.envelope().encoded_2718() != held {
        return Err(told.blame(&case.result, &held));
    }
    let place = Place { header: &header, block, index, transaction: wanted };
    place.check(&case.result)?;
    check_logs(&case.result, &place)?;
    check_parties(case, &transaction)?;
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
    let mut rest = receipt;
    let envelope = ReceiptEnvelope::decode_2718(&mut rest).ok()?;
    rest.is_empty().then(|| envelope.logs().to_vec())
}

/// The type of an encoded transaction, which is also that of its receipt.
fn kind_of(transaction: &[u8]) -> u8 {
    transaction.first().copied().filter(|first| *first < 0x80).unwrap_or(0)
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
        const HEADER: &str = "the header";
        if let Some(hash) = told.find("blockHash") {
            hash.expect(hash.hash()?, self.block, HEADER)?;
        }
        if let Some(number) = told.find("blockNumber") {
            number.expect(number.u64()?, self.header.number, HEADER)?;
        }
        if let Some(index) = told.find("transactionIndex") {
            index.expect(index.u64()?, self.index, "the proof's index")?;
        }
        if let Some(hash) = told.find("transactionHash") {
            hash.expect(hash.hash()?, self.transaction, "the proven transaction")?;
        }
        Ok(())
    }
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
    fn read(told: &Json<'_>, kind: u8) -> Result<Self, Rejected> {
        if let Some(given) = told.find("type") {
            given.expect(given.u64()?, u64::from(kind), "the transaction's type")?;
        }
        let kind = TxType::try_from(kind).map_err(|_| told.at("type").malformed("a type from 0 to 4"))?;
        let logs = told.need("logs")?;
        let items = logs.items()?;
        if items.len() > MAX_ENTRIES {
            return Err(logs.reject(Reason::TooMany { max: MAX_ENTRIES }));
        }
        Ok(Self {
            kind,
            status: status(told)?,
            cumulative_gas_used: told.need("cumulativeGasUsed")?.u64()?,
            bloom: Bloom(told.need("logsBloom")?.fixed()?),
            logs: items.map(|log| read_log(&log)).collect::<Result<_, _>>()?,
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
    fn blame(&self, told: &Json<'_>, held: &[u8]) -> Rejected {
        let Ok(held) = ReceiptEnvelope::<Log>::decode_2718(&mut &held[..]) else { return told.differs(TRIE) };
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

/// `status` since Byzantium, the state root before it.
fn status(told: &Json<'_>) -> Result<Eip658Value, Rejected> {
    let (status, root) = (told.find("status"), told.find("root"));
    match (status, root) {
        (Some(status), _) => match status.u64()? {
            bit @ (0 | 1) => Ok(Eip658Value::Eip658(bit == 1)),
            _ => Err(status.malformed("0 or 1")),
        },
        (None, Some(root)) => Ok(Eip658Value::PostState(root.hash()?)),
        (None, None) => Err(told.at("status").reject(Reason::Missing)),
    }
}

/// The part of a log that is in the receipt.
pub(super) fn read_log(told: &Json<'_>) -> Result<Log, Rejected> {
    let topics = told.need("topics")?;
    let items = topics.items()?;
    if items.len() > 4 {
        return Err(topics.reject(Reason::TooMany { max: 4 }));
    }
    let topics = items.map(|topic| topic.hash()).collect::<Result<Vec<_>, _>>()?;
    let data = LogData::new_unchecked(topics, told.need("data")?.bytes()?);
    Ok(Log { address: told.need("address")?.address()?, data })
}

/// The places that the logs of a receipt say they have.
fn check_logs(told: &Json<'_>, place: &Place<'_>) -> Result<(), Rejected> {
    let logs = told.at("logs");
    let mut first = None;
    for (at, log) in (0_u64..).zip(logs.items()?) {
        place.check(&log)?;
        if let Some(within) = log.find("transactionLogIndex") {
            within.expect(within.u64()?, at, "its place in the receipt")?;
        }
        if let Some(index) = log.find("logIndex") {
            let index_told = index.u64()?;
            let first = *first.get_or_insert(index_told.wrapping_sub(at));
            index.expect(index_told, first.wrapping_add(at), "its place in the receipt")?;
        }
        if let Some(removed) = log.find("removed") {
            removed.expect(removed.boolean()?, false, "a log in a block")?;
        }
    }
    Ok(())
}

/// `to`, and in depth `from` and `contractAddress`, which follow from the transaction.
fn check_parties(case: &Case<'_>, transaction: &[u8]) -> Result<(), Rejected> {
    const DERIVED: &str = "what follows from the transaction";
    let Ok(transaction) = TxEnvelope::decode_2718(&mut &transaction[..]) else { return Ok(()) };
    if let Some(to) = case.result.find("to") {
        to.expect(Some(to.address()?), transaction.kind().to().copied(), DERIVED)?;
    }
    if case.depth != Depth::Full {
        return Ok(());
    }
    let Some(sender) = recover_sender(&transaction) else {
        return Err(case.proof.at("txProof").reject(Reason::InvalidSignature));
    };
    if let Some(from) = case.result.find("from") {
        from.expect(from.address()?, sender, DERIVED)?;
    }
    if let Some(contract) = case.result.find("contractAddress") {
        let created = transaction.kind().is_create().then(|| sender.create(transaction.nonce()));
        contract.expect(Some(contract.address()?), created, DERIVED)?;
    }
    Ok(())
}
