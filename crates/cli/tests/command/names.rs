//! A sender that is hostile offers names of its own making: whatever they are, one file appears in the receiver's
//! folder, or none.

use crate::foreign::Peer;
use crate::support::{names_in, recv};
use quorate::channel::SendOptions;
use quorate::files::message::Chunk;
use quorate::files::{FileEntry, Manifest, Message};
use quorate::ticket::Ticket;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Every path below a folder, but for what a receiver keeps of transfers and of whom it met.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_transfers = ["done", "parts", "acquaintances", "acquaintances.new"].contains(&name);
        if of_transfers && path.parent().unwrap().ends_with(".quorate") {
            continue;
        }
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(tree(&path));
        }
        found.push(path.to_str().unwrap().to_owned());
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_lead_elsewhere_do_not() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("deep/er/out");
    let mut receiving = recv(&out, &[]);
    let ticket: Ticket = receiving.ticket.parse().unwrap();
    let identity = std::fs::read(out.join(".quorate/identity")).unwrap();
    let peer = Peer::join(&ticket).await;
    let (channel, _events) = peer.open(&ticket).await;
    let before = tree(temp.path());

    let absolute = temp.path().join("absolute");
    let mut expected = Vec::new();
    for (name, placed) in [
        ("../../evil", Some("evil")),
        (absolute.to_str().unwrap(), Some("absolute")),
        ("..\\..\\windows", Some("windows")),
        (".quorate/identity", Some("identity")),
        ("a\u{202e}gpj.exe", Some("a_gpj.exe")),
        ("two\nlines\u{1b}[2J", Some("two_lines_[2J")),
        ("nul", Some("_nul")),
        ("..", None),
        (".quorate", None),
        ("dir/", None),
    ] {
        let content = format!("hostile {name}");
        let sha256 = Sha256::digest(&content).into();
        let entry = FileEntry { name: name.to_owned(), size: content.len() as u64, sha256 };
        let manifest = Manifest::new(vec![entry]).unwrap();
        let chunk = Chunk { transfer: manifest.id(), file: 0, chunk: 0, data: content.clone().into() };
        for message in [Message::Offer(manifest), Message::Chunk(chunk)] {
            channel.send(message.encode(), SendOptions::default()).await.unwrap();
        }
        match placed {
            Some(placed) => {
                let event = receiving.run.event("placed");
                assert_eq!(event["name"], *placed, "{name:?}");
                assert_eq!(std::fs::read(out.join(placed)).unwrap(), content.as_bytes());
                expected.push(placed.to_owned());
            }
            None => assert_eq!(receiving.run.event("refused")["reason"], "unacceptable-name", "{name:?}"),
        }
    }
    expected.sort();
    assert_eq!(names_in(&out), expected);
    let paths = expected.iter().map(|name| out.join(name).to_str().unwrap().to_owned());
    let mut all: Vec<_> = before.into_iter().chain(paths).collect();
    all.sort();
    assert_eq!(tree(temp.path()), all);
    assert_eq!(std::fs::read(out.join(".quorate/identity")).unwrap(), identity);
}
