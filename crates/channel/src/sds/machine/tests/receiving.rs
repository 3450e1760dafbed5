//! What is read: order, duplicates, what does not belong here.

use super::group::{all, interop, none};
use super::{lip, nim};
use crate::sds::{Key, SdsError, SdsEvent, SdsMessage};
use std::time::Duration;

#[test]
fn a_foreign_chain_that_arrives_backwards_is_delivered_forwards_and_each_once() {
    for mut group in [lip(interop), nim(interop)] {
        let chain = [("m3", &["m2"][..]), ("m2", &["m1"]), ("m1", &[]), ("m1", &[]), ("m3", &["m2"])];
        for (id, past) in chain {
            let message = group.foreign("js", id, past);
            group.inject(1, &message);
        }
        assert_eq!(group.delivered(1), ["content of m1", "content of m2", "content of m3"]);
        assert_eq!(group.members[1].stats().duplicates, 2);
        group.run(Duration::from_secs(600), &mut none);
        assert_eq!(group.delivered(1).len(), 3);
    }
}

#[test]
fn those_that_become_ready_at_once_come_by_lamport_time_then_id() {
    let mut group = lip(|_| {});
    let root = group.foreign("js", "root", &[]);
    let base = root.time.unwrap();
    for (id, time) in [("z", base + 5), ("b", base + 9), ("a", base + 9), ("y", base + 1)] {
        let message = SdsMessage { time: Some(time), ..group.foreign("js", id, &["root"]) };
        group.inject(1, &message);
    }
    assert_eq!(group.delivered(1), Vec::<String>::new());
    group.inject(1, &root);
    let order = ["root", "y", "z", "a", "b"].map(|id| format!("content of {id}"));
    assert_eq!(group.delivered(1), order);
}

#[test]
fn equal_payloads_are_two_messages() {
    let mut group = lip(|_| {});
    group.send(0, "same", &mut all);
    group.send(0, "same", &mut all);
    assert_eq!(group.delivered(1), ["same", "same"]);
}

#[test]
fn other_channels_the_future_and_noise_are_refused_and_change_nothing() {
    for mut group in [lip(|_| {}), nim(|_| {})] {
        let good = group.foreign("js", "m", &[]);
        let other = SdsMessage { channel: "another".into(), ..good.clone() };
        let future = SdsMessage { time: Some(u64::MAX >> 1), ..good.clone() };
        let (dialect, now) = (group.dialect, group.now);
        let mut read =
            |message: &SdsMessage| group.members[1].handle_message(now, message.encode(dialect), None);
        assert_eq!(read(&other), Err(SdsError::OtherChannel));
        assert_eq!(read(&future), Err(SdsError::FromTheFuture { time: u64::MAX >> 1 }));
        let noise = group.members[1].handle_message(now, b"\xff\xff noise".as_slice().into(), None);
        assert!(matches!(noise, Err(SdsError::Decode(_))));
        group.inject(1, &good);
        assert_eq!(group.delivered(1), ["content of m"]);
        group.send(1, "after", &mut all);
        assert!(group.said[0].1.time.unwrap() < good.time.unwrap() + 1_000, "no clock was moved");
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_counted_and_its_message_is_read() {
    for mut group in [lip(interop), nim(interop)] {
        let short = Some(vec![7; 33].into());
        let message = SdsMessage { bloom_filter: short, ..group.foreign("js", "m", &[]) };
        group.inject(1, &message);
        assert_eq!((group.delivered(1).len(), group.members[1].stats().bad_filters), (1, 1));
    }
}

#[test]
fn our_own_messages_that_come_back_are_nothing() {
    let mut group = lip(|_| {});
    group.send(0, "echo", &mut none);
    let echo = group.said[0].1.clone();
    group.inject(0, &echo);
    assert_eq!((group.events[0].len(), group.members[0].unacknowledged()), (0, 1));
}

#[test]
fn nobody_waits_for_a_sync_that_somebody_cites() {
    let mut group = nim(interop);
    let message = group.foreign("nim", "m", &["sync-abc"]);
    group.inject(1, &message);
    assert_eq!(group.delivered(1), ["content of m"]);
}

#[test]
fn a_reply_follows_what_it_replies_to() {
    let mut group = lip(|_| {});
    group.send(0, "question", &mut all);
    group.send(1, "answer", &mut all);
    let (question, answer) = (&group.said[0].1, &group.said[1].1);
    assert_eq!(answer.history[0].id, question.id);
    assert!(answer.time > question.time);
    let Some(SdsEvent::Delivered(delivery)) = group.events[2].last() else { panic!("nothing was delivered") };
    assert_eq!(delivery.past, [Key::of(&question.id)]);
}
