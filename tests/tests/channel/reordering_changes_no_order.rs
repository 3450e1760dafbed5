//! Half of all envelopes are overtaken: each sender's order and everybody's causal order hold, at no loss
//! without a single gap.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from, payload};

#[test]
fn a_network_that_shuffles() {
    let mut world = World::seeded(11).reorder(0.5).latency_between(SECOND / 100, SECOND / 5);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    let sent: Vec<_> = (0..60).map(|number| payload(number, 40)).collect();
    for bytes in &sent {
        world.send(a, bytes.clone());
        world.send(b, bytes.clone());
        world.run_for(SECOND / 50);
    }
    world.run_until(|w| w.inbox(c).len() == 120 && w.is_idle(a) && w.is_idle(b), 30 * SECOND);
    for (to, sender) in [(a, b), (b, a), (c, a), (c, b)] {
        assert_eq!(from(&world, to, sender), sent);
    }
    assert_eq!(world.stats(c).gaps, 0);
}
