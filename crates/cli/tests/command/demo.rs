//! `quorate demo`: a file through every layer, whatever the network does.

use crate::support::{assert_equal, file, names_in, run, text};
use quorate::files::Source;
use serde_json::Value;
use std::path::Path;

fn demo(file: &Path, more: &[&str]) -> Value {
    run(["demo", "--json", "--file", text(file)].iter().chain(more)).with(0).json()
}

fn peers(report: &Value) -> &Vec<Value> {
    report["peers"].as_array().unwrap()
}

/// Every receiver has the file; what the counters say fits that.
#[track_caller]
fn assert_delivered(report: &Value, bytes: u64, receivers: usize) {
    assert_eq!((&report["ok"], &report["bytes"]), (&true.into(), &bytes.into()), "{report}");
    assert!(report["lacking"].as_array().unwrap().is_empty(), "{report}");
    let intact = |peer: &&Value| peer["intact"] == true && peer["seconds_to_deliver"].is_f64();
    assert_eq!(peers(report).iter().filter(intact).count(), receivers, "{report}");
    let sender = &peers(report)[0];
    assert!(sender["intact"].is_null() && sender["bytes_sent"].as_u64() >= Some(bytes), "{report}");
}

#[test]
fn over_quic_at_20_percent_loss_every_receiver_has_the_file() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "a file", 2_000_000, 1);
    let report = demo(&file, &["--loss", "0.2", "--seed", "7"]);
    assert_delivered(&report, 2_000_000, 2);
    assert_eq!((&report["loss"], &report["seed"]), (&0.2.into(), &7.into()));
    let sender = &peers(&report)[0];
    for figure in ["retransmissions", "envelopes_lost", "wire_bytes_received", "segments_sent"] {
        assert!(sender[figure].as_u64() > Some(0), "{figure} of {sender}");
    }
    let acknowledged = report["acknowledged_by"].as_object().unwrap();
    assert_eq!(acknowledged.keys().collect::<Vec<_>>(), ["peer-2", "peer-3"]);
}

#[test]
fn at_40_percent_loss_every_seed_ends_well() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 1_000_000, 2);
    for (transport, seed) in [("mem", "1"), ("iroh", "2"), ("mem", "3")] {
        let report = demo(&file, &["--loss", "0.4", "--seed", seed, "--transport", transport]);
        assert_delivered(&report, 1_000_000, 2);
    }
}

#[test]
fn any_number_of_peers_takes_part() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 300_000, 3);
    for (peers, transport) in [(2, "iroh"), (5, "iroh"), (9, "mem")] {
        let report = demo(&file, &["--peers", &peers.to_string(), "--transport", transport]);
        assert_delivered(&report, 300_000, peers - 1);
    }
}

#[test]
fn files_of_no_byte_and_of_one_arrive_too() {
    let temp = tempfile::tempdir().unwrap();
    for len in [0, 1] {
        let file = file(temp.path(), "f", len, 4);
        assert_delivered(&demo(&file, &["--transport", "mem"]), len as u64, 2);
    }
}

#[test]
fn kept_files_stand_in_one_folder_per_peer() {
    let temp = tempfile::tempdir().unwrap();
    let (file, keep) = (file(temp.path(), "a.bin", 200_000, 5), temp.path().join("new/kept"));
    demo(&file, &["--keep", text(&keep)]);
    assert_eq!(names_in(&keep), ["peer-2", "peer-3"]);
    for peer in ["peer-2", "peer-3"] {
        assert_eq!(names_in(&keep.join(peer)), ["a.bin"]);
        assert_equal(&keep.join(peer).join("a.bin"), &file);
    }
}

#[test]
fn a_peer_with_another_key_gets_every_envelope_and_opens_none() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 500_000, 6);
    for transport in ["iroh", "mem"] {
        let report = demo(&file, &["--wrong-key", "--transport", transport]);
        assert_delivered(&report, 500_000, 2);
        let outsider = &report["outsider"];
        assert!(outsider["envelopes_sent_to_it"].as_u64() > Some(5), "{outsider}");
        assert_eq!(outsider["decrypt_failed"], outsider["envelopes_sent_to_it"]);
        assert_eq!(outsider["messages_received"], 0);
    }
}

#[test]
fn without_a_file_it_sends_itself_and_ends_with_a_table_for_people() {
    let ended = run(["demo", "--peers", "2", "--loss", "0", "--transport", "mem"]).with(0);
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_quorate")).unwrap().len();
    assert!(ended.stdout.contains(&format!("{size} bytes, SHA-256 ")), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nevery receiver has the file\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}') && ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn a_delivery_that_fails_says_who_lacks_what() {
    let temp = tempfile::tempdir().unwrap();
    let (file, keep) = (file(temp.path(), "f", 100_000, 7), temp.path().join("kept"));
    // Where this receiver wants to keep what arrives of the transfer, there is a file.
    let parts = keep.join("peer-3/.quorate/parts");
    std::fs::create_dir_all(&parts).unwrap();
    let transfer = Source::open(std::slice::from_ref(&file), |_| {}).unwrap().manifest().id();
    std::fs::write(parts.join(transfer.to_string()), "in the way").unwrap();
    let words = ["demo", "--json", "--transport", "mem", "--file", text(&file), "--keep", text(&keep)];
    let ended = run(words).with(1).saying(&["peer-3"]);
    let report = ended.json();
    assert_eq!(report["ok"], false);
    assert!(report["lacking"][0].as_str().unwrap().starts_with("peer-3 "), "{report}");
    assert_equal(&keep.join("peer-2/f"), &file);
    assert_eq!(names_in(&keep.join("peer-3")), [""; 0]);
}
