//! A chain of Ethereum blocks with real tries, made from a seed, and the answers of a node that has it.
//!
//! The rule: every root and hash is right, every transaction is signed, and the proofs come from the tries
//! themselves. What the blocks mean is arbitrary: nothing is executed, balances and storage change at
//! random. Headers are of every fork from Frontier to the current one, and transactions of every type.

mod answer;
mod draw;
mod proofs;
mod state;

pub use answer::{Proof, Signers};

/// What blocks are made of, and how to look at it.
pub use alloy_consensus::{Eip658Value, ReceiptEnvelope, Transaction, TxEnvelope, TxReceipt};

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, keccak256};
use fastrand::Rng;
use k256::ecdsa::SigningKey;
use state::State;

/// The chain's id.
pub const CHAIN_ID: u64 = 1;

/// A chain, from its first block on.
#[derive(Debug, Clone)]
pub struct Chain {
    blocks: Vec<Block>,
}

/// A block with all that its header has the root of.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its header.
    pub header: Header,
    /// Its hash.
    pub hash: B256,
    /// Its transactions and who sent them.
    pub transactions: Vec<(TxEnvelope, Address)>,
    /// Their receipts.
    pub receipts: Vec<ReceiptEnvelope>,
    /// The headers of its uncles.
    pub uncles: Vec<Header>,
    /// Its withdrawals, since Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
    state: State,
}

impl Chain {
    /// A chain of `blocks` blocks. The same seed gives the same chain.
    pub fn seeded(seed: u64, blocks: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut chain = Self { blocks: Vec::new() };
        for number in 0..blocks {
            let block = draw::block(&mut random, number, blocks, chain.blocks.last());
            chain.blocks.push(block);
        }
        chain
    }

    /// All blocks, the first one first.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Addresses of accounts that are in the state of the block.
    pub fn accounts(&self, number: usize) -> Vec<Address> {
        self.blocks.get(number).map(|block| block.state.addresses().collect()).unwrap_or_default()
    }

    fn last(&self) -> &Block {
        self.blocks.last().expect("a chain that is asked has a block")
    }
}

/// A key that is the same at every call with the same number.
pub fn key(number: u64) -> SigningKey {
    let secret = keccak256([b"quorate test key".as_slice(), &number.to_be_bytes()].concat());
    SigningKey::from_slice(secret.as_slice()).expect("a hash is a secret key but for a negligible few")
}

/// The address of a key.
pub fn address(key: &SigningKey) -> Address {
    let point = key.verifying_key().to_sec1_point(false);
    // The first byte says how the rest is written.
    Address::from_raw_public_key(
        point.as_bytes().get(1..).expect("a point that is not compressed has 65 bytes"),
    )
}
