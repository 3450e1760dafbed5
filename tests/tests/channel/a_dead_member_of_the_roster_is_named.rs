//! A member of the roster dies: sends fail by their deadline, naming it and nobody else, and the others
//! get everything.

use quorate_channel::{ChannelEvent, ParticipantId};
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from, payload};

#[test]
fn the_dead_one_is_named() {
    let mut world = World::seeded(8).loss(0.2).latency(SECOND / 20);
    let [a, b, dead] = everybody(&mut world, ["a", "b", "dead"]);
    let before = world.send(a, payload(0, 50));
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request: before }), 60 * SECOND);
    world.crash(dead);
    let sent_at = world.elapsed();
    let request = world.send(a, payload(1, 250_000));
    let lacking = [ParticipantId::from("dead")].into();
    let failed = ChannelEvent::DeliveryError { request, lacking };
    world.run_until(|w| w.saw(a, failed.clone()), 661 * SECOND);
    assert!(world.elapsed() - sent_at >= 600 * SECOND, "not before the deadline");
    assert!(world.saw(a, ChannelEvent::Acknowledged { request, by: "b".into() }));
    assert_eq!(from(&world, b, a).len(), 2);
    assert!(world.is_idle(a), "nothing is repeated any more");
    let retransmissions = world.stats(a).retransmissions;
    world.run_for(600 * SECOND);
    assert_eq!(world.stats(a).retransmissions, retransmissions);
    let outcomes = world
        .events(a)
        .iter()
        .filter(|event| matches!(event, ChannelEvent::Delivered { .. } | ChannelEvent::DeliveryError { .. }));
    assert_eq!(outcomes.count(), 2);
}
