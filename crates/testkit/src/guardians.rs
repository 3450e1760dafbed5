//! Scripted guardians of a federation on real loopback sockets: honest, lying, slow, silent, broken.
//!
//! The rule: a guardian does exactly what its [`Fault`] says, from the moment [`Guardian::set_fault`] returns, and counts what
//! reaches it. All liars tell the same lie, which is the worst they can do.
//!
//! They speak JSON-RPC 2.0 over websocket and over HTTP/1.1 on the same port, as Fedimint's servers do, and check requests as those
//! do: an unknown method is -32601, anything but an array of one object -32602.

mod fault;
mod script;

pub use fault::{Fault, UnknownFault};
pub use script::{LIVE_VERSION, lie};

use crate::server::{self, Reaction, Service};
use script::Script;
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// How often a port is tried again that a guardian had before.
const REBINDS: u32 = 50;

/// A federation of guardians in this process. Dropping it ends them. Needs a tokio runtime.
#[derive(Debug)]
pub struct Guardians {
    guardians: Vec<Guardian>,
}

/// One guardian.
#[derive(Debug)]
pub struct Guardian {
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    script: Mutex<Script>,
    requests: AtomicU64,
    connections: AtomicU64,
    farewells: AtomicU64,
}

/// A new fault, and whom to tell when it holds.
type Command = (Fault, oneshot::Sender<()>);

impl Guardians {
    /// Starts `n` guardians on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When a port cannot be had.
    pub async fn start(n: u16) -> io::Result<Self> {
        Self::start_on(vec![0; usize::from(n)]).await
    }

    /// Starts a guardian on each of these ports of 127.0.0.1; 0 is a free one.
    ///
    /// # Errors
    ///
    /// When a port cannot be had.
    pub async fn start_on(ports: Vec<u16>) -> io::Result<Self> {
        let mut guardians = Vec::new();
        for port in ports {
            guardians.push(Guardian::start(port).await?);
        }
        let urls: Vec<String> = guardians.iter().map(Guardian::url).collect();
        let guardians = Self { guardians };
        guardians.set_answer("client_config", &script::config(&urls));
        Ok(guardians)
    }

    /// The client config that they answer: themselves.
    pub fn config(&self) -> Value {
        script::config(&self.urls())
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[expect(clippy::panic, reason = "a test asks for a guardian that it started")]
    pub fn guardian(&self, index: usize) -> &Guardian {
        self.guardians.get(index).unwrap_or_else(|| panic!("there is no guardian {index}"))
    }

    /// All of them, by number.
    pub fn iter(&self) -> std::slice::Iter<'_, Guardian> {
        self.guardians.iter()
    }

    /// Their websocket URLs, by number.
    pub fn urls(&self) -> Vec<String> {
        self.iter().map(Guardian::url).collect()
    }

    /// What all of them answer to a method from now on.
    pub fn set_answer(&self, method: &str, answer: &Value) {
        self.iter().for_each(|guardian| guardian.set_answer(method, answer.clone()));
    }

    /// How many requests have reached all of them.
    pub fn requests(&self) -> u64 {
        self.iter().map(Guardian::requests).sum()
    }
}

impl<'a> IntoIterator for &'a Guardians {
    type Item = &'a Guardian;
    type IntoIter = std::slice::Iter<'a, Guardian>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Guardian {
    async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Script::new()),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            farewells: AtomicU64::new(0),
        });
        let (commands, orders) = mpsc::channel(1);
        tokio::spawn(listen(Some(listener), address, shared.clone(), orders));
        Ok(Self { address, shared, commands })
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its websocket URL.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Its HTTP URL.
    pub fn http_url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What it does with requests from now on. When this returns, it does.
    pub async fn set_fault(&self, fault: Fault) {
        let (done, holds) = oneshot::channel();
        // The listener lives as long as this handle; were it gone, there would be nobody to change.
        let _ = self.commands.send((fault, done)).await;
        let _ = holds.await;
    }

    /// What it answers to a method from now on.
    pub fn set_answer(&self, method: &str, answer: Value) {
        self.lock().set_answer(method, answer);
    }

    /// Lets only those in who send this secret, as the password of the user `fedimint`.
    pub fn set_api_secret(&self, secret: &str) {
        self.lock().set_api_secret(secret);
    }

    /// How many requests have reached it.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many of them were closed by a websocket's Close.
    pub fn farewells(&self) -> u64 {
        self.shared.farewells.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.shared.lock()
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Shared {
    fn lets_in(&self, authorization: Option<&[u8]>) -> bool {
        self.lock().lets_in(authorization)
    }

    fn said_goodbye(&self) {
        self.farewells.fetch_add(1, Ordering::SeqCst);
    }

    fn react(&self, request: &[u8]) -> Reaction {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.lock().react(request)
    }
}

/// Accepts connections as long as the fault lets it, until the handle is dropped.
async fn listen(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<Command>,
) {
    let mut connections = JoinSet::new();
    let mut accepts = true;
    loop {
        let accepting = async {
            match (&listener, accepts) {
                (Some(listener), true) => listener.accept().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((fault, done)) = order else { return };
                if matches!(fault, Fault::Refuse | Fault::Drop | Fault::BlackHole) {
                    // Those who are connected notice, or wait for ever: see `connection`.
                    if fault != Fault::BlackHole {
                        connections.shutdown().await;
                    }
                }
                accepts = !matches!(fault, Fault::BlackHole | Fault::Refuse);
                if fault == Fault::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = rebind(address).await;
                }
                shared.lock().fault = fault;
                // Nobody waits any more: the fault holds all the same.
                let _ = done.send(());
            }
            Some(_) = connections.join_next() => {}
            accepted = accepting => {
                if let Ok((stream, _)) = accepted {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(server::serve(stream, shared.clone()));
                }
            }
        }
    }
}

/// The port that the guardian had; somebody else may hold it for a moment.
async fn rebind(address: SocketAddr) -> Option<TcpListener> {
    for _ in 0..REBINDS {
        if let Ok(listener) = TcpListener::bind(address).await {
            return Some(listener);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}
