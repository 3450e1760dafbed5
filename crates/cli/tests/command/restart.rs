//! Killed half-way and started again with the same words: the file ends up whole.

use crate::support::{Receiving, Run, assert_equal, file, names_in, recv, send, send_words};
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Sender,
    Receiver,
}

/// A transfer of which a part has arrived and no file yet, one side of it killed.
struct HalfWay {
    folder: tempfile::TempDir,
    source: PathBuf,
    ticket: String,
    name: String,
    receiver: Option<Receiving>,
    sender: Option<Run>,
}

impl HalfWay {
    fn with_killed(side: Side) -> Self {
        Self::killed_when(side, [12, 48, 192], 0.0)
    }

    /// Killed when more than `share` of the file has arrived. Where a transfer was over before it could be cut short, the next
    /// try has a larger file.
    fn killed_when(side: Side, megabytes: [usize; 3], share: f64) -> Self {
        let mut tries = megabytes.into_iter();
        let half = tries.find_map(|megabytes| Self::try_to_kill(side, megabytes * 1_000_000, share));
        half.expect("none of three transfers could be caught half-way")
    }

    fn try_to_kill(side: Side, len: usize, share: f64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let source = file(folder.path(), "f", len, 1);
        let mut receiving = recv(&folder.path().join("out"), &[]);
        let sender = Run::start(send_words(&receiving.ticket, &[&source]));
        let enough = (len as f64 * share) as u64;
        receiving.run.event_where("progress", |event| event["held"].as_u64() > Some(enough));
        let (ticket, name) = (receiving.ticket.clone(), receiving.name.clone());
        let (mut receiver, mut sender) = (Some(receiving), Some(sender));
        let ended = match side {
            Side::Sender => sender.take()?.kill(),
            Side::Receiver => receiver.take()?.run.kill(),
        };
        let half = Self { folder, source, ticket, name, receiver, sender };
        (!ended.status.success() && half.arrived().is_empty()).then_some(half)
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn arrived(&self) -> Vec<String> {
        names_in(&self.out())
    }

    fn assert_whole(&self) {
        assert_eq!(self.arrived(), ["f"]);
        assert_equal(&self.source, &self.out().join("f"));
    }
}

#[test]
fn a_killed_sender_goes_on_when_it_is_started_again() {
    let mut half = HalfWay::with_killed(Side::Sender);
    let mut receiving = half.receiver.take().unwrap();
    let ended = send(&half.ticket, &[&half.source]).with(0);
    receiving.run.event("completed");
    half.assert_whole();
    // It did not begin anew: the first that it heard of the receiver was that it has something.
    let first = ended.stdout.lines().find(|line| line.contains("\"progress\"")).unwrap().to_owned();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(first["held"].as_u64() > Some(0), "{first}");
}

#[test]
fn a_killed_receiver_goes_on_when_it_is_started_again() {
    let mut half = HalfWay::with_killed(Side::Receiver);
    let sender = half.sender.take().unwrap();
    let mut receiving = recv(&half.out(), &[]);
    assert_eq!(
        (&receiving.ticket, &receiving.name),
        (&half.ticket, &half.name),
        "the same words, the same ticket"
    );
    receiving.run.event("completed");
    let ended = sender.ended().with(0);
    assert_eq!(ended.last_event()["receivers"][0]["state"], "complete");
    half.assert_whole();
}

#[test]
fn both_may_be_killed() {
    let mut half = HalfWay::with_killed(Side::Sender);
    half.receiver.take().unwrap().run.kill();
    assert!(half.arrived().is_empty(), "no half-written file under a final name");
    let mut receiving = recv(&half.out(), &[]);
    send(&receiving.ticket, &[&half.source]).with(0);
    receiving.run.event("completed");
    half.assert_whole();
}

/// Of a file that was there by half or more, at most so much crosses again: what was missing, and what was under way.
const AGAIN: f64 = 0.6;

#[test]
fn a_sender_that_is_killed_half_way_sends_the_other_half() {
    let mut half = HalfWay::killed_when(Side::Sender, [48, 96, 192], 0.5);
    let mut receiving = half.receiver.take().unwrap();
    let ended = send(&half.ticket, &[&half.source]).with(0);
    receiving.run.event("completed");
    half.assert_whole();
    let told = ended.last_event();
    let again = told["sent_bytes"].as_f64().unwrap() / told["bytes"].as_f64().unwrap();
    assert!(again > 0.0 && again <= AGAIN, "{again} of the file crossed again");
}

#[test]
fn a_receiver_that_is_killed_half_way_takes_the_other_half() {
    // What was under way, at most 6 MiB, may cross again of a file of any size.
    let mut half = HalfWay::killed_when(Side::Receiver, [160, 240, 320], 0.5);
    let sender = half.sender.take().unwrap();
    let mut receiving = recv(&half.out(), &["--once"]);
    receiving.run.event("completed");
    sender.ended().with(0);
    half.assert_whole();
    // Chunks, each time they came to the second receiver. Segments that the channel repeats before it hears of them are not counted:
    // how many there are is a matter of how busy the machine is.
    let came = receiving.run.ended().with(0).last_event()["payload_bytes"].as_f64().unwrap();
    let again = came / half.source.metadata().unwrap().len() as f64;
    assert!(again > 0.0 && again <= AGAIN, "{again} of the file crossed again");
}
