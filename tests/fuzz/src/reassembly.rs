//! Segments of one payload in any order, any number of times, in either layout, some of them forged.

use bytes::Bytes;
use quorate_base::Mono;
use quorate_channel::segment::{
    Admission, Need, Reassembler, ReassemblyLimits, Segment, SegmentOrigin, Segmenter,
};
use std::time::Duration;

const BYTES: usize = 1 << 16;

/// The first bytes say how long the payload is and how much parity it has; then come pairs: which segment, and how it
/// is forged. Only the genuine payload ever comes out, within the bound, and one forgery does not keep it from coming.
pub fn reassembly(input: &[u8]) {
    let [len, more, rate, pairs @ ..] = input else { return };
    let len = 1 + usize::from(*len) + usize::from(*more % 16) * 128;
    let payload: Bytes = (0..len).map(|at| (at % 7) as u8 & more).collect::<Vec<_>>().into();
    let segmenter = Segmenter::new(256).with_parity(u16::from(*rate) * 4);
    let older = rate % 2 == 1;
    let all: Vec<Segment> = segmenter
        .cut(payload.clone())
        .expect("it has a byte and fits")
        .map(|segment| Segment { length: segment.length.filter(|_| !older), ..segment })
        .collect();
    let mut reassembler = Reassembler::new(ReassemblyLimits {
        bytes: BYTES,
        bytes_per_sender: BYTES,
        sets: 4,
        sets_per_sender: 4,
        timeout: Duration::from_secs(1),
        evict: false,
    });
    let origin = SegmentOrigin::Opaque("a".into(), [0; 32]);
    let mut feed = |segment: Segment| {
        let admission = reassembler.handle_segment(Mono::ZERO, &origin, &"a".into(), segment, 0, Need::None);
        assert!(reassembler.bytes() <= BYTES);
        match admission {
            Admission::Complete(whole) => {
                assert_eq!(whole.payload, payload);
                reassembler.release(&whole.sender, whole.charged);
                assert_eq!(reassembler.bytes(), 0);
                true
            }
            _ => false,
        }
    };
    let mut forgeries = 0;
    for pair in pairs.chunks_exact(2) {
        let segment = all[usize::from(pair[0]) % all.len()].clone();
        let (segment, forged) = forge(segment, pair[1]);
        forgeries += usize::from(forged);
        if feed(segment) {
            return;
        }
    }
    let came = all.into_iter().any(feed);
    assert!(came || forgeries > 1, "every genuine segment came");
}

fn forge(segment: Segment, how: u8) -> (Segment, bool) {
    let flipped = |bytes: &Bytes| bytes.iter().map(|byte| byte ^ how).collect::<Vec<_>>().into();
    match how % 8 {
        1 => (Segment { payload: flipped(&segment.payload), ..segment }, true),
        2 => (Segment { payload: segment.payload.slice(..segment.payload.len() / 2), ..segment }, true),
        3 => (Segment { data_count: segment.data_count + 1, ..segment }, true),
        4 => (Segment { length: Some(u64::from(how)), ..segment }, true),
        5 => (Segment { hash: [how; 32], ..segment }, true),
        _ => (segment, false),
    }
}
