//! What is written, and when.

use super::group::{all, interop, none};
use super::{Group, lip, nim};
use crate::sds::{Due, Kind, SdsError, SdsEvent, SdsMessage};
use std::time::Duration;

#[test]
fn lamport_times_rise_and_messages_cite_what_they_follow_with_its_sender() {
    for mut group in [lip(interop), nim(interop)] {
        for number in 0..20 {
            group.send(number % 3, &format!("{number}"), &mut all);
        }
        let said: Vec<_> = group.said.iter().map(|(_, message)| message.clone()).collect();
        assert!(said.windows(2).all(|pair| pair[0].time < pair[1].time));
        for (place, message) in said.iter().enumerate() {
            assert_eq!(message.history.len(), place.min(10));
            let newest = message.history.first().map(|dependency| &dependency.id);
            assert_eq!(newest, place.checked_sub(1).map(|before| &said[before].id));
            assert!(message.history.iter().all(|dependency| dependency.sender.is_some()));
        }
    }
}

#[test]
fn filters_travel_on_syncs_and_on_every_sixteenth_message_and_hold_what_was_seen() {
    for mut group in [lip(interop), nim(interop)] {
        for number in 0..33 {
            group.send(0, &format!("{number}"), &mut all);
        }
        group.run(Duration::from_secs(5), &mut all);
        let with =
            group.said_by(0, Kind::Content).iter().filter(|message| message.bloom_filter.is_some()).count();
        assert_eq!(with, 2);
        let syncs = group.said_by(1, Kind::Sync);
        assert!(!syncs.is_empty() && syncs.iter().all(|sync| sync.bloom_filter.is_some()));
        assert_eq!(group.members[1].stats().bad_filters, 0);
    }
}

#[test]
fn the_profile_compact_writes_no_filter_and_costs_little() {
    let mut group = lip(|_| {});
    for number in 0..100 {
        group.send(number % 3, &"x".repeat(1_024), &mut all);
    }
    for (_, message) in &group.said {
        assert_eq!(message.bloom_filter, None);
        let cost = message.encode(group.dialect).len() - 1_024;
        assert!(cost < 150, "{cost} bytes beside the payload");
    }
}

#[test]
fn an_ephemeral_message_has_neither_time_nor_history_and_is_told_at_once_and_once() {
    let mut group = lip(interop);
    let prepared = group.members[0].ephemeral(0, *b"ephe", "hi".into());
    let message = SdsMessage::decode(group.dialect, prepared.bytes).unwrap();
    assert_eq!((message.kind(), message.time, message.history.len()), (Kind::Ephemeral, None, 0));
    assert_eq!((&message.bloom_filter, group.members[0].unacknowledged()), (&None, 0));
    group.inject(1, &message);
    group.inject(1, &message);
    let told = [SdsEvent::Ephemeral { sender: "alice".into(), id: message.id.clone(), content: "hi".into() }];
    assert_eq!(group.events[1], told);
    group.run(Duration::from_secs(600), &mut all);
    assert_eq!((group.said.len(), group.events[0].len()), (0, 0), "nobody acknowledges it");
}

#[test]
fn a_message_is_repeated_with_the_same_id_and_time_until_it_is_acknowledged() {
    let mut group = lip(|_| {});
    group.send(0, "again", &mut none);
    group.run(Duration::from_secs(20), &mut none);
    let said = group.said_by(0, Kind::Content);
    assert!(said.len() > 3);
    assert!(said.iter().all(|message| (&message.id, message.time) == (&said[0].id, said[0].time)));
    let before = said.len();
    group.run(Duration::from_secs(40), &mut all);
    assert_eq!((group.delivered(1), group.members[0].unacknowledged()), (vec!["again".into()], 0));
    let after = group.said_by(0, Kind::Content).len();
    assert!(after <= before + 3, "{before} before anybody heard, {after} in all");
}

#[test]
fn a_send_that_never_left_is_cited_by_nothing_and_missed_by_nobody() {
    let mut group = lip(interop);
    let sequence = group.send(0, "stays", &mut none);
    let never = group.said[0].1.id.clone();
    group.members[0].undo(group.now, crate::ids::RequestId(1), sequence..sequence + 1);
    group.send(0, "goes", &mut all);
    group.run(Duration::from_secs(60), &mut all);
    let later = &group.said[1..];
    assert!(later.iter().all(|(_, message)| message.history.iter().all(|dependency| dependency.id != never)));
    assert_eq!((group.delivered(1), group.delivered(2)), (vec!["goes".into()], vec!["goes".into()]));
    assert!(group.events.iter().flatten().all(|event| !matches!(event, SdsEvent::Gap(_))));
}

#[test]
fn there_is_no_sync_without_anything_to_say() {
    let mut group = lip(interop);
    group.transmit(0, Due::Sync, &mut all);
    group.run(Duration::from_secs(600), &mut all);
    assert_eq!(group.said.len(), 0);
}

#[test]
fn syncs_become_rare_and_traffic_puts_them_off() {
    let mut group = lip(|_| {});
    group.send(0, "x", &mut all);
    group.run(Duration::from_secs(60), &mut all);
    let early = group.said.len();
    assert!(early > 2, "silent receivers acknowledge, and everybody syncs");
    group.run(Duration::from_secs(3_600), &mut all);
    let late = group.said.len() - early;
    assert!(late <= 3 * 3_600 / 60, "{late} syncs of three in an hour");
    let before = group.said_by(0, Kind::Sync).len();
    for number in 0..60 {
        group.send(0, &format!("{number}"), &mut all);
        group.run(Duration::from_secs(1), &mut all);
    }
    assert_eq!(group.said_by(0, Kind::Sync).len(), before, "content says it all");
}

#[test]
fn a_message_that_only_poses_as_signed_is_refused_and_counted() {
    let mut group = lip(|_| {}).signed();
    let sequence = group.send(0, "mine", &mut all);
    let genuine = group.said[0].1.clone();
    assert_eq!(group.delivered(1), ["mine"]);
    // A forged message, a forged acknowledgement and a forged repair of a signed message.
    let posed = SdsMessage { content: "not mine".into(), ..genuine.clone() };
    let acks = vec![crate::sds::AckVector { tag: group.members[0].own_tag(), ranges: vec![0..sequence + 1] }];
    let id = crate::ids::MessageId::from("sync-1");
    let ack = SdsMessage { acks, time: Some(1), ..SdsMessage::bare("bob".into(), id, "c".into()) };
    for (member, forged) in [(1, &posed), (0, &ack), (2, &genuine)] {
        let read = group.members[member].handle_message(group.now, forged.encode(group.dialect), None);
        assert_eq!(read, Err(SdsError::Forged(forged.sender.clone())));
        assert_eq!(group.members[member].stats().forged, 1);
    }
    group.listen(0);
    assert_eq!((group.acknowledged(0, "bob"), group.members[0].unacknowledged()), (vec![], 1));
}

#[test]
fn every_dialect_and_profile_converges_in_one_order() {
    for change in [|_: &mut _| {}, interop] {
        for mut group in [lip(change), nim(change)] {
            let mut random = fastrand::Rng::with_seed(7);
            for number in 0..60 {
                let mut link = |_, _, _: &SdsMessage| random.f64() > 0.3;
                group.send(number % 3, &format!("{number}"), &mut link);
                group.run(Duration::from_millis(200), &mut link);
            }
            group.run(Duration::from_secs(300), &mut |_, _, _| random.f64() > 0.3);
            for member in 0..3 {
                let own = (0..60).filter(|number| number % 3 == member).count();
                assert_eq!(group.delivered(member).len(), 60 - own, "of {member}");
                assert_eq!(group.members[member].unacknowledged(), 0);
            }
        }
    }
}

#[test]
fn a_group_of_one_says_nothing_to_nobody_for_ever() {
    let mut group = Group::of(crate::sds::Dialect::Lip, &["alice"], |_| {});
    group.send(0, "x", &mut all);
    group.members[0].forget(crate::ids::RequestId(1), 0..1);
    group.run(Duration::from_secs(3_600), &mut all);
    assert!(group.said.len() < 100);
}
