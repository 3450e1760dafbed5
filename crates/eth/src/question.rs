//! What is asked: the JSON-RPC methods whose answers can be verified, with their parameters understood.
//!
//! The rule: an answer is held against the question as it was understood here, so a node that answers
//! another question is found out.
//!
//! Source: the Ethereum JSON-RPC specification (execution-apis).

use crate::error::{QuestionError, Reason, Rejected};
use crate::filter::LogFilter;
use crate::json::Json;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;

/// Which block is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// The block with this hash.
    Hash(B256),
    /// The block with this number.
    Number(u64),
    /// The node's choice: `latest`, `safe`, `finalized`, `pending`.
    Any,
}

/// What is asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountField {
    /// `eth_getBalance`.
    Balance,
    /// `eth_getTransactionCount`.
    Nonce,
    /// `eth_getCode`.
    Code,
    /// `eth_getStorageAt`, and the slot.
    Storage(U256),
}

/// A question whose answer can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// `eth_getBlockByHash`, `eth_getBlockByNumber`.
    Block {
        /// Which.
        block: BlockId,
        /// With its transactions, not only their hashes.
        full: bool,
    },
    /// `eth_getBlockTransactionCountByHash`, `…ByNumber`.
    TransactionCount {
        /// Which block.
        block: BlockId,
    },
    /// `eth_getUncleCountByBlockHash`, `…ByBlockNumber`.
    UncleCount {
        /// Which block.
        block: BlockId,
    },
    /// `eth_getBalance`, `eth_getTransactionCount`, `eth_getCode`, `eth_getStorageAt`.
    Account {
        /// Whose.
        address: Address,
        /// What of it.
        field: AccountField,
        /// At which block.
        block: BlockId,
    },
    /// `eth_getTransactionByHash`.
    Transaction {
        /// Its hash.
        hash: B256,
    },
    /// `eth_getTransactionByBlockHashAndIndex`, `…ByBlockNumberAndIndex`.
    TransactionAt {
        /// In which block.
        block: BlockId,
        /// At which place, from 0.
        index: u64,
    },
    /// `eth_getTransactionReceipt`.
    Receipt {
        /// The transaction's hash.
        hash: B256,
    },
    /// `eth_getLogs`.
    Logs(LogFilter),
    /// `eth_sendRawTransaction`.
    SendRaw {
        /// The signed transaction.
        raw: Bytes,
    },
}

impl Question {
    /// Understands a request; `params` is a JSON array, or null for none.
    pub fn parse(method: &str, params: &Value) -> Result<Self, QuestionError> {
        let params = Json::root(params);
        let question = Self::read(method, &params);
        let wrong = |Rejected { path, reason }| QuestionError::Parameter { path, reason };
        question.map_err(wrong)?.ok_or_else(|| QuestionError::UnknownMethod { method: method.to_owned() })
    }

    fn read(method: &str, params: &Json<'_>) -> Result<Option<Self>, Rejected> {
        let hash = |at: usize| need(&params.item(at))?.exact_hash();
        let tagged = |at: usize| block_id(&params.item(at));
        let by_hash = |at: usize| hash(at).map(BlockId::Hash);
        let by_number = |at: usize| tagged(at);
        let index = |at: usize| need(&params.item(at))?.u64();
        let full = || match params.item(1) {
            given if given.is_null() => Ok(false),
            given => given.boolean(),
        };
        let account = |field, block| {
            let address = need(&params.item(0))?.exact_address()?;
            Ok::<_, Rejected>(Self::Account { address, field, block: tagged(block)? })
        };
        Ok(Some(match method {
            "eth_getBlockByHash" => Self::Block { block: by_hash(0)?, full: full()? },
            "eth_getBlockByNumber" => Self::Block { block: by_number(0)?, full: full()? },
            "eth_getBlockTransactionCountByHash" => Self::TransactionCount { block: by_hash(0)? },
            "eth_getBlockTransactionCountByNumber" => Self::TransactionCount { block: by_number(0)? },
            "eth_getUncleCountByBlockHash" => Self::UncleCount { block: by_hash(0)? },
            "eth_getUncleCountByBlockNumber" => Self::UncleCount { block: by_number(0)? },
            "eth_getBalance" => account(AccountField::Balance, 1)?,
            "eth_getTransactionCount" => account(AccountField::Nonce, 1)?,
            "eth_getCode" => account(AccountField::Code, 1)?,
            "eth_getStorageAt" => {
                let slot = need(&params.item(1))?.u256()?;
                account(AccountField::Storage(slot), 2)?
            }
            "eth_getTransactionByHash" => Self::Transaction { hash: hash(0)? },
            "eth_getTransactionByBlockHashAndIndex" => {
                Self::TransactionAt { block: by_hash(0)?, index: index(1)? }
            }
            "eth_getTransactionByBlockNumberAndIndex" => {
                Self::TransactionAt { block: by_number(0)?, index: index(1)? }
            }
            "eth_getTransactionReceipt" => Self::Receipt { hash: hash(0)? },
            "eth_getLogs" => Self::Logs(LogFilter::from_json(&need(&params.item(0))?)?),
            "eth_sendRawTransaction" => Self::SendRaw { raw: need(&params.item(0))?.bytes()? },
            _ => return Ok(None),
        }))
    }
}

fn need<'a>(parameter: &Json<'a>) -> Result<Json<'a>, Rejected> {
    if parameter.is_null() { Err(parameter.reject(Reason::Missing)) } else { Ok(*parameter) }
}

/// A number, a tag, or an object as in EIP-1898; nothing means `latest`.
pub(crate) fn block_id(parameter: &Json<'_>) -> Result<BlockId, Rejected> {
    if parameter.is_object() {
        if let Some(hash) = parameter.find("blockHash") {
            return hash.exact_hash().map(BlockId::Hash);
        }
        return parameter.need("blockNumber")?.u64().map(BlockId::Number);
    }
    match parameter.value().as_str() {
        Some("latest" | "safe" | "finalized" | "pending") => Ok(BlockId::Any),
        Some("earliest") => Ok(BlockId::Number(0)),
        _ if parameter.is_null() => Ok(BlockId::Any),
        // A hash where a number may stand is a number of 32 bytes: take it for what it is.
        Some(text) if text.len() == 66 => parameter.hash().map(BlockId::Hash),
        _ => parameter.u64().map(BlockId::Number),
    }
}
