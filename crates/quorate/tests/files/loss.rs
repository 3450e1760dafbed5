//! Whatever the channel does to messages, the files arrive whole and once.

use crate::group::{Faults, Group, content};
use proptest::prelude::*;
use quorate::files::{InboxEvent, OutboxEvent};
use std::time::Duration;

#[test]
fn empty_tiny_and_large_files_arrive_at_three_receivers() {
    let files = [("empty", vec![]), ("one", vec![7]), ("large", content(1, 3_000_000))];
    let mut group = Group::new(1, &files, 3, Faults::default());
    group.run_to_completion();
    // Nothing was lost, so every chunk went out once.
    assert_eq!(group.outbox.stats().chunks, u64::from(group.source.manifest().total_chunks()));
    for receiver in &group.receivers {
        assert_eq!(receiver.files(), ["empty", "large", "one"]);
        let completed = |event: &&InboxEvent| matches!(event, InboxEvent::Completed { already: false, .. });
        assert_eq!(receiver.events.iter().filter(completed).count(), 1);
        assert_eq!(receiver.folder.join(".quorate/parts").read_dir().unwrap().count(), 0);
    }
    let completed = |event: &&OutboxEvent| matches!(event, OutboxEvent::Completed { .. });
    assert_eq!(group.sent.iter().filter(completed).count(), 3);
}

#[test]
fn a_receiver_that_comes_late_gets_everything() {
    let mut group = Group::new(2, &[("f", content(2, 1_000_000))], 2, Faults::default());
    group.kill(1);
    let first = |event: &OutboxEvent| matches!(event, OutboxEvent::Completed { .. });
    group.run_until(|group| group.sent.iter().any(first));
    group.start(1);
    group.run_to_completion();
}

#[test]
fn a_receiver_that_started_before_the_sender_is_offered_the_files() {
    let mut group = Group::new(3, &[("f", content(3, 100_000))], 1, Faults::default());
    group.restart_sender();
    group.run_to_completion();
}

#[test]
fn a_transfer_that_was_completed_is_not_written_again() {
    let mut group = Group::new(4, &[("f", content(4, 100_000)), ("g", vec![])], 1, Faults::default());
    group.run_to_completion();
    group.restart_sender();
    group.run_until(|group| group.outbox.is_settled());
    group.kill(0);
    group.start(0);
    group.restart_sender();
    group.run_until(|group| group.outbox.is_settled());
    assert_eq!(group.outbox.stats().chunks, 0);
    assert_eq!(group.receivers[0].files(), ["f", "g"]);
    let already = |event: &&InboxEvent| matches!(event, InboxEvent::Completed { already: true, .. });
    assert_eq!(group.receivers[0].events.iter().filter(already).count(), 1);
}

#[test]
fn a_received_file_that_was_removed_since_comes_again_alone() {
    let mut group =
        Group::new(5, &[("f", content(5, 200_000)), ("g", content(6, 200_000))], 1, Faults::default());
    group.run_to_completion();
    std::fs::remove_file(group.receivers[0].folder.join("f")).unwrap();
    group.restart_sender();
    group.run_to_completion();
    assert_eq!(group.outbox.stats().chunks, 4);
    assert_eq!(group.receivers[0].files(), ["f", "g"]);
}

#[test]
fn a_name_that_exists_is_kept_and_the_new_file_gets_a_number() {
    let mut group = Group::new(7, &[("a.txt", content(7, 100_000))], 1, Faults::default());
    let folder = group.receivers[0].folder.clone();
    std::fs::write(folder.join("a.txt"), "mine").unwrap();
    std::fs::create_dir(folder.join("a (1).txt")).unwrap();
    group.run_to_completion();
    assert_eq!(group.receivers[0].name_of(0), "a (2).txt");
    assert_eq!(std::fs::read(folder.join("a.txt")).unwrap(), b"mine");
    assert_eq!(group.receivers[0].files(), ["a (1).txt", "a (2).txt", "a.txt"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_loss_order_and_duplication_ends_with_equal_bytes(
        seed: u64,
        sizes in prop::collection::vec(prop_oneof![Just(0), 1usize..500_000, Just(65_536), Just(131_072)], 1..4),
        receivers in 1usize..3,
        lost in 0.0..0.5f64,
        failed in 0.0..0.3f64,
        doubled in 0.0..0.3f64,
        delay in 0u64..3_000,
    ) {
        let contents: Vec<_> = sizes.iter().enumerate().map(|(n, size)| content(seed ^ n as u64, *size)).collect();
        let files: Vec<_> = ["a", "b", "c"].into_iter().zip(contents).collect();
        let faults = Faults { lost, failed, doubled, delay: Duration::from_millis(delay) };
        let mut group = Group::new(seed, &files, receivers, faults);
        group.run_to_completion();
        for receiver in &group.receivers {
            prop_assert_eq!(receiver.files().len(), files.len());
        }
    }
}
