//! The choice among many: one client, a federation of peers of whom some may lie or say nothing.
//!
//! The rule: a version is chosen when a quorum (n - f peers) offers it or more, the highest such
//! version of the highest such major. So at least f + 1 honest peers have what is chosen, and f
//! liars can neither raise it beyond what honest peers have nor lower it below what the honest ones
//! would come to alone. Names of peers and the order of answers decide nothing; a further answer never
//! lowers the choice.

mod component;

use crate::{
    ApiVersionSet, Component, ConsensusMatch, Incompatible, MultiApiVersion, NumPeers,
    SupportedApiVersionsSummary, choice,
};
pub use component::{ComponentChoice, HeldDown, NoQuorum, QuorumApi, Standing};
use component::{Offer, decide};
use std::collections::BTreeMap;

/// What a client can use of a federation, component by component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation<P: Ord, K: Ord> {
    /// How many peers the federation has.
    pub peers: NumPeers,
    /// The core.
    pub core: ComponentChoice<P>,
    /// Every module that the client needs.
    pub modules: BTreeMap<K, ComponentChoice<P>>,
}

impl<P: Ord, K: Ord> Negotiation<P, K> {
    /// Every component with its outcome, the core first.
    pub fn components(&self) -> impl Iterator<Item = (Component<&K>, &ComponentChoice<P>)> {
        let modules = self.modules.iter().map(|(key, choice)| (Component::Module(key), choice));
        std::iter::once((Component::Core, &self.core)).chain(modules)
    }

    /// The versions to use; a module without one is not in it.
    ///
    /// # Errors
    ///
    /// Why the core has none: without it nothing can be asked.
    pub fn api_version_set(&self) -> Result<ApiVersionSet<K>, &NoQuorum>
    where
        K: Clone,
    {
        let core = self.core.outcome.as_ref()?.api.version;
        let chosen = self.modules.iter().filter_map(|(key, choice)| {
            let api = choice.outcome.as_ref().ok()?;
            Some((key.clone(), api.api.version))
        });
        Ok(ApiVersionSet { core, modules: chosen.collect() })
    }

    /// Whether the core and every module have a version.
    pub fn is_complete(&self) -> bool {
        self.components().all(|(_, choice)| choice.outcome.is_ok())
    }

    /// Whether a component has none and no answer that is missing can give it one.
    pub fn is_incompatible(&self) -> bool {
        self.components().any(|(_, choice)| choice.outcome.as_ref().is_err_and(NoQuorum::is_final))
    }
}

/// What `client` can use of a federation of `peers` peers.
///
/// `answers` has an entry per peer, `None` for one that is silent; peers that are not in it are silent
/// too. (Should there be more entries than `peers`, their number counts instead.) The time is bounded
/// by the number of peers times the versions they list.
pub fn negotiate<P: Ord + Clone, K: Ord + Clone>(
    client: &SupportedApiVersionsSummary<K>,
    answers: &BTreeMap<P, Option<SupportedApiVersionsSummary<K>>>,
    peers: NumPeers,
) -> Negotiation<P, K> {
    let peers = NumPeers::new(answers.len()).map_or(peers, |entries| entries.max(peers));
    let component = |needs: &MultiApiVersion, offer: &dyn Fn(&SupportedApiVersionsSummary<K>) -> Matched| {
        let offers = answers.iter().map(|(peer, answer)| {
            let offer = match answer.as_ref() {
                Some(summary) => match offer(summary) {
                    Ok((consensus, api)) => Offer::Listed { consensus, api },
                    Err(reason) => Offer::Refused(reason),
                },
                None => Offer::Silent,
            };
            (peer.clone(), offer)
        });
        decide(needs, offers.collect(), peers)
    };
    let core = component(&client.core.api, &|summary| {
        let consensus = choice::core_match(&client.core, &summary.core)?;
        Ok((consensus, summary.core.api.clone()))
    });
    let modules = client.modules.iter().map(|(key, needs)| {
        let choice = component(&needs.api, &|summary| {
            let offers = summary.modules.get(key).ok_or(Incompatible::NotOffered)?;
            Ok((choice::module_match(needs, offers)?, offers.api.clone()))
        });
        (key.clone(), choice)
    });
    Negotiation { peers, core, modules: modules.collect() }
}

/// The consensus versions fit, and these APIs are offered; or why not.
type Matched = Result<(ConsensusMatch, MultiApiVersion), Incompatible>;
