//! Causal delivery: any order of arrival, one order of delivery, and gaps that are named.

use super::*;
use crate::sds::Dependency;
use crate::segment::{Segment, Segmenter};
use quorate_base::Wall;

const LOST_AFTER: Duration = Duration::from_secs(60);
const OWN: SenderTag = SenderTag([0; 6]);

fn now(seconds: u64) -> Now {
    Now::new(
        Mono::from_origin(Duration::from_secs(seconds)),
        Wall::from_unix(Duration::from_secs(1_000_000 + seconds)),
    )
}

fn incoming(join: JoinPolicy) -> Incoming {
    let config = IncomingConfig {
        lost_after: LOST_AFTER,
        join,
        reassembly: ReassemblyLimits {
            bytes: 1 << 20,
            bytes_per_sender: 1 << 20,
            sets: 64,
            sets_per_sender: 64,
            timeout: Duration::from_secs(300),
            evict: false,
        },
        max_participants: 16,
    };
    Incoming::new(now(0), OWN, config)
}

/// The arrivals of one payload: `pieces` segments from `sequence` on.
fn payload(sender: u8, sequence: u64, pieces: usize, past: &[(u8, u64)]) -> Vec<Arrival> {
    let bytes = vec![sender.wrapping_add(sequence as u8); pieces * 128 - 1];
    let segments = Segmenter::new(256).cut(bytes.into()).unwrap();
    let id = |sender: u8, sequence, content| {
        StructuredId { tag: SenderTag([sender; 6]), sequence, content }.to_message_id()
    };
    let arrival = |(segment, sequence): (Segment, u64)| Arrival {
        sender: format!("p{sender}").into(),
        id: id(sender, sequence, [segment.hash[0], segment.hash[1], segment.hash[2], segment.hash[3]]),
        time: now(0).wall.unix_millis() + sequence,
        history: past
            .iter()
            .map(|(sender, sequence)| Dependency {
                id: id(*sender, *sequence, [0; 4]),
                time: Some(now(0).wall.unix_millis()),
                hint: None,
                sender: None,
            })
            .collect(),
        oldest: Some(0),
        sent_at: Some(now(1).wall.unix_millis()),
        segment,
    };
    segments.zip(sequence..).map(arrival).collect()
}

fn delivered(incoming: &mut Incoming) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    while let Some(event) = incoming.poll_event() {
        match event {
            IncomingEvent::Deliver(delivery) => {
                all.push((delivery.sender.to_string(), delivery.payload.len()))
            }
            IncomingEvent::Gap(missing) => all.push((format!("gap {missing:?}"), 0)),
        }
    }
    all
}

fn feed(incoming: &mut Incoming, arrivals: Vec<Arrival>) -> Vec<Verdict> {
    arrivals.into_iter().map(|arrival| incoming.handle_arrival(now(1), arrival)).collect()
}

#[test]
fn a_chain_that_arrives_backwards_is_delivered_forwards() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, payload(3, 0, 3, &[(2, 1)]));
    feed(&mut incoming, payload(2, 0, 2, &[(1, 0)]));
    assert_eq!(delivered(&mut incoming), []);
    feed(&mut incoming, payload(1, 0, 1, &[]));
    let senders: Vec<_> = delivered(&mut incoming).into_iter().map(|(sender, _)| sender).collect();
    assert_eq!(senders, ["p1", "p2", "p3"]);
}

#[test]
fn a_senders_own_messages_never_overtake_one_another() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, payload(1, 5, 2, &[]));
    assert_eq!(delivered(&mut incoming), [], "nothing says so but the sequence");
    feed(&mut incoming, payload(1, 0, 5, &[]));
    assert_eq!(delivered(&mut incoming), [("p1".into(), 639), ("p1".into(), 255)]);
}

#[test]
fn each_segment_is_accepted_once_and_each_payload_delivered_once() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    assert_eq!(feed(&mut incoming, payload(1, 0, 2, &[])), [Verdict::Accepted; 2]);
    assert_eq!(feed(&mut incoming, payload(1, 0, 2, &[])), [Verdict::Duplicate; 2]);
    assert_eq!(delivered(&mut incoming).len(), 1);
    let acks = incoming.take_acks(false);
    assert_eq!(acks, [crate::sds::AckVector { tag: SenderTag([1; 6]), ranges: vec![0..2] }]);
    assert_eq!(incoming.take_acks(false), []);
    assert_eq!(incoming.take_acks(true).len(), 1);
}

#[test]
fn what_stays_missing_becomes_a_gap_that_names_it_and_delivery_goes_on() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, payload(1, 2, 1, &[(2, 7)]));
    incoming.handle_timeout(now(60));
    assert_eq!(delivered(&mut incoming), []);
    incoming.handle_timeout(now(61));
    let mut said = Vec::new();
    while let Some(event) = incoming.poll_event() {
        said.push(event);
    }
    let missing = |sender: u8, name: Option<&str>, sequences| Missing::Segments {
        sender: name.map(ParticipantId::from),
        tag: SenderTag([sender; 6]),
        sequences,
    };
    assert_eq!(said[0], IncomingEvent::Gap(vec![missing(1, Some("p1"), 0..2), missing(2, None, 7..8)]));
    assert!(matches!(&said[1], IncomingEvent::Deliver(delivery) if delivery.sender.as_str() == "p1"));
    assert_eq!(
        feed(&mut incoming, payload(1, 0, 1, &[])),
        [Verdict::Late],
        "never delivered after what follows it"
    );
    assert_eq!(incoming.poll_timeout(), None);
}

#[test]
fn what_is_half_there_is_not_lost() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let mut first = payload(1, 0, 3, &[]);
    let late = first.pop().unwrap();
    feed(&mut incoming, first);
    feed(&mut incoming, payload(1, 3, 1, &[]));
    incoming.handle_timeout(now(61));
    assert_eq!(delivered(&mut incoming), []);
    assert_eq!(incoming.handle_arrival(now(62), late), Verdict::Accepted);
    assert_eq!(delivered(&mut incoming).len(), 2);
}

#[test]
fn a_late_joiner_misses_nothing_from_before() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let mut arrivals = payload(1, 500, 1, &[]);
    arrivals[0].oldest = Some(500);
    // A past from another sender, long before we joined.
    let mut old = payload(9, 40, 1, &[]).remove(0);
    old.history = vec![];
    arrivals[0].history = vec![Dependency {
        id: old.id,
        time: Some(now(0).wall.unix_millis() - 60_000),
        hint: None,
        sender: None,
    }];
    feed(&mut incoming, arrivals);
    assert_eq!(delivered(&mut incoming).len(), 1);
}

#[test]
fn a_number_that_contradicts_its_place_is_refused() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let mut arrivals = payload(1, 0, 3, &[]);
    arrivals[2].id = arrivals[0].id.clone();
    let forged = arrivals.pop().unwrap();
    assert_eq!(incoming.handle_arrival(now(1), forged), Verdict::Malformed);
    let mut other = payload(1, 0, 1, &[]);
    other[0].id = payload(1, 0, 2, &[])[0].id.clone();
    assert_eq!(feed(&mut incoming, other), [Verdict::Malformed], "the id is bound to the content");
}

#[test]
fn opaque_ids_are_ordered_and_remembered_too() {
    let mut incoming = incoming(JoinPolicy::Since(Wall::from_unix_millis(0)));
    let foreign = |id: &str, past: &[&str], byte: u8| Arrival {
        sender: "js".into(),
        id: id.into(),
        time: now(0).wall.unix_millis(),
        history: past
            .iter()
            .map(|id| Dependency { id: (*id).into(), time: None, hint: None, sender: None })
            .collect(),
        oldest: None,
        sent_at: None,
        segment: Segmenter::new(256).cut(vec![byte; 10].into()).unwrap().next().unwrap(),
    };
    assert_eq!(feed(&mut incoming, vec![foreign("b", &["a"], 2)]), [Verdict::Accepted]);
    assert_eq!(delivered(&mut incoming), []);
    assert_eq!(
        feed(&mut incoming, vec![foreign("a", &[], 1), foreign("a", &[], 1)]),
        [Verdict::Accepted, Verdict::Duplicate]
    );
    assert_eq!(delivered(&mut incoming).len(), 2);
}

fn one(sender: u8, sequence: u64, past: &[(u8, u64)], oldest: u64) -> Arrival {
    Arrival { oldest: Some(oldest), ..payload(sender, sequence, 1, past).remove(0) }
}

#[test]
fn what_waits_for_a_sender_never_heard_goes_on_when_the_sender_settled_it() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, vec![one(2, 0, &[(1, 40)], 0)]);
    assert_eq!(delivered(&mut incoming), []);
    feed(&mut incoming, vec![one(1, 45, &[], 45)]);
    assert_eq!(delivered(&mut incoming).len(), 2);
    assert_eq!(incoming.poll_timeout(), None);
}

#[test]
fn what_a_sender_settles_while_it_is_first_heard_is_not_missed() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let half = payload(1, 41, 2, &[]).remove(0);
    feed(&mut incoming, vec![one(1, 44, &[], 40), half]);
    assert_eq!(delivered(&mut incoming), [], "40 and the rest of 41 may come again");
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(42), &[]);
    assert_eq!(delivered(&mut incoming), []);
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(45), &[]);
    assert_eq!(delivered(&mut incoming).len(), 1);
    assert_eq!((incoming.bytes(), incoming.poll_timeout()), (0, None));
    feed(&mut incoming, vec![one(1, 50, &[], 50)]);
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(51), &[]);
    assert_eq!(delivered(&mut incoming).len(), 1, "45 to 49 were settled before they could be missed");
    let later = now(20);
    assert_eq!(incoming.handle_arrival(later, one(1, 60, &[], 60)), Verdict::Accepted);
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(61), &[]);
    assert_eq!(delivered(&mut incoming), [], "from then on, what was settled with others only is missed");
}

#[test]
fn nobody_waits_for_numbers_that_are_void() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let half = payload(1, 1, 2, &[]).remove(0);
    feed(&mut incoming, vec![one(1, 0, &[], 0), half, one(1, 3, &[(1, 2)], 0), one(2, 0, &[(1, 1)], 0)]);
    assert_eq!(delivered(&mut incoming).len(), 1);
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(0), &[1..3]);
    assert_eq!(delivered(&mut incoming).len(), 2);
    assert_eq!((incoming.bytes(), incoming.waiting(), incoming.poll_timeout()), (0, 0, None));
    assert_eq!(feed(&mut incoming, payload(1, 1, 2, &[])), [Verdict::Duplicate, Verdict::Late]);
}

#[test]
fn a_payload_that_was_whole_is_delivered_even_if_its_sender_took_it_back() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, vec![one(1, 1, &[], 0)]);
    incoming.handle_notice(SenderTag([1; 6]), &"p1".into(), Some(0), &[1..2]);
    feed(&mut incoming, vec![one(1, 2, &[], 0), one(1, 0, &[], 0)]);
    assert_eq!(delivered(&mut incoming).len(), 3);
}

#[test]
fn our_own_wall_clock_does_not_decide_what_is_from_before_we_joined() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    let ahead = Now::new(now(1).mono, Wall::from_unix(now(1).wall.unix() + Duration::from_secs(3_600)));
    assert_eq!(incoming.handle_arrival(ahead, one(2, 0, &[(1, 0)], 0)), Verdict::Accepted);
    assert_eq!(delivered(&mut incoming), [], "it follows what was sent a second ago");
    feed(&mut incoming, vec![one(1, 0, &[], 0)]);
    assert_eq!(delivered(&mut incoming).len(), 2);
}

#[test]
fn a_table_that_is_full_holds_nothing_back() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    for number in 0..2_000_u64 {
        let mut arrival = one(1, number, &[(2, 0)], 0);
        let tag = [9, 9, 9, 9, (number >> 8) as u8, number as u8];
        let id = StructuredId { tag: SenderTag(tag), sequence: 7, content: [0; 4] };
        arrival.history[0].id = id.to_message_id();
        assert_eq!(incoming.handle_arrival(now(1), arrival), Verdict::Accepted);
        delivered(&mut incoming);
    }
    for seconds in 61..64 {
        incoming.handle_timeout(now(seconds));
    }
    let told = delivered(&mut incoming);
    assert_eq!(told.iter().filter(|(name, _)| name == "p1").count(), 2_000);
    assert_eq!((incoming.waiting(), incoming.bytes()), (0, 0));
}

#[test]
fn who_joins_foreign_members_takes_what_the_first_one_cites_for_the_past() {
    let message = |id: &str, past: &[&str]| Arrival {
        sender: "js".into(),
        id: id.into(),
        time: now(0).wall.unix_millis(),
        history: past
            .iter()
            .map(|id| Dependency { id: (*id).into(), time: None, hint: None, sender: None })
            .collect(),
        oldest: None,
        sent_at: None,
        segment: Bytes::copy_from_slice(id.as_bytes()),
    };
    let mut incoming = incoming(JoinPolicy::FromNow);
    let (first, second) = (message("c", &["a", "b"]), message("e", &["c", "d"]));
    assert_eq!(incoming.handle_whole(now(1), first), Verdict::Accepted);
    assert_eq!(delivered(&mut incoming).len(), 1);
    assert_eq!(incoming.handle_whole(now(1), message("a", &[])), Verdict::Late);
    assert_eq!(incoming.handle_whole(now(1), second), Verdict::Accepted);
    assert_eq!(delivered(&mut incoming), [], "from then on it is missed");
    assert_eq!(incoming.handle_whole(now(1), message("d", &["c"])), Verdict::Accepted);
    assert_eq!(delivered(&mut incoming).len(), 2);
    assert_eq!((incoming.bytes(), incoming.waiting()), (0, 0));
}

#[test]
fn nobody_else_can_use_a_senders_numbers() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, vec![one(1, 0, &[], 0)]);
    let posed = Arrival { sender: "mallory".into(), ..one(1, 1, &[], 0) };
    assert_eq!(incoming.handle_arrival(now(1), posed), Verdict::Malformed);
    incoming.handle_notice(SenderTag([1; 6]), &"mallory".into(), Some(9), &[1..100]);
    feed(&mut incoming, vec![one(1, 1, &[], 0)]);
    assert_eq!(delivered(&mut incoming).len(), 2);
}

#[test]
fn what_is_missing_is_told_once_it_shows_and_not_when_it_came() {
    let mut incoming = incoming(JoinPolicy::FromNow);
    feed(&mut incoming, vec![one(1, 0, &[], 0)]);
    assert_eq!(incoming.poll_lack(), None);
    feed(&mut incoming, vec![one(1, 4, &[(2, 7)], 0)]);
    let lacks: Vec<_> = std::iter::from_fn(|| incoming.poll_lack()).collect();
    let told: Vec<_> = lacks.iter().map(|lack| (lack.key.clone(), lack.run)).collect();
    let key = |sender: u8, number| Key::Sequence(SenderTag([sender; 6]), number);
    assert_eq!(told, [(key(2, 7), 1), (key(1, 1), 3)]);
    assert_eq!(lacks[1].sender, Some("p1".into()));
    feed(&mut incoming, vec![one(1, 1, &[], 0)]);
    let still = incoming.still_lacks(&lacks[1]).unwrap();
    assert_eq!((still.key, still.run), (key(1, 2), 2));
    feed(&mut incoming, vec![one(1, 2, &[], 0), one(1, 3, &[], 0)]);
    assert_eq!(incoming.still_lacks(&lacks[1]), None);
    assert!(incoming.still_lacks(&lacks[0]).is_some());
    incoming.handle_timeout(now(62));
    assert_eq!(incoming.still_lacks(&lacks[0]), None, "it was declared lost");
}
