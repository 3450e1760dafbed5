//! Running a world: from one event to the next, each machine driven as its contract says.

use super::{MemberId, World};
use crate::network::Link;
use quorate_base::Mono;
use quorate_channel::{Dispatch, DispatchOutcome, IngressError, MessageEnvelope, Output};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Calls of `handle_timeout` at one instant beyond which a machine is in a hot loop.
const MOST_TIMEOUTS: u32 = 100;

/// What notices a hot loop.
#[derive(Debug, Default)]
pub(super) struct Guard {
    at: Mono,
    timeouts: Vec<u32>,
}

/// When each participant wants to be called: a world of many asks the earliest, not everybody.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    by_time: BTreeSet<(Mono, usize)>,
    of: Vec<Option<Mono>>,
}

impl Wakeups {
    fn set(&mut self, member: usize, at: Option<Mono>) {
        if self.of.len() <= member {
            self.of.resize(member + 1, None);
        }
        let Some(before) = self.of.get_mut(member) else { return };
        if *before != at {
            before.take().map(|before| self.by_time.remove(&(before, member)));
            self.by_time.extend(at.map(|at| (at, member)));
            *before = at;
        }
    }

    fn next(&self) -> Option<Mono> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn due(&self, now: Mono) -> Vec<usize> {
        let mut due: Vec<_> =
            self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, member)| *member).collect();
        due.sort_unstable();
        due
    }
}

impl World {
    /// Runs until `condition` holds; it is asked before the first and after every event.
    ///
    /// # Panics
    /// When it does not hold `within` that much virtual time, with the seed and where everybody stands.
    #[track_caller]
    pub fn run_until(&mut self, mut condition: impl FnMut(&Self) -> bool, within: Duration) {
        let deadline = self.clock.mono() + within;
        while !condition(self) {
            if !self.step(deadline) {
                self.clock.advance_to(deadline);
                self.fail(&format!("what was waited for did not happen within {within:?}"));
            }
        }
    }

    /// Runs for so much virtual time.
    #[track_caller]
    pub fn run_for(&mut self, time: Duration) {
        let deadline = self.clock.mono() + time;
        while self.step(deadline) {}
        self.clock.advance_to(deadline);
    }

    /// Lets the next thing happen; `false` when there is none until `deadline`.
    #[track_caller]
    fn step(&mut self, deadline: Mono) -> bool {
        let next = [self.network.poll_timeout(), self.wakeups.next()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        if next > deadline {
            return false;
        }
        self.clock.advance_to(next);
        let now = self.clock.mono();
        if let Some((to, envelope)) = self.network.poll_arrival(now) {
            // What a machine refuses it counts; the scenario asks its stats.
            let _ = self.hand_over(MemberId(to), envelope);
        } else {
            self.wakeups.due(now).into_iter().for_each(|member| self.time_out(MemberId(member)));
        }
        true
    }

    #[track_caller]
    fn time_out(&mut self, member: MemberId) {
        if self.run.is_hot(self.clock.mono(), member.0) {
            self.fail(&format!(
                "{} is in a hot loop: it wants `handle_timeout` again and again",
                self.name(member)
            ));
        }
        let now = self.now(member);
        self.member_mut(member).machine.handle_timeout(now);
        self.drain(member);
    }

    pub(super) fn hand_over(&mut self, to: MemberId, envelope: MessageEnvelope) -> Result<(), IngressError> {
        let now = self.now(to);
        let member = self.member_mut(to);
        if !member.alive {
            return Err(IngressError::Closed);
        }
        member.envelopes += 1;
        let outcome = member.machine.handle_envelope(now, envelope);
        self.drain(to);
        outcome
    }

    /// Does what a machine asks for, until it asks for nothing more.
    pub(super) fn drain(&mut self, id: MemberId) {
        let now = self.now(id);
        let mut dispatches = VecDeque::new();
        loop {
            let member = self.member_mut(id);
            while let Some(output) = member.machine.poll_output() {
                match output {
                    Output::Dispatch(dispatch) => dispatches.push_back(dispatch),
                    Output::Event(event) => member.told(now.mono, event),
                    _ => {}
                }
            }
            let outcome = member.messaging;
            let Some(dispatch) = dispatches.pop_front() else { return self.schedule(id) };
            if outcome == DispatchOutcome::Confirmed {
                self.publish(id, &dispatch);
            }
            self.member_mut(id).machine.handle_dispatched(now, dispatch.id, outcome);
        }
    }

    /// Takes note of when a participant wants to be called.
    pub(super) fn schedule(&mut self, id: MemberId) {
        let member = self.member(id);
        let at = if member.alive { member.machine.poll_timeout() } else { None };
        self.wakeups.set(id.0, at);
    }

    /// To everybody else who is there.
    fn publish(&mut self, from: MemberId, dispatch: &Dispatch) {
        let now = self.clock.mono();
        let name = |at: usize| self.members[at].machine.identity().participant.as_str();
        for to in 0..self.members.len() {
            if to != from.0 && self.members[to].alive {
                let link = Link { from: name(from.0), to: name(to) };
                self.network.send(now, (from.0, to), link, dispatch);
            }
        }
    }

    /// Fails the test, and says how to replay it.
    #[track_caller]
    #[expect(clippy::panic, reason = "a simulation's way to fail is a failed test")]
    pub(super) fn fail(&self, what: &str) -> ! {
        let mut report = format!("{what}\nworld of seed {}, after {:?}:", self.seed(), self.elapsed());
        for (index, member) in self.members.iter().enumerate() {
            let stats = member.machine.stats();
            report.push_str(&format!(
                "\n  {}{}: {} received, {} unacknowledged, {} waiting, {} gaps; wakes at {:?}; last told {:?}",
                self.name(MemberId(index)),
                if member.alive { "" } else { " (crashed)" },
                member.inbox.len(),
                stats.unacknowledged,
                stats.waiting,
                stats.gaps,
                member.machine.poll_timeout().map(Mono::elapsed),
                member.events.last().map(|event| format!("{event:?}").chars().take(120).collect::<String>()),
            ));
        }
        panic!("{report}");
    }
}

impl Guard {
    /// Counts a timeout of `member` at `now`, and says whether it was one too many.
    fn is_hot(&mut self, now: Mono, member: usize) -> bool {
        if now > self.at {
            self.at = now;
            self.timeouts.clear();
        }
        if self.timeouts.len() <= member {
            self.timeouts.resize(member + 1, 0);
        }
        self.timeouts.get_mut(member).is_some_and(|count| {
            *count += 1;
            *count > MOST_TIMEOUTS
        })
    }
}
