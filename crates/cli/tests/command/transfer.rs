//! `quorate recv` and `quorate send`: files from one process to others.

use crate::support::{Receiving, Run, assert_equal, file, names_in, recv, run, send, send_words, text};
use std::path::Path;

#[test]
fn files_of_any_size_arrive_whole_and_both_sides_say_so() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("made/out");
    let sizes = [("empty", 0), ("one byte", 1), ("some megabytes", 9_000_000)];
    let files = sizes.map(|(name, len)| file(temp.path(), name, len, 1));
    let mut receiving = recv(&out, &["--once"]);
    let paths = files.each_ref().map(|path| path.as_path());
    let ended = send(&receiving.ticket, &paths).with(0);

    let delivered = ended.last_event();
    assert_eq!((&delivered["event"], &delivered["bytes"]), (&"delivered".into(), &9_000_001.into()));
    let receivers = delivered["receivers"].as_array().unwrap();
    assert_eq!(receivers.len(), 1, "{delivered}");
    assert_eq!(receivers[0]["receiver"], *receiving.name);
    assert_eq!(receivers[0]["state"], "complete");

    assert_eq!(receiving.run.event("opened")["bytes"], 9_000_001);
    assert_eq!(receiving.run.event("completed")["already"], false);
    receiving.run.ended().with(0);
    assert_eq!(names_in(&out), ["empty", "one byte", "some megabytes"]);
    files.iter().for_each(|file| assert_equal(file, &out.join(file.file_name().unwrap())));
}

#[test]
fn people_read_a_ticket_and_who_has_everything() {
    let temp = tempfile::tempdir().unwrap();
    let (out, file) = (temp.path().join("out"), file(temp.path(), "letter", 10_000, 2));
    let mut receiver = Run::start(["recv", "--once", "--dir", text(&out)]);
    let ticket = receiver.line();
    assert!(ticket.starts_with("qrt1"), "{ticket}");
    receiver.says("waiting at quic://127.0.0.1:");
    let ended = run(["send", &ticket, text(&file)]).with(0);
    assert!(ended.stdout.contains(" has everything: "), "{}", ended.stdout);
    let received = receiver.ended().with(0).saying(&["received ", "letter", "complete"]);
    assert_eq!(received.stdout.lines().collect::<Vec<_>>(), [ticket]);
    assert_equal(&file, &out.join("letter"));
}

#[test]
fn several_receivers_share_a_channel() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 3_000_000, 3);
    let outs = ["a", "b", "c"].map(|name| temp.path().join(name));
    let first = recv(&outs[0], &[]);
    let second = recv(&outs[1], &["--ticket", &first.ticket]);
    let third = recv(&outs[2], &["--ticket", &second.ticket]);
    // Each ticket leads to those before it too.
    let ended = send(&third.ticket, &[&file]).with(0);
    let delivered = ended.last_event();
    let mut names: Vec<_> = delivered["receivers"].as_array().unwrap().iter().collect();
    names.sort_by_key(|receiver| receiver["receiver"].as_str());
    let mut expected = [&first, &second, &third].map(|receiving| receiving.name.as_str());
    expected.sort_unstable();
    assert!(names.iter().all(|receiver| receiver["state"] == "complete"), "{delivered}");
    assert_eq!(
        names.iter().map(|receiver| receiver["receiver"].as_str().unwrap()).collect::<Vec<_>>(),
        expected
    );
    for (out, mut receiving) in outs.iter().zip([first, second, third]) {
        receiving.run.event("completed");
        assert_equal(&file, &out.join("f"));
    }
}

#[test]
fn a_receiver_takes_one_transfer_after_another_until_it_is_told_to_end() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let mut receiving = recv(&out, &[]);
    for number in 0..3 {
        let file = file(temp.path(), &format!("f{number}"), 50_000, number);
        send(&receiving.ticket, &[&file]).with(0);
        receiving.run.event("completed");
        assert_equal(&file, &out.join(format!("f{number}")));
    }
    receiving.run.signal("TERM");
    receiving.run.ended().with(0);
}

#[test]
fn what_is_there_already_is_not_sent_again() {
    let temp = tempfile::tempdir().unwrap();
    let (out, file) = (temp.path().join("out"), file(temp.path(), "f", 100_000, 4));
    let mut receiving = recv(&out, &[]);
    send(&receiving.ticket, &[&file]).with(0);
    receiving.run.event("completed");
    receiving.run.kill();
    // Another process, which learns it from the disk.
    let mut receiving = recv(&out, &[]);
    send(&receiving.ticket, &[&file]).with(0);
    assert_eq!(receiving.run.event("completed")["already"], true);
    assert_eq!(names_in(&out), ["f"]);
}

#[test]
fn a_sender_that_is_interrupted_says_how_it_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let (ticket, _gone) = ticket_of_nobody(temp.path());
    let file = file(temp.path(), "f", 1_000, 5);
    let mut sender = Run::start(send_words(&ticket, &[&file]));
    sender.event("sending");
    sender.signal("INT");
    sender.ended().with(1).saying(&["interrupted", "goes on"]);
}

#[test]
fn a_receiver_that_is_not_there_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let (ticket, address) = ticket_of_nobody(temp.path());
    let file = file(temp.path(), "f", 1_000, 6);
    let words = send_words(&ticket, &[&file]);
    let ended = run(words.iter().map(String::as_str).chain(["--timeout", "1"])).with(1);
    let ended = ended.saying(&["no receiver was reached in time", &address]);
    assert_eq!(ended.last_event()["exit"], 1);
}

/// A ticket whose receiver has gone, and the address in it.
fn ticket_of_nobody(folder: &Path) -> (String, String) {
    let Receiving { ticket, address, run, .. } = recv(&folder.join("gone"), &[]);
    run.kill();
    (ticket, address)
}
