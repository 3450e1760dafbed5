//! Three participants, each on a disk that loses power again and again: whatever was accepted arrives once, in causal
//! order, and no number is used twice.

use crate::member::Member;
use bytes::Bytes;
use fastrand::Rng;
use quorate_base::Backoff;
use quorate_channel::sds::{Dialect, SdsMessage};
use quorate_channel::{AckPolicy, ChannelConfig, Dispatch, MessageEnvelope, ParticipantId, RateLimitConfig};
use quorate_testkit::store::Fate;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const EPOCH: u64 = 2_000;
const PER_EPOCH: u32 = 150;

fn config(me: usize) -> ChannelConfig {
    let others = NAMES.iter().enumerate().filter(|(at, _)| *at != me);
    ChannelConfig {
        acks: AckPolicy::All(others.map(|(_, name)| ParticipantId::from(*name)).collect()),
        segment_bytes: 512,
        retransmit: Backoff::new(Duration::from_millis(200), Duration::from_secs(2)),
        dispatch_timeout: Duration::from_secs(3_600),
        delivery_timeout: Duration::from_secs(3_600),
        lost_after: Duration::from_secs(3_600),
        reassembly_timeout: Duration::from_secs(3_600),
        rate_limit: RateLimitConfig {
            per_epoch: Some(PER_EPOCH),
            epoch: Duration::from_millis(EPOCH),
            ..RateLimitConfig::default()
        },
        ..ChannelConfig::default()
    }
}

struct World {
    seed: u64,
    random: Rng,
    millis: u64,
    members: Vec<Member>,
    network: Vec<(u64, usize, MessageEnvelope)>,
    /// The numbers that each has tried to send, and those that were accepted.
    tried: [u32; 3],
    accepted: [BTreeSet<u32>; 3],
    cuts: u32,
    /// Cuts in whose way something accepted was not delivered yet.
    at_work: u32,
    cutting: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            seed,
            random: Rng::with_seed(seed),
            millis: 1,
            members: (0..3).map(|me| Member::new(NAMES[me], config(me))).collect(),
            network: Vec::new(),
            tried: [0; 3],
            accepted: Default::default(),
            cuts: 0,
            at_work: 0,
            cutting: true,
        };
        // One of the three confirms and keeps no cursor.
        world.members[2].keeps_cursor = false;
        for member in &world.members {
            member.disk.cut_after(world.random.u64(1..400));
        }
        world
    }

    fn step(&mut self) {
        self.millis += self.random.u64(1..25);
        let me = self.random.usize(0..3);
        match self.random.u8(0..30) {
            0..=4 if self.cutting => self.send(me),
            5 => {
                let done = self.members[me].confirm(self.millis);
                self.after(me, done);
            }
            _ => {}
        }
        let (due, later) =
            std::mem::take(&mut self.network).into_iter().partition(|(at, ..)| *at <= self.millis);
        self.network = later;
        for (_, to, envelope) in Vec::from_iter(due) {
            let done = self.members[to].receive(self.millis, envelope);
            self.after(to, done);
        }
        for me in 0..3 {
            let done = self.members[me].time_out(self.millis);
            self.after(me, done);
        }
    }

    fn send(&mut self, me: usize) {
        self.tried[me] += 1;
        let number = self.tried[me];
        let seen = (0..3).map(|other| self.last_from(me, other));
        let mut payload: Vec<u8> =
            [me as u32, number].into_iter().chain(seen).flat_map(u32::to_be_bytes).collect();
        payload.resize(self.random.usize(20..2_000), 7);
        let (outcome, dispatches) = self.members[me].send(self.millis, Bytes::from(payload));
        if let Some(Ok(_)) = outcome {
            self.accepted[me].insert(number);
        }
        self.after(me, outcome.map(|_| dispatches));
    }

    /// Publishes what was let out; where the power went, the member comes back.
    fn after(&mut self, me: usize, done: Option<Vec<Dispatch>>) {
        for dispatch in done.iter().flatten() {
            for to in (0..3).filter(|to| *to != me) {
                if self.random.u8(0..100) >= 15 {
                    let at = self.millis + self.random.u64(2..60);
                    self.network.push((at, to, dispatch.envelope.clone()));
                }
            }
        }
        if done.is_none() {
            self.cuts += 1;
            self.at_work += u32::from(self.members[me].machine.stats().unacknowledged > 0);
            // Sometimes it stays away for a while, sometimes the power goes again at once.
            self.millis += if self.random.u8(0..10) == 0 { self.random.u64(0..3_000) } else { 1 };
            // Sometimes it goes while the store is opened.
            let opening = self.cutting && self.random.u8(0..5) == 0;
            let fate = if opening { Fate::CutAt(self.random.u64(0..60)) } else { Fate::Stays };
            let seed = self.random.u64(..);
            self.members[me].restart(self.millis, seed, fate);
            if self.cutting {
                self.members[me].disk.cut_after(self.random.u64(1..400));
            }
            let done = self.members[me].settle(self.millis);
            self.after(me, done);
        }
    }

    fn numbers(&self, me: usize) -> Vec<(usize, u32, Vec<u32>)> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let received = self.members[me].received().into_iter();
        received
            .map(|(_, payload)| {
                let head: Vec<u32> = payload[..20].chunks(4).map(number).collect();
                (head[0] as usize, head[1], head[2..].to_vec())
            })
            .collect()
    }

    fn last_from(&self, me: usize, from: usize) -> u32 {
        let mine = self.tried[me];
        if from == me {
            return mine;
        }
        self.numbers(me).iter().rev().find(|(by, ..)| *by == from).map_or(0, |(_, number, _)| *number)
    }

    fn is_settled(&self) -> bool {
        let idle = self.members.iter().all(|member| member.machine.stats().unacknowledged == 0);
        idle && (0..3).all(|me| {
            let got: BTreeSet<_> = self.numbers(me).into_iter().map(|(by, number, _)| (by, number)).collect();
            (0..3)
                .filter(|by| *by != me)
                .all(|by| self.accepted[by].iter().all(|number| got.contains(&(by, *number))))
        })
    }

    fn check(&self) {
        for (me, name) in NAMES.iter().enumerate() {
            let seed = self.seed;
            let told = &self.members[me].told;
            for (at, (seq, _)) in told.iter().enumerate() {
                assert_eq!(
                    seq.0,
                    at as u64 + 1,
                    "seed {seed}: {name} was told an event twice, or not at all"
                );
            }
            let mut last = [0; 3];
            for (by, number, seen) in self.numbers(me) {
                assert!(number > last[by], "seed {seed}: {name} got {number} of {by} after {}", last[by]);
                last[by] = number;
                for other in (0..3).filter(|other| *other != me && *other != by) {
                    assert!(
                        last[other] >= seen[other],
                        "seed {seed}: {name} got {number} of {by} before its past"
                    );
                }
            }
            self.check_numbers(me);
            self.check_budget(me);
        }
    }

    /// One message has one id and one Lamport time, whatever process sent it.
    fn check_numbers(&self, me: usize) {
        let (mut by_id, mut by_time) = (BTreeMap::new(), BTreeMap::new());
        for (_, dispatch) in &self.members[me].dispatched {
            let message = SdsMessage::decode(Dialect::Lip, dispatch.envelope.payload.clone()).unwrap();
            let said = (message.time, message.content.clone());
            let before = by_id.entry(message.id.clone()).or_insert(said.clone());
            assert_eq!(*before, said, "seed {}: {} used {} twice", self.seed, NAMES[me], message.id);
            let before = by_time.entry(message.time).or_insert(message.id.clone());
            assert_eq!(*before, message.id, "seed {}: {} used a Lamport time twice", self.seed, NAMES[me]);
        }
    }

    fn check_budget(&self, me: usize) {
        let mut epochs: BTreeMap<u64, u32> = BTreeMap::new();
        for (at, _) in &self.members[me].dispatched {
            *epochs.entry(at / EPOCH).or_insert(0) += 1;
        }
        let most = epochs.values().max().copied().unwrap_or(0);
        assert!(most <= PER_EPOCH, "seed {}: {} let out {most} envelopes in an epoch", self.seed, NAMES[me]);
    }
}

/// Runs until the power went `cuts` times, then without cuts until all is delivered. Yields cuts, and those at work.
fn run(seed: u64, cuts: u32) -> (u32, u32) {
    let mut world = World::new(seed);
    while world.cuts < cuts {
        world.step();
    }
    world.cutting = false;
    world.members.iter().for_each(|member| member.disk.keep());
    let until = world.millis + 600_000;
    while !world.is_settled() {
        world.step();
        assert!(world.millis < until, "seed {seed}: something accepted was not delivered in ten minutes");
    }
    world.check();
    (world.cuts, world.at_work)
}

#[test]
fn power_cuts_lose_nothing() {
    let (cuts, at_work) =
        (0..8).map(|seed| run(seed, 60)).fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    assert!(cuts >= 480 && at_work > cuts / 2, "{cuts} cuts, {at_work} with work in flight");
}

/// `cargo xtask crash` runs it.
#[test]
#[ignore = "takes minutes"]
fn thousands_of_power_cuts_lose_nothing() {
    let (cuts, at_work) =
        (100..150).map(|seed| run(seed, 60)).fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    assert!(cuts >= 3_000 && at_work > cuts / 2, "{cuts} cuts, {at_work} with work in flight");
}
