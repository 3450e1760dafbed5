//! What of repair, acknowledgements and filters is there after a restart, and what is not: `docs/channel.md` says it.

use crate::member::Member;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_channel::sds::{
    AckVector, BloomFilter, Dialect, FilterConfig, Fingerprint, Kind, SdsMessage, Wanted,
};
use quorate_channel::segment::Segmenter;
use quorate_channel::{
    AckPolicy, ChannelConfig, Dispatch, JoinPolicy, MessageEnvelope, MessageId, Profile, SenderTag,
    StructuredId, envelope,
};
use quorate_testkit::store::Fate;
use std::collections::BTreeSet;

/// When the worlds of these tests begin to hear strangers, in milliseconds.
const NOW: u64 = 1_704_067_200_000;

fn config() -> ChannelConfig {
    let join = JoinPolicy::Since(Wall::from_unix_millis(0));
    ChannelConfig { acks: AckPolicy::AtLeast(2), join, ..ChannelConfig::default() }
}

fn pair() -> (Member, Member) {
    (Member::new("alice", config()), Member::new("bob", config()))
}

fn sent(member: &mut Member, millis: u64, payload: &'static str) -> Dispatch {
    let (outcome, mut dispatches) = member.send(millis, payload.into());
    outcome.unwrap().unwrap();
    dispatches.remove(0)
}

fn restart(member: &mut Member, millis: u64) {
    member.restart(millis, millis, Fate::Stays);
    member.settle(millis).unwrap();
}

/// All that `member` says in a minute and a half.
fn said(member: &mut Member, from: u64) -> Vec<SdsMessage> {
    let dispatches = (0..1_800).flat_map(|step| member.time_out(from + 50 * step).unwrap());
    dispatches.map(|dispatch| message(&dispatch)).collect()
}

fn message(dispatch: &Dispatch) -> SdsMessage {
    SdsMessage::decode(Dialect::Lip, dispatch.envelope.payload.clone()).unwrap()
}

fn tag(dispatch: &Dispatch) -> SenderTag {
    StructuredId::parse(dispatch.message.as_str()).unwrap().tag
}

/// What Carol says; nobody hears her otherwise.
fn carol(number: u64, change: impl FnOnce(&mut SdsMessage)) -> MessageEnvelope {
    let mut message = SdsMessage {
        time: Some(NOW + number),
        ..SdsMessage::bare("carol".into(), format!("sync-{number}").into(), "c".into())
    };
    change(&mut message);
    MessageEnvelope {
        payload: message.encode(Dialect::Lip),
        content_topic: "/quorate/1/c/proto".into(),
        meta: Some(envelope::MARKER.into()),
        ..MessageEnvelope::default()
    }
}

/// Carol asks for a message.
fn asks(number: u64, id: &MessageId) -> MessageEnvelope {
    let wanted = Wanted { id: id.clone(), run: 1, hint: None, sender: Some("alice".into()) };
    carol(number, |message| message.repair = vec![wanted])
}

/// Carol has the first `upto` of a sender.
fn has(number: u64, tag: SenderTag, upto: u64) -> MessageEnvelope {
    carol(number, |message| message.acks = vec![AckVector { tag, ranges: vec![0..upto] }])
}

#[test]
fn others_messages_are_kept_for_repair_until_a_restart_and_own_ones_again_when_they_are_repeated() {
    for restarts in [false, true] {
        let (mut alice, mut bob) = pair();
        let one = sent(&mut alice, 1, "one");
        bob.receive(2, one.envelope.clone()).unwrap();
        if restarts {
            restart(&mut alice, 100);
            restart(&mut bob, 100);
        }
        bob.receive(200, asks(1, &one.message)).unwrap();
        let gave = said(&mut bob, 200).into_iter().any(|message| message.id == one.message);
        assert_eq!((gave, bob.machine.stats().repairs_given), (!restarts, u64::from(!restarts)));
        // Alice repeats what is hers, and from then on answers for it at once.
        assert!(said(&mut alice, 200).iter().any(|message| message.id == one.message));
        let mut again = alice.receive(100_000, asks(2, &one.message)).unwrap();
        again.extend(alice.time_out(100_001).unwrap());
        assert!(again.iter().any(|dispatch| dispatch.message == one.message), "restarted: {restarts}");
    }
}

#[test]
fn what_something_waits_for_is_asked_for_again_and_the_rest_when_it_is_spoken_of() {
    let asked = |bob: &mut Member, from: u64| {
        let wanted = said(bob, from).into_iter().flat_map(|message| message.repair);
        let numbers = wanted.map(|wanted| StructuredId::parse(wanted.id.as_str()).unwrap().sequence);
        numbers.collect::<BTreeSet<_>>()
    };
    for restarts in [false, true] {
        let (mut alice, mut bob) = pair();
        let [_, two, three] =
            [(1, "one"), (2, "two"), (3, "three")].map(|(millis, text)| sent(&mut alice, millis, text));
        // "two" waits for "one"; "three" was heard of, and nothing waits for it.
        bob.receive(4, two.envelope).unwrap();
        bob.receive(5, has(1, tag(&three), 3)).unwrap();
        if restarts {
            restart(&mut bob, 100);
        }
        let all = BTreeSet::from([0, 2]);
        assert_eq!(asked(&mut bob, 200), if restarts { BTreeSet::from([0]) } else { all.clone() });
        bob.receive(95_000, has(2, tag(&three), 3)).unwrap();
        assert_eq!(asked(&mut bob, 95_001), all, "restarted: {restarts}");
    }
}

#[test]
fn the_first_word_after_a_restart_acknowledges_all_that_was_received_before() {
    let (mut alice, mut bob) = pair();
    let dispatches: Vec<_> = (0..5).map(|number| sent(&mut alice, number, "again")).collect();
    for at in [0, 1, 3, 4] {
        bob.receive(10, dispatches[at].envelope.clone()).unwrap();
    }
    let told =
        |said: Vec<SdsMessage>| said.into_iter().find(|message| message.kind() == Kind::Sync).unwrap().acks;
    let before = told(said(&mut bob, 11));
    restart(&mut bob, 200_000);
    let after = told(said(&mut bob, 200_001));
    let all = AckVector { tag: tag(&dispatches[0]), ranges: vec![0..2, 3..5] };
    assert_eq!((before, after), (vec![all.clone()], vec![all]));
}

#[test]
fn a_filter_after_a_restart_holds_the_foreign_messages_and_not_those_that_vectors_tell_of() {
    let interop = || ChannelConfig { profile: Profile::INTEROP, ..config() };
    let (mut alice, mut bob) = (Member::new("alice", interop()), Member::new("bob", interop()));
    let ours = sent(&mut alice, 1, "ours");
    bob.receive(2, ours.envelope.clone()).unwrap();
    let segment = Segmenter::new(1_000).cut(Bytes::from("theirs")).unwrap().next().unwrap();
    let foreign = carol(1, |message| {
        (message.id, message.content) = ("foreign".into(), segment.encode().into());
    });
    bob.receive(3, foreign).unwrap();
    let holds = |bob: &mut Member, from: u64| {
        let said = said(bob, from);
        let bytes = said.iter().find_map(|message| message.bloom_filter.clone()).unwrap();
        let config = FilterConfig { capacity: 10_000, error_rate: 0.001 };
        let filter = BloomFilter::decode(Dialect::Lip, config, bytes).unwrap();
        let has = |id: &str| filter.contains(Fingerprint::of(Dialect::Lip, id));
        (has("foreign"), has(ours.message.as_str()))
    };
    assert_eq!(holds(&mut bob, 4), (true, true));
    restart(&mut bob, 200_000);
    assert_eq!(holds(&mut bob, 200_001), (true, false));
}
