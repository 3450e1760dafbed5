//! The world itself: that it replays, that it fails loudly, and that its faults happen.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn busy(seed: u64) -> World {
    let mut world = World::seeded(seed).loss(0.3).duplicate(0.2).reorder(0.2).latency(SECOND / 20);
    let members = ["a", "b", "c"].map(|name| world.channel(name));
    for round in 0..5_u8 {
        for member in members {
            world.send(member, vec![round; 100]);
        }
        world.run_for(SECOND);
    }
    world.run_for(20 * SECOND);
    world
}

#[test]
fn a_seed_replays_to_the_last_event() {
    let events = |world: &World| (0..3).map(|at| world.events(MemberId(at)).to_vec()).collect::<Vec<_>>();
    let (one, again, other) = (busy(7), busy(7), busy(8));
    assert_eq!(events(&one), events(&again));
    assert_eq!(one.traffic(), again.traffic());
    assert_ne!(one.traffic(), other.traffic());
    assert!(one.traffic().dropped > 0 && one.traffic().duplicated > 0);
}

#[test]
#[should_panic(expected = "world of seed 12345")]
fn what_does_not_happen_fails_with_the_seed() {
    let mut world = World::seeded(12_345);
    let (a, _) = (world.channel("a"), world.channel("b"));
    world.run_until(|w| w.inbox(a).len() == 1, 60 * SECOND);
}

#[test]
#[should_panic(expected = "a loss of 1 is not in 0..1")]
fn a_network_that_loses_everything_is_refused() {
    let _ = World::seeded(1).loss(1.0);
}

#[test]
fn virtual_time_passes_as_it_is_told() {
    let mut world = World::seeded(1).latency(SECOND);
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.send(a, "hello");
    world.run_for(SECOND / 2);
    assert_eq!((world.elapsed(), world.inbox(b).len()), (SECOND / 2, 0));
    world.run_for(SECOND / 2);
    assert_eq!(world.inbox(b)[0].at.elapsed(), SECOND);
}

#[test]
fn a_partition_stops_both_directions_until_it_heals() {
    let mut world = World::seeded(1);
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.partition(&[a], &[b]);
    let request = world.send(a, "hello");
    world.run_for(10 * SECOND);
    assert_eq!(world.inbox(b).len(), 0);
    assert!(world.traffic().cut > 3);
    world.heal();
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request }), 60 * SECOND);
}

#[test]
fn who_crashed_hears_nothing_and_says_nothing() {
    let mut world = World::seeded(1);
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.crash(b);
    world.send(a, "hello");
    world.run_for(10 * SECOND);
    assert_eq!((world.envelopes_to(b), world.inbox(b).len()), (0, 0));
}

#[test]
fn what_the_messaging_layer_refuses_does_not_leave() {
    let mut world = World::seeded(1);
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.messaging(a, DispatchOutcome::Refused);
    world.send(a, "hello");
    world.run_for(SECOND);
    assert!(matches!(world.events(a), [ChannelEvent::SendError { .. }]));
    assert_eq!((world.traffic().sent, world.inbox(b).len()), (0, 0));
}
