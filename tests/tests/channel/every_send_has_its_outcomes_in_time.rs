//! Under random faults each send has one dispatch outcome, and each that was sent one delivery outcome, in this
//! order and within the deadlines that the configuration states.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use quorate_channel::cipher::{CipherContext, OpenError, SealError};
use quorate_channel::{
    ChannelConfig, ChannelEvent, Cipher, DispatchOutcome, RateLimitConfig, RequestId, SendOptions,
};
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by, others, payload};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
    Cipher { of: usize, works: bool },
}

/// Seals nothing while it is broken.
#[derive(Debug)]
struct Breakable(Arc<AtomicBool>);

impl Cipher for Breakable {
    fn seal(&mut self, _: &CipherContext, plaintext: BytesMut) -> Result<Bytes, SealError> {
        if self.0.load(Ordering::Relaxed) { Err(SealError) } else { Ok(plaintext.freeze()) }
    }

    fn open(&mut self, _: &CipherContext, sealed: Bytes) -> Result<Bytes, OpenError> {
        Ok(sealed)
    }
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
        1 => (who.clone(), -60..60i64).prop_map(|(of, minutes)| Step::Jump { of, minutes }),
        1 => (who, any::<bool>()).prop_map(|(of, works)| Step::Cipher { of, works }),
    ]
}

const EPOCH: Duration = Duration::from_secs(10);
const DISPATCH: Duration = Duration::from_secs(20);
const DELIVERY: Duration = Duration::from_secs(60);

/// Quick, so that a run shows deadlines passing.
fn config(name: &str, per_epoch: Option<u32>, parity_permille: u16) -> ChannelConfig {
    ChannelConfig {
        segment_bytes: 1_024,
        parity_permille,
        dispatch_timeout: DISPATCH,
        delivery_timeout: DELIVERY,
        lost_after: 15 * SECOND,
        rate_limit: RateLimitConfig { per_epoch, epoch: EPOCH, ..RateLimitConfig::default() },
        ..acknowledged_by(&others(&NAMES, name))
    }
}

/// The formula of `docs/channel.md`: when a send has its last outcome at the latest, if `waiting` attempts, its own among
/// them, stood behind the rate limit when it was accepted.
fn deadline(per_epoch: Option<u32>, waiting: u64) -> Duration {
    let epochs = per_epoch.map_or(0, |limit| (2 * waiting).div_ceil(u64::from(limit)) + 1);
    EPOCH * u32::try_from(epochs).unwrap_or(u32::MAX) + DISPATCH + DELIVERY
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
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens(
        seed: u64,
        loss in 0.0..0.8f64,
        per_epoch in prop::option::of(1..40u32),
        parity in prop_oneof![Just(0u16), Just(125)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world =
            World::seeded(seed).loss(loss).duplicate(0.1).reorder(0.1).latency_between(SECOND / 100, SECOND / 5);
        let broken = NAMES.map(|_| Arc::new(AtomicBool::new(false)));
        let members = [0, 1, 2].map(|index| {
            let cipher = Box::new(Breakable(broken[index].clone()));
            world.join(NAMES[index], Setup::default().config(config(NAMES[index], per_epoch, parity)).cipher(cipher))
        });
        let mut alive = [true; NAMES.len()];
        let mut sent = Vec::new();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Send { by, len, ephemeral } if alive[by] => {
                    let request = world.try_send(members[by], payload(number, len), SendOptions { ephemeral });
                    if let Ok(request) = request {
                        let due = world.elapsed() + deadline(per_epoch, world.stats(members[by]).queued);
                        sent.push((by, request, ephemeral, due));
                    }
                }
                Step::Send { .. } => {}
                Step::Wait { millis } => world.run_for(Duration::from_millis(millis)),
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
                Step::Cipher { of, works } => broken[of].store(!works, Ordering::Relaxed),
            }
        }
        sent.sort_by_key(|(.., due)| *due);
        for (by, request, ephemeral, due) in sent.into_iter().filter(|(by, ..)| alive[*by]) {
            world.run_for(due.saturating_sub(world.elapsed()));
            let outcomes: Vec<_> = world.events(members[by]).iter().filter_map(kind)
                .filter(|(of, _)| *of == request).map(|(_, kind)| kind).collect();
            let allowed: &[&[usize]] = if ephemeral { &[&[0], &[1]] } else { &[&[0, 2], &[0, 3], &[1]] };
            prop_assert!(
                allowed.contains(&outcomes.as_slice()),
                "seed {seed}, {by}, {request:?} at {:?}: {outcomes:?}", world.elapsed()
            );
        }
        // Nothing is left behind, but for what a cancelled attempt still keeps its place in the queue for.
        world.run_for(2 * DELIVERY + EPOCH * 100);
        for (member, _) in members.into_iter().zip(alive).filter(|(_, alive)| *alive) {
            prop_assert_eq!(world.stats(member).unacknowledged, 0, "seed {}: {:?}", seed, world.stats(member));
        }
    }
}
