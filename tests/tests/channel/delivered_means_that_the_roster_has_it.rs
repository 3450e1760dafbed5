//! `Delivered` under `AckPolicy::All`: at that moment each member of the roster has the payload, told or
//! whole and waiting for what it follows; `Acknowledged` says the same of one.

use quorate_channel::{ChannelEvent, RequestId};
use quorate_testkit::world::{MemberId, World};
use quorate_tests::{SECOND, everybody, from, payload};

#[test]
fn a_message_at_a_time_is_in_every_inbox() {
    for seed in 1..=5 {
        let mut world = World::seeded(seed).loss(0.4).duplicate(0.1).latency(SECOND / 20);
        let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
        for number in 0..10 {
            let request = world.send(a, payload(number, 250_000));
            let has = |w: &World, member| from(w, member, a).len() == number as usize + 1;
            let told = |w: &World, by| w.saw(a, ChannelEvent::Acknowledged { request, by });
            world.run_until(
                |w| {
                    assert!(has(w, b) || !told(w, "b".into()));
                    assert!(has(w, c) || !told(w, "c".into()));
                    w.saw(a, ChannelEvent::Delivered { request })
                },
                120 * SECOND,
            );
            assert!(has(&world, b) && has(&world, c), "seed {seed}");
        }
    }
}

#[test]
fn many_at_once_are_there_whole() {
    let mut world = World::seeded(4).loss(0.5).reorder(0.3).latency(SECOND / 20);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    let requests: Vec<_> = (0..40).map(|number| world.send(a, payload(number, 5_000))).collect();
    let mut delivered = Vec::new();
    let complete = |w: &World, member: MemberId, delivered: &[RequestId]| {
        let held = w.inbox(member).len() as u64 + w.stats(member).waiting;
        assert!(held >= delivered.len() as u64, "{delivered:?}");
    };
    world.run_until(
        |w| {
            delivered = requests
                .iter()
                .copied()
                .filter(|request| w.saw(a, ChannelEvent::Delivered { request: *request }))
                .collect();
            complete(w, b, &delivered);
            complete(w, c, &delivered);
            delivered.len() == requests.len()
        },
        240 * SECOND,
    );
    assert_eq!((world.inbox(b).len(), world.inbox(c).len()), (40, 40));
}

/// A talker's word counts for itself alone: who hears only of a message has not acknowledged it.
#[test]
fn nobody_acknowledges_for_another() {
    let mut world = World::seeded(6).latency(SECOND / 20);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    world.partition(&[a], &[c]);
    let request = world.send(a, "hello");
    world.run_for(2 * SECOND);
    world.send(b, "an answer, which c hears");
    world.run_for(20 * SECOND);
    assert!(world.saw(a, ChannelEvent::Acknowledged { request, by: "b".into() }));
    assert!(!world.saw(a, ChannelEvent::Delivered { request }));
    world.heal();
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request }), 60 * SECOND);
    assert_eq!(from(&world, c, a), [b"hello"]);
}
