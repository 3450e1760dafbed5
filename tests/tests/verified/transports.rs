//! How answers come: websocket, a transport of somebody else's, and what survives in a store.

use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::MemoryStore;
use quorate_query::pool::NodeState;
use quorate_query::verified::Transport;
use quorate_query::{Call, PeerError};

#[tokio::test]
async fn websockets_and_http_go_together() {
    let nodes = Nodes::start(&[ProofFault::Honest, ProofFault::Drop]).await;
    let mut pool = Pool::new(PoolConfig::default());
    for url in [nodes.nodes[0].websocket_url(), nodes.nodes[1].url()] {
        pool.insert(Node::at(url.parse().expect("a URL"))).expect("room");
    }
    let client = VerifiedBuilder::new(standard(), pool).with_config(all_at_once(2)).client(clients());
    let (request, truth) = nodes.balance();
    for _ in 0..3 {
        assert_eq!(one(&client.ask(request.clone()).await.expect("an honest node").value), truth);
    }
}

/// Answers out of a chain, without a socket; counts what it is told.
struct Counting {
    chain: Arc<Chain>,
    told: std::sync::mpsc::Sender<(&'static str, u64)>,
    hangs: bool,
}

#[async_trait]
impl Transport for Counting {
    async fn exchange(&self, request: u64, _node: &Node, calls: &[Call]) -> Result<Vec<Bytes>, PeerError> {
        let _ = self.told.send(("sent", request));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let answer = |call: &Call| {
            let params = serde_json::from_str(call.params()).expect("JSON");
            self.chain.answer(&json!(1), call.method(), &params, &Default::default()).to_string().into()
        };
        Ok(calls.iter().map(answer).collect())
    }

    fn cleanup(&self, request: u64) {
        let _ = self.told.send(("over", request));
    }
}

#[tokio::test]
async fn a_transport_of_ones_own_is_told_once_that_a_request_is_over() {
    let nodes = Nodes::start(&[]).await;
    let (request, truth) = nodes.balance();
    for (hangs, dropped) in [(false, false), (true, false), (true, true)] {
        let (told, heard) = std::sync::mpsc::channel();
        let mut pool = Pool::new(PoolConfig::default());
        for port in 1..4 {
            pool.insert(Node::at(format!("http://127.0.0.1:{port}/").parse().expect("a URL"))).expect("room");
        }
        let transport = Counting { chain: nodes.chain.clone(), told, hangs };
        let config = all_at_once(3).within(Duration::from_millis(50));
        let client = VerifiedBuilder::new(standard(), pool).with_config(config).client(transport);
        if dropped {
            let mut asking = Box::pin(client.ask(request.clone()));
            // Polled once, then given up.
            assert!(futures_poll(asking.as_mut()).is_none());
        } else {
            let outcome = client.ask(request.clone()).await;
            assert_eq!(outcome.ok().map(|success| one(&success.value)), (!hangs).then(|| truth.clone()));
        }
        let heard: Vec<_> = heard.try_iter().collect();
        assert_eq!(heard.iter().filter(|(what, _)| *what == "over").count(), 1, "{heard:?}");
        assert_eq!(heard.last(), Some(&("over", 0)), "{heard:?}");
        assert!(heard.len() > 1);
    }
}

/// Polls a future once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn what_is_known_of_the_nodes_survives_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let nodes = Nodes::start(&[ProofFault::Tampered("/result".to_owned()), ProofFault::Honest]).await;
    let (request, _) = nodes.balance();
    let builder = nodes.builder(standard(), all_at_once(2)).with_store(store.clone());
    let client = builder.expect("an empty store").client(clients());
    for _ in 0..3 {
        client.ask(request.clone()).await.expect("an honest node");
    }
    client.save().await.expect("a memory store");
    let before = client.snapshot();
    drop(client);

    let builder = nodes.builder(standard(), all_at_once(2)).with_store(store);
    let client = builder.expect("what was stored").client(clients());
    let after = client.snapshot();
    assert_eq!(after.nodes[1].answers, before.nodes[1].answers);
    if before.nodes[0].lies > 0 {
        assert!(matches!(after.nodes[0].state, NodeState::Banned(_)));
    }
    let asked = nodes.nodes[0].requests();
    client.ask(request).await.expect("an honest node");
    if before.nodes[0].lies > 0 {
        assert_eq!(nodes.nodes[0].requests(), asked, "a liar is not asked again");
    }
}
