//! One participant has another key: it opens nothing, counts everything it was sent, and disturbs nobody.

use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by, everybody, from, payload};

#[test]
fn decrypt_failed_equals_what_it_was_sent() {
    let mut world = World::seeded(9).loss(0.2).duplicate(0.1).latency(SECOND / 20);
    let [a, b] = everybody(&mut world, ["a", "b"]);
    let mallory = world.join("mallory", Setup::default().key([66; 32]).config(acknowledged_by(&["a"])));
    let forged = world.send(mallory, "let me in");
    let sent: Vec<_> = (0..20).map(|number| payload(number, 150_000)).collect();
    for bytes in &sent {
        world.send(a, bytes.clone());
        world.send(b, bytes.clone());
    }
    world.run_until(|w| w.is_idle(a) && w.is_idle(b), 60 * SECOND);
    let stats = world.stats(mallory);
    assert_eq!(stats.decrypt_failed, world.envelopes_to(mallory));
    assert!(stats.decrypt_failed > 60 && world.inbox(mallory).is_empty());
    assert_eq!((stats.receive_bytes, stats.waiting, stats.malformed), (0, 0, 0));
    assert_eq!(
        (from(&world, b, a), from(&world, a, b)),
        (sent.iter().map(Vec::as_slice).collect(), sent.iter().map(Vec::as_slice).collect())
    );
    assert!(world.stats(a).decrypt_failed > 0, "mallory's own do not open either");
    assert!(!world.saw(mallory, quorate_channel::ChannelEvent::Delivered { request: forged }));
}
