//! Both drivers of verified requests with a verifier and nodes that stand still when they are told to.
//!
//! The rule: whoever stands still holds up its own request, and what nobody waits for any more ends.

#![expect(
    clippy::disallowed_methods,
    reason = "the machine has no threads, its blocking driver and these nodes have"
)]

use async_trait::async_trait;
use bytes::Bytes;
use quorate_query::pool::{Node, NodeState, Pool, PoolConfig};
use quorate_query::verified::{
    BlockingHttp, BlockingTransport, BlockingVerified, Clients, Context, Transport, Unproven, Verdict,
    VerifiedBuilder, VerifiedConfig, Verifier, Waiting,
};
use quorate_query::{Call, ClientSettings, PeerError, Reason};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Long beyond what any of this takes; who waits so long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(30);

/// Believes everything. Answers to `slow` it judges when it is let go.
struct Gate {
    reached: Mutex<Sender<()>>,
    let_go: Mutex<Receiver<()>>,
}

impl Gate {
    /// The verifier, what says that it stands still, and what lets it go.
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (reached, arrivals) = channel();
        let (open, let_go) = channel();
        (Self { reached: Mutex::new(reached), let_go: Mutex::new(let_go) }, arrivals, open)
    }
}

impl Verifier for Gate {
    type Request = String;
    type Output = Bytes;

    fn encode(&self, request: &String, _context: Context<'_, Self>) -> Result<Vec<Call>, Reason> {
        Call::plain(request.as_str(), &[0]).map(|call| vec![call]).map_err(Reason::new)
    }

    fn verify(
        &self,
        request: &String,
        answers: &[Bytes],
        _context: Context<'_, Self>,
    ) -> Verdict<String, Bytes> {
        if request == "slow" {
            // Who lets it go may be gone; then it goes.
            let _ = self.reached.lock().map(|reached| reached.send(()));
            let _ = self.let_go.lock().map(|gate| gate.recv());
        }
        answers.first().cloned().map_or(Verdict::Unproven(Unproven::Null), Verdict::Verified)
    }

    fn show(&self, output: &Bytes) -> Bytes {
        output.clone()
    }

    fn name(&self, request: &String) -> String {
        request.clone()
    }
}

fn pool(urls: &[String]) -> Pool {
    let mut pool = Pool::new(PoolConfig::default());
    for url in urls {
        pool.insert(Node::at(url.parse().expect("a URL"))).expect("room");
    }
    pool
}

fn nodes(count: u16) -> Pool {
    pool(&(1..=count).map(|port| format!("http://127.0.0.1:{port}/")).collect::<Vec<_>>())
}

fn racing(nodes: usize) -> VerifiedConfig {
    VerifiedConfig {
        race: NonZeroUsize::new(nodes).expect("not zero"),
        attempt_timeout: FOR_EVER * 60,
        deadline: FOR_EVER * 60,
        ..VerifiedConfig::default()
    }
}

/// Answers at once.
struct Quick;

#[async_trait]
impl Transport for Quick {
    async fn exchange(&self, _request: u64, _node: &Node, calls: &[Call]) -> Result<Vec<Bytes>, PeerError> {
        Ok(calls.iter().map(|_| Bytes::from_static(b"1")).collect())
    }
}

impl BlockingTransport for Quick {
    fn exchange(
        &self,
        _request: u64,
        _node: &Node,
        calls: &[Call],
        _waiting: &Waiting,
    ) -> Result<Vec<Bytes>, PeerError> {
        Ok(calls.iter().map(|_| Bytes::from_static(b"1")).collect())
    }
}

#[test]
fn a_verifier_that_stands_still_holds_up_no_other_blocking_request() {
    let (gate, arrivals, open) = Gate::new();
    let client = VerifiedBuilder::new(gate, nodes(3)).with_config(racing(1)).blocking(Quick);
    let (slow, quick) = (client.clone(), client);
    let slow = thread::spawn(move || slow.ask("slow".to_owned()).map(|success| success.value));
    arrivals.recv_timeout(FOR_EVER).expect("it stands still");
    let (say, heard) = channel();
    thread::spawn(move || say.send(quick.ask("quick".to_owned()).map(|success| success.value)));
    let value = heard.recv_timeout(FOR_EVER).expect("it ends while the other stands still");
    assert_eq!(&value.expect("a value")[..], b"1");
    drop(open);
    assert_eq!(&slow.join().expect("no panic").expect("a value")[..], b"1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_verifier_that_stands_still_holds_up_no_other_async_request() {
    let (gate, arrivals, open) = Gate::new();
    let client = VerifiedBuilder::new(gate, nodes(3)).with_config(racing(1)).client(Quick);
    let (slow, quick) = (client.clone(), client);
    let slow = tokio::spawn(async move { slow.ask("slow".to_owned()).await.map(|success| success.value) });
    let arrived = tokio::task::spawn_blocking(move || arrivals.recv_timeout(FOR_EVER));
    arrived.await.expect("no panic").expect("it stands still");
    // On a thread of its own, so that the clock goes on whatever it does.
    let quick = tokio::spawn(async move { quick.ask("quick".to_owned()).await.map(|success| success.value) });
    let value = tokio::time::timeout(FOR_EVER, quick).await.expect("it ends while the other stands still");
    assert_eq!(&value.expect("no panic").expect("a value")[..], b"1");
    drop(open);
    slow.await.expect("no panic").expect("a value");
}

/// Counts who is inside at once, and lets nobody out before so many were there, or it is closed.
struct Crowd {
    inside: AtomicUsize,
    most: Arc<AtomicUsize>,
    leave: Mutex<Receiver<()>>,
}

impl BlockingTransport for Crowd {
    fn exchange(
        &self,
        _request: u64,
        _node: &Node,
        _calls: &[Call],
        _waiting: &Waiting,
    ) -> Result<Vec<Bytes>, PeerError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let left = self.leave.lock().map(|leave| leave.recv());
        self.inside.fetch_sub(1, Ordering::SeqCst);
        left.map_or(Err(PeerError::Closed), |_| Ok(vec![Bytes::from_static(b"1")]))
    }
}

#[test]
fn there_are_never_more_threads_than_were_allowed() {
    let (gate, _arrivals, _open) = Gate::new();
    let (open, leave) = channel();
    let most = Arc::new(AtomicUsize::new(0));
    let crowd = Crowd { inside: AtomicUsize::new(0), most: most.clone(), leave: Mutex::new(leave) };
    let two = NonZeroUsize::new(2).expect("not zero");
    let client =
        VerifiedBuilder::new(gate, nodes(9)).with_config(racing(3)).with_exchanges(two).blocking(crowd);
    let asking: Vec<_> = (0..6)
        .map(|number| {
            let client = client.clone();
            thread::spawn(move || client.ask(number.to_string()).map(|success| success.value))
        })
        .collect();
    let mut threads = 0;
    while most.load(Ordering::SeqCst) < 2 {
        threads = threads.max(client.exchanges());
        thread::yield_now();
    }
    assert!(threads <= 2 && client.exchanges() <= 2);
    drop(open);
    for asked in asking {
        asked.join().expect("no panic").expect("a value, though 18 exchanges share 2 threads");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// A node that answers, and one that takes a request and says nothing; what the second one saw of its connection's end.
fn talker_and_hanger() -> (Vec<String>, Receiver<usize>) {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (talker, hanger) = (listen(), listen());
    let urls =
        [&talker, &hanger].map(|listener| format!("http://{}/", listener.local_addr().expect("bound")));
    let (say, heard) = channel();
    let (taken, request_taken) = channel();
    thread::spawn(move || {
        for mut stream in hanger.incoming().flatten() {
            read_request(&mut stream);
            let _ = taken.send(());
            // Ends when the other side closes.
            let _ = say.send(stream.read(&mut [0; 64]).unwrap_or(0));
        }
    });
    thread::spawn(move || {
        for mut stream in talker.incoming().flatten() {
            while let Some(request) = read_request(&mut stream) {
                // Not before the other one has its request.
                let _ = request_taken.recv();
                let id = request[0]["id"].clone();
                let body = serde_json::json!([{ "jsonrpc": "2.0", "id": id, "result": 1 }]).to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (urls.to_vec(), heard)
}

fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(part.get(..length)?);
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(request) = head.and_then(|head| serde_json::from_slice(bytes.get(head + 4..)?).ok()) {
            return Some(request);
        }
    }
}

#[test]
fn an_exchange_that_nobody_waits_for_is_cut_and_its_thread_ends() {
    let (urls, closed) = talker_and_hanger();
    let (gate, _arrivals, _open) = Gate::new();
    let client: BlockingVerified<Gate> =
        VerifiedBuilder::new(gate, pool(&urls)).with_config(racing(2)).blocking(BlockingHttp::default());
    for _ in 0..3 {
        client.ask("value".to_owned()).expect("the one that talks");
        // Its timeout is an hour.
        assert_eq!(closed.recv_timeout(FOR_EVER), Ok(0), "the connection is closed");
    }
    while client.exchanges() > 0 {
        thread::yield_now();
    }
    assert!(client.snapshot().nodes.iter().all(|node| node.state == NodeState::Ready), "nobody is blamed");
}

/// Says who asked, by the `Authorization` header.
fn who_asks() -> (String, Receiver<Option<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let (say, heard) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4_096];
            let length = stream.read(&mut bytes).unwrap_or(0);
            let head = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).to_lowercase();
            let line = head.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
            let _ = say.send(line);
        }
    });
    (address.to_string(), heard)
}

#[tokio::test]
async fn a_client_is_kept_for_a_url_and_who_asks_there() {
    let (address, heard) = who_asks();
    let clients = Clients::new(ClientSettings::new().expect("TLS"));
    let endpoint: quorate_query::Endpoint = format!("http://{address}/").parse().expect("a URL");
    let call = [Call::plain("value", &[0]).expect("a call")];
    let mut told = Vec::new();
    for secret in [None, Some("one"), Some("two")] {
        let endpoint =
            secret.map_or_else(|| endpoint.clone(), |secret| endpoint.clone().with_api_secret(secret));
        // It closes without an answer, and hears who asks all the same.
        let _ = clients.exchange(0, &Node::at(endpoint), &call).await;
        told.push(heard.recv_timeout(FOR_EVER).expect("it is asked"));
    }
    assert_eq!(told[0], None);
    assert!(told[1].is_some() && told[2].is_some() && told[1] != told[2], "{told:?}");
}
