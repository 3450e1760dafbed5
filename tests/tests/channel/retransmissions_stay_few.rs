//! What repetition costs: at 20 % loss each way, with one receiver and with four.

use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, payload};

const MESSAGES: u32 = 400;

/// Retransmissions per message sent.
fn cost(seed: u64, loss: f64, names: &[&str]) -> (f64, f64) {
    let mut world = World::seeded(seed).loss(loss).latency(SECOND / 20);
    let members: Vec<_> = names.iter().flat_map(|name| everybody_of(&mut world, names, name)).collect();
    let a = members[0];
    for number in 0..MESSAGES {
        world.send(a, payload(number, 200));
        world.run_for(SECOND / 20);
    }
    world.run_until(|w| w.is_idle(a), 300 * SECOND);
    let syncs: u64 = members.iter().map(|member| world.stats(*member).syncs_sent).sum();
    (world.stats(a).retransmissions as f64 / f64::from(MESSAGES), syncs as f64 / f64::from(MESSAGES))
}

fn everybody_of(world: &mut World, names: &[&str], name: &str) -> Option<quorate_testkit::world::MemberId> {
    use quorate_testkit::world::Setup;
    use quorate_tests::{acknowledged_by, others};
    Some(world.join(name, Setup::default().config(acknowledged_by(&others(names, name)))))
}

#[test]
fn at_a_fifth_lost() {
    for seed in 1..=3 {
        let (one, syncs) = cost(seed, 0.2, &["a", "b"]);
        println!("seed {seed}: one receiver {one:.3}, syncs {syncs:.3}");
        let (four, syncs) = cost(seed, 0.2, &["a", "b", "c", "d", "e"]);
        println!("seed {seed}: four receivers {four:.3}, syncs {syncs:.3}");
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
