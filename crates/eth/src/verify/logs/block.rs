//! One block of a log proof: its header, and those of its receipts that the proof has.

use super::super::expect_name;
use super::super::receipt::{Place, logs_of, receipt_at, transaction_at};
use super::MAX_ENTRIES;
use crate::error::{Reason, Rejected};
use crate::header::Header;
use crate::json::Json;
use alloy_primitives::{B256, Bytes, Log, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;
use std::collections::BTreeMap;

/// A block whose header is whole and whose receipts, as far as they are here, are in its trie.
pub(super) struct ProvenBlock {
    pub(super) header: Header,
    pub(super) hash: B256,
    /// By their index.
    receipts: BTreeMap<u64, ProvenReceipt>,
}

/// A receipt that is in the trie, and whose it is.
pub(super) struct ProvenReceipt {
    pub(super) transaction: B256,
    pub(super) index: u64,
    pub(super) logs: Vec<Log>,
    /// How many logs are in the receipts before it, as far as those are here; and whether they all are.
    pub(super) before: (u64, bool),
    encoded: Bytes,
}

impl ProvenBlock {
    /// `{ number, block, receipts: { name: { txHash, txIndex, txProof, proof } } }`.
    pub(super) fn verify(given: &Json<'_>) -> Result<Self, Rejected> {
        let bytes = given.need("block")?;
        let header = Header::decode(&bytes.bytes()?).map_err(|reason| bytes.reject(reason))?;
        if let Some(number) = given.find("number") {
            number.expect(number.u64()?, header.number, "the header")?;
        }
        let mut receipts: BTreeMap<u64, ProvenReceipt> = BTreeMap::new();
        if let Some(proofs) = given.find("receipts") {
            let members = proofs.members()?;
            if members.len() > MAX_ENTRIES {
                return Err(proofs.reject(Reason::TooMany { max: MAX_ENTRIES }));
            }
            for (name, proof) in members {
                let receipt = ProvenReceipt::verify(&proof, &header)?;
                expect_name(&proof, name, |name| name.hash(), receipt.transaction)?;
                if receipts.insert(receipt.index, receipt).is_some() {
                    return Err(proof.reject(Reason::OutOfOrder));
                }
            }
        }
        let mut before = 0;
        for (place, (index, receipt)) in (0_u64..).zip(&mut receipts) {
            receipt.before = (before, place == *index);
            before += receipt.logs.len() as u64;
        }
        Ok(Self { hash: header.hash(), header, receipts })
    }

    pub(super) fn receipt(&self, transaction: B256) -> Option<&ProvenReceipt> {
        self.receipts.values().find(|receipt| receipt.transaction == transaction)
    }

    pub(super) fn place(&self, receipt: &ProvenReceipt) -> Place<'_> {
        Place {
            header: &self.header,
            block: self.hash,
            index: receipt.index,
            transaction: receipt.transaction,
        }
    }

    /// Whether the block has no other receipt: those that are here have the root that the header tells.
    pub(super) fn has_all_receipts(&self) -> bool {
        let in_order = (0_u64..).zip(self.receipts.keys()).all(|(place, index)| place == *index);
        let encoded: Vec<&Bytes> = self.receipts.values().map(|receipt| &receipt.encoded).collect();
        in_order && ordered_trie_root_encoded(&encoded) == self.header.receipts_root
    }

    /// The logs of all receipts that are here.
    pub(super) fn logs(&self) -> impl Iterator<Item = &Log> {
        self.receipts.values().flat_map(|receipt| &receipt.logs)
    }
}

impl ProvenReceipt {
    fn verify(given: &Json<'_>, header: &Header) -> Result<Self, Rejected> {
        let index = given.need("txIndex")?.u64()?;
        let transaction = keccak256(transaction_at(header, index, &given.need("txProof")?)?);
        let hash = given.need("txHash")?;
        hash.expect(hash.hash()?, transaction, "the proven transaction")?;
        let nodes = given.need("proof")?;
        let encoded = receipt_at(header, index, &nodes)?;
        let logs =
            logs_of(&encoded).ok_or_else(|| nodes.malformed("the proof of a receipt of type 0 to 4"))?;
        Ok(Self { transaction, index, logs, before: (0, false), encoded })
    }
}
