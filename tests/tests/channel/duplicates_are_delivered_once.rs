//! Every second envelope comes twice: the application notices nothing, the stats do.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from, payload};

#[test]
fn every_envelope_may_come_twice() {
    let mut world = World::seeded(3).duplicate(0.9).reorder(0.5).latency_between(SECOND / 100, SECOND / 10);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    let sent: Vec<_> = (0..40).map(|number| payload(number, 300_000 / (number as usize + 1))).collect();
    for bytes in &sent {
        world.send(a, bytes.clone());
    }
    world.run_until(|w| w.is_idle(a), 30 * SECOND);
    world.run_for(300 * SECOND);
    assert_eq!(from(&world, b, a), sent);
    assert!(world.traffic().duplicated >= 30, "{:?}", world.traffic());
    assert!(world.stats(b).duplicates >= 30, "{:?}", world.stats(b));
    let stats = world.stats(b);
    assert_eq!((stats.messages_received, stats.malformed, stats.receive_bytes), (40, 0, 0));
}
