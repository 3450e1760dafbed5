//! Groups of real channels on bad networks, measured: what `cargo xtask sim` prints and draws.
//!
//! The rule: a run is a function of its scenario and seed. Time is virtual, the machines are those that ship, and what
//! a run reports it counted; nothing is estimated but what [`report`] calls an extrapolation.

mod hostile;
pub mod kept;
mod plot;
pub mod report;
mod trouble;

pub use trouble::Trouble;

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
/// How many send where not everybody does.
pub const SPEAKERS: usize = 10;
/// The loss beside which trouble is made.
pub const TROUBLED_LOSS: f64 = 0.2;
/// Within which each participant sends its messages, at random times.
const TALK: Duration = Duration::from_secs(30);
/// When a run is given up.
const LIMIT: Duration = Duration::from_secs(1_800);
/// When a run that has lost something is given up: nothing came for so long, which is longer than anything is waited for.
const SILENCE: Duration = Duration::from_secs(400);

/// A group on a network.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// The most of them in one second: how large a storm of repairs became.
    pub storm: u64,
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

    /// The same group in which at most [`SPEAKERS`] send, and all receive and acknowledge.
    #[must_use]
    pub const fn with_few_senders(self) -> Self {
        let senders = if self.participants < SPEAKERS { self.participants } else { SPEAKERS };
        Self { senders, ..self }
    }
}

impl Measured {
    /// Envelopes for each message delivered to one participant.
    pub fn frames_per_delivery(&self) -> f64 {
        self.frames as f64 / self.delivered.max(1) as f64
    }

    /// Of the messages that everybody was to receive, those that never came to somebody, as a part of all.
    pub fn missing(&self) -> f64 {
        (self.expected - self.delivered) as f64 / self.expected.max(1) as f64
    }

    /// Bytes for each message delivered to one participant.
    pub fn bytes_per_delivery(&self) -> f64 {
        self.bytes as f64 / self.delivered.max(1) as f64
    }
}

/// Runs a scenario.
pub fn run(scenario: Scenario, seed: u64) -> Measured {
    let mut run = Run::new(scenario, seed);
    while run.world.elapsed() < LIMIT && !(run.is_over() && (run.missing() == 0 || run.is_silent())) {
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
    repairs: u64,
    storm: u64,
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
    repairs: u64,
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
            repairs: 0,
            storm: 0,
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

    /// Reads what arrived, and how much was said, in the last second.
    fn look(&mut self) {
        let (mut frames, mut repairs) = (0, 0);
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
            let stats = self.world.stats(seat.member);
            frames += seat.before.frames + stats.envelopes_dispatched;
            repairs += seat.before.repairs + stats.repairs_given;
        }
        self.peak = self.peak.max(frames - self.frames);
        self.storm = self.storm.max(repairs - self.repairs);
        (self.frames, self.repairs) = (frames, repairs);
    }

    fn is_over(&self) -> bool {
        self.plan.is_empty() && self.world.elapsed() >= TALK.max(self.quiet_since) + TICK
    }

    /// Nothing came any more for longer than anything is waited for.
    fn is_silent(&self) -> bool {
        self.world.elapsed() > self.last_delivery.max(self.quiet_since) + SILENCE
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
            repairs: self.repairs,
            storm: self.storm,
            ..Measured::default()
        };
        for seat in &self.seats {
            let stats = self.world.stats(seat.member);
            measured.bytes += seat.before.bytes + stats.envelope_bytes_dispatched;
            measured.repetitions += seat.before.repetitions + stats.retransmissions;
            measured.syncs += seat.before.syncs + stats.syncs_sent;
            measured.gaps += stats.gaps;
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
    let secret = |index: usize| {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&(index as u64).to_be_bytes());
        secret
    };
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
