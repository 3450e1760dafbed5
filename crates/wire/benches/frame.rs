//! What a frame costs, by size of its payload: the figures must be flat.
//!
//! `cargo bench -p quorate-wire`. Module frames with a 32-byte space and the module `echo`. `prost` does
//! the same beside it. All of them hold one more reference to the payload than a real caller needs; `clone` is what that costs.

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use prost::Message;
use quorate_wire::stream::encode_data;
use quorate_wire::{Frame, ModuleId, SpaceId, StreamDecoder, StreamFrame, StreamLimits};
use std::hint::black_box;

const SIZES: [usize; 3] = [32, 1 << 10, 64 << 10];

fn frame(payload: usize) -> Frame {
    Frame::Module {
        space: SpaceId::from(vec![7; 32]),
        module: ModuleId::from_static("echo"),
        data: Bytes::from(vec![1; payload]),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Prost {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
    #[prost(bytes = "bytes", optional, tag = "3")]
    space_id: Option<Bytes>,
    #[prost(string, optional, tag = "4")]
    module_id: Option<String>,
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for size in SIZES {
        let frame = frame(size);
        group.bench_with_input(BenchmarkId::new("encode", size), &frame, |b, frame| {
            b.iter(|| black_box(frame.encode()));
        });
        let encoded = frame.encode().to_bytes();
        group.bench_with_input(BenchmarkId::new("decode", size), &encoded, |b, encoded| {
            b.iter(|| black_box(Frame::decode(encoded.clone())));
        });
        group.bench_with_input(BenchmarkId::new("clone", size), &encoded, |b, encoded| {
            b.iter(|| black_box(encoded.clone()));
        });
        group.bench_with_input(BenchmarkId::new("prost decode", size), &encoded, |b, encoded| {
            b.iter(|| black_box(Prost::decode(encoded.clone())));
        });
        let prost = Prost::decode(encoded).unwrap_or_default();
        group.bench_with_input(BenchmarkId::new("prost encode", size), &prost, |b, prost| {
            b.iter(|| {
                let mut out = BytesMut::with_capacity(prost.encoded_len());
                black_box(prost.encode(&mut out)).map(|()| out.freeze())
            });
        });
    }
    group.finish();
}

fn stream(c: &mut Criterion) {
    let limits = StreamLimits::default();
    let mut group = c.benchmark_group("stream");
    for size in SIZES {
        let bytes =
            encode_data(frame(size).encode(), &limits).map(|encoded| encoded.to_bytes()).unwrap_or_default();
        let chunks: Vec<Bytes> = bytes.chunks(1_350).map(Bytes::copy_from_slice).collect();
        for (name, chunks) in [("one chunk", vec![bytes]), ("packets", chunks)] {
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_batched_ref(
                    || StreamDecoder::new(limits),
                    |decoder| read(decoder, &chunks),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn read(decoder: &mut StreamDecoder, chunks: &[Bytes]) -> Option<StreamFrame> {
    chunks.iter().for_each(|chunk| decoder.push(chunk.clone()));
    decoder.poll().ok().flatten()
}

criterion_group!(benches, codec, stream);
criterion_main!(benches);
