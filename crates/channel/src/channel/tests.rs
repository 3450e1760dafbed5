//! Parity on its way out: sent once, repeated only when it alone is left, and not at all once the payload arrived.

use super::*;
use crate::cipher::NoCipher;
use crate::ids::StructuredId;
use quorate_base::Wall;

const DATA: u64 = 8;
const PARITY: u64 = 4;

fn now(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now::new(Mono::from_origin(since), Wall::from_unix(Duration::from_secs(1_700_000_000) + since))
}

fn open(name: &str, entropy: u64) -> ReliableChannel {
    let identity = Identity { channel: "c".into(), topic: "/t".into(), participant: name.into() };
    let config = ChannelConfig { segment_bytes: 256, parity_permille: 500, ..ChannelConfig::default() };
    ReliableChannel::open(now(0), identity, config, Box::new(NoCipher), entropy).unwrap()
}

/// What leaves, with the places in the payload; everything is confirmed.
fn leave(channel: &mut ReliableChannel, at: Now) -> Vec<(u64, u32, MessageEnvelope)> {
    let mut left = Vec::new();
    while let Some(output) = channel.poll_output() {
        if let Output::Dispatch(dispatch) = output {
            let id = StructuredId::parse(dispatch.message.as_str()).unwrap();
            left.push((id.sequence, dispatch.attempt, dispatch.envelope));
            channel.handle_dispatched(at, dispatch.id, DispatchOutcome::Confirmed);
        }
    }
    left
}

#[test]
fn parity_is_not_repeated_while_data_are() {
    let mut alice = open("alice", 1);
    alice.handle_send(now(0), vec![7; 128 * DATA as usize].into(), SendOptions::default()).unwrap();
    let first: Vec<_> = leave(&mut alice, now(0)).into_iter().map(|(place, ..)| place).collect();
    assert_eq!(first, (0..DATA + PARITY).collect::<Vec<_>>());
    for second in 1..60 {
        alice.handle_timeout(now(second));
        for (place, attempt, _) in leave(&mut alice, now(second)) {
            let is_parity = (DATA..DATA + PARITY).contains(&place);
            assert!(!is_parity, "{place} for the {attempt}th time");
        }
    }
}

#[test]
fn who_recovered_the_payload_acknowledges_what_never_came() {
    let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
    let request =
        alice.handle_send(now(0), vec![7; 128 * DATA as usize].into(), SendOptions::default()).unwrap();
    for (place, _, envelope) in leave(&mut alice, now(0)) {
        if place >= PARITY {
            bob.handle_envelope(now(0), envelope).unwrap();
        }
    }
    let Some(Output::Event(ChannelEvent::Received { payload, .. })) = bob.poll_output() else { panic!() };
    assert_eq!(payload, vec![7; 128 * DATA as usize]);
    bob.handle_timeout(now(1));
    for (.., envelope) in leave(&mut bob, now(1)) {
        alice.handle_envelope(now(1), envelope).unwrap();
    }
    let mut events = std::iter::from_fn(|| alice.poll_output());
    assert!(events.any(|output| output == Output::Event(ChannelEvent::Delivered { request })));
    assert!(alice.is_idle());
}
