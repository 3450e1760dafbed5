//! Answers that carry their proof: one request, asked of several nodes until one answer is verified.
//!
//! The rule: the first answer that can be verified wins, in the order of arrival, and nothing else ever does. A refusal, `null` or an
//! empty list without proof never ends a race alone; a lie and trouble on the way are different records in the [`Pool`](crate::pool::Pool).
//! Whatever nodes do, a request ends by its deadline, and says what every node did.
//!
//! Drive it like every machine: after any `handle_*`, drain [`Verified::poll_output`], then wait until
//! [`Verified::poll_timeout`].

#[cfg(feature = "blocking")]
mod blocking;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod builder;
#[cfg(feature = "tokio")]
mod client;
mod config;
mod job;
mod needs;
mod outputs;
mod report;
mod rounds;
mod verifier;

#[cfg(feature = "blocking")]
pub use blocking::{BlockingHttp, BlockingTransport, BlockingVerified, Waiting};
#[cfg(any(feature = "blocking", feature = "tokio"))]
pub use builder::VerifiedBuilder;
#[cfg(feature = "tokio")]
pub use client::{Clients, Transport, VerifiedClient};
pub use config::VerifiedConfig;
pub use job::{MAX_ALL_JOBS, MAX_ANSWER_JOBS, MAX_DEPTH, MAX_JOBS};
pub use outputs::{ExchangeId, SignId, State, VerifiedOutput};
pub use report::{
    MAX_HISTORY, QuestionEnd, QuestionReport, Success, VerifiedError, VerifiedFailure, VerifiedReport,
};
pub use verifier::{Context, Parts, Prepared, SubRequest, Unproven, Verdict, Verifier};

use crate::error::{Fault, PeerError};
use crate::pool::{NodeEvent, NodeId, Nodes};
use crate::signer::{SignError, Signed};
use bytes::Bytes;
use fastrand::Rng;
use job::{Arrived, Budget, Jobs, Part, Settled, Stage};
use quorate_base::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The request itself among its jobs.
const ROOT: usize = 0;

/// One request and all that it needs. The pool is the caller's, and shared by all requests: a [`Pool`](crate::pool::Pool), or one
/// behind a lock, which is then held for single steps and never while the verifier is at work.
pub struct Verified<V: Verifier> {
    verifier: Arc<V>,
    config: VerifiedConfig,
    started: Mono,
    deadline: Mono,
    jobs: Jobs<V>,
    /// Jobs that can go on.
    ready: VecDeque<usize>,
    flying: BTreeMap<ExchangeId, Flight>,
    outputs: VecDeque<VerifiedOutput<V::Output>>,
    report: VerifiedReport,
    /// Once it has ended: whether there is a value.
    ended: Option<bool>,
    late: u64,
    audited: u64,
    signings: u32,
    random: Rng,
}

/// A question that is out.
#[derive(Debug, Clone)]
struct Flight {
    node: NodeId,
    url: Arc<str>,
    sent: Mono,
    until: Mono,
}

impl<V: Verifier> Verified<V> {
    /// Starts a request. `seed` draws the nodes and the jitter.
    pub fn new(
        now: Mono,
        pool: &mut dyn Nodes,
        verifier: Arc<V>,
        request: V::Request,
        config: VerifiedConfig,
        seed: u64,
    ) -> Self {
        let mut machine = Self {
            deadline: now + config.deadline,
            verifier,
            config,
            started: now,
            jobs: Jobs::new(),
            ready: VecDeque::new(),
            flying: BTreeMap::new(),
            outputs: VecDeque::new(),
            report: VerifiedReport::default(),
            ended: None,
            late: 0,
            audited: 0,
            signings: 0,
            random: Rng::with_seed(seed),
        };
        match machine.jobs.need(&machine.verifier, None, Budget::OWN, SubRequest::Query(request)) {
            Ok(root) => machine.ready.push_back(root),
            Err(failure) => machine.end(now, Err(failure)),
        }
        machine.go_on(now, pool);
        machine
    }

    /// A node answered: the whole response objects, in the order of the calls. One that is late changes nothing, unless
    /// answers are [audited](VerifiedConfig::audit).
    pub fn handle_answers(
        &mut self,
        now: Mono,
        pool: &mut dyn Nodes,
        exchange: ExchangeId,
        answers: Vec<Bytes>,
    ) {
        let Some(Flight { node, url, sent, .. }) = self.flying.remove(&exchange) else {
            self.late += 1;
            return;
        };
        let answer = Arrived { exchange, node, url, answers, sent, came: now, budget: None };
        match self.ended {
            None => {
                self.judge(now, pool, answer, true);
                self.go_on(now, pool);
            }
            Some(_) => self.audit(now, pool, &answer),
        }
    }

    /// A node could not be asked, or what came is no answer.
    pub fn handle_failure(
        &mut self,
        now: Mono,
        pool: &mut dyn Nodes,
        exchange: ExchangeId,
        error: PeerError,
    ) {
        let Some(flight) = self.flying.remove(&exchange) else {
            self.late += 1;
            return;
        };
        if says_something_of_the_node(&error) {
            pool.record(now, flight.node, NodeEvent::Trouble, &mut self.random);
        }
        if self.ended.is_some() {
            return;
        }
        self.note(now, exchange, flight, QuestionEnd::Failed(error));
        self.lapse(now, pool, exchange);
        self.go_on(now, pool);
    }

    /// A signer has signed, wants to know something first, or did not sign. A late one changes nothing.
    pub fn handle_signed(
        &mut self,
        now: Mono,
        pool: &mut dyn Nodes,
        id: SignId,
        signed: Result<Signed, SignError>,
    ) {
        let at = id.job as usize;
        let waits =
            self.jobs.get(at).is_some_and(|job| matches!(job.stage, Stage::Signing(asked) if asked == id));
        if !waits || self.ended.is_some() {
            self.late += 1;
            return;
        }
        match signed {
            Ok(Signed::Signature(signature)) => self.finish(now, at, Ok(Part::Signature(signature)), None),
            Ok(Signed::Needs(calls)) => match self.fetch(at, calls) {
                Ok(()) => self.ready.push_back(at),
                Err(failure) => self.finish(now, at, Err(failure), None),
            },
            Err(error) => self.finish(now, at, Err(error.into()), None),
        }
        self.go_on(now, pool);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Mono, pool: &mut dyn Nodes) {
        if self.ended.is_some() {
            self.give_up_audits(now, pool);
            return;
        }
        for at in 0..self.jobs.len() {
            self.round_timeout(now, pool, at);
        }
        if self.deadline <= now && self.ended.is_none() {
            self.end(now, Err(VerifiedFailure::Deadline));
        }
        self.go_on(now, pool);
    }

    /// Nobody wants the value any more.
    pub fn cancel(&mut self, now: Mono) {
        match self.ended {
            None => self.end(now, Err(VerifiedFailure::Cancelled)),
            // Audits, too.
            Some(_) => self.cancel_where(now, |_| true),
        }
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<VerifiedOutput<V::Output>> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has to be called; `None` when all is over, audits included.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.ended.is_some() {
            return self.flying.values().map(|flight| flight.until).min();
        }
        let jobs = self.jobs.iter().filter_map(|job| match &job.stage {
            Stage::Asking(round) => round.attempts.poll_timeout(),
            Stage::Pausing { until } => Some(*until),
            _ => None,
        });
        jobs.chain([self.deadline]).min()
    }

    /// Where the request stands.
    pub fn state(&self) -> State {
        match self.ended {
            Some(true) => State::Success,
            Some(false) => State::Error,
            None => {
                let unsent = |output: &VerifiedOutput<_>| {
                    matches!(output, VerifiedOutput::Ask { .. } | VerifiedOutput::Sign { .. })
                };
                let signing = self.jobs.iter().any(|job| matches!(job.stage, Stage::Signing(_)));
                match self.outputs.iter().any(unsent) || (self.flying.is_empty() && !signing) {
                    true => State::WaitingToSend,
                    false => State::WaitingForResponse,
                }
            }
        }
    }

    /// What happened so far.
    pub const fn report(&self) -> &VerifiedReport {
        &self.report
    }

    /// How many answers, failures and signatures came when nobody waited for them.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// How many answers were verified after the end, to know who lies.
    pub const fn audited(&self) -> u64 {
        self.audited
    }

    /// Does what can be done without waiting.
    fn go_on(&mut self, now: Mono, pool: &mut dyn Nodes) {
        while self.ended.is_none() {
            let Some(at) = self.ready.pop_front() else { break };
            self.step(now, pool, at);
        }
    }

    fn step(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let Some(job) = self.jobs.get(at) else { return };
        match &job.stage {
            Stage::Preparing => match self.jobs.settled(&job.needs) {
                Settled::Open => {}
                Settled::Failed(failure) => self.finish(now, at, Err(failure), None),
                Settled::There => self.prepare(now, pool, at),
            },
            Stage::Asking(_) => self.judge_held(now, pool, at),
            // Two things that it waited for may have come together: it goes on once.
            Stage::Signing(_) | Stage::Pausing { .. } | Stage::Done(_) | Stage::Failed(_) => {}
        }
    }

    /// A job has ended; those that wait for it go on.
    fn finish(
        &mut self,
        now: Mono,
        at: usize,
        result: Result<Part<V::Output>, VerifiedFailure>,
        node: Option<NodeId>,
    ) {
        let Some(job) = self.jobs.get_mut(at) else { return };
        if at == ROOT {
            let ended = match result {
                Ok(Part::Value(value)) => Ok((value, node)),
                Ok(Part::Signature(_)) => Err(VerifiedFailure::NoProgress),
                Err(failure) => Err(failure),
            };
            return self.end(now, ended);
        }
        job.stage = match result {
            Ok(part) => Stage::Done(part),
            Err(failure) => Stage::Failed(failure),
        };
        self.cancel_where(now, |id| id.job as usize == at);
        let waiting = self.jobs.waiting_for(at);
        self.ready.extend(waiting);
    }

    fn end(&mut self, now: Mono, result: Result<(V::Output, Option<NodeId>), VerifiedFailure>) {
        self.ended = Some(result.is_ok());
        self.ready.clear();
        self.outputs.retain(|output| !matches!(output, VerifiedOutput::Sign { .. }));
        let audited = |id: &ExchangeId| id.job as usize == ROOT;
        match self.config.audit && result.is_ok() {
            true => self.cancel_where(now, |id| !audited(id)),
            false => self.cancel_where(now, |_| true),
        }
        self.report.elapsed = now.since(self.started);
        let report = self.report.clone();
        self.outputs.push_back(VerifiedOutput::Done(match result {
            Ok((value, node)) => Ok(Success { value, node, report }),
            Err(failure) => Err(VerifiedError { failure, report: Box::new(report) }),
        }));
    }

    /// Calls questions back; those that the driver has not seen never leave.
    fn cancel_where(&mut self, now: Mono, which: impl Fn(&ExchangeId) -> bool) {
        let cancelled: Vec<_> = self.flying.iter().filter(|(id, _)| which(id)).map(|(id, _)| *id).collect();
        for exchange in cancelled {
            let Some(flight) = self.flying.remove(&exchange) else { continue };
            let unseen = |output: &VerifiedOutput<_>| matches!(output, VerifiedOutput::Ask { exchange: asked, .. } if *asked == exchange);
            match self.outputs.iter().position(unseen) {
                Some(place) => drop(self.outputs.remove(place)),
                None => {
                    self.outputs.push_back(VerifiedOutput::Cancel { exchange, node: flight.node });
                    self.note(now, exchange, flight, QuestionEnd::Cancelled);
                }
            }
        }
    }

    /// Enters a question that has ended into the report.
    fn note(&mut self, now: Mono, exchange: ExchangeId, flight: Flight, end: QuestionEnd) {
        let job = self.jobs.get(exchange.job as usize);
        self.report.push(QuestionReport {
            request: job.map_or_else(|| "".into(), |job| job.name.clone()),
            round: exchange.round,
            node: flight.node,
            url: flight.url,
            after: flight.sent.since(self.started),
            took: now.since(flight.sent),
            end,
        });
    }

    /// An answer that lost the race is held to its proof all the same.
    fn audit(&mut self, now: Mono, pool: &mut dyn Nodes, answer: &Arrived) {
        self.audited += 1;
        match self.verdict(answer) {
            Some(Verdict::Lie(_)) => pool.record(now, answer.node, NodeEvent::Lied, &mut self.random),
            Some(Verdict::Verified(_)) => {
                let took = NodeEvent::Verified(now.since(answer.sent));
                pool.record(now, answer.node, took, &mut self.random);
            }
            _ => {}
        }
    }

    fn give_up_audits(&mut self, now: Mono, pool: &mut dyn Nodes) {
        let overdue: Vec<_> = self
            .flying
            .iter()
            .filter(|(_, flight)| flight.until <= now)
            .map(|(id, f)| (*id, f.node))
            .collect();
        for (exchange, node) in overdue {
            self.flying.remove(&exchange);
            pool.record(now, node, NodeEvent::Trouble, &mut self.random);
            self.outputs.push_back(VerifiedOutput::Cancel { exchange, node });
        }
    }

    /// What the verifier says of an answer; nothing for one of a job that asks nobody.
    fn verdict(&self, answer: &Arrived) -> Option<Verdict<V::Request, V::Output>> {
        let job = self.jobs.get(answer.exchange.job as usize)?;
        let (SubRequest::Query(request), Stage::Asking(round)) = (&job.what, &job.stage) else { return None };
        let context = Context {
            round: answer.exchange.round,
            node: Some(answer.node),
            witnesses: &round.witnesses,
            parts: Parts { jobs: &self.jobs },
        };
        Some(self.verifier.verify(request, &answer.answers, context))
    }
}

/// Whether an error is more than our own limit, or a pause that we make ourselves.
fn says_something_of_the_node(error: &PeerError) -> bool {
    match error {
        PeerError::Connect(connect) if connect.retry_in.is_some() => false,
        PeerError::Http { .. } => true,
        error => error.fault() != Fault::Caller,
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
