//! Verified values as JSON, in the words of the JSON-RPC specification, without what nothing proves.

use super::{AccountValue, Answer, Block, Logs, PlacedLog, Receipt, Transaction, Transactions};
use crate::header::{Header, Seal};
use alloy_primitives::Log;
use serde_json::{Map, Value, json};

impl Answer {
    /// The value, in the words of the JSON-RPC specification. Logs are an object that also says whether they are complete.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Block(block) => block.to_json(),
            Self::Count(count) => quantity(*count),
            Self::Account(AccountValue::Balance(wei)) => json!(wei),
            Self::Account(AccountValue::Nonce(nonce)) => quantity(*nonce),
            Self::Account(AccountValue::Code(code)) => json!(code),
            Self::Account(AccountValue::Storage(word)) => json!(format!("{word:#066x}")),
            Self::Transaction(transaction) => transaction.to_json(),
            Self::NoTransaction => Value::Null,
            Self::Receipt(receipt) => receipt.to_json(),
            Self::Logs(logs) => logs.to_json(),
            Self::Sent(hash) => json!(hash),
        }
    }
}

impl Block {
    fn to_json(&self) -> Value {
        let mut object = self.header.to_members();
        object.insert("hash".into(), json!(self.hash));
        match &self.transactions {
            Transactions::Full(all) => {
                object.insert("transactions".into(), all.iter().map(Transaction::to_json).collect());
            }
            Transactions::Hashes(hashes) => {
                object.insert("transactions".into(), json!(hashes));
            }
            Transactions::Open => {}
        }
        if let Some(uncles) = &self.uncles {
            object.insert("uncles".into(), json!(uncles));
        }
        if let Some(withdrawals) = &self.withdrawals {
            let withdrawal = |one: &alloy_eips::eip4895::Withdrawal| {
                json!({
                    "index": quantity(one.index), "validatorIndex": quantity(one.validator_index),
                    "address": one.address, "amount": quantity(one.amount),
                })
            };
            object.insert("withdrawals".into(), withdrawals.iter().map(withdrawal).collect());
        }
        Value::Object(object)
    }
}

impl Header {
    fn to_members(&self) -> Map<String, Value> {
        let (mix, nonce) = match &self.seal {
            Seal::Ethash { mix_hash, nonce } => (json!(mix_hash), json!(nonce)),
            Seal::Other([first, second]) => (json!(first), json!(second)),
        };
        let members = [
            ("number", quantity(self.number)),
            ("parentHash", json!(self.parent_hash)),
            ("sha3Uncles", json!(self.uncles_hash)),
            ("miner", json!(self.miner)),
            ("stateRoot", json!(self.state_root)),
            ("transactionsRoot", json!(self.transactions_root)),
            ("receiptsRoot", json!(self.receipts_root)),
            ("logsBloom", json!(self.logs_bloom)),
            ("difficulty", json!(self.difficulty)),
            ("gasLimit", quantity(self.gas_limit)),
            ("gasUsed", quantity(self.gas_used)),
            ("timestamp", quantity(self.timestamp)),
            ("extraData", json!(self.extra_data)),
            ("mixHash", mix),
            ("nonce", nonce),
            ("baseFeePerGas", self.base_fee_per_gas.map_or(Value::Null, quantity)),
            ("withdrawalsRoot", json!(self.withdrawals_root)),
            ("blobGasUsed", self.blob_gas_used.map_or(Value::Null, quantity)),
            ("excessBlobGas", self.excess_blob_gas.map_or(Value::Null, quantity)),
            ("parentBeaconBlockRoot", json!(self.parent_beacon_block_root)),
            ("requestsHash", json!(self.requests_hash)),
            ("blockAccessListHash", json!(self.block_access_list_hash)),
            ("slotNumber", self.slot_number.map_or(Value::Null, quantity)),
        ];
        let there = members.into_iter().filter(|(_, value)| !value.is_null());
        there.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Transaction {
    fn to_json(&self) -> Value {
        let mut value = json!(self.envelope);
        if let Some(object) = value.as_object_mut() {
            object.insert("hash".into(), json!(self.envelope.tx_hash()));
            object.insert("from".into(), json!(self.from));
            object.insert("blockHash".into(), json!(self.block));
            object.insert("blockNumber".into(), quantity(self.number));
            object.insert("transactionIndex".into(), quantity(self.index));
        }
        value
    }
}

impl Receipt {
    fn to_json(&self) -> Value {
        let mut value = json!({
            "transactionHash": self.transaction, "blockHash": self.block,
            "blockNumber": quantity(self.number), "transactionIndex": quantity(self.index),
            "cumulativeGasUsed": quantity(self.cumulative_gas_used),
            "effectiveGasPrice": format!("0x{:x}", self.effective_gas_price),
            "logs": (0..).zip(&self.logs).map(|(at, one)| {
                with_index(log(one), self.first_log.map(|first| first.saturating_add(at)))
            }).collect::<Vec<_>>(),
        });
        if let (Some(object), Some(succeeded)) = (value.as_object_mut(), self.succeeded) {
            object.insert("status".into(), quantity(succeeded.into()));
        }
        value
    }
}

impl Logs {
    fn to_json(&self) -> Value {
        let logs: Vec<Value> = self.logs.iter().map(PlacedLog::to_json).collect();
        json!({ "logs": logs, "complete": self.complete })
    }
}

impl PlacedLog {
    fn to_json(&self) -> Value {
        let mut value = log(&self.log);
        if let Some(object) = value.as_object_mut() {
            object.insert("blockHash".into(), json!(self.block));
            object.insert("blockNumber".into(), quantity(self.number));
            object.insert("transactionHash".into(), json!(self.transaction));
            object.insert("transactionIndex".into(), quantity(self.transaction_index));
            object.insert("transactionLogIndex".into(), quantity(self.index_in_transaction));
        }
        with_index(value, self.index_in_block)
    }
}

fn log(log: &Log) -> Value {
    json!({ "address": log.address, "topics": log.topics(), "data": log.data.data })
}

/// A log with its place in the block, where that is proven.
fn with_index(mut log: Value, index: Option<u64>) -> Value {
    if let (Some(object), Some(index)) = (log.as_object_mut(), index) {
        object.insert("logIndex".into(), quantity(index));
    }
    log
}

fn quantity(number: u64) -> Value {
    json!(format!("0x{number:x}"))
}
