//! The blocking driver, without a runtime: the nodes have one, on another thread.

use super::*;
use bytes::Bytes;
use quorate_query::verified::{BlockingHttp, BlockingTransport, BlockingVerified, VerifiedFailure, Waiting};
use quorate_query::{Call, PeerError};
use std::sync::mpsc::{Sender, channel};
use tokio::runtime::Runtime;

fn nodes(faults: &[ProofFault]) -> (Runtime, Nodes) {
    let runtime = Runtime::new().expect("a runtime");
    let nodes = runtime.block_on(Nodes::start(faults));
    (runtime, nodes)
}

#[test]
fn the_same_machine_answers_without_a_runtime() {
    let faults = [ProofFault::Tampered("/result".to_owned()), ProofFault::Hang, ProofFault::Honest];
    let (_runtime, nodes) = nodes(&faults);
    let (request, truth) = nodes.balance();
    let store = Arc::new(quorate_base::MemoryStore::new());
    let builder = nodes.builder(EthVerifier::new(signers()), all_at_once(3)).with_store(store.clone());
    let client = builder.expect("an empty store").blocking(BlockingHttp::default());
    let success = client.ask(request).expect("an honest node");
    assert_eq!(one(&success.value), truth);
    assert!(!success.value[0].is_merely_consistent());
    client.save().expect("a memory store");
    let again = nodes.builder(EthVerifier::new(signers()), all_at_once(3)).with_store(store);
    let again = again.expect("what was stored").blocking(BlockingHttp::default());
    let answers = |client: &BlockingVerified<EthVerifier>| client.snapshot().nodes[2].answers;
    assert_eq!((answers(&client), answers(&again)), (1, 1));
}

#[test]
fn it_ends_by_its_deadline() {
    let (_runtime, nodes) = nodes(&[ProofFault::Hang]);
    let config = all_at_once(1).within(Duration::from_millis(100));
    let client = nodes.builder(standard(), config).blocking(BlockingHttp::default());
    let error = client.ask(nodes.balance().0).expect_err("nobody answers");
    assert!(matches!(error.failure, VerifiedFailure::Deadline), "{error}");
}

/// Answers singly, in the order that the test decides.
struct OneByOne {
    chain: Arc<Chain>,
    told: Sender<&'static str>,
}

impl BlockingTransport for OneByOne {
    fn exchange(
        &self,
        _request: u64,
        node: &Node,
        calls: &[Call],
        _waiting: &Waiting,
    ) -> Result<Vec<Bytes>, PeerError> {
        let _ = self.told.send("sent");
        if node.endpoint.port() != 1 {
            return Err(PeerError::Closed);
        }
        let answer = |call: &Call| {
            let params = serde_json::from_str(call.params()).expect("JSON");
            self.chain.answer(&json!(1), call.method(), &params, &Default::default()).to_string().into()
        };
        Ok(calls.iter().map(answer).collect())
    }

    fn cleanup(&self, _request: u64) {
        let _ = self.told.send("over");
    }
}

#[test]
fn a_transport_of_ones_own_is_told_once_that_a_request_is_over() {
    let (_runtime, nodes) = nodes(&[]);
    let (told, heard) = channel();
    let mut pool = Pool::new(PoolConfig::default());
    for port in 1..4 {
        pool.insert(Node::at(format!("http://127.0.0.1:{port}/").parse().expect("a URL"))).expect("room");
    }
    let transport = OneByOne { chain: nodes.chain.clone(), told };
    let client = VerifiedBuilder::new(standard(), pool).with_config(all_at_once(1)).blocking(transport);
    let (request, truth) = nodes.balance();
    assert_eq!(one(&client.ask(request).expect("the first node answers").value), truth);
    let heard: Vec<_> = heard.try_iter().collect();
    assert_eq!(heard.iter().filter(|what| **what == "over").count(), 1, "{heard:?}");
    assert_eq!(heard.last(), Some(&"over"), "{heard:?}");
}
