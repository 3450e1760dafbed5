//! What an honest node answers, with the proof that IN3 defines for it.

use super::draw::sign;
use super::proofs::{indexed, proof_in};
use super::{Block, Chain, address};
use alloy_consensus::{Eip658Value, Transaction as _, TxEnvelope, TxReceipt};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use k256::ecdsa::SigningKey;
use serde_json::{Map, Value, json};

/// Who signs the headers of an answer, and what beside block and number.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    /// The signers' keys.
    pub keys: Vec<SigningKey>,
    /// The registry that they are entered in.
    pub registry: Option<B256>,
}

/// Of which parts a proof is made.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Who signs its headers.
    pub signers: Signers,
    /// With uncles, and with all receipts of the blocks that logs are from.
    pub full: bool,
}

impl Chain {
    /// The response object to a request, or to one that is not known here an error.
    pub fn answer(&self, id: &Value, method: &str, params: &Value, proof: &Proof) -> Value {
        let number = self.last().header.number;
        match self.prove(method, params, proof) {
            Some((result, proof)) => {
                let in3 = json!({ "proof": proof, "currentBlock": number, "lastNodeList": 0 });
                json!({ "id": id, "jsonrpc": "2.0", "result": result, "in3": in3 })
            }
            None => {
                json!({ "id": id, "jsonrpc": "2.0", "error": { "code": -32601, "message": "the method is not known" } })
            }
        }
    }

    fn prove(&self, method: &str, params: &Value, proof: &Proof) -> Option<(Value, Value)> {
        let block_at = |at: usize| self.find(params.get(at).unwrap_or(&Value::Null));
        let with = |block: &Block, mut value: Value| {
            value["signatures"] = json!([signatures(block, &proof.signers)].concat());
            value
        };
        Some(match method {
            "eth_getBlockByHash" | "eth_getBlockByNumber" => {
                let (block, full) = (block_at(0)?, params.get(1).is_some_and(|full| full == true));
                let result = block.json(full);
                (result, with(block, block.block_proof(full, proof.full)))
            }
            "eth_getBlockTransactionCountByHash" | "eth_getBlockTransactionCountByNumber" => {
                let block = block_at(0)?;
                let mut value = block.block_proof(false, false);
                value["block"] = json!(block.raw_header());
                (json!(quantity(block.transactions.len() as u64)), with(block, value))
            }
            "eth_getUncleCountByBlockHash" | "eth_getUncleCountByBlockNumber" => {
                let block = block_at(0)?;
                let mut value = block.block_proof(true, true);
                value["block"] = json!(block.raw_header());
                (json!(quantity(block.uncles.len() as u64)), with(block, value))
            }
            "eth_getBalance" | "eth_getTransactionCount" | "eth_getCode" => {
                let (block, address) = (block_at(1)?, read_address(params.get(0)?)?);
                let account = block.state.account(address);
                let result = match method {
                    "eth_getBalance" => json!(account.balance),
                    "eth_getCode" => json!(account.code),
                    _ => json!(quantity(account.nonce)),
                };
                (result, with(block, block.account_proof(address, &[])))
            }
            "eth_getStorageAt" => {
                let (block, address) = (block_at(2)?, read_address(params.get(0)?)?);
                let slot: U256 = params.get(1)?.as_str()?.parse().ok()?;
                let value = block.state.account(address).storage.get(&slot).copied().unwrap_or_default();
                (json!(value), with(block, block.account_proof(address, &[slot])))
            }
            "eth_getTransactionByHash" => {
                let (block, index) = self.find_transaction(params.get(0)?)?;
                (block.transaction_json(index), with(block, block.transaction_proof(index as u64)))
            }
            "eth_getTransactionByBlockHashAndIndex" | "eth_getTransactionByBlockNumberAndIndex" => {
                let (block, index) = (block_at(0)?, number(params.get(1)?)?);
                let there = index < block.transactions.len() as u64;
                let result = if there { block.transaction_json(index as usize) } else { Value::Null };
                (result, with(block, block.transaction_proof(index)))
            }
            "eth_getTransactionReceipt" => {
                let (block, index) = self.find_transaction(params.get(0)?)?;
                (block.receipt_json(index), with(block, block.receipt_proof(index)))
            }
            "eth_getLogs" => self.logs(params.get(0)?, proof)?,
            "eth_sendRawTransaction" => {
                let raw: Bytes = params.get(0)?.as_str()?.parse().ok()?;
                (json!(keccak256(raw)), Value::Null)
            }
            _ => return None,
        })
    }

    fn logs(&self, filter: &Value, proof: &Proof) -> Option<(Value, Value)> {
        let first = self.find(filter.get("fromBlock").unwrap_or(&Value::Null))?.header.number;
        let last = self.find(filter.get("toBlock").unwrap_or(&Value::Null))?.header.number;
        let wanted = |member: &str, given: &Value| {
            let choice = filter.get(member).unwrap_or(&Value::Null);
            choice.is_null() || choice == given || choice.as_array().is_some_and(|many| many.contains(given))
        };
        let (mut found, mut blocks, mut signed) = (Vec::new(), Map::new(), Vec::new());
        for block in self.blocks.iter().filter(|block| (first..=last).contains(&block.header.number)) {
            let mut receipts = Map::new();
            for index in 0..block.receipts.len() {
                let receipt = block.receipt_json(index);
                let logs = receipt["logs"].as_array().cloned().unwrap_or_default();
                let logs: Vec<Value> = logs
                    .into_iter()
                    .filter(|log| {
                        let first_topic = filter.get("topics").and_then(|topics| topics.get(0));
                        let topic = first_topic
                            .is_none_or(|wanted| wanted.is_null() || log["topics"].get(0) == Some(wanted));
                        wanted("address", &log["address"]) && topic
                    })
                    .collect();
                if proof.full || !logs.is_empty() {
                    receipts.insert(
                        receipt["transactionHash"].as_str()?.to_owned(),
                        block.log_receipt_proof(index),
                    );
                }
                found.extend(logs);
            }
            if proof.full || !receipts.is_empty() {
                let number = block.header.number;
                let value = json!({ "number": number, "block": block.raw_header(), "receipts": receipts });
                blocks.insert(quantity(number), value);
                signed.extend(signatures(block, &proof.signers));
            }
        }
        Some((json!(found), json!({ "type": "logProof", "logProof": blocks, "signatures": signed })))
    }

    fn find(&self, id: &Value) -> Option<&Block> {
        match id.as_str() {
            Some("latest") | None if !id.is_number() => self.blocks.last(),
            Some(text) if text.len() == 66 => self.blocks.iter().find(|block| block.hash.to_string() == text),
            _ => self.blocks.get(usize::try_from(number(id)?).ok()?),
        }
    }

    fn find_transaction(&self, hash: &Value) -> Option<(&Block, usize)> {
        let wanted: B256 = hash.as_str()?.parse().ok()?;
        self.blocks.iter().find_map(|block| {
            let index = block.transactions.iter().position(|(tx, _)| *tx.tx_hash() == wanted)?;
            Some((block, index))
        })
    }
}

impl Block {
    fn raw_header(&self) -> Bytes {
        alloy_rlp::encode(&self.header).into()
    }

    fn json(&self, full: bool) -> Value {
        let mut value = json!(self.header);
        value["hash"] = json!(self.hash);
        let transactions = 0..self.transactions.len();
        value["transactions"] = match full {
            true => transactions.map(|index| self.transaction_json(index)).collect(),
            false => self.transactions.iter().map(|(tx, _)| json!(tx.tx_hash())).collect(),
        };
        value["uncles"] = self.uncles.iter().map(|uncle| json!(uncle.hash_slow())).collect();
        if let Some(withdrawals) = &self.withdrawals {
            value["withdrawals"] = json!(withdrawals);
        }
        value["totalDifficulty"] = json!("0x7");
        value["size"] = json!("0x220");
        value
    }

    fn transaction_json(&self, index: usize) -> Value {
        let Some((transaction, from)) = self.transactions.get(index) else { return Value::Null };
        let mut value = json!(transaction);
        value["from"] = json!(from);
        // As nodes tell it: what it cost, whatever the type.
        value["gasPrice"] = json!(self.price(transaction));
        value["blockHash"] = json!(self.hash);
        value["blockNumber"] = json!(quantity(self.header.number));
        value["transactionIndex"] = json!(quantity(index as u64));
        value
    }

    fn receipt_json(&self, index: usize) -> Value {
        let (Some(receipt), Some((tx, from))) = (self.receipts.get(index), self.transactions.get(index))
        else {
            return Value::Null;
        };
        let place = json!({
            "blockHash": self.hash, "blockNumber": quantity(self.header.number),
            "transactionHash": tx.tx_hash(), "transactionIndex": quantity(index as u64),
        });
        let earlier: usize = self.receipts.iter().take(index).map(|receipt| receipt.logs().len()).sum();
        let logs = receipt.logs().iter().enumerate().map(|(at, log)| {
            let mut value = place.clone();
            value["address"] = json!(log.address);
            value["topics"] = json!(log.topics());
            value["data"] = json!(log.data.data);
            value["logIndex"] = json!(quantity((earlier + at) as u64));
            value["removed"] = json!(false);
            value["blockTimestamp"] = json!(quantity(self.header.timestamp));
            value
        });
        let mut value = place.clone();
        value["logs"] = logs.collect();
        value["type"] = json!(quantity(u64::from(u8::from(tx.tx_type()))));
        match receipt.status_or_post_state() {
            Eip658Value::Eip658(status) => value["status"] = json!(quantity(u64::from(status))),
            Eip658Value::PostState(root) => value["root"] = json!(root),
        }
        value["cumulativeGasUsed"] = json!(quantity(receipt.cumulative_gas_used()));
        value["logsBloom"] = json!(receipt.bloom());
        value["gasUsed"] = json!(quantity(tx.gas_limit() / 2));
        value["from"] = json!(from);
        value["to"] = json!(tx.to());
        let created = tx.kind().is_create().then(|| from.create(tx.nonce()));
        value["contractAddress"] = json!(created);
        value["effectiveGasPrice"] = json!(self.price(tx));
        if let Some(hashes) = tx.blob_versioned_hashes() {
            value["blobGasUsed"] = json!(quantity(hashes.len() as u64 * 131_072));
        }
        value
    }

    /// What a unit of gas cost (EIP-1559): the base fee and the tip, if the sender pays that much.
    fn price(&self, transaction: &TxEnvelope) -> String {
        let base = self.header.base_fee_per_gas.map_or(0, u128::from);
        let price = match (transaction.gas_price(), transaction.max_priority_fee_per_gas()) {
            (Some(price), _) => price,
            (None, tip) => transaction.max_fee_per_gas().min(base + tip.unwrap_or_default()),
        };
        format!("0x{price:x}")
    }

    fn block_proof(&self, told: bool, full: bool) -> Value {
        let mut value = json!({ "type": "blockProof" });
        if !told {
            let raw = self.transactions.iter().map(|(tx, _)| json!(Bytes::from(tx.encoded_2718())));
            value["transactions"] = raw.collect();
        }
        if full {
            let raw = self.uncles.iter().map(|uncle| json!(Bytes::from(alloy_rlp::encode(uncle))));
            value["uncles"] = raw.collect();
        }
        value
    }

    fn account_proof(&self, address: Address, slots: &[U256]) -> Value {
        let account = self.state.account(address);
        let held = account.trie_account();
        let storage = slots.iter().map(|slot| {
            let value = account.storage.get(slot).copied().unwrap_or_default();
            json!({ "key": slot, "value": value, "proof": account.proof(*slot) })
        });
        let proven = json!({
            "address": address, "balance": held.balance, "nonce": quantity(held.nonce),
            "codeHash": held.code_hash, "storageHash": held.storage_root,
            "accountProof": self.state.proof(address), "storageProof": storage.collect::<Value>(),
        });
        json!({ "type": "accountProof", "block": self.raw_header(), "accounts": { address.to_string(): proven } })
    }

    fn transaction_nodes(&self, index: u64) -> Vec<Bytes> {
        let entries = indexed(self.transactions.iter().map(|(tx, _)| tx.encoded_2718()));
        proof_in(&entries, &alloy_rlp::encode(index)).1
    }

    fn receipt_nodes(&self, index: u64) -> Vec<Bytes> {
        let entries = indexed(self.receipts.iter().map(Encodable2718::encoded_2718));
        proof_in(&entries, &alloy_rlp::encode(index)).1
    }

    fn transaction_proof(&self, index: u64) -> Value {
        let nodes = self.transaction_nodes(index);
        json!({ "type": "transactionProof", "block": self.raw_header(), "txIndex": index, "merkleProof": nodes })
    }

    fn receipt_proof(&self, index: usize) -> Value {
        let index = index as u64;
        json!({
            "type": "receiptProof", "block": self.raw_header(), "txIndex": index,
            "txProof": self.transaction_nodes(index), "merkleProof": self.receipt_nodes(index),
        })
    }

    fn log_receipt_proof(&self, index: usize) -> Value {
        let hash = self.transactions.get(index).map(|(tx, _)| *tx.tx_hash());
        let index = index as u64;
        json!({
            "txHash": hash, "txIndex": index,
            "txProof": self.transaction_nodes(index), "proof": self.receipt_nodes(index),
        })
    }
}

/// The signatures of all signers over one block.
fn signatures(block: &Block, signers: &Signers) -> Vec<Value> {
    let message = quorate_eth::signed_message(block.hash, block.header.number, signers.registry);
    let signature = |key: &SigningKey| {
        let signature = sign(message, key);
        json!({
            "blockHash": block.hash, "block": block.header.number, "msgHash": message, "address": address(key),
            "r": B256::from(signature.r()), "s": B256::from(signature.s()), "v": 27 + u64::from(signature.v()),
        })
    };
    signers.keys.iter().map(signature).collect()
}

fn quantity(number: u64) -> String {
    format!("0x{number:x}")
}

fn number(given: &Value) -> Option<u64> {
    let hex = || u64::from_str_radix(given.as_str()?.strip_prefix("0x")?, 16).ok();
    given.as_u64().or_else(hex)
}

fn read_address(given: &Value) -> Option<Address> {
    given.as_str()?.parse().ok()
}
