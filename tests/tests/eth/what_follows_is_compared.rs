//! Members that no proof holds as they stand, but that follow from what is proven: a node that contradicts itself is refused, at the member.

use super::{Request, ask, chain, check, value};
use quorate_eth::{Answer, Depth, Reason, Trust};
use quorate_testkit::chain::{Block, Chain, Eip658Value, Proof, Transaction as _, TxReceipt as _};
use serde_json::{Value, json};

/// A receipt of the chain, and what asks for it.
struct Found {
    request: Request,
    answer: Value,
    /// The transaction's place in its block.
    index: usize,
    block: Block,
}

/// The first receipts for which `wanted` holds of block and index.
fn receipts(chain: &Chain, wanted: impl Fn(&Block, usize) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    for block in chain.blocks() {
        for (index, (transaction, _)) in block.transactions.iter().enumerate() {
            if wanted(block, index) {
                let request = ("eth_getTransactionReceipt", json!([transaction.tx_hash()]));
                let answer = ask(chain, &request, &Proof { full: true, ..Proof::default() });
                found.push(Found { request, answer, index, block: block.clone() });
            }
        }
    }
    assert!(!found.is_empty(), "the chain has such a receipt");
    found
}

/// Where the answer is refused when the result has this member; nothing where it is not refused.
fn refused_at(
    request: &Request,
    answer: &Value,
    pointer: &str,
    other: Value,
    depth: Depth,
) -> Option<String> {
    let mut changed = answer.clone();
    let (parent, name) = pointer.rsplit_once('/')?;
    match changed.pointer_mut(parent)? {
        Value::Array(items) => *items.get_mut(name.parse::<usize>().ok()?)? = other,
        object => object[name] = other,
    }
    check(request, &changed, &Trust::nobody(), depth).err().map(|rejected| rejected.path)
}

fn at(path: &str) -> Option<String> {
    Some(path.to_owned())
}

#[test]
fn a_root_beside_a_status_is_refused_and_a_status_beside_a_root_is_not_told_on() {
    let chain = chain();
    let new = &receipts(&chain, |block, at| block.receipts[at].status_or_post_state().is_eip658())[0];
    let refused = |other| refused_at(&new.request, &new.answer, "/result/root", other, Depth::Standard);
    assert_eq!(refused(json!(new.block.hash)), at("$.result.root"));
    for nothing in [json!(null), json!(""), json!("0x")] {
        assert_eq!(refused(nothing), None);
    }
    let old = &receipts(&chain, |block, at| !block.receipts[at].status_or_post_state().is_eip658())[0];
    for status in ["0x0", "0x1"] {
        let mut answer = old.answer.clone();
        answer["result"]["status"] = json!(status);
        let told = value(check(&old.request, &answer, &Trust::nobody(), Depth::Standard));
        let Answer::Receipt(receipt) = told else { panic!("a receipt") };
        assert_eq!(receipt.succeeded, None);
    }
}

#[test]
fn what_a_unit_of_gas_cost_follows_from_the_base_fee() {
    let chain = chain();
    let mut types = std::collections::BTreeSet::new();
    for found in receipts(&chain, |_, _| true) {
        let transaction = &found.block.transactions[found.index].0;
        if !types.insert(transaction.tx_type() as u8) {
            continue;
        }
        let wrong = json!(format!("0x{:x}", transaction.max_fee_per_gas() + 1));
        for (request, pointer) in [
            (found.request.clone(), "/result/effectiveGasPrice"),
            (("eth_getTransactionByHash", found.request.1.clone()), "/result/gasPrice"),
            (("eth_getTransactionByHash", found.request.1.clone()), "/result/maxFeePerGas"),
            (("eth_getTransactionByHash", found.request.1.clone()), "/result/maxPriorityFeePerGas"),
        ] {
            let answer = ask(&chain, &request, &Proof::default());
            let refused = refused_at(&request, &answer, pointer, wrong.clone(), Depth::Standard);
            // Of the oldest types the gas price is in the trie: another one is another transaction.
            assert_eq!(refused, Some(format!("${}", pointer.replace('/', "."))), "{transaction:?}");
        }
        let told = value(check(&found.request, &found.answer, &Trust::nobody(), Depth::Standard));
        let Answer::Receipt(receipt) = told else { panic!("a receipt") };
        let price = format!("0x{:x}", receipt.effective_gas_price);
        assert_eq!(found.answer["result"]["effectiveGasPrice"], json!(price));
    }
    assert_eq!(types.len(), 5);
}

#[test]
fn members_of_other_types_are_refused_unless_they_are_empty() {
    let chain = chain();
    let legacy = |block: &Block, at: usize| block.transactions[at].0.is_legacy();
    let found = &receipts(&chain, legacy)[0];
    let request = ("eth_getTransactionByHash", found.request.1.clone());
    let answer = ask(&chain, &request, &Proof::default());
    let entry = json!([{ "address": "0x01", "storageKeys": [] }]);
    for (name, wrong, empty) in [
        ("accessList", entry.clone(), json!([])),
        ("blobVersionedHashes", json!([found.block.hash]), json!([])),
        ("authorizationList", entry, json!([])),
        ("maxFeePerBlobGas", json!("0x5"), json!("0x0")),
    ] {
        let pointer = format!("/result/{name}");
        let refused = |other| refused_at(&request, &answer, &pointer, other, Depth::Standard);
        assert_eq!(refused(wrong), Some(format!("$.result.{name}")));
        assert_eq!((refused(empty), refused(json!(null))), (None, None), "{name}");
    }
    let parity = u64::from(found.block.transactions[found.index].0.signature().v());
    let told = |bit: u64| refused_at(&request, &answer, "/result/yParity", json!(bit), Depth::Standard);
    assert_eq!((told(parity), told(1 - parity)), (None, at("$.result.yParity")));
}

#[test]
fn whom_a_transaction_was_for_and_what_it_made_follow_from_it() {
    let chain = chain();
    let succeeded =
        |block: &Block, at: usize| block.receipts[at].status_or_post_state() == Eip658Value::Eip658(true);
    let created = |block: &Block, at: usize| block.transactions[at].0.kind().is_create();
    let call = &receipts(&chain, |block, at| !created(block, at))[0];
    let refused = |found: &Found, name: &str, other: Value, depth| {
        refused_at(&found.request, &found.answer, &format!("/result/{name}"), other, depth)
    };
    for depth in [Depth::Standard, Depth::Full] {
        assert_eq!(refused(call, "to", json!(null), depth), at("$.result.to"));
        assert_eq!(refused(call, "to", json!("0x01"), depth), at("$.result.to"));
        assert_eq!(refused(call, "contractAddress", json!("0x01"), depth), at("$.result.contractAddress"));
        let creation = &receipts(&chain, |block, at| created(block, at) && succeeded(block, at))[0];
        assert_eq!(refused(creation, "to", json!("0x01"), depth), at("$.result.to"));
        assert_eq!(refused(creation, "to", json!(""), depth), None);
        assert_eq!(refused(creation, "contractAddress", json!(null), depth), at("$.result.contractAddress"));
        // Where exactly the contract is costs the sender's recovery.
        let elsewhere = refused(creation, "contractAddress", json!("0x01"), depth);
        assert_eq!(elsewhere.is_some(), depth == Depth::Full);
        let failed = &receipts(&chain, |block, at| created(block, at) && !succeeded(block, at))[0];
        assert_eq!(refused(failed, "contractAddress", json!(null), depth), None, "nodes differ about it");
    }
    assert_eq!(refused(call, "from", json!(null), Depth::Full), at("$.result.from"));
}

#[test]
fn gas_and_blobs_of_a_receipt_follow_as_far_as_they_do() {
    let chain = chain();
    let first = &receipts(&chain, |_, at| at == 0)[0];
    let more = first.answer["result"]["cumulativeGasUsed"].clone();
    assert_eq!(first.answer["result"]["gasUsed"], more);
    let refused = |found: &Found, name: &str, other: Value| {
        refused_at(&found.request, &found.answer, &format!("/result/{name}"), other, Depth::Standard)
    };
    assert_eq!(refused(first, "gasUsed", json!("0x1")), at("$.result.gasUsed"));
    let later = &receipts(&chain, |_, at| at == 1)[0];
    assert_eq!(refused(later, "gasUsed", json!("0xffffffff")), at("$.result.gasUsed"));
    assert_eq!(refused(later, "gasUsed", json!("0x1")), None, "that takes the receipt before");
    let blobs = &receipts(&chain, |block, at| block.transactions[at].0.is_eip4844())[0];
    assert_eq!(refused(blobs, "blobGasUsed", json!("0x1")), at("$.result.blobGasUsed"));
    assert_eq!(refused(first, "blobGasUsed", json!("0x20000")), at("$.result.blobGasUsed"));
    assert_eq!(refused(first, "blobGasUsed", json!("0x0")), None);
}

#[test]
fn what_is_in_a_block_is_not_pending() {
    let chain = chain();
    let found = &receipts(&chain, |block, at| at > 0 && !block.receipts[at].logs().is_empty())[0];
    for name in ["blockHash", "blockNumber", "transactionIndex", "transactionHash"] {
        for place in ["/result", "/result/logs/0"] {
            let pointer = format!("{place}/{name}");
            let refused = refused_at(&found.request, &found.answer, &pointer, json!(null), Depth::Standard);
            assert!(refused.is_some_and(|path| path.ends_with(name)), "{pointer}");
        }
    }
    let time = refused_at(
        &found.request,
        &found.answer,
        "/result/logs/0/blockTimestamp",
        json!("0x1"),
        Depth::Standard,
    );
    assert_eq!(time, at("$.result.logs[0].blockTimestamp"));
}

#[test]
fn what_stands_under_a_name_is_what_the_name_says() {
    let chain = chain();
    let rename = |answer: &Value, parent: &str, to: &dyn Fn(&str) -> String| {
        let mut other = answer.clone();
        let members = other.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        *members = std::mem::take(members).into_iter().map(|(name, value)| (to(&name), value)).collect();
        other
    };
    let another = |name: &str| {
        let last = if name.ends_with('7') { "8" } else { "7" };
        format!("{}{last}", &name[..name.len() - 1])
    };
    let upper = |name: &str| name.to_uppercase().replacen("0X", "0x", 1);
    let balance = ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]));
    let logs = ("eth_getLogs", json!([{ "fromBlock": "0x5", "toBlock": "0x5" }]));
    for (request, parent) in [
        (&balance, "/in3/proof/accounts"),
        (&logs, "/in3/proof/logProof"),
        (&logs, "/in3/proof/logProof/0x5/receipts"),
    ] {
        let answer = ask(&chain, request, &Proof { full: true, ..Proof::default() });
        let judge = |answer: &Value| check(request, answer, &Trust::nobody(), Depth::Standard);
        let error = judge(&rename(&answer, parent, &another)).expect_err(parent);
        assert_eq!(error.reason, Reason::Differs { from: "what its name says" }, "{parent}");
        let _ = value(judge(&rename(&answer, parent, &upper)));
        assert!(judge(&rename(&answer, parent, &|_| "nobody".to_owned())).is_err());
    }
}

#[test]
fn roots_and_seals_that_are_told_twice_must_agree() {
    let chain = chain();
    let request = ("eth_getBlockByNumber", json!(["0x5", false]));
    let answer = ask(&chain, &request, &Proof::default());
    let refused = |answer: &Value, name: &str, other: Value| {
        refused_at(&request, answer, &format!("/result/{name}"), other, Depth::Standard)
    };
    let root = answer["result"]["receiptsRoot"].clone();
    assert_eq!(refused(&answer, "receiptRoot", root), None);
    assert_eq!(refused(&answer, "receiptRoot", answer["result"]["hash"].clone()), at("$.result.receiptRoot"));

    let mut sealed = answer.clone();
    let (mix, nonce) = (sealed["result"]["mixHash"].clone(), sealed["result"]["nonce"].clone());
    let encoded = |value: &Value, head: &str| json!(value.as_str().map(|text| text.replacen("0x", head, 1)));
    sealed["result"]["sealFields"] = json!([encoded(&mix, "0xa0"), encoded(&nonce, "0x88")]);
    for other in ["mixHash", "nonce"] {
        let mut alone = sealed.clone();
        let absent = if other == "nonce" { "mixHash" } else { "nonce" };
        alone["result"].as_object_mut().expect("a block").remove(absent);
        assert_eq!(refused(&alone, other, answer["result"][other].clone()), None);
        assert_eq!(refused(&alone, other, json!("0x01")), Some(format!("$.result.{other}")));
    }
}

#[test]
fn the_place_of_a_log_in_its_block_is_held_against_the_receipts_before() {
    let chain = chain();
    let request = ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x1" }]));
    let full = ask(&chain, &request, &Proof { full: true, ..Proof::default() });
    let count = full["result"].as_array().map_or(0, Vec::len);
    let Answer::Logs(logs) = value(check(&request, &full, &Trust::nobody(), Depth::Standard)) else {
        panic!("logs")
    };
    let places: Vec<_> = logs.logs.iter().map(|log| log.index_in_block).collect();
    assert_eq!(places, (0..count as u64).map(Some).collect::<Vec<_>>());
    for log in 0..count {
        for wrong in ["0x3e8", "0x0", "0xffffffffffffffff"].into_iter().filter(|_| log > 0) {
            let pointer = format!("/result/{log}/logIndex");
            let refused = refused_at(&request, &full, &pointer, json!(wrong), Depth::Standard);
            assert_eq!(refused, Some(format!("$.result[{log}].logIndex")));
        }
    }

    // Without the receipts before it is the node's word, within limits: logs of one receipt follow one another.
    let narrow = (
        "eth_getLogs",
        json!([{ "fromBlock": "0x1", "toBlock": "0x9", "address": "0xe1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1" }]),
    );
    let few = ask(&chain, &narrow, &Proof::default());
    let Answer::Logs(logs) = value(check(&narrow, &few, &Trust::nobody(), Depth::Standard)) else {
        panic!("logs")
    };
    let pair = logs
        .logs
        .windows(2)
        .position(|pair| pair[0].transaction == pair[1].transaction && pair[0].index_in_block.is_none());
    let second = pair.expect("two logs of one receipt that is not the first") + 1;
    let pointer = format!("/result/{second}/logIndex");
    let shift = |by: i64| {
        let held = few.pointer(&pointer).and_then(Value::as_str).expect("a number");
        let held = i64::from_str_radix(held.trim_start_matches("0x"), 16).expect("hex");
        refused_at(&narrow, &few, &pointer, json!(held + by), Depth::Standard)
    };
    assert_eq!((shift(0), shift(1)), (None, Some(format!("$.result[{second}].logIndex"))));
    let mut all = few.clone();
    for log in all["result"].as_array_mut().expect("logs") {
        let held = log["logIndex"].as_str().and_then(|text| u64::from_str_radix(&text[2..], 16).ok());
        log["logIndex"] = json!(held.expect("hex") + 1_000);
    }
    assert!(check(&narrow, &all, &Trust::nobody(), Depth::Standard).is_err(), "the first receipts are known");
}
