//! One that never sends content acknowledges by syncs, which cost one envelope for many messages and become rare when
//! nothing happens.

use quorate_channel::ChannelEvent;
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, payload};

#[test]
fn syncs_are_few_and_become_fewer() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    let requests: Vec<_> = (0..100).map(|number| world.send(a, payload(number, 100))).collect();
    world.run_until(
        |w| requests.iter().all(|request| w.saw(a, ChannelEvent::Delivered { request: *request })),
        2 * SECOND,
    );
    assert!(world.stats(b).syncs_sent <= 3, "{}", world.stats(b).syncs_sent);
    assert!(world.inbox(a).is_empty() && world.events(b).len() == 100, "a sync is told to nobody");
    let before = world.traffic().sent;
    world.run_for(3_600 * SECOND);
    let idle = world.traffic().sent - before;
    assert!((20..140).contains(&idle), "{idle} in an hour of two");
}
