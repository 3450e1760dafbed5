//! What the reassembler promises: any order, any duplicates, bounded memory, nothing admitted is lost.

use super::*;
use crate::segment::Segmenter;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits(bytes: usize) -> ReassemblyLimits {
    ReassemblyLimits {
        bytes,
        bytes_per_sender: bytes,
        sets: 16,
        sets_per_sender: 16,
        timeout: 10 * SECOND,
        evict: false,
    }
}

fn reassembler(max_bytes: usize) -> Reassembler {
    Reassembler::new(limits(max_bytes))
}

fn segments(payload: &[u8]) -> Vec<Segment> {
    with_parity(payload, 0)
}

fn with_parity(payload: &[u8], permille: u16) -> Vec<Segment> {
    Segmenter::new(256).with_parity(permille).cut(Bytes::copy_from_slice(payload)).unwrap().collect()
}

/// The same segment as the older layout brings it: without the payload's length.
fn older(segment: &Segment) -> Segment {
    Segment { length: None, ..segment.clone() }
}

fn feed(reassembler: &mut Reassembler, segment: &Segment) -> Admission {
    reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment.clone(), 0, Need::None)
}

/// Feeds segments until there is a payload.
fn first_whole<'a>(
    reassembler: &mut Reassembler,
    all: impl IntoIterator<Item = &'a Segment>,
) -> Option<Bytes> {
    all.into_iter().find_map(|segment| match feed(reassembler, segment) {
        Admission::Complete(whole) => Some(whole.payload),
        _ => None,
    })
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
            match reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment, 0, Need::None) {
                Admission::Complete(done) => whole = Some(done),
                Admission::Stored | Admission::Discarded(Discard::Duplicate) => {}
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
                reassembler.handle_segment(Mono::ZERO, &origin(base), &alice(), segment, 0, Need::None);
            completed += usize::from(matches!(admission, Admission::Complete(_)));
        }
    }
    assert_eq!(completed, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Both layouts, any rate, any loss up to the parity, any order, any duplicates, zeros at the payload's end.
    #[test]
    fn as_many_segments_as_there_are_data_segments_are_enough(
        payload in prop::collection::vec(any::<u8>(), 1..2_500),
        zeros in 0..300usize,
        permille in prop_oneof![Just(125u16), 1..=1_000u16],
        order: u64,
        duplicates in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        in_older_layout: bool,
    ) {
        let payload = [payload, vec![0; zeros]].concat();
        let mut all = with_parity(&payload, permille);
        let count = all[0].data_count as usize;
        if in_older_layout {
            all = all.iter().map(older).collect();
        }
        fastrand::Rng::with_seed(order).shuffle(&mut all);
        all.truncate(count);
        let mut reassembler = reassembler(1 << 20);
        for (index, at) in duplicates.iter().zip(1..) {
            let segment = index.get(&all).clone();
            all.insert(at % count, segment);
        }
        let whole = first_whole(&mut reassembler, &all);
        prop_assert_eq!(whole.as_deref(), Some(&payload[..]));
    }

    /// One forged piece, anywhere, before or after the genuine one, with or without parity to spare.
    #[test]
    fn a_poisoned_segment_destroys_nothing(
        payload in prop::collection::vec(any::<u8>(), 1..2_500),
        permille in prop_oneof![Just(0u16), Just(300)],
        order: u64,
        forged in any::<prop::sample::Index>(),
        how in 0..4u8,
    ) {
        let mut all = with_parity(&payload, permille);
        let victim = forged.get(&all).clone();
        let flipped: Vec<u8> = victim.payload.iter().map(|byte| byte ^ 1).collect();
        let poison = match how {
            0 => Segment { payload: flipped.into(), ..victim },
            1 => Segment { payload: victim.payload.slice(..victim.payload.len() / 2), ..victim },
            2 => Segment { data_count: victim.data_count + 1, ..victim },
            _ => Segment { length: Some(1), ..victim },
        };
        all.push(poison);
        fastrand::Rng::with_seed(order).shuffle(&mut all);
        let whole = first_whole(&mut reassembler(1 << 20), &all);
        prop_assert_eq!(whole.as_deref(), Some(&payload[..]));
    }
}

#[test]
fn a_set_forged_from_end_to_end_gives_way_to_the_genuine_one() {
    for count in [2, 20, 200] {
        let all = segments(&vec![5; 128 * count]);
        let forge = |segment: &Segment| Segment { payload: vec![6; 128].into(), ..segment.clone() };
        let forged: Vec<_> = all.iter().map(forge).collect();
        let mut reassembler = reassembler(1 << 20);
        assert_eq!(first_whole(&mut reassembler, &forged), None);
        assert_eq!(first_whole(&mut reassembler, &all).unwrap(), vec![5; 128 * count], "{count}");
        assert_eq!(reassembler.counts().healed, 1);
    }
}

#[test]
fn a_poisoned_segment_is_found_by_parity_alone() {
    let all = with_parity(&[5; 128 * 8], 250);
    let mut forged = all.clone();
    forged[3].payload = vec![6; 128].into();
    // The genuine one never comes.
    let whole = first_whole(&mut reassembler(1 << 20), &forged);
    assert_eq!(whole.unwrap(), vec![5; 128 * 8]);
}

#[test]
fn how_much_is_tried_is_bounded_by_what_came() {
    let all = with_parity(&[5; 128 * 100], 1_000);
    let mut reassembler = reassembler(1 << 20);
    for (number, segment) in all.iter().enumerate() {
        // Everything is forged.
        let forged = Segment { payload: vec![number as u8 ^ 0x55; 128].into(), ..segment.clone() };
        assert!(!matches!(feed(&mut reassembler, &forged), Admission::Complete(_)));
    }
    let trials = reassembler.sets.values().flat_map(|set| &set.claims).map(Claim::trials).sum::<usize>();
    assert!(trials <= 16 + 200 / 4, "{trials}");
}

#[test]
fn more_claims_than_are_kept_apart_are_count_mismatches() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let claim = |data_count| Segment { data_count, ..all[1].clone() };
    assert_eq!(feed(&mut reassembler, &claim(9)), Admission::Stored, "a liar who comes first");
    assert_eq!(feed(&mut reassembler, &all[0]), Admission::Stored);
    assert_eq!(feed(&mut reassembler, &claim(8)), Admission::Stored);
    assert_eq!(feed(&mut reassembler, &claim(7)), Admission::Discarded(Discard::CountMismatch));
    assert_eq!(first_whole(&mut reassembler, &all[1..]).unwrap(), vec![5; 300]);
    let counts = reassembler.counts();
    assert_eq!((counts.count_mismatch, counts.healed), (1, 1));
}

#[test]
fn what_never_matches_its_hash_is_told_apart_from_what_never_came() {
    let all = segments(&[5; 100]);
    let forged = Segment { payload: Bytes::from(vec![6; 100]), ..all[0].clone() };
    let short = Segment { payload: Bytes::from(vec![6; 99]), ..all[0].clone() };
    let half = segments(&[5; 300]);
    for (segment, reason) in
        [(forged, SetDrop::HashMismatch), (short, SetDrop::Malformed), (half[0].clone(), SetDrop::Expired)]
    {
        let mut reassembler = reassembler(1 << 20);
        assert_eq!(feed(&mut reassembler, &segment), Admission::Stored);
        assert_eq!(reassembler.poll_expired(Mono::ZERO + 10 * SECOND), Some((origin(0), reason)));
        assert_eq!(reassembler.bytes(), 0);
    }
}

#[test]
fn where_nobody_repeats_the_oldest_set_of_the_heaviest_sender_makes_room() {
    let all = segments(&[5; 300]);
    let bound = ReassemblyLimits { sets: 3, sets_per_sender: 2, evict: true, ..limits(1 << 20) };
    let mut reassembler = Reassembler::new(bound);
    let mut send = |seconds: u32, base, sender: &str, index: usize| {
        let now = Mono::ZERO + seconds * SECOND;
        reassembler.handle_segment(now, &origin(base), &sender.into(), all[index].clone(), 0, Need::None)
    };
    assert_eq!(send(0, 10, "bob", 0), Admission::Stored);
    assert_eq!(send(1, 20, "alice", 0), Admission::Stored);
    assert_eq!(send(2, 30, "alice", 0), Admission::Stored);
    assert_eq!(send(3, 40, "alice", 0), Admission::Stored, "her own oldest goes");
    assert_eq!(send(4, 50, "carol", 0), Admission::Stored, "alice takes most: her oldest goes");
    assert_eq!(send(5, 10, "bob", 1), Admission::Stored);
    assert!(matches!(send(6, 10, "bob", 2), Admission::Complete(_)));
    assert_eq!(reassembler.counts().evicted, 2);
}

#[test]
fn beyond_the_budget_only_the_set_that_others_wait_for_is_admitted() {
    let all = segments(&[5; 300]);
    // Room for the first segment of a set of three.
    let mut reassembler = reassembler(130 + SEGMENT_COST + 3 * PLACE_COST);
    let mut send = |base, index: usize, need| {
        reassembler.handle_segment(Mono::ZERO, &origin(base), &alice(), all[index].clone(), 0, need)
    };
    assert_eq!(send(10, 0, Need::None), Admission::Stored);
    assert_eq!(send(10, 1, Need::None), Admission::Discarded(Discard::CacheFull));
    assert_eq!(send(0, 0, Need::Waited), Admission::Stored);
    assert_eq!(send(5, 0, Need::Ready), Admission::Discarded(Discard::CacheFull), "one exempt set at a time");
    assert_eq!(send(0, 1, Need::Waited), Admission::Stored);
    assert!(matches!(send(0, 2, Need::Waited), Admission::Complete(_)));
    assert_eq!(send(5, 0, Need::Waited), Admission::Stored, "the exemption is free again");
}

#[test]
fn what_is_delivered_at_once_needs_no_room_and_what_only_says_so_gets_none() {
    let (half, whole) = (segments(&[5; 300]), segments(&[6; 100]));
    let mut reassembler = reassembler(130 + SEGMENT_COST + 3 * PLACE_COST);
    let mut send = |base, segment: &Segment, need| {
        reassembler.handle_segment(Mono::ZERO, &origin(base), &alice(), segment.clone(), 0, need)
    };
    assert_eq!(send(10, &half[0], Need::None), Admission::Stored);
    assert_eq!(
        send(20, &half[0], Need::Waited),
        Admission::Stored,
        "the room is full, and the exemption taken"
    );
    assert_eq!(send(0, &whole[0], Need::Waited), Admission::Discarded(Discard::CacheFull));
    let forged = Segment { payload: vec![7; 100].into(), ..whole[0].clone() };
    assert_eq!(send(0, &forged, Need::Ready), Admission::Discarded(Discard::CacheFull));
    assert!(matches!(send(0, &whole[0], Need::Ready), Admission::Complete(_)));
}

#[test]
fn what_is_kept_beside_the_bytes_is_charged_and_given_back() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let mut send = |index: usize, beside| {
        let segment = all[index].clone();
        let admission =
            reassembler.handle_segment(Mono::ZERO, &origin(0), &alice(), segment, beside, Need::None);
        (admission, reassembler.bytes())
    };
    let bytes = 128 + SEGMENT_COST + 3 * PLACE_COST + 1_000;
    assert_eq!(send(0, 1_000), (Admission::Stored, bytes));
    assert_eq!(send(1, 1 << 20), (Admission::Discarded(Discard::CacheFull), bytes));
    reassembler.forget(&origin(0));
    assert_eq!(reassembler.bytes(), 0);
}

#[test]
fn a_set_expires_after_its_last_new_segment_and_a_duplicate_does_not_prolong_it() {
    let all = segments(&[5; 300]);
    let mut reassembler = reassembler(1 << 20);
    let at = |seconds| Mono::from_origin(seconds * SECOND);
    let mut send = |seconds, index: usize| {
        reassembler.handle_segment(at(seconds), &origin(0), &alice(), all[index].clone(), 0, Need::None)
    };
    assert_eq!(send(0, 0), Admission::Stored);
    assert_eq!(send(5, 1), Admission::Stored);
    assert_eq!(send(9, 1), Admission::Discarded(Discard::Duplicate));
    assert_eq!(reassembler.poll_timeout(), Some(at(15)));
    assert_eq!(reassembler.poll_expired(at(14)), None);
    assert_eq!(reassembler.poll_expired(at(15)), Some((origin(0), SetDrop::Expired)));
    assert_eq!((reassembler.bytes(), reassembler.poll_timeout()), (0, None));
}
