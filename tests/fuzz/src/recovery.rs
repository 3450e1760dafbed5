//! A channel from any records: those of a real one, changed, cut, left out, and others put beside them.
//!
//! What comes back is a channel that works or an error; never a panic, and never a number that was given out before.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate_base::{Mono, Now, Op, Wall};
use quorate_channel::{
    ChannelConfig, Dispatch, DispatchOutcome, Identity, NoCipher, Output, Recovery, ReliableChannel,
    SendOptions,
};

/// How long the channel that came back is watched.
const STEPS: u64 = 40;

/// The input is a list of changes, four bytes each, some followed by what they put there.
pub fn recovery(input: &[u8]) {
    let mut records = real();
    let mut input = input;
    while let [what, which, at, byte, rest @ ..] = input {
        input = change(&mut records, [*what, *which, *at, *byte], rest);
    }
    let mut recovery = Recovery::new(&"c".into());
    for record in records {
        if recovery.handle_record(record).is_err() {
            return;
        }
    }
    let opened = ReliableChannel::open_durable(
        now(10),
        identity("alice"),
        ChannelConfig::default(),
        Box::new(NoCipher),
        3,
        recovery,
    );
    let Ok(mut channel) = opened else { return };
    let _ = channel.handle_send(now(11), Bytes::from_static(b"after all"), SendOptions::default());
    for second in 12..12 + STEPS {
        drain(&mut channel, &mut BTreeMap::new(), now(second));
        channel.handle_timeout(now(second * 7));
    }
}

/// Does one change, and returns what it left of the input.
fn change<'a>(
    records: &mut BTreeMap<Bytes, Bytes>,
    [what, which, at, byte]: [u8; 4],
    rest: &'a [u8],
) -> &'a [u8] {
    let key = records.keys().nth(usize::from(which) % records.len().max(1)).cloned();
    match (what % 4, key) {
        (0, Some(key)) => {
            records.entry(key).and_modify(|value| {
                let mut bytes = value.to_vec();
                if let Some(place) = bytes.get_mut(usize::from(at)) {
                    *place = byte;
                }
                *value = bytes.into();
            });
            rest
        }
        (1, Some(key)) => {
            records.entry(key).and_modify(|value| value.truncate(usize::from(at)));
            rest
        }
        (2, Some(key)) => {
            records.remove(&key);
            rest
        }
        _ => {
            // A record of any kind: a letter, then its name and its value.
            let (name, rest) = rest.split_at(usize::from(at).min(rest.len()));
            let (value, rest) = rest.split_at(usize::from(byte).min(rest.len()));
            let prefix = Recovery::new(&"c".into()).prefix();
            let key = [prefix.as_ref(), &[b'a' + which % 26], name].concat();
            records.insert(key.into(), Bytes::copy_from_slice(value));
            rest
        }
    }
}

/// What a channel has in its store that has sent, received, half received, and been told.
fn real() -> BTreeMap<Bytes, Bytes> {
    let mut records = BTreeMap::new();
    let new = || Recovery::new(&"c".into());
    let open = |name: &str, entropy| {
        let config = ChannelConfig { segment_bytes: 512, ..ChannelConfig::default() };
        let opened =
            ReliableChannel::open_durable(now(0), identity(name), config, Box::new(NoCipher), entropy, new());
        opened.expect("a channel without a past opens")
    };
    let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
    for number in 0..3u8 {
        let payload = Bytes::from(vec![number; 1_500]);
        bob.handle_send(now(1), payload.clone(), SendOptions::default()).expect("there is room");
        alice.handle_send(now(1), payload, SendOptions::default()).expect("there is room");
    }
    let from_alice = drain(&mut alice, &mut records, now(1));
    let from_bob = drain(&mut bob, &mut BTreeMap::new(), now(1));
    for dispatch in from_bob.into_iter().skip(1) {
        let _ = alice.handle_envelope(now(2), dispatch.envelope);
    }
    for dispatch in from_alice.into_iter().take(4) {
        let _ = bob.handle_envelope(now(2), dispatch.envelope);
    }
    bob.handle_timeout(now(3));
    for dispatch in drain(&mut bob, &mut BTreeMap::new(), now(3)) {
        let _ = alice.handle_envelope(now(3), dispatch.envelope);
    }
    drain(&mut alice, &mut records, now(3));
    records
}

/// Writes into `records`, confirms every dispatch, and returns them.
fn drain(channel: &mut ReliableChannel, records: &mut BTreeMap<Bytes, Bytes>, now: Now) -> Vec<Dispatch> {
    let mut out = Vec::new();
    while let Some(output) = channel.poll_output() {
        match output {
            Output::Write(Op::Put { key, value }) => drop(records.insert(key, value)),
            Output::Write(Op::Delete { key }) => drop(records.remove(&key)),
            Output::Dispatch(dispatch) => {
                channel.handle_dispatched(now, dispatch.id, DispatchOutcome::Confirmed);
                out.push(dispatch);
            }
            _ => {}
        }
        assert!(out.len() < 100_000, "a channel that never comes to rest");
    }
    out
}

fn identity(name: &str) -> Identity {
    Identity { channel: "c".into(), topic: "/t".into(), participant: name.into() }
}

fn now(seconds: u64) -> Now {
    Now::new(
        Mono::from_origin(Duration::from_secs(seconds)),
        Wall::from_unix_millis(1_700_000_000_000 + seconds * 1_000),
    )
}
