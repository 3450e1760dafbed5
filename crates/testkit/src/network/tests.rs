//! What a plan promises: its rates, its replay, and that nothing depends on anything else.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LINK: Link<'_> = Link { from: "alice", to: "bob" };
const DRAWS: u32 = 20_000;

fn rate(hits: usize) -> f64 {
    hits as f64 / f64::from(DRAWS)
}

fn any_plan() -> impl Strategy<Value = FaultPlan> {
    (any::<u64>(), 0.0..0.95f64, 0.0..=1.0f64, 0.0..=1.0f64, 0..200u64, 0..200u64).prop_map(
        |(seed, loss, duplicate, reorder, from, more)| {
            let latency = Duration::from_millis(from)..=Duration::from_millis(from + more);
            FaultPlan { seed, loss, duplicate, reorder, latency }
        },
    )
}

/// The deviation of a rate over [`DRAWS`] draws that happens less than once in a hundred million times.
fn slack(p: f64) -> f64 {
    6.0 * (p * (1.0 - p) / f64::from(DRAWS)).sqrt() + rate(12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn faults_are_as_frequent_as_the_plan_says(plan in any_plan()) {
        let fates: Vec<_> = (0..DRAWS).map(|n| plan.fate(LINK, &format!("message {n}"), 0)).collect();
        let dropped = fates.iter().filter(|fate| fate.is_dropped()).count();
        prop_assert!((rate(dropped) - plan.loss).abs() < slack(plan.loss), "{dropped}");
        let twice = fates.iter().filter(|fate| fate.delays().len() == 2).count();
        let expected = (1.0 - plan.loss) * plan.duplicate;
        prop_assert!((rate(twice) - expected).abs() < slack(expected), "{twice}");
        let held_back = |fate: &&Fate| fate.delays().first().is_some_and(|delay| delay > plan.latency.end());
        let late = fates.iter().filter(held_back).count();
        let expected = (1.0 - plan.loss) * plan.reorder;
        prop_assert!(rate(late) <= expected + slack(expected), "{late}");
    }

    #[test]
    fn attempts_and_links_fail_independently(plan in any_plan()) {
        let both = |one: Fate, other: Fate| usize::from(one.is_dropped() && other.is_dropped());
        let back = Link { from: "bob", to: "alice" };
        let (mut attempts, mut links) = (0, 0);
        for n in 0..DRAWS {
            let message = format!("message {n}");
            let first = plan.fate(LINK, &message, 0);
            attempts += both(first, plan.fate(LINK, &message, 1));
            links += both(first, plan.fate(back, &message, 0));
        }
        let expected = plan.loss * plan.loss;
        for hits in [attempts, links] {
            prop_assert!((rate(hits) - expected).abs() < slack(expected), "{hits}");
        }
    }

    #[test]
    fn a_fate_depends_on_nothing_that_was_asked_before(
        plan in any_plan(),
        order in Just((0..200u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let ask = |n: &u32| (*n, plan.fate(LINK, "m", *n));
        let shuffled: BTreeMap<_, _> = order.iter().map(ask).collect();
        let ascending: BTreeMap<_, _> = (0..200).map(|n| ask(&n)).collect();
        prop_assert_eq!(shuffled, ascending);
    }

    #[test]
    fn a_copy_is_never_earlier_than_the_shortest_latency(plan in any_plan(), message: String, attempt: u32) {
        let most = *plan.latency.end() + plan.latency.end().max(&Duration::from_millis(10)).mul_f64(3.0);
        for delay in plan.fate(LINK, &message, attempt).delays() {
            prop_assert!(delay >= plan.latency.start() && *delay <= most);
        }
    }
}

/// The same on every platform and in every version: a seed in an old report still replays.
#[test]
fn known_fates_stay_what_they_are() {
    let latency = Duration::from_millis(10)..=Duration::from_millis(50);
    let plan = FaultPlan { seed: 7, loss: 0.3, duplicate: 0.3, reorder: 0.3, latency };
    let micros = |attempt| {
        let fate = plan.fate(LINK, "message", attempt);
        fate.delays().iter().map(Duration::as_micros).collect::<Vec<_>>()
    };
    let fates: Vec<_> = (0..6).map(micros).collect();
    assert_eq!(fates, KNOWN);
}

const KNOWN: [&[u128]; 6] = [&[188_430], &[43_887], &[13_401, 42_207], &[], &[18_810, 83_997], &[]];

#[test]
fn another_seed_is_another_network() {
    let drops = |seed| {
        let plan = FaultPlan { seed, loss: 0.5, ..FaultPlan::default() };
        (0..64).map(|n| plan.fate(LINK, "m", n).is_dropped()).collect::<Vec<_>>()
    };
    assert_ne!(drops(1), drops(2));
}

#[test]
fn a_perfect_network_delivers_everything_once_and_at_once() {
    let fates = (0..100).map(|n| FaultPlan::default().fate(LINK, "m", n));
    assert!(fates.into_iter().all(|fate| fate.delays() == [Duration::ZERO]));
}

#[test]
fn a_plan_that_is_no_network_is_refused() {
    let good = FaultPlan { loss: 0.999, duplicate: 1.0, reorder: 1.0, ..FaultPlan::default() };
    assert_eq!(good.validate(), Ok(()));
    for loss in [1.0, 1.5, -0.1] {
        assert_eq!(FaultPlan { loss, ..good.clone() }.validate(), Err(FaultError::Loss(loss)));
    }
    assert!(FaultPlan { loss: f64::NAN, ..good.clone() }.validate().is_err());
    let wrong = FaultPlan { reorder: 1.1, ..good.clone() }.validate();
    assert_eq!(wrong, Err(FaultError::Probability { field: "reorder", value: 1.1 }));
    let (long, short) = (Duration::from_secs(2), Duration::from_secs(1));
    let backwards = FaultPlan { latency: RangeInclusive::new(long, short), ..good };
    assert_eq!(backwards.validate(), Err(FaultError::Latency(long, short)));
}
