//! What holds for any two parties: order decides nothing, the choice stands in both lists, it is
//! the best one, and either side comes to the same result.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_versioning::{
    ApiVersion, ChosenApi, CoreConsensusVersion, Incompatible, ModuleConsensusVersion, MultiApiVersion,
    SupportedApiVersionsSummary, SupportedCoreApiVersions, SupportedModuleApiVersions, choose, mutual,
};

type Summary = SupportedApiVersionsSummary<u8>;

/// Few majors and minors, so that two lists often share some.
fn api() -> impl Strategy<Value = MultiApiVersion> {
    prop::collection::btree_map(0u32..5, 0u32..5, 0..5).prop_map(|versions| {
        MultiApiVersion::try_from_sorted(
            versions.into_iter().map(|(major, minor)| ApiVersion::new(major, minor)),
        )
        .expect("a map's keys are sorted and distinct")
    })
}

fn core_consensus() -> impl Strategy<Value = CoreConsensusVersion> {
    (1u32..3, 0u32..3).prop_map(|(major, minor)| CoreConsensusVersion::new(major, minor))
}

fn module() -> impl Strategy<Value = SupportedModuleApiVersions> {
    (core_consensus(), 1u32..3, 0u32..3, api()).prop_map(|(core_consensus, major, minor, api)| {
        SupportedModuleApiVersions {
            core_consensus,
            module_consensus: ModuleConsensusVersion::new(major, minor),
            api,
        }
    })
}

fn summary() -> impl Strategy<Value = Summary> {
    let modules = prop::collection::btree_map(0u8..4, module(), 0..4);
    (core_consensus(), api(), modules).prop_map(|(core_consensus, api, modules)| Summary {
        core: SupportedCoreApiVersions { core_consensus, api },
        modules,
    })
}

/// The rule in its plainest form: every needed version against every offered one.
fn best(needs: &MultiApiVersion, offers: &MultiApiVersion) -> Option<ApiVersion> {
    let pairs = needs.iter().flat_map(|needed| offers.iter().map(move |offered| (needed, offered)));
    pairs
        .filter(|(needed, offered)| needed.major == offered.major && needed.minor <= offered.minor)
        .map(|(_, offered)| offered)
        .max()
}

/// What is chosen stands in both lists and is the best of them; a refusal is because there is none.
fn check(
    choice: &Result<ChosenApi, Incompatible>,
    same_consensus: bool,
    needs: &MultiApiVersion,
    offers: &MultiApiVersion,
) -> Result<(), TestCaseError> {
    let expected = if same_consensus { best(needs, offers) } else { None };
    prop_assert_eq!(choice.as_ref().ok().map(|chosen| chosen.version), expected);
    if let Ok(chosen) = choice {
        let needed = needs.get_by_major(chosen.version.major).expect("the needs list it");
        prop_assert_eq!(needed.minor, chosen.needed_minor);
        prop_assert!(needed.is_satisfied_by(chosen.version));
        prop_assert_eq!(offers.get_by_major(chosen.version.major), Some(chosen.version));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_choice_stands_in_both_lists_and_is_the_best_of_them(needs in summary(), offers in summary()) {
        let choice = choose(&needs, &offers);
        let same_core = needs.core.core_consensus.major == offers.core.core_consensus.major;
        check(&choice.core, same_core, &needs.core.api, &offers.core.api)?;

        prop_assert!(choice.modules.keys().eq(needs.modules.keys()), "each needed module, and no other");
        for (key, chosen) in &choice.modules {
            let needed = &needs.modules[key];
            match offers.modules.get(key) {
                None => prop_assert_eq!(chosen, &Err(Incompatible::NotOffered)),
                Some(offered) => {
                    let same = needed.core_consensus.major == offered.core_consensus.major
                        && needed.module_consensus.major == offered.module_consensus.major;
                    check(chosen, same, &needed.api, &offered.api)?;
                }
            }
        }
    }

    #[test]
    fn both_sides_come_to_the_same_result(
        (a_needs, a_offers) in (summary(), summary()),
        (b_needs, b_offers) in (summary(), summary()),
    ) {
        let from_a = mutual(&a_needs, &a_offers, &b_needs, &b_offers);
        let from_b = mutual(&b_needs, &b_offers, &a_needs, &a_offers);
        prop_assert_eq!(from_a, from_b.swapped());
    }

    #[test]
    fn whether_two_lists_share_a_major_is_the_same_either_way(a in summary(), b in summary()) {
        let no_major = |choice: Result<ChosenApi, Incompatible>| {
            matches!(choice, Err(Incompatible::NoSharedMajor { .. }))
        };
        let no_consensus = |choice: Result<ChosenApi, Incompatible>| {
            matches!(choice, Err(Incompatible::CoreConsensus { .. }))
        };
        prop_assert_eq!(no_major(choose(&a, &b).core), no_major(choose(&b, &a).core));
        prop_assert_eq!(no_consensus(choose(&a, &b).core), no_consensus(choose(&b, &a).core));
    }

    #[test]
    fn a_party_can_use_what_it_offers_itself(party in summary()) {
        let choice = choose(&party, &party);
        prop_assert_eq!(choice.core.is_ok(), !party.core.api.is_empty());
        for (key, chosen) in choice.modules {
            prop_assert_eq!(chosen.is_ok(), !party.modules[&key].api.is_empty());
        }
    }

    #[test]
    fn offering_more_never_takes_anything_away(needs in summary(), offers in summary(), more in 0u32..5, by in 0u32..3) {
        let mut richer = offers.clone();
        if let Err(minor) = richer.core.api.try_insert(ApiVersion::new(more, by)) {
            *minor += by;
        }
        let (before, after) = (choose(&needs, &offers).core, choose(&needs, &richer).core);
        if let Ok(before) = before {
            prop_assert!(after.is_ok_and(|after| after.version >= before.version));
        }
    }

    #[test]
    fn the_order_in_which_versions_were_listed_decides_nothing(
        versions in prop::collection::vec((0u32..8, 0u32..8), 0..8),
    ) {
        let distinct: BTreeSet<_> = versions.iter().map(|(major, _)| major).collect();
        let listed = MultiApiVersion::try_from_iter(versions.iter().map(|&(major, minor)| ApiVersion::new(major, minor)));
        prop_assert_eq!(listed.is_ok(), distinct.len() == versions.len());
        if let Ok(listed) = listed {
            let sorted: BTreeMap<_, _> = versions.into_iter().collect();
            prop_assert!(listed.iter().map(|version| (version.major, version.minor)).eq(sorted));
        }
    }

    #[test]
    fn json_round_trips(summary in summary()) {
        let json = serde_json::to_string(&summary).expect("it is plain data");
        prop_assert_eq!(serde_json::from_str::<Summary>(&json).expect("we wrote it"), summary);
    }

    #[test]
    fn json_is_read_only_when_its_majors_ascend(majors in prop::collection::vec(0u32..6, 0..6)) {
        let versions: Vec<_> = majors.iter().map(|major| ApiVersion::new(*major, 0)).collect();
        let json = serde_json::to_string(&versions).expect("it is plain data");
        let ascending = majors.windows(2).all(|pair| pair[0] < pair[1]);
        prop_assert_eq!(serde_json::from_str::<MultiApiVersion>(&json).is_ok(), ascending);
    }

    #[test]
    fn any_text_is_read_or_refused(text in r#"[\[\]{}:,"a-z0-9]{0,64}"#) {
        let _ = serde_json::from_str::<Summary>(&text);
    }
}
