//! The choice between two parties: one needs, the other offers.
//!
//! The rule: what is chosen stands in both lists, and every component that is needed has an entry
//! in the result, usable or not. The result depends on the two summaries alone.

use std::collections::BTreeMap;

use crate::{
    ApiVersion, Component, Incompatible, MultiApiVersion, Problem, SupportedApiVersionsSummary,
    SupportedCoreApiVersions, SupportedModuleApiVersions,
};

/// What one party can use of another, component by component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairwiseChoice<K: Ord> {
    /// The core's API, or why there is none.
    pub core: Result<ChosenApi, Incompatible>,
    /// Every module that is needed, and its API or why there is none.
    pub modules: BTreeMap<K, Result<ChosenApi, Incompatible>>,
}

impl<K: Ord> PairwiseChoice<K> {
    /// The API to use for a module; `None` when it cannot be used or is not needed.
    pub fn module<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&ChosenApi>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.modules.get(key)?.as_ref().ok()
    }

    /// Every component that cannot be used, the core first, then modules by key.
    pub fn problems(&self) -> impl Iterator<Item = Problem<'_, K>> {
        let core = self.core.as_ref().err().map(|reason| Problem { component: Component::Core, reason });
        let modules = self.modules.iter().filter_map(|(key, choice)| {
            let reason = choice.as_ref().err()?;
            Some(Problem { component: Component::Module(key), reason })
        });
        core.into_iter().chain(modules)
    }

    /// Whether the core and every needed module can be used.
    pub fn is_complete(&self) -> bool {
        self.problems().next().is_none()
    }
}

/// The API version of a component that two parties can use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChosenApi {
    /// The highest usable major, with the minor that is offered for it.
    pub version: ApiVersion,
    /// The least minor that was needed: at most `version.minor`.
    pub needed_minor: u32,
    /// The consensus version: the core's for the core, the module's for a module.
    pub consensus: ConsensusMatch,
}

/// Two consensus versions with one major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsensusMatch {
    /// The major of both.
    pub major: u32,
    /// The minor of the party that needs.
    pub needed_minor: u32,
    /// The minor of the party that offers.
    pub offered_minor: u32,
}

impl ConsensusMatch {
    /// Whether the minors are equal too.
    pub const fn is_exact(self) -> bool {
        self.needed_minor == self.offered_minor
    }

    fn of(needed: (u32, u32), offered: (u32, u32)) -> Option<Self> {
        (needed.0 == offered.0).then_some(Self {
            major: needed.0,
            needed_minor: needed.1,
            offered_minor: offered.1,
        })
    }
}

/// What each of two parties can use of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualChoice<K: Ord> {
    /// What we can use of theirs: our needs against their offers.
    pub ours: PairwiseChoice<K>,
    /// What they can use of ours: their needs against our offers.
    pub theirs: PairwiseChoice<K>,
}

impl<K: Ord> MutualChoice<K> {
    /// The same as the other side sees it.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self { ours: self.theirs, theirs: self.ours }
    }

    /// Whether either side can use all that it needs.
    pub fn is_complete(&self) -> bool {
        self.ours.is_complete() && self.theirs.is_complete()
    }
}

/// What a party that needs `needs` can use of one that offers `offers`.
///
/// Per component: the consensus majors must be equal (for a module both the core's and its own),
/// and of the API majors whose needed minor is at most the offered minor the highest is taken.
/// Modules that are offered and not needed do not appear.
pub fn choose<K: Ord + Clone>(
    needs: &SupportedApiVersionsSummary<K>,
    offers: &SupportedApiVersionsSummary<K>,
) -> PairwiseChoice<K> {
    let modules = needs.modules.iter().map(|(key, needed)| {
        let choice = match offers.modules.get(key) {
            Some(offered) => choose_module(needed, offered),
            None => Err(Incompatible::NotOffered),
        };
        (key.clone(), choice)
    });
    PairwiseChoice { core: choose_core(&needs.core, &offers.core), modules: modules.collect() }
}

/// What each of two peers can use of the other.
///
/// Both sides come to the same result: `mutual(a, a', b, b') == mutual(b, b', a, a').swapped()`.
pub fn mutual<K: Ord + Clone>(
    our_needs: &SupportedApiVersionsSummary<K>,
    our_offers: &SupportedApiVersionsSummary<K>,
    their_needs: &SupportedApiVersionsSummary<K>,
    their_offers: &SupportedApiVersionsSummary<K>,
) -> MutualChoice<K> {
    MutualChoice { ours: choose(our_needs, their_offers), theirs: choose(their_needs, our_offers) }
}

fn choose_core(
    needs: &SupportedCoreApiVersions,
    offers: &SupportedCoreApiVersions,
) -> Result<ChosenApi, Incompatible> {
    choose_api(core_match(needs, offers)?, &needs.api, &offers.api)
}

fn choose_module(
    needs: &SupportedModuleApiVersions,
    offers: &SupportedModuleApiVersions,
) -> Result<ChosenApi, Incompatible> {
    choose_api(module_match(needs, offers)?, &needs.api, &offers.api)
}

/// Whether two cores run in consensus versions that fit.
pub(crate) fn core_match(
    needs: &SupportedCoreApiVersions,
    offers: &SupportedCoreApiVersions,
) -> Result<ConsensusMatch, Incompatible> {
    let (needed, offered) = (needs.core_consensus, offers.core_consensus);
    ConsensusMatch::of((needed.major, needed.minor), (offered.major, offered.minor))
        .ok_or(Incompatible::CoreConsensus { needed, offered })
}

/// Whether two modules run in consensus versions that fit, on cores that do.
pub(crate) fn module_match(
    needs: &SupportedModuleApiVersions,
    offers: &SupportedModuleApiVersions,
) -> Result<ConsensusMatch, Incompatible> {
    let (needed, offered) = (needs.core_consensus, offers.core_consensus);
    if needed.major != offered.major {
        return Err(Incompatible::ModuleCoreConsensus { needed, offered });
    }
    let (needed, offered) = (needs.module_consensus, offers.module_consensus);
    ConsensusMatch::of((needed.major, needed.minor), (offered.major, offered.minor))
        .ok_or(Incompatible::ModuleConsensus { needed, offered })
}

/// The highest usable major; failing that, the highest shared one is the reason.
pub(crate) fn choose_api(
    consensus: ConsensusMatch,
    needs: &MultiApiVersion,
    offers: &MultiApiVersion,
) -> Result<ChosenApi, Incompatible> {
    let shared =
        || needs.iter().rev().filter_map(|needed| Some((needed, offers.get_by_major(needed.major)?)));
    if let Some((needed, version)) = shared().find(|(needed, offered)| needed.is_satisfied_by(*offered)) {
        return Ok(ChosenApi { version, needed_minor: needed.minor, consensus });
    }
    Err(match shared().next() {
        Some((needed, offered)) => Incompatible::MinorTooLow { needed, offered },
        None => Incompatible::NoSharedMajor { needed: needs.clone(), offered: offers.clone() },
    })
}

#[cfg(test)]
mod tests;
