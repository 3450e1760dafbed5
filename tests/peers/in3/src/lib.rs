//! Two clients of the same nodes: ours in this process, theirs in a Node process.

use quorate_eth::{EthRequest, EthVerifier, Trust};
use quorate_query::ClientSettings;
use quorate_query::pool::{Node, Pool, PoolConfig};
use quorate_query::verified::{Clients, VerifiedBuilder, VerifiedClient, VerifiedConfig};
use quorate_testkit::chain::Chain;
use quorate_testkit::proof_nodes::{ProofFault, ProofNode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The published client in its process.
pub struct Theirs {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What it says to one job.
#[derive(Debug)]
pub struct Said {
    /// The value, or the error's text.
    pub outcome: Result<Value, String>,
    /// How long one request took, in microseconds.
    pub micros: f64,
}

impl Theirs {
    /// Starts the process.
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer.mjs");
        let mut command = Command::new("node");
        let mut child =
            command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node is there");
        let input = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, input, lines }
    }

    /// Asks nodes.
    pub fn ask(&mut self, urls: &[String], race: usize, (method, params): &Request, times: u32) -> Said {
        self.job(&json!({ "urls": urls, "race": race, "times": times, "method": method, "params": params }))
    }

    /// Verifies a recorded response so many times.
    pub fn verify(&mut self, response: &Value, (method, params): &Request, times: u32) -> Said {
        self.job(&json!({ "recorded": response, "times": times, "method": method, "params": params }))
    }

    fn job(&mut self, job: &Value) -> Said {
        writeln!(self.input, "{job}").and_then(|()| self.input.flush()).expect("it reads");
        let line = self.lines.next().expect("it answers").expect("it is text");
        let said: Value = serde_json::from_str(&line).expect("each line is a JSON object");
        let micros = said["micros"].as_f64().expect("a number");
        let outcome = match said["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(said["ok"].clone()),
        };
        Said { outcome, micros }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A method and its parameters.
pub type Request = (&'static str, Value);

/// Nodes that know the same chain.
pub struct Nodes {
    /// What they know.
    pub chain: Arc<Chain>,
    /// The nodes.
    pub nodes: Vec<ProofNode>,
}

impl Nodes {
    /// Starts one node for each fault.
    pub async fn start(faults: &[ProofFault]) -> Self {
        let chain = Arc::new(Chain::seeded(7, 24));
        let mut nodes = Vec::new();
        for fault in faults {
            let node = ProofNode::start(chain.clone(), Vec::new()).await.expect("a loopback port");
            node.set_fault(fault.clone());
            nodes.push(node);
        }
        Self { chain, nodes }
    }

    /// Their URLs.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(ProofNode::url).collect()
    }

    /// Our client of them.
    pub fn ours(&self, race: usize) -> VerifiedClient<EthVerifier> {
        let mut pool = Pool::new(PoolConfig::default());
        for url in self.urls() {
            pool.insert(Node::at(url.parse().expect("a URL"))).expect("room");
        }
        let config = VerifiedConfig {
            race: NonZeroUsize::new(race).expect("not zero"),
            rounds: NonZeroU32::MIN.saturating_add(1),
            attempt_timeout: Duration::from_secs(5),
            ..VerifiedConfig::default()
        };
        let verifier = EthVerifier::new(Trust::nobody()).with_chain_id(1);
        let clients = Clients::new(ClientSettings::new().expect("TLS"));
        VerifiedBuilder::new(verifier, pool).with_config(config).client(clients)
    }

    /// Requests of every method that both sides verify, about a block of the London fork: IN3 knows no later header.
    pub fn requests(&self) -> Vec<Request> {
        let number = self.london();
        let block = &self.chain.blocks()[number];
        let tag = json!(format!("0x{number:x}"));
        let account = json!(self.chain.accounts(number)[0]);
        let transaction = json!(block.transactions[0].0.tx_hash());
        vec![
            ("eth_getBalance", json!([account, tag])),
            ("eth_getTransactionCount", json!([account, tag])),
            ("eth_getCode", json!([account, tag])),
            ("eth_getStorageAt", json!([account, "0x3", tag])),
            ("eth_getBlockByNumber", json!([tag, true])),
            ("eth_getTransactionByHash", json!([transaction])),
            ("eth_getTransactionReceipt", json!([transaction])),
        ]
    }

    /// The last block with a base fee and without withdrawals that has transactions.
    fn london(&self) -> usize {
        let is = |block: &quorate_testkit::chain::Block| {
            let header = &block.header;
            header.base_fee_per_gas.is_some()
                && header.withdrawals_root.is_none()
                && !block.transactions.is_empty()
        };
        self.chain.blocks().iter().rposition(is).expect("a chain has blocks of every fork")
    }
}

/// The question as ours takes it.
pub fn question((method, params): &Request) -> EthRequest {
    EthRequest::new(method, params).expect("a question")
}
