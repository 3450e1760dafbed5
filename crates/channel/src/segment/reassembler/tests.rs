//! What the reassembler promises: any order, any duplicates, bounded memory, nothing admitted is lost.

use super::*;
use crate::segment::Segmenter;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn reassembler(max_bytes: usize) -> Reassembler {
    Reassembler::new(max_bytes, max_bytes, 16, 10 * SECOND)
}

fn segments(payload: &[u8]) -> Vec<Segment> {
    Segmenter::new(256).cut(Bytes::copy_from_slice(payload)).unwrap().collect()
}

fn origin(base: u64) -> SegmentOrigin {
    SegmentOrigin::Structured(SenderTag([1; 6]), base)
}

fn alice() -> ParticipantId {
    ParticipantId::from("alice")
}

proptest! {
    #[test]
    fn any_order_with_duplicates_reassembles(
        payload in prop::collection::vec(any::<u8>(), 1..2_000),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..64),
    ) {
        let all = segments(&payload);
        let shuffled = order.iter().map(|index| index.get(&all)).chain(&all).cloned();
        let mut reassembler = reassembler(1 << 20);
        let mut whole = None;
        for segment in shuffled {
            if whole.is_some() {
                break;
            }
            match reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment, 0, false) {
                Admission::Complete(done) => whole = Some(done),
                Admission::Stored | Admission::Duplicate => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let done = whole.unwrap();
        prop_assert_eq!(done.payload.as_ref(), &payload[..]);
        reassembler.release(&alice(), done.charged);
        prop_assert_eq!(reassembler.bytes(), 0);
    }
}

#[test]
fn equal_payloads_from_one_sender_are_two_sets() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let mut completed = 0;
    for base in [0, 3] {
        for segment in all.clone() {
            let admission =
                reassembler.handle_segment(Mono::ZERO, &origin(base), &alice(), segment, 0, false);
            completed += usize::from(matches!(admission, Admission::Complete(_)));
        }
    }
    assert_eq!(completed, 2);
}

#[test]
fn a_segment_that_contradicts_its_siblings_is_refused_and_the_set_lives() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let mut send = |segment| reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment, 0, false);
    assert_eq!(send(all[0].clone()), Admission::Stored);
    let liar = Segment { data_count: 9, ..all[1].clone() };
    assert_eq!(send(liar), Admission::Contradicts);
    assert_eq!(send(all[1].clone()), Admission::Stored);
    assert!(matches!(send(all[2].clone()), Admission::Complete(_)));
}

#[test]
fn a_whole_with_another_hash_is_no_payload() {
    let all = segments(&[5; 100]);
    let forged = Segment { payload: Bytes::from(vec![6; 100]), ..all[0].clone() };
    let mut reassembler = reassembler(1 << 20);
    let admission = reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), forged, 0, false);
    assert_eq!((admission, reassembler.bytes()), (Admission::HashMismatch, 0));
}

#[test]
fn beyond_the_budget_only_the_set_that_others_wait_for_is_admitted() {
    let all = segments(&[5; 300]);
    // Room for the first segment of a set of three.
    let mut reassembler = reassembler(130 + SEGMENT_COST + 3 * PLACE_COST);
    let mut send = |base, index: usize, needed| {
        reassembler.handle_segment(Mono::ZERO, &origin(base), &alice(), all[index].clone(), 0, needed)
    };
    assert_eq!(send(10, 0, false), Admission::Stored);
    assert_eq!(send(10, 1, false), Admission::Full);
    assert_eq!(send(0, 0, true), Admission::Stored);
    assert_eq!(send(5, 0, true), Admission::Full, "one exempt set at a time");
    assert_eq!(send(0, 1, true), Admission::Stored);
    assert!(matches!(send(0, 2, true), Admission::Complete(_)));
    assert_eq!(send(5, 0, true), Admission::Stored, "the exemption is free again");
}

#[test]
fn what_is_kept_beside_the_bytes_is_charged_and_given_back() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let mut send = |index: usize, beside| {
        let segment = all[index].clone();
        let admission = reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment, beside, false);
        (admission, reassembler.bytes())
    };
    let bytes = 128 + SEGMENT_COST + 3 * PLACE_COST + 1_000;
    assert_eq!(send(0, 1_000), (Admission::Stored, bytes));
    assert_eq!(send(1, 1 << 20), (Admission::Full, bytes));
    reassembler.forget(&origin(0));
    assert_eq!(reassembler.bytes(), 0);
}

#[test]
fn a_set_expires_after_its_last_new_segment_and_a_duplicate_does_not_prolong_it() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let at = |seconds| Mono::from_origin(seconds * SECOND);
    let mut send = |seconds, index: usize| {
        reassembler.handle_segment(at(seconds), &origin(0), &alice(), all[index].clone(), 0, false)
    };
    assert_eq!(send(0, 0), Admission::Stored);
    assert_eq!(send(5, 1), Admission::Stored);
    assert_eq!(send(9, 1), Admission::Duplicate);
    assert_eq!(reassembler.poll_timeout(), Some(at(15)));
    assert_eq!(reassembler.poll_expired(at(14)), None);
    assert_eq!(reassembler.poll_expired(at(15)), Some(origin(0)));
    assert_eq!((reassembler.bytes(), reassembler.poll_timeout()), (0, None));
}
