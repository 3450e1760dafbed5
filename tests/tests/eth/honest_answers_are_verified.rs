//! Every method, every fork, every type of transaction.

use super::{ask, chain, check, requests, value};
use quorate_eth::answer::{AccountValue, Transactions};
use quorate_eth::{Answer, Depth, Trust};
use quorate_testkit::chain::Proof;
use std::collections::BTreeSet;

#[test]
fn honest_answers_are_verified() {
    let chain = chain();
    let (mut types, mut forks, mut verified) = (BTreeSet::new(), BTreeSet::new(), 0);
    for number in 0..chain.blocks().len() {
        for request in requests(&chain, number) {
            for (full, depth) in [(false, Depth::Standard), (true, Depth::Full)] {
                let proof = Proof { full, ..Proof::default() };
                let answer = ask(&chain, &request, &proof);
                let verdict = check(&request, &answer, &Trust::nobody(), depth);
                let empty_logs =
                    request.0 == "eth_getLogs" && !full && answer["result"] == serde_json::json!([]);
                if empty_logs {
                    continue; // complete or unproven, as the bloom filter has it: another test's matter
                }
                match value(verdict) {
                    Answer::Block(block) => {
                        assert_eq!(block.hash, chain.blocks()[number].hash);
                        forks.insert(
                            block.header.withdrawals_root.is_some() as u8
                                + block.header.slot_number.is_some() as u8,
                        );
                        if let Transactions::Full(all) = block.transactions {
                            types.extend(all.iter().map(|one| one.envelope.tx_type() as u8));
                            let senders: Vec<_> = all.iter().map(|one| one.from).collect();
                            let made: Vec<_> =
                                chain.blocks()[number].transactions.iter().map(|(_, from)| *from).collect();
                            assert_eq!(senders, made);
                        }
                    }
                    Answer::Logs(logs) => assert!(logs.complete || !full),
                    Answer::Account(AccountValue::Code(code)) => {
                        assert_eq!(answer["result"], code.to_string())
                    }
                    _ => {}
                }
                verified += 1;
            }
        }
    }
    assert_eq!(types.len(), 5, "all types of transactions: {types:?}");
    assert_eq!(forks.len(), 3, "headers before Shanghai, since, and of the newest fork");
    assert!(verified > 2_000, "{verified} answers");
}
