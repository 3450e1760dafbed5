//! A flood of the worst messages from a member who has the key: what it costs in memory, and what others notice.
//!
//! Some thousands of messages run with the other tests; ten seconds of them, optimised and with figures, where messages are signed
//! and where they are not:
//!
//! ```console
//! $ cargo test --release -p quorate-channel --test flood -- --ignored --nocapture ten_seconds_of_a_flood_cost_what_is_configured
//! ```
//!
//! (One at a time: the most memory that a process ever had is what is compared.)
//!
//! Time is virtual, so what is given up after its time is given up. Nothing depends on how fast the machine is.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use bytes::Bytes;
use quorate_base::{Mono, Now, Wall};
use quorate_channel::sds::{AckVector, Dependency, Dialect, Roster, SdsMessage, SenderAuth, Wanted};
use quorate_channel::segment::Segment;
use quorate_channel::{
    ChannelConfig, ChannelEvent, ChannelStats, Dispatch, DispatchOutcome, Identity, MAX_ENVELOPE_BYTES,
    MessageEnvelope, NoCipher, Output, ReliableChannel, RepairConfig, SendOptions, SenderTag, StructuredId,
    envelope,
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
    /// Something of Bob's that Alice has long since.
    old: Option<MessageEnvelope>,
    long: Bytes,
    signed: bool,
}

/// Kinds of hostile messages.
const KINDS: u64 = 13;

impl Party {
    fn new(signed: bool) -> Self {
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_764_000_000_000));
        let open = |name: &str, entropy| {
            let identity = Identity { channel: "c".into(), topic: TOPIC.into(), participant: name.into() };
            let channel =
                ReliableChannel::open(now, identity, config(), Box::new(NoCipher), entropy).unwrap();
            if signed { channel.with_sender_auth(auth(name)) } else { channel }
        };
        let (alice, bob) = (open("alice", 1), open("bob", 2));
        let long = vec![0; MAX_ENVELOPE_BYTES + 1].into();
        Self { now, alice, bob, received: 0, sent: 0, hostile: 0, refused: 0, old: None, long, signed }
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
        // Something of Bob's each ten of these.
        if self.hostile.is_multiple_of(160) {
            self.bob.handle_send(self.now, vec![7; 1_000].into(), SendOptions::default()).unwrap();
            self.sent += 1;
        }
        self.bob.handle_timeout(self.now);
        self.alice.handle_timeout(self.now);
        let mut to_alice: Vec<_> = self.drain(true);
        if self.old.is_none() {
            self.old = to_alice.first().map(|dispatch| dispatch.envelope.clone());
        }
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
        let number = self.hostile / KINDS;
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
        let message = match self.hostile % KINDS {
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
            7 => SdsMessage { time: None, content: half(1_024, 1).encode().into(), ..bare },
            // What was there before, again; what is longer than anything; what is nobody's business here.
            8 => return self.old.clone().unwrap_or_else(|| sealed(Bytes::new())),
            9 => return sealed(self.long.clone()),
            10 => return MessageEnvelope { meta: None, ..sealed(whole(2)) },
            // Two that cite each other, over and over.
            11 => SdsMessage {
                id: format!("round {number}").into(),
                content: half(512, 1).encode().into(),
                history: vec![Dependency { id: format!("round {}", number ^ 1).into(), ..cited(0) }],
                ..bare
            },
            // Bob's name under what Bob never said, and that he has all of Alice's: only a signature tells. Without any, it is one more.
            _ if self.signed => SdsMessage {
                sender: "bob".into(),
                acks: vec![AckVector {
                    tag: SenderTag::derive(&"alice".into(), 1),
                    ranges: vec![0..1 << 40],
                }],
                ..bare
            },
            _ => bare,
        };
        sealed(message.encode(Dialect::Lip))
    }
}

/// Signs as `name`, and knows Alice, Bob and nobody else.
fn auth(name: &str) -> SenderAuth {
    let secret = |name: &str| [name.len() as u8; 32];
    let key = |name: &str| (name.into(), SenderAuth::new(&secret(name), Roster::Names).public_key());
    SenderAuth::new(&secret(name), Roster::Keys([key("alice"), key("bob")].into()))
}

fn sealed(payload: Bytes) -> MessageEnvelope {
    MessageEnvelope {
        payload,
        content_topic: TOPIC.into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}

/// What the system tells of the process's memory, in bytes: now (`VmRSS`), or at most until now (`VmHWM`).
fn memory(what: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}

/// Floods as long as `goes_on`, and says what was there at most beyond the beginning.
fn flood(signed: bool, mut goes_on: impl FnMut(&Party) -> bool) -> (Party, Option<usize>) {
    let mut party = Party::new(signed);
    let before = memory("VmRSS:");
    while goes_on(&party) {
        party.step();
    }
    let most = memory("VmHWM:").zip(before).map(|(most, before)| most.saturating_sub(before));
    // What Bob sent last is acknowledged and has come.
    (0..200).for_each(|_| party.step());
    (party, most)
}

/// What was dropped, by cause.
fn causes(stats: &ChannelStats) -> [(&'static str, u64); 8] {
    [
        ("undecodable", stats.malformed),
        ("foreign", stats.foreign),
        ("oversized", stats.oversized),
        ("from the future", stats.from_the_future),
        ("forged", stats.forged),
        ("replayed", stats.duplicates),
        ("no room", stats.refused),
        ("contradictory", stats.contradictory),
    ]
}

fn holds(party: &Party, most: Option<usize>) {
    let stats = party.alice.stats();
    // Where messages are signed, nobody looks at the time of one that is not.
    let skipped = if party.signed { "from the future" } else { "forged" };
    let of_all = &causes(&stats)[..5];
    for (cause, count) in of_all.iter().filter(|(cause, _)| *cause != skipped) {
        assert!(*count >= party.hostile / KINDS / 2, "{cause}: {count} of {}", party.hostile);
    }
    assert!(stats.duplicates >= party.hostile / KINDS / 2, "replayed: {}", stats.duplicates);
    assert_eq!(stats.refused > 0, !party.signed, "no room is left where anybody is believed");
    assert!(party.sent > 10 && party.refused > party.hostile / 4, "{} of {}", party.refused, party.hostile);
    assert!(party.received + 30 >= party.sent, "of Bob's {} came {}", party.sent, party.received);
    if let Some(most) = most {
        assert!(most <= HELD + BESIDE, "{most} bytes beyond the beginning");
    }
}

#[test]
fn a_flood_costs_what_is_configured_and_holds_nobody_up() {
    let (party, most) = flood(false, |party| party.hostile < 8_000);
    holds(&party, most);
}

#[test]
fn a_flood_that_nobody_signed_is_refused_and_counted() {
    let (party, most) = flood(true, |party| party.hostile < 8_000);
    holds(&party, most);
    let stats = party.alice.stats();
    assert_eq!((stats.waiting, stats.gaps, stats.cycles), (0, 0, 0), "nothing of it was taken");
}

#[expect(clippy::disallowed_methods, reason = "ten seconds of the machine's time are what is asked for")]
fn ten_seconds(signed: bool) {
    use std::io::Write;
    let end = Instant::now() + Duration::from_secs(10);
    let (party, most) = flood(signed, |_| Instant::now() < end);
    let megabytes = most.map_or(0.0, |most| most as f64 / f64::from(1 << 20));
    let causes = causes(&party.alice.stats()).map(|(cause, count)| format!("{cause} {count}")).join(", ");
    let _ = writeln!(
        std::io::stderr(),
        "signed: {signed}; {} hostile messages, {} refused; {megabytes:.1} MiB at most beyond the beginning, of which {} are configured; \
         of {} of another sender {} arrived; {causes}",
        party.hostile,
        party.refused,
        HELD >> 20,
        party.sent,
        party.received,
    );
    holds(&party, most);
}

#[test]
#[ignore = "ten seconds; run it optimised"]
fn ten_seconds_of_a_flood_cost_what_is_configured() {
    ten_seconds(false);
}

#[test]
#[ignore = "ten seconds; run it optimised"]
fn ten_seconds_of_a_flood_that_nobody_signed_cost_nothing() {
    ten_seconds(true);
}
