//! What repetition costs: at 20 % loss each way, with one receiver and with four.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, payload};

const MESSAGES: u32 = 400;

/// Retransmissions and syncs of everybody, per message that the first of `names` sends.
fn cost<const N: usize>(seed: u64, names: [&str; N]) -> (f64, f64) {
    let mut world = World::seeded(seed).loss(0.2).latency(SECOND / 20);
    let members = everybody(&mut world, names);
    let a = members[0];
    for number in 0..MESSAGES {
        world.send(a, payload(number, 200));
        world.run_for(SECOND / 20);
    }
    world.run_until(|w| w.is_idle(a), 60 * SECOND);
    let syncs: u64 = members.iter().map(|member| world.stats(*member).syncs_sent).sum();
    let per_message = |count: u64| count as f64 / f64::from(MESSAGES);
    (per_message(world.stats(a).retransmissions), per_message(syncs))
}

/// The least is 0.25: an attempt of four is lost. Measured: 0.28, and 0.6 syncs.
#[test]
fn to_one_receiver_at_a_fifth_lost() {
    for seed in 1..=3 {
        let (retransmissions, syncs) = cost(seed, ["a", "b"]);
        assert!((0.2..0.4).contains(&retransmissions), "seed {seed}: {retransmissions}");
        assert!(syncs < 0.9, "seed {seed}: {syncs}");
    }
}

/// The least is 0.61: until the unluckiest of four has it. Measured: 0.75, and 0.65 syncs of each.
#[test]
fn to_four_receivers_at_a_fifth_lost() {
    for seed in 1..=3 {
        let (retransmissions, syncs) = cost(seed, ["a", "b", "c", "d", "e"]);
        assert!((0.5..1.0).contains(&retransmissions), "seed {seed}: {retransmissions}");
        assert!(syncs < 4.0 * 0.9, "seed {seed}: {syncs}");
    }
}

#[test]
fn none_without_loss() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    for number in 0..50 {
        world.send(a, payload(number, 200));
    }
    world.run_until(|w| w.is_idle(a) && w.inbox(b).len() == 50, 10 * SECOND);
    assert_eq!((world.stats(a).retransmissions, world.stats(b).duplicates), (0, 0));
}
