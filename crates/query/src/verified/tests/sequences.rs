//! Random sequences: whatever nodes and clocks do, a request ends, and only with what was proven.

use super::*;
use fastrand::Rng;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

#[derive(Debug, Clone)]
enum Step {
    Answer(usize, u8),
    Fail(usize),
    Sign(u8),
    Sleep,
    Repeat(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(place, kind)| Step::Answer(place, kind)),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<u8>().prop_map(Step::Sign),
        1 => Just(Step::Sleep),
        1 => any::<usize>().prop_map(Step::Repeat),
    ]
}

proptest! {
    #[test]
    fn a_request_ends_once_and_only_with_what_was_proven(
        steps in prop::collection::vec(step(), 0..120),
        nodes in 0u16..6, race in 1usize..4, audit: bool, hedged: bool, seed: u64,
    ) {
        let verifier = Doubles {
            before: vec![("value", vec![query("a"), signature("s")]), ("a", vec![query("b")])],
            after: vec![("value", vec![query("b"), query("c")])],
        };
        let hedge = hedged.then_some(Duration::from_millis(50));
        let config = VerifiedConfig { audit, hedge, ..config(race) };
        let mut world = World::asking("value", verifier, pool(nodes), config);
        world.machine.random = Rng::with_seed(seed);
        let mut old = Vec::new();
        for step in steps {
            let count = world.asked.len().max(1);
            match step {
                Step::Answer(place, kind) if !world.asked.is_empty() => {
                    old.push(world.asked[place % count].0);
                    let answer = match kind % 6 {
                        0 | 1 => honest(42),
                        2 => lie(),
                        3 => null(),
                        4 => json!({ "absent": "key 1" }),
                        _ => json!("garbage"),
                    };
                    world.answer(place % count, answer);
                }
                Step::Fail(place) if !world.asked.is_empty() => drop(world.fail(place % count)),
                Step::Sign(kind) if !world.signs.is_empty() => {
                    let signature = Signature { message: "s".into(), bytes: "signed".into() };
                    world.sign(match kind % 4 {
                        0 => Err(SignError::UnknownAccount),
                        1 => Ok(Signed::Needs(vec![Call::plain("d", &json!([])).unwrap()])),
                        _ => Ok(Signed::Signature(signature)),
                    });
                }
                Step::Sleep if world.machine.poll_timeout().is_some() => world.sleep(),
                Step::Repeat(place) if !old.is_empty() => world.late_answer(old[place % old.len()], honest(41)),
                _ => {}
            }
        }
        let mut sleeps = 0;
        while world.machine.poll_timeout().is_some() {
            world.sleep();
            sleeps += 1;
            prop_assert!(sleeps < 10_000, "it runs hot");
        }
        match world.done.expect("it has ended") {
            Ok(success) => prop_assert_eq!(success.value, 42),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        prop_assert!(world.asked.is_empty(), "nothing is out that nobody waits for");
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_value(order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle()) {
        let mut world = World::new(6, VerifiedConfig { refusals: NonZeroUsize::new(9).unwrap(), ..config(6) });
        let asked = world.asked.clone();
        for place in order {
            let answer = match place {
                0 => lie(),
                1 => null(),
                2 => refusal(),
                _ => honest(42),
            };
            if world.done.is_none() {
                let at = world.asked.iter().position(|(exchange, ..)| *exchange == asked[place].0);
                world.answer(at.unwrap(), answer);
            }
        }
        prop_assert_eq!(world.value(), 42);
    }
}
