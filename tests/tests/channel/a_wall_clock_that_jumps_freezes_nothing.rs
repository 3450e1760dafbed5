//! Wall clocks that jump an hour either way, or disagree by an hour: nothing freezes, nothing is refused,
//! no order inverts.

use quorate_channel::ChannelEvent;
use quorate_testkit::world::{Setup, World};
use quorate_tests::{CausalLog, SECOND, Stamp, acknowledged_by, everybody, from, payload};

#[test]
fn jumps_in_the_middle_of_everything() {
    for seed in 1..=4 {
        let mut world = World::seeded(seed).loss(0.2).latency(SECOND / 20);
        let members @ [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
        for number in 0..60 {
            for member in members {
                world.send(member, payload(number, 40));
            }
            match number {
                10 => world.step_wall(a, 3_600 * SECOND),
                20 => world.step_wall_back(b, 3_600 * SECOND),
                30 => world.step_wall_back(a, 7_200 * SECOND),
                40 => world.step_wall(c, 3_600 * SECOND),
                _ => {}
            }
            world.run_for(SECOND / 4);
        }
        world.run_until(|w| members.iter().all(|member| w.is_idle(*member)), 60 * SECOND);
        for to in members {
            for sender in members.into_iter().filter(|sender| *sender != to) {
                assert_eq!(
                    from(&world, to, sender),
                    (0..60).map(|number| payload(number, 40)).collect::<Vec<_>>()
                );
            }
            let stats = world.stats(to);
            assert_eq!((stats.gaps, stats.malformed, stats.from_the_future), (0, 0, 0), "seed {seed}");
        }
    }
}

/// Its own wall clock does not make a newcomer believe that what it has yet to hear is the past.
#[test]
fn a_newcomer_whose_clock_is_an_hour_ahead() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let names = ["a", "b", "c"];
    let [a, b] = ["a", "b"].map(|name| {
        world.join(name, Setup::default().config(acknowledged_by(&quorate_tests::others(&names, name))))
    });
    let ahead = Setup::default().wall_ahead(3_600 * SECOND).config(acknowledged_by(&["a", "b"]));
    let c = world.join("c", ahead);
    let (mut alice, mut bob, mut carol) = (CausalLog::new(0, 3), CausalLog::new(1, 3), CausalLog::new(2, 3));
    world.partition(&[a], &[c]);
    let question = alice.send();
    world.send(a, question.encode());
    world.run_until(|w| w.inbox(b).len() == 1, SECOND);
    bob.deliver(&question).unwrap();
    world.send(b, bob.send().encode());
    world.run_for(10 * SECOND);
    world.heal();
    world.run_until(|w| w.inbox(c).len() == 2, 60 * SECOND);
    for received in world.inbox(c) {
        carol.deliver(&Stamp::decode(&received.payload)).unwrap();
    }
}

/// Jumping clocks neither lose the rate limit's queue nor hold it.
#[test]
fn the_rate_limit_goes_on() {
    use quorate_channel::{ChannelConfig, rate_limit::RateLimitConfig};
    let rate_limit = RateLimitConfig { per_epoch: Some(4), epoch: 10 * SECOND, ..RateLimitConfig::default() };
    for (ahead, back) in [(3_600, 0), (0, 3_600), (3_600, 7_200)] {
        let config = ChannelConfig { rate_limit, ..acknowledged_by(&["b"]) };
        let mut world = World::seeded(1).latency(SECOND / 20);
        let (a, b) = (world.join("a", Setup::default().config(config)), world.channel("b"));
        let requests: Vec<_> = (0..8).map(|number| world.send(a, payload(number, 40))).collect();
        world.run_for(SECOND);
        world.step_wall(a, ahead * SECOND);
        world.run_for(SECOND);
        world.step_wall_back(a, back * SECOND);
        let sent =
            |w: &World| requests.iter().all(|request| w.saw(a, ChannelEvent::Sent { request: *request }));
        world.run_until(sent, 30 * SECOND);
        world.run_until(|w| w.inbox(b).len() == 8, SECOND);
    }
}
