//! Accounts and their storage, proven under the header's state root.
//!
//! The rule: every account and slot that the proof has is verified, and the one that was asked for must
//! be among them. An account that is proven to be absent has no nonce, no balance, no code and no storage.
//!
//! Source: EIP-1186; Yellow Paper 4.1.

use super::{Case, expect_block, expect_name, look_up};
use crate::answer::{AccountValue, Answer};
use crate::error::{Reason, Rejected};
use crate::json::Json;
use crate::question::{AccountField, BlockId};
use crate::trust::Verified;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

/// The most accounts in one proof, and slots of one account.
const MAX_PROVEN: usize = 1_024;

pub(super) fn verify(
    case: &Case<'_>,
    address: Address,
    field: AccountField,
    block: BlockId,
) -> Result<Verified<Answer>, Rejected> {
    case.kind("accountProof")?;
    let header = case.header()?;
    let hash = header.hash();
    expect_block(block, &header, hash, &case.proof.at("block"))?;
    let anchor = case.vouch(&header)?;

    let accounts = case.proof.need("accounts")?;
    let members = accounts.members()?;
    if members.len() > MAX_PROVEN {
        return Err(accounts.reject(Reason::TooMany { max: MAX_PROVEN }));
    }
    let mut asked = None;
    for (name, given) in members {
        let proven = Proven::verify(&given, header.state_root)?;
        expect_name(&given, name, |name| name.address(), proven.address)?;
        if proven.address == address {
            asked = Some(proven.value(field, &given, case)?);
        }
    }
    let value =
        asked.ok_or_else(|| accounts.reject(Reason::NotInTrie { what: "the account that was asked for" }))?;
    Ok(Verified::new(Answer::Account(value), anchor))
}

/// An account that agrees with the trie, and the slots of it that do.
struct Proven {
    address: Address,
    account: TrieAccount,
    slots: Vec<(U256, U256)>,
}

impl Proven {
    fn verify(given: &Json<'_>, state_root: B256) -> Result<Self, Rejected> {
        let address = given.need("address")?.address()?;
        let told = TrieAccount {
            nonce: given.need("nonce")?.u64()?,
            balance: given.need("balance")?.u256()?,
            storage_root: given.need("storageHash")?.hash()?,
            code_hash: given.need("codeHash")?.hash()?,
        };
        let nodes = given.need("accountProof")?;
        let absent = TrieAccount {
            nonce: 0,
            balance: U256::ZERO,
            storage_root: EMPTY_ROOT_HASH,
            code_hash: KECCAK256_EMPTY,
        };
        let found = look_up(state_root, keccak256(address).as_slice(), &nodes)?;
        let agrees = match &found {
            Some(bytes) => alloy_rlp::encode(told) == **bytes,
            None => told == absent,
        };
        if !agrees {
            return Err(Self::blame(given, found.as_ref().map(|bytes| &bytes[..]), told));
        }
        if let Some(code) = given.find("code") {
            code.expect(keccak256(code.bytes()?), told.code_hash, "the code whose hash is proven")?;
        }
        Ok(Self { address, account: told, slots: slots(given, told.storage_root)? })
    }

    /// Which of the fields differs from what the trie holds.
    fn blame(given: &Json<'_>, found: Option<&[u8]>, told: TrieAccount) -> Rejected {
        const TRIE: &str = "the account in the trie";
        let held = found.map(|mut bytes| <TrieAccount as alloy_rlp::Decodable>::decode(&mut bytes));
        let name = match held {
            Some(Ok(held)) if held.nonce != told.nonce => "nonce",
            Some(Ok(held)) if held.balance != told.balance => "balance",
            Some(Ok(held)) if held.storage_root != told.storage_root => "storageHash",
            Some(Ok(held)) if held.code_hash != told.code_hash => "codeHash",
            Some(_) => return given.reject(Reason::NotInTrie { what: "an account at this address" }),
            None => return given.reject(Reason::NotInTrie { what: "this account" }),
        };
        given.at(name).differs(TRIE)
    }

    /// What was asked for, from the proof; the node's result must say the same.
    fn value(
        &self,
        field: AccountField,
        given: &Json<'_>,
        case: &Case<'_>,
    ) -> Result<AccountValue, Rejected> {
        const PROVEN: &str = "what is proven";
        let result = &case.result;
        Ok(match field {
            AccountField::Balance => {
                result.expect(result.u256()?, self.account.balance, PROVEN)?;
                AccountValue::Balance(self.account.balance)
            }
            AccountField::Nonce => {
                result.expect(result.u64()?, self.account.nonce, PROVEN)?;
                AccountValue::Nonce(self.account.nonce)
            }
            AccountField::Code => {
                let code = result.bytes()?;
                result.expect(keccak256(&code), self.account.code_hash, "the code whose hash is proven")?;
                AccountValue::Code(code)
            }
            AccountField::Storage(slot) => {
                let found = self.slots.iter().find(|(key, _)| *key == slot);
                let (_, value) = found.ok_or_else(|| {
                    given.at("storageProof").reject(Reason::NotInTrie { what: "the slot that was asked for" })
                })?;
                result.expect(result.u256()?, *value, PROVEN)?;
                AccountValue::Storage(*value)
            }
        })
    }
}

/// The slots of which the account has proofs.
fn slots(given: &Json<'_>, storage_root: B256) -> Result<Vec<(U256, U256)>, Rejected> {
    let Some(proofs) = given.find("storageProof") else { return Ok(Vec::new()) };
    let items = proofs.items()?;
    if items.len() > MAX_PROVEN {
        return Err(proofs.reject(Reason::TooMany { max: MAX_PROVEN }));
    }
    items
        .map(|slot| {
            let (key, value) = (slot.need("key")?.u256()?, slot.need("value")?);
            let told = value.u256()?;
            let found = look_up(storage_root, keccak256(B256::from(key)).as_slice(), &slot.need("proof")?)?;
            let agrees = match found {
                Some(bytes) => told != U256::ZERO && alloy_rlp::encode(told) == *bytes,
                None => told == U256::ZERO,
            };
            if agrees { Ok((key, told)) } else { Err(value.differs("the value in the trie")) }
        })
        .collect()
}
