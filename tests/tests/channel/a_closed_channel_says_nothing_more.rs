//! Closing gives every open send its outcome; then nothing comes out, whatever comes in.

use quorate_channel::{ChannelEvent, SendOptions, SendRefused};
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, payload};

#[test]
fn open_sends_end_and_nothing_is_received() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    world.partition(&[a], &[b]);
    let request = world.send(b, "not yet acknowledged");
    world.run_for(SECOND);
    world.heal();
    world.send(a, payload(1, 250_000));
    world.close(b);
    let told = [
        ChannelEvent::Sent { request },
        ChannelEvent::DeliveryError { request, lacking: ["a".into()].into() },
    ];
    assert_eq!(world.events(b), told);
    world.run_for(60 * SECOND);
    assert_eq!(world.events(b), told);
    assert_eq!(world.try_send(b, "more", SendOptions::default()), Err(SendRefused::Closed));
    assert!(world.envelopes_to(b) > 3);
}

#[test]
fn two_sends_are_told_apart() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    let good = world.send(a, "good");
    world.messaging(a, quorate_channel::DispatchOutcome::Refused);
    let bad = world.send(a, "bad");
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request: good }), 5 * SECOND);
    let of = |wanted| {
        let of = |event: &&ChannelEvent| match event {
            ChannelEvent::Sent { request }
            | ChannelEvent::Delivered { request }
            | ChannelEvent::SendError { request, .. } => *request == wanted,
            _ => false,
        };
        world.events(a).iter().filter(of).count()
    };
    assert_eq!((of(good), of(bad), world.inbox(b).len()), (2, 1, 1));
}
