//! A real file system that is full.
//!
//! It stands alone in its process because it starts others: between fork and exec a child shares the
//! locks of all folders that are open, and no other test expects that.

use drive::{CHUNK, folder, is_completed, manifest, refusals, send};
use quorate::files::message::RefusedReason;
use quorate::files::{Inbox, InboxConfig};
use quorate_testkit::small_disk::SmallDisk;
use std::path::Path;

#[cfg(test)]
#[path = "files/drive.rs"]
mod drive;

#[test]
fn a_real_file_system_that_is_full_refuses_and_resumes_when_there_is_room() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = SmallDisk::mount(temp.path(), 400 << 10) else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: no tmpfs can be mounted here");
        return;
    };
    std::fs::write(temp.path().join("ballast"), vec![0; 200_000]).unwrap();
    let content: Vec<u8> = (0..4 * CHUNK).map(|n| (n % 251) as u8).collect();
    let files: [&[u8]; 1] = [&content];
    let manifest = manifest(&files);
    let mut inbox = Inbox::new(folder(temp.path()), 1, InboxConfig::default());
    assert_eq!(refusals(&send(&mut inbox, 0, &manifest, &files)), [RefusedReason::Full]);
    assert_eq!(names_in(temp.path()), [".quorate", "ballast"]);
    std::fs::remove_file(temp.path().join("ballast")).unwrap();
    assert!(is_completed(&send(&mut inbox, 60, &manifest, &files)));
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), content);
}

#[cfg(test)]
fn names_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
