//! The pipeline from `handle_send` to `Received`, and each of its stages alone, beside Keccak-256, which bounds them all.
//!
//! ```text
//! cargo bench -p quorate-channel --bench pipeline
//! ```
//! The last lines say what part of the bound the sending pipeline reaches, and what share each stage has of it.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_base::{Mono, Now, Wall};
use quorate_channel::segment::{Segment, Segmenter};
use quorate_channel::{
    ChannelConfig, ChannelEvent, ChannelKey, Cipher, DispatchOutcome, Identity, MessageEnvelope, NoCipher,
    Output, ReliableChannel, SendOptions, XChaCha20Poly1305Cipher,
};
use sha3::{Digest, Keccak256};
use std::hint::black_box;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn now(millis: u64) -> Now {
    Now::new(
        Mono::from_origin(Duration::from_millis(millis)),
        Wall::from_unix_millis(1_700_000_000_000 + millis),
    )
}

fn cipher() -> Box<dyn Cipher> {
    Box::new(XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([7; 32]), [1; 16]))
}

fn open(name: &str, cipher: Box<dyn Cipher>, parity_permille: u16) -> ReliableChannel {
    let identity =
        Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: name.into() };
    let config = ChannelConfig { parity_permille, ..ChannelConfig::default() };
    ReliableChannel::open(now(0), identity, config, cipher, name.len() as u64)
        .expect("the configuration is valid")
}

fn payload(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>().into()
}

/// Sends one payload; what leaves is confirmed at once.
fn send(channel: &mut ReliableChannel, at: Now, payload: Bytes) -> Vec<MessageEnvelope> {
    channel.handle_send(at, payload, SendOptions::default()).expect("there is room");
    drain(channel, at).0
}

fn drain(channel: &mut ReliableChannel, at: Now) -> (Vec<MessageEnvelope>, usize) {
    let (mut envelopes, mut received) = (Vec::new(), 0);
    while let Some(output) = channel.poll_output() {
        match output {
            Output::Dispatch(dispatch) => {
                envelopes.push(dispatch.envelope);
                channel.handle_dispatched(at, dispatch.id, DispatchOutcome::Confirmed);
            }
            Output::Event(ChannelEvent::Received { payload, .. }) => received += payload.len(),
            _ => {}
        }
    }
    (envelopes, received)
}

/// Both directions of a group of two, with the acknowledgement, so that nothing piles up.
fn exchange(alice: &mut ReliableChannel, bob: &mut ReliableChannel, round: u64, payload: Bytes) -> usize {
    let at = now(round * 200);
    let envelopes = send(alice, at, payload);
    for envelope in envelopes {
        bob.handle_envelope(at, envelope).expect("it is ours");
    }
    let mut received = drain(bob, at).1;
    let later = now(round * 200 + 100);
    bob.handle_timeout(later);
    let (acknowledgements, more) = drain(bob, later);
    received += more;
    for envelope in acknowledgements {
        alice.handle_envelope(later, envelope).expect("it is ours");
    }
    drain(alice, later);
    received
}

fn pipeline(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    group.sample_size(20);
    for len in [1 << 10, 64 << 10, MIB] {
        group.throughput(Throughput::Bytes(len as u64));
        let bytes = payload(len);
        group.bench_with_input(BenchmarkId::new("keccak256", len), &bytes, |b, bytes| {
            b.iter(|| Keccak256::digest(black_box(bytes)));
        });
        for (name, parity) in [("send", 0), ("send, parity 12.5 %", 125)] {
            group.bench_with_input(BenchmarkId::new(name, len), &bytes, |b, bytes| {
                let (mut alice, mut bob) = (open("alice", cipher(), parity), open("bo", cipher(), parity));
                let mut round = 0;
                b.iter_custom(|iterations| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..iterations {
                        round += 1;
                        let at = now(round * 200);
                        let started = Instant::now();
                        let envelopes = black_box(send(&mut alice, at, bytes.clone()));
                        spent += started.elapsed();
                        settle(&mut alice, &mut bob, round, envelopes);
                    }
                    spent
                });
            });
        }
        for (name, plain) in [("both", false), ("both, no cipher", true)] {
            group.bench_with_input(BenchmarkId::new(name, len), &bytes, |b, bytes| {
                let cipher = || if plain { Box::new(NoCipher) } else { cipher() };
                let (mut alice, mut bob) = (open("alice", cipher(), 0), open("bo", cipher(), 0));
                let mut round = 0;
                b.iter(|| {
                    round += 1;
                    assert_eq!(exchange(&mut alice, &mut bob, round, bytes.clone()), bytes.len());
                });
            });
        }
    }
    group.finish();
}

/// Lets the other side have what was sent and acknowledge it.
fn settle(
    alice: &mut ReliableChannel,
    bob: &mut ReliableChannel,
    round: u64,
    envelopes: Vec<MessageEnvelope>,
) {
    let (at, later) = (now(round * 200), now(round * 200 + 100));
    for envelope in envelopes {
        bob.handle_envelope(at, envelope).expect("it is ours");
    }
    drain(bob, at);
    bob.handle_timeout(later);
    for envelope in drain(bob, later).0 {
        alice.handle_envelope(later, envelope).expect("it is ours");
    }
    drain(alice, later);
}

/// What each stage takes of 1 MiB, and what part of Keccak-256's speed the whole way out reaches.
fn shares(_: &mut Criterion) {
    const ROUNDS: u32 = 40;
    let bytes = payload(MIB);
    let time = |mut work: Box<dyn FnMut()>| {
        work();
        (0..ROUNDS)
            .map(|_| {
                let started = Instant::now();
                work();
                started.elapsed()
            })
            .min()
            .unwrap_or_default()
    };
    let segmenter = Segmenter::new(ChannelConfig::default().segment_bytes);
    let segments: Vec<Segment> = segmenter.cut(bytes.clone()).expect("it fits").collect();
    let encoded: Vec<Vec<u8>> = segments.iter().map(Segment::encode).collect();
    let hash = {
        let bytes = bytes.clone();
        time(Box::new(move || {
            black_box(Keccak256::digest(&bytes));
        }))
    };
    let encode = time(Box::new(move || {
        segments.iter().for_each(|segment| {
            black_box(segment.encode());
        })
    }));
    let seal = {
        let mut cipher = cipher();
        let context = quorate_channel::cipher::CipherContext { channel: "c".into(), topic: "/t".into() };
        let plain: Vec<BytesMut> = encoded.iter().map(|bytes| BytesMut::from(bytes.as_slice())).collect();
        let copies = {
            let plain = plain.clone();
            time(Box::new(move || {
                black_box(plain.clone());
            }))
        };
        time(Box::new(move || {
            plain.iter().for_each(|bytes| {
                black_box(cipher.seal(&context, bytes.clone()).is_ok());
            })
        }))
        .saturating_sub(copies)
    };
    let (mut alice, mut bob) = (open("alice", cipher(), 0), open("bo", cipher(), 0));
    let mut round = 0;
    let whole = (0..ROUNDS)
        .map(|_| {
            round += 1;
            let started = Instant::now();
            let envelopes = send(&mut alice, now(round * 200), bytes.clone());
            let spent = started.elapsed();
            settle(&mut alice, &mut bob, round, envelopes);
            spent
        })
        .min()
        .unwrap_or_default();
    let rate = |time: Duration| MIB as f64 / 1e6 / time.as_secs_f64();
    let share = |time: Duration| 100.0 * time.as_secs_f64() / whole.as_secs_f64();
    let rest = whole.saturating_sub(hash + encode + seal);
    report(&[
        format!(
            "Keccak-256 alone {:.0} MB/s; the sending pipeline {:.0} MB/s: {:.0} % of it (goal 60 %)",
            rate(hash),
            rate(whole),
            100.0 * rate(whole) / rate(hash)
        ),
        format!(
            "of the pipeline's time: hash {:.0} %, cut and encode {:.0} %, seal {:.0} %, the rest {:.0} % (SDS, limiter, envelope)",
            share(hash),
            share(encode),
            share(seal),
            share(rest)
        ),
    ]);
}

#[expect(clippy::print_stdout, reason = "a bench's result")]
fn report(lines: &[String]) {
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(benches, pipeline, shares);
criterion_main!(benches);
