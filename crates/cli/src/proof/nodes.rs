//! `quorate proof nodes`: Ethereum nodes with proofs, to try things on.

use crate::exit::Failure;
use crate::{output, signal};
use clap::Args;
use quorate_testkit::chain::{Chain, address, key};
use quorate_testkit::proof_nodes::{ProofFault, ProofNode};
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Nodes {
    /// How many
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    n: u16,
    /// The first one's port, the others' following; without it ports are free ones
    #[arg(long, value_name = "P")]
    base_port: Option<u16>,
    /// What the chain is made from; the same seed makes the same chain
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many blocks the chain has
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    blocks: u64,
    /// How many signers vouch for blocks when they are asked to; every node has their keys
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=100))]
    signers: u64,
    /// What a node does wrong, by its number: tampered=POINTER, slow=MS, null, empty, refuse=CODE, no-proof, not-final, wrong-id,
    /// hang, drop, garbage
    #[arg(long, value_name = "I=KIND")]
    fault: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs them until interrupted.
pub(super) async fn run(arguments: Nodes) -> Result<(), Failure> {
    let faults = arguments.fault.iter().map(|text| fault(text, arguments.n));
    let faults = faults.collect::<Result<Vec<_>, _>>()?;
    let chain = Arc::new(Chain::seeded(arguments.seed, arguments.blocks));
    let mut nodes = Vec::new();
    for number in 0..arguments.n {
        let port = arguments.base_port.map_or(Some(0), |base| base.checked_add(number));
        let port = port.ok_or_else(|| Failure::usage("the ports from --base-port on are too few"))?;
        let keys = (0..arguments.signers).map(key).collect();
        let node = ProofNode::start_on(port, chain.clone(), keys).await;
        nodes.push(node.map_err(|error| Failure::usage(format!("a port cannot be had: {error}")))?);
    }
    for (node, fault) in faults {
        if let Some(node) = nodes.get(node) {
            node.set_fault(fault);
        }
    }
    announce(&chain, &nodes, &arguments);
    signal::interrupted().await;
    Ok(())
}

fn announce(chain: &Chain, nodes: &[ProofNode], arguments: &Nodes) {
    let urls: Vec<String> = nodes.iter().map(ProofNode::url).collect();
    let signers: Vec<String> =
        (0..arguments.signers).map(|number| address(&key(number)).to_string()).collect();
    let last = chain.blocks().len().saturating_sub(1);
    let accounts: Vec<String> = chain.accounts(last).iter().map(ToString::to_string).collect();
    if arguments.json {
        output::json(
            &json!({ "event": "nodes", "urls": urls, "signers": signers, "accounts": accounts, "latest": last }),
        );
        return;
    }
    for (number, url) in urls.iter().enumerate() {
        output::line(&format!("node {number}  {url}"));
    }
    output::line(&format!("signers {}", signers.join(",")));
    if let Some(account) = accounts.first() {
        let asked = format!("--verify eth --nodes {} eth_getBalance {account} latest", urls.join(","));
        output::line(&format!("try: quorate query {asked}"));
    }
}

fn fault(text: &str, n: u16) -> Result<(usize, ProofFault), Failure> {
    let (node, kind) = text.split_once('=').unwrap_or((text, ""));
    let node = node.parse::<u16>().ok().filter(|node| *node < n).map(usize::from);
    let node = node.ok_or_else(|| Failure::usage(format!("--fault {text}: there is no such node")))?;
    let fault = kind.parse().map_err(|error| Failure::usage(format!("--fault {text}: {error}")))?;
    Ok((node, fault))
}
