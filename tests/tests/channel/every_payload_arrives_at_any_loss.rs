//! Loss of 20, 40 and 60 %: every payload arrives at everybody once, whole and in its sender's order.

use quorate_channel::ChannelEvent;
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from, payload};

fn everything_arrives(loss: f64, within: u32) {
    for seed in 1..=3 {
        let mut world = World::seeded(seed).loss(loss).latency_between(SECOND / 50, SECOND / 10);
        let members @ [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
        let sizes = [1, 100, 102_272, 102_273, 350_000];
        let mut requests = Vec::new();
        for (number, size) in (0..).zip(sizes) {
            for member in [a, b] {
                requests.push((member, world.send(member, payload(number, size))));
            }
            world.run_for(SECOND / 4);
        }
        let delivered = |w: &World| {
            requests.iter().all(|(from, request)| w.saw(*from, ChannelEvent::Delivered { request: *request }))
        };
        world.run_until(delivered, within * SECOND);
        world.run_until(|w| w.inbox(c).len() == 10, 60 * SECOND);
        let sent: Vec<_> = (0..).zip(sizes).map(|(number, size)| payload(number, size)).collect();
        for (to, sender) in [(a, b), (b, a), (c, a), (c, b)] {
            assert_eq!(from(&world, to, sender), sent, "seed {seed}");
        }
        for member in members {
            assert_eq!(world.stats(member).gaps, 0, "seed {seed}");
        }
    }
}

#[test]
fn a_fifth_lost() {
    everything_arrives(0.2, 60);
}

#[test]
fn two_fifths_lost() {
    everything_arrives(0.4, 120);
}

#[test]
fn three_fifths_lost() {
    everything_arrives(0.6, 600);
}
