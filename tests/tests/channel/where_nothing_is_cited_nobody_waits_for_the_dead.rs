//! A member that is gone was cited by another; who joins then cannot get what it had said. Where messages cite
//! nothing, who joins does not wait for it.

use quorate_channel::ChannelConfig;
use quorate_testkit::world::{Setup, World};
use quorate_tests::SECOND;

/// How many payloads a newcomer has soon after it joined.
fn soon(causal_history: usize) -> usize {
    let mut world = World::seeded(1).latency(SECOND / 50);
    let setup = || Setup::default().config(ChannelConfig { causal_history, ..ChannelConfig::default() });
    let (killed, stays) = (world.join("killed", setup()), world.join("stays", setup()));
    world.send(killed, "its last words");
    world.run_until(|world| world.inbox(stays).len() == 1, 10 * SECOND);
    world.crash(killed);
    let late = world.join("late", setup());
    world.send(stays, "a report");
    world.send(stays, "another");
    world.run_for(5 * SECOND);
    world.inbox(late).len()
}

#[test]
fn a_newcomer_has_at_once_what_it_would_wait_for_in_causal_order() {
    assert_eq!((soon(0), soon(2)), (2, 0));
}
