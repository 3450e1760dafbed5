//! What wrapping and unwrapping cost, ours and theirs, from one run, in CPU time of one process each.
//!
//! Ours: each message is wrapped, sent as bytes, unwrapped and delivered; every 64 messages the receiver's sync acknowledges them.
//! A history of so many messages went before. Theirs: the same without the acknowledgement. Its cost grows with history, so what a
//! longer one would take is estimated from the growth that was measured, and it is run where that is affordable.

use bytes::Bytes;
use quorate_base::{Mono, Now, Wall};
use quorate_channel::RequestId;
use quorate_channel::sds::{Content, Dialect, Due, Profile, Sds, SdsConfig, SdsEvent};
use quorate_peers_waku_sds::FOLDER;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the process has used of a CPU, where the system tells; the time that passed where not.
fn cpu() -> Duration {
    use std::sync::OnceLock;
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| BEGIN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

const SIZE: usize = 1_024;
const BATCH: u64 = 64;

/// Two participants, and what was measured.
struct Pair {
    alice: Sds,
    bob: Sds,
    now: Now,
    sent: u64,
    wrap: Duration,
    unwrap: Duration,
    acknowledge: Duration,
    bytes: u64,
    beside: u64,
}

impl Pair {
    fn new(profile: Profile, dialect: Dialect) -> Self {
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_764_000_000_000));
        let open = |name: &str, entropy| {
            let config = SdsConfig { profile, dialect, ..SdsConfig::default() };
            Sds::open(now, "bench".into(), name.into(), Content::Whole, config, entropy).expect("it is valid")
        };
        let (zero, none) = (Duration::ZERO, 0);
        Self {
            alice: open("alice", 1),
            bob: open("bob", 2),
            now,
            sent: none,
            wrap: zero,
            unwrap: zero,
            acknowledge: zero,
            bytes: none,
            beside: none,
        }
    }

    /// So many messages: wrapped, unwrapped, acknowledged by one sync.
    fn batch(&mut self, size: u64) {
        let millis = self.now.mono.elapsed() + Duration::from_millis(200);
        self.now =
            Now::new(Mono::from_origin(millis), Wall::from_unix(Duration::from_secs(1_764_000_000) + millis));
        let contents: Vec<Bytes> = (0..size).map(|number| vec![number as u8; SIZE].into()).collect();
        let begin = cpu();
        let mut wire = Vec::with_capacity(contents.len());
        for content in contents {
            self.sent += 1;
            let sequence =
                self.alice.handle_send(self.now, RequestId(self.sent), content).expect("there is room");
            let message = self.alice.prepare(self.now, Due::Message(sequence)).expect("it is new");
            self.alice.handle_attempted(self.now, sequence, true);
            wire.push(message.bytes);
        }
        self.wrap += cpu() - begin;
        self.bytes += wire.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        let begin = cpu();
        let mut delivered = 0;
        for bytes in wire {
            self.bob.handle_message(self.now, bytes, None).expect("it is well-formed");
            while let Some(event) = self.bob.poll_event() {
                delivered += u64::from(matches!(event, SdsEvent::Delivered(_)));
            }
        }
        self.unwrap += cpu() - begin;
        assert_eq!(delivered, size, "all of it, in order");
        let begin = cpu();
        let sync = self.bob.prepare(self.now, Due::Sync).expect("there is news");
        self.beside += sync.bytes.len() as u64;
        self.alice.handle_message(self.now, sync.bytes, None).expect("it is well-formed");
        while let Some(event) = self.alice.poll_event() {
            if let SdsEvent::Acknowledged { request, .. } = event {
                self.alice.settle(request);
            }
        }
        self.acknowledge += cpu() - begin;
        assert_eq!(self.alice.unacknowledged(), 0);
    }

    fn forget_measures(&mut self) {
        (self.wrap, self.unwrap, self.acknowledge) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        (self.bytes, self.beside) = (0, 0);
    }
}

fn ours(name: &str, profile: Profile, dialect: Dialect, histories: &[u64], messages: u64) -> f64 {
    let mut pair = Pair::new(profile, dialect);
    let mut rate = 0.0;
    for history in histories {
        while pair.sent < *history {
            pair.batch(BATCH);
        }
        pair.forget_measures();
        let batches = messages.div_ceil(BATCH);
        (0..batches).for_each(|_| pair.batch(BATCH));
        let count = (batches * BATCH) as f64;
        let per = |time: Duration| time.as_secs_f64() * 1e6 / count;
        let all = pair.wrap + pair.unwrap + pair.acknowledge;
        rate = count / all.as_secs_f64();
        println!(
            "{name:<16} {history:>7}  {:>8.2}  {:>8.2}  {:>8.2}  {rate:>9.0}  {:>8.0}  {:>8.0}",
            per(pair.wrap),
            per(pair.unwrap),
            per(pair.acknowledge),
            pair.bytes as f64 / count - SIZE as f64,
            pair.beside as f64 / count,
        );
    }
    rate
}

/// What crosses for a message that is acknowledged by a sync of its own, beyond the payload.
fn alone(name: &str, profile: Profile, dialect: Dialect) {
    let mut pair = Pair::new(profile, dialect);
    let messages = 1_024;
    (0..messages).for_each(|_| pair.batch(1));
    let beyond = (pair.bytes + pair.beside) as f64 / messages as f64 - SIZE as f64;
    println!(
        "{name:<16} everything on the wire beyond the payload, a sync for each message: {beyond:.0} bytes"
    );
}

/// What one of theirs cost after a history.
#[derive(Debug, Clone, Copy)]
struct Theirs {
    history: f64,
    /// CPU seconds for one message, wrapped and unwrapped.
    each: f64,
}

fn theirs(messages: u64, history: u64, causal: u64) -> Option<Theirs> {
    let numbers = [messages, history, causal].map(|number| number.to_string());
    let bench = Command::new("node").arg(format!("{FOLDER}/bench.mjs")).args(numbers).output().ok()?;
    let told: serde_json::Value = serde_json::from_slice(&bench.stdout).ok()?;
    let (wrap, unwrap, bytes) = (told["wrap"].as_f64()?, told["unwrap"].as_f64()?, told["bytes"].as_f64()?);
    let build = told["build"].as_f64()?;
    let per = |seconds: f64| seconds * 1e6 / messages as f64;
    let each = (wrap + unwrap) / messages as f64;
    println!(
        "{:<16} {history:>7}  {:>8.0}  {:>8.0}  {:>8}  {:>9.0}  {:>8.0}  {:>8}  (the history took {build:.0} s)",
        format!("@waku/sds {causal}"),
        per(wrap),
        per(unwrap),
        "-",
        each.recip(),
        bytes - SIZE as f64,
        "-"
    );
    Some(Theirs { history: history as f64, each })
}

/// Theirs after longer and longer histories, each as long as it takes less than `affordable` by the growth between the two before.
/// Yields the one after the second.
fn theirs_growing(histories: &[u64], messages: u64, causal: u64, affordable: Duration) -> Option<Theirs> {
    let mut measured: Vec<Theirs> = Vec::new();
    for history in histories {
        if let [.., before, last] = measured.as_slice() {
            let seconds = estimate(*before, *last, *history as f64, messages as f64);
            if seconds > affordable.as_secs_f64() {
                println!(
                    "{:<16} {history:>7}  not run: would take {:.0} minutes by the growth measured",
                    format!("@waku/sds {causal}"),
                    seconds / 60.0
                );
                continue;
            }
        }
        measured.push(theirs(messages, *history, causal)?);
    }
    measured.get(1).copied()
}

/// CPU seconds for a history of `history` messages and so many after it: the cost of one grows as a power of the history.
fn estimate(before: Theirs, last: Theirs, history: f64, messages: f64) -> f64 {
    let power = ((last.each / before.each).ln() / (last.history / before.history).ln()).clamp(0.0, 2.0);
    let each = last.each * (history / last.history).powf(power);
    each * history / (power + 1.0) + each * messages
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let histories: &[u64] = if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] };
    let messages = if quick { 4_096 } else { 16_384 };
    println!(
        "1 KiB payloads; CPU microseconds a message, messages a second (wrap, unwrap and acknowledgement), bytes"
    );
    println!("                 history      wrap    unwrap       ack  messages    beside      sync");
    let compact = ours("compact, lip", Profile::Compact, Dialect::Lip, histories, messages);
    ours("compact, nim", Profile::Compact, Dialect::Nim, histories, messages);
    let interop = ours("interop, lip", Profile::INTEROP, Dialect::Lip, histories, messages);
    ours("interop, nim", Profile::INTEROP, Dialect::Nim, histories, messages);
    alone("compact, lip", Profile::Compact, Dialect::Lip);
    alone("compact, nim", Profile::Compact, Dialect::Nim);
    let (more, theirs_after) =
        if quick { (50, [100, 400, 2_000, 10_000]) } else { (200, [250, 1_000, 10_000, 100_000]) };
    let affordable = Duration::from_secs(if quick { 20 } else { 900 });
    let empty = theirs(more, 0, 200);
    let after = theirs_growing(&theirs_after, more, 200, affordable);
    theirs_growing(&theirs_after, more, 2, affordable);
    let some = format!("after {} messages", theirs_after[1]);
    for (what, theirs) in [("empty history", empty), (some.as_str(), after)] {
        if let Some(theirs) = theirs {
            println!(
                "against @waku/sds, {what}: compact {:.0} times, interop {:.0} times",
                compact * theirs.each,
                interop * theirs.each
            );
        }
    }
}
