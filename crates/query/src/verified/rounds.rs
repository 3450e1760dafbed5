//! The rounds of a job: who is asked, what an answer does to the race, and when the next round begins.
//!
//! The rule: a node that was asked is asked again only when nobody new is left, and then after a pause.

use super::job::{Arrived, Heard, Held, Part, Round, Settled, Stage};
use super::outputs::{ExchangeId, VerifiedOutput};
use super::report::{QuestionEnd, VerifiedFailure};
use super::verifier::{Context, Parts, SubRequest, Unproven, Verdict, Verifier};
use super::{Flight, Verified, number};
use crate::attempts::{AttemptOutput, Attempts};
use crate::call::Call;
use crate::error::{PeerError, Reason};
use crate::pool::{NodeEvent, NodeId, Nodes};
use quorate_base::Mono;
use std::sync::Arc;
use std::time::Duration;

/// The shortest pause before a node is asked again, whatever the backoff says.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

impl<V: Verifier> Verified<V> {
    /// Begins the next round, now or after a pause, or ends the job.
    pub(super) fn next_round(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let Some(job) = self.jobs.get(at) else { return };
        if job.rounds >= self.config.rounds.get() {
            let exhausted = VerifiedFailure::Exhausted { rounds: job.rounds };
            let failure = self.all_unproven(at).unwrap_or(exhausted);
            return self.finish(now, at, Err(failure), None);
        }
        let asked: Vec<NodeId> = job.heard.iter().map(|(node, _)| *node).collect();
        let (size, rounds) = (self.config.round_size(), job.rounds);
        match pool.pick(now, size, &self.config.nodes, &asked, &mut self.random) {
            Ok(nodes) => self.start_round(now, pool, at, nodes),
            Err(none) if asked.is_empty() => self.finish(now, at, Err(none.into()), None),
            Err(_) => {
                if job.heard.iter().all(|(_, heard)| *heard == Heard::Lie) {
                    let nodes = job.heard.len();
                    return self.finish(now, at, Err(VerifiedFailure::AllLied { nodes }), None);
                }
                // Everybody was asked, and all said the like: asking them again would be for nothing.
                if let Some(failure) = self.all_unproven(at) {
                    return self.finish(now, at, Err(failure), None);
                }
                let pause = self.config.backoff.delay(rounds.saturating_sub(1), self.random.f64());
                if let Some(job) = self.jobs.get_mut(at) {
                    job.stage = Stage::Pausing { until: now + pause.max(LEAST_PAUSE) };
                }
            }
        }
    }

    /// The pause is over: nodes that were asked before are asked again, but for those who lied.
    fn round_again(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let size = self.config.round_size();
        let Some(job) = self.jobs.get(at) else { return };
        let liars: Vec<_> =
            job.heard.iter().filter(|(_, heard)| *heard == Heard::Lie).map(|(node, _)| *node).collect();
        match pool.pick(now, size, &self.config.nodes, &liars, &mut self.random) {
            Ok(nodes) => self.start_round(now, pool, at, nodes),
            Err(none) => self.finish(now, at, Err(none.into()), None),
        }
    }

    fn start_round(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize, nodes: Vec<NodeId>) {
        let witnesses = match self.config.witnesses {
            0 => Vec::new(),
            count => pool.pick_signers(now, count, &self.config.signers, &nodes, &mut self.random),
        };
        if witnesses.len() < self.config.witnesses {
            let failure =
                VerifiedFailure::NoSigners { wanted: self.config.witnesses, there: witnesses.len() };
            return self.finish(now, at, Err(failure), None);
        }
        let Some(job) = self.jobs.get(at) else { return };
        let SubRequest::Query(request) = &job.what else { return };
        let round = job.rounds;
        let context = Context { round, node: None, witnesses: &witnesses, parts: Parts { jobs: &self.jobs } };
        let calls: Arc<[Call]> = match self.verifier.encode(request, context) {
            Ok(calls) => calls.into(),
            Err(reason) => return self.finish(now, at, Err(VerifiedFailure::Refused(reason)), None),
        };
        let left = self.deadline.since(now);
        let attempts = Attempts::new(now, nodes, self.config.fanout(left), self.random.u64(..));
        if let Some(job) = self.jobs.get_mut(at) {
            job.rounds += 1;
            job.calls = calls;
            job.stage = Stage::Asking(Box::new(Round { attempts, witnesses, held: Vec::new() }));
        }
        self.send(now, pool, at);
    }

    /// Hands on what the fan-out of the round wants done.
    fn send(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let Some(job) = self.jobs.get_mut(at) else { return };
        let (round, calls) = (job.rounds - 1, job.calls.clone());
        let Stage::Asking(asking) = &mut job.stage else { return };
        let mut asked = Vec::new();
        while let Some(output) = asking.attempts.poll_output() {
            let exchange = |attempt| ExchangeId { job: number(at), round, attempt };
            match output {
                AttemptOutput::Ask { attempt, peer, timeout } => {
                    let exchange = exchange(attempt);
                    let url = pool.url(peer);
                    let flight = Flight { node: peer, url: url.into(), sent: now, until: now + timeout };
                    self.flying.insert(exchange, flight);
                    asked.push(peer);
                    let calls = calls.clone();
                    self.outputs.push_back(VerifiedOutput::Ask { exchange, node: peer, calls, timeout });
                }
                AttemptOutput::Cancel { attempt, peer } => {
                    let exchange = exchange(attempt);
                    // The fan-out gave it up: it took too long.
                    if self.flying.remove(&exchange).is_some() {
                        self.outputs.push_back(VerifiedOutput::Cancel { exchange, node: peer });
                    }
                }
            }
        }
        for node in asked {
            job.note(node, Heard::Nothing);
        }
    }

    /// What an answer does to the race. `first`: it has just come, and was not held before.
    pub(super) fn judge(&mut self, now: Mono, pool: &mut dyn Nodes, mut answer: Arrived, first: bool) {
        let Some(verdict) = self.verdict(&answer) else {
            self.late += 1;
            return;
        };
        let at = answer.exchange.job as usize;
        let (exchange, node) = (answer.exchange, answer.node);
        let end = match verdict {
            Verdict::Verified(value) => {
                let took = NodeEvent::Verified(answer.came.since(answer.sent));
                pool.record(now, node, took, &mut self.random);
                self.heard(answer, QuestionEnd::Verified);
                self.answered(now, at, exchange);
                return self.finish(now, at, Ok(Part::Value(value)), Some(node));
            }
            Verdict::Need(needed) => {
                let budget = self.jobs.budget_of(&mut answer);
                match self.need(at, budget, needed) {
                    Ok(needs) => {
                        self.answered(now, at, exchange);
                        if let Some(Stage::Asking(round)) = self.jobs.get_mut(at).map(|job| &mut job.stage) {
                            round.held.push(Held { answer, needs });
                        }
                        return self.send(now, pool, at);
                    }
                    Err(failure) => QuestionEnd::Unusable(Reason::new(failure)),
                }
            }
            Verdict::Unproven(what) => QuestionEnd::Unproven(what),
            Verdict::Lie(reason) => {
                pool.record(now, node, NodeEvent::Lied, &mut self.random);
                QuestionEnd::Lie(reason)
            }
            Verdict::Unusable { reason, absent } => {
                pool.report_absent(now, node, &absent);
                QuestionEnd::Unusable(reason)
            }
        };
        let heard = match &end {
            QuestionEnd::Unproven(_) => Heard::Unproven,
            QuestionEnd::Lie(_) => Heard::Lie,
            _ => Heard::Nothing,
        };
        if let Some(job) = self.jobs.get_mut(at) {
            job.note(node, heard);
            if let QuestionEnd::Unproven(what) = &end {
                job.last_unproven = Some(what.clone());
            }
        }
        self.heard(answer, end);
        if heard == Heard::Unproven
            && let Some(job) = self.jobs.get(at)
        {
            let nodes = job.unproven();
            if nodes >= self.config.refusals.get() {
                let failure = self.unproven(at, nodes);
                return self.finish(now, at, Err(failure), None);
            }
        }
        match first {
            true => self.lapse(now, pool, exchange),
            false => self.round_over(now, pool, at),
        }
    }

    /// Judges the answers whose sub-requests have ended.
    pub(super) fn judge_held(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let mut place = 0;
        while self.ended.is_none() {
            let Some(Stage::Asking(round)) = self.jobs.get(at).map(|job| &job.stage) else { return };
            let Some(held) = round.held.get(place) else { break };
            let settled = self.jobs.settled(&held.needs);
            if matches!(settled, Settled::Open) {
                place += 1;
                continue;
            }
            let Some(Stage::Asking(round)) = self.jobs.get_mut(at).map(|job| &mut job.stage) else { return };
            let answer = round.held.remove(place).answer;
            match settled {
                Settled::Failed(failure) => {
                    // Without what it needs the answer is worth nothing, and the node did nothing wrong.
                    let reason = QuestionEnd::Unusable(Reason::new(failure));
                    self.heard(answer, reason);
                    self.round_over(now, pool, at);
                }
                _ => self.judge(now, pool, answer, false),
            }
        }
    }

    /// Enters an answer into the report.
    fn heard(&mut self, answer: Arrived, end: QuestionEnd) {
        let Arrived { exchange, node, url, sent, came, .. } = answer;
        self.note(came, exchange, Flight { node, url, sent, until: came }, end);
    }

    /// An answer counts: the fan-out need not wait for it.
    fn answered(&mut self, now: Mono, at: usize, exchange: ExchangeId) {
        if let Some(Stage::Asking(round)) = self.jobs.get_mut(at).map(|job| &mut job.stage) {
            round.attempts.handle_answered(now, exchange.attempt);
        }
    }

    /// A question came to nothing; the next node takes its place, or the next round begins.
    pub(super) fn lapse(&mut self, now: Mono, pool: &mut dyn Nodes, exchange: ExchangeId) {
        let at = exchange.job as usize;
        let Some(Stage::Asking(round)) = self.jobs.get_mut(at).map(|job| &mut job.stage) else { return };
        round.attempts.handle_failed(now, exchange.attempt, (), false);
        self.send(now, pool, at);
        self.round_over(now, pool, at);
    }

    /// Begins the next round if nobody of this one can answer any more.
    fn round_over(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let Some(Stage::Asking(round)) = self.jobs.get(at).map(|job| &job.stage) else { return };
        if round.attempts.open().is_empty() && round.held.is_empty() {
            self.next_round(now, pool, at);
        }
    }

    /// Time has passed for one job.
    pub(super) fn round_timeout(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        match self.jobs.get_mut(at).map(|job| &mut job.stage) {
            Some(Stage::Pausing { until }) if *until <= now => self.round_again(now, pool, at),
            Some(Stage::Asking(_)) => self.give_up_overdue(now, pool, at),
            _ => {}
        }
    }

    fn give_up_overdue(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let of_job = |id: &ExchangeId| id.job as usize == at;
        let overdue: Vec<_> = self
            .flying
            .iter()
            .filter(|(id, flight)| of_job(id) && flight.until <= now)
            .map(|(id, flight)| (*id, flight.clone()))
            .collect();
        for (exchange, flight) in overdue {
            let after = flight.until.since(flight.sent);
            pool.record(now, flight.node, NodeEvent::Trouble, &mut self.random);
            let end = QuestionEnd::Failed(PeerError::TimedOut { after });
            self.note(now, exchange, flight, end);
        }
        if let Some(Stage::Asking(round)) = self.jobs.get_mut(at).map(|job| &mut job.stage) {
            while round.attempts.handle_timeout(now).is_some() {}
        }
        self.send(now, pool, at);
        self.round_over(now, pool, at);
    }

    /// The end of a job whose nodes all gave no proof, or lied, if that is what they did.
    fn all_unproven(&self, at: usize) -> Option<VerifiedFailure> {
        let job = self.jobs.get(at)?;
        let (nodes, open) = (job.unproven(), job.heard.iter().any(|(_, heard)| *heard == Heard::Nothing));
        (nodes > 0 && !open).then(|| self.unproven(at, nodes))
    }

    fn unproven(&self, at: usize, nodes: usize) -> VerifiedFailure {
        let what = self.jobs.get(at).and_then(|job| job.last_unproven.clone()).unwrap_or(Unproven::Null);
        VerifiedFailure::Unproven { what, nodes }
    }
}
