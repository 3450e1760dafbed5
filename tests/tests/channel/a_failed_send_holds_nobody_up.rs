//! A send that the messaging layer refuses is undone: nobody waits for it, and what is sent after it arrives at once.

use quorate_channel::{ChannelEvent, DispatchOutcome};
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, from};

#[test]
fn what_was_refused_is_no_ones_past() {
    let mut world = World::seeded(1).loss(0.2).latency(SECOND / 20);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    let first = world.send(a, "first");
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request: first }), 30 * SECOND);
    world.messaging(a, DispatchOutcome::Refused);
    let refused = world.send(a, vec![1; 250_000]);
    world.run_for(SECOND);
    world.messaging(a, DispatchOutcome::Confirmed);
    assert!(
        world
            .events(a)
            .iter()
            .any(|event| matches!(event, ChannelEvent::SendError { request, .. } if *request == refused))
    );
    let next = world.send(a, "next");
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request: next }), 30 * SECOND);
    world.run_until(|w| w.inbox(b).len() == 2 && w.inbox(c).len() == 2, 5 * SECOND);
    world.send(b, "an answer");
    world.run_until(|w| w.inbox(c).len() == 3, 30 * SECOND);
    world.run_for(300 * SECOND);
    assert_eq!(from(&world, c, a), [b"first".as_slice(), b"next"]);
    assert_eq!((world.stats(b).gaps, world.stats(c).gaps), (0, 0));
}

/// Sent before the refusal was known, so it cites what then never left.
#[test]
fn what_was_sent_meanwhile_does_not_wait_for_it() {
    let mut world = World::seeded(2).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    world.messaging(a, DispatchOutcome::Failed);
    let gone = world.send(a, "never leaves");
    world.run_for(30 * SECOND);
    let after = world.send(a, "leaves late");
    world.run_until(
        |w| {
            w.events(a)
                .iter()
                .any(|event| matches!(event, ChannelEvent::SendError { request, .. } if *request == gone))
        },
        60 * SECOND,
    );
    world.messaging(a, DispatchOutcome::Confirmed);
    world.run_until(|w| w.saw(a, ChannelEvent::Sent { request: after }), 30 * SECOND);
    world.run_until(|w| w.inbox(b).len() == 1, 10 * SECOND);
    world.run_for(300 * SECOND);
    assert_eq!(world.stats(b).gaps, 0);
}
