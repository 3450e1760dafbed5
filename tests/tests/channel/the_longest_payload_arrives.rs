//! 26 MB, the most that one payload may have: 256 segments, at 20 % loss, at two receivers.

use quorate_channel::{ChannelEvent, SendOptions, SendRefused};
use quorate_testkit::world::World;
use quorate_tests::{SECOND, everybody, payload};

const LONGEST: usize = 256 * 102_272;

#[test]
fn at_a_fifth_lost() {
    let mut world = World::seeded(2).loss(0.2).latency(SECOND / 20);
    let [a, b, c] = everybody(&mut world, ["a", "b", "c"]);
    let bytes = payload(1, LONGEST);
    let request = world.send(a, bytes.clone());
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request }), 60 * SECOND);
    for member in [b, c] {
        assert!(world.inbox(member)[0].payload == bytes);
        assert_eq!(world.stats(member).receive_bytes, 0);
    }
    let too_long = world.try_send(a, vec![0; LONGEST + 1], SendOptions::default());
    assert!(matches!(too_long, Err(SendRefused::Payload(_))));
}
