//! Verified requests over real sockets: nodes of every kind, both drivers, payments, and what is kept of the nodes.

mod blocking;
mod payments;
mod races;
mod transports;

use quorate_eth::{Answer, Depth, EthRequest, EthVerifier, Trust};
use quorate_query::ClientSettings;
use quorate_query::pool::{Node, Pool, PoolConfig};
use quorate_query::verified::{Clients, VerifiedBuilder, VerifiedClient, VerifiedConfig};
use quorate_testkit::chain::{Chain, address, key};
use quorate_testkit::proof_nodes::{ProofFault, ProofNode};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// How many signers there are; each node has all their keys.
const SIGNERS: u64 = 2;

/// Nodes that know the same chain.
struct Nodes {
    chain: Arc<Chain>,
    nodes: Vec<ProofNode>,
}

impl Nodes {
    async fn start(faults: &[ProofFault]) -> Self {
        let chain = Arc::new(Chain::seeded(7, 24));
        let mut nodes = Vec::new();
        for fault in faults {
            let keys = (0..SIGNERS).map(key).collect();
            let node = ProofNode::start(chain.clone(), keys).await.expect("a loopback port");
            node.set_fault(fault.clone());
            nodes.push(node);
        }
        Self { chain, nodes }
    }

    fn pool(&self) -> Pool {
        let mut pool = Pool::new(PoolConfig::default());
        for node in &self.nodes {
            pool.insert(Node::at(node.url().parse().expect("a URL"))).expect("room");
        }
        pool
    }

    fn client(&self, verifier: EthVerifier, config: VerifiedConfig) -> VerifiedClient<EthVerifier> {
        self.builder(verifier, config).client(clients())
    }

    fn builder(&self, verifier: EthVerifier, config: VerifiedConfig) -> VerifiedBuilder<EthVerifier> {
        VerifiedBuilder::new(verifier, self.pool()).with_config(config)
    }

    /// A question about an account, and its true answer.
    fn balance(&self) -> (EthRequest, Value) {
        let account = self.chain.accounts(5)[0];
        let params = json!([account, "0x5"]);
        let answer = self.chain.answer(&json!(1), "eth_getBalance", &params, &Default::default());
        (EthRequest::new("eth_getBalance", &params).expect("a question"), answer["result"].clone())
    }
}

fn clients() -> Clients {
    Clients::new(ClientSettings::new().expect("TLS"))
}

fn signers() -> Trust {
    Trust { signers: (0..SIGNERS).map(|number| address(&key(number))).collect(), ..Trust::nobody() }
}

/// All nodes at once, and not for long.
fn all_at_once(nodes: usize) -> VerifiedConfig {
    VerifiedConfig {
        race: NonZeroUsize::new(nodes).expect("not zero"),
        attempt_timeout: Duration::from_millis(500),
        ..VerifiedConfig::default()
    }
    .within(Duration::from_secs(10))
}

fn one(answers: &[quorate_eth::Verified<Answer>]) -> Value {
    assert_eq!(answers.len(), 1);
    answers[0].claimed().to_json()
}

fn standard() -> EthVerifier {
    EthVerifier::new(Trust::nobody()).with_depth(Depth::Standard).with_chain_id(1)
}
