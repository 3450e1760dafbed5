//! Who may go on with whom, and what either side is told.

use quorate_versioning::{ApiVersion, CoreConsensusVersion, ModuleConsensusVersion, MultiApiVersion, choose};

use super::{any_node, api};
use crate::preflight::{MAX_REASON_BYTES, NodeVersions, judge};
use proptest::prelude::*;

fn module(name: &str, needs: MultiApiVersion, offers: MultiApiVersion) -> NodeVersions {
    NodeVersions::default().with_module(name, ModuleConsensusVersion::new(1, 0), needs, offers)
}

fn core(consensus: u32, needs: (u32, u32), offers: (u32, u32)) -> NodeVersions {
    NodeVersions::new(CoreConsensusVersion::new(consensus, 0), api(needs.0, needs.1), api(offers.0, offers.1))
}

#[test]
fn two_nodes_of_one_build_agree() {
    let node = module("chat", api(1, 0), api(1, 2));
    let agreement = judge(&node, &node).unwrap();
    assert_eq!(agreement.of_theirs("chat").unwrap().version, ApiVersion::new(1, 2));
    assert_eq!(agreement.problems_for_us(), [""; 0]);
    assert!(judge(&NodeVersions::default(), &NodeVersions::default()).is_ok(), "modules are not required");
}

#[test]
fn another_consensus_is_told_once_and_to_either_side() {
    let refusal = judge(&core(2, (1, 0), (1, 0)), &core(3, (1, 0), (1, 0))).unwrap_err();
    assert_eq!(refusal.to_string(), "core: they speak consensus 3, we need 2");
    assert_eq!(refusal.for_them(), "core: you speak consensus 3, we need 2");
}

#[test]
fn a_core_that_fits_in_one_direction_only_is_refused() {
    let (new, old) = (core(1, (1, 2), (1, 4)), core(1, (1, 0), (1, 1)));
    let at_new = judge(&new, &old).unwrap_err();
    assert_eq!(at_new.to_string(), "core: we need API 1.2 or newer of major 1, they offer 1.1");
    assert_eq!(at_new.for_them(), "core: we need API 1.2 or newer of major 1, you offer 1.1");
    let at_old = judge(&old, &new).unwrap_err();
    assert_eq!(at_old.to_string(), "core: they need API 1.2 or newer of major 1, we offer 1.1");
    assert_eq!(at_old.for_them(), "core: you need API 1.2 or newer of major 1, we offer 1.1");
}

#[test]
fn one_module_in_one_direction_is_enough_and_the_others_are_reported() {
    let (new, old) = (module("chat", api(2, 4), api(2, 7)), module("chat", api(2, 0), api(2, 1)));
    let agreement = judge(&new, &old).unwrap();
    assert_eq!(
        agreement.problems_for_us(),
        ["module chat: we need API 2.4 or newer of major 2, they offer 2.1"]
    );
    assert_eq!(agreement.of_theirs("chat"), None);
    assert_eq!(agreement.of_ours("chat").unwrap().version, ApiVersion::new(2, 7));
}

#[test]
fn nodes_that_share_no_module_part() {
    let (chat, files) = (module("chat", api(1, 0), api(1, 0)), module("files", api(1, 0), api(1, 0)));
    let refusal = judge(&chat, &files).unwrap_err();
    assert_eq!(refusal.to_string(), "module chat: they do not have it; module files: we do not have it");
    assert_eq!(refusal.for_them(), "module chat: you do not have it; module files: we do not have it");
}

#[test]
fn a_node_that_only_serves_agrees_with_one_that_only_uses() {
    let server = module("chat", MultiApiVersion::new(), api(1, 3));
    let client = module("chat", api(1, 1), MultiApiVersion::new());
    let agreement = judge(&client, &server).unwrap();
    assert_eq!(agreement.of_theirs("chat").unwrap().version, ApiVersion::new(1, 3));
    assert!(agreement.choice().is_complete());
}

#[test]
fn a_refusal_is_short_however_much_is_wrong() {
    let one = ModuleConsensusVersion::new(1, 0);
    let highest = (0..256).map(|major| ApiVersion::new(u32::MAX - major, u32::MAX));
    let listed = MultiApiVersion::try_from_iter(highest).unwrap();
    let wide = |prefix: &str| {
        (0..256).fold(NodeVersions::default(), |node, index| {
            node.with_module(format!("{prefix}{index:0>63}"), one, listed.clone(), listed.clone())
        })
    };
    let refusal = judge(&wide("a"), &wide("b")).unwrap_err();
    for text in [refusal.to_string(), refusal.for_them()] {
        assert!(text.len() <= MAX_REASON_BYTES, "{} bytes", text.len());
        assert!(text.starts_with("module a000"), "{text}");
        assert!(text.ends_with("more"), "{text}");
    }
}

proptest! {
    #[test]
    fn both_sides_come_to_the_same_verdict(a in any_node(), b in any_node()) {
        match (judge(&a, &b), judge(&b, &a)) {
            (Ok(at_a), Ok(at_b)) => prop_assert_eq!(at_a.choice().clone(), at_b.choice().clone().swapped()),
            (Err(at_a), Err(at_b)) => prop_assert_eq!(at_a.choice().clone(), at_b.choice().clone().swapped()),
            (at_a, at_b) => prop_assert!(false, "{:?} and {:?}", at_a, at_b),
        }
    }

    #[test]
    fn a_core_that_fits_both_ways_and_one_usable_module_are_enough(a in any_node(), b in any_node(), same: bool) {
        let b = if same { a.clone() } else { b };
        let (at_a, at_b) = (choose(&a.needs, &b.offers), choose(&b.needs, &a.offers));
        let cores = at_a.core.is_ok() && at_b.core.is_ok();
        let needed = at_a.modules.len() + at_b.modules.len();
        let usable = at_a.modules.values().chain(at_b.modules.values()).filter(|module| module.is_ok()).count();
        prop_assert_eq!(judge(&a, &b).is_ok(), cores && (needed == 0 || usable > 0));
    }
}
