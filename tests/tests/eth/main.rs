//! Ethereum answers over a chain with real tries: what is true is verified, what was changed is refused.

mod every_change_of_an_answer_is_refused;
mod honest_answers_are_verified;
mod logs_say_whether_they_are_complete;
mod only_who_is_trusted_anchors;
mod what_follows_is_compared;
mod what_nodes_write_is_understood;
mod what_proves_nothing_is_not_believed;

use quorate_eth::{Answer, Depth, Question, Rejected, Trust, Verdict, Verified, verify};
use quorate_testkit::chain::{Chain, Proof};
use serde_json::{Value, json};

/// A chain whose blocks are of every fork.
fn chain() -> Chain {
    Chain::seeded(7, 24)
}

/// A request.
type Request = (&'static str, Value);

fn ask(chain: &Chain, (method, params): &Request, proof: &Proof) -> Value {
    chain.answer(&json!(1), method, params, proof)
}

fn check(
    (method, params): &Request,
    answer: &Value,
    trust: &Trust,
    depth: Depth,
) -> Result<Verdict, Rejected> {
    let question = Question::parse(method, params).expect("the request is well-formed");
    verify(&question, answer, trust, depth)
}

/// The value, which must have been verified.
fn value(verdict: Result<Verdict, Rejected>) -> Answer {
    verified(verdict).claimed().clone()
}

fn verified(verdict: Result<Verdict, Rejected>) -> Verified<Answer> {
    assert!(matches!(verdict, Ok(Verdict::Verified(_))), "not verified: {verdict:?}");
    let found = verdict.ok().and_then(|verdict| match verdict {
        Verdict::Verified(verified) => Some(verified),
        Verdict::Unproven(_) => None,
    });
    found.expect("it was just looked at")
}

/// Requests of every method about a block and what is in it.
fn requests(chain: &Chain, number: usize) -> Vec<Request> {
    let block = &chain.blocks()[number];
    let (hash, tag) = (json!(block.hash), json!(format!("0x{number:x}")));
    let accounts = chain.accounts(number);
    let absent = "0x00000000000000000000000000000000000000aa";
    let last = block.transactions.len();
    let mut requests = vec![
        ("eth_getBlockByHash", json!([hash, true])),
        ("eth_getBlockByNumber", json!([tag, false])),
        ("eth_getBlockTransactionCountByHash", json!([hash])),
        ("eth_getBlockTransactionCountByNumber", json!([tag])),
        ("eth_getUncleCountByBlockHash", json!([hash])),
        ("eth_getUncleCountByBlockNumber", json!([tag])),
        ("eth_getBalance", json!([accounts[0], tag])),
        ("eth_getBalance", json!([absent, tag])),
        ("eth_getTransactionCount", json!([accounts[1], tag])),
        ("eth_getCode", json!([accounts[2], tag])),
        ("eth_getTransactionByBlockNumberAndIndex", json!([tag, format!("0x{last:x}")])),
        ("eth_getLogs", json!([{ "fromBlock": tag, "toBlock": tag }])),
        ("eth_sendRawTransaction", json!(["0x01"])),
    ];
    requests.extend(accounts.iter().take(4).map(|one| ("eth_getStorageAt", json!([one, "0x3", tag]))));
    for (index, (transaction, _)) in block.transactions.iter().enumerate() {
        let index = format!("0x{index:x}");
        requests.push(("eth_getTransactionByHash", json!([transaction.tx_hash()])));
        requests.push(("eth_getTransactionByBlockHashAndIndex", json!([hash, index])));
        requests.push(("eth_getTransactionReceipt", json!([transaction.tx_hash()])));
    }
    requests
}
