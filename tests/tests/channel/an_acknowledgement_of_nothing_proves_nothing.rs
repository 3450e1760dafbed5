//! A member acknowledges what was never sent, and what is sent later: nothing is delivered by that.

use quorate_channel::sds::{AckVector, SdsMessage};
use quorate_channel::{ChannelEvent, MessageEnvelope, NoCipher, StructuredId, envelope};
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by};

fn plain() -> Setup {
    Setup::default().cipher(Box::new(NoCipher)).config(acknowledged_by(&["b"]))
}

#[test]
fn an_acknowledgement_ahead_of_time() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let (a, b) = (world.join("a", plain()), world.join("b", plain()));
    world.send(b, "so that b's tag is known");
    let first = world.send(a, "first");
    world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request: first }), 10 * SECOND);
    world.crash(b);
    let tag = tag_of_a(&mut world, a);
    let everything = AckVector { tag, ranges: vec![0..u64::MAX] };
    world.inject(a, sync_of("b", everything)).unwrap();
    let request = world.send(a, "b is gone");
    world.run_for(SECOND);
    world.inject(a, sync_of("stranger", AckVector { tag, ranges: vec![0..100] })).unwrap();
    world.run_for(60 * SECOND);
    assert!(!world.saw(a, ChannelEvent::Delivered { request }));
    assert!(world.stats(a).retransmissions > 3, "it is still being sent");
}

/// The tag that `a` uses, as any member learns it.
fn tag_of_a(world: &mut World, a: quorate_testkit::world::MemberId) -> quorate_channel::SenderTag {
    let spy = world.join("spy", plain());
    world.send(a, "for the spy");
    world.run_until(|w| w.inbox(spy).len() == 1, SECOND);
    world.stats(a);
    let entropy = world.seed() * 1_000_003;
    let tag = quorate_channel::SenderTag::derive(&"a".into(), entropy);
    assert!(StructuredId { tag, sequence: 0, content: [0; 4] }.to_string().len() == 22);
    tag
}

fn sync_of(sender: &str, vector: AckVector) -> MessageEnvelope {
    let message = SdsMessage {
        sender: sender.into(),
        id: "sync-1".into(),
        channel: "channel".into(),
        time: Some(1),
        history: Vec::new(),
        bloom_filter: None,
        repair: Vec::new(),
        content: bytes::Bytes::new(),
        acks: vec![vector],
        oldest: None,
    };
    MessageEnvelope {
        payload: message.encode(),
        content_topic: "/quorate/1/channel/proto".into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}
