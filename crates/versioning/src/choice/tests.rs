//! What two parties can use, by example: each reason once, and the words it is told in.

use super::*;
use crate::Party;

type Summary = SupportedApiVersionsSummary<String>;

fn summary(core: (u32, u32), api: &[(u32, u32)]) -> Summary {
    Summary::new(SupportedCoreApiVersions::try_from_raw(core, api).unwrap())
}

fn module(core: u32, module: u32, api: &[(u32, u32)]) -> SupportedModuleApiVersions {
    SupportedModuleApiVersions::try_from_raw((core, 0), (module, 0), api).unwrap()
}

fn problems(needs: &Summary, offers: &Summary) -> Vec<String> {
    choose(needs, offers).problems().map(|problem| problem.to_string()).collect()
}

#[test]
fn the_highest_usable_major_wins_and_brings_the_offered_minor() {
    let choice =
        choose(&summary((2, 0), &[(0, 1), (1, 2), (2, 9)]), &summary((2, 7), &[(0, 5), (1, 4), (2, 8)]));
    let core = choice.core.unwrap();
    assert_eq!((core.version, core.needed_minor), (ApiVersion::new(1, 4), 2));
    assert_eq!(core.consensus, ConsensusMatch { major: 2, needed_minor: 0, offered_minor: 7 });
    assert!(!core.consensus.is_exact());
}

#[test]
fn equal_minors_are_enough() {
    assert!(choose(&summary((1, 0), &[(2, 3)]), &summary((1, 0), &[(2, 3)])).is_complete());
}

#[test]
fn another_consensus_major_is_refused_whatever_the_api() {
    assert_eq!(
        problems(&summary((2, 0), &[(0, 0)]), &summary((3, 0), &[(0, 0)])),
        ["core: they speak consensus 3, we need 2"]
    );
}

#[test]
fn an_empty_list_fits_nothing() {
    assert_eq!(
        problems(&summary((1, 0), &[(2, 4), (3, 0)]), &summary((1, 0), &[])),
        ["core: we need API 2.4 or 3.0, they offer none"]
    );
    assert_eq!(
        problems(&summary((1, 0), &[]), &summary((1, 0), &[(0, 1), (1, 0), (2, 0)])),
        ["core: we list no API, they offer 0.1, 1.0 and 2.0"]
    );
}

#[test]
fn every_module_that_cannot_be_used_is_reported_with_its_reason() {
    let core = || summary((1, 0), &[(0, 0)]);
    let needs = core()
        .with_module("chat", module(1, 1, &[(2, 4)]))
        .with_module("files", module(1, 1, &[(1, 0)]))
        .with_module("mint", module(1, 1, &[(1, 0)]))
        .with_module("old", module(1, 1, &[(1, 0)]))
        .with_module("vote", module(1, 2, &[(1, 0)]))
        .with_module("wallet", module(1, 1, &[(3, 0)]));
    let offers = core()
        .with_module("chat", module(1, 1, &[(2, 1)]))
        .with_module("files", module(1, 1, &[(1, 3)]))
        .with_module("old", module(2, 1, &[(1, 0)]))
        .with_module("unneeded", module(9, 9, &[]))
        .with_module("vote", module(1, 3, &[(1, 0)]))
        .with_module("wallet", module(1, 1, &[(1, 9), (2, 2)]));
    assert_eq!(
        problems(&needs, &offers),
        [
            "module chat: we need API 2.4 or newer of major 2, they offer 2.1",
            "module mint: they do not have it",
            "module old: they run it on core consensus 2, we need 1",
            "module vote: they speak consensus 3, we need 2",
            "module wallet: we need API 3.0, they offer 1.9 and 2.2",
        ]
    );
    let choice = choose(&needs, &offers);
    assert_eq!(choice.module("files").unwrap().version, ApiVersion::new(1, 3));
    assert_eq!((choice.module("chat"), choice.module("unneeded")), (None, None));
    assert_eq!(choice.modules.len(), needs.modules.len());
}

#[test]
fn a_long_list_is_told_in_few_words() {
    let many: Vec<_> = (0..256).map(|major| (major, 0)).collect();
    let told = problems(&summary((1, 0), &[(999, 0)]), &summary((1, 0), &many)).remove(0);
    assert_eq!(
        told,
        "core: we need API 999.0, they offer 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0 and 248 more"
    );
}

#[test]
fn both_directions_are_told_from_either_side() {
    let (ours, theirs) = (summary((1, 0), &[(1, 2)]), summary((1, 0), &[(1, 1)]));
    let choice = mutual(&ours, &ours, &theirs, &theirs);
    assert!(choice.theirs.is_complete(), "they need 1.1 and we have 1.2");
    assert!(!choice.is_complete());
    let problem = choice.ours.problems().next().unwrap();
    assert_eq!(problem.to_string(), "core: we need API 1.2 or newer of major 1, they offer 1.1");
    assert_eq!(
        problem.worded(Party::We, Party::You).to_string(),
        "core: we need API 1.2 or newer of major 1, you offer 1.1"
    );
}
