//! The request and everything that it needs: a graph of jobs, each there once.
//!
//! The rule: the graph is finite. Its size and depth are bounded, it has no circles, and what is needed twice is one job.

use super::outputs::{ExchangeId, SignId};
use super::report::VerifiedFailure;
use super::verifier::{SubRequest, Unproven, Verifier};
use crate::attempts::Attempts;
use crate::call::Call;
use crate::pool::NodeId;
use crate::signer::{SignRequest, Signature};
use bytes::Bytes;
use quorate_base::Mono;
use std::sync::Arc;

/// The most jobs that a request itself needs, the request included.
pub const MAX_JOBS: usize = 64;
/// The most jobs that one answer can make necessary. Each answer has its own, so that no node uses up what the others need.
pub const MAX_ANSWER_JOBS: usize = 16;
/// The most jobs of one request in all.
pub const MAX_ALL_JOBS: usize = 1_024;
/// How many jobs may need one another in a row.
pub const MAX_DEPTH: u32 = 8;

/// Whose jobs are counted together: the request's own, or those of one answer and of all that they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget(u32);

impl Budget {
    /// The request's own.
    pub(super) const OWN: Self = Self(0);

    const fn max(self) -> usize {
        if self.0 == 0 { MAX_JOBS } else { MAX_ANSWER_JOBS }
    }
}

/// What a job came to.
#[derive(Debug)]
pub(super) enum Part<O> {
    Value(O),
    Signature(Signature),
}

/// One request, its own rounds and nodes.
pub(super) struct Job<V: Verifier> {
    pub(super) what: SubRequest<V::Request>,
    pub(super) name: Arc<str>,
    pub(super) depth: u32,
    pub(super) budget: Budget,
    /// What has to be there before it goes on.
    pub(super) needs: Vec<usize>,
    /// What a signer had fetched: the call, and the job that has it.
    pub(super) fetched: Vec<(Call, usize)>,
    pub(super) stage: Stage<V::Output>,
    /// How many rounds have begun.
    pub(super) rounds: u32,
    /// Who was asked in all rounds, and how it went last.
    pub(super) heard: Vec<(NodeId, Heard)>,
    /// What the last one said who gave no proof.
    pub(super) last_unproven: Option<Unproven>,
    /// What is sent in this round.
    pub(super) calls: Arc<[Call]>,
}

/// How it went with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet, trouble, or something that could not be used.
    Nothing,
    /// An answer without proof.
    Unproven,
    /// A lie.
    Lie,
}

/// How far a job is.
#[derive(Debug)]
pub(super) enum Stage<O> {
    /// It may need something first.
    Preparing,
    /// Nodes are asked.
    Asking(Box<Round>),
    /// Nobody new is left; the next round begins then.
    Pausing {
        until: Mono,
    },
    /// A signer is asked.
    Signing(SignId),
    Done(Part<O>),
    Failed(VerifiedFailure),
}

/// One round of a job.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) attempts: Attempts<NodeId, ()>,
    pub(super) witnesses: Vec<Bytes>,
    /// Answers that cannot be judged yet.
    pub(super) held: Vec<Held>,
}

/// An answer that cannot be judged yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) answer: Arrived,
    pub(super) needs: Vec<usize>,
}

/// An answer of a node.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) exchange: ExchangeId,
    pub(super) node: NodeId,
    pub(super) url: Arc<str>,
    pub(super) answers: Vec<Bytes>,
    pub(super) sent: Mono,
    pub(super) came: Mono,
    /// Of what it needs; none before it needs anything.
    pub(super) budget: Option<Budget>,
}

impl<V: Verifier> Job<V> {
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done(_) | Stage::Failed(_))
    }

    /// Everything that it waits for.
    fn all_needs(&self) -> impl Iterator<Item = usize> + '_ {
        let held = match &self.stage {
            Stage::Asking(round) => round.held.as_slice(),
            _ => &[],
        };
        self.needs.iter().copied().chain(held.iter().flat_map(|held| held.needs.iter().copied()))
    }

    pub(super) fn note(&mut self, node: NodeId, heard: Heard) {
        match self.heard.iter_mut().find(|(other, _)| *other == node) {
            Some((_, before)) => *before = heard,
            None => self.heard.push((node, heard)),
        }
    }

    pub(super) fn unproven(&self) -> usize {
        self.heard.iter().filter(|(_, heard)| *heard == Heard::Unproven).count()
    }
}

/// All jobs of one request; the first one is the request itself.
pub(super) struct Jobs<V: Verifier> {
    jobs: Vec<Job<V>>,
    /// How many answers needed something.
    answers: u32,
}

impl<V: Verifier> Jobs<V> {
    pub(super) const fn new() -> Self {
        Self { jobs: Vec::new(), answers: 0 }
    }

    pub(super) fn get(&self, at: usize) -> Option<&Job<V>> {
        self.jobs.get(at)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Job<V>> {
        self.jobs.get_mut(at)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Job<V>> {
        self.jobs.iter()
    }

    pub(super) const fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whose jobs those are that an answer needs: its own, unless its question was itself needed for an answer.
    pub(super) fn budget_of(&mut self, answer: &mut Arrived) -> Budget {
        let asked = self.get(answer.exchange.job as usize).map_or(Budget::OWN, |job| job.budget);
        if asked != Budget::OWN {
            return asked;
        }
        *answer.budget.get_or_insert_with(|| {
            self.answers = self.answers.saturating_add(1);
            Budget(self.answers)
        })
    }

    /// Adds a job that is needed by `parent`, unless it is there.
    ///
    /// # Errors
    ///
    /// When the graph would be too large, too deep, or a circle.
    pub(super) fn need(
        &mut self,
        verifier: &V,
        parent: Option<usize>,
        budget: Budget,
        what: SubRequest<V::Request>,
    ) -> Result<usize, VerifiedFailure> {
        let depth = parent.and_then(|parent| self.get(parent)).map_or(0, |parent| parent.depth + 1);
        if depth > MAX_DEPTH {
            return Err(VerifiedFailure::TooDeep { max: MAX_DEPTH });
        }
        if let Some(there) = self.jobs.iter().position(|job| job.what == what) {
            if parent.is_some_and(|parent| self.reaches(there, parent)) {
                return Err(VerifiedFailure::Circular);
            }
            return Ok(there);
        }
        self.has_room(budget, 1)?;
        let name = match &what {
            SubRequest::Query(request) => verifier.name(request).into(),
            SubRequest::Sign(_) => "sign".into(),
        };
        self.jobs.push(Job {
            what,
            name,
            depth,
            budget,
            needs: Vec::new(),
            fetched: Vec::new(),
            stage: Stage::Preparing,
            rounds: 0,
            heard: Vec::new(),
            last_unproven: None,
            calls: Arc::default(),
        });
        Ok(self.jobs.len() - 1)
    }

    /// How many of these would be new.
    pub(super) fn new_among(&self, needed: &[SubRequest<V::Request>]) -> usize {
        needed.iter().filter(|what| self.jobs.iter().all(|job| job.what != **what)).count()
    }

    /// An error when so many new jobs would be too many.
    pub(super) fn has_room(&self, budget: Budget, new: usize) -> Result<(), VerifiedFailure> {
        let counted = self.jobs.iter().filter(|job| job.budget == budget).count();
        if counted + new > budget.max() {
            return Err(VerifiedFailure::TooMany { max: budget.max() });
        }
        if self.jobs.len() + new > MAX_ALL_JOBS {
            return Err(VerifiedFailure::TooMany { max: MAX_ALL_JOBS });
        }
        Ok(())
    }

    /// Whether one job waits for another, by whatever way.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.jobs.len()];
        let mut todo = vec![from];
        while let Some(at) = todo.pop() {
            if at == to {
                return true;
            }
            let Some(job) = self.get(at) else { continue };
            if let Some(seen) = seen.get_mut(at)
                && !std::mem::replace(seen, true)
            {
                todo.extend(job.all_needs());
            }
        }
        false
    }

    /// Jobs that wait for this one.
    pub(super) fn waiting_for(&self, at: usize) -> Vec<usize> {
        let waits = |job: &Job<V>| !job.is_finished() && job.all_needs().any(|need| need == at);
        self.jobs.iter().enumerate().filter(|(_, job)| waits(job)).map(|(waiting, _)| waiting).collect()
    }

    /// Whether these have all ended; the first of them that failed.
    pub(super) fn settled(&self, needs: &[usize]) -> Settled {
        let needed = || needs.iter().filter_map(|need| self.get(*need));
        let failed = needed().find_map(|job| match &job.stage {
            Stage::Failed(failure) => Some((job.name.clone(), failure.clone())),
            _ => None,
        });
        match failed {
            Some((name, failure)) => {
                Settled::Failed(VerifiedFailure::Part { name, failure: Box::new(failure) })
            }
            None if needed().all(Job::is_finished) => Settled::There,
            None => Settled::Open,
        }
    }

    pub(super) fn part_of_query(&self, request: &V::Request) -> Option<&Part<V::Output>> {
        self.part(|what| matches!(what, SubRequest::Query(other) if other == request))
    }

    pub(super) fn part_of_signature(&self, request: &SignRequest) -> Option<&Part<V::Output>> {
        self.part(|what| matches!(what, SubRequest::Sign(other) if other == request))
    }

    fn part(&self, is: impl Fn(&SubRequest<V::Request>) -> bool) -> Option<&Part<V::Output>> {
        self.jobs.iter().find(|job| is(&job.what)).and_then(|job| match &job.stage {
            Stage::Done(part) => Some(part),
            _ => None,
        })
    }
}

/// Whether what is needed is there.
pub(super) enum Settled {
    Open,
    There,
    Failed(VerifiedFailure),
}
