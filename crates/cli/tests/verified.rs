//! `query --verify eth` and `proof nodes` as a person runs them: the real binary, against nodes on loopback.

use quorate_testkit::chain::{Chain, address, key};
use quorate_testkit::proof_nodes::{ProofFault, ProofNode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Nodes on a runtime of their own, their URLs, and an account.
struct Nodes {
    _runtime: Runtime,
    _nodes: Vec<ProofNode>,
    chain: Arc<Chain>,
    urls: String,
    account: String,
}

fn nodes(faults: &[ProofFault]) -> Nodes {
    let runtime = Runtime::new().expect("a runtime");
    let chain = Arc::new(Chain::seeded(7, 24));
    let nodes: Vec<_> = runtime.block_on(async {
        let mut nodes = Vec::new();
        for fault in faults {
            let node = ProofNode::start(chain.clone(), vec![key(0)]).await.expect("a loopback port");
            node.set_fault(fault.clone());
            nodes.push(node);
        }
        nodes
    });
    let urls = nodes.iter().map(ProofNode::url).collect::<Vec<_>>().join(",");
    let account = chain.accounts(23)[0].to_string();
    Nodes { _runtime: runtime, _nodes: nodes, chain, urls, account }
}

fn query(nodes: &Nodes, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["query", "--verify", "eth", "--nodes", &nodes.urls]).args(arguments);
    command.output().expect("the command runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn the_verified_value_stands_alone_and_its_worth_beside_it() {
    let nodes = nodes(&[ProofFault::Tampered("/result".to_owned()), ProofFault::Null, ProofFault::Honest]);
    let params = json!([nodes.account, "latest"]);
    let truth = nodes.chain.answer(&json!(1), "eth_getBalance", &params, &Default::default());
    let output = query(&nodes, &["eth_getBalance", &nodes.account, "latest"]);
    assert_eq!((output.status.code(), out(&output)), (Some(0), format!("{}\n", truth["result"])));
    assert!(err(&output).starts_with("consistent: "), "{}", err(&output));

    let signer = address(&key(0)).to_string();
    let arguments =
        ["eth_getBalance", &nodes.account, "latest", "--signers", &signer, "--race", "3", "--json"];
    let output = query(&nodes, &arguments);
    let told: Value = serde_json::from_str(&out(&output)).expect("one JSON object");
    assert_eq!(
        (output.status.code(), &told["trust"], &told["value"]),
        (Some(0), &json!("anchored"), &truth["result"])
    );
    assert_eq!(told["questions"].as_array().map(Vec::len), Some(3));
}

#[test]
fn without_a_proof_there_is_a_table_and_exit_code_1() {
    let nodes = nodes(&[ProofFault::Tampered("/result".to_owned()), ProofFault::Null, ProofFault::Drop]);
    let output = query(&nodes, &["--timeout", "2", "eth_getBalance", &nodes.account, "latest"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    for told in ["lied: $.result: it differs from what is proven", "null, without a proof", "failed: "] {
        assert!(err(&output).contains(told), "{told} in:\n{}", err(&output));
    }
}

#[test]
fn who_wants_anchored_answers_gets_no_others() {
    let nodes = nodes(&[ProofFault::Honest]);
    let lonely = query(&nodes, &["--anchored", "eth_getBalance", &nodes.account, "latest"]);
    assert_eq!(lonely.status.code(), Some(2), "nobody was named who could vouch");
    let other = format!("5:{}", nodes.chain.blocks()[5].hash);
    let output = query(
        &nodes,
        &["--timeout", "1", "--anchored", "--trusted", &other, "eth_getBalance", &nodes.account, "latest"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("nobody vouches for its header"), "{}", err(&output));
    let trusted = format!("23:{}", nodes.chain.blocks()[23].hash);
    let output =
        query(&nodes, &["--anchored", "--trusted", &trusted, "eth_getBalance", &nodes.account, "latest"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("anchored: its block has the trusted hash"), "{}", err(&output));
    // Numbers and hashes as people copy them.
    let trusted = format!("0x17:{}", nodes.chain.blocks()[23].hash.to_string().to_uppercase());
    let arguments = [
        "--anchored",
        "--chain-id",
        "0x1",
        "--trusted",
        &trusted,
        "eth_getBalance",
        &nodes.account,
        "latest",
    ];
    let output = query(&nodes, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_transaction_of_another_chain_is_not_the_one_that_was_asked_for() {
    let nodes = nodes(&[ProofFault::Honest]);
    let transactions = nodes.chain.blocks().iter().flat_map(|block| &block.transactions);
    // Old ones name no chain.
    let named = |hash: &String| {
        let told =
            nodes.chain.answer(&json!(1), "eth_getTransactionByHash", &json!([hash]), &Default::default());
        told["result"]["chainId"] == json!("0x1")
    };
    let mut hashes = transactions.map(|(transaction, _)| transaction.tx_hash().to_string());
    let hash = hashes.find(named).expect("one names its chain");
    for (chain, code) in [("1", 0), ("5", 1)] {
        let arguments = ["--timeout", "1", "--chain-id", chain, "eth_getTransactionByHash", &hash];
        let output = query(&nodes, &arguments);
        assert_eq!(output.status.code(), Some(code), "chain {chain}: {}{}", out(&output), err(&output));
    }
}

#[test]
fn what_cannot_be_asked_is_exit_code_2() {
    let nodes = nodes(&[]);
    let nodes = Nodes { urls: "http://127.0.0.1:1".to_owned(), ..nodes };
    let twice = format!("{0},{0}", nodes.account);
    let contradiction = format!("7:0x{:064x},0x7:0x{:064x}", 1, 2);
    for arguments in [
        &["eth_call", "{}"][..],
        &["eth_getBalance"],
        &["eth_getBalance", "7", "--race", "0"],
        &["eth_getBalance", &nodes.account, "--signers", "me"],
        &["eth_getBalance", &nodes.account, "--trusted", "7"],
        &["eth_getBalance", &nodes.account, "--trusted", &contradiction],
        &["eth_getBalance", &nodes.account, "--signers", &twice],
        &["eth_getBalance", &nodes.account[..41], "latest"],
        &["eth_getBalance", &nodes.account, "--peers", "ws://127.0.0.1:1"],
    ] {
        assert_eq!(query(&nodes, arguments).status.code(), Some(2), "{arguments:?}");
    }
    let without = Command::new(env!("CARGO_BIN_EXE_quorate")).args(["query", "session_count"]).output();
    assert_eq!(without.expect("the command runs").status.code(), Some(2));
}

#[test]
fn nodes_to_try_things_on_say_where_they_are() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["proof", "nodes", "--n", "2", "--fault", "0=null", "--json"]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("the command runs");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let told: Value = serde_json::from_str(&line).expect("a JSON object");
    let text = |value: &Value| value.as_str().map(str::to_owned).expect("a text");
    let urls: Vec<_> = told["urls"].as_array().expect("URLs").iter().map(text).collect();
    let nodes = Nodes { urls: urls.join(","), ..nodes(&[]) };
    let signers: Vec<_> = told["signers"].as_array().expect("signers").iter().map(text).collect();
    let account = text(&told["accounts"][0]);
    let output = query(&nodes, &["eth_getBalance", &account, "latest", "--signers", &signers.join(",")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).starts_with("anchored: "), "{}", err(&output));
    process.kill().expect("it runs until it is stopped");
    process.wait().expect("it ends");
}
