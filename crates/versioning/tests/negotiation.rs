//! What holds for any federation: names and order decide nothing, liars move nothing, a further answer
//! never lowers the choice, and whoever holds it down is named.

use proptest::prelude::*;
use quorate_versioning::{
    ApiVersion, ChosenApi, ComponentChoice, Incompatible, MultiApiVersion, Negotiation, NumPeers, Standing,
    SupportedApiVersionsSummary, SupportedCoreApiVersions, SupportedModuleApiVersions, negotiate,
};
use std::collections::{BTreeMap, BTreeSet};

type Summary = SupportedApiVersionsSummary<u8>;
type Answers = BTreeMap<usize, Option<Summary>>;

fn core(consensus: (u32, u32), api: &[(u32, u32)]) -> Summary {
    Summary::new(SupportedCoreApiVersions::try_from_raw(consensus, api).expect("distinct majors"))
}

fn module(consensus: (u32, u32), api: &[(u32, u32)]) -> SupportedModuleApiVersions {
    SupportedModuleApiVersions::try_from_raw((1, 0), consensus, api).expect("distinct majors")
}

fn answers(summaries: impl IntoIterator<Item = Option<Summary>>) -> Answers {
    summaries.into_iter().enumerate().collect()
}

fn peers(n: usize) -> NumPeers {
    NumPeers::new(n).expect("not zero")
}

fn version(choice: &ComponentChoice<usize>) -> Option<ApiVersion> {
    choice.outcome.as_ref().ok().map(|chosen| chosen.api.version)
}

fn api() -> impl Strategy<Value = MultiApiVersion> {
    prop::collection::btree_map(0u32..3, 0u32..5, 0..3).prop_map(|versions| {
        let versions = versions.into_iter().map(|(major, minor)| ApiVersion::new(major, minor));
        MultiApiVersion::try_from_sorted(versions).expect("a map's keys are sorted and distinct")
    })
}

fn summary() -> impl Strategy<Value = Summary> {
    let consensus = prop_oneof![4 => Just((1u32, 0u32)), 1 => (1u32..3, 0u32..3)];
    let module = (consensus.clone(), api()).prop_map(|(consensus, api)| {
        let mut module = module(consensus, &[]);
        module.api = api;
        module
    });
    (consensus, api(), prop::option::of(module)).prop_map(|(consensus, api, module)| {
        let mut summary = core(consensus, &[]);
        summary.core.api = api;
        summary.modules.extend(module.map(|module| (7, module)));
        summary
    })
}

fn federation() -> impl Strategy<Value = Vec<Option<Summary>>> {
    prop::collection::vec(prop::option::weighted(0.8, summary()), 1..8)
}

/// Which peers have at least `chosen`, by their own answers.
fn having(chosen: ApiVersion, answers: &Answers) -> BTreeSet<usize> {
    let has = |summary: &Summary| {
        summary.core.core_consensus.major == 1
            && summary
                .core
                .api
                .get_by_major(chosen.major)
                .is_some_and(|offered| chosen.is_satisfied_by(offered))
    };
    answers.iter().filter(|(_, answer)| answer.as_ref().is_some_and(has)).map(|(peer, _)| *peer).collect()
}

proptest! {
    #[test]
    fn a_quorum_has_what_is_chosen_and_nothing_better_has_one(mut client in summary(), answered in federation()) {
        client.core.core_consensus.major = 1;
        let answers = answers(answered);
        let peers = peers(answers.len());
        let negotiation = negotiate(&client, &answers, peers);
        let chosen = version(&negotiation.core);
        // The rule in its plainest form: every version there can be, from the best one down.
        let all = client.core.api.iter().rev().flat_map(|needed| {
            (needed.minor..8).rev().map(move |minor| ApiVersion::new(needed.major, minor))
        });
        let best = all.into_iter().find(|version| having(*version, &answers).len() >= peers.threshold());
        prop_assert_eq!(chosen, best);
        for (peer, standing) in &negotiation.core.standings {
            let supports = chosen.is_some_and(|chosen| having(chosen, &answers).contains(peer));
            prop_assert_eq!(matches!(standing, Standing::Supports(_)), supports);
            prop_assert_eq!(matches!(standing, Standing::Silent), answers[peer].is_none());
        }
        if let Some(held) = negotiation.core.outcome.ok().and_then(|chosen| chosen.held_down) {
            prop_assert!(Some(held.better) > chosen);
            let having = having(held.better, &answers);
            prop_assert!(having.len() >= peers.one_honest());
            prop_assert!(answers.keys().all(|peer| held.by.contains(peer) != having.contains(peer)));
        }
    }

    #[test]
    fn names_and_order_decide_nothing(client in summary(), answered in federation(), turn in 0usize..8) {
        let mut turned = answered.clone();
        let places = turned.len();
        turned.rotate_left(turn % places);
        turned.reverse();
        let whole = |answered| {
            let negotiation: Negotiation<usize, u8> = negotiate(&client, &answers(answered), peers(places));
            let apis = |choice: &ComponentChoice<usize>| -> Result<ChosenApi, _> {
                choice.outcome.as_ref().map(|chosen| chosen.api).map_err(|none| *none)
            };
            (apis(&negotiation.core), negotiation.modules.values().map(apis).collect::<Vec<_>>())
        };
        prop_assert_eq!(whole(answered), whole(turned));
    }

    #[test]
    fn f_liars_stay_within_what_the_honest_answers_allow(
        mut client in summary(),
        honest in prop::collection::vec(summary(), 3..8),
        lies in prop::collection::vec(summary(), 2),
    ) {
        client.core.core_consensus.major = 1;
        // As many honest peers as there are, and as many liars as they bear.
        let f = (honest.len() - 1) / 2;
        let liars = f.min(lies.len());
        let total = peers(honest.len() + liars);
        prop_assume!(liars <= total.max_evil());
        let among_honest = answers(honest.iter().cloned().map(Some));
        let told = answers(honest.iter().chain(&lies[..liars]).cloned().map(Some));
        let chosen = version(&negotiate(&client, &told, total).core);
        if let Some(chosen) = chosen {
            prop_assert!(having(chosen, &among_honest).len() > total.max_evil(), "f + 1 honest ones have it");
        }
        let silent = honest.iter().cloned().map(Some).chain(std::iter::repeat_n(None, liars));
        let alone = version(&negotiate(&client, &answers(silent), total).core);
        prop_assert!(chosen >= alone, "{chosen:?} is not below {alone:?}");
    }

    #[test]
    fn a_further_answer_never_lowers_the_choice(client in summary(), answered in federation(), more in summary()) {
        let before = negotiate(&client, &answers(answered.clone()), peers(answered.len()));
        let mut fuller = answered;
        let Some(silent) = fuller.iter_mut().find(|answer| answer.is_none()) else { return Ok(()) };
        *silent = Some(more);
        let after = negotiate(&client, &answers(fuller.clone()), peers(fuller.len()));
        prop_assert!(version(&after.core) >= version(&before.core));
        for (key, choice) in &before.modules {
            prop_assert!(version(&after.modules[key]) >= version(choice));
        }
        prop_assert!(!before.is_incompatible() || after.is_incompatible(), "what is final stays");
    }
}

#[test]
fn one_old_guardian_of_four_holds_nothing_down_and_two_do() {
    let (new, old) = (core((1, 0), &[(0, 9)]), core((1, 0), &[(0, 4)]));
    let client = core((1, 0), &[(0, 0)]);
    let one = answers([&new, &new, &new, &old].map(|summary| Some(summary.clone())));
    let chosen = negotiate(&client, &one, peers(4)).core;
    assert_eq!(version(&chosen), Some(ApiVersion::new(0, 9)));
    assert_eq!(chosen.standings[&3], Standing::Behind(ApiVersion::new(0, 4)));
    assert_eq!(chosen.outcome.expect("a quorum").held_down, None);

    let two = answers([&new, &old, &new, &old].map(|summary| Some(summary.clone())));
    let chosen = negotiate(&client, &two, peers(4)).core.outcome.expect("all four have 0.4");
    assert_eq!(chosen.api.version, ApiVersion::new(0, 4));
    let held = chosen.held_down.expect("two have 0.9");
    assert_eq!((held.better, held.by), (ApiVersion::new(0, 9), BTreeSet::from([1, 3])));
}

#[test]
fn silence_is_named_and_is_no_incompatibility() {
    let offered = core((1, 0), &[(0, 9)]);
    let two = answers([Some(offered.clone()), Some(offered), None]);
    let negotiation = negotiate(&core((1, 0), &[(0, 0)]), &two, peers(4));
    let none = negotiation.api_version_set().expect_err("two of three");
    assert_eq!((none.need, none.have, none.silent), (3, 2, 2), "one silent by name, one without");
    assert_eq!(
        none.to_string(),
        "2 of the 3 peers that are needed offer a version that we can use, 2 have not answered"
    );
    assert!(!negotiation.is_incompatible());
    assert_eq!(negotiation.core.standings[&2], Standing::Silent);
}

#[test]
fn an_incompatible_module_is_reported_with_each_peers_reason() {
    let offered = core((1, 0), &[(0, 9)]).with_module(4, module((2, 0), &[(0, 1)]));
    let client = core((1, 0), &[(0, 0)]).with_module(4, module((3, 0), &[(0, 0)]));
    let negotiation = negotiate(
        &client,
        &answers([Some(offered.clone()), Some(offered), Some(core((1, 0), &[(0, 9)])), None]),
        peers(4),
    );
    assert!(negotiation.is_incompatible() && !negotiation.is_complete());
    let set = negotiation.api_version_set().expect("the core fits");
    assert!(set.modules.is_empty());
    let standings = &negotiation.modules[&4].standings;
    assert_eq!(standings[&2], Standing::Incompatible(Incompatible::NotOffered));
    assert!(matches!(standings[&0], Standing::Incompatible(Incompatible::ModuleConsensus { .. })));
}
