//! What a channel costs: SDS by length of history, and the whole sending pipeline beside the hash that bounds it.
//!
//! `cargo bench -p quorate-channel`. The first group must be flat; the two rates of the second tell how much of the
//! hashing limit is reached.

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_base::{Mono, Now, Wall};
use quorate_channel::{
    ChannelConfig, ChannelKey, Cipher, DispatchOutcome, Identity, MessageEnvelope, NoCipher, Output,
    ReliableChannel, SendOptions, XChaCha20Poly1305Cipher,
};
use sha3::{Digest, Keccak256};
use std::time::Duration;

/// Two channels and the time between them.
struct Pair {
    now: Now,
    alice: ReliableChannel,
    bob: ReliableChannel,
    payload: Vec<u8>,
    sent: u64,
}

fn open(participant: &str, entropy: u64, cipher: Box<dyn Cipher>) -> ReliableChannel {
    let identity =
        Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: participant.into() };
    let config = ChannelConfig { max_in_flight: 1_024, ..ChannelConfig::default() };
    ReliableChannel::open(start(), identity, config, cipher, entropy).expect("the defaults are valid")
}

fn start() -> Now {
    Now::new(Mono::ZERO, Wall::from_unix_millis(1_700_000_000_000))
}

impl Pair {
    /// Two that have exchanged `history` messages.
    fn after(history: u64) -> Self {
        let (alice, bob) = (open("alice", 1, Box::new(NoCipher)), open("bob", 2, Box::new(NoCipher)));
        let mut pair = Self { now: start(), alice, bob, payload: vec![7; 1_024], sent: 0 };
        (0..history).for_each(|_| pair.exchange());
        pair
    }

    /// One message of 1 KiB, of alice and of bob in turn: wrapped, handed over, unwrapped, delivered.
    fn exchange(&mut self) {
        let mono = self.now.mono + Duration::from_millis(1);
        self.now = Now::new(mono, Wall::from_unix(start().wall.unix() + mono.elapsed()));
        self.sent += 1;
        self.payload[..8].copy_from_slice(&self.sent.to_be_bytes());
        let (from, to) = if self.sent.is_multiple_of(2) {
            (&mut self.alice, &mut self.bob)
        } else {
            (&mut self.bob, &mut self.alice)
        };
        let payload = Bytes::copy_from_slice(&self.payload);
        from.handle_send(self.now, payload, SendOptions::default()).expect("there is room");
        for envelope in dispatched(from, self.now) {
            to.handle_envelope(self.now, envelope).expect("it is ours");
            while to.poll_output().is_some() {}
        }
    }
}

/// What a channel sends, confirmed at once.
fn dispatched(channel: &mut ReliableChannel, now: Now) -> Vec<MessageEnvelope> {
    let mut envelopes = Vec::new();
    while let Some(output) = channel.poll_output() {
        if let Output::Dispatch(dispatch) = output {
            channel.handle_dispatched(now, dispatch.id, DispatchOutcome::Confirmed);
            envelopes.push(dispatch.envelope);
        }
    }
    envelopes
}

fn sds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wrap and unwrap 1 KiB");
    group.throughput(Throughput::Elements(1));
    for history in [1_000_u64, 10_000, 100_000] {
        let mut pair = Pair::after(history);
        group
            .bench_function(BenchmarkId::from_parameter(history), |bencher| bencher.iter(|| pair.exchange()));
    }
    group.finish();
}

fn sending(criterion: &mut Criterion) {
    const MIB: usize = 1 << 20;
    let payload = Bytes::from(vec![7; MIB]);
    let mut group = criterion.benchmark_group("1 MiB");
    group.throughput(Throughput::Bytes(MIB as u64));
    group.bench_function("Keccak-256 alone", |bencher| bencher.iter(|| Keccak256::digest(&payload)));
    let cipher = || Box::new(XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([1; 32]), [1; 16]));
    group.bench_function("sending pipeline", |bencher| {
        bencher.iter_batched(
            || open("alice", 1, cipher()),
            |mut alice| {
                alice.handle_send(start(), payload.clone(), SendOptions::default()).expect("there is room");
                let sent: usize = dispatched(&mut alice, start()).iter().map(|one| one.payload.len()).sum();
                assert!(sent > MIB, "all of it left");
                alice
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, sds, sending);
criterion_main!(benches);
