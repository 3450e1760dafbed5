//! The demo's network: what is lost, repeated and delayed on each link.
//!
//! The rule: a fate is a function of seed, link, message and attempt. Peers and messages are named so
//! that the names are the same in every run: by their numbers, not by their keys.

use quorate::channel::{Dispatch, StructuredId};
use quorate::faults::LinkFaults;
use quorate::wire::PeerUrl;
use quorate_testkit::network::{FaultPlan, Link};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Who is behind which address.
pub(crate) struct Names {
    plan: FaultPlan,
    by_url: RwLock<BTreeMap<PeerUrl, String>>,
}

/// The faults on the links out of one peer.
pub(crate) struct PeerFaults {
    from: String,
    names: Arc<Names>,
}

impl Names {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { plan, by_url: RwLock::default() }
    }

    /// Makes a peer's name known. Links to peers without a name are without faults.
    pub(crate) fn insert(&self, url: PeerUrl, name: String) {
        self.by_url.write().unwrap_or_else(PoisonError::into_inner).insert(url, name);
    }

    /// The faults on the links out of `from`.
    pub(crate) fn faults_of(self: &Arc<Self>, from: &str) -> Arc<PeerFaults> {
        Arc::new(PeerFaults { from: from.to_owned(), names: self.clone() })
    }
}

impl LinkFaults for PeerFaults {
    fn copies(&self, to: &PeerUrl, dispatch: &Dispatch) -> Vec<Duration> {
        let by_url = self.names.by_url.read().unwrap_or_else(PoisonError::into_inner);
        let Some(to) = by_url.get(to) else { return vec![Duration::ZERO] };
        let message = match StructuredId::parse(dispatch.message.as_str()) {
            // The tag is drawn anew for each run.
            Some(id) => format!("{} {:?}", id.sequence, id.content),
            None => dispatch.message.to_string(),
        };
        let fate = self.names.plan.fate(Link { from: &self.from, to }, &message, dispatch.attempt);
        fate.delays().to_vec()
    }
}
