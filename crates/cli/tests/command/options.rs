//! What cannot work is said at once, with exit code 2 and in words.

use crate::support::{Ended, file, recv, run, text};
use serde_json::Value;
use std::path::Path;

/// The command ends with exit code 2, an empty standard output and these words.
#[track_caller]
fn refused(words: &[&str], saying: &[&str]) -> Ended {
    let ended = run(words).with(2).saying(saying);
    assert_eq!(ended.stdout, "", "{words:?}");
    ended
}

#[test]
fn a_demo_that_cannot_work_does_not_start() {
    let temp = tempfile::tempdir().unwrap();
    let (file, missing) = (file(temp.path(), "f", 10, 1), temp.path().join("missing"));
    refused(&["demo", "--file", text(&missing)], &["missing", "No such file"]);
    refused(&["demo", "--file", ""], &["--file"]);
    refused(&["demo", "--file", text(temp.path())], &[text(temp.path()), "not a regular file"]);
    let file = text(&file);
    for loss in ["1", "1.5", "-0.1", "NaN", "inf"] {
        refused(&["demo", "--file", file, &format!("--loss={loss}")], &["--loss"]);
    }
    refused(&["demo", "--file", file, "--loss", "much"], &["--loss", "much"]);
    for peers in ["0", "1", "33", "-3"] {
        refused(&["demo", "--file", file, &format!("--peers={peers}")], &["--peers", peers]);
    }
    refused(&["demo", "--file", file, "--transport", "pigeon"], &["pigeon", "iroh", "mem"]);
    refused(&["demo", "--file", file, "--fast"], &["--fast"]);
    refused(&["demo", "--file", file, "--keep", &format!("{file}/under")], &["under"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir().unwrap();
    let secret = file(temp.path(), "secret", 10, 1);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&secret).is_ok() {
        return crate::support::skipped("who runs this may read everything");
    }
    refused(&["demo", "--file", text(&secret)], &["secret", "Permission denied"]);
}

#[test]
fn no_command_and_no_such_command_are_told_what_there_is() {
    for words in [&[][..], &["receive"]] {
        refused(words, &["Usage: quorate"]);
    }
    let help = run(["--help"]).with(0);
    for command in ["demo", "recv", "send"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
}

#[test]
fn a_ticket_that_was_damaged_is_told_from_one_that_leads_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 10, 1);
    let ticket = recv(&temp.path().join("out"), &[]).ticket;
    let mut mistyped = ticket.clone().into_bytes();
    mistyped[40] = if mistyped[40] == b'q' { b'p' } else { b'q' };
    let mistyped = String::from_utf8(mistyped).unwrap();
    let truncated = &ticket[..ticket.len() - 1];
    for (damaged, saying) in [
        (truncated, "truncated or mistyped"),
        (&ticket[..20], "truncated or mistyped"),
        (&mistyped, "truncated or mistyped"),
        ("", "not a ticket"),
        ("hello", "not a ticket"),
        (&ticket.replacen("qrt1", "fed11", 1), "not a ticket"),
        (&ticket.replacen("qrt1", "qrt1b", 1), "mistyped"),
    ] {
        refused(&["send", damaged, text(&file)], &[saying]);
        let dir = temp.path().join("other");
        refused(&["recv", "--dir", text(&dir), "--ticket", damaged], &[saying]);
        assert!(!dir.exists(), "nothing is made for a ticket that cannot be read");
    }
}

#[test]
fn a_sender_without_files_or_with_one_that_is_not_there_sends_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (good, missing) = (file(temp.path(), "good", 10, 1), temp.path().join("missing"));
    let receiving = recv(&temp.path().join("out"), &[]);
    let ticket = receiving.ticket.as_str();
    refused(&["send", ticket], &["FILE"]);
    refused(&["send", ticket, text(&good), text(&missing)], &["missing", "No such file"]);
    refused(&["send", ticket, text(&good), ""], &["FILE"]);
    refused(&["send", ticket, text(&good), "--timeout", "0"], &["--timeout"]);
    refused(&["send", ticket, text(&good), "--listen", "here"], &["--listen"]);
    let ended = run(["send", "--json", ticket, text(&missing)]).with(2);
    let failed: Value = ended.json();
    assert_eq!((&failed["event"], &failed["exit"]), (&"failed".into(), &2.into()));
    assert_eq!(receiving.run.kill().stdout.lines().count(), 1, "the receiver heard of nothing");
}

#[test]
fn a_folder_is_one_receiver_of_one_group() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    let (first, second) = (recv(&one, &[]), recv(&two, &[]));
    refused(&["recv", "--dir", text(&one)], &["another receiver"]);
    first.run.kill();
    let taken = format!("127.0.0.1:{}", port(&second.address));
    refused(&["recv", "--dir", text(&one), "--listen", &taken], &[&taken, "in use"]);
    refused(&["recv", "--dir", text(&one), "--ticket", &second.ticket], &["another group"]);
    // None of that did it any harm.
    assert_eq!(recv(&one, &[]).ticket, first.ticket);
    let file = file(temp.path(), "f", 10, 1);
    refused(&["recv", "--dir", text(&file)], &["cannot receive into"]);
    refused(&["recv", "--dir", text(&file.join("below"))], &["cannot receive into"]);
}

fn port(address: &str) -> &str {
    let after_host = address.strip_prefix("quic://127.0.0.1:").unwrap();
    Path::new(after_host).iter().next().unwrap().to_str().unwrap()
}
