//! Reed-Solomon parity: making it, and recovering a payload without the segments that it stands for.
//!
//! ```text
//! cargo bench -p quorate-channel --bench segments
//! ```
//! Throughput counts the payload's bytes. `recover` loses as many data segments as there is parity; `whole` loses none.

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_base::Mono;
use quorate_channel::segment::{
    Admission, Need, Reassembler, ReassemblyLimits, Segment, SegmentOrigin, Segmenter,
};
use std::time::Duration;

const PIECE: usize = 102_272;

fn reassembler() -> Reassembler {
    Reassembler::new(ReassemblyLimits {
        bytes: 128 << 20,
        bytes_per_sender: 128 << 20,
        sets: 16,
        sets_per_sender: 16,
        timeout: Duration::from_secs(300),
        evict: false,
    })
}

fn put_together(segments: Vec<Segment>) -> usize {
    let mut reassembler = reassembler();
    let origin = SegmentOrigin::Opaque("alice".into(), [0; 32]);
    for segment in segments {
        let admission =
            reassembler.handle_segment(Mono::ZERO, &origin, &"alice".into(), segment, 0, Need::None);
        if let Admission::Complete(whole) = admission {
            return whole.payload.len();
        }
    }
    0
}

fn parity(c: &mut Criterion) {
    let mut group = c.benchmark_group("segments");
    group.sample_size(10);
    // GF(2^8) at 10 and 100 and the largest of it, then GF(2^16).
    for data in [10, 100, 224, 228] {
        let payload: Bytes = (0..data * PIECE).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>().into();
        group.throughput(Throughput::Bytes(payload.len() as u64));
        for (name, permille) in [("cut", 0), ("cut with parity", 125)] {
            let segmenter = Segmenter::new(102_400).with_parity(permille);
            group.bench_with_input(BenchmarkId::new(name, data), &payload, |b, payload| {
                b.iter(|| segmenter.cut(payload.clone()).map(Iterator::count));
            });
        }
        let segmenter = Segmenter::new(102_400).with_parity(125);
        let all: Vec<Segment> = segmenter.cut(payload.clone()).expect("it fits").collect();
        let lost = all.len() - data;
        for (name, first) in [("whole", 0), ("recover", lost)] {
            let kept = &all[first..first + data];
            group.bench_with_input(BenchmarkId::new(name, data), kept, |b, kept| {
                b.iter_batched(
                    || kept.to_vec(),
                    |kept| assert_eq!(put_together(kept), payload.len()),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, parity);
criterion_main!(benches);
