//! The seed's own two tests, where they differ from it with the reason, and what the seed gets wrong.

use super::*;
use crate::endpoint::Endpoint;
use bytes::Bytes;
use quorate_base::Backoff;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What the connections of one test do; each test has its own, found by the endpoint's port.
#[derive(Default)]
struct Script {
    connects: AtomicUsize,
    /// Numbers of connections that are lost, or cannot be opened.
    failing: Mutex<HashSet<usize>>,
}

static SCRIPTS: Mutex<Vec<(u16, Arc<Script>)>> = Mutex::new(Vec::new());

fn script(port: u16) -> Arc<Script> {
    let mut scripts = SCRIPTS.lock().unwrap();
    if let Some((_, script)) = scripts.iter().find(|(of, _)| *of == port) {
        return script.clone();
    }
    scripts.push((port, Arc::default()));
    scripts.last().unwrap().1.clone()
}

struct Scripted {
    number: usize,
    script: Arc<Script>,
}

#[async_trait]
impl JsonRpcClient for Scripted {
    async fn connect(endpoint: &Endpoint, _settings: &ClientSettings) -> Result<Self, ConnectFault> {
        let script = script(endpoint.port());
        let number = script.connects.fetch_add(1, Ordering::SeqCst);
        // In virtual time: others come meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        match script.failing.lock().unwrap().contains(&number) {
            true => Err(ConnectFault::Io(std::io::ErrorKind::ConnectionRefused)),
            false => Ok(Self { number, script: script.clone() }),
        }
    }

    fn is_connected(&self) -> bool {
        !self.script.failing.lock().unwrap().contains(&self.number)
    }

    async fn request(&self, _call: &Call) -> Result<Answer, PeerError> {
        match self.is_connected() {
            true => Ok(Answer(Bytes::from_static(b"null"))),
            false => Err(PeerError::Closed),
        }
    }
}

fn peer(port: u16, pause: Duration) -> (Reconnecting<Scripted>, Arc<Script>) {
    let mut settings = ClientSettings::new().unwrap();
    settings.connect_backoff = Backoff::new(pause, pause).jitter(0.0);
    let endpoint = format!("ws://127.0.0.1:{port}").parse().unwrap();
    (Reconnecting::new(endpoint, Arc::new(settings)), script(port))
}

fn connects(script: &Script) -> usize {
    script.connects.load(Ordering::SeqCst)
}

fn fail(script: &Script, number: usize) {
    script.failing.lock().unwrap().insert(number);
}

#[tokio::test(start_paused = true)]
async fn test_connect() {
    let (peer, script) = peer(1, Duration::ZERO);
    let call = Call::bare("");
    assert_eq!(connects(&script), 0, "should not connect before first request");
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 1, "should connect once after first request");
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 1, "should not connect again before disconnect");
    fail(&script, 0);
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 2, "should connect again after disconnect");
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests() {
    let (peer, script) = peer(2, Duration::ZERO);
    let call = Call::bare("");
    fail(&script, 0);
    assert!(peer.request(&call).await.is_err(), "connect for client 0 should fail");
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 2, "should connect again after error in first connect");
    fail(&script, 1);
    let (a, b) = tokio::join!(peer.request(&call), peer.request(&call));
    a.unwrap();
    b.unwrap();
    assert_eq!(connects(&script), 3, "should connect once even for two concurrent requests");
    // In the seed the second waiter connects once more (5 connects), so that N waiters of a peer that hangs wait N times
    // in a row. Here one connect that fails is the answer to all who waited for it.
    fail(&script, 2);
    fail(&script, 3);
    let (a, b) = tokio::join!(peer.request(&call), peer.request(&call));
    assert!(a.is_err() && b.is_err());
    assert_eq!(connects(&script), 4);
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 5);
}

#[tokio::test(start_paused = true)]
async fn in_the_pause_after_a_failure_requests_fail_at_once() {
    let (peer, script) = peer(3, Duration::from_secs(3));
    let call = Call::bare("");
    fail(&script, 0);
    peer.request(&call).await.unwrap_err();
    let began = Instant::now();
    let error = peer.request(&call).await.unwrap_err();
    assert_eq!((began.elapsed(), connects(&script)), (Duration::ZERO, 1));
    assert!(error.to_string().starts_with("connection refused (not tried again for "), "{error}");
    tokio::time::advance(Duration::from_secs(4)).await;
    peer.request(&call).await.unwrap();
    assert_eq!(connects(&script), 2);
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_lost_early_are_paused_from_the_second_on() {
    let (peer, script) = peer(4, Duration::from_secs(3));
    let call = Call::bare("");
    peer.request(&call).await.unwrap();
    fail(&script, 0);
    peer.request(&call).await.unwrap();
    fail(&script, 1);
    let error = peer.request(&call).await.unwrap_err();
    assert!(matches!(error, PeerError::Connect(ConnectError { retry_in: Some(_), .. })), "{error}");
    assert_eq!(connects(&script), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connect_goes_on_when_those_who_wait_give_up() {
    let (peer, script) = peer(5, Duration::ZERO);
    let call = Call::bare("");
    for _ in 0..3 {
        let given_up = tokio::time::timeout(Duration::from_millis(40), peer.request(&call)).await;
        if let Ok(answer) = given_up {
            answer.unwrap();
        }
    }
    assert_eq!(connects(&script), 1, "one connect of 100 ms, three waits of 40 ms");
    assert!(peer.is_connected());
}
