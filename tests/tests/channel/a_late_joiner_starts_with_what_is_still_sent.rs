//! A participant that joins late misses nothing from then on, and what was settled before it came
//! is no storm of gaps.

use quorate_channel::ChannelEvent;
use quorate_testkit::network::FaultPlan;
use quorate_testkit::world::{MemberId, Setup, World};
use quorate_tests::{SECOND, acknowledged_by, everybody, from, others, payload};

const NAMES: [&str; 4] = ["a", "b", "c", "late"];

fn talk(world: &mut World, members: &[MemberId], numbers: std::ops::Range<u32>) {
    for number in numbers {
        for member in members {
            world.send(*member, payload(number, 80));
        }
        world.run_for(SECOND / 4);
    }
}

/// The others lose 40 % among themselves, so that they are repeating old messages at all times. The links to the late one
/// are perfect: nobody waits for its acknowledgements, so nobody would repeat anything for it.
#[test]
fn one_that_nobody_waits_for() {
    for seed in 1..=10 {
        let mut world = World::seeded(seed).loss(0.4).latency(SECOND / 20);
        let members = everybody(&mut world, ["a", "b", "c"]);
        talk(&mut world, &members, 0..100);
        let late = world.join("late", Setup::default().config(acknowledged_by(&others(&NAMES, "late"))));
        for member in members {
            let perfect = FaultPlan { latency: SECOND / 20..=SECOND / 20, ..FaultPlan::default() };
            world.faults(member, late, perfect);
        }
        let joined = world.elapsed();
        talk(&mut world, &members, 100..140);
        world.run_until(|w| members.iter().all(|member| w.is_idle(*member)), 120 * SECOND);
        world.run_for(300 * SECOND);
        for member in members {
            let heard = from(&world, late, member);
            let from_then_on: Vec<_> = (100..140).map(|number| payload(number, 80)).collect();
            assert!(
                heard.ends_with(&from_then_on.iter().map(Vec::as_slice).collect::<Vec<_>>()),
                "seed {seed}"
            );
        }
        assert_eq!(world.stats(late).gaps, 0, "seed {seed}: {:?}", world.events(late));
        let quickly = |w: &World| {
            w.inbox(late).iter().filter(|received| received.at.elapsed() < joined + 20 * SECOND).count()
        };
        assert!(quickly(&world) >= 120, "seed {seed}: {} in time", quickly(&world));
        let request = world.send(late, "hello");
        world.run_until(|w| w.saw(late, ChannelEvent::Delivered { request }), 60 * SECOND);
    }
}

/// Everybody waits for it from the beginning: it gets the past as well, at any loss.
#[test]
fn one_that_is_on_the_roster() {
    let mut world = World::seeded(2).loss(0.3).latency(SECOND / 20);
    let config = |name| Setup::default().config(acknowledged_by(&others(&NAMES, name)));
    let members = ["a", "b", "c"].map(|name| world.join(name, config(name)));
    talk(&mut world, &members, 0..40);
    world.run_for(60 * SECOND);
    let late = world.join("late", config("late"));
    talk(&mut world, &members, 40..50);
    world.run_until(|w| members.iter().all(|member| w.is_idle(*member)), 180 * SECOND);
    for member in members {
        assert_eq!(from(&world, late, member), (0..50).map(|number| payload(number, 80)).collect::<Vec<_>>());
    }
    assert_eq!(world.stats(late).gaps, 0);
}

/// It hears of a sender, by a message that follows one of that sender's, before it hears the sender: as soon as the
/// sender speaks and settled its past, nothing waits any more.
#[test]
fn what_it_hears_of_before_it_hears_it() {
    let mut world = World::seeded(3).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    world.send(a, "before");
    world.run_until(|w| w.is_idle(a), 10 * SECOND);
    let late = world.channel("late");
    world.send(b, "an answer, just after");
    world.run_for(SECOND);
    world.send(a, "from then on");
    world.run_until(|w| w.inbox(late).len() == 2, 2 * SECOND);
    world.run_for(300 * SECOND);
    assert_eq!((world.inbox(late).len(), world.stats(late).gaps), (2, 0));
}
