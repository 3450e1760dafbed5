//! Citations that no order can follow, and those of what never comes: nothing waits for ever.

use super::group::{Group, none};
use super::{lip, nim};
use crate::ids::{SenderTag, StructuredId};
use crate::sds::{SdsEvent, SdsMessage};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const LOST_AFTER: Duration = Duration::from_secs(10);
/// From the time at which a payload has waited long enough until it was looked at twice.
const LOOKS: Duration = Duration::from_secs(3);

fn group() -> Group {
    lip(|config| config.incoming.lost_after = LOST_AFTER)
}

fn gaps(group: &Group) -> usize {
    group.events[1].iter().filter(|event| matches!(event, SdsEvent::Gap(_))).count()
}

/// A message with an id of ours, of a sender that cites whatever it likes.
fn structured(group: &Group, sequence: u64, time: u64, past: &[u64]) -> SdsMessage {
    let id = |sequence| StructuredId { tag: SenderTag([9; 6]), sequence, content: [0; 4] }.to_message_id();
    let past: Vec<_> = past.iter().map(|sequence| id(*sequence).as_str().to_owned()).collect();
    let past: Vec<&str> = past.iter().map(String::as_str).collect();
    let bare = group.foreign("liar", id(sequence).as_str(), &past);
    SdsMessage { time: bare.time.map(|now| now + time), oldest: Some(0), ..bare }
}

#[test]
fn who_cites_itself_waits_for_nothing() {
    for mut group in [lip(|_| {}), nim(|_| {})] {
        let message = group.foreign("js", "m", &["m"]);
        group.inject(1, &message);
        assert_eq!(group.delivered(1), ["content of m"]);
        group.run(Duration::from_secs(60), &mut none);
        assert_eq!(group.members[1].stats().repairs_asked, 0, "nobody is asked for what is here");
    }
}

#[test]
fn those_that_cite_each_other_come_when_they_waited_long_enough_the_earliest_first() {
    for times in [[3, 1, 2], [1, 1, 1]] {
        let mut group = group();
        for ((id, past), time) in [("a", "b"), ("b", "c"), ("c", "a")].into_iter().zip(times) {
            let message = group.foreign("js", id, &[past]);
            let message = SdsMessage { time: message.time.map(|now| now + time), ..message };
            group.inject(1, &message);
        }
        let after = group.foreign("js", "after", &["a"]);
        group.inject(1, &after);
        group.run(LOST_AFTER - Duration::from_secs(1), &mut none);
        assert_eq!(group.delivered(1).len(), 0, "what they wait for may be a mistake of the network");
        group.run(LOOKS, &mut none);
        let first = if times[0] == 3 { ["b", "a", "c"] } else { ["a", "c", "b"] };
        let delivered = group.delivered(1);
        assert_eq!(delivered[0], format!("content of {}", first[0]), "{times:?}: {delivered:?}");
        assert_eq!((delivered.len(), gaps(&group)), (4, 0), "{delivered:?}: all are here, none is lost");
        let member = &group.members[1];
        assert_eq!((member.stats().cycles, member.waiting(), member.receive_bytes()), (1, 0, 0));
    }
}

#[test]
fn a_sender_that_cites_its_own_later_message_keeps_its_order() {
    for times in [[1, 2], [2, 1]] {
        let mut group = group();
        for (sequence, past) in [(0, &[1][..]), (1, &[])] {
            let message = structured(&group, sequence, times[sequence as usize], past);
            let message = SdsMessage { content: format!("{sequence}").into(), ..message };
            group.inject(1, &message);
        }
        group.run(LOST_AFTER + LOOKS, &mut none);
        assert_eq!((group.delivered(1), gaps(&group)), (vec!["0".to_owned(), "1".to_owned()], 0));
    }
}

#[test]
fn what_cites_hundreds_that_never_come_comes_with_a_gap_that_names_them() {
    let mut group = group();
    let never: Vec<String> = (0..150).map(|number| format!("never {number}")).collect();
    for number in 0..20 {
        let past: Vec<&str> = never.iter().map(String::as_str).collect();
        let message = group.foreign("js", &format!("m{number}"), &past);
        group.inject(1, &message);
    }
    assert_eq!(group.members[1].waiting(), 20);
    group.run(LOST_AFTER + LOOKS, &mut none);
    assert_eq!(group.delivered(1).len(), 20);
    let missing = group.events[1].iter().map(|event| match event {
        SdsEvent::Gap(missing) => missing.len(),
        _ => 0,
    });
    assert_eq!((gaps(&group), missing.sum::<usize>()), (1, 150), "each is named once");
    assert_eq!((group.members[1].waiting(), group.members[1].receive_bytes()), (0, 0));
}

/// A message: whose, which it cites (some of them never come), its time, and whether its id is one of ours.
type Liar = (Vec<usize>, u64, bool);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_cites_whatever_all_come_once_and_nothing_waits_for_ever(
        liars in prop::collection::vec((prop::collection::vec(0..16usize, 0..4), 0..4u64, any::<bool>()), 1..12),
        order in any::<u64>(),
    ) {
        let mut group = group();
        let id = |at: usize, liars: &[Liar]| match liars.get(at) {
            Some((_, _, true)) => {
                let sequence = liars[..at].iter().filter(|liar| liar.2).count() as u64;
                StructuredId { tag: SenderTag([9; 6]), sequence, content: [0; 4] }.to_message_id()
            }
            _ => format!("m{at}").into(),
        };
        let mut messages: Vec<SdsMessage> = liars.iter().enumerate().map(|(at, (past, time, _))| {
            let past: Vec<_> = past.iter().map(|at| id(*at, &liars)).collect();
            let past: Vec<&str> = past.iter().map(|id| id.as_str()).collect();
            let message = group.foreign("liar", id(at, &liars).as_str(), &past);
            SdsMessage { time: message.time.map(|now| now + time), ..message }
        }).collect();
        fastrand::Rng::with_seed(order).shuffle(&mut messages);
        messages.iter().for_each(|message| group.inject(1, message));
        group.run(LOST_AFTER * 6, &mut none);
        let delivered = group.delivered(1);
        let once: BTreeSet<_> = delivered.iter().collect();
        prop_assert_eq!((once.len(), delivered.len()), (liars.len(), liars.len()), "{:?}", delivered);
        let numbers: Vec<_> = liars.iter().enumerate().filter(|(_, liar)| liar.2).map(|(at, _)| at).collect();
        let in_order = numbers.iter().map(|at| format!("content of {}", id(*at, &liars)));
        let told = delivered.iter().filter(|one| numbers.iter().any(|at| **one == format!("content of {}", id(*at, &liars))));
        prop_assert!(in_order.eq(told.cloned()), "the numbers of one sender stay in order: {:?}", delivered);
        prop_assert_eq!((group.members[1].waiting(), group.members[1].receive_bytes()), (0, 0));
    }
}
