//! Accounts, their code and their storage, with the roots and proofs of both tries.

use super::proofs::{Tries, proof_in};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::TrieAccount;
use std::collections::BTreeMap;

/// All accounts at one block.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    accounts: BTreeMap<Address, Account>,
}

/// One account.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code: Bytes,
    /// Without slots that hold zero.
    pub(super) storage: BTreeMap<U256, U256>,
}

impl State {
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.accounts.keys().copied()
    }

    pub(super) fn account(&self, address: Address) -> Account {
        self.accounts.get(&address).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, address: Address, account: Account) {
        self.accounts.insert(address, account);
    }

    pub(super) fn root(&self) -> B256 {
        proof_in(&self.entries(), &[]).0
    }

    /// The nodes that prove an account, or that there is none.
    pub(super) fn proof(&self, address: Address) -> Vec<Bytes> {
        proof_in(&self.entries(), keccak256(address).as_slice()).1
    }

    fn entries(&self) -> Tries {
        let entry = |(address, account): (&Address, &Account)| {
            (keccak256(address).to_vec(), alloy_rlp::encode(account.trie_account()))
        };
        self.accounts.iter().map(entry).collect()
    }
}

impl Account {
    pub(super) fn trie_account(&self) -> TrieAccount {
        TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: proof_in(&self.entries(), &[]).0,
            code_hash: keccak256(&self.code),
        }
    }

    /// The nodes that prove a slot, or that it holds zero.
    pub(super) fn proof(&self, slot: U256) -> Vec<Bytes> {
        proof_in(&self.entries(), keccak256(B256::from(slot)).as_slice()).1
    }

    fn entries(&self) -> Tries {
        let entry =
            |(slot, value): (&U256, &U256)| (keccak256(B256::from(*slot)).to_vec(), alloy_rlp::encode(value));
        self.storage.iter().map(entry).collect()
    }
}
