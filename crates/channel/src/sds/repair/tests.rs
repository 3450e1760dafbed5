//! When repair is asked for and given.

use super::*;

const T_MIN: Duration = Duration::from_secs(30);
const T_MAX: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(10_000);

fn at(millis: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(millis))
}

fn repair(own: &str, change: impl FnOnce(&mut RepairConfig)) -> Repair {
    let mut config = RepairConfig { t_min: T_MIN, t_max: T_MAX, ..RepairConfig::default() };
    change(&mut config);
    Repair::new(config, Dialect::Lip, own.into())
}

fn lack(id: &str) -> Lack {
    Lack { key: Key::of(&id.into()), id: id.into(), run: 1, hint: None, sender: Some("alice".into()) }
}

fn wanted(id: &str) -> Wanted {
    Wanted { id: id.into(), run: 1, hint: None, sender: Some("alice".into()) }
}

fn due(repair: &Repair, id: &str) -> Mono {
    repair.wants[&Key::of(&id.into())].due
}

fn keep(repair: &mut Repair, id: &str) {
    repair.keep(Key::of(&id.into()), id.into(), "alice".into(), Bytes::copy_from_slice(id.as_bytes()));
}

fn ids(requests: &[Wanted]) -> Vec<&str> {
    requests.iter().map(|wanted| wanted.id.as_str()).collect()
}

#[test]
fn three_at_a_time_the_most_overdue_first_and_again_until_they_are_there() {
    let mut repair = repair("bob", |_| {});
    let names = ["m1", "m2", "m3", "m4", "m5"];
    assert!(names.iter().all(|id| repair.want(at(0), lack(id), PATIENCE)));
    let mut order = names;
    order.sort_by_key(|id| due(&repair, id));
    assert!(!repair.is_request_due(at(29_999)), "nobody asks before T_min");
    assert_eq!(repair.poll_timeout(), Some(due(&repair, order[0])));
    let all = |lack: &Lack| Some(lack.clone());
    assert_eq!(ids(&repair.take_requests(at(120_000), all)), order[..3]);
    assert!(!repair.is_request_due(at(120_000)), "a pause between two messages");
    assert!(repair.is_request_due(at(120_050)));
    assert_eq!(ids(&repair.take_requests(at(120_050), all)), order[3..]);
    assert_eq!(repair.take_requests(at(120_100), all), []);
    let again = at(240_051);
    let but_one = |lack: &Lack| Some(lack.clone()).filter(|lack| lack.id.as_str() != order[0]);
    assert_eq!(repair.take_requests(again, but_one).len(), 3, "asked again");
    assert_eq!(repair.take_requests(again, but_one).len(), 1, "what came is asked for no more");
}

#[test]
fn mentioning_a_missing_message_again_changes_no_time() {
    let mut repair = repair("bob", |_| {});
    repair.want(at(0), lack("m"), PATIENCE);
    let before = due(&repair, "m");
    assert!(!repair.want(at(10_000), Lack { sender: None, ..lack("m") }, PATIENCE));
    assert_eq!((due(&repair, "m"), repair.sizes().0), (before, 1));
    assert_eq!(repair.wants[&Key::of(&"m".into())].lack.sender, Some("alice".into()));
}

#[test]
fn what_nobody_mentions_any_more_is_forgotten() {
    let mut repair = repair("bob", |_| {});
    repair.want(at(0), lack("m"), Duration::from_secs(20));
    assert_eq!(repair.take_requests(at(120_000), |lack| Some(lack.clone())), []);
    assert_eq!((repair.sizes().0, repair.poll_timeout()), (0, None));
}

#[test]
fn a_full_table_drops_the_furthest() {
    let mut repair = repair("bob", |config| config.max_entries = 10);
    let names: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    for id in &names {
        repair.want(at(0), lack(id), PATIENCE);
    }
    let mut times: Vec<_> =
        names.iter().map(|id| at(0) + repair.request_delay(&id.as_str().into())).collect();
    times.sort();
    let kept: Vec<_> = repair.want_due.iter().map(|(due, _)| *due).collect();
    assert_eq!(kept, times[..10]);
    assert_eq!(repair.sizes().0, 10);
}

#[test]
fn the_sender_answers_at_once_others_later_and_each_once() {
    let mut alice = repair("alice", |_| {});
    let mut carol = repair("carol", |_| {});
    for member in [&mut alice, &mut carol] {
        keep(member, "m");
        member.handle_requests(at(0), &[wanted("m"), wanted("unknown")]);
        member.handle_requests(at(0), &[wanted("m")]);
    }
    assert_eq!(alice.poll_answer(at(0)), Some(Key::of(&"m".into())));
    assert_eq!(alice.given(at(0), &Key::of(&"m".into())).unwrap().bytes, "m");
    assert_eq!(alice.poll_answer(at(0)), None, "once");
    alice.handle_requests(at(10), &[wanted("m")]);
    assert_eq!(alice.poll_timeout(), None, "just given");
    alice.handle_requests(at(15_000), &[wanted("m")]);
    assert_eq!(alice.poll_timeout(), Some(at(15_000)), "it was lost again");
    assert_eq!(carol.poll_answer(at(0)), None);
    assert!(carol.poll_timeout().is_some_and(|due| due > at(0) && due < at(0) + T_MAX));
    carol.handle_arrival(&Key::of(&"m".into()));
    assert_eq!((carol.poll_timeout(), carol.poll_answer(at(1_000_000))), (None, None), "somebody else did");
}

#[test]
fn who_hears_another_ask_for_the_same_asks_later() {
    let mut repair = repair("bob", |_| {});
    repair.want(at(0), lack("m"), PATIENCE);
    let before = due(&repair, "m");
    repair.handle_requests(at(20_000), &[wanted("m")]);
    assert_eq!(due(&repair, "m"), before + Duration::from_secs(20));
}

#[test]
fn only_one_group_answers() {
    let members: Vec<Repair> = (0..200)
        .map(|number| {
            let mut member = repair(&format!("member {number}"), |config| config.groups = 10);
            keep(&mut member, "m");
            member.handle_requests(at(0), &[wanted("m")]);
            member
        })
        .collect();
    let answering = members.iter().filter(|member| member.poll_timeout().is_some()).count();
    assert!((5..50).contains(&answering), "{answering} of 200 in one of 10 groups");
}

#[test]
fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    let mut repair = repair("bob", |config| (config.max_messages, config.max_bytes) = (10, 1_000));
    for number in 0..100 {
        keep(&mut repair, &format!("m{number}"));
    }
    assert_eq!(repair.sizes().2, 10);
    repair.keep(Key::of(&"big".into()), "big".into(), "alice".into(), Bytes::from(vec![0; 990]));
    assert_eq!((repair.sizes().2, repair.sizes().3), (4, 999));
    keep(&mut repair, "m99");
    assert_eq!((repair.sizes().2, repair.sizes().3), (4, 999), "the same again");
    assert!(repair.given(at(0), &Key::of(&"m0".into())).is_none());
}

#[test]
fn a_run_is_many_messages_and_an_opaque_id_is_one() {
    use crate::ids::{SenderTag, StructuredId};
    let id = |sequence| StructuredId { tag: SenderTag([1; 6]), sequence, content: [0; 4] }.to_message_id();
    let mut alice = repair("alice", |_| {});
    (0..9).for_each(|number| keep(&mut alice, id(number).as_str()));
    keep(&mut alice, "opaque");
    let run = Wanted { run: 4, ..wanted(id(3).as_str()) };
    alice.handle_requests(at(0), &[run, Wanted { run: u64::MAX, ..wanted("opaque") }]);
    let answers: Vec<_> = std::iter::from_fn(|| alice.poll_answer(at(0))).collect();
    assert_eq!(answers.len(), 5);
}

#[test]
fn who_has_no_name_or_wants_none_neither_asks_nor_answers() {
    let off = |config: &mut RepairConfig| config.enabled = false;
    for mut repair in [repair("", |_| {}), repair("bob", off)] {
        keep(&mut repair, "m");
        repair.handle_requests(at(0), &[wanted("m")]);
        assert!(!repair.want(at(0), lack("n"), PATIENCE));
        assert_eq!((repair.sizes(), repair.poll_timeout()), ((0, 0, 0, 0), None));
    }
}
