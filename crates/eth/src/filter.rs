//! Which logs are asked for, and whether a log, or a block's bloom filter, fits.
//!
//! Source: `eth_getLogs` of the Ethereum JSON-RPC specification; Yellow Paper 4.3.1 for the bloom filter.

use crate::error::{Reason, Rejected};
use crate::json::Json;
use crate::question::{BlockId, block_id};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

/// The most addresses, or topics at one place, that a filter may name.
const MAX_CHOICES: usize = 1_024;

/// A filter for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// The first block; the same as `to` where one block was named by its hash.
    pub from: BlockId,
    /// The last block.
    pub to: BlockId,
    /// Whether both ends are the same block, of the node's choice: from `latest` to `latest`, which is the default.
    pub one_block: bool,
    /// Whose logs; empty for all.
    pub addresses: Vec<Address>,
    /// The topics at each place; an empty choice is any.
    pub topics: Vec<Vec<B256>>,
}

impl LogFilter {
    pub(crate) fn from_json(filter: &Json<'_>) -> Result<Self, Rejected> {
        if !filter.is_object() {
            return Err(filter.malformed("an object"));
        }
        let (first, last) = (filter.at("fromBlock"), filter.at("toBlock"));
        let (from, to) = match filter.find("blockHash") {
            Some(hash) => {
                let block = BlockId::Hash(hash.exact_hash()?);
                (block, block)
            }
            None => (block_id(&first)?, block_id(&last)?),
        };
        let tag = |end: &Json<'_>| end.value().as_str().unwrap_or("latest").to_owned();
        let one_block = (from, to) == (BlockId::Any, BlockId::Any) && tag(&first) == tag(&last);
        let topics = match filter.find("topics") {
            Some(topics) => {
                let places = topics.items()?;
                if places.len() > 4 {
                    return Err(topics.reject(Reason::TooMany { max: 4 }));
                }
                places.map(|place| choices(&place, |topic| topic.exact_hash())).collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        let addresses = choices(&filter.at("address"), |address| address.exact_address())?;
        Ok(Self { from, to, one_block, addresses, topics })
    }

    /// Whether a log is asked for, its block aside.
    pub fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(choice, topic)| choice.is_empty() || choice.contains(topic))
    }

    /// Whether a block with this bloom filter may have logs that are asked for. `false` is certain.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let holds = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let address = self.addresses.is_empty() || self.addresses.iter().any(|one| holds(one.as_slice()));
        address
            && self
                .topics
                .iter()
                .all(|choice| choice.is_empty() || choice.iter().any(|one| holds(one.as_slice())))
    }

    /// Whether a block is within the range, as far as the range says which.
    pub fn covers(&self, number: u64, hash: B256) -> bool {
        let begins = match self.from {
            BlockId::Number(first) => first <= number,
            BlockId::Hash(wanted) => wanted == hash,
            BlockId::Any => true,
        };
        let ends = match self.to {
            BlockId::Number(last) => number <= last,
            BlockId::Hash(wanted) => wanted == hash,
            BlockId::Any => true,
        };
        begins && ends
    }
}

/// One value, several of which one will do, or null for any.
fn choices<T>(given: &Json<'_>, read: impl Fn(&Json<'_>) -> Result<T, Rejected>) -> Result<Vec<T>, Rejected> {
    if given.is_null() {
        return Ok(Vec::new());
    }
    if !given.value().is_array() {
        return Ok(vec![read(given)?]);
    }
    let items = given.items()?;
    if items.len() > MAX_CHOICES {
        return Err(given.reject(Reason::TooMany { max: MAX_CHOICES }));
    }
    items.map(|item| read(&item)).collect()
}
