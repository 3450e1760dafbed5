//! With parity, lost segments are made up for by others: the payload arrives without a repetition, and the siblings that
//! never came count as received.

use quorate_channel::{ChannelConfig, ChannelEvent};
use quorate_testkit::network::FaultPlan;
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by, payload};

/// A payload of 40 segments over a link that loses a tenth; the way back is perfect. Yields the repetitions.
fn repetitions(seed: u64, parity_permille: u16) -> u64 {
    let mut world = World::seeded(seed).loss(0.1).latency(SECOND / 50);
    let config = ChannelConfig { segment_bytes: 1_152, parity_permille, ..acknowledged_by(&["b"]) };
    let a = world.join("a", Setup::default().config(config));
    let b = world.channel("b");
    world.faults(b, a, FaultPlan { latency: SECOND / 50..=SECOND / 50, ..FaultPlan::default() });
    let bytes = payload(7, 40 * 1_024);
    let request = world.send(a, bytes.clone());
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request }), 60 * SECOND);
    assert_eq!(world.inbox(b)[0].payload, bytes);
    assert!(world.traffic().dropped > 0, "seed {seed}");
    assert!(world.is_idle(a) && world.stats(b).gaps == 0);
    if parity_permille > 0 {
        assert!(world.stats(b).segments.recovered == 1, "seed {seed}");
    }
    world.stats(a).retransmissions
}

#[test]
fn for_any_seed() {
    for seed in 1..=20 {
        assert!(repetitions(seed, 0) > 0, "seed {seed}");
        assert_eq!(repetitions(seed, 500), 0, "seed {seed}");
    }
}
