//! What a job needs before it can go on: other values, and signatures.
//!
//! The rule: what is needed is there once, whoever needs it, and nothing is asked for again that is there already.

use super::job::{Budget, Job, Part, Settled, Stage};
use super::outputs::{SignId, VerifiedOutput};
use super::report::VerifiedFailure;
use super::verifier::{Parts, Prepared, SubRequest, Verifier};
use super::{Verified, number};
use crate::call::Call;
use crate::pool::Nodes;
use quorate_base::Mono;

impl<V: Verifier> Verified<V> {
    /// Everything that the job needs is there.
    pub(super) fn prepare(&mut self, now: Mono, pool: &mut dyn Nodes, at: usize) {
        let Some(job) = self.jobs.get(at) else { return };
        let request = match &job.what {
            SubRequest::Sign(_) => return self.ask_signer(at),
            SubRequest::Query(request) => request.clone(),
        };
        let budget = job.budget;
        match self.verifier.prepare(&request, Parts { jobs: &self.jobs }) {
            Prepared::Send => self.next_round(now, pool, at),
            Prepared::Local(value) => self.finish(now, at, Ok(Part::Value(value)), None),
            Prepared::Refuse(reason) => self.finish(now, at, Err(VerifiedFailure::Refused(reason)), None),
            Prepared::Need(needed) => match self.need(at, budget, needed) {
                Ok(needs) => {
                    if let Some(job) = self.jobs.get_mut(at) {
                        job.needs = needs;
                    }
                }
                Err(failure) => self.finish(now, at, Err(failure), None),
            },
        }
    }

    fn ask_signer(&mut self, at: usize) {
        self.signings += 1;
        let Some(job) = self.jobs.get(at) else { return };
        let SubRequest::Sign(request) = &job.what else { return };
        let shown = job.fetched.iter().filter_map(|(call, from)| match &self.jobs.get(*from)?.stage {
            Stage::Done(Part::Value(value)) => Some((call.clone(), self.verifier.show(value))),
            _ => None,
        });
        let (fetched, request) = (shown.collect(), request.clone());
        let id = SignId { job: number(at), time: self.signings };
        self.outputs.push_back(VerifiedOutput::Sign { id, request, fetched });
        if let Some(job) = self.jobs.get_mut(at) {
            job.stage = Stage::Signing(id);
        }
    }

    /// A signer wants to know something first.
    pub(super) fn fetch(&mut self, at: usize, calls: Vec<Call>) -> Result<(), VerifiedFailure> {
        if calls.is_empty() {
            return Err(VerifiedFailure::NoProgress);
        }
        for call in calls {
            let request = self.verifier.request(&call).map_err(VerifiedFailure::Refused)?;
            let budget = self.jobs.get(at).map_or(Budget::OWN, |job| job.budget);
            let (from, _) = self.need_one(at, budget, SubRequest::Query(request))?;
            let Some(job) = self.jobs.get_mut(at) else { continue };
            if job.fetched.iter().any(|(_, there)| *there == from) {
                return Err(VerifiedFailure::NoProgress);
            }
            job.fetched.push((call, from));
            job.needs.push(from);
            job.stage = Stage::Preparing;
        }
        Ok(())
    }

    /// Adds what a job needs. An error when all of it was there already: it would go on for ever.
    pub(super) fn need(
        &mut self,
        at: usize,
        budget: Budget,
        needed: Vec<SubRequest<V::Request>>,
    ) -> Result<Vec<usize>, VerifiedFailure> {
        // Before any of them is asked for.
        self.jobs.has_room(budget, self.jobs.new_among(&needed))?;
        let mut needs = Vec::with_capacity(needed.len());
        let mut open = false;
        for what in needed {
            let (job, finished) = self.need_one(at, budget, what)?;
            open |= !finished;
            needs.push(job);
        }
        match self.jobs.settled(&needs) {
            _ if open => Ok(needs),
            Settled::Failed(failure) => Err(failure),
            _ => Err(VerifiedFailure::NoProgress),
        }
    }

    /// The job for something that is needed, and whether it has ended.
    fn need_one(
        &mut self,
        at: usize,
        budget: Budget,
        what: SubRequest<V::Request>,
    ) -> Result<(usize, bool), VerifiedFailure> {
        let before = self.jobs.len();
        let job = self.jobs.need(&self.verifier, Some(at), budget, what)?;
        if self.jobs.len() > before {
            self.ready.push_back(job);
        }
        Ok((job, self.jobs.get(job).is_some_and(Job::is_finished)))
    }
}
