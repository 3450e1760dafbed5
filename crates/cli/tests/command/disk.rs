//! Names that are taken, links that are planted, a disk that is full.

use crate::support::{assert_equal, content, file, names_in, recv, run, send, send_words, skipped, text};
use quorate_testkit::small_disk::SmallDisk;

#[test]
fn a_name_that_is_taken_stays_and_the_new_file_gets_a_number() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    std::fs::create_dir_all(out.join("a (1).txt")).unwrap();
    std::fs::write(out.join("a.txt"), "was here before").unwrap();
    let folders = ["x", "y"].map(|name| temp.path().join(name));
    let files = folders.each_ref().map(|folder| {
        std::fs::create_dir(folder).unwrap();
        file(folder, "a.txt", 1_000, folder.as_os_str().len() as u64 + u64::from(folder.ends_with("y")))
    });
    let mut receiving = recv(&out, &[]);
    send(&receiving.ticket, &[&files[0], &files[1]]).with(0);
    let placed = [(); 2].map(|()| receiving.run.event("placed")["name"].as_str().unwrap().to_owned());
    assert_eq!(placed, ["a (2).txt", "a (3).txt"]);
    assert_eq!(std::fs::read(out.join("a.txt")).unwrap(), b"was here before");
    assert_equal(&files[0], &out.join("a (2).txt"));
    assert_equal(&files[1], &out.join("a (3).txt"));
    assert_eq!(names_in(&out), ["a (1).txt", "a (2).txt", "a (3).txt", "a.txt"]);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_in_the_folder() {
    use std::os::unix::fs::symlink;
    let temp = tempfile::tempdir().unwrap();
    let (out, elsewhere) = (temp.path().join("out"), temp.path().join("elsewhere"));
    std::fs::create_dir_all(&out).unwrap();
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("target"), "untouched").unwrap();
    symlink(elsewhere.join("target"), out.join("a")).unwrap();
    symlink(elsewhere.join("made"), out.join("b")).unwrap();
    let files = ["a", "b"].map(|name| file(temp.path(), name, 1_000, 1));
    let mut receiving = recv(&out, &[]);
    send(&receiving.ticket, &[&files[0], &files[1]]).with(0);
    receiving.run.event("completed");
    assert_eq!(names_in(&out), ["a", "a (1)", "b", "b (1)"]);
    assert_eq!(names_in(&elsewhere), ["target"]);
    assert_eq!(std::fs::read(elsewhere.join("target")).unwrap(), b"untouched");

    // In the place of its own folder neither.
    let other = temp.path().join("other");
    std::fs::create_dir(&other).unwrap();
    symlink(&elsewhere, other.join(".quorate")).unwrap();
    run(["recv", "--dir", text(&other)]).with(2).saying(&[".quorate", "not followed"]);
    assert_eq!(names_in(&elsewhere), ["target"]);
}

#[test]
fn a_full_disk_is_told_to_the_sender_and_leaves_no_half_file() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let Some(_mounted) = SmallDisk::mount(&out, 6 << 20) else {
        return skipped("no tmpfs can be mounted here");
    };
    std::fs::write(out.join("ballast"), content(3_000_000, 1)).unwrap();
    let source = file(temp.path(), "f", 5_000_000, 2);
    let mut receiving = recv(&out, &[]);
    let ended = send(&receiving.ticket, &[&source]).with(1).saying(&[&receiving.name, "refused"]);
    let failed = ended.last_event();
    assert_eq!(failed["receivers"][0]["state"], "refused", "{failed}");
    assert_eq!(receiving.run.event("refused")["reason"], "full");
    assert_eq!(names_in(&out), ["ballast"]);

    // When there is room, the same words work; the receiver is another process by then.
    receiving.run.kill();
    std::fs::remove_file(out.join("ballast")).unwrap();
    let mut receiving = recv(&out, &[]);
    send(&receiving.ticket, &[&source]).with(0);
    receiving.run.event("completed");
    assert_equal(&source, &out.join("f"));
}

#[test]
fn a_receiver_whose_folder_is_gone_refuses() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let source = file(temp.path(), "f", 1_000, 2);
    let receiving = recv(&out, &[]);
    std::fs::remove_dir_all(&out).unwrap();
    let words = send_words(&receiving.ticket, &[&source]);
    run(words).with(1).saying(&[&receiving.name, "refused"]);
    assert!(!out.exists());
}
