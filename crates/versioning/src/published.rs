//! The choice among many as Fedimint's clients make it: no quorum, most votes, ties to the lowest major.
//!
//! The rule is theirs, kept for those who must come to the same result. One compatible peer of a hundred
//! is enough for it, and a module that cannot be used is left out without a word: use
//! [`negotiate`](crate::negotiate) where the result is to be relied on.

use crate::{ApiVersion, ApiVersionSet, MultiApiVersion, SupportedApiVersionsSummary, choice};
use std::collections::BTreeMap;

/// No peer runs a core that the client can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no peer has a core API version that we can use")]
pub struct NoCommonCore;

/// The versions to use by the rule of Fedimint's `discover_common_api_versions_set`, as it was from the
/// seed to 0.3: of the client's majors the one that most peers satisfy, with the minor that the client needs.
///
/// # Errors
///
/// [`NoCommonCore`] when no peer satisfies any.
pub fn discover_common_api_versions<P: Ord, K: Ord + Clone>(
    client: &SupportedApiVersionsSummary<K>,
    answers: &BTreeMap<P, SupportedApiVersionsSummary<K>>,
) -> Result<ApiVersionSet<K>, NoCommonCore> {
    let cores = answers.values().filter(|peer| choice::core_match(&client.core, &peer.core).is_ok());
    let cores: Vec<&MultiApiVersion> = cores.map(|peer| &peer.core.api).collect();
    let core = most_common(&client.core.api, &cores).ok_or(NoCommonCore)?;
    let modules = client.modules.iter().filter_map(|(key, needs)| {
        let listed = answers.values().filter_map(|peer| peer.modules.get(key));
        let fitting = listed.filter(|module| choice::module_match(needs, module).is_ok());
        let apis: Vec<&MultiApiVersion> = fitting.map(|module| &module.api).collect();
        Some((key.clone(), most_common(&needs.api, &apis)?))
    });
    Ok(ApiVersionSet { core, modules: modules.collect() })
}

fn most_common(needs: &MultiApiVersion, peers: &[&MultiApiVersion]) -> Option<ApiVersion> {
    let mut best = None;
    let mut most = 0;
    for needed in needs {
        let satisfies = |api: &&&MultiApiVersion| {
            api.get_by_major(needed.major).is_some_and(|offered| needed.is_satisfied_by(offered))
        };
        let count = peers.iter().filter(satisfies).count();
        if count > most {
            (best, most) = (Some(needed), count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SupportedCoreApiVersions;

    fn core(consensus: (u32, u32), api: &[(u32, u32)]) -> SupportedApiVersionsSummary {
        SupportedApiVersionsSummary::new(SupportedCoreApiVersions::try_from_raw(consensus, api).unwrap())
    }

    /// A peer's consensus version and its API versions.
    type Peer<'a> = ((u32, u32), &'a [(u32, u32)]);

    fn common(client: &[(u32, u32)], peers: &[Peer<'_>]) -> Option<ApiVersion> {
        let answers: BTreeMap<usize, _> =
            peers.iter().map(|(consensus, api)| core(*consensus, api)).enumerate().collect();
        discover_common_api_versions(&core((0, 0), client), &answers).ok().map(|set| set.core)
    }

    #[test]
    fn discover_common_core_api_version_sanity() {
        assert_eq!(common(&[(2, 3)], &[]), None);
        assert_eq!(common(&[(2, 3)], &[((0, 0), &[(2, 4)])]), Some(ApiVersion::new(2, 3)));
        assert_eq!(common(&[(2, 3)], &[((0, 1), &[(2, 4)])]), Some(ApiVersion::new(2, 3)), "another minor");
        assert_eq!(common(&[(2, 3)], &[((1, 0), &[(2, 4)])]), None, "another major");
        let peers: [Peer<'_>; 2] = [((0, 0), &[(2, 2), (3, 1)]), ((0, 0), &[(2, 3), (3, 1)])];
        assert_eq!(common(&[(2, 3), (3, 1)], &peers), Some(ApiVersion::new(3, 1)));
    }

    #[test]
    fn a_tie_goes_to_the_lowest_major_and_one_peer_is_enough() {
        let peers: [Peer<'_>; 3] = [((0, 0), &[(1, 0)]), ((0, 0), &[(2, 0)]), ((9, 0), &[(1, 0)])];
        assert_eq!(common(&[(1, 0), (2, 0)], &peers), Some(ApiVersion::new(1, 0)));
    }
}
