//! One receiver has the first half of a payload, another the second: nobody has it, so nobody is said to, and it is repeated
//! until somebody does.

use quorate_channel::{ChannelConfig, ChannelEvent};
use quorate_testkit::network::FaultPlan;
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, payload};

#[test]
fn whoever_is_lost_what() {
    let mut split = 0;
    for seed in 1..=40 {
        let mut world = World::seeded(seed).loss(0.5).latency(SECOND / 50);
        let config = ChannelConfig { segment_bytes: 1_152, ..ChannelConfig::default() };
        let a = world.join("a", Setup::default().config(config));
        let others = ["b", "c", "d"].map(|name| world.channel(name));
        for other in others {
            world.faults(other, a, FaultPlan { latency: SECOND / 50..=SECOND / 50, ..FaultPlan::default() });
        }
        let request = world.send(a, payload(1, 4 * 1_024));
        world.run_for(SECOND / 4);
        let nobody = |w: &World| others.iter().all(|other| w.inbox(*other).is_empty());
        split += u32::from(nobody(&world));
        world.run_until(
            |w| {
                let told = w.saw(a, ChannelEvent::Delivered { request });
                assert!(!told || !nobody(w), "seed {seed}: delivered to nobody");
                told
            },
            200 * SECOND,
        );
    }
    assert!(split > 10, "{split} of 40 runs began with halves");
}
