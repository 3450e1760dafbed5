//! A participant that is killed half-way through a large payload needs only the other half again.

use crate::member::Member;
use bytes::Bytes;
use quorate_channel::{AckPolicy, ChannelConfig, Dispatch, ParticipantId};
use quorate_testkit::store::Fate;

const SIZE: usize = 8 << 20;

fn config(other: &str) -> ChannelConfig {
    let acks = AckPolicy::All([ParticipantId::from(other)].into());
    ChannelConfig { acks, max_in_flight: 8, ..ChannelConfig::default() }
}

struct Pair {
    alice: Member,
    bob: Member,
    millis: u64,
    /// Bytes from Alice to Bob.
    crossed: usize,
}

impl Pair {
    fn deliver(&mut self, from_alice: Vec<Dispatch>) {
        let mut from_alice = from_alice;
        while !from_alice.is_empty() {
            let mut from_bob = Vec::new();
            for dispatch in from_alice.drain(..) {
                self.crossed += dispatch.envelope.payload.len();
                from_bob.extend(self.bob.receive(self.millis, dispatch.envelope).unwrap());
            }
            for dispatch in from_bob {
                from_alice.extend(self.alice.receive(self.millis, dispatch.envelope).unwrap());
            }
        }
    }

    fn step(&mut self) {
        self.millis += 10;
        let from_alice = self.alice.time_out(self.millis).unwrap();
        self.deliver(from_alice);
        for dispatch in self.bob.time_out(self.millis).unwrap() {
            let from_alice = self.alice.receive(self.millis, dispatch.envelope).unwrap();
            self.deliver(from_alice);
        }
    }

    /// Sends a payload, kills one of the two when half of it crossed, and says what share of it crossed again.
    fn killed_half_way(kill: impl Fn(&mut Self)) -> f64 {
        let (alice, bob) = (Member::new("alice", config("bob")), Member::new("bob", config("alice")));
        let mut pair = Self { alice, bob, millis: 1, crossed: 0 };
        let payload = Bytes::from_iter((0..SIZE).map(|at| (at % 251) as u8));
        let (outcome, dispatches) = pair.alice.send(pair.millis, payload.clone());
        outcome.unwrap().unwrap();
        let mut held = std::collections::VecDeque::from(dispatches);
        while pair.crossed < SIZE / 2 {
            let dispatch = held.pop_front().unwrap();
            pair.deliver(vec![dispatch]);
        }
        // Bob has said what he has up to now, as a sync does after 50 ms.
        (0..10).for_each(|_| pair.step_of_bob());
        pair.crossed = 0;
        kill(&mut pair);
        while pair.bob.received().is_empty() {
            pair.step();
            assert!(pair.millis < 600_000, "the payload never arrives");
        }
        assert_eq!(pair.bob.received()[0].1, payload);
        pair.crossed as f64 / SIZE as f64
    }

    /// Only Bob's timers run: Alice repeats nothing yet.
    fn step_of_bob(&mut self) {
        self.millis += 10;
        for dispatch in self.bob.time_out(self.millis).unwrap() {
            self.alice.receive(self.millis, dispatch.envelope).unwrap();
        }
    }
}

#[test]
fn a_receiver_that_is_killed_half_way_needs_the_other_half() {
    let share = Pair::killed_half_way(|pair| {
        pair.bob.restart(pair.millis, 7, Fate::Stays);
        let _ = pair.bob.settle(pair.millis).unwrap();
    });
    assert!((0.4..=0.6).contains(&share), "{share}");
}

#[test]
fn a_sender_that_is_killed_half_way_sends_the_other_half() {
    let share = Pair::killed_half_way(|pair| {
        pair.alice.restart(pair.millis, 7, Fate::Stays);
        let dispatches = pair.alice.settle(pair.millis).unwrap();
        pair.deliver(dispatches);
    });
    assert!((0.4..=0.6).contains(&share), "{share}");
}
