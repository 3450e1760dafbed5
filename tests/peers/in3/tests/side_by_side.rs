//! Both clients ask the same nodes: what is true both believe, what was changed neither does, and where theirs is wrong ours is not.

use quorate_peers_in3::{Nodes, Request, Theirs, question};
use quorate_query::verified::Success;
use quorate_testkit::proof_nodes::ProofFault;
use serde_json::{Value, json};
use std::time::Duration;

fn shown(success: &Success<Vec<quorate_eth::Verified<quorate_eth::Answer>>>) -> Value {
    success.value[0].claimed().to_json()
}

/// The same quantity, however many zeros lead it.
fn same(left: &Value, right: &Value) -> bool {
    let digits = |value: &Value| {
        let text = value.as_str().map(str::to_lowercase)?;
        Some(text.strip_prefix("0x")?.trim_start_matches('0').to_owned())
    };
    left == right || digits(left).is_some_and(|left| Some(left) == digits(right))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_believe_an_honest_node() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let (ours, mut theirs) = (nodes.ours(1), Theirs::start());
    for request in nodes.requests() {
        let said = theirs.ask(&nodes.urls(), 1, &request, 1).outcome;
        let theirs = said.unwrap_or_else(|error| panic!("{}: {error}", request.0));
        let ours =
            ours.ask(question(&request)).await.unwrap_or_else(|error| panic!("{}: {error}", request.0));
        let ours = shown(&ours);
        match ours.as_object() {
            // They hand on the node's JSON; what is proven of it is the same.
            Some(members) => {
                let hash = |value: &Value| value.get("hash").or(value.get("transactionHash")).cloned();
                assert!(!members.is_empty() && hash(&ours) == hash(&theirs), "{}", request.0);
            }
            None => assert!(same(&ours, &theirs), "{}: {ours} and {theirs}", request.0),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_believes_a_changed_result_or_proof() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let mut theirs = Theirs::start();
    let balance = nodes.requests().swap_remove(0);
    let account = balance.1[0].as_str().expect("an address").to_owned();
    let honest = nodes.chain.answer(&json!(1), balance.0, &balance.1, &Default::default());
    let members = honest["in3"]["proof"]["accounts"].as_object().expect("accounts");
    let key = members.keys().next().expect("one account").clone();
    assert_eq!(key.to_lowercase(), account.to_lowercase());
    for pointer in ["/result".to_owned(), format!("/in3/proof/accounts/{key}/accountProof/0")] {
        nodes.nodes[0].set_fault(ProofFault::Tampered(pointer.clone()));
        // Its own client each time: ours and theirs have banned the node.
        assert!(nodes.ours(1).ask(question(&balance)).await.is_err(), "{pointer}");
        assert!(theirs.ask(&nodes.urls(), 1, &balance, 1).outcome.is_err(), "{pointer}");
    }
}

/// One honest node that takes its time, and one that is quick to say nothing.
async fn quick_and_slow(quick: ProofFault) -> (Nodes, Request) {
    let slow = ProofFault::Slow(Duration::from_millis(150));
    let nodes = Nodes::start(&[quick, slow]).await;
    let balance = nodes.requests().swap_remove(0);
    (nodes, balance)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_null_wins_their_race_and_not_ours() {
    let (nodes, balance) = quick_and_slow(ProofFault::Null).await;
    let theirs = Theirs::start().ask(&nodes.urls(), 2, &balance, 1).outcome;
    assert_eq!(theirs, Ok(Value::Null), "the published client takes null for the balance");
    let ours = nodes.ours(2).ask(question(&balance)).await.expect("one node is honest");
    assert!(shown(&ours).is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_refusal_wins_their_race_and_not_ours() {
    let (nodes, balance) = quick_and_slow(ProofFault::Refuse(3)).await;
    let theirs = Theirs::start().ask(&nodes.urls(), 2, &balance, 1).outcome;
    assert!(theirs.is_err(), "the published client ends with the refusal: {theirs:?}");
    let ours = nodes.ours(2).ask(question(&balance)).await.expect("one node is honest");
    assert!(shown(&ours).is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_after_shanghai_are_ours_alone() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let last = nodes.chain.blocks().len() - 1;
    let block: Request = ("eth_getBlockByNumber", json!([format!("0x{last:x}"), true]));
    let theirs = Theirs::start().ask(&nodes.urls(), 1, &block, 1).outcome;
    assert!(theirs.is_err(), "the published client knows no such header: {theirs:?}");
    let ours = nodes.ours(1).ask(question(&block)).await.expect("an honest node");
    assert_eq!(shown(&ours)["number"], json!(format!("0x{last:x}")));
}
