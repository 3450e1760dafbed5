//! A member who lies about everything that a key of the group lets it lie about.

use quorate_channel::sds::{AckVector, Dialect, SdsMessage, Wanted};
use quorate_channel::{MessageEnvelope, SenderTag, envelope};
use quorate_testkit::world::{MemberId, World};

/// The last of `members` tells each of the others, in the name of a third, that everything of theirs arrived; and asks
/// for repairs of what never was.
pub(super) fn forge(world: &mut World, members: &[MemberId], second: u64) {
    let Some((_, victims)) = members.split_last() else { return };
    for (at, victim) in victims.iter().enumerate() {
        let other = victims[(at + 1 + second as usize) % victims.len()];
        let name = world.name(other).to_owned();
        let tag = SenderTag::derive(&world.name(*victim).into(), world.entropy(*victim));
        let everything = AckVector { tag, ranges: vec![0..1 << 40] };
        let wished = |number: u64| Wanted {
            id: format!("never sent {second} {number}").into(),
            run: 1,
            hint: None,
            sender: Some(name.as_str().into()),
        };
        let time = world.now(*victim).wall.unix_millis();
        let message = SdsMessage {
            sender: name.as_str().into(),
            id: format!("forged {second} {at}").into(),
            channel: "channel".into(),
            time: Some(time),
            repair: (0..8).map(wished).collect(),
            acks: vec![everything],
            history: Vec::new(),
            bloom_filter: None,
            content: bytes::Bytes::new(),
            oldest: None,
            void: Vec::new(),
        };
        let forged = MessageEnvelope {
            payload: message.encode(Dialect::Lip),
            content_topic: "/quorate/1/channel/proto".into(),
            meta: Some(envelope::MARKER.into()),
            ..MessageEnvelope::default()
        };
        // Whether it is refused is what the run shows.
        let _ = world.inject(*victim, forged);
    }
}
