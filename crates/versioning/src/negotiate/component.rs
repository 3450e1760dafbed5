//! The quorum's choice for one component.

use crate::{ApiVersion, ChosenApi, ConsensusMatch, Incompatible, MultiApiVersion, NumPeers, choice};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A component's version, or why there is none, and where every peer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentChoice<P: Ord> {
    /// What to use.
    pub outcome: Result<QuorumApi<P>, NoQuorum>,
    /// Every peer that was named in the answers.
    pub standings: BTreeMap<P, Standing>,
}

/// A version that a quorum offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumApi<P: Ord> {
    /// The version. Its minor is offered by a quorum; the consensus minor is the most that a quorum of
    /// its supporters runs.
    pub api: ChosenApi,
    /// A higher version that at least one honest peer has, and who does not: `None` when there is none.
    pub held_down: Option<HeldDown<P>>,
}

/// A version that would be used if more peers had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldDown<P: Ord> {
    /// The highest version that the client can use and f + 1 peers offer, so that an honest one has it.
    pub better: ApiVersion,
    /// Who is not known to have it: a lower version, none, or no answer.
    pub by: BTreeSet<P>,
}

/// Where a peer stands to what was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It offers the chosen version or a higher minor: this one.
    Supports(ApiVersion),
    /// It and the client could work together, but not in the chosen version (or none was chosen): this is
    /// the best of the two.
    Behind(ApiVersion),
    /// It and the client cannot work together.
    Incompatible(Incompatible),
    /// It has not answered.
    Silent,
}

/// No version has a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct NoQuorum {
    /// How many peers are needed: n - f.
    pub need: usize,
    /// The most that offer one major the client can use.
    pub have: usize,
    /// How many have not answered.
    pub silent: usize,
}

impl NoQuorum {
    /// Whether no missing answer can change it: the federation and the client are incompatible.
    pub const fn is_final(&self) -> bool {
        self.have + self.silent < self.need
    }
}

impl fmt::Display for NoQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { need, have, silent } = self;
        write!(f, "{have} of the {need} peers that are needed offer a version that we can use")?;
        match silent {
            0 => Ok(()),
            silent => write!(f, ", {silent} have not answered"),
        }
    }
}

/// What one peer says about the component.
#[derive(Debug)]
pub(super) enum Offer {
    /// Its consensus version fits.
    Listed { consensus: ConsensusMatch, api: MultiApiVersion },
    /// Its consensus version does not fit, or it does not have the component.
    Refused(Incompatible),
    /// Nothing.
    Silent,
}

pub(super) fn decide<P: Ord + Clone>(
    needs: &MultiApiVersion,
    offers: BTreeMap<P, Offer>,
    peers: NumPeers,
) -> ComponentChoice<P> {
    let quorum = peers.threshold();
    let chosen = needs.iter().rev().find_map(|needed| {
        let version = nth_version(needed, &offers, quorum)?;
        let consensus = nth_consensus(version, &offers, quorum)?;
        Some(ChosenApi { version, needed_minor: needed.minor, consensus })
    });
    let outcome = match chosen {
        Some(api) => Ok(QuorumApi { api, held_down: held_down(needs, api.version, &offers, peers) }),
        None => Err(no_quorum(needs, &offers, peers)),
    };
    let standings =
        offers.into_iter().map(|(peer, offer)| (peer, standing(needs, offer, chosen.map(|api| api.version))));
    ComponentChoice { outcome, standings: standings.collect() }
}

/// The offers of a major that satisfy `needed`.
fn usable<P>(needed: ApiVersion, offers: &BTreeMap<P, Offer>) -> impl Iterator<Item = (&P, ApiVersion)> {
    offers.iter().filter_map(move |(peer, offer)| match offer {
        Offer::Listed { api, .. } => {
            let offered = api.get_by_major(needed.major).filter(|offered| needed.is_satisfied_by(*offered));
            offered.map(|offered| (peer, offered))
        }
        Offer::Refused(_) | Offer::Silent => None,
    })
}

/// The highest version of a major that `count` peers have.
fn nth_version<P>(needed: ApiVersion, offers: &BTreeMap<P, Offer>, count: usize) -> Option<ApiVersion> {
    let mut minors: Vec<u32> = usable(needed, offers).map(|(_, offered)| offered.minor).collect();
    nth_highest(&mut minors, count).map(|minor| ApiVersion::new(needed.major, minor))
}

/// The consensus version that `count` of those run who have `version`, by the same rule as its minor.
fn nth_consensus<P>(
    version: ApiVersion,
    offers: &BTreeMap<P, Offer>,
    count: usize,
) -> Option<ConsensusMatch> {
    let supporters = offers.values().filter_map(|offer| match offer {
        Offer::Listed { consensus, api } => {
            let offered = api.get_by_major(version.major)?;
            version.is_satisfied_by(offered).then_some(*consensus)
        }
        Offer::Refused(_) | Offer::Silent => None,
    });
    let consensus: Vec<ConsensusMatch> = supporters.collect();
    let mut minors: Vec<u32> = consensus.iter().map(|matched| matched.offered_minor).collect();
    let offered_minor = nth_highest(&mut minors, count)?;
    consensus.first().map(|matched| ConsensusMatch { offered_minor, ..*matched })
}

fn nth_highest(values: &mut [u32], count: usize) -> Option<u32> {
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(count.checked_sub(1)?).copied()
}

fn held_down<P: Ord + Clone>(
    needs: &MultiApiVersion,
    chosen: ApiVersion,
    offers: &BTreeMap<P, Offer>,
    peers: NumPeers,
) -> Option<HeldDown<P>> {
    let best = needs.iter().rev().find_map(|needed| nth_version(needed, offers, peers.one_honest()));
    let better = best.filter(|best| *best > chosen)?;
    let having: BTreeSet<&P> = usable(better, offers).map(|(peer, _)| peer).collect();
    let by = offers.keys().filter(|peer| !having.contains(peer)).cloned();
    Some(HeldDown { better, by: by.collect() })
}

fn no_quorum<P>(needs: &MultiApiVersion, offers: &BTreeMap<P, Offer>, peers: NumPeers) -> NoQuorum {
    let silent = offers.values().filter(|offer| matches!(offer, Offer::Silent)).count();
    let unnamed = peers.total().saturating_sub(offers.len());
    NoQuorum {
        need: peers.threshold(),
        have: needs.iter().map(|needed| usable(needed, offers).count()).max().unwrap_or(0),
        silent: silent + unnamed,
    }
}

fn standing(needs: &MultiApiVersion, offer: Offer, chosen: Option<ApiVersion>) -> Standing {
    let (consensus, api) = match offer {
        Offer::Silent => return Standing::Silent,
        Offer::Refused(reason) => return Standing::Incompatible(reason),
        Offer::Listed { consensus, api } => (consensus, api),
    };
    let supported = chosen.and_then(|chosen| {
        let offered = api.get_by_major(chosen.major)?;
        chosen.is_satisfied_by(offered).then_some(offered)
    });
    match (supported, choice::choose_api(consensus, needs, &api)) {
        (Some(offered), _) => Standing::Supports(offered),
        (None, Ok(best)) => Standing::Behind(best.version),
        (None, Err(reason)) => Standing::Incompatible(reason),
    }
}
