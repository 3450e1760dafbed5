//! Groups of real channels on bad networks, measured: what `cargo xtask sim` prints and draws.
//!
//! The rule: a run is a function of its scenario and seed. Time is virtual, the machines are those that ship, and what
//! a run reports it counted; nothing is estimated but what [`report`] calls an extrapolation.

mod hostile;
mod plot;
pub mod report;

use crate::SECOND;
use fastrand::Rng;
use quorate_channel::sds::{Roster, SenderAuth};
use quorate_channel::{AckPolicy, ChannelConfig, ChannelEvent, NoCipher, ParticipantId, RequestId};
use quorate_testkit::world::{MemberId, Setup, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Payload bytes of every message.
pub const PAYLOAD: usize = 200;
/// Messages that each participant sends.
pub const MESSAGES: usize = 3;
/// Within which each participant sends its messages, at random times.
const TALK: Duration = Duration::from_secs(30);
/// When a run is given up.
const LIMIT: Duration = Duration::from_secs(1_800);

/// What goes wrong beside loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Every 3 s a random third hears and is heard by nobody for 1 s.
    Bursts,
    /// Two halves do not hear each other from 10 s to 40 s.
    Partition,
    /// A third of the participants comes and goes: each is gone after 10 s on average, and comes back as a new incarnation.
    Churn,
    /// Every 2 s the wall clock of somebody jumps by up to an hour either way.
    Clocks,
    /// A member acknowledges everything in everybody's name, and asks for repairs of what never was.
    Forger,
    /// The same member, in a group whose messages are signed ([`SenderAuth`]).
    ForgerAmongSigned,
}

/// A group on a network.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// How many participants.
    pub participants: usize,
    /// How many of them send; all receive and acknowledge.
    pub senders: usize,
    /// The part of envelopes lost, per receiver.
    pub loss: f64,
    /// What else happens.
    pub trouble: Trouble,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// Messages that everybody who stayed was to receive, times receivers.
    pub expected: u64,
    /// Of them, delivered.
    pub delivered: u64,
    /// From the last send, or the end of the trouble, to the last delivery; `None` where something never came.
    pub converged: Option<Duration>,
    /// Envelopes handed to the messaging layer by everybody.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of them, repetitions of content.
    pub repetitions: u64,
    /// Of them, syncs.
    pub syncs: u64,
    /// The most envelopes in one second.
    pub peak: u64,
    /// Deliveries of what had been delivered before. Must be 0.
    pub twice: u64,
    /// Of the frames, answers to requests for repair.
    pub repairs: u64,
    /// Envelopes refused because their sender had not signed them.
    pub refused: u64,
    /// Gaps that somebody was told.
    pub gaps: u64,
    /// Sends whose sender was told that everybody has them, although somebody who stayed never got them.
    pub misled: u64,
}

impl Scenario {
    /// A group in which everybody sends.
    pub const fn of(participants: usize, loss: f64, trouble: Trouble) -> Self {
        Self { participants, senders: participants, loss, trouble }
    }
}

impl Measured {
    /// Envelopes for each message delivered to one participant.
    pub fn frames_per_delivery(&self) -> f64 {
        self.frames as f64 / self.delivered.max(1) as f64
    }

    /// Bytes for each message delivered to one participant.
    pub fn bytes_per_delivery(&self) -> f64 {
        self.bytes as f64 / self.delivered.max(1) as f64
    }
}

/// Runs a scenario.
pub fn run(scenario: Scenario, seed: u64) -> Measured {
    let mut run = Run::new(scenario, seed);
    while run.world.elapsed() < LIMIT && !(run.is_over() && run.missing() == 0) {
        run.tick();
    }
    run.finish()
}

struct Run {
    scenario: Scenario,
    random: Rng,
    world: World,
    seats: Vec<Seat>,
    /// By time: who sends.
    plan: BTreeMap<(Duration, usize), usize>,
    sent: Vec<Sent>,
    last_send: Duration,
    quiet_since: Duration,
    last_delivery: Duration,
    delivered: u64,
    frames: u64,
    peak: u64,
}

/// A participant, in whichever incarnation.
struct Seat {
    name: String,
    member: MemberId,
    /// It is there from beginning to end: what it sends and receives counts.
    stays: bool,
    inbox_seen: usize,
    has: BTreeSet<u32>,
    twice: u64,
    back_at: Option<Duration>,
    /// Of incarnations that are gone.
    before: Before,
}

#[derive(Default, Clone, Copy)]
struct Before {
    frames: u64,
    bytes: u64,
    repetitions: u64,
    syncs: u64,
}

struct Sent {
    by: usize,
    request: RequestId,
}

const TICK: Duration = Duration::from_secs(1);

impl Run {
    fn new(scenario: Scenario, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut world = World::seeded(seed)
            .loss(scenario.loss)
            .duplicate(0.02)
            .reorder(0.05)
            .latency_between(SECOND / 50, SECOND / 8);
        let count = scenario.participants;
        let stays = |index: usize| scenario.trouble != Trouble::Churn || index % 3 != 2;
        let names: Vec<String> = (0..count).map(|index| format!("p{index}")).collect();
        let staying: Vec<&str> = names
            .iter()
            .enumerate()
            .filter(|(index, _)| stays(*index))
            .map(|(_, name)| name.as_str())
            .collect();
        let seats = names.iter().enumerate().map(|(index, name)| Seat {
            name: name.clone(),
            member: world.join(name, signed(setup(&staying, name), scenario, &names, index)),
            stays: stays(index),
            inbox_seen: 0,
            has: BTreeSet::new(),
            twice: 0,
            back_at: None,
            before: Before::default(),
        });
        let seats = seats.collect();
        let mut plan = BTreeMap::new();
        for index in (0..count).filter(|index| stays(*index)).take(scenario.senders) {
            for _ in 0..MESSAGES {
                let number = plan.len();
                plan.insert((TALK.mul_f64(random.f64()), number), index);
            }
        }
        Self {
            scenario,
            random,
            world,
            seats,
            plan,
            sent: Vec::new(),
            last_send: Duration::ZERO,
            quiet_since: Duration::ZERO,
            last_delivery: Duration::ZERO,
            delivered: 0,
            frames: 0,
            peak: 0,
        }
    }

    /// One second.
    fn tick(&mut self) {
        let end = self.world.elapsed() + TICK;
        self.trouble();
        while let Some(entry) = self.plan.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _), by) = entry.remove_entry();
            self.world.run_for(at.saturating_sub(self.world.elapsed()));
            self.send(by);
        }
        self.world.run_for(end.saturating_sub(self.world.elapsed()));
        self.look();
    }

    fn send(&mut self, by: usize) {
        let number = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let mut payload = vec![0x5a; PAYLOAD];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let request = self.world.send(self.seats[by].member, payload);
        self.sent.push(Sent { by, request });
        self.last_send = self.world.elapsed();
        self.quiet_since = self.quiet_since.max(self.last_send);
    }

    fn trouble(&mut self) {
        let seconds = self.world.elapsed().as_secs();
        let talking = self.world.elapsed() < TALK;
        match self.scenario.trouble {
            Trouble::None => {}
            Trouble::Bursts => {
                self.world.heal();
                if seconds.is_multiple_of(3) && talking {
                    let mut members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
                    self.random.shuffle(&mut members);
                    let out = members.split_off(members.len() - members.len() / 3);
                    let alone = |member: &MemberId| [*member];
                    for (index, member) in out.iter().enumerate() {
                        self.world.partition(&alone(member), &members);
                        self.world.partition(&alone(member), &out[index + 1..]);
                    }
                }
            }
            Trouble::Partition => {
                let members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
                let (one, other) = members.split_at(members.len() / 2);
                match seconds {
                    10 => self.world.partition(one, other),
                    40 => {
                        self.world.heal();
                        self.quiet_since = self.world.elapsed();
                    }
                    _ => {}
                }
            }
            Trouble::Churn => self.churn(talking),
            Trouble::Clocks => {
                if seconds.is_multiple_of(2) && talking {
                    let member = self.seats[self.random.usize(..self.seats.len())].member;
                    let step = Duration::from_secs(self.random.u64(1..3_600));
                    if self.random.bool() {
                        self.world.step_wall(member, step);
                    } else {
                        self.world.step_wall_back(member, step);
                    }
                }
            }
            Trouble::Forger | Trouble::ForgerAmongSigned => {
                if talking {
                    let members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
                    hostile::forge(&mut self.world, &members, seconds);
                }
            }
        }
    }

    fn churn(&mut self, talking: bool) {
        let now = self.world.elapsed();
        for seat in self.seats.iter_mut().filter(|seat| !seat.stays) {
            match seat.back_at {
                None if talking && self.random.u8(..10) == 0 => {
                    self.world.crash(seat.member);
                    seat.back_at = Some(now + Duration::from_secs(self.random.u64(2..8)));
                }
                Some(back) if back <= now => {
                    let stats = self.world.stats(seat.member);
                    seat.before.frames += stats.envelopes_dispatched;
                    seat.before.bytes += stats.envelope_bytes_dispatched;
                    seat.before.repetitions += stats.retransmissions;
                    seat.before.syncs += stats.syncs_sent;
                    let setup = Setup::default().cipher(Box::new(NoCipher));
                    seat.member = self.world.join(&seat.name, setup);
                    seat.inbox_seen = 0;
                    seat.back_at = None;
                }
                _ => {}
            }
        }
    }

    /// Reads what arrived, and how much was said, in the last second.
    fn look(&mut self) {
        let mut frames = 0;
        for seat in &mut self.seats {
            let inbox = self.world.inbox(seat.member);
            for received in inbox.iter().skip(seat.inbox_seen).filter(|_| seat.stays) {
                let Some(head) = received.payload.first_chunk() else { continue };
                if seat.has.insert(u32::from_be_bytes(*head)) {
                    self.delivered += 1;
                    self.last_delivery = self.last_delivery.max(received.at.elapsed());
                } else {
                    seat.twice += 1;
                }
            }
            seat.inbox_seen = inbox.len();
            frames += seat.before.frames + self.world.stats(seat.member).envelopes_dispatched;
        }
        self.peak = self.peak.max(frames - self.frames);
        self.frames = frames;
    }

    fn is_over(&self) -> bool {
        self.plan.is_empty() && self.world.elapsed() >= TALK.max(self.quiet_since) + TICK
    }

    fn expected(&self) -> u64 {
        let staying = self.seats.iter().filter(|seat| seat.stays).count() as u64;
        self.sent.len() as u64 * (staying - 1)
    }

    fn missing(&self) -> u64 {
        self.expected() - self.delivered
    }

    fn finish(self) -> Measured {
        let mut measured = Measured {
            expected: self.expected(),
            delivered: self.delivered,
            converged: (self.missing() == 0).then(|| self.last_delivery.saturating_sub(self.quiet_since)),
            frames: self.frames,
            peak: self.peak,
            ..Measured::default()
        };
        for seat in &self.seats {
            let stats = self.world.stats(seat.member);
            measured.bytes += seat.before.bytes + stats.envelope_bytes_dispatched;
            measured.repetitions += seat.before.repetitions + stats.retransmissions;
            measured.syncs += seat.before.syncs + stats.syncs_sent;
            measured.gaps += stats.gaps;
            measured.repairs += stats.repairs_given;
            measured.refused += stats.forged;
            measured.twice += seat.twice;
        }
        for (number, sent) in (0..).zip(&self.sent) {
            let told = ChannelEvent::Delivered { request: sent.request };
            let others = self.seats.iter().enumerate().filter(|(at, seat)| *at != sent.by && seat.stays);
            let lacks = others.filter(|(_, seat)| !seat.has.contains(&number)).count();
            if lacks > 0 && self.world.saw(self.seats[sent.by].member, told) {
                measured.misled += 1;
            }
        }
        measured
    }
}

/// Everybody waits for the acknowledgements of all who stay. Without a cipher: what is measured is the protocol.
fn setup(staying: &[&str], name: &str) -> Setup {
    let roster: BTreeSet<ParticipantId> =
        staying.iter().filter(|other| **other != name).map(|other| ParticipantId::from(*other)).collect();
    let config = ChannelConfig { acks: AckPolicy::All(roster), ..ChannelConfig::default() };
    Setup::default().config(config).cipher(Box::new(NoCipher))
}

/// With a key of its own, and everybody's on its roster, where messages are signed.
fn signed(setup: Setup, scenario: Scenario, names: &[String], index: usize) -> Setup {
    if scenario.trouble != Trouble::ForgerAmongSigned {
        return setup;
    }
    let secret = |index: usize| [u8::try_from(index % 256).unwrap_or(0); 32];
    let public = |index| SenderAuth::new(&secret(index), Roster::Names).public_key();
    let keys = names.iter().enumerate().map(|(index, name)| (name.as_str().into(), public(index))).collect();
    setup.sender_auth(SenderAuth::new(&secret(index), Roster::Keys(keys)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_small_groups_converge() {
        let scenario = Scenario::of(4, 0.3, Trouble::Bursts);
        let (one, again) = (run(scenario, 3), run(scenario, 3));
        assert_eq!(format!("{one:?}"), format!("{again:?}"));
        assert!(one.converged.is_some() && one.twice == 0 && one.delivered == 36, "{one:?}");
        assert!(one.frames >= 12 && one.repetitions > 0, "{one:?}");
    }

    #[test]
    fn a_forger_misleads_nobody_who_asks_for_signatures() {
        let scenario = |trouble| Scenario::of(8, 0.3, trouble);
        let (plain, signed) =
            (run(scenario(Trouble::Forger), 2), run(scenario(Trouble::ForgerAmongSigned), 2));
        assert!(plain.refused == 0 && plain.twice == 0, "{plain:?}");
        assert!(signed.refused > 100 && signed.misled == 0 && signed.converged.is_some(), "{signed:?}");
    }

    #[test]
    fn who_comes_and_goes_holds_nobody_up() {
        let scenario = Scenario::of(6, 0.1, Trouble::Churn);
        let measured = run(scenario, 5);
        assert!(measured.converged.is_some() && measured.delivered == 36, "{measured:?}");
    }
}
