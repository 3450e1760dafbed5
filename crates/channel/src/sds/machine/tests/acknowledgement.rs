//! What acknowledges, and what only delays.

use super::group::{all, interop, none};
use super::{lip, nim};
use crate::config::AckPolicy;
use crate::sds::{BloomFilter, Dependency, FilterConfig, Fingerprint, SdsMessage};
use std::time::Duration;

fn cite(message: &SdsMessage) -> Dependency {
    Dependency { id: message.id.clone(), time: None, hint: None, sender: None }
}

#[test]
fn a_citation_acknowledges_exactly_what_it_names() {
    for mut group in [lip(interop), nim(interop)] {
        let first = group.send(0, "first", &mut none);
        group.send(0, "second", &mut none);
        let cited = cite(&group.said[0].1);
        let reply = SdsMessage { history: vec![cited], ..group.foreign("js", "reply", &[]) };
        group.inject(0, &reply);
        assert_eq!((group.acknowledged(0, "js"), group.members[0].unacknowledged()), (vec![first], 1));
    }
}

#[test]
fn where_one_may_believe_it_a_citation_acknowledges_what_that_message_cites_too() {
    for believed in [false, true] {
        let mut group = lip(move |config| {
            interop(config);
            (config.cited_past, config.causal_history) = (believed, 2);
        });
        for text in ["zero", "one", "two", "three"] {
            group.send(0, text, &mut none);
        }
        let cited = cite(&group.said[3].1);
        let reply = SdsMessage { history: vec![cited.clone()], ..group.foreign("js", "reply", &[]) };
        group.inject(0, &reply);
        let expected = if believed { vec![1, 2, 3] } else { vec![3] };
        assert_eq!(group.acknowledged(0, "js"), expected, "one step back, not two");
        // One of ours says what it has itself.
        let ours = SdsMessage { history: vec![cited], oldest: Some(0), ..group.foreign("q", "other", &[]) };
        group.inject(0, &ours);
        assert_eq!(group.acknowledged(0, "q"), Vec::<u64>::new());
    }
}

#[test]
fn a_filter_delays_a_resend_and_acknowledges_nothing() {
    for mut group in [lip(interop), nim(interop)] {
        group.send(0, "perhaps", &mut none);
        let due = group.members[0].poll_timeout().unwrap();
        let config = FilterConfig::default();
        let mut filter = BloomFilter::new(group.dialect, config);
        filter.insert(Fingerprint::of(group.dialect, group.said[0].1.id.as_str()));
        for number in 0..5 {
            let filter = Some(filter.encode(config));
            let hit = SdsMessage { bloom_filter: filter, ..group.foreign("js", &format!("m{number}"), &[]) };
            group.inject(0, &hit);
        }
        assert_eq!((group.acknowledged(0, "js"), group.members[0].unacknowledged()), (vec![], 1));
        assert!(group.members[0].stats().possibly_acknowledged >= 1);
        assert!(group.members[0].outgoing.poll_timeout().unwrap() > due, "the resend waits longer");
        group.run(Duration::from_secs(10), &mut none);
        assert!(group.members[0].stats().retransmissions > 0, "and comes all the same");
    }
}

#[test]
fn each_member_acknowledges_for_itself() {
    let roster = || AckPolicy::All(["bob".into(), "carol".into()].into());
    let mut group = lip(move |config| config.acks = roster());
    group.send(0, "for both", &mut |_, to, _| to == 1);
    group.run(Duration::from_millis(300), &mut |_, to, _| to == 0);
    assert_eq!((group.acknowledged(0, "bob"), group.members[0].unacknowledged()), (vec![0], 1));
    group.run(Duration::from_secs(30), &mut all);
    assert_eq!((group.acknowledged(0, "carol"), group.members[0].unacknowledged()), (vec![0], 0));
}

#[test]
fn our_own_words_acknowledge_nothing_of_ours() {
    let mut group = lip(interop);
    group.send(0, "first", &mut none);
    group.send(0, "second", &mut none);
    for message in [group.said[0].1.clone(), group.said[1].1.clone()] {
        group.inject(0, &message);
    }
    let posed = SdsMessage { history: vec![cite(&group.said[0].1)], ..group.foreign("alice", "opaque", &[]) };
    group.inject(0, &posed);
    assert_eq!(group.members[0].unacknowledged(), 2);
}

#[test]
fn a_message_that_was_missed_and_sent_again_is_acknowledged() {
    let mut group = lip(|_| {});
    group.send(0, "missed", &mut none);
    group.run(Duration::from_secs(5), &mut all);
    assert_eq!((group.delivered(1), group.members[0].unacknowledged()), (vec!["missed".into()], 0));
}

#[test]
fn a_silent_receiver_acknowledges_foreign_messages_by_citing_them() {
    let mut group = lip(interop);
    for number in 0..5 {
        let message = group.foreign("js", &format!("m{number}"), &[]);
        group.inject(1, &message);
    }
    group.run(Duration::from_secs(1), &mut all);
    let syncs = group.said_by(1, crate::sds::Kind::Sync);
    let cited: Vec<_> = syncs[0].history.iter().map(|dependency| dependency.id.as_str()).collect();
    assert_eq!((syncs.len(), cited.len()), (1, 5));
    let again = group.foreign("js", "m0", &[]);
    group.inject(1, &again);
    group.run(Duration::from_secs(1), &mut all);
    assert_eq!(group.said_by(1, crate::sds::Kind::Sync).len(), 2, "it was asked again");
}
