//! Durable messages per second: what a channel on a store in a file accepts, and what crosses between two of them.
//!
//! `cargo xtask bench durable`. Each message of 100 bytes is on disk before its send is answered (and, in `delivered`, before
//! the other side acknowledges it); how many share one `fsync` is the drivers' business.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set up fails")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_base::{MemoryStore, RedbStore, Store, TokioClock};
use quorate_channel::{
    Channel, ChannelConfig, ChannelEvent, ChannelEvents, Dispatch, Identity, Messaging, MessagingError,
    NoCipher, SendOptions,
};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Messages in one round.
const MESSAGES: u64 = 20_000;
/// Sends that wait for their answer at a time.
const AT_ONCE: u64 = 1_024;

/// The other member, when there is one.
#[derive(Default)]
struct Peer(OnceLock<Channel>);

#[async_trait::async_trait]
impl Messaging for Peer {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        if let Some(peer) = self.0.get() {
            peer.handle_envelope(dispatch.envelope.clone());
        }
        Ok(())
    }
}

async fn open(name: &str, store: Arc<dyn Store>, peer: Arc<Peer>) -> (Channel, ChannelEvents) {
    let identity =
        Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: name.into() };
    let config = ChannelConfig {
        max_unacknowledged: 1 << 20,
        max_in_flight: 4_096,
        max_unconfirmed_events: 1 << 20,
        rate_limit: quorate_channel::RateLimitConfig { max_queued: 1 << 20, ..Default::default() },
        ..ChannelConfig::default()
    };
    Channel::open(store, None, identity, config, Box::new(NoCipher), TokioClock::new(), peer).await.unwrap()
}

/// Sends all messages, many at a time.
async fn send_all(channel: &Channel) {
    let senders = (0..AT_ONCE).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for _ in 0..MESSAGES / AT_ONCE {
                channel.send(Bytes::from_static(&[7; 100]), SendOptions::default()).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

/// Until every send was answered.
async fn accepted(store: Arc<dyn Store>) -> Duration {
    let (channel, mut events) = open("alice", store, Arc::default()).await;
    let drained = tokio::spawn(async move { while events.next().await.is_some() {} });
    let began = Instant::now();
    send_all(&channel).await;
    let took = began.elapsed();
    channel.shutdown().await;
    drop(channel);
    drained.await.unwrap();
    took
}

/// Until the other member, on a store too, was given every payload.
async fn delivered(stores: [Arc<dyn Store>; 2]) -> Duration {
    let [to_bob, to_alice] = [Arc::<Peer>::default(), Arc::<Peer>::default()];
    let [first, second] = stores;
    let (alice, mut alice_events) = open("alice", first, to_bob.clone()).await;
    let (bob, mut bob_events) = open("bob", second, to_alice.clone()).await;
    to_bob.0.set(bob.clone()).ok().unwrap();
    to_alice.0.set(alice.clone()).ok().unwrap();
    let drained = tokio::spawn(async move { while alice_events.next().await.is_some() {} });
    let began = Instant::now();
    let sending = alice.clone();
    let sent = tokio::spawn(async move { send_all(&sending).await });
    let mut received = 0;
    while received < MESSAGES / AT_ONCE * AT_ONCE {
        let told = bob_events.next_logged().await.unwrap();
        received += u64::from(matches!(told.event, ChannelEvent::Received { .. }));
        if let (0, Some(seq)) = (received % 4_096, told.seq) {
            bob.confirm(seq).await.unwrap();
        }
    }
    let took = began.elapsed();
    sent.await.unwrap();
    alice.shutdown().await;
    bob.shutdown().await;
    drained.abort();
    took
}

fn durable(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("durable");
    group.sample_size(10).throughput(Throughput::Elements(MESSAGES / AT_ONCE * AT_ONCE));
    let redb = |folder: &TempDir, name: &str| -> Arc<dyn Store> {
        Arc::new(RedbStore::open(folder.path().join(name)).unwrap())
    };
    let repeat = |rounds: u64, round: &dyn Fn() -> Duration| (0..rounds).map(|_| round()).sum::<Duration>();
    group.bench_function("accepted/redb", |bench| {
        let round = || {
            let folder = TempDir::new().unwrap();
            runtime.block_on(accepted(redb(&folder, "a")))
        };
        bench.iter_custom(|rounds| repeat(rounds, &round));
    });
    group.bench_function("accepted/memory", |bench| {
        let round = || runtime.block_on(accepted(Arc::new(MemoryStore::new())));
        bench.iter_custom(|rounds| repeat(rounds, &round));
    });
    group.bench_function("delivered/redb", |bench| {
        let round = || {
            let folder = TempDir::new().unwrap();
            runtime.block_on(delivered([redb(&folder, "a"), redb(&folder, "b")]))
        };
        bench.iter_custom(|rounds| repeat(rounds, &round));
    });
    group.finish();
}

criterion_group!(benches, durable);
criterion_main!(benches);
