//! When a message is sent again, and when no more.

use super::*;
use crate::ids::SenderTag;

const REQUEST: RequestId = RequestId(1);

fn message(text: &'static str) -> SdsMessage {
    SdsMessage { content: text.into(), ..SdsMessage::bare("alice".into(), "id".into(), "c".into()) }
}

fn at(millis: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(millis))
}

fn outgoing(policy: AckPolicy, messages: u64) -> Outgoing {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).jitter(0.0);
    let mut outgoing = Outgoing::new(policy, backoff);
    for sequence in 0..messages {
        let id = StructuredId { tag: SenderTag([1; 6]), sequence, content: [0; 4] };
        outgoing.push(id, message("message"), REQUEST);
    }
    outgoing
}

#[test]
fn no_timer_runs_before_an_attempt_ended() {
    let mut outgoing = outgoing(AckPolicy::Any, 1);
    assert_eq!(outgoing.poll_timeout(), None);
    assert_eq!(outgoing.attempt(0).unwrap().attempt, 0);
    assert_eq!(outgoing.poll_timeout(), None);
    outgoing.handle_attempted(at(10), 0, true, 0.5);
    assert_eq!(outgoing.poll_timeout(), Some(at(110)));
    assert_eq!(outgoing.poll_due(at(109)), None);
    assert_eq!(outgoing.poll_due(at(110)), Some(0));
    assert_eq!(outgoing.poll_due(at(500)), None, "queued once");
    assert_eq!(outgoing.attempt(0).unwrap().attempt, 1);
    outgoing.handle_attempted(at(120), 0, true, 0.5);
    assert_eq!(outgoing.poll_timeout(), Some(at(320)), "the distance doubles");
}

#[test]
fn an_acknowledgement_cancels_a_queued_attempt() {
    let mut outgoing = outgoing(AckPolicy::Any, 1);
    let acknowledged = outgoing.handle_ack(at(1), &"bob".into(), &[0..1]);
    assert_eq!(acknowledged, [Acknowledged { request: REQUEST, sequence: 0, satisfied: true }]);
    assert!(outgoing.attempt(0).is_none());
    assert_eq!((outgoing.len(), outgoing.bytes()), (0, 0));
}

#[test]
fn all_means_every_name_on_the_roster_and_nobody_counts_twice() {
    let roster = ["bob", "carol"].map(ParticipantId::from).into();
    let mut outgoing = outgoing(AckPolicy::All(roster), 2);
    let (bob, mallory) = ("bob".into(), "mallory".into());
    assert!(!outgoing.handle_ack(at(1), &bob, &[0..2])[1].satisfied);
    assert_eq!(outgoing.handle_ack(at(2), &bob, &[0..2]), [], "no news");
    assert!(!outgoing.handle_ack(at(2), &mallory, &[0..2])[0].satisfied);
    assert_eq!(outgoing.lacking(0..2), ["carol".into()].into());
    let half = outgoing.handle_ack(at(3), &"carol".into(), &[1..2]);
    assert_eq!(half, [Acknowledged { request: REQUEST, sequence: 1, satisfied: false }]);
    assert_eq!((outgoing.oldest(), outgoing.len()), (Some(0), 1), "what everybody has is not repeated");
    let done = outgoing.handle_ack(at(4), &"carol".into(), &[0..1]);
    assert_eq!(done, [Acknowledged { request: REQUEST, sequence: 0, satisfied: true }]);
    assert_eq!(outgoing.oldest(), None);
}

#[test]
fn halves_in_two_hands_are_no_whole() {
    let mut outgoing = outgoing(AckPolicy::Any, 2);
    for sequence in 0..2 {
        outgoing.attempt(sequence);
        outgoing.handle_attempted(at(0), sequence, true, 0.5);
    }
    assert!(!outgoing.handle_ack(at(1), &"bob".into(), &[0..1])[0].satisfied);
    assert!(!outgoing.handle_ack(at(2), &"carol".into(), &[1..2])[0].satisfied);
    assert_eq!(outgoing.len(), 2);
    assert_eq!(outgoing.poll_due(at(1_001)), None, "either may still get the other half");
    assert_eq!((outgoing.poll_due(at(1_002)), outgoing.poll_due(at(1_002))), (Some(0), Some(1)));
    assert!(outgoing.handle_ack(at(1_003), &"bob".into(), &[0..2])[0].satisfied);
    assert!(outgoing.is_empty() && outgoing.poll_timeout().is_none());
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_acknowledges_nothing_now_or_later() {
    let mut outgoing = outgoing(AckPolicy::Any, 1);
    assert_eq!(outgoing.handle_ack(at(1), &"bob".into(), &[1..u64::MAX]), []);
    let id = StructuredId { tag: SenderTag([1; 6]), sequence: 1, content: [0; 4] };
    outgoing.push(id, message("later"), REQUEST);
    assert_eq!(outgoing.len(), 2);
    assert_eq!(outgoing.handle_ack(at(2), &"bob".into(), &[0..2]).len(), 2);
}

#[test]
fn who_has_a_later_message_gets_an_earlier_one_soon() {
    let mut outgoing = outgoing(AckPolicy::All(["bob".into()].into()), 3);
    let mut now = 0;
    for _ in 0..6 {
        for sequence in 0..2 {
            outgoing.attempt(sequence);
            outgoing.handle_attempted(at(now), sequence, true, 0.5);
        }
        now = outgoing.poll_timeout().unwrap().elapsed().as_millis() as u64;
        while outgoing.poll_due(at(now)).is_some() {}
    }
    for sequence in 0..3 {
        outgoing.attempt(sequence);
        outgoing.handle_attempted(at(now), sequence, true, 0.5);
    }
    outgoing.handle_ack(at(now + 50), &"mallory".into(), &[2..3]);
    assert_eq!(outgoing.poll_due(at(now + 100)), Some(2), "tried once");
    assert_eq!(outgoing.poll_due(at(now + 100)), None, "the others wait for a second");
    outgoing.handle_ack(at(now + 150), &"bob".into(), &[2..3]);
    assert_eq!((outgoing.poll_due(at(now + 150)), outgoing.poll_due(at(now + 150))), (Some(0), Some(1)));
}

#[test]
fn slow_acknowledgements_stretch_the_timer() {
    let mut outgoing = outgoing(AckPolicy::Any, 1);
    outgoing.attempt(0);
    outgoing.handle_attempted(at(0), 0, true, 0.5);
    outgoing.handle_ack(at(400), &"bob".into(), &[0..1]);
    let id = StructuredId { tag: SenderTag([1; 6]), sequence: 1, content: [0; 4] };
    outgoing.push(id, message("another send"), RequestId(2));
    outgoing.attempt(1);
    outgoing.handle_attempted(at(400), 1, true, 0.5);
    assert_eq!(outgoing.poll_timeout(), Some(at(400 + 100 + 1_100)));
}
