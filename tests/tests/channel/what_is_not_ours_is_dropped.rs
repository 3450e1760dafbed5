//! Unmarked traffic, another topic, another channel on the same topic, garbage: counted, and nothing else.

use bytes::Bytes;
use quorate_channel::sds::{Dialect, SdsMessage};
use quorate_channel::{IngressError, MAX_ENVELOPE_BYTES, MessageEnvelope, NoCipher, envelope};
use quorate_testkit::world::{Setup, World};

fn envelope(payload: Bytes) -> MessageEnvelope {
    MessageEnvelope {
        payload,
        content_topic: "/quorate/1/channel/proto".into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}

fn message(channel: &str, content: &'static [u8]) -> SdsMessage {
    SdsMessage {
        sender: "x".into(),
        id: "id".into(),
        channel: channel.into(),
        time: Some(1),
        history: Vec::new(),
        bloom_filter: None,
        repair: Vec::new(),
        content: Bytes::from_static(content),
        acks: Vec::new(),
        oldest: None,
        void: Vec::new(),
    }
}

#[test]
fn it_is_counted_and_told_to_nobody() {
    let mut world = World::seeded(1);
    let a = world.join("a", Setup::default().cipher(Box::new(NoCipher)));
    let good = envelope(message("channel", b"").encode(Dialect::Lip));
    let unmarked = MessageEnvelope { meta: None, ..good.clone() };
    let marked_by_another =
        MessageEnvelope { meta: Some(Bytes::from_static(b"RELIABLE-CHANNEL-API/2")), ..good.clone() };
    let elsewhere = MessageEnvelope { content_topic: "/quorate/1/other/proto".into(), ..good.clone() };
    for foreign in [unmarked, marked_by_another, elsewhere] {
        assert_eq!(world.inject(a, foreign), Err(IngressError::Foreign));
    }
    let other = envelope(message("other channel", b"content").encode(Dialect::Lip));
    assert_eq!(world.inject(a, other), Err(IngressError::OtherChannel));
    assert!(matches!(world.inject(a, envelope(Bytes::from_static(b"garbage"))), Err(IngressError::Sds(_))));
    let no_segment = envelope(message("channel", b"no segment").encode(Dialect::Lip));
    assert!(matches!(world.inject(a, no_segment), Err(IngressError::Segment(_))));
    let future = SdsMessage { time: Some(u64::MAX), ..message("channel", b"") };
    assert!(matches!(
        world.inject(a, envelope(future.encode(Dialect::Lip))),
        Err(IngressError::FromTheFuture { .. })
    ));
    let long = envelope(vec![0; MAX_ENVELOPE_BYTES + 1].into());
    assert_eq!(world.inject(a, long), Err(IngressError::TooLarge { len: MAX_ENVELOPE_BYTES + 1 }));
    assert_eq!(world.inject(a, good), Ok(()), "a sync that says nothing");
    let stats = world.stats(a);
    assert_eq!((stats.foreign, stats.malformed, stats.from_the_future, stats.oversized), (4, 2, 1, 1));
    assert_eq!((stats.messages_received, stats.contradictory, stats.refused), (0, 0, 0));
    assert_eq!((world.events(a).len(), stats.receive_bytes), (0, 0));
}
