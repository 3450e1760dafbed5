//! Five talkers, 40 % loss, reordering: nobody is told anything before what it follows, nor twice. The
//! test knows by vector clocks of its own, in the payloads.

use quorate_testkit::world::World;
use quorate_tests::{CausalLog, SECOND, Stamp, everybody};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const ROUNDS: u32 = 30;

/// Reads what arrived since the last call.
fn read(
    world: &World,
    members: &[quorate_testkit::world::MemberId],
    logs: &mut [CausalLog],
    seen: &mut [usize],
) {
    for ((member, log), seen) in members.iter().zip(logs).zip(seen) {
        for received in &world.inbox(*member)[*seen..] {
            log.deliver(&Stamp::decode(&received.payload))
                .expect("nothing is delivered before what it follows");
        }
        *seen = world.inbox(*member).len();
    }
}

#[test]
fn five_talkers_at_two_fifths_lost() {
    for seed in 1..=6 {
        let mut world = World::seeded(seed)
            .loss(0.4)
            .duplicate(0.1)
            .reorder(0.2)
            .latency_between(SECOND / 100, SECOND / 5);
        let members = everybody(&mut world, NAMES);
        let mut logs: Vec<_> = (0..NAMES.len()).map(|me| CausalLog::new(me, NAMES.len())).collect();
        let mut seen = [0; NAMES.len()];
        for round in 0..ROUNDS {
            for (at, member) in members.into_iter().enumerate() {
                // Not all at once: who speaks has heard something new.
                read(&world, &members, &mut logs, &mut seen);
                let stamp = logs[at].send();
                world.send(member, stamp.encode());
                world.run_for(SECOND * (1 + (round + at as u32) % 4) / 20);
            }
        }
        world.run_until(
            |w| {
                read(w, &members, &mut logs, &mut seen);
                members.iter().all(|member| w.inbox(*member).len() == 4 * ROUNDS as usize)
            },
            240 * SECOND,
        );
        for (member, log) in members.into_iter().zip(&logs) {
            assert_eq!(log.clock(), [ROUNDS; 5]);
            assert_eq!(world.stats(member).gaps, 0, "seed {seed}");
        }
    }
}
