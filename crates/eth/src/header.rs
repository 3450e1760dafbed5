//! A block's header: from the bytes that are hashed, and from the JSON that nodes answer with.
//!
//! The rule: a header is its bytes. Whatever it was read from, its hash is that of its canonical
//! encoding, and fields of forks that are not known here are refused, not skipped.
//!
//! Source: Yellow Paper 4.3; EIP-1559, 4895, 4844, 4788, 7685, 7928, 7843 for the fields after the 15th.

use crate::error::{Reason, Rejected};
use crate::json::Json;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header as RlpHeader, length_of_length};

/// The most fields that a header of the current fork has.
pub const MAX_FIELDS: usize = 23;

/// A header. Optional fields belong to forks; one is there only if all before it are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the Yellow Paper and of the EIPs, by their JSON names"
)]
pub struct Header {
    pub parent_hash: B256,
    pub uncles_hash: B256,
    pub miner: Address,
    pub state_root: B256,
    pub transactions_root: B256,
    pub receipts_root: B256,
    pub logs_bloom: Bloom,
    pub difficulty: U256,
    pub number: u64,
    pub gas_limit: u64,
    pub gas_used: u64,
    pub timestamp: u64,
    pub extra_data: Bytes,
    pub seal: Seal,
    pub base_fee_per_gas: Option<u64>,
    pub withdrawals_root: Option<B256>,
    pub blob_gas_used: Option<u64>,
    pub excess_blob_gas: Option<u64>,
    pub parent_beacon_block_root: Option<B256>,
    pub requests_hash: Option<B256>,
    pub block_access_list_hash: Option<B256>,
    pub slot_number: Option<u64>,
}

/// The 14th and 15th field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// Work, or the beacon chain's randomness in its place: `mixHash` and `nonce`.
    Ethash {
        /// `mixHash`, also called `prevRandao`.
        mix_hash: B256,
        /// `nonce`.
        nonce: B64,
    },
    /// What another consensus puts there: two RLP items, encoded.
    Other([Bytes; 2]),
}

impl Header {
    /// Reads the canonical encoding; anything else, one byte more included, is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, Reason> {
        const MALFORMED: Reason = Reason::Malformed { expected: "the encoding of a header" };
        let mut rest = bytes;
        let mut body = RlpHeader::decode_bytes(&mut rest, true).map_err(|_| MALFORMED)?;
        if !rest.is_empty() {
            return Err(MALFORMED);
        }
        let fields = count_items(body).ok_or(MALFORMED)?;
        if !(15..=MAX_FIELDS).contains(&fields) {
            return Err(Reason::UnknownFork { fields, known: MAX_FIELDS });
        }
        decode_fields(&mut body).map_err(|_| MALFORMED)
    }

    /// Rebuilds the header of which a node's JSON tells the fields.
    pub(crate) fn from_json(block: &Json<'_>) -> Result<Self, Rejected> {
        let number = |name| block.find(name).map(|field| field.u64()).transpose();
        let hash = |name| block.find(name).map(|field| field.hash()).transpose();
        let header = Self {
            parent_hash: block.need("parentHash")?.hash()?,
            uncles_hash: block.need("sha3Uncles")?.hash()?,
            miner: miner(block)?,
            state_root: block.need("stateRoot")?.hash()?,
            transactions_root: block.need("transactionsRoot")?.hash()?,
            receipts_root: receipts_root(block)?,
            logs_bloom: Bloom(block.need("logsBloom")?.fixed()?),
            difficulty: block.need("difficulty")?.u256()?,
            number: block.need("number")?.u64()?,
            gas_limit: block.need("gasLimit")?.u64()?,
            gas_used: block.need("gasUsed")?.u64()?,
            timestamp: block.need("timestamp")?.u64()?,
            extra_data: block.need("extraData")?.bytes()?,
            seal: Seal::from_json(block)?,
            base_fee_per_gas: number("baseFeePerGas")?,
            withdrawals_root: hash("withdrawalsRoot")?,
            blob_gas_used: number("blobGasUsed")?,
            excess_blob_gas: number("excessBlobGas")?,
            parent_beacon_block_root: hash("parentBeaconBlockRoot")?,
            requests_hash: hash("requestsHash")?,
            block_access_list_hash: hash("blockAccessListHash")?,
            slot_number: number("slotNumber")?,
        };
        match header.gap() {
            None => Ok(header),
            Some(name) => Err(block.at(name).reject(Reason::Missing)),
        }
    }

    /// The field that is missing although one of a later fork is there, by its JSON name.
    fn gap(&self) -> Option<&'static str> {
        let forks = [
            ("baseFeePerGas", self.base_fee_per_gas.is_some()),
            ("withdrawalsRoot", self.withdrawals_root.is_some()),
            ("blobGasUsed", self.blob_gas_used.is_some()),
            ("excessBlobGas", self.excess_blob_gas.is_some()),
            ("parentBeaconBlockRoot", self.parent_beacon_block_root.is_some()),
            ("requestsHash", self.requests_hash.is_some()),
            ("blockAccessListHash", self.block_access_list_hash.is_some()),
            ("slotNumber", self.slot_number.is_some()),
        ];
        let first_missing = forks.iter().position(|(_, there)| !there)?;
        let later = forks.iter().skip(first_missing).any(|(_, there)| *there);
        later.then(|| forks.get(first_missing).map(|(name, _)| *name)).flatten()
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        keccak256(alloy_rlp::encode(self))
    }

    /// Calls `visit` with every field, in order.
    fn fields(&self, mut visit: impl FnMut(&dyn Encodable)) {
        visit(&self.parent_hash);
        visit(&self.uncles_hash);
        visit(&self.miner);
        visit(&self.state_root);
        visit(&self.transactions_root);
        visit(&self.receipts_root);
        visit(&self.logs_bloom);
        visit(&self.difficulty);
        visit(&self.number);
        visit(&self.gas_limit);
        visit(&self.gas_used);
        visit(&self.timestamp);
        visit(&self.extra_data);
        match &self.seal {
            Seal::Ethash { mix_hash, nonce } => {
                visit(mix_hash);
                visit(nonce);
            }
            Seal::Other(items) => items.iter().for_each(|item| visit(&Encoded(item))),
        }
        let mut optional = |field: Option<&dyn Encodable>| field.into_iter().for_each(&mut visit);
        optional(self.base_fee_per_gas.as_ref().map(|field| field as _));
        optional(self.withdrawals_root.as_ref().map(|field| field as _));
        optional(self.blob_gas_used.as_ref().map(|field| field as _));
        optional(self.excess_blob_gas.as_ref().map(|field| field as _));
        optional(self.parent_beacon_block_root.as_ref().map(|field| field as _));
        optional(self.requests_hash.as_ref().map(|field| field as _));
        optional(self.block_access_list_hash.as_ref().map(|field| field as _));
        optional(self.slot_number.as_ref().map(|field| field as _));
    }

    fn payload_length(&self) -> usize {
        let mut length = 0;
        self.fields(|field| length += field.length());
        length
    }
}

impl Encodable for Header {
    fn encode(&self, out: &mut dyn BufMut) {
        RlpHeader { list: true, payload_length: self.payload_length() }.encode(out);
        self.fields(|field| field.encode(out));
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + length_of_length(payload)
    }
}

impl Seal {
    /// From `mixHash` and `nonce`, or from `sealFields`, whose items are encoded; whatever is there besides must agree.
    fn from_json(block: &Json<'_>) -> Result<Self, Rejected> {
        let Some(seal_fields) = block.find("sealFields") else {
            let (mix_hash, nonce) = (block.need("mixHash")?.hash()?, block.need("nonce")?.fixed()?);
            return Ok(Self::Ethash { mix_hash, nonce });
        };
        let items = seal_fields.list_of_bytes(2)?;
        let [first, second] =
            <[Bytes; 2]>::try_from(items).map_err(|_| seal_fields.malformed("two items"))?;
        if count_items(&first) != Some(1) || count_items(&second) != Some(1) {
            return Err(seal_fields.malformed("two items of RLP"));
        }
        let seal = Self::read(&mut &[&first[..], &second[..]].concat()[..])
            .map_err(|_| seal_fields.malformed("two items of RLP"))?;
        let (sealed_mix, sealed_nonce) = match &seal {
            Self::Ethash { mix_hash, nonce } => (Some(*mix_hash), Some(*nonce)),
            Self::Other(_) => (None, None),
        };
        if let Some(told) = block.find("mixHash") {
            told.expect(Some(told.hash()?), sealed_mix, "sealFields")?;
        }
        if let Some(told) = block.find("nonce") {
            told.expect(Some(told.fixed()?), sealed_nonce, "sealFields")?;
        }
        Ok(seal)
    }

    /// From the two encoded items at the front of `body`.
    fn read(body: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut ethash = *body;
        if let (Ok(mix_hash), Ok(nonce)) = (B256::decode(&mut ethash), B64::decode(&mut ethash)) {
            *body = ethash;
            return Ok(Self::Ethash { mix_hash, nonce });
        }
        let mut item = || {
            let whole = *body;
            skip_item(body).ok_or(alloy_rlp::Error::InputTooShort)?;
            Ok::<_, alloy_rlp::Error>(Bytes::copy_from_slice(&whole[..whole.len() - body.len()]))
        };
        Ok(Self::Other([item()?, item()?]))
    }
}

/// An item that is encoded already.
struct Encoded<'a>(&'a [u8]);

impl Encodable for Encoded<'_> {
    fn encode(&self, out: &mut dyn BufMut) {
        out.put_slice(self.0);
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

fn decode_fields(body: &mut &[u8]) -> alloy_rlp::Result<Header> {
    fn optional<T: Decodable>(body: &mut &[u8]) -> alloy_rlp::Result<Option<T>> {
        if body.is_empty() { Ok(None) } else { T::decode(body).map(Some) }
    }
    Ok(Header {
        parent_hash: B256::decode(body)?,
        uncles_hash: B256::decode(body)?,
        miner: Address::decode(body)?,
        state_root: B256::decode(body)?,
        transactions_root: B256::decode(body)?,
        receipts_root: B256::decode(body)?,
        logs_bloom: Bloom::decode(body)?,
        difficulty: U256::decode(body)?,
        number: u64::decode(body)?,
        gas_limit: u64::decode(body)?,
        gas_used: u64::decode(body)?,
        timestamp: u64::decode(body)?,
        extra_data: Bytes::decode(body)?,
        seal: Seal::read(body)?,
        base_fee_per_gas: optional(body)?,
        withdrawals_root: optional(body)?,
        blob_gas_used: optional(body)?,
        excess_blob_gas: optional(body)?,
        parent_beacon_block_root: optional(body)?,
        requests_hash: optional(body)?,
        block_access_list_hash: optional(body)?,
        slot_number: optional(body)?,
    })
}

/// How many items follow one another; nothing where one is broken.
fn count_items(mut body: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !body.is_empty() {
        skip_item(&mut body)?;
        count += 1;
    }
    Some(count)
}

fn skip_item(body: &mut &[u8]) -> Option<()> {
    let header = RlpHeader::decode(body).ok()?;
    *body = body.get(header.payload_length..)?;
    Some(())
}

/// `miner` and its older name `author`; where both are there, they must agree.
fn miner(block: &Json<'_>) -> Result<Address, Rejected> {
    let (miner, author) = (block.find("miner"), block.find("author"));
    let address = miner.or(author).ok_or_else(|| block.at("miner").reject(Reason::Missing))?.address()?;
    if let Some(author) = author {
        author.expect(author.address()?, address, "the miner")?;
    }
    Ok(address)
}

/// `receiptsRoot`, which some nodes call `receiptRoot`; where both are there, they must agree.
fn receipts_root(block: &Json<'_>) -> Result<B256, Rejected> {
    let (root, other) = (block.find("receiptsRoot"), block.find("receiptRoot"));
    let hash = root.or(other).ok_or_else(|| block.at("receiptsRoot").reject(Reason::Missing))?.hash()?;
    if let Some(other) = other {
        other.expect(other.hash()?, hash, "receiptsRoot")?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests;
