//! Any sequence of operations on a reliable channel, among them a hostile network.
//!
//! Two channels stand on one medium whose envelopes are delivered in any order, any number of times,
//! damaged or not at all. Whatever happens, each request has its outcomes in order, memory is bounded,
//! and timers come to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate_base::{Mono, Now, Wall};
use quorate_channel::envelope::MARKER;
use quorate_channel::{
    ChannelConfig, ChannelEvent, ChannelKey, Cipher, Dispatch, DispatchOutcome, Identity, MessageEnvelope,
    NoCipher, Output, ReliableChannel, RequestId, SendOptions, XChaCha20Poly1305Cipher,
};

/// Envelopes that the medium remembers; the oldest is forgotten.
const MEDIUM: usize = 64;
/// How often timers may be due at one instant.
const MAX_FIRINGS: usize = 3;

/// The input is a list of operations, two bytes each, some followed by what they work on.
pub fn channel(input: &[u8]) {
    let mut world = World::new();
    let mut input = input;
    while let [op, argument, rest @ ..] = input {
        input = world.apply(*op, *argument, rest);
        world.check();
    }
}

struct World {
    now: Now,
    sides: [Side; 2],
    medium: Vec<MessageEnvelope>,
}

struct Side {
    channel: ReliableChannel,
    /// What left and was neither confirmed nor refused.
    in_flight: Vec<Dispatch>,
    outcomes: BTreeMap<RequestId, Vec<Outcome>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Sent,
    SendError,
    Delivered,
    DeliveryError,
}

impl World {
    fn new() -> Self {
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_700_000_000_000));
        Self { now, sides: [Side::open(now, "a", 1), Side::open(now, "b", 2)], medium: Vec::new() }
    }

    /// Does one operation, and returns what it left of the input.
    fn apply<'a>(&mut self, op: u8, argument: u8, rest: &'a [u8]) -> &'a [u8] {
        let side = usize::from(op & 1);
        let picked = usize::from(argument);
        match (op >> 1) % 8 {
            0 => self.send(side, picked),
            1 => self.deliver(side, picked, None),
            2 => {
                let Some((damage, rest)) = rest.split_first_chunk() else { return &[] };
                self.deliver(side, picked, Some(*damage));
                self.drain();
                return rest;
            }
            3 => {
                let (bytes, rest) = rest.split_at(picked.min(rest.len()));
                self.receive(side, marked(Bytes::copy_from_slice(bytes)));
                self.drain();
                return rest;
            }
            4 => self.settle(side, picked),
            6 => self.rotate(side, argument),
            7 => {
                let quota = argument.is_multiple_of(2).then_some(u32::from(argument) / 2);
                self.sides[side].channel.handle_quota(self.now, quota);
            }
            _ => self.pass(Duration::from_millis(1 << (picked % 21))),
        }
        self.drain();
        rest
    }

    /// Some payload, ephemeral or not: up to three segments.
    fn send(&mut self, side: usize, size: usize) {
        let payload = vec![side as u8; size * 3].into();
        let options = SendOptions { ephemeral: size % 4 == 3 };
        if let Ok(request) = self.sides[side].channel.handle_send(self.now, payload, options) {
            let before = self.sides[side].outcomes.insert(request, Vec::new());
            assert_eq!(before, None, "{request:?} is a new request");
        }
    }

    /// Another key, or none, with some grace.
    fn rotate(&mut self, side: usize, argument: u8) {
        let grace = Duration::from_millis(u64::from(argument) * 64);
        let key = ChannelKey::from_bytes([argument % 4; 32]);
        let cipher: Box<dyn Cipher> = match argument % 4 {
            0 => Box::new(NoCipher),
            _ => Box::new(XChaCha20Poly1305Cipher::new(&key, [side as u8; 16])),
        };
        self.sides[side].channel.handle_rotation(self.now, cipher, grace);
    }

    /// An envelope of the medium, a byte of it changed where damage says so.
    fn deliver(&mut self, side: usize, picked: usize, damage: Option<[u8; 3]>) {
        if self.medium.is_empty() {
            return;
        }
        let mut envelope = self.medium[picked % self.medium.len()].clone();
        if let Some([high, low, value]) = damage
            && !envelope.payload.is_empty()
        {
            let mut payload = envelope.payload.to_vec();
            let at = usize::from(u16::from_be_bytes([high, low])) % payload.len();
            payload[at] = value;
            envelope.payload = payload.into();
        }
        self.receive(side, envelope);
    }

    fn receive(&mut self, side: usize, envelope: MessageEnvelope) {
        // An error is an answer; what it is does not matter here.
        let _ = self.sides[side].channel.handle_envelope(self.now, envelope);
    }

    /// One dispatch ends.
    fn settle(&mut self, side: usize, picked: usize) {
        let Side { channel, in_flight, .. } = &mut self.sides[side];
        if in_flight.is_empty() {
            return;
        }
        let outcome = match picked % 8 {
            0 => DispatchOutcome::Failed,
            1 => DispatchOutcome::Refused,
            _ => DispatchOutcome::Confirmed,
        };
        let dispatch = in_flight.swap_remove(picked / 8 % in_flight.len());
        channel.handle_dispatched(self.now, dispatch.id, outcome);
    }

    /// Time passes, and what is due on the way happens at its time.
    fn pass(&mut self, step: Duration) {
        let until = self.now.mono + step;
        let mut firings = 0;
        while let Some(due) = self.due().filter(|due| *due <= until) {
            firings = if due > self.now.mono { 0 } else { firings + 1 };
            assert!(firings < MAX_FIRINGS, "timers never come to rest: {:?}", self.timers());
            self.at(due.max(self.now.mono));
            for side in &mut self.sides {
                side.channel.handle_timeout(self.now);
            }
            self.drain();
        }
        self.at(until);
    }

    fn due(&self) -> Option<Mono> {
        self.timers().into_iter().flatten().min()
    }

    fn timers(&self) -> [Option<Mono>; 2] {
        self.sides.each_ref().map(|side| side.channel.poll_timeout())
    }

    fn at(&mut self, mono: Mono) {
        let wall = Wall::from_unix(self.now.wall.unix() + mono.since(self.now.mono));
        self.now = Now::new(mono, wall);
    }

    /// Takes all outputs: envelopes go to the medium, outcomes are written down.
    fn drain(&mut self) {
        for side in &mut self.sides {
            while let Some(output) = side.channel.poll_output() {
                match output {
                    Output::Dispatch(dispatch) => {
                        self.medium.push(dispatch.envelope.clone());
                        side.in_flight.push(dispatch);
                    }
                    Output::Event(event) => side.note(event),
                    _ => {}
                }
            }
        }
        let forgotten = self.medium.len().saturating_sub(MEDIUM);
        self.medium.drain(..forgotten);
    }

    fn check(&self) {
        for side in &self.sides {
            let config = config();
            let stats = side.channel.stats();
            assert!(side.in_flight.len() <= config.max_in_flight, "{} in flight", side.in_flight.len());
            assert!(stats.unacknowledged <= config.max_unacknowledged as u64);
        }
    }
}

impl Side {
    fn open(now: Now, participant: &str, entropy: u64) -> Self {
        let identity = Identity {
            channel: "c".into(),
            topic: "/quorate/1/c/proto".into(),
            participant: participant.into(),
        };
        let channel = ReliableChannel::open(now, identity, config(), Box::new(NoCipher), entropy);
        Self {
            channel: channel.expect("the configuration is in its ranges"),
            in_flight: Vec::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// `Sent` or `SendError` comes first and once, then `Delivered` or `DeliveryError`, once.
    fn note(&mut self, event: ChannelEvent) {
        let (request, outcome) = match event {
            ChannelEvent::Sent { request } => (request, Outcome::Sent),
            ChannelEvent::SendError { request, .. } => (request, Outcome::SendError),
            ChannelEvent::Delivered { request } => (request, Outcome::Delivered),
            ChannelEvent::DeliveryError { request, .. } => (request, Outcome::DeliveryError),
            _ => return,
        };
        let outcomes = self.outcomes.entry(request).or_default();
        let in_order = match outcome {
            Outcome::Sent | Outcome::SendError => outcomes.is_empty(),
            Outcome::Delivered | Outcome::DeliveryError => outcomes.as_slice() == [Outcome::Sent],
        };
        assert!(in_order, "{request:?}: {outcome:?} after {outcomes:?}");
        outcomes.push(outcome);
    }
}

/// Small bounds, so that a fuzzer reaches them.
fn config() -> ChannelConfig {
    ChannelConfig {
        segment_bytes: 384,
        parity_permille: 500,
        max_in_flight: 4,
        max_unacknowledged: 16,
        max_receive_bytes: 4_096,
        max_receive_bytes_per_sender: 2_048,
        max_incomplete: 8,
        max_participants: 4,
        ..ChannelConfig::default()
    }
}

fn marked(payload: Bytes) -> MessageEnvelope {
    MessageEnvelope {
        payload,
        content_topic: "/quorate/1/c/proto".to_owned(),
        meta: Some(Bytes::from_static(MARKER)),
        ..MessageEnvelope::default()
    }
}
