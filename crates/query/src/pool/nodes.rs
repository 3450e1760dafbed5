//! A pool as requests use it: one step at a time.
//!
//! The rule: a step is short and calls nothing of the user's. Whoever shares a pool behind a lock holds that lock for a step, and
//! never while a verifier is at work.

use super::{Filter, NoNodes, NodeEvent, NodeId, Pool};
use bytes::Bytes;
use fastrand::Rng;
use quorate_base::Mono;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a request gets its nodes from, and to whom it reports on them: a [`Pool`], or one behind a lock.
pub trait Nodes {
    /// [`Pool::pick`].
    ///
    /// # Errors
    ///
    /// [`NoNodes`] when there is nobody.
    fn pick(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Result<Vec<NodeId>, NoNodes>;

    /// [`Pool::pick_signers`].
    fn pick_signers(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Vec<Bytes>;

    /// [`Pool::record`].
    fn record(&mut self, now: Mono, id: NodeId, event: NodeEvent, random: &mut Rng);

    /// A node says that the signers with these keys did not sign; see [`Pool::report_offline`].
    fn report_absent(&mut self, now: Mono, by: NodeId, keys: &[Bytes]);

    /// Where a node is, as it may be shown; empty for one that is not there.
    fn url(&mut self, id: NodeId) -> String;
}

impl Nodes for Pool {
    fn pick(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Result<Vec<NodeId>, NoNodes> {
        Self::pick(self, now, count, filter, excluded, random)
    }

    fn pick_signers(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Vec<Bytes> {
        Self::pick_signers(self, now, count, filter, excluded, random)
    }

    fn record(&mut self, now: Mono, id: NodeId, event: NodeEvent, random: &mut Rng) {
        Self::record(self, now, id, event, random);
    }

    fn report_absent(&mut self, now: Mono, by: NodeId, keys: &[Bytes]) {
        for key in keys {
            if let Some(signer) = self.with_key(key) {
                self.report_offline(now, signer, by);
            }
        }
    }

    fn url(&mut self, id: NodeId) -> String {
        self.node(id).map(|node| node.endpoint.public_url()).unwrap_or_default()
    }
}

/// A pool that several requests share.
impl Nodes for &Mutex<Pool> {
    fn pick(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Result<Vec<NodeId>, NoNodes> {
        locked(self).pick(now, count, filter, excluded, random)
    }

    fn pick_signers(
        &mut self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Vec<Bytes> {
        locked(self).pick_signers(now, count, filter, excluded, random)
    }

    fn record(&mut self, now: Mono, id: NodeId, event: NodeEvent, random: &mut Rng) {
        locked(self).record(now, id, event, random);
    }

    fn report_absent(&mut self, now: Mono, by: NodeId, keys: &[Bytes]) {
        locked(self).report_absent(now, by, keys);
    }

    fn url(&mut self, id: NodeId) -> String {
        locked(self).url(id)
    }
}

fn locked<'a>(pool: &'a Mutex<Pool>) -> MutexGuard<'a, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
