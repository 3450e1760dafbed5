//! Equal payloads are two messages, from one sender and from two.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody};

#[test]
fn each_is_delivered() {
    let mut world = World::seeded(1).loss(0.3).latency(SECOND / 20);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    for _ in 0..3 {
        world.send(a, vec![7; 210_000]);
        world.send(b, vec![7; 210_000]);
    }
    world.run_until(|w| w.inbox(c).len() == 6 && w.is_idle(a) && w.is_idle(b), 60 * SECOND);
    world.run_for(300 * SECOND);
    assert_eq!(world.inbox(c).len(), 6);
    assert!(world.inbox(c).iter().all(|received| received.payload == vec![7; 210_000]));
}
