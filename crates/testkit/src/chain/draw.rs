//! One block after another, at random.

use super::proofs::{indexed, proof_in};
use super::state::State;
use super::{Block, CHAIN_ID, address, key};
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, SignableTransaction, Transaction as _, TxEip1559,
    TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy, TxType,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B64, B256, Bytes, Log, Signature, TxKind, U256, keccak256};
use fastrand::Rng;
use k256::ecdsa::SigningKey;

/// How many accounts send transactions.
const SENDERS: u64 = 12;
/// From how many contracts and kinds of event the logs are.
const EMITTERS: u8 = 4;

/// The next block; the forks are spread over the chain's length.
pub(super) fn block(random: &mut Rng, number: u64, blocks: u64, parent: Option<&Block>) -> Block {
    let fork = number * 8 / blocks.max(1);
    let count = match number % 7 {
        0 => 0,
        // Deep tries in a few blocks; in most of them shallow ones, which are quick to go through.
        1 => random.u64(20..40),
        _ => random.u64(1..7),
    };
    let transactions: Vec<_> = (0..count).map(|index| transaction(random, index, fork)).collect();
    let receipts = receipts(random, &transactions, fork);
    let uncles: Vec<Header> =
        (0..if fork == 0 { random.u64(0..3) } else { 0 }).map(|_| header(random, 0)).collect();
    let withdrawals = (fork >= 2).then(|| withdrawals(random, number));
    let mut state = parent.map(|parent| parent.state.clone()).unwrap_or_default();
    change(random, &mut state);

    let mut header = header(random, fork);
    header.number = number;
    header.parent_hash = parent.map_or(B256::ZERO, |parent| parent.hash);
    header.ommers_hash = keccak256(alloy_rlp::encode(&uncles));
    header.state_root = state.root();
    header.transactions_root =
        proof_in(&indexed(transactions.iter().map(|(tx, _)| tx.encoded_2718())), &[]).0;
    header.receipts_root = proof_in(&indexed(receipts.iter().map(Encodable2718::encoded_2718)), &[]).0;
    header.logs_bloom = receipts.iter().flat_map(|receipt| receipt.logs()).collect();
    header.gas_used = receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used);
    header.withdrawals_root =
        withdrawals.as_ref().map(|list| alloy_consensus::proofs::calculate_withdrawals_root(list));
    Block { hash: header.hash_slow(), header, transactions, receipts, uncles, withdrawals, state }
}

/// What of a header hangs on nothing else in the block.
fn header(random: &mut Rng, fork: u64) -> Header {
    Header {
        beneficiary: any_address(random),
        difficulty: if fork == 0 { U256::from(random.u64(..)) } else { U256::ZERO },
        gas_limit: random.u64(21_000..60_000_000),
        timestamp: random.u64(..),
        extra_data: any_bytes(random, 32),
        mix_hash: any_hash(random),
        nonce: B64::from(random.u64(..)),
        base_fee_per_gas: (fork >= 1).then(|| random.u64(..1 << 40)),
        withdrawals_root: (fork >= 2).then_some(alloy_trie::EMPTY_ROOT_HASH),
        blob_gas_used: (fork >= 3).then(|| random.u64(..1 << 20)),
        excess_blob_gas: (fork >= 3).then(|| random.u64(..1 << 20)),
        parent_beacon_block_root: (fork >= 3).then(|| any_hash(random)),
        requests_hash: (fork >= 4).then(|| any_hash(random)),
        block_access_list_hash: (fork >= 6).then(|| any_hash(random)),
        slot_number: (fork >= 6).then(|| random.u64(..)),
        ..Header::default()
    }
}

/// A signed transaction of a type that the fork has.
fn transaction(random: &mut Rng, nonce: u64, fork: u64) -> (TxEnvelope, Address) {
    let sender = key(random.u64(..SENDERS));
    let kinds = [2, 3, 4, 4, 5, 5, 5, 5];
    let kind = random.u64(..kinds[fork as usize % kinds.len()].min(5));
    let (value, input) = (U256::from(random.u64(..)), any_bytes(random, 120));
    let to = if random.u8(..6) == 0 { TxKind::Create } else { TxKind::Call(any_address(random)) };
    let recipient = any_address(random);
    let (gas_limit, fee) = (random.u64(21_000..1_000_000), u128::from(random.u64(1..1 << 40)));
    let access_list = access_list(random);
    let (chain_id, tip) = (CHAIN_ID, fee / 2);
    let envelope = match kind {
        0 => {
            let chain_id = random.bool().then_some(CHAIN_ID);
            let tx = TxLegacy { chain_id, nonce, gas_price: fee, gas_limit, to, value, input };
            signed(tx, &sender).into()
        }
        1 => {
            let tx = TxEip2930 { chain_id, nonce, gas_price: fee, gas_limit, to, value, access_list, input };
            signed(tx, &sender).into()
        }
        2 => {
            let tx = TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fee,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list,
                input,
            };
            signed(tx, &sender).into()
        }
        3 => {
            let tx = TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fee,
                max_priority_fee_per_gas: tip,
                to: recipient,
                value,
                access_list,
                blob_versioned_hashes: (0..random.u8(1..4)).map(|_| any_hash(random)).collect(),
                max_fee_per_blob_gas: tip,
                input,
            };
            TxEnvelope::Eip4844(signed(TxEip4844Variant::TxEip4844(tx), &sender))
        }
        _ => {
            let tx = TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fee,
                max_priority_fee_per_gas: tip,
                to: recipient,
                value,
                access_list,
                authorization_list: (0..random.u64(1..4)).map(|at| authorization(random, at)).collect(),
                input,
            };
            signed(tx, &sender).into()
        }
    };
    (envelope, address(&sender))
}

fn signed<T: SignableTransaction<Signature>>(tx: T, sender: &SigningKey) -> alloy_consensus::Signed<T> {
    let signature = sign(tx.signature_hash(), sender);
    tx.into_signed(signature)
}

/// A signature over a hash.
pub(super) fn sign(hash: B256, signer: &SigningKey) -> Signature {
    let (signature, parity) = signer.sign_prehash_recoverable(hash.as_slice());
    Signature::from_bytes_and_parity(&signature.to_bytes(), parity.is_y_odd())
}

fn authorization(random: &mut Rng, nonce: u64) -> alloy_eips::eip7702::SignedAuthorization {
    let authority = key(random.u64(..SENDERS));
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: any_address(random), nonce };
    let signature = sign(authorization.signature_hash(), &authority);
    authorization.into_signed(signature)
}

fn receipts(random: &mut Rng, transactions: &[(TxEnvelope, Address)], fork: u64) -> Vec<ReceiptEnvelope> {
    let mut cumulative_gas_used = 0;
    let receipt = |(tx, _): &(TxEnvelope, Address)| {
        cumulative_gas_used += tx.gas_limit() / 2;
        let logs = (0..random.u8(..4)).map(|_| log(random)).collect();
        let legacy = fork == 0 && tx.tx_type() == TxType::Legacy;
        let status = match legacy && random.bool() {
            true => Eip658Value::PostState(any_hash(random)),
            false => Eip658Value::Eip658(random.bool()),
        };
        ReceiptEnvelope::from_typed(tx.tx_type(), Receipt { status, cumulative_gas_used, logs })
    };
    transactions.iter().map(receipt).collect()
}

fn log(random: &mut Rng) -> Log {
    let topics = (0..random.u8(..5)).map(|_| topic(random.u8(..EMITTERS))).collect();
    Log::new_unchecked(emitter(random.u8(..EMITTERS)), topics, any_bytes(random, 64))
}

/// One of the few contracts whose logs are in the chain.
fn emitter(number: u8) -> Address {
    Address::repeat_byte(0xe0 | number)
}

/// One of the few topics that are in the chain.
fn topic(number: u8) -> B256 {
    B256::repeat_byte(0x70 | number)
}

fn withdrawals(random: &mut Rng, number: u64) -> Vec<Withdrawal> {
    let one = |at| Withdrawal {
        index: number * 16 + at,
        validator_index: random.u64(..1 << 20),
        address: any_address(random),
        amount: random.u64(..),
    };
    (0..number % 5).map(one).collect()
}

/// Changes a few accounts, and makes a few.
fn change(random: &mut Rng, state: &mut State) {
    for _ in 0..20 {
        let address = if random.bool() { address(&key(random.u64(..SENDERS))) } else { any_address(random) };
        let mut account = state.account(address);
        account.nonce += 1;
        account.balance = U256::from(random.u128(..));
        if random.bool() {
            account.code = any_bytes(random, 200);
            for _ in 0..random.u8(..8) {
                account.storage.insert(U256::from(random.u8(..16)), U256::from(random.u64(1..)));
            }
        }
        state.set(address, account);
    }
}

fn access_list(random: &mut Rng) -> AccessList {
    let item = |_| AccessListItem {
        address: any_address(random),
        storage_keys: (0..random.u8(..3)).map(|_| any_hash(random)).collect(),
    };
    AccessList((0..2_u8).map(item).collect())
}

fn any_address(random: &mut Rng) -> Address {
    Address::from_slice(&any_hash(random)[12..])
}

fn any_hash(random: &mut Rng) -> B256 {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    B256::from(bytes)
}

fn any_bytes(random: &mut Rng, max: usize) -> Bytes {
    let mut bytes = vec![0; random.usize(..=max)];
    random.fill(&mut bytes);
    bytes.into()
}
