//! Hostile names and planted links: nothing is written outside the receiver's folder.

use proptest::prelude::*;
use quorate::files::message::{Chunk, RefusedReason};
use quorate::files::{
    FileEntry, Folder, Home, Inbox, InboxConfig, InboxEvent, InboxOutput, Manifest, Message, PeerName,
};
use quorate_base::Now;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn manifest(name: &str, content: &[u8]) -> Manifest {
    let sha256 = Sha256::digest(content).into();
    Manifest::new(vec![FileEntry { name: name.to_owned(), size: content.len() as u64, sha256 }]).unwrap()
}

fn inbox(out: &Path) -> Inbox<Folder> {
    Inbox::new(Folder::new(Home::open(out).unwrap()).unwrap(), 1, InboxConfig::default())
}

fn offer(inbox: &mut Inbox<Folder>, manifest: &Manifest) {
    inbox.handle_message(Now::default(), &PeerName::from("x"), Message::Offer(manifest.clone())).unwrap();
}

fn chunk(inbox: &mut Inbox<Folder>, manifest: &Manifest, content: &[u8]) {
    let data = content.to_vec().into();
    let chunk = Message::Chunk(Chunk { transfer: manifest.id(), file: 0, chunk: 0, data });
    inbox.handle_message(Now::default(), &PeerName::from("x"), chunk).unwrap();
}

fn finish(inbox: &mut Inbox<Folder>) -> Vec<InboxEvent> {
    let mut events = Vec::new();
    loop {
        while let Some(output) = inbox.poll_output() {
            if let InboxOutput::Event(event) = output {
                events.push(event);
            }
        }
        if inbox.poll_timeout().is_none_or(|at| at > Now::default().mono) {
            return events;
        }
        inbox.handle_timeout(Now::default());
    }
}

fn refused(events: &[InboxEvent]) -> Option<RefusedReason> {
    events.iter().find_map(|event| match event {
        InboxEvent::Refused { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// Every path below `folder`, links not followed.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_name_leaves_the_folder(
        name in prop_oneof![
            r"(\.\./|/|\\|\.|\.\.|a|\.quorate|NUL|C:|~|\x00|\n|lock|identity|parts|ö){1,12}",
            r"\PC{1,60}",
        ],
    ) {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("a/b/out");
        let mut inbox = inbox(&out);
        let before = walk(temp.path());
        let manifest = manifest(&name, b"hostile");
        offer(&mut inbox, &manifest);
        chunk(&mut inbox, &manifest, b"hostile");
        let events = finish(&mut inbox);
        let placed = events.iter().any(|event| matches!(event, InboxEvent::Placed { .. }));
        prop_assert!(placed || refused(&events) == Some(RefusedReason::UnacceptableName));
        for path in walk(temp.path()).into_iter().filter(|path| !before.contains(path)) {
            let inside = path.strip_prefix(&out);
            prop_assert!(inside.is_ok(), "{path:?} is outside");
            let inside = inside.unwrap();
            prop_assert!(inside.components().count() == 1 || inside.starts_with(".quorate/done"), "{inside:?}");
        }
    }
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder to receive in, and one elsewhere that must stay as it is.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let (out, elsewhere) = (temp.path().join("out"), temp.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("victim"), "untouched").unwrap();
        (temp, out, elsewhere)
    }

    fn assert_untouched(elsewhere: &Path) {
        assert_eq!(walk(elsewhere), [elsewhere.join("victim")]);
        assert_eq!(std::fs::read(elsewhere.join("victim")).unwrap(), b"untouched");
    }

    #[test]
    fn a_link_under_the_final_name_is_left_alone() {
        for target in ["victim", "new"] {
            let (_temp, out, elsewhere) = folders();
            let mut inbox = inbox(&out);
            symlink(elsewhere.join(target), out.join("f")).unwrap();
            let manifest = manifest("f", b"data");
            offer(&mut inbox, &manifest);
            chunk(&mut inbox, &manifest, b"data");
            finish(&mut inbox);
            assert_eq!(std::fs::read(out.join("f (1)")).unwrap(), b"data");
            assert!(out.join("f").symlink_metadata().unwrap().is_symlink());
            assert_untouched(&elsewhere);
        }
    }

    #[test]
    fn links_in_place_of_the_state_folders_are_refused_when_they_are_opened() {
        for name in ["parts", "done"] {
            let (_temp, out, elsewhere) = folders();
            std::fs::create_dir_all(out.join(".quorate")).unwrap();
            symlink(&elsewhere, out.join(".quorate").join(name)).unwrap();
            assert!(Folder::new(Home::open(&out).unwrap()).is_err());
            assert_untouched(&elsewhere);
        }
    }

    #[test]
    fn links_planted_while_a_transfer_runs_are_not_followed() {
        let plants: [(&str, bool); 4] = [("", true), ("0.part", false), ("journal", false), ("0.part", true)];
        for (name, to_folder) in plants {
            let (_temp, out, elsewhere) = folders();
            let mut inbox = inbox(&out);
            let manifest = manifest("f", b"data");
            offer(&mut inbox, &manifest);
            let folder = out.join(".quorate/parts").join(manifest.id().to_string());
            let place = if name.is_empty() { folder } else { folder.join(name) };
            let target = if to_folder { elsewhere.clone() } else { elsewhere.join("victim") };
            match place.symlink_metadata() {
                Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&place).unwrap(),
                Ok(_) => std::fs::remove_file(&place).unwrap(),
                Err(_) => {}
            }
            symlink(target, &place).unwrap();
            chunk(&mut inbox, &manifest, b"data");
            assert_eq!(refused(&finish(&mut inbox)), Some(RefusedReason::CannotWrite), "{name}");
            assert_untouched(&elsewhere);
            assert_eq!(crate::group::names_in(&out), [""; 0]);
        }
    }

    #[test]
    fn a_link_in_place_of_an_old_transfer_is_replaced_and_not_emptied() {
        let (_temp, out, elsewhere) = folders();
        let mut inbox = inbox(&out);
        let manifest = manifest("f", b"data");
        symlink(&elsewhere, out.join(".quorate/parts").join(manifest.id().to_string())).unwrap();
        offer(&mut inbox, &manifest);
        assert_eq!(refused(&finish(&mut inbox)), Some(RefusedReason::CannotWrite));
        assert_untouched(&elsewhere);
    }
}
