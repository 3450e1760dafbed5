//! A flood of the worst messages from a member who has the key: what it costs in memory, and what others notice.
//!
//! Some thousands of messages run with the other tests; ten seconds of them, optimised and with figures:
//!
//! ```console
//! $ cargo test --release -p quorate-channel --test flood -- --ignored --nocapture
//! ```
//!
//! Time is virtual, so what is given up after its time is given up. Nothing depends on how fast the machine is.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use bytes::Bytes;
use quorate_base::{Mono, Now, Wall};
use quorate_channel::sds::{AckVector, Dependency, Dialect, SdsMessage, Wanted};
use quorate_channel::segment::Segment;
use quorate_channel::{
    ChannelConfig, ChannelEvent, Dispatch, DispatchOutcome, Identity, MessageEnvelope, NoCipher, Output,
    ReliableChannel, RepairConfig, SendOptions, SenderTag, StructuredId, envelope,
};
use std::time::{Duration, Instant};

const TOPIC: &str = "/t";
/// What is configured: incomplete and waiting payloads, and messages kept for repair.
const HELD: usize = (8 << 20) + (4 << 20);
/// What the flood may cost beyond that: tables, the allocator, and the flood itself.
const BESIDE: usize = 36 << 20;

fn config() -> ChannelConfig {
    ChannelConfig {
        max_receive_bytes: 8 << 20,
        max_receive_bytes_per_sender: 1 << 20,
        repair: RepairConfig { max_bytes: 4 << 20, ..RepairConfig::default() },
        ..ChannelConfig::default()
    }
}

struct Party {
    now: Now,
    alice: ReliableChannel,
    bob: ReliableChannel,
    /// What Alice received of Bob.
    received: u64,
    sent: u64,
    hostile: u64,
    refused: u64,
}

impl Party {
    fn new() -> Self {
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_764_000_000_000));
        let open = |name: &str, entropy| {
            let identity = Identity { channel: "c".into(), topic: TOPIC.into(), participant: name.into() };
            ReliableChannel::open(now, identity, config(), Box::new(NoCipher), entropy).unwrap()
        };
        let (alice, bob) = (open("alice", 1), open("bob", 2));
        Self { now, alice, bob, received: 0, sent: 0, hostile: 0, refused: 0 }
    }

    /// A millisecond: a burst of the worst, and now and then something of Bob's.
    fn step(&mut self) {
        let passed = self.now.mono.elapsed() + Duration::from_millis(1);
        self.now = Now::new(
            Mono::from_origin(passed),
            Wall::from_unix(self.now.wall.unix() + Duration::from_millis(1)),
        );
        for _ in 0..16 {
            let worst = self.worst();
            self.hostile += 1;
            self.refused += u64::from(self.alice.handle_envelope(self.now, worst).is_err());
        }
        if self.hostile.is_multiple_of(160) {
            self.bob.handle_send(self.now, vec![7; 1_000].into(), SendOptions::default()).unwrap();
            self.sent += 1;
        }
        self.bob.handle_timeout(self.now);
        self.alice.handle_timeout(self.now);
        let mut to_alice: Vec<_> = self.drain(true);
        while !to_alice.is_empty() {
            for dispatch in std::mem::take(&mut to_alice) {
                let _ = self.alice.handle_envelope(self.now, dispatch.envelope);
            }
            for dispatch in self.drain(false) {
                let _ = self.bob.handle_envelope(self.now, dispatch.envelope);
            }
            to_alice = self.drain(true);
        }
    }

    /// What one of them sends; what Alice receives of Bob is counted.
    fn drain(&mut self, bob: bool) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        let channel = if bob { &mut self.bob } else { &mut self.alice };
        while let Some(output) = channel.poll_output() {
            match output {
                Output::Dispatch(dispatch) => {
                    channel.handle_dispatched(self.now, dispatch.id, DispatchOutcome::Confirmed);
                    dispatches.push(dispatch);
                }
                Output::Event(ChannelEvent::Received { sender, .. }) if !bob && sender.as_str() == "bob" => {
                    self.received += 1;
                }
                _ => {}
            }
        }
        dispatches
    }

    /// One of everything that costs, in turn, in names without end.
    fn worst(&self) -> MessageEnvelope {
        let number = self.hostile / 8;
        let name = format!("mallory {}", number % 5_000);
        let mut tag = [0; 6];
        tag[..4].copy_from_slice(&u32::try_from(number % 5_000).unwrap().to_be_bytes());
        let tag = SenderTag(tag);
        let id = |sequence: u64, content| StructuredId { tag, sequence, content }.to_message_id();
        let mut hash = [9; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let content = [hash[0], hash[1], hash[2], hash[3]];
        let far = number * 1_000 % (1 << 40);
        let time = self.now.wall.unix_millis();
        let bare = SdsMessage {
            time: Some(time),
            ..SdsMessage::bare(name.as_str().into(), id(far, content), "c".into())
        };
        let half = |len: usize, count| Segment {
            hash,
            length: Some(count as u64 * len as u64),
            index: 0,
            data_count: count,
            parity_count: 0,
            is_parity: false,
            payload: Bytes::from(vec![7; len]),
        };
        let whole = |count| Bytes::from(half(8_192, count).encode());
        let cited = |of: u64| Dependency {
            id: format!("nothing {number} {of}").into(),
            time: None,
            hint: Some(vec![1; 64].into()),
            sender: Some(name.as_str().into()),
        };
        let message = match self.hostile % 8 {
            // Bytes that are nothing, and another channel's.
            0 => return sealed(vec![0xff; 2_000].into()),
            1 => SdsMessage { channel: "another".into(), content: whole(2), ..bare },
            // Halves of payloads, far apart in sequences without end.
            2 => SdsMessage { content: whole(2), ..bare },
            // What waits for what never was.
            3 => SdsMessage {
                content: half(1_024, 1).encode().into(),
                history: (0..200).map(cited).collect(),
                ..bare
            },
            // The same without numbers.
            4 => SdsMessage {
                id: format!("opaque {number}").into(),
                content: half(1_024, 1).encode().into(),
                history: (0..200).map(cited).collect(),
                ..bare
            },
            // From the future.
            5 => SdsMessage { time: Some(u64::MAX), content: whole(2), ..bare },
            // A sync that wants everything, has everything, and makes everything void.
            6 => SdsMessage {
                id: id(number, *b"sync"),
                repair: (0..3)
                    .map(|of| Wanted { id: cited(of).id, run: 1_000, hint: None, sender: None })
                    .collect(),
                acks: (0..64)
                    .map(|of| AckVector {
                        tag: SenderTag([of, 1, 2, 3, 4, 5]),
                        ranges: (0..64).map(|at| at * 10 + 1..at * 10 + 3).collect(),
                    })
                    .collect(),
                void: (0..64).map(|at| far + at * 10..far + at * 10 + 5).collect(),
                history: (0..200).map(cited).collect(),
                ..bare
            },
            // Ephemeral ones, each another.
            _ => SdsMessage { time: None, content: half(1_024, 1).encode().into(), ..bare },
        };
        sealed(message.encode(Dialect::Lip))
    }
}

fn sealed(payload: Bytes) -> MessageEnvelope {
    MessageEnvelope {
        payload,
        content_topic: TOPIC.into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}

/// Bytes of the process in memory, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}

/// Floods as long as `goes_on`, and says what was there at most beyond the beginning.
fn flood(mut goes_on: impl FnMut(&Party) -> bool) -> (Party, Option<usize>) {
    let mut party = Party::new();
    let before = resident();
    let mut most = 0;
    while goes_on(&party) {
        party.step();
        if party.hostile.is_multiple_of(1_600) {
            most = most.max(resident().unwrap_or(0));
        }
    }
    // What Bob sent last is acknowledged and has come.
    (0..200).for_each(|_| party.step());
    (party, before.map(|before| most.saturating_sub(before)))
}

fn holds(party: &Party, most: Option<usize>) {
    assert!(party.sent > 10 && party.refused > party.hostile / 4, "{} of {}", party.refused, party.hostile);
    assert!(party.received + 30 >= party.sent, "of Bob's {} came {}", party.sent, party.received);
    if let Some(most) = most {
        assert!(most <= HELD + BESIDE, "{most} bytes beyond the beginning");
    }
}

#[test]
fn a_flood_costs_what_is_configured_and_holds_nobody_up() {
    let (party, most) = flood(|party| party.hostile < 8_000);
    holds(&party, most);
}

#[test]
#[ignore = "ten seconds; run it optimised"]
#[expect(clippy::disallowed_methods, reason = "ten seconds of the machine's time are what is asked for")]
fn ten_seconds_of_a_flood_cost_what_is_configured() {
    let end = Instant::now() + Duration::from_secs(10);
    let (party, most) = flood(|_| Instant::now() < end);
    let megabytes = most.map_or(0.0, |most| most as f64 / f64::from(1 << 20));
    use std::io::Write;
    let _ = writeln!(
        std::io::stderr(),
        "{} hostile messages, {} refused; {megabytes:.1} MiB beyond the beginning, of which {} are configured; {} of {} others' arrived",
        party.hostile,
        party.refused,
        HELD >> 20,
        party.received,
        party.sent
    );
    holds(&party, most);
}
