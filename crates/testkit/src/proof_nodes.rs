//! Ethereum nodes on loopback sockets that prove what they answer: honest, lying at a chosen place, slow, silent, refusing.
//!
//! The rule: a node does exactly what its [`ProofFault`] says, from the moment [`ProofNode::set_fault`] returns, and counts what
//! reaches it. What it knows is a [`Chain`], and what it answers comes out of that chain's tries.
//!
//! They speak JSON-RPC 2.0 with IN3's proofs over HTTP/1.1 and over websocket on the same port, take single requests and batches, and sign
//! with those of their signers that a request names.

mod fault;

pub use fault::{ProofFault, UnknownProofFault};

use crate::chain::{Chain, Proof, Signers, address};
use crate::server::{self, Reaction, Service};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// How many answers a node remembers.
const MAX_KNOWN: usize = 256;

/// A node in this process. Dropping it ends it. Needs a tokio runtime.
#[derive(Debug)]
pub struct ProofNode {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    chain: Arc<Chain>,
    signers: Vec<SigningKey>,
    fault: Mutex<ProofFault>,
    requests: AtomicU64,
    /// Honest answers by what was asked, but for the id: making a proof costs more than checking it.
    known: Mutex<BTreeMap<String, Value>>,
}

impl ProofNode {
    /// Starts an honest node that knows `chain` on a free port of 127.0.0.1. It has the keys of `signers`.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub async fn start(chain: Arc<Chain>, signers: Vec<SigningKey>) -> io::Result<Self> {
        Self::start_on(0, chain, signers).await
    }

    /// The same on this port; 0 is a free one.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub async fn start_on(port: u16, chain: Arc<Chain>, signers: Vec<SigningKey>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (fault, known) = (Mutex::new(ProofFault::Honest), Mutex::default());
        let shared = Arc::new(Shared { chain, signers, fault, requests: AtomicU64::new(0), known });
        let listening = tokio::spawn(listen(listener, shared.clone()));
        Ok(Self { address, shared, listening })
    }

    /// Its HTTP URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Its websocket URL.
    pub fn websocket_url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// What it does with requests from now on.
    pub fn set_fault(&self, fault: ProofFault) {
        *self.shared.fault() = fault;
    }

    /// How many requests have reached it; a batch is one.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for ProofNode {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(server::serve(stream, shared.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    fn fault(&self) -> MutexGuard<'_, ProofFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an honest node answers to one request.
    fn honest(&self, request: &Value) -> Value {
        let asked = format!("{} {} {}", request["method"], request["params"], request["in3"]);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let mut answer = known.entry(asked).or_insert_with(|| self.prove(request)).clone();
        answer["id"] = request["id"].clone();
        answer
    }

    fn prove(&self, request: &Value) -> Value {
        let (id, method) = (&request["id"], request["method"].as_str().unwrap_or_default());
        let section = &request["in3"];
        let named = |key: &&SigningKey| {
            let address = address(key);
            let is = |signer: &Value| signer.as_str().and_then(|text| text.parse().ok()) == Some(address);
            section["signers"].as_array().is_some_and(|signers| signers.iter().any(is))
        };
        let keys = self.signers.iter().filter(named).cloned().collect();
        let full = section["useFullProof"] == true;
        let mut answer = self.chain.answer(
            id,
            method,
            &request["params"],
            &Proof { signers: Signers { keys, registry: None }, full },
        );
        let asked = section.is_object() && section["verification"] != "never";
        if let (false, Some(object)) = (asked, answer.as_object_mut()) {
            object.remove("in3");
        }
        answer
    }
}

impl Service for Shared {
    fn react(&self, request: &[u8]) -> Reaction {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let Ok(request) = serde_json::from_slice::<Value>(request) else {
            let error = json!({ "code": -32_700, "message": "Parse error" });
            return say(&json!({ "jsonrpc": "2.0", "id": null, "error": error }));
        };
        let fault = self.fault().clone();
        let answer = |request: &Value| fault.bend(self.honest(request));
        let answers = match request.as_array() {
            Some(requests) => requests.iter().map(answer).collect(),
            None => answer(&request),
        };
        match fault {
            ProofFault::Slow(after) => Reaction::Say(after, vec![answers.to_string().into_bytes()]),
            ProofFault::Hang => Reaction::Nothing,
            ProofFault::Drop => Reaction::Close,
            ProofFault::Garbage => Reaction::Say(Duration::ZERO, vec![vec![0xff; 64]]),
            _ => say(&answers),
        }
    }
}

fn say(answer: &Value) -> Reaction {
    Reaction::Say(Duration::ZERO, vec![answer.to_string().into_bytes()])
}
