//! The network between participants: what is under way, and which links are cut.

use crate::network::{Fate, FaultError, FaultPlan, Link};
use quorate_base::Mono;
use quorate_channel::{Dispatch, MessageEnvelope};
use std::collections::{BTreeMap, BTreeSet};

/// What the network carried. One envelope to three receivers counts three times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Envelopes handed to a link.
    pub sent: u64,
    /// Of them, dropped.
    pub dropped: u64,
    /// Of them, stopped by a partition.
    pub cut: u64,
    /// Second copies made.
    pub duplicated: u64,
    /// Bytes of payload handed to a link.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct Network {
    plan: FaultPlan,
    links: BTreeMap<(usize, usize), FaultPlan>,
    cuts: BTreeSet<(usize, usize)>,
    /// By time of arrival, then in the order of sending.
    under_way: BTreeMap<(Mono, u64), (usize, MessageEnvelope)>,
    next: u64,
    traffic: Traffic,
}

impl Network {
    pub(super) const fn new(plan: FaultPlan) -> Self {
        Self {
            plan,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            under_way: BTreeMap::new(),
            next: 0,
            traffic: Traffic { sent: 0, dropped: 0, cut: 0, duplicated: 0, bytes: 0 },
        }
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut FaultPlan)) -> Result<(), FaultError> {
        change(&mut self.plan);
        self.plan.validate()
    }

    pub(super) fn set(&mut self, from: usize, to: usize, plan: FaultPlan) {
        self.links.insert((from, to), plan);
    }

    pub(super) fn cut(&mut self, one: usize, other: usize) {
        self.cuts.extend([(one, other), (other, one)]);
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) const fn seed(&self) -> u64 {
        self.plan.seed
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Sends one envelope over one link; the ends are given by number and by name.
    pub(super) fn send(
        &mut self,
        now: Mono,
        (from, to): (usize, usize),
        link: Link<'_>,
        dispatch: &Dispatch,
    ) {
        self.traffic.sent += 1;
        self.traffic.bytes += dispatch.envelope.payload.len() as u64;
        if self.cuts.contains(&(from, to)) {
            self.traffic.cut += 1;
            return;
        }
        let plan = self.links.get(&(from, to)).unwrap_or(&self.plan);
        let fate: Fate = plan.fate(link, dispatch.message.as_str(), dispatch.attempt);
        self.traffic.dropped += u64::from(fate.is_dropped());
        self.traffic.duplicated += u64::from(fate.delays().len() > 1);
        for delay in fate.delays() {
            self.under_way.insert((now + *delay, self.next), (to, dispatch.envelope.clone()));
            self.next += 1;
        }
    }

    /// What arrives by `now`, one at a call.
    pub(super) fn poll_arrival(&mut self, now: Mono) -> Option<(usize, MessageEnvelope)> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// When the next copy arrives.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }
}
