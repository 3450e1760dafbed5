//! What a participant finds when it opens its store again: itself, its open sends, what it half received, its log.

use crate::member::{Member, at};
use bytes::Bytes;
use quorate_base::{Entries, MemoryStore, Store};
use quorate_channel::{
    AckPolicy, ChannelConfig, ChannelEvent, Dispatch, DispatchOutcome, EventSeq, Identity, IngressError,
    Missing, NoCipher, Output, ParticipantId, Recovery, RecoveryError, ReliableChannel, SendOptions,
    SendRefused,
};
use quorate_testkit::store::Fate;

fn config(other: &str) -> ChannelConfig {
    ChannelConfig { acks: AckPolicy::All([ParticipantId::from(other)].into()), ..ChannelConfig::default() }
}

fn pair() -> (Member, Member) {
    (Member::new("alice", config("bob")), Member::new("bob", config("alice")))
}

fn sent(member: &mut Member, millis: u64, payload: impl Into<Bytes>) -> Vec<Dispatch> {
    let (outcome, dispatches) = member.send(millis, payload.into());
    outcome.unwrap().unwrap();
    dispatches
}

fn deliver(to: &mut Member, millis: u64, dispatches: Vec<Dispatch>) -> Vec<Dispatch> {
    dispatches.into_iter().flat_map(|dispatch| to.receive(millis, dispatch.envelope).unwrap()).collect()
}

fn restart(member: &mut Member, millis: u64) -> Vec<Dispatch> {
    member.restart(millis, millis, Fate::Stays);
    member.settle(millis).unwrap()
}

fn payloads(member: &Member) -> Vec<Bytes> {
    member.received().into_iter().map(|(_, payload)| payload).collect()
}

#[test]
fn a_send_that_had_not_left_leaves_and_its_outcomes_are_told() {
    let (mut alice, mut bob) = pair();
    drop(sent(&mut alice, 1, "one")); // the network never saw it
    let dispatches = restart(&mut alice, 2_000);
    // It had left as far as anybody knew, so it is repeated when its time comes.
    assert!(dispatches.is_empty());
    let again = (0..100).flat_map(|step| alice.time_out(2_000 + 50 * step).unwrap()).collect();
    deliver(&mut bob, 8_000, again);
    let syncs = bob.time_out(8_100).unwrap();
    deliver(&mut alice, 8_101, syncs);
    assert_eq!(payloads(&bob), ["one"]);
    let request = alice.accepted[0];
    let told: Vec<_> = alice.told.iter().map(|(_, event)| event.clone()).collect();
    let by = ParticipantId::from("bob");
    let expected = [
        ChannelEvent::Sent { request },
        ChannelEvent::Acknowledged { request, by },
        ChannelEvent::Delivered { request },
    ];
    assert_eq!(told, expected);
    assert_eq!(alice.records(b'm') + alice.records(b'r'), 0, "what was delivered is kept no longer");
}

/// Alice waits for Bob and Carol; Bob has all of three segments, Carol only the first. Then she opens again with `policy`.
fn opened_again_with(policy: AckPolicy) -> Member {
    let roster = ["bob", "carol"].map(ParticipantId::from).into();
    let config = ChannelConfig { acks: AckPolicy::All(roster), ..ChannelConfig::default() };
    let mut alice = Member::new("alice", config);
    let (mut bob, mut carol) =
        (Member::new("bob", self::config("alice")), Member::new("carol", self::config("alice")));
    let dispatches = sent(&mut alice, 1, vec![1; 250_000]);
    deliver(&mut bob, 2, dispatches.clone());
    deliver(&mut carol, 2, dispatches[..1].to_vec());
    for member in [&mut bob, &mut carol] {
        let syncs = member.time_out(200).unwrap();
        deliver(&mut alice, 201, syncs);
    }
    assert_eq!(alice.records(b'm'), 2, "what everybody has is kept no longer");
    alice.config.acks = policy;
    restart(&mut alice, 300);
    alice
}

#[test]
fn what_was_acknowledged_before_is_judged_by_the_policy_of_the_latest_opening() {
    let told =
        |alice: &Member| alice.told.iter().any(|(_, event)| matches!(event, ChannelEvent::Delivered { .. }));
    let roster =
        |names: &[&str]| AckPolicy::All(names.iter().map(|name| ParticipantId::from(*name)).collect());
    for enough in [AckPolicy::Any, AckPolicy::AtLeast(1), roster(&["bob"])] {
        let alice = opened_again_with(enough.clone());
        assert!(told(&alice), "{enough:?}");
        assert_eq!(alice.records(b'm') + alice.records(b'r'), 0, "{enough:?}: nothing of it stays");
    }
    // Carol has one of three; that the others of the first were removed makes her no whole.
    for (lacking, kept) in
        [(AckPolicy::AtLeast(2), 2), (roster(&["carol"]), 2), (roster(&["bob", "dave"]), 2)]
    {
        let alice = opened_again_with(lacking.clone());
        assert!(!told(&alice), "{lacking:?}");
        assert_eq!((alice.records(b'm'), alice.records(b'r')), (kept, 1), "{lacking:?}");
    }
}

#[test]
fn a_message_is_known_for_ever_and_delivered_once() {
    let (mut alice, mut bob) = pair();
    let dispatches = sent(&mut alice, 1, "one");
    deliver(&mut bob, 2, dispatches.clone());
    restart(&mut bob, 100);
    deliver(&mut bob, 101, dispatches);
    assert_eq!(payloads(&bob), ["one"]);
    assert_eq!(bob.machine.stats().duplicates, 1);
}

#[test]
fn what_is_half_there_and_what_waits_for_its_past_survive() {
    let (mut alice, mut bob) = pair();
    let first = sent(&mut alice, 1, vec![1; 250_000]); // three segments
    let second = sent(&mut alice, 2, "second");
    deliver(&mut bob, 3, first[..2].to_vec());
    deliver(&mut bob, 4, second);
    assert_eq!(bob.records(b'w'), 3);
    restart(&mut bob, 1_000);
    assert_eq!(bob.received(), []);
    deliver(&mut bob, 1_001, first[2..].to_vec());
    assert_eq!(payloads(&bob), [Bytes::from(vec![1; 250_000]), Bytes::from("second")]);
    assert_eq!(bob.records(b'w'), 0, "delivered messages are kept no longer");
}

#[test]
fn what_is_left_of_a_deadline_is_left_after_restarts() {
    let (mut alice, mut bob) = pair();
    drop(sent(&mut alice, 1, "lost"));
    let second = sent(&mut alice, 2, "second");
    deliver(&mut bob, 3, second);
    // Two minutes in pieces of 50 s; the time in between, when the channel is closed, does not count.
    let mut millis = 3;
    for _ in 0..3 {
        for _ in 0..50 {
            millis += 1_000;
            bob.time_out(millis).unwrap();
        }
        millis += 3_600_000;
        restart(&mut bob, millis);
    }
    let told: Vec<_> = bob.told.iter().map(|(_, event)| event).collect();
    let lost =
        |missing: &Missing| matches!(missing, Missing::Segments { sequences, .. } if *sequences == (0..1));
    let [ChannelEvent::Gap { missing }, ChannelEvent::Received { .. }] = told[..] else { panic!("{told:?}") };
    assert!(missing.iter().all(lost), "{missing:?}");
}

#[test]
fn an_application_without_a_cursor_sees_the_unconfirmed_again_and_one_with_it_does_not() {
    for keeps_cursor in [true, false] {
        let (mut alice, mut bob) = pair();
        bob.keeps_cursor = keeps_cursor;
        for number in 0..4u8 {
            let dispatches = sent(&mut alice, 1 + u64::from(number), vec![number]);
            deliver(&mut bob, 10, dispatches);
            if number == 1 {
                bob.confirm(11).unwrap();
            }
        }
        assert_eq!(bob.machine.events(), (EventSeq(2), EventSeq(4)));
        let before = bob.told.clone();
        restart(&mut bob, 1_000);
        assert_eq!(bob.told, before, "the log tells the same again, under the same numbers");
        bob.confirm(1_001).unwrap();
        assert_eq!(bob.records(b'e'), 0, "what is confirmed is kept no longer");
    }
}

#[test]
fn a_log_that_nobody_confirms_stops_the_intake_and_not_the_outcomes() {
    let config = ChannelConfig { max_unconfirmed_events: 3, ..config("alice") };
    let (mut alice, mut bob) = (pair().0, Member::new("bob", config));
    let mut all = Vec::new();
    for number in 0..5u8 {
        all.extend(sent(&mut alice, 2 + u64::from(number), vec![number]));
    }
    deliver(&mut bob, 10, all.clone());
    assert_eq!(bob.received().len(), 3);
    let refused = bob.machine.handle_envelope(bob.now(11), all[3].envelope.clone());
    assert_eq!(refused, Err(IngressError::Full), "not taken, so not acknowledged");
    let (outcome, _) = bob.send(12, "no room".into());
    assert_eq!(outcome, Some(Err(SendRefused::Unconfirmed { events: 3 })));
    bob.confirm(13).unwrap();
    deliver(&mut bob, 14, all);
    assert_eq!(bob.received().len(), 5);
}

#[test]
fn what_a_message_costs_does_not_grow_with_what_came_before() {
    let (mut alice, mut bob) = pair();
    let mut costs = Vec::new();
    for number in 0..600u64 {
        let millis = 1 + number * 200;
        let dispatches = sent(&mut alice, millis, vec![7; 100]);
        deliver(&mut bob, millis + 1, dispatches);
        for _ in 0..3 {
            let syncs = bob.time_out(millis + 100).unwrap();
            deliver(&mut alice, millis + 101, syncs);
        }
        alice.confirm(millis + 102).unwrap();
        bob.confirm(millis + 103).unwrap();
        costs.push((alice.disk.operations(), bob.disk.operations()));
    }
    let records = |member: &Member| (b'a'..=b'z').map(|letter| member.records(letter)).sum::<usize>();
    assert!(records(&alice) < 12 && records(&bob) < 12, "{} and {} records", records(&alice), records(&bob));
    let spent = |from: usize, to: usize| costs[to].0 + costs[to].1 - costs[from].0 - costs[from].1;
    let (early, late) = (spent(50, 150), spent(499, 599));
    assert!(late * 10 <= early * 11, "100 messages wrote {early} pages at first and {late} later");
}

/// Alice's records after a send that nobody has, as they lie in a store.
fn records() -> Vec<(Bytes, Bytes)> {
    let store = MemoryStore::new();
    let mut alice = open("alice", Recovery::new(&"c".into())).unwrap();
    alice.handle_send(at(1, 0), vec![1; 300].into(), SendOptions::default()).unwrap();
    drain(&mut alice, &store);
    Entries::new(&store, "").collect::<Result<_, _>>().unwrap()
}

fn drain(channel: &mut ReliableChannel, store: &MemoryStore) {
    while let Some(output) = channel.poll_output() {
        match output {
            Output::Write(op) => store.commit([op].into_iter().collect()).unwrap(),
            Output::Dispatch(dispatch) => {
                channel.handle_dispatched(at(1, 0), dispatch.id, DispatchOutcome::Confirmed);
            }
            _ => {}
        }
    }
}

fn open(participant: &str, recovery: Recovery) -> Result<ReliableChannel, RecoveryError> {
    let identity = Identity { channel: "c".into(), topic: "/t".into(), participant: participant.into() };
    ReliableChannel::open_durable(
        at(5, 0),
        identity,
        ChannelConfig::default(),
        Box::new(NoCipher),
        9,
        recovery,
    )
}

fn recover(participant: &str, records: Vec<(Bytes, Bytes)>) -> Result<ReliableChannel, RecoveryError> {
    let mut recovery = Recovery::new(&"c".into());
    for record in records {
        recovery.handle_record(record)?;
    }
    open(participant, recovery)
}

#[test]
fn records_that_do_not_fit_together_are_an_error_that_says_so() {
    let whole = records();
    let letter = |key: &Bytes| key[Recovery::new(&"c".into()).prefix().len()];
    recover("alice", whole.clone()).unwrap();
    assert_eq!(
        recover("bob", whole.clone()).unwrap_err(),
        RecoveryError::OtherParticipant { found: "alice".into() }
    );
    // Without what the others refer to, nothing is guessed.
    for gone in [b'a', b'c', b'r', b'e'] {
        let rest = whole.iter().filter(|(key, _)| letter(key) != gone).cloned().collect();
        let outcome = recover("alice", rest);
        assert!(
            matches!(outcome, Err(RecoveryError::Damaged { .. })),
            "without {}: {outcome:?}",
            gone as char
        );
    }
    // A newer schema is refused.
    let newer = |(key, value): &(Bytes, Bytes)| {
        let value = if letter(key) == b'a' { [&[8, 2], &value[2..]].concat().into() } else { value.clone() };
        (key.clone(), value)
    };
    let outcome = recover("alice", whole.iter().map(newer).collect());
    assert_eq!(outcome.unwrap_err(), RecoveryError::NewerSchema { found: 2, known: 1 });
    // A store that holds none of this channel's records is a new channel.
    assert_eq!(open("alice", Recovery::new(&"c".into())).unwrap().events(), (EventSeq(0), EventSeq(0)));
}

#[test]
fn a_restarted_participant_is_the_same_incarnation() {
    let (mut alice, mut bob) = pair();
    let tag = |dispatches: &[Dispatch]| dispatches[0].message.as_str()[..8].to_owned();
    let before = sent(&mut alice, 1, "one");
    deliver(&mut bob, 2, before.clone());
    restart(&mut alice, 500);
    let after = sent(&mut alice, 501, "two");
    assert_eq!(tag(&before), tag(&after));
    deliver(&mut bob, 502, after);
    assert_eq!(payloads(&bob), ["one", "two"]);
}
