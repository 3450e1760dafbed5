//! Nodes of every kind in one race.

use super::*;
use quorate_query::pool::NodeState;
use quorate_query::verified::{QuestionEnd, VerifiedFailure};

/// Every way in which a node can fail to prove an answer.
fn faults() -> Vec<ProofFault> {
    vec![
        ProofFault::Tampered("/result".to_owned()),
        ProofFault::Tampered("/in3/proof/accounts".to_owned()),
        ProofFault::Null,
        ProofFault::Empty,
        ProofFault::Refuse(3),
        ProofFault::NoProof,
        ProofFault::WrongId,
        ProofFault::Hang,
        ProofFault::Drop,
        ProofFault::Garbage,
        ProofFault::Slow(Duration::from_secs(60)),
    ]
}

#[tokio::test]
async fn one_honest_node_among_any_others_gives_the_value() {
    for fault in faults() {
        let nodes = Nodes::start(&[fault.clone(), ProofFault::Honest, fault.clone()]).await;
        let (request, truth) = nodes.balance();
        let client = nodes.client(standard(), all_at_once(3));
        let success = client.ask(request).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(one(&success.value), truth, "{fault:?}");
    }
}

#[tokio::test]
async fn without_an_honest_node_there_is_never_a_value() {
    for fault in faults() {
        let nodes = Nodes::start(&[fault.clone(), fault.clone()]).await;
        let config = VerifiedConfig { rounds: std::num::NonZeroU32::MIN, ..all_at_once(2) };
        let client = nodes.client(standard(), config);
        let error = client.ask(nodes.balance().0).await.expect_err("nobody is honest");
        assert_eq!(error.report.questions.len(), 2, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn only_lies_are_bans() {
    for fault in faults() {
        let nodes = Nodes::start(std::slice::from_ref(&fault)).await;
        let config = VerifiedConfig { rounds: std::num::NonZeroU32::MIN, ..all_at_once(1) };
        let client = nodes.client(standard(), config);
        client.ask(nodes.balance().0).await.expect_err("nobody is honest");
        let state = client.snapshot().nodes[0].state;
        let expected = match fault {
            ProofFault::Tampered(_) | ProofFault::NoProof => "banned",
            ProofFault::Null | ProofFault::Empty | ProofFault::Refuse(_) => "ready",
            _ => "resting",
        };
        let found = match state {
            NodeState::Banned(_) => "banned",
            NodeState::Ready => "ready",
            NodeState::Resting(_) => "resting",
        };
        assert_eq!(found, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn signers_anchor_a_value_and_a_node_that_withholds_them_is_passed_over() {
    let nodes = Nodes::start(&[ProofFault::NotFinal, ProofFault::Honest]).await;
    let (request, truth) = nodes.balance();
    let client = nodes.client(EthVerifier::new(signers()).anchored_only(), all_at_once(1));
    for _ in 0..4 {
        let success = client.ask(request.clone()).await.expect("one node is honest");
        let [answer] = <[_; 1]>::try_from(success.value).expect("one answer");
        let anchored = answer.anchored().expect("both signed");
        assert_eq!(anchored.get().to_json(), truth);
        let banned = |end: &QuestionEnd| matches!(end, QuestionEnd::Lie(_));
        assert!(!success.report.questions.iter().any(|question| banned(&question.end)));
    }
    assert!(client.snapshot().nodes.iter().all(|node| node.lies == 0));
}

#[tokio::test]
async fn who_wants_truth_takes_no_consistent_answer() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let config = VerifiedConfig { rounds: std::num::NonZeroU32::MIN, ..all_at_once(1) };
    let client = nodes.client(standard().anchored_only(), config);
    let error = client.ask(nodes.balance().0).await.expect_err("nobody vouches");
    assert!(error.to_string().contains("nobody vouches for its header"), "{error}");
}

#[tokio::test]
async fn a_batch_is_answered_as_one_and_matched_by_its_ids() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let account = json!(nodes.chain.accounts(5)[0]);
    let (balance, count, block) = (json!([account, "0x5"]), json!([account, "0x6"]), json!(["0x7", true]));
    let request = EthRequest::batch([
        ("eth_getBalance", &balance),
        ("eth_getTransactionCount", &count),
        ("eth_getBlockByNumber", &block),
    ]);
    let client = nodes.client(standard(), all_at_once(1));
    let success = client.ask(request.expect("questions")).await.expect("an honest node");
    assert_eq!(success.value.len(), 3);
    assert!(matches!(success.value[2].claimed(), Answer::Block(block) if block.header.number == 7));
    assert_eq!(nodes.nodes[0].requests(), 1);
}

#[tokio::test]
async fn who_lost_the_race_is_audited_when_asked() {
    let liar = ProofFault::Tampered("/result".to_owned());
    let nodes = Nodes::start(&[ProofFault::Honest, liar]).await;
    let client = nodes.client(standard(), VerifiedConfig { audit: true, ..all_at_once(2) });
    client.ask(nodes.balance().0).await.expect("an honest node");
    let audited = async {
        while client.snapshot().nodes[1].lies == 0 {
            tokio::task::yield_now().await;
        }
    };
    // Its answer is on its way or there: the wait has an end.
    tokio::time::timeout(Duration::from_secs(20), audited).await.expect("the liar is found out");
}

#[tokio::test]
async fn an_error_says_what_every_node_did() {
    let nodes = Nodes::start(&[ProofFault::Tampered("/result".to_owned()), ProofFault::Null]).await;
    let client = nodes.client(standard(), all_at_once(1));
    let error = client.ask(nodes.balance().0).await.expect_err("nobody is honest");
    let text = error.to_string();
    assert!(
        text.contains("lied: $.result: it differs from") && text.contains("null, without a proof"),
        "{text}"
    );
    assert!(!matches!(error.failure, VerifiedFailure::Deadline));
}
