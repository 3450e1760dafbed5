//! `quorate sds`: against itself, and against a peer that is written here by hand, byte by byte.

use crate::support::{Ended, Run, run};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Listens with these options; and where.
fn listen(options: &str) -> (Run, String) {
    let words = ["sds", "--listen", "0", "--json"].into_iter().chain(options.split_whitespace());
    let mut run = Run::start(words);
    let address = run.event("listening")["address"].as_str().unwrap().to_owned();
    (run, address)
}

fn connect(address: &str, options: &str) -> Run {
    Run::start(["sds", "--connect", address, "--json"].into_iter().chain(options.split_whitespace()))
}

/// The lines of one event.
fn lines(ended: &Ended, event: &str) -> Vec<Value> {
    let all = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["event"] == event).collect()
}

/// A LIP message: its fields by number, written here so that nothing of ours is believed.
fn message(sender: &str, id: &str, channel: &str, time: Option<u64>, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (field, value) in [(1, sender), (2, id), (3, channel)] {
        text(&mut bytes, field, value.as_bytes());
    }
    if let Some(time) = time {
        varint(&mut bytes, 10 << 3);
        varint(&mut bytes, time);
    }
    if !content.is_empty() {
        text(&mut bytes, 20, content);
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(bytes, field << 3 | 2);
    varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn frame(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(&(bytes.len() as u32).to_be_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
}

/// The next frame from the command.
fn next_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut bytes = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn now_millis() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn two_probes_agree_in_both_dialects_and_profiles_at_a_third_lost() {
    for (dialect, profile) in [("lip", "interop"), ("lip", "compact"), ("nim", "interop"), ("nim", "compact")]
    {
        let options = format!(
            "--dialect {dialect} --profile {profile} --send 20 --expect 20 --drop 0.3 --seed 7 --retry 300 --sync 100 --linger 3"
        );
        let (one, address) = listen(&format!("--id one {options}"));
        let other = connect(&address, &format!("--id other {options}"));
        let (other, one) = (other.ended().with(0), one.ended().with(0));
        let (a, b) = (one.last_event(), other.last_event());
        assert_eq!((&a["event"], &a["hash"]), (&"summary".into(), &b["hash"]), "{dialect} {profile}");
        for (ended, summary) in [(&one, &a), (&other, &b)] {
            let delivered = lines(ended, "delivered");
            let sequence: Vec<_> = delivered.iter().filter_map(|line| line["sequence"].as_u64()).collect();
            assert_eq!(sequence, (1..=20).collect::<Vec<_>>());
            assert_eq!(lines(ended, "acknowledged").len(), 20, "one line each");
            assert_eq!((&summary["inversions"], &summary["why"]), (&0.into(), &"done".into()));
            assert!(summary["dropped"].as_u64().unwrap() > 0);
        }
    }
}

#[test]
fn hostile_frames_are_counted_by_cause_and_the_rest_is_delivered() {
    let (mut run, address) = listen("--id a --expect 2 --linger 0");
    let mut stream = TcpStream::connect(&address).unwrap();
    let now = now_millis();
    frame(&mut stream, b"");
    frame(&mut stream, &[0xff; 100]);
    frame(&mut stream, &message("m", "foreign", "another", Some(now), b"x"));
    frame(&mut stream, &message("m", "future", "quorate", Some(u64::MAX), b"x"));
    frame(&mut stream, &message("m", "one", "quorate", Some(now), b"x"));
    // The same again, and one that nobody orders.
    frame(&mut stream, &message("m", "one", "quorate", Some(now), b"x"));
    frame(&mut stream, &message("m", "light", "quorate", None, b"x"));
    assert_eq!(run.event("delivered")["id"], "one");
    assert_eq!(run.event("ephemeral")["id"], "light");
    // A length that no message has ends the connection, and nothing else.
    stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let mut stream = TcpStream::connect(&address).unwrap();
    frame(&mut stream, &message("m", "two", "quorate", Some(now + 1), b"y"));
    let ended = run.ended().with(0);
    let summary = ended.last_event();
    let causes = &summary["causes"];
    assert_eq!(causes["undecodable"], 2, "{summary}");
    for cause in ["other_channel", "from_the_future", "frame_length"] {
        assert_eq!(causes[cause], 1, "{cause} in {summary}");
    }
    assert_eq!(
        (&summary["delivered"], &summary["duplicates"], &summary["refused"]),
        (&2.into(), &1.into(), &5.into())
    );
}

#[test]
fn what_does_not_come_ends_it_with_1_and_says_what() {
    let (run, address) = listen("--id a --send 1 --expect 1 --timeout 1");
    let mut stream = TcpStream::connect(&address).unwrap();
    frame(&mut stream, &message("m", "one", "quorate", Some(now_millis()), b"x"));
    // It is heard, and never acknowledged.
    let ended = run.ended().with(1).saying(&["not all that was sent was acknowledged"]);
    let summary = ended.last_event();
    assert_eq!(
        (&summary["delivered"], &summary["acknowledged"], &summary["sent"]),
        (&1.into(), &0.into(), &1.into())
    );
    let (run, _) = listen("--id a --expect 1 --timeout 0");
    run.ended().with(1).saying(&["not all that was expected was delivered"]);
}

/// The message with citations, which say nothing but the ids.
fn citing(mut message: Vec<u8>, cited: &[String]) -> Vec<u8> {
    for id in cited {
        let mut entry = Vec::new();
        text(&mut entry, 1, id.as_bytes());
        text(&mut message, 11, &entry);
    }
    message
}

/// The id of a message with content; `None` of any other.
fn content_id(message: &[u8]) -> Option<String> {
    let (mut rest, mut id, mut has_content) = (message, None, false);
    let varint = |rest: &mut &[u8]| {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, after) = rest.split_first()?;
            *rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = varint(&mut rest)?;
        if key & 7 == 2 {
            let (bytes, after) = rest.split_at(value as usize);
            rest = after;
            match key >> 3 {
                2 => id = Some(String::from_utf8(bytes.to_vec()).unwrap()),
                20 => has_content = true,
                _ => {}
            }
        }
    }
    id.filter(|_| has_content)
}

#[test]
fn what_never_comes_is_a_gap_that_is_told_and_what_follows_it_is_delivered() {
    let (mut run, address) = listen("--id a --expect 2 --lost-after 1 --linger 0 --timeout 30");
    let mut stream = TcpStream::connect(&address).unwrap();
    let two = message("m", "two", "quorate", Some(now_millis()), b"x");
    frame(&mut stream, &citing(two, &["never".to_owned()]));
    assert_eq!(run.event("gap")["id"], "never");
    assert_eq!(run.event("delivered")["id"], "two");
    // Two that cite each other are no gap: both are here.
    let round = [("three", "four"), ("four", "three")];
    for (id, past) in round {
        let message = message("m", id, "quorate", Some(now_millis()), b"x");
        frame(&mut stream, &citing(message, &[past.to_owned()]));
    }
    let summary = run.ended().with(0).last_event();
    assert_eq!((&summary["gaps"], &summary["cycles"]), (&1.into(), &1.into()), "{summary}");
}

#[test]
fn a_peer_that_cites_little_is_told_apart_from_one_that_lacks_messages() {
    let (run, address) = listen("--id a --profile compact --send 10 --timeout 2");
    let mut stream = TcpStream::connect(&address).unwrap();
    let mut ids = Vec::new();
    while ids.len() < 10 {
        ids.extend(content_id(&next_frame(&mut stream)).filter(|id| !ids.contains(id)));
    }
    let sync = message("m", "sync-1", "quorate", Some(now_millis()), b"");
    frame(&mut stream, &citing(sync, &ids[8..]));
    let ended = run.ended().with(1).saying(&[
        "not all that was sent was acknowledged: 3 of 10",
        "at most 2 messages at a time",
        "--profile interop",
    ]);
    assert_eq!(ended.last_event()["acknowledged"], 3);
}

#[test]
fn it_goes_on_answering_when_it_is_done() {
    let (mut run, address) = listen("--id a --linger 60 --sync 50");
    let mut stream = TcpStream::connect(&address).unwrap();
    frame(&mut stream, &message("m", "late-comer", "quorate", Some(now_millis()), b"x"));
    assert_eq!(run.event("delivered")["id"], "late-comer");
    // It had nothing to wait for, and acknowledges by citing all the same.
    while !next_frame(&mut stream).windows(10).any(|bytes| bytes == b"late-comer") {}
    run.kill();
}

#[test]
fn without_json_the_lines_are_words() {
    let mut one = Run::start("sds --listen 0 --id one --send 1 --linger 1".split_whitespace());
    let address = one.line().strip_prefix("listening on ").unwrap().to_owned();
    let other = format!("sds --connect {address} --id other --expect 1 --linger 1");
    let other = run(other.split_whitespace()).with(0);
    let one = one.ended().with(0);
    let told: Vec<_> = other.stdout.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    assert_eq!((told[0][0], told[0][1], told[0][3], told[0].len()), ("delivered", "1", "one", 5));
    assert!(one.stdout.contains(&format!("acknowledged {} other", told[0][2])), "{}", one.stdout);
    assert!(one.stdout.lines().last().unwrap().starts_with("summary "));
}

#[test]
fn what_it_cannot_do_is_said_with_2() {
    for words in [
        "sds --id a",
        "sds --listen 0 --connect 127.0.0.1:1 --id a",
        "sds --listen 0",
        "sds --listen 0 --id a --drop 1",
        "sds --listen 0 --id a --dialect js",
        "sds --listen 127.0.0.1:99999 --id a",
    ] {
        run(words.split_whitespace()).with(2);
    }
}
