//! What one member lost comes from another (SDS-R).

use super::group::{all, interop, none};
use super::{Group, lip, nim};
use crate::sds::{Kind, RepairConfig, SdsConfig, SdsEvent};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_one_member_lost_while_another_acknowledged_it_is_repaired() {
    for mut group in [lip(|_| {}), nim(|_| {}), lip(interop), nim(interop), lip(|_| {}).signed()] {
        for number in 0..5 {
            group.send(0, &format!("{number}"), &mut |_, to, _| to != 2);
        }
        group.run(MINUTE * 2, &mut all);
        assert_eq!(group.delivered(1), ["0", "1", "2", "3", "4"]);
        assert_eq!(group.delivered(2), ["0", "1", "2", "3", "4"], "bob acknowledged, carol had none");
        assert_eq!(group.members[0].unacknowledged(), 0);
    }
}

#[test]
fn when_the_sender_is_gone_another_member_gives_it() {
    for mut group in [lip(|_| {}), nim(|_| {}), lip(|_| {}).signed()] {
        group.send(0, "first", &mut |_, to, _| to == 1);
        group.send(1, "second", &mut |_, to, _| to == 2);
        assert_eq!(group.delivered(2), Vec::<String>::new(), "it follows what carol lacks");
        group.run(MINUTE * 2, &mut |from, to, _| from != 0 && to != 0);
        assert_eq!(group.delivered(2), ["first", "second"]);
        assert_eq!(group.members[1].stats().repairs_given, 1);
        let given = group.said_by(1, Kind::Content);
        assert!(given.iter().any(|message| message.sender.as_str() == "alice"), "verbatim");
    }
}

#[test]
fn many_holes_are_asked_for_three_at_a_time() {
    let mut group = lip(|_| {});
    for number in 0..40 {
        group.send(0, &format!("{number}"), &mut |_, to, _| to == 1 || number % 2 == 1);
    }
    group.run(MINUTE, &mut all);
    assert_eq!(group.delivered(2).len(), 40);
    let asked = group.said_by(2, Kind::Sync);
    assert!(asked.iter().all(|sync| sync.repair.len() <= 3));
    assert!(asked.iter().filter(|sync| !sync.repair.is_empty()).count() >= 7);
}

#[test]
fn one_answer_is_enough() {
    let names = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let mut group = Group::of(crate::sds::Dialect::Lip, &names, |_| {});
    group.send(0, "first", &mut |_, to, _| to != 5);
    group.send(1, "second", &mut |_, _, _| true);
    group.run(MINUTE * 2, &mut |from, to, _| from != 0 && to != 0);
    assert_eq!(group.delivered(5), ["first", "second"]);
    let given: u64 = group.members.iter().map(|member| member.stats().repairs_given).sum();
    assert_eq!(given, 1, "the others heard it");
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut group = lip(|_| {});
    group.send(0, "first", &mut |_, to, _| to == 1);
    group.send(1, "second", &mut |_, to, _| to == 2);
    let mut lost = 0;
    group.run(MINUTE * 2, &mut |from, to, message| {
        let is_answer = from == 1 && to == 2 && message.sender.as_str() == "alice";
        lost += u32::from(is_answer && lost < 2);
        from != 0 && to != 0 && !(is_answer && lost < 2)
    });
    assert_eq!(group.delivered(2), ["first", "second"]);
    assert!(group.members[2].stats().repairs_asked >= 2);
}

#[test]
fn what_nobody_has_becomes_a_gap_and_is_asked_for_no_more() {
    let mut group = lip(|config| config.incoming.lost_after = Duration::from_secs(60));
    let message = group.foreign("js", "m2", &["m1"]);
    group.inject(1, &message);
    group.run(MINUTE * 3, &mut all);
    assert_eq!(group.delivered(1), ["content of m2"]);
    assert!(group.events[1].iter().any(|event| matches!(event, SdsEvent::Gap(_))));
    let asked = group.members[1].stats().repairs_asked;
    assert!(asked >= 1);
    group.run(MINUTE * 10, &mut all);
    assert_eq!((group.members[1].stats().repairs_asked, group.members[1].repair().sizes().0), (asked, 0));
}

#[test]
fn a_store_is_asked_where_a_hint_says_so_and_what_it_holds_is_read() {
    let mut group = lip(|_| {});
    let (first, second) = (group.foreign("js", "m1", &[]), group.foreign("js", "m2", &["m1"]));
    group.inject(1, &second);
    let fetch = SdsEvent::Fetch { id: "m1".into(), hint: "hint of m1".into(), sender: Some("js".into()) };
    assert_eq!(group.events[1], [fetch]);
    group.inject(1, &first);
    assert_eq!(group.delivered(1), ["content of m1", "content of m2"]);
    group.members[1].handle_hint(&"m2".into(), "shelf".into());
    group.send(1, "answer", &mut none);
    let hint = group.said_by(1, Kind::Content)[0].history[0].hint.clone();
    assert_eq!(hint, Some("shelf".into()));
}

#[test]
fn without_repair_nothing_is_asked_or_given() {
    let off =
        |config: &mut SdsConfig| config.repair = RepairConfig { enabled: false, ..RepairConfig::default() };
    let mut group = lip(off);
    group.send(0, "first", &mut |_, to, _| to == 1);
    group.send(1, "second", &mut |_, to, _| to == 2);
    group.run(MINUTE, &mut |from, to, _| from != 0 && to != 0);
    assert_eq!(group.delivered(2), Vec::<String>::new());
    assert!(group.said.iter().all(|(_, message)| message.repair.is_empty()));
}
