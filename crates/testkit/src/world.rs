//! A simulated group: real channel machines, virtual time, a seeded network.
//!
//! The rule: the machines are driven exactly as their contract says (after any `handle_*` their outputs are
//! drained, then they wait for an input or for `poll_timeout`), and nothing but the seed and the calls decides what
//! happens. So a failure replays from the seed that it prints. A machine that asks to be called again and
//! again at one instant is a failure.

mod member;
mod network;
mod run;

pub use member::{Received, Setup};
pub use network::Traffic;

use crate::clock::VirtualClock;
use crate::network::FaultPlan;
use bytes::Bytes;
use member::Member;
use network::Network;
use quorate_base::Now;
use quorate_channel::{
    ChannelConfig, ChannelEvent, ChannelStats, DispatchOutcome, IngressError, MessageEnvelope, RequestId,
    SendOptions, SendRefused,
};
use std::time::Duration;

/// A group of participants on one channel. Participants are known by what [`World::channel`] returned.
#[derive(Debug)]
pub struct World {
    clock: VirtualClock,
    config: ChannelConfig,
    members: Vec<Member>,
    network: Network,
    run: run::Guard,
    wakeups: run::Wakeups,
}

/// A participant of a [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(usize);

impl World {
    /// An empty world with a perfect network.
    pub fn seeded(seed: u64) -> Self {
        Self {
            clock: VirtualClock::default(),
            config: ChannelConfig::default(),
            members: Vec::new(),
            network: Network::new(FaultPlan { seed, ..FaultPlan::default() }),
            run: run::Guard::default(),
            wakeups: run::Wakeups::default(),
        }
    }

    /// Drops this part of all messages, drawn per receiver and attempt.
    ///
    /// # Panics
    /// When it is not in `0..1`, as do the next three for what is no network.
    #[must_use]
    pub fn loss(self, loss: f64) -> Self {
        self.with_plan(|plan| plan.loss = loss)
    }

    /// Duplicates this part of what is not dropped.
    #[must_use]
    pub fn duplicate(self, duplicate: f64) -> Self {
        self.with_plan(|plan| plan.duplicate = duplicate)
    }

    /// Holds back this part of all copies, so that later ones overtake them.
    #[must_use]
    pub fn reorder(self, reorder: f64) -> Self {
        self.with_plan(|plan| plan.reorder = reorder)
    }

    /// Every copy is under way for so long.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        self.latency_between(latency, latency)
    }

    /// Every copy is under way for between `shortest` and `longest`.
    #[must_use]
    pub fn latency_between(self, shortest: Duration, longest: Duration) -> Self {
        self.with_plan(|plan| plan.latency = shortest..=longest)
    }

    /// The configuration of every participant that brings none of its own.
    #[must_use]
    pub fn config(mut self, config: ChannelConfig) -> Self {
        self.config = config;
        self
    }

    /// Lets a participant join now, with the world's configuration and the group's key.
    pub fn channel(&mut self, name: &str) -> MemberId {
        self.join(name, Setup::default())
    }

    /// Lets a participant join now. One that comes back under its name is a new incarnation.
    ///
    /// # Panics
    /// When its configuration is invalid.
    #[track_caller]
    pub fn join(&mut self, name: &str, setup: Setup) -> MemberId {
        let id = MemberId(self.members.len());
        match Member::open(name, setup, &self.config, &self.clock, self.seed(), id.0) {
            Ok(member) => {
                self.members.push(member);
                self.schedule(id);
            }
            Err(error) => self.fail(&format!("{name} cannot join: {error}")),
        }
        id
    }

    /// Sends a payload, reliably.
    ///
    /// # Panics
    /// When it is refused; [`World::try_send`] does not.
    #[track_caller]
    pub fn send(&mut self, from: MemberId, payload: impl Into<Bytes>) -> RequestId {
        match self.try_send(from, payload, SendOptions::default()) {
            Ok(request) => request,
            Err(error) => self.fail(&format!("{} cannot send: {error}", self.name(from))),
        }
    }

    /// Sends a payload.
    pub fn try_send(
        &mut self,
        from: MemberId,
        payload: impl Into<Bytes>,
        options: SendOptions,
    ) -> Result<RequestId, SendRefused> {
        let now = self.now(from);
        let sent = self.member_mut(from).machine.handle_send(now, payload.into(), options);
        self.drain(from);
        sent
    }

    /// Hands an envelope to a participant, past the network: what a hostile member may do.
    pub fn inject(&mut self, to: MemberId, envelope: MessageEnvelope) -> Result<(), IngressError> {
        self.hand_over(to, envelope)
    }

    /// Closes a participant's channel politely. It receives nothing more.
    pub fn close(&mut self, member: MemberId) {
        let now = self.now(member);
        self.member_mut(member).machine.handle_close(now);
        self.drain(member);
    }

    /// Ends a participant as a power cut does: it says nothing more and hears nothing more.
    pub fn crash(&mut self, member: MemberId) {
        self.member_mut(member).alive = false;
        self.schedule(member);
    }

    /// How handing an envelope to the messaging layer ends for `member` from now on. What is not
    /// confirmed does not leave.
    pub fn messaging(&mut self, member: MemberId, outcome: DispatchOutcome) {
        self.member_mut(member).messaging = outcome;
    }

    /// Lets the wall clock of `member` jump forward.
    pub fn step_wall(&mut self, member: MemberId, forward: Duration) {
        self.member_mut(member).wall.forward(forward);
    }

    /// Lets the wall clock of `member` jump back.
    pub fn step_wall_back(&mut self, member: MemberId, back: Duration) {
        self.member_mut(member).wall.back(back);
    }

    /// Cuts every link between a participant of `one` and one of `other`. What is under way arrives.
    pub fn partition(&mut self, one: &[MemberId], other: &[MemberId]) {
        for a in one {
            other.iter().for_each(|b| self.network.cut(a.0, b.0));
        }
    }

    /// Takes back every [`World::partition`].
    pub fn heal(&mut self) {
        self.network.heal();
    }

    /// Gives one direction of one link faults of its own.
    ///
    /// # Panics
    /// When they are no network.
    #[track_caller]
    pub fn faults(&mut self, from: MemberId, to: MemberId, plan: FaultPlan) {
        if let Err(error) = plan.validate() {
            self.fail(&error.to_string());
        }
        self.network.set(from.0, to.0, plan);
    }

    /// The time at a participant.
    pub fn now(&self, member: MemberId) -> Now {
        self.clock.now(self.member(member).wall)
    }

    /// The time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.clock.mono().elapsed()
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.network.seed()
    }

    /// What a participant calls itself.
    pub fn name(&self, member: MemberId) -> &str {
        self.member(member).machine.identity().participant.as_str()
    }

    /// The entropy that a participant's channel was opened with: a hostile test derives its tag from it.
    pub fn entropy(&self, member: MemberId) -> u64 {
        self.member(member).entropy
    }

    /// What a participant's application was told, in order.
    pub fn events(&self, member: MemberId) -> &[ChannelEvent] {
        &self.member(member).events
    }

    /// Whether a participant's application was told so.
    pub fn saw(&self, member: MemberId, event: ChannelEvent) -> bool {
        self.events(member).contains(&event)
    }

    /// What a participant received, in order.
    pub fn inbox(&self, member: MemberId) -> &[Received] {
        &self.member(member).inbox
    }

    /// What a participant's channel counted.
    pub fn stats(&self, member: MemberId) -> ChannelStats {
        self.member(member).machine.stats()
    }

    /// How many envelopes the network brought to a participant, injected ones included.
    pub fn envelopes_to(&self, member: MemberId) -> u64 {
        self.member(member).envelopes
    }

    /// Whether nothing that `member` sent waits for an outcome.
    pub fn is_idle(&self, member: MemberId) -> bool {
        self.member(member).machine.is_idle()
    }

    /// What the network carried so far.
    pub const fn traffic(&self) -> Traffic {
        self.network.traffic()
    }

    #[track_caller]
    fn with_plan(mut self, change: impl FnOnce(&mut FaultPlan)) -> Self {
        if let Err(error) = self.network.change(change) {
            self.fail(&error.to_string());
        }
        self
    }

    fn member(&self, member: MemberId) -> &Member {
        &self.members[member.0]
    }

    fn member_mut(&mut self, member: MemberId) -> &mut Member {
        &mut self.members[member.0]
    }
}

#[cfg(test)]
mod tests;
