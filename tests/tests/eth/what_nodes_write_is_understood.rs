//! The same values as different nodes write them: understood where no safety is lost. Each row of the table in docs/eth.md is a test here.

use super::{Request, ask, chain, check, value};
use quorate_eth::case::{Case, Judgement};
use quorate_eth::{Depth, Trust};
use quorate_testkit::chain::{Chain, Proof};
use serde_json::{Value, json};

/// Every transaction of the chain as it is told, and its receipt.
fn all(chain: &Chain) -> Vec<(Request, Value)> {
    let hashes =
        chain.blocks().iter().flat_map(|block| block.transactions.iter().map(|(tx, _)| *tx.tx_hash()));
    let requests = hashes.flat_map(|hash| {
        ["eth_getTransactionByHash", "eth_getTransactionReceipt"].map(|method| (method, json!([hash])))
    });
    let proof = Proof { full: true, ..Proof::default() };
    requests.map(|request| (request.clone(), ask(chain, &request, &proof))).collect()
}

/// Writes all answers otherwise; they mean the same. How many of them there are to write otherwise.
fn mean_the_same(rewrite: impl Fn(&mut Value) -> bool) -> usize {
    let chain = chain();
    let mut rewritten = 0;
    for (request, honest) in all(&chain) {
        let mut other = honest.clone();
        if !rewrite(&mut other["result"]) {
            continue;
        }
        rewritten += 1;
        let judge = |answer: &Value| value(check(&request, answer, &Trust::nobody(), Depth::Full));
        assert_eq!(judge(&other), judge(&honest), "{request:?}");
    }
    assert!(rewritten > 0, "there is something to write otherwise");
    rewritten
}

/// Replaces a member that is there; whether it was.
fn replace(value: &mut Value, name: &str, with: impl Fn(&Value) -> Option<Value>) -> bool {
    let Some(member) = value.get_mut(name) else { return false };
    let Some(other) = with(member) else { return false };
    *member = other;
    true
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

#[test]
fn an_empty_list_may_be_null_or_missing() {
    mean_the_same(|result| replace(result, "logs", |logs| is_empty(logs).then_some(Value::Null)));
    mean_the_same(|result| {
        let logs = result.get_mut("logs").and_then(Value::as_array_mut).into_iter().flatten();
        let nulled = logs.map(|log| replace(log, "topics", |topics| is_empty(topics).then_some(Value::Null)));
        nulled.filter(|done| *done).count() > 0
    });
    for missing in [true, false] {
        mean_the_same(|result| {
            let entries = result.get_mut("accessList").and_then(Value::as_array_mut).into_iter().flatten();
            let nulled = entries.map(|entry| {
                if missing && is_empty(&entry["storageKeys"]) {
                    return entry.as_object_mut().and_then(|entry| entry.remove("storageKeys")).is_some();
                }
                replace(entry, "storageKeys", |keys| is_empty(keys).then_some(Value::Null))
            });
            nulled.filter(|done| *done).count() > 0
        });
    }
}

#[test]
fn a_list_that_is_not_empty_is_missed_when_it_is_null() {
    let chain = chain();
    for (request, mut answer) in all(&chain) {
        let result = &mut answer["result"];
        let full = |list: &Value| (list.is_array() && !is_empty(list)).then_some(Value::Null);
        if replace(result, "logs", full) || replace(result, "accessList", full) {
            assert!(check(&request, &answer, &Trust::nobody(), Depth::Full).is_err(), "{request:?}");
        }
    }
}

#[test]
fn the_parity_of_a_typed_transaction_may_be_counted_from_27() {
    let typed =
        |result: &Value| result["yParity"].is_string() || result["v"] == "0x0" || result["v"] == "0x1";
    for keep in [true, false] {
        mean_the_same(|result| {
            if !typed(result) || result["r"].is_null() {
                return false;
            }
            let parity = if result["v"].is_string() { &result["v"] } else { &result["yParity"] };
            let v = if *parity == "0x1" { 28 } else { 27 };
            result["v"] = json!(v);
            if !keep {
                result.as_object_mut().map(|result| result.remove("yParity"));
            }
            true
        });
    }
    // It still has to be the right one.
    let chain = chain();
    for (request, mut answer) in all(&chain).into_iter().filter(|(_, answer)| typed(&answer["result"])) {
        let result = &mut answer["result"];
        let odd = result["yParity"] == "0x1" || result["v"] == "0x1";
        result["v"] = json!(if odd { 27 } else { 28 });
        assert!(check(&request, &answer, &Trust::nobody(), Depth::Standard).is_err(), "{request:?}");
    }
}

#[test]
fn a_transaction_without_a_type_is_of_the_oldest() {
    mean_the_same(|result| {
        result["type"] == "0x0" && result.as_object_mut().and_then(|result| result.remove("type")).is_some()
    });
}

#[test]
fn a_creation_has_no_recipient_however_that_is_written() {
    for nobody in [json!(null), json!(""), json!("0x")] {
        mean_the_same(|result| replace(result, "to", |to| to.is_null().then_some(nobody.clone())));
    }
    mean_the_same(|result| {
        result["to"].is_null() && result.as_object_mut().map(|result| result.remove("to")).is_some()
    });
}

#[test]
fn hex_may_be_upper_case_prefix_included() {
    fn upper(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with("0x") => *text = text.to_uppercase(),
            Value::Array(items) => items.iter_mut().for_each(upper),
            Value::Object(members) => members.values_mut().for_each(upper),
            _ => {}
        }
    }
    let all = mean_the_same(|result| {
        upper(result);
        true
    });
    assert!(all > 100);
}

#[test]
fn numbers_may_be_integers_and_hex_may_have_zeros_in_front() {
    const NUMBERS: [&str; 8] =
        ["nonce", "gas", "transactionIndex", "blockNumber", "chainId", "type", "cumulativeGasUsed", "status"];
    for padded in [true, false] {
        mean_the_same(|result| {
            let rewrite = |number: &Value| {
                let text = number.as_str()?;
                let digits = text.strip_prefix("0x")?;
                let number = u64::from_str_radix(digits, 16).ok()?;
                Some(if padded { json!(format!("0x000{digits}")) } else { json!(number) })
            };
            NUMBERS.iter().filter(|name| replace(result, name, rewrite)).count() > 0
        });
    }
}

#[test]
fn data_and_gas_limit_are_older_names() {
    for (name, older) in [("input", "data"), ("gas", "gasLimit")] {
        mean_the_same(|result| {
            let Some(object) = result.as_object_mut() else { return false };
            let Some(member) = object.remove(name) else { return false };
            object.insert(older.to_owned(), member);
            true
        });
    }
}

#[test]
fn a_block_before_shanghai_may_have_no_withdrawals_in_a_list() {
    let chain = chain();
    let request = ("eth_getBlockByNumber", json!(["0x1", true]));
    let mut answer = ask(&chain, &request, &Proof::default());
    assert!(answer["result"]["withdrawals"].is_null());
    answer["result"]["withdrawals"] = json!([]);
    let _ = value(check(&request, &answer, &Trust::nobody(), Depth::Standard));
    answer["result"]["withdrawals"] =
        json!([{ "index": 1, "validatorIndex": 1, "address": "0x1", "amount": 1 }]);
    let error = check(&request, &answer, &Trust::nobody(), Depth::Standard).expect_err("it has none");
    assert_eq!(error.path, "$.result.withdrawals");
}

#[test]
fn an_integer_that_lost_digits_is_refused_at_its_place() {
    let chain = chain();
    let request = ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]));
    let mut answer = ask(&chain, &request, &Proof::default());
    answer["result"] = json!("HERE");
    let with = |number: &str| {
        let text = answer.to_string().replace("\"HERE\"", number);
        json!({ "request": { "method": request.0, "params": request.1 }, "responses": [text] })
    };
    for number in ["18446744073709551616", "79860000000000000000000000000", "1e3", "1.0", "-1"] {
        let Judgement::Rejected { why, .. } = Case::parse(&with(number)).expect("a case").judge() else {
            panic!("{number} is refused")
        };
        assert_eq!(why.path, "$.result");
        assert!(why.to_string().contains("up to 64 bits, or a number in hex"), "{why}");
    }
    // Nor is one that no number can hold read as another.
    assert!(matches!(Case::parse(&with("1e999")).expect("a case").judge(), Judgement::Rejected { .. }));
}

#[test]
fn trusted_hashes_are_named_by_numbers_of_either_kind() {
    let chain = chain();
    let request = ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]));
    let honest = ask(&chain, &request, &Proof::default());
    let hash = chain.blocks()[5].hash.to_string();
    for name in ["5", "0x5", "0X05", "005"] {
        for hash in [hash.clone(), hash.to_uppercase()] {
            let case = json!({
                "request": { "method": request.0, "params": request.1 }, "responses": [honest],
                "trustedHashes": { name: hash },
            });
            let Judgement::Verified { verdict, .. } = Case::parse(&case).expect("a case").judge() else {
                panic!("it is honest")
            };
            assert!(!verdict.is_merely_consistent(), "{name}");
        }
    }
    for name in ["", "five", "-5", "+5", "0x", "0x1ffffffffffffffff"] {
        let case = json!({
            "request": { "method": request.0, "params": request.1 }, "responses": [honest],
            "trustedHashes": { name: hash },
        });
        assert!(Case::parse(&case).is_err(), "{name:?}");
    }
}

#[test]
fn a_body_may_begin_with_a_byte_order_mark() {
    let chain = chain();
    let request = ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]));
    let body = format!("\u{feff}\r\n{}\r\n", ask(&chain, &request, &Proof::default()));
    let case = json!({ "request": { "method": request.0, "params": request.1 }, "responses": [body] });
    assert!(matches!(Case::parse(&case).expect("a case").judge(), Judgement::Verified { .. }));
}
