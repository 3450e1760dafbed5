//! What was learned: typed values in which only what a proof covers has a place.
//!
//! The rule: fields that nothing proves (gas used by a transaction, total difficulty, a block's size) are not here; what
//! only some proofs show (the index of a log in its block) is there where it was shown. Who wants them reads the node's JSON, and knows what that is.

mod json;

use crate::header::Header;
use alloy_consensus::TxEnvelope;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Log, U256};

/// The verified answer to a [`Question`](crate::Question).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A block.
    Block(Box<Block>),
    /// How many transactions or uncles a block has.
    Count(u64),
    /// What was asked of an account.
    Account(AccountValue),
    /// A transaction.
    Transaction(Box<Transaction>),
    /// The block has no transaction at the index asked for.
    NoTransaction,
    /// A receipt.
    Receipt(Box<Receipt>),
    /// Logs.
    Logs(Logs),
    /// The hash of the transaction that was sent.
    Sent(B256),
}

/// A block whose header has the hash that its answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Its transactions; only their hashes where no more was asked for and the proof has no more.
    pub transactions: Transactions,
    /// The hashes of its uncles, unless the proof leaves them open.
    pub uncles: Option<Vec<B256>>,
    /// Its withdrawals, since Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

/// A block's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transactions {
    /// All of them, in order.
    Full(Vec<Transaction>),
    /// Their hashes, in order.
    Hashes(Vec<B256>),
    /// Nothing is proven of them: the answer told hashes, and the proof had no transactions.
    Open,
}

/// A transaction, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The signed transaction.
    pub envelope: TxEnvelope,
    /// Who signed it.
    pub from: Address,
    /// The block it is in.
    pub block: B256,
    /// That block's number.
    pub number: u64,
    /// Its place in the block, from 0.
    pub index: u64,
}

/// What was asked of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountValue {
    /// In wei.
    Balance(U256),
    /// How many transactions it sent, or contracts it made.
    Nonce(u64),
    /// Its code; empty for one that has none.
    Code(Bytes),
    /// The value in the slot asked for; zero where there is none.
    Storage(U256),
}

/// A receipt, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction's hash.
    pub transaction: B256,
    /// The block it is in.
    pub block: B256,
    /// That block's number.
    pub number: u64,
    /// The transaction's place in the block, from 0.
    pub index: u64,
    /// Whether it succeeded; unknown before Byzantium.
    pub succeeded: Option<bool>,
    /// Gas used in the block up to and with it.
    pub cumulative_gas_used: u64,
    /// What a unit of gas cost, in wei.
    pub effective_gas_price: u128,
    /// The place of its first log among all logs of the block; not proven but for a block's first receipt.
    pub first_log: Option<u64>,
    /// Its logs, in order.
    pub logs: Vec<Log>,
}

/// Logs, each proven to be in its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// The logs, in order.
    pub logs: Vec<PlacedLog>,
    /// Whether there is no other in the range that the filter asks for.
    pub complete: bool,
}

/// A log, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLog {
    /// The log.
    pub log: Log,
    /// The block it is in.
    pub block: B256,
    /// That block's number.
    pub number: u64,
    /// The transaction that made it.
    pub transaction: B256,
    /// That transaction's place in the block, from 0.
    pub transaction_index: u64,
    /// Its place among the logs of that transaction, from 0.
    pub index_in_transaction: u64,
    /// Its place among the logs of the block, from 0 (`logIndex`); not proven unless the proof has all receipts before.
    pub index_in_block: Option<u64>,
}
