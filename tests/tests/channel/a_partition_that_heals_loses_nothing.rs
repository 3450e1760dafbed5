//! A burst in which nothing arrives, then a partition of a minute with talk on both sides: after it heals
//! everybody has everything, without a gap.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from, payload};

#[test]
fn a_burst_and_a_partition() {
    let mut world = World::seeded(5).loss(0.1).latency(SECOND / 20);
    let members @ [a, b, c, d] = everybody(&mut world, ["a", "b", "c", "d"]);
    let mut number = 0;
    let mut talk = |world: &mut World, seconds: u32| {
        for _ in 0..seconds {
            members.iter().for_each(|member| {
                world.send(*member, payload(number, 60));
            });
            number += 1;
            world.run_for(SECOND);
        }
    };
    talk(&mut world, 5);
    for member in members {
        world.partition(&[member], &members);
    }
    talk(&mut world, 3);
    world.heal();
    talk(&mut world, 5);
    world.partition(&[a, b], &[c, d]);
    talk(&mut world, 60);
    world.heal();
    talk(&mut world, 5);
    world.run_until(|w| members.iter().all(|member| w.is_idle(*member)), 120 * SECOND);
    let sent: Vec<_> = (0..number).map(|number| payload(number, 60)).collect();
    for to in members {
        for sender in members.into_iter().filter(|sender| *sender != to) {
            assert_eq!(from(&world, to, sender), sent);
        }
        assert_eq!(world.stats(to).gaps, 0);
    }
}
