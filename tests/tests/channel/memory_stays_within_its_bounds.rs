//! A member who knows the key sends what nobody can finish: what a channel holds stays within its
//! configuration, and everybody else is served.

use bytes::Bytes;
use quorate_channel::sds::{Dependency, Dialect, SdsMessage};
use quorate_channel::segment::{Segment, Segmenter};
use quorate_channel::{
    ChannelConfig, ChannelEvent, MessageEnvelope, MessageId, NoCipher, SenderTag, StructuredId, envelope,
};
use quorate_testkit::world::{MemberId, Setup, World};
use quorate_tests::{SECOND, acknowledged_by, payload};

const TOTAL: usize = 4 << 20;
const PER_SENDER: usize = 1 << 20;
/// One payload may exceed the total, so that what others wait for gets through.
const ONE: usize = 310_000;

fn config(roster: &[&str]) -> ChannelConfig {
    ChannelConfig {
        max_receive_bytes: TOTAL,
        max_receive_bytes_per_sender: PER_SENDER,
        max_incomplete: 64,
        ..acknowledged_by(roster)
    }
}

fn world() -> (World, MemberId, MemberId) {
    let mut world = World::seeded(1).loss(0.2).latency(SECOND / 20);
    let mut join =
        |name, other| world.join(name, Setup::default().cipher(Box::new(NoCipher)).config(config(&[other])));
    let (a, b) = (join("a", "b"), join("b", "a"));
    (world, a, b)
}

/// A message of participant `mallory`, or of one that calls itself so.
fn hostile(
    world: &World,
    to: MemberId,
    sender: &str,
    id: MessageId,
    history: Vec<Dependency>,
    segment: Segment,
) -> MessageEnvelope {
    let message = SdsMessage {
        sender: sender.into(),
        id,
        channel: "channel".into(),
        time: Some(world.now(to).wall.unix_millis()),
        history,
        bloom_filter: None,
        repair: Vec::new(),
        content: segment.encode().into(),
        acks: Vec::new(),
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

/// The first half of a payload of 130,000 bytes, of which nobody has the other.
fn half(number: u32) -> Segment {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let payload = Bytes::from(vec![7; 65_000]);
    Segment {
        hash,
        length: Some(130_000),
        index: 0,
        data_count: 2,
        parity_count: 0,
        is_parity: false,
        payload,
    }
}

fn id(tag: u8, sequence: u64, segment: &Segment) -> MessageId {
    let mut content = [0; 4];
    content.copy_from_slice(&segment.hash[..4]);
    StructuredId { tag: SenderTag([tag; 6]), sequence, content }.to_message_id()
}

/// What `b` holds never exceeds the bound, and `a` gets through to it.
fn served(mut world: World, a: MemberId, b: MemberId) {
    let request = world.send(a, payload(1, 300_000));
    world.run_until(
        |w| {
            assert!(w.stats(b).receive_bytes <= (TOTAL + ONE) as u64);
            w.saw(a, ChannelEvent::Delivered { request })
        },
        // When every name is taken, as soon as what nobody finished was given up.
        400 * SECOND,
    );
    world.run_for(900 * SECOND);
    assert_eq!(world.stats(b).receive_bytes, 0, "all of it is given up in the end");
}

#[test]
fn halves_of_payloads_from_one_sender() {
    let (mut world, a, b) = world();
    for number in 0..2_000_u64 {
        let segment = half(number as u32);
        let _ = world.inject(b, hostile(&world, b, "mallory", id(9, number * 2, &segment), vec![], segment));
        assert!(world.stats(b).receive_bytes <= PER_SENDER as u64);
    }
    served(world, a, b);
}

#[test]
fn halves_of_payloads_from_many_names() {
    let (mut world, a, b) = world();
    for number in 0..500_u64 {
        let segment = half(number as u32);
        let (name, id) = (format!("mallory {number}"), id(number as u8, number * 2, &segment));
        let _ = world.inject(b, hostile(&world, b, &name, id, vec![], segment));
        assert!(world.stats(b).receive_bytes <= (TOTAL + ONE) as u64);
    }
    served(world, a, b);
}

/// Whole payloads of one byte that wait for what will never come: what is kept beside the bytes counts too.
#[test]
fn tiny_payloads_that_wait_for_ever() {
    let (mut world, a, b) = world();
    let mut waiting = 0;
    for number in 0..20_000_u64 {
        let segment = Segmenter::new(256).cut(payload(number as u32, 4).into()).unwrap().next().unwrap();
        let past = Dependency { id: format!("never {number}").into(), time: None, hint: None, sender: None };
        let _ = world.inject(b, hostile(&world, b, "mallory", id(9, number, &segment), vec![past], segment));
        waiting = world.stats(b).waiting;
    }
    assert!(waiting <= (PER_SENDER / 256) as u64, "{waiting} wait");
    served(world, a, b);
}

/// Long histories with long ids are what a message may cost, not what it may cost for free.
#[test]
fn histories_without_end() {
    let (mut world, a, b) = world();
    let mut accepted = 0;
    for number in 0..500_u64 {
        let segment =
            Segmenter::new(256).cut(Bytes::from(payload(number as u32, 200))).unwrap().next().unwrap();
        let dependency = |at: u64| Dependency {
            id: format!("{number} {at:0100}").into(),
            time: None,
            hint: None,
            sender: None,
        };
        let past = (0..1_000).map(dependency).collect();
        accepted += u64::from(
            world
                .inject(b, hostile(&world, b, "mallory", id(9, number * 2, &segment), past, segment))
                .is_ok(),
        );
    }
    assert!(accepted <= (PER_SENDER / 100_000) as u64, "{accepted} histories of 100 kB each");
    served(world, a, b);
}
