//! A process that is killed at any instant: what was on disk then is resumed, what was torn is not
//! believed.

use crate::group::{Faults, Group, content, names_in};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const SIZE: usize = 400_000; // 7 chunks

fn parts(folder: &Path) -> PathBuf {
    let parts = folder.join(".quorate/parts");
    parts.read_dir().unwrap().next().unwrap().unwrap().path()
}

/// A transfer that stopped after some chunks; its part file and journal.
fn stopped(seed: u64, chunks: u64) -> (Group, PathBuf) {
    let mut group = Group::new(seed, &[("f", content(seed, SIZE)), ("g", vec![1])], 1, Faults::default());
    group.run_until(|group| {
        group.receivers[0].inbox.as_ref().is_some_and(|inbox| inbox.stats().chunks >= chunks)
    });
    group.kill(0);
    let parts = parts(&group.receivers[0].folder);
    (group, parts)
}

#[test]
fn sender_and_receiver_can_both_be_killed_half_way() {
    let (mut group, _) = stopped(1, 3);
    let before = group.outbox.stats().chunks;
    group.start(0);
    group.run_to_completion();
    assert!(group.outbox.stats().chunks <= before + 8);

    let mut group = Group::new(2, &[("f", content(2, SIZE))], 1, Faults::default());
    group.run_until(|group| group.receivers[0].inbox.as_ref().unwrap().stats().chunks >= 3);
    group.restart_sender();
    group.run_to_completion();
    assert!(group.outbox.stats().chunks <= 4, "what was there is not sent again");
}

#[test]
fn nothing_stands_under_the_final_name_before_it_is_whole() {
    let (mut group, _) = stopped(3, 5);
    assert_eq!(group.receivers[0].files(), [""; 0]);
    group.start(0);
    group.run_to_completion();
}

#[test]
fn a_file_that_got_its_name_just_before_the_kill_is_not_placed_twice() {
    let mut group = Group::new(4, &[("f", content(4, SIZE)), ("g", content(5, SIZE))], 1, Faults::default());
    group.run_until(|group| !names_in(&group.receivers[0].folder).is_empty());
    let already = group.receivers[0].files();
    group.kill(0);
    // As if killed after the link and before the record of it.
    let journal = parts(&group.receivers[0].folder).join("journal");
    let bytes = std::fs::read(&journal).unwrap();
    let placed = bytes.chunks(17).position(|record| record[0] == 4).unwrap();
    std::fs::write(&journal, &bytes[..placed * 17]).unwrap();
    group.start(0);
    group.run_to_completion();
    assert_eq!(group.receivers[0].files(), ["f", "g"]);
    assert_eq!(already.len(), 1);
}

#[test]
fn a_receiver_killed_after_its_last_file_still_says_that_it_has_all() {
    let mut group = Group::new(6, &[("f", content(6, 1_000))], 1, Faults::default());
    group.run_until(|group| !names_in(&group.receivers[0].folder).is_empty());
    group.kill(0);
    group.restart_sender();
    group.start(0);
    group.run_until(|group| group.outbox.is_settled());
    assert_eq!(group.outbox.stats().chunks, 0);
    assert_eq!(group.receivers[0].files(), ["f"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn journal_and_part_cut_or_changed_anywhere_end_with_equal_bytes(
        seed: u64,
        chunks in 1u64..7,
        journal in prop::option::of(0.0..1.0f64),
        part in prop::option::of(0.0..1.0f64),
        flipped in prop::option::of(0.0..1.0f64),
        gone: bool,
    ) {
        let (mut group, parts) = stopped(seed, chunks);
        let cut = |name: &str, share: f64| {
            let path = parts.join(name);
            let bytes = std::fs::read(&path).unwrap_or_default();
            std::fs::write(&path, &bytes[..(bytes.len() as f64 * share) as usize]).unwrap();
        };
        journal.into_iter().for_each(|share| cut("journal", share));
        part.into_iter().for_each(|share| cut("0.part", share));
        if let Some(share) = flipped {
            let mut bytes = std::fs::read(parts.join("0.part")).unwrap_or_default();
            let at = (bytes.len() as f64 * share) as usize;
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
            std::fs::write(parts.join("0.part"), bytes).unwrap();
        }
        if gone {
            std::fs::remove_file(parts.join("1.part")).ok();
        }
        group.start(0);
        group.run_to_completion();
        prop_assert_eq!(group.receivers[0].files(), ["f", "g"]);
    }
}
