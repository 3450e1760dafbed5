//! A real process with a channel on a store is killed at random instants, again and again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers belong to tests")]

use fastrand::Rng;
use quorate_base::TokioClock;
use quorate_channel::sds::{Dialect, SdsMessage};
use quorate_channel::{Channel, ChannelEvent, MessageEnvelope, NoCipher, ReliableChannel, SendOptions};
use quorate_tests::crash::{AppLog, KILLED, PER_SECOND, STAYS, config, identity, number, payload};
use quorate_tests::wire::{Line, read_envelope};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The side that stays: its channel, and what it saw.
struct Witness {
    folder: TempDir,
    listener: TcpListener,
    line: Arc<Line>,
    channel: Channel,
    received: Arc<Mutex<Vec<u32>>>,
    envelopes: Arc<Mutex<Vec<MessageEnvelope>>>,
    sent: Arc<Mutex<u32>>,
}

impl Witness {
    async fn new() -> Self {
        let clock = TokioClock::new();
        let (line, config) = (Arc::new(Line::default()), config(KILLED, None));
        let machine =
            ReliableChannel::open(clock.now(), identity(STAYS), config, Box::new(NoCipher), 5).unwrap();
        let (channel, mut events) = Channel::spawn(machine, clock, line.clone());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    ChannelEvent::Received { payload, .. } => {
                        kept.lock().unwrap().push(number(&payload).unwrap())
                    }
                    ChannelEvent::Gap { missing } => panic!("a gap: {missing:?}"),
                    _ => {}
                }
            }
        });
        Self {
            folder: TempDir::new().unwrap(),
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            line,
            channel,
            received,
            envelopes: Arc::default(),
            sent: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the other side, which sends the numbers up to `last`; returns once it is connected.
    async fn start(&self, last: u32) -> Child {
        let port = self.listener.local_addr().unwrap().port().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_durable-member"))
            .args([self.path("store"), self.path("log")])
            .args([port, last.to_string()])
            .spawn()
            .unwrap();
        let (stream, _) = self.listener.accept().await.unwrap();
        let (mut from, to) = stream.into_split();
        self.line.connect(to).await;
        let (channel, envelopes) = (self.channel.clone(), self.envelopes.clone());
        tokio::spawn(async move {
            while let Ok(envelope) = read_envelope(&mut from).await {
                envelopes.lock().unwrap().push(envelope.clone());
                channel.handle_envelope(envelope);
            }
        });
        child
    }

    /// Keeps some payloads under way until it is dropped.
    fn keep_sending(&self) -> tokio::task::JoinHandle<()> {
        let (channel, sent) = (self.channel.clone(), self.sent.clone());
        tokio::spawn(async move {
            loop {
                if channel.stats().await.unwrap().unacknowledged < 40 {
                    let number = *sent.lock().unwrap() + 1;
                    channel.send(payload(number), SendOptions::default()).await.unwrap();
                    *sent.lock().unwrap() = number;
                } else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    }

    fn log(&self) -> AppLog {
        AppLog::read(&self.path("log")).unwrap()
    }

    /// Whether something that was accepted on either side had not arrived on the other.
    async fn is_at_work(&self) -> bool {
        let arrived: BTreeSet<u32> = self.received.lock().unwrap().iter().copied().collect();
        let accepted = self.log().accepted;
        self.channel.stats().await.unwrap().unacknowledged > 0
            || accepted.iter().any(|number| !arrived.contains(number))
    }

    async fn is_settled(&self) -> bool {
        let sent = *self.sent.lock().unwrap();
        let told: BTreeSet<u32> = self.log().events.into_iter().filter_map(|(_, number)| number).collect();
        !self.is_at_work().await && (1..=sent).all(|number| told.contains(&number))
    }
}

/// Kills the process so often; yields how many times something was under way.
async fn kill(kills: u32, seed: u64) -> u32 {
    let mut random = Rng::with_seed(seed);
    let witness = Witness::new().await;
    let sending = witness.keep_sending();
    let mut at_work = 0;
    for _ in 0..kills {
        let mut child = witness.start(u32::MAX).await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..150))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        at_work += u32::from(witness.is_at_work().await);
    }
    sending.abort();
    let last = witness.log().tried.iter().max().copied().unwrap_or(0);
    let mut child = witness.start(last).await;
    for _ in 0..1_200 {
        if witness.is_settled().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(witness.is_settled().await, "something accepted was not delivered in two minutes");
    child.kill().unwrap();
    child.wait().unwrap();
    check(&witness);
    at_work
}

fn check(witness: &Witness) {
    let log = witness.log();
    let received = witness.received.lock().unwrap().clone();
    assert!(received.windows(2).all(|pair| pair[0] < pair[1]), "out of order, or twice: {received:?}");
    let arrived: BTreeSet<u32> = received.into_iter().collect();
    let lost: Vec<_> = log.accepted.iter().filter(|number| !arrived.contains(number)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    for (at, (seq, _)) in log.events.iter().enumerate() {
        assert_eq!(seq.0, at as u64 + 1, "an event twice, or not at all");
    }
    let told: Vec<u32> = log.events.iter().filter_map(|(_, number)| *number).collect();
    assert_eq!(told, Vec::from_iter(1..=*witness.sent.lock().unwrap()), "each payload once, in order");
    let (mut by_id, mut by_time, mut epochs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for envelope in witness.envelopes.lock().unwrap().iter() {
        let message = SdsMessage::decode(Dialect::Lip, envelope.payload.clone()).unwrap();
        let said = (message.time, message.content.clone());
        assert_eq!(*by_id.entry(message.id.clone()).or_insert(said.clone()), said, "{} twice", message.id);
        assert_eq!(
            *by_time.entry(message.time).or_insert(message.id.clone()),
            message.id,
            "a Lamport time twice"
        );
        *epochs.entry(envelope.timestamp.unwrap() / 1_000_000_000).or_insert(0) += 1;
    }
    let tags: BTreeSet<&str> = by_id.keys().filter_map(|id| id.as_str().get(..8)).collect();
    assert_eq!(tags.len(), 1, "one incarnation");
    let most = epochs.values().max().copied().unwrap_or(0);
    assert!(most <= PER_SECOND, "{most} envelopes in one second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_random_loses_nothing() {
    let at_work = kill(20, 1).await;
    assert!(at_work >= 10, "{at_work} of 20 kills with work in flight");
}

/// `cargo xtask crash` runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn two_hundred_kills_lose_nothing() {
    let at_work = kill(200, 2).await;
    assert!(at_work >= 100, "{at_work} of 200 kills with work in flight");
}
