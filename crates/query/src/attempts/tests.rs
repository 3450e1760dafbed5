//! The fan-out alone: every attempt ends, every repetition waits, the rest is counted.

use super::*;
use crate::sim::ms;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;

type Fanned = Attempts<&'static str, &'static str>;

fn config() -> AttemptsConfig {
    AttemptsConfig {
        attempt_timeout: ms(100),
        deadline: ms(1_000),
        attempts: NonZeroU32::new(2).unwrap(),
        rounds: 1,
        ..AttemptsConfig::default()
    }
}

fn asks(attempts: &mut Fanned) -> Vec<(&'static str, AttemptId)> {
    let mut asked = Vec::new();
    while let Some(output) = attempts.poll_output() {
        if let AttemptOutput::Ask { peer, attempt, .. } = output {
            asked.push((peer, attempt));
        }
    }
    asked
}

fn at(millis: u64) -> Mono {
    Mono::from_origin(ms(millis))
}

#[test]
fn who_asks_for_time_gets_it_up_to_the_deadline() {
    let mut attempts = Fanned::new(at(0), ["a", "b"], config(), 1);
    let [(_, first), (_, second)] = asks(&mut attempts)[..] else { panic!("two") };
    assert_eq!(
        attempts.handle_deferred(at(1), first, "later", ms(500)),
        Some(Lapse { peer: 0, spent: false })
    );
    assert_eq!(
        attempts.handle_deferred(at(1), second, "much later", ms(999)),
        Some(Lapse { peer: 1, spent: true })
    );
    assert_eq!(attempts.poll_timeout(), Some(at(501)));
    assert_eq!(attempts.handle_timeout(at(500)), None);
    assert_eq!(asks(&mut attempts), []);
    assert_eq!(attempts.handle_timeout(at(501)), None);
    assert_eq!(asks(&mut attempts).len(), 1);
}

#[test]
fn everybody_is_asked_at_once_and_each_once() {
    let mut attempts = Fanned::new(at(0), ["a", "b", "a", "c"], config(), 1);
    let names: Vec<_> = asks(&mut attempts).into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn every_attempt_has_a_timeout_the_repeated_one_too() {
    let mut attempts = Fanned::new(at(0), ["a"], config(), 1);
    let [(_, first)] = asks(&mut attempts)[..] else { panic!("one") };
    assert_eq!(attempts.poll_timeout(), Some(at(100)));
    assert_eq!(attempts.handle_timeout(at(100)), Some(Lapse { peer: 0, spent: false }));
    let again = attempts.poll_timeout().expect("a pause");
    assert!(again > at(100), "a pause comes first");
    assert_eq!(attempts.handle_timeout(again), None);
    let [(_, second)] = asks(&mut attempts)[..] else { panic!("one more") };
    assert_ne!(first, second);
    assert_eq!(attempts.handle_answered(again, first), None, "the first one is late");
    assert_eq!(attempts.late(), 1);
    let ends = attempts.poll_timeout().expect("a timeout");
    assert_eq!(ends.since(again), ms(100));
    assert_eq!(attempts.handle_timeout(ends), Some(Lapse { peer: 0, spent: true }));
    assert!(attempts.open().is_empty() && attempts.poll_timeout().is_none());
    let outcomes: Vec<_> = attempts.history().map(|record| record.outcome.clone()).collect();
    assert_eq!(outcomes, [AttemptOutcome::TimedOut, AttemptOutcome::TimedOut]);
}

#[test]
fn an_attempt_does_not_outlive_the_deadline() {
    let mut attempts = Fanned::new(at(950), ["a"], config().within(ms(40)), 1);
    let Some(AttemptOutput::Ask { timeout, .. }) = attempts.poll_output() else { panic!("one") };
    assert_eq!((timeout, attempts.deadline()), (ms(40), at(990)));
}

#[test]
fn a_final_failure_is_not_repeated() {
    let mut attempts = Fanned::new(at(0), ["a"], config(), 1);
    let [(_, attempt)] = asks(&mut attempts)[..] else { panic!("one") };
    assert_eq!(attempts.handle_failed(at(1), attempt, "no", false), Some(Lapse { peer: 0, spent: true }));
    assert_eq!(attempts.poll_timeout(), None);
}

#[test]
fn rounds_are_counted_and_wait_even_without_a_backoff() {
    let mut hot = config();
    hot.backoff = quorate_base::Backoff::new(Duration::ZERO, Duration::ZERO);
    let mut attempts = Fanned::new(at(0), ["a"], hot, 1);
    let [(_, attempt)] = asks(&mut attempts)[..] else { panic!("one") };
    assert!(!attempts.ask_again(at(0), 0), "it is being asked");
    attempts.handle_answered(at(1), attempt);
    assert!(attempts.ask_again(at(1), 0));
    assert_eq!(attempts.poll_timeout(), Some(at(2)), "a pause of a millisecond at least");
    attempts.handle_timeout(at(2));
    let [(_, attempt)] = asks(&mut attempts)[..] else { panic!("one") };
    attempts.handle_answered(at(3), attempt);
    assert!(!attempts.ask_again(at(3), 0), "no round is left");
    assert!(!attempts.ask_again(at(3), 9), "nobody");
}

#[test]
fn a_hedge_asks_one_more_when_time_passes_or_one_fails() {
    let hedged = Fanout::Hedged { first: NonZeroUsize::new(2).unwrap(), after: ms(30) };
    let mut attempts =
        Fanned::new(at(0), ["a", "b", "c", "d"], AttemptsConfig { fanout: hedged, ..config() }, 1);
    let first = asks(&mut attempts);
    assert_eq!(first.len(), 2);
    assert_eq!(attempts.poll_timeout(), Some(at(30)));
    attempts.handle_failed(at(10), first[0].1, "no", false);
    assert_eq!(asks(&mut attempts)[0].0, "c", "in its place");
    assert_eq!(attempts.poll_timeout(), Some(at(40)));
    attempts.handle_timeout(at(40));
    assert_eq!(asks(&mut attempts)[0].0, "d");
    assert_eq!(attempts.open().len(), 3);
}

#[test]
fn stopping_cancels_what_is_in_flight_and_nothing_else() {
    let hedged = Fanout::Hedged { first: NonZeroUsize::new(2).unwrap(), after: ms(30) };
    let mut attempts = Fanned::new(at(0), ["a", "b", "c"], AttemptsConfig { fanout: hedged, ..config() }, 1);
    let first = asks(&mut attempts);
    attempts.handle_answered(at(1), first[0].1);
    attempts.stop(at(2));
    assert_eq!(attempts.poll_output(), Some(AttemptOutput::Cancel { attempt: first[1].1, peer: "b" }));
    assert_eq!((attempts.poll_output(), attempts.poll_timeout()), (None, None));
    assert!(attempts.open().is_empty());
    assert_eq!(attempts.handle_answered(at(3), first[1].1), None);
}
