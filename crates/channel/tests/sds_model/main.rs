//! The SDS machine against a model that is too simple to be wrong: sets of messages, no bounds, no ids.
//!
//! Two to five participants send; their messages and syncs arrive in any order, some twice, some never; sends are undone, time
//! passes, some come back without a memory. After each input exactly that is delivered whose whole past is there, in an order
//! that inverts nothing and repeats nothing; who is said to have a message has it, and a sync says all of it; what is given up
//! is named and waited for. When nothing is lost any more, everybody has everything.
//!
//! The same for whole channels on stores, whose processes are killed at any point and started again with what was written.

mod group;
mod model;
mod stored;

use group::{Group, LOST_AFTER};
use model::Policy;
use proptest::prelude::*;
use std::time::Duration;
use stored::{Fate, Stored};

/// What happens next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// A send that is undone.
    Fail(usize),
    Deliver(usize),
    /// The same copy comes again later.
    Repeat(usize),
    Lose(usize),
    Sync(usize),
    Pass(u64),
    /// Longer than anything is waited for.
    Wait,
    Restart(usize),
}

/// What happens next to channels on stores.
#[derive(Debug, Clone)]
enum Stroke {
    Send(usize, Fate),
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Pass(u64),
    Wait,
    /// Killed, and started again.
    Kill(usize),
}

fn stroke() -> impl Strategy<Value = Stroke> {
    let fate = prop_oneof![6 => Just(Fate::Leaves), 1 => Just(Fate::Refused), 2 => Just(Fate::Killed)];
    prop_oneof![
        60 => (0..4usize, fate).prop_map(|(name, fate)| Stroke::Send(name, fate)),
        120 => any::<usize>().prop_map(Stroke::Deliver),
        30 => any::<usize>().prop_map(Stroke::Repeat),
        40 => any::<usize>().prop_map(Stroke::Lose),
        30 => (0..1_500u64).prop_map(Stroke::Pass),
        40 => (0..4usize).prop_map(Stroke::Kill),
        3 => Just(Stroke::Wait),
    ]
}

fn run_stored(names: usize, strokes: &[Stroke]) -> Result<(), String> {
    let mut group = Stored::new(names);
    for stroke in strokes {
        match stroke {
            Stroke::Send(name, fate) => group.send(name % names, *fate)?,
            Stroke::Deliver(flight) => group.deliver(*flight, false)?,
            Stroke::Repeat(flight) => group.deliver(*flight, true)?,
            Stroke::Lose(flight) => group.lose(*flight),
            Stroke::Pass(millis) => group.pass(Duration::from_millis(*millis))?,
            Stroke::Wait => group.pass(LOST_AFTER * 2)?,
            Stroke::Kill(name) => group.kill(name % names)?,
        }
    }
    group.calm(LOST_AFTER * 4)?;
    group.model.over()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5usize).prop_map(Step::Send),
        1 => (0..5usize).prop_map(Step::Fail),
        12 => any::<usize>().prop_map(Step::Deliver),
        3 => any::<usize>().prop_map(Step::Repeat),
        4 => any::<usize>().prop_map(Step::Lose),
        2 => (0..5usize).prop_map(Step::Sync),
        3 => (0..1_500u64).prop_map(Step::Pass),
    ]
}

fn rare() -> impl Strategy<Value = Step> {
    prop_oneof![60 => step(), 1 => Just(Step::Wait), 1 => (0..5usize).prop_map(Step::Restart)]
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::AtLeast(1)), Just(Policy::AtLeast(2)), Just(Policy::Everybody)]
}

fn run(names: usize, policy: Policy, steps: &[Step]) -> Result<Group, String> {
    let policy = if names == 2 && policy == Policy::AtLeast(2) { Policy::AtLeast(1) } else { policy };
    let mut group = Group::new(names, policy);
    for step in steps {
        match step {
            Step::Send(name) => group.send(name % names, true)?,
            Step::Fail(name) => group.send(name % names, false)?,
            Step::Deliver(flight) => group.deliver(*flight, false)?,
            Step::Repeat(flight) => group.deliver(*flight, true)?,
            Step::Lose(flight) => group.lose(*flight),
            Step::Sync(name) => group.sync(name % names),
            Step::Pass(millis) => group.pass(Duration::from_millis(*millis))?,
            Step::Wait => group.pass(LOST_AFTER * 2)?,
            Step::Restart(name) => group.restart(name % names),
        }
    }
    group.calm(LOST_AFTER * 4)?;
    group.model.over()?;
    Ok(group)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_machine_does_what_the_model_does(
        names in 2..6usize,
        policy in policy(),
        steps in prop::collection::vec(rare(), 1..90),
    ) {
        if let Err(why) = run(names, policy, &steps) {
            prop_assert!(false, "{}", why);
        }
    }

    #[test]
    fn channels_that_are_killed_and_opened_again_do_what_the_model_does(
        names in 2..5usize,
        strokes in prop::collection::vec(stroke(), 1..90),
    ) {
        if let Err(why) = run_stored(names, &strokes) {
            prop_assert!(false, "{}", why);
        }
    }
}
