//! A member acknowledges what was never sent, and what is sent later: nothing is delivered by that.

use quorate_channel::sds::{AckVector, Dialect, SdsMessage};
use quorate_channel::{ChannelEvent, MessageEnvelope, NoCipher, SenderTag, envelope};
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
    let tag = SenderTag::derive(&"a".into(), world.entropy(a));
    let everything = AckVector { tag, ranges: vec![0..u64::MAX] };
    world.inject(a, sync_of("b", everything)).unwrap();
    let request = world.send(a, "b is gone");
    world.run_for(SECOND);
    world.inject(a, sync_of("stranger", AckVector { tag, ranges: vec![0..100] })).unwrap();
    world.run_for(60 * SECOND);
    assert!(!world.saw(a, ChannelEvent::Delivered { request }));
    assert!(world.stats(a).retransmissions > 3, "it is still being sent");
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
        void: Vec::new(),
    };
    MessageEnvelope {
        payload: message.encode(Dialect::Lip),
        content_topic: "/quorate/1/channel/proto".into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}
