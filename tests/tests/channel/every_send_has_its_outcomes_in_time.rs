//! Under random faults each send has one dispatch outcome, and each that was sent one delivery outcome, in this
//! order and within the deadlines that the configuration states.

use proptest::prelude::*;
use quorate_channel::{ChannelConfig, ChannelEvent, DispatchOutcome, RequestId, SendOptions};
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by, others, payload};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// One thing that happens in a run.
#[derive(Debug, Clone)]
enum Step {
    Send { by: usize, len: usize, ephemeral: bool },
    Wait { millis: u64 },
    Cut { one: usize, other: usize },
    Heal,
    Messaging { of: usize, outcome: u8 },
    Crash { of: usize },
    Jump { of: usize, minutes: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    prop_oneof![
        6 => (who.clone(), 1..3_000usize, prop::bool::weighted(0.2))
            .prop_map(|(by, len, ephemeral)| Step::Send { by, len, ephemeral }),
        4 => (1..5_000u64).prop_map(|millis| Step::Wait { millis }),
        1 => (who.clone(), who.clone()).prop_map(|(one, other)| Step::Cut { one, other }),
        1 => Just(Step::Heal),
        1 => (who.clone(), 0..4u8).prop_map(|(of, outcome)| Step::Messaging { of, outcome }),
        1 => who.clone().prop_map(|of| Step::Crash { of }),
        1 => (who, -60..60i64).prop_map(|(of, minutes)| Step::Jump { of, minutes }),
    ]
}

/// Quick, so that a run shows deadlines passing.
fn config(name: &str) -> ChannelConfig {
    ChannelConfig {
        segment_bytes: 1_024,
        dispatch_timeout: 20 * SECOND,
        delivery_timeout: 60 * SECOND,
        lost_after: 15 * SECOND,
        ..acknowledged_by(&others(&NAMES, name))
    }
}

fn kind(event: &ChannelEvent) -> Option<(RequestId, usize)> {
    match event {
        ChannelEvent::Sent { request } => Some((*request, 0)),
        ChannelEvent::SendError { request, .. } => Some((*request, 1)),
        ChannelEvent::Delivered { request } => Some((*request, 2)),
        ChannelEvent::DeliveryError { request, .. } => Some((*request, 3)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens(seed: u64, loss in 0.0..0.8f64, steps in prop::collection::vec(step(), 1..40)) {
        let mut world =
            World::seeded(seed).loss(loss).duplicate(0.1).reorder(0.1).latency_between(SECOND / 100, SECOND / 5);
        let members = NAMES.map(|name| world.join(name, Setup::default().config(config(name))));
        let mut alive = [true; NAMES.len()];
        let mut sent = Vec::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Send { by, len, ephemeral } if alive[by] => {
                    let request = world.try_send(members[by], payload(number, len), SendOptions { ephemeral });
                    sent.extend(request.map(|request| (by, request, ephemeral)));
                }
                Step::Send { .. } => {}
                Step::Wait { millis } => world.run_for(std::time::Duration::from_millis(millis)),
                Step::Cut { one, other } => world.partition(&[members[one]], &[members[other]]),
                Step::Heal => world.heal(),
                Step::Messaging { of, outcome } => world.messaging(members[of], match outcome {
                    0 => DispatchOutcome::Failed,
                    1 => DispatchOutcome::Refused,
                    _ => DispatchOutcome::Confirmed,
                }),
                Step::Crash { of } => {
                    alive[of] = false;
                    world.crash(members[of]);
                }
                Step::Jump { of, minutes } if minutes < 0 => {
                    world.step_wall_back(members[of], 60 * SECOND * u32::try_from(-minutes).unwrap());
                }
                Step::Jump { of, minutes } => {
                    world.step_wall(members[of], 60 * SECOND * u32::try_from(minutes).unwrap());
                }
            }
        }
        // No rate limit: each left or failed `dispatch_timeout` after it was sent, and was delivered or not
        // `delivery_timeout` later.
        world.run_for(81 * SECOND);
        for (by, request, ephemeral) in sent {
            if !alive[by] {
                continue;
            }
            let outcomes: Vec<_> = world.events(members[by]).iter().filter_map(kind)
                .filter(|(of, _)| *of == request).map(|(_, kind)| kind).collect();
            let allowed: &[&[usize]] = if ephemeral { &[&[0], &[1]] } else { &[&[0, 2], &[0, 3], &[1]] };
            prop_assert!(allowed.contains(&outcomes.as_slice()), "seed {seed}, {by}, {request:?}: {outcomes:?}");
        }
        for (member, _) in members.into_iter().zip(alive).filter(|(_, alive)| *alive) {
            prop_assert!(world.is_idle(member), "seed {seed}: {:?}", world.stats(member));
        }
    }
}
