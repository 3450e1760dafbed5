//! The pipeline as a whole: parity on its way out, rotation in the middle of a send, the budget and the states as they are seen.

use super::*;
use crate::cipher::NoCipher;
use crate::ids::StructuredId;
use crate::sds::SdsMessage;
use quorate_base::Wall;
use std::collections::BTreeSet;

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

fn sealed(key: u8) -> Box<dyn Cipher> {
    let key_bytes = crate::cipher::ChannelKey::from_bytes([key; 32]);
    Box::new(crate::cipher::XChaCha20Poly1305Cipher::new(&key_bytes, [key; 16]))
}

/// A channel under key 1, two envelopes in flight at a time, with a send of eight segments of which two left.
fn mid_send() -> (ReliableChannel, Vec<MessageEnvelope>) {
    let identity = Identity { channel: "c".into(), topic: "/t".into(), participant: "alice".into() };
    let config = ChannelConfig { segment_bytes: 256, max_in_flight: 2, ..ChannelConfig::default() };
    let mut alice = ReliableChannel::open(now(0), identity, config, sealed(1), 1).unwrap();
    alice.handle_send(now(0), vec![7; 128 * 8].into(), SendOptions::default()).unwrap();
    let outputs = std::iter::from_fn(|| alice.poll_output());
    let envelopes: Vec<_> = outputs
        .filter_map(|output| match output {
            Output::Dispatch(dispatch) => Some(dispatch.envelope),
            _ => None,
        })
        .collect();
    assert_eq!(envelopes.len(), 2);
    (0..2).for_each(|id| alice.handle_dispatched(now(0), DispatchId(id), DispatchOutcome::Confirmed));
    (alice, envelopes)
}

#[test]
fn clearing_the_cipher_in_the_middle_of_a_send_downgrades_none_of_its_segments() {
    let (mut alice, _) = mid_send();
    alice.handle_rotation(now(0), Box::new(NoCipher), Duration::ZERO);
    let after = alice.handle_send(now(0), "in the clear".into(), SendOptions::default()).unwrap();
    let mut seen = BTreeSet::new();
    // For longer than any grace, repetitions included; the send is given up after ten minutes.
    for second in 0..500 {
        alice.handle_timeout(now(second));
        for (sequence, attempt, envelope) in leave(&mut alice, now(second)) {
            let is_plain = SdsMessage::decode(crate::sds::Dialect::Lip, envelope.payload).is_ok();
            assert_eq!(is_plain, sequence >= 8, "segment {sequence}, attempt {attempt}");
            seen.insert(sequence);
        }
    }
    assert!((0..9).all(|sequence| seen.contains(&sequence)), "{seen:?}");
    assert_eq!(alice.segment_states(after), Some([SegmentState::Confirmed].as_slice()));
}

#[test]
fn a_new_key_in_the_middle_of_a_send_is_read_by_who_has_both() {
    let (mut alice, before) = mid_send();
    let grace = Duration::from_secs(60);
    let identity = Identity { channel: "c".into(), topic: "/t".into(), participant: "bob".into() };
    let mut bob = ReliableChannel::open(now(0), identity, ChannelConfig::default(), sealed(1), 2).unwrap();
    bob.handle_rotation(now(0), sealed(2), grace);
    alice.handle_rotation(now(0), sealed(2), grace);
    let after = leave(&mut alice, now(1)).into_iter().map(|(.., envelope)| envelope);
    for envelope in before.iter().cloned().chain(after) {
        bob.handle_envelope(now(1), envelope).unwrap();
    }
    assert!(matches!(bob.poll_output(), Some(Output::Event(ChannelEvent::Received { .. }))));
    let late = bob.handle_envelope(now(61), before[0].clone());
    assert_eq!(late, Err(IngressError::Sealed(crate::cipher::OpenError::OtherKey)));
    let mut damaged = before[0].payload.to_vec();
    damaged[0] ^= 1;
    let damaged = MessageEnvelope { payload: damaged.into(), ..before[0].clone() };
    assert!(bob.handle_envelope(now(61), damaged).is_err());
    assert_eq!((bob.stats().unknown_key, bob.stats().decrypt_failed), (1, 2));
}

#[test]
fn the_states_of_segments_are_seen_and_the_budget_says_when_it_changes() {
    let identity = Identity { channel: "c".into(), topic: "/t".into(), participant: "alice".into() };
    let rate_limit = crate::RateLimitConfig { per_epoch: Some(2), ..Default::default() };
    let config = ChannelConfig { segment_bytes: 256, rate_limit, ..ChannelConfig::default() };
    let mut alice = ReliableChannel::open(now(0), identity, config, Box::new(NoCipher), 1).unwrap();
    let request = alice.handle_send(now(0), vec![7; 128 * 3].into(), SendOptions::default()).unwrap();
    use SegmentState::{AwaitingRateLimit, Confirmed, Failed, InFlight};
    assert_eq!(alice.segment_states(request), Some([InFlight, InFlight, AwaitingRateLimit].as_slice()));
    alice.handle_dispatched(now(1), DispatchId(0), DispatchOutcome::Confirmed);
    alice.handle_dispatched(now(1), DispatchId(1), DispatchOutcome::Refused);
    assert_eq!(alice.segment_states(request), Some([Confirmed, Failed, AwaitingRateLimit].as_slice()));
    let budget =
        |output| matches!(output, Output::Event(ChannelEvent::Budget { state: BudgetState::Exhausted }));
    assert!(std::iter::from_fn(|| alice.poll_output()).any(budget));
    assert_eq!(alice.spent_budget().spent, 2);
    alice.handle_quota(now(2), Some(1));
    assert_eq!(alice.budget(), BudgetState::Exhausted);
}

/// What leaves, read.
fn said(channel: &mut ReliableChannel, at: Now) -> Vec<(SdsMessage, MessageEnvelope)> {
    let left = leave(channel, at).into_iter();
    left.map(|(.., envelope)| {
        (SdsMessage::decode(crate::sds::Dialect::Lip, envelope.payload.clone()).unwrap(), envelope)
    })
    .collect()
}

#[test]
fn a_reply_cites_what_it_answers_and_comes_later_in_lamport_time() {
    let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
    alice.handle_send(now(100), "question".into(), SendOptions::default()).unwrap();
    // Bob's wall clock is behind.
    let question = said(&mut alice, now(100));
    for (_, envelope) in &question {
        bob.handle_envelope(now(1), envelope.clone()).unwrap();
    }
    bob.handle_send(now(1), "answer".into(), SendOptions::default()).unwrap();
    let answer = said(&mut bob, now(1));
    // A payload of one segment has a copy as parity; the last segment is what is cited.
    let last = &question.last().unwrap().0;
    assert_eq!(answer[0].0.history[0].id, last.id);
    assert!(answer[0].0.time > last.time);
    for (_, envelope) in answer {
        alice.handle_envelope(now(101), envelope).unwrap();
    }
    assert_eq!(alice.stats().unacknowledged, 0, "the answer acknowledges the question");
}

#[test]
fn a_sync_acknowledges_and_is_told_to_nobody() {
    let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
    let request = alice.handle_send(now(0), "hello".into(), SendOptions::default()).unwrap();
    for (_, envelope) in said(&mut alice, now(0)) {
        bob.handle_envelope(now(0), envelope).unwrap();
    }
    bob.handle_timeout(now(1));
    for (message, envelope) in said(&mut bob, now(1)) {
        assert!(message.content.is_empty());
        alice.handle_envelope(now(1), envelope).unwrap();
    }
    let by = ParticipantId::from("bob");
    let told: Vec<_> = std::iter::from_fn(|| alice.poll_output()).collect();
    let expected = [ChannelEvent::Acknowledged { request, by }, ChannelEvent::Delivered { request }];
    assert_eq!(told, expected.map(Output::Event));
}

#[test]
fn two_sends_end_each_in_its_own_way() {
    let (mut alice, _) = mid_send();
    let second = alice.handle_send(now(0), "refused".into(), SendOptions::default()).unwrap();
    let mut told = Vec::new();
    loop {
        let outputs: Vec<_> = std::iter::from_fn(|| alice.poll_output()).collect();
        if outputs.is_empty() {
            break;
        }
        for output in outputs {
            match output {
                Output::Dispatch(dispatch) => {
                    let id = StructuredId::parse(dispatch.message.as_str()).unwrap();
                    let is_second = id.sequence == 8;
                    let outcome =
                        if is_second { DispatchOutcome::Refused } else { DispatchOutcome::Confirmed };
                    alice.handle_dispatched(now(0), dispatch.id, outcome);
                }
                Output::Write(_) => {}
                Output::Event(event) | Output::Logged(_, event) => told.push(event),
            }
        }
    }
    let sent = ChannelEvent::Sent { request: RequestId(1) };
    let failed = ChannelEvent::SendError { request: second, error: SendError::Refused { segments: 1 } };
    assert_eq!(told, [sent, failed]);
}
