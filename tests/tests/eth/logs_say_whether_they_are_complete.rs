//! A proof of logs shows that they are there; only more than that shows that there are no others.

use super::{ask, chain, check};
use quorate_eth::answer::{Logs, PlacedLog};
use quorate_eth::{Answer, Depth, Reason, Trust, Unproven, Verdict};
use quorate_testkit::chain::Proof;
use serde_json::{Value, json};

fn logs(request: &super::Request, answer: &Value) -> Logs {
    let value = super::value(check(request, answer, &Trust::nobody(), Depth::Standard));
    let Answer::Logs(logs) = value else { unreachable!("logs were asked for") };
    logs
}

fn of_contract(range: [&str; 2]) -> super::Request {
    let address = "0xe1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1";
    ("eth_getLogs", json!([{ "fromBlock": range[0], "toBlock": range[1], "address": address }]))
}

#[test]
fn with_all_receipts_or_a_bloom_filter_that_excludes_them_logs_are_complete() {
    let chain = chain();
    let request = of_contract(["0x1", "0x9"]);
    let few = logs(&request, &ask(&chain, &request, &Proof::default()));
    let all = logs(&request, &ask(&chain, &request, &Proof { full: true, ..Proof::default() }));
    assert!(!few.complete && all.complete && few.logs.len() > 3);
    let beside = |logs: Logs| -> Vec<_> {
        logs.logs.into_iter().map(|log| PlacedLog { index_in_block: None, ..log }).collect()
    };
    assert_eq!(beside(few), beside(all));
}

#[test]
fn a_range_of_one_block_has_the_logs_of_one_block() {
    let chain = chain();
    let answer = ask(&chain, &of_contract(["0x1", "0x9"]), &Proof::default());
    let outside = |request: &super::Request| matches!(check(request, &answer, &Trust::nobody(), Depth::Standard), Err(rejected) if rejected.reason == Reason::OutsideFilter);
    assert!(outside(&of_contract(["latest", "latest"])));
    assert!(outside(&("eth_getLogs", json!([{}]))), "from latest to latest, where nothing is said");
    assert!(!outside(&of_contract(["earliest", "latest"])));
    assert!(!outside(&of_contract(["finalized", "latest"])), "these may be many blocks");
}

#[test]
fn a_range_whose_end_the_node_chooses_is_never_complete() {
    let chain = chain();
    let request = of_contract(["0x10", "latest"]);
    let answer = ask(&chain, &request, &Proof { full: true, ..Proof::default() });
    assert!(!logs(&request, &answer).complete);
}

#[test]
fn all_blocks_that_there_can_be_are_not_no_blocks() {
    let nothing =
        json!({ "id": 1, "result": [], "in3": { "proof": { "type": "logProof", "logProof": {} } } });
    for range in [["0x0", "0xffffffffffffffff"], ["0x5", "0x1"]] {
        let verdict = check(&of_contract(range), &nothing, &Trust::nobody(), Depth::Standard);
        assert_eq!(verdict, Ok(Verdict::Unproven(Unproven::Empty)), "{range:?}");
    }
}

#[test]
fn a_log_that_is_left_out_is_found_out_without_all_receipts() {
    let chain = chain();
    let request = of_contract(["0x1", "0x9"]);
    let mut answer = ask(&chain, &request, &Proof::default());
    answer["result"].as_array_mut().unwrap().remove(1);
    let error = check(&request, &answer, &Trust::nobody(), Depth::Standard).unwrap_err();
    assert!(matches!(error.reason, Reason::LeftOut { .. }), "{error}");
}

#[test]
fn a_log_that_is_left_out_though_its_receipt_is_there_is_found_out() {
    let chain = chain();
    let request = of_contract(["0x1", "0x9"]);
    let mut answer = ask(&chain, &request, &Proof { full: true, ..Proof::default() });
    answer["result"].as_array_mut().unwrap().remove(1);
    let error = check(&request, &answer, &Trust::nobody(), Depth::Standard).unwrap_err();
    assert!(matches!(error.reason, Reason::LeftOut { .. }), "{error}");
}

#[test]
fn a_block_that_is_left_out_makes_the_answer_incomplete() {
    let chain = chain();
    let request = of_contract(["0x7", "0x7"]); // every seventh block is empty
    let full = ask(&chain, &request, &Proof { full: true, ..Proof::default() });
    assert_eq!(logs(&request, &full), Logs { logs: Vec::new(), complete: true });
    let mut without = full;
    without["in3"]["proof"]["logProof"] = json!({});
    let verdict = check(&request, &without, &Trust::nobody(), Depth::Standard);
    assert_eq!(verdict, Ok(Verdict::Unproven(Unproven::Empty)));
}

#[test]
fn logs_outside_the_filter_or_out_of_order_are_refused() {
    let chain = chain();
    let wide = ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x9" }]));
    let answer = ask(&chain, &wide, &Proof::default());
    for narrow in
        [of_contract(["0x1", "0x9"]), ("eth_getLogs", json!([{ "fromBlock": "0x3", "toBlock": "0x9" }]))]
    {
        let error = check(&narrow, &answer, &Trust::nobody(), Depth::Standard).unwrap_err();
        assert_eq!(error.reason, Reason::OutsideFilter);
    }
    let mut swapped = answer;
    swapped["result"].as_array_mut().unwrap().swap(0, 1);
    assert!(check(&wide, &swapped, &Trust::nobody(), Depth::Standard).is_err());
}
