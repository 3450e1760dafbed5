//! A query ends, whatever peers do: within f faults with the right value, beyond f with a reason, in bounded time
//! and with a bounded number of requests.

use super::*;
use crate::error::{ConnectFault, PeerError};
use crate::sim::{Does, breaks, ms, run, says};
use crate::strategy::{ThresholdAgreement, ThresholdConsensus};
use fastrand::Rng;
use proptest::prelude::*;
use quorate_versioning::NumPeers;
use std::time::Duration;

fn threshold(n: usize) -> ThresholdConsensus<u16, u64> {
    ThresholdConsensus::overcome_evil(NumPeers::new(n).expect("not zero"))
}

fn refused<A>() -> Does<A> {
    Does::Says(ms(0), Err(PeerError::Connect(ConnectFault::Io(std::io::ErrorKind::ConnectionRefused).into())))
}

#[test]
fn one_that_hangs_costs_nothing() {
    let ended =
        run(
            4,
            threshold(4),
            AttemptsConfig::default(),
            |peer, _, _| if peer == 0 { Does::Hangs } else { says(1) },
        );
    assert_eq!((ended.outcome.expect("three"), ended.after, ended.asked), (1, ms(1), 4));
    let told: Vec<String> = ended.report.peers.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["peer 0 is silent", "peer 1 answered 1", "peer 2 answered 1", "peer 3 answered 1"]);
}

#[test]
fn a_liar_and_a_dead_peer_of_four_end_with_a_reason_and_few_requests() {
    let ended = run(4, threshold(4), AttemptsConfig::default(), |peer, _, _| match peer {
        0 => says(666),
        1 => refused(),
        _ => says(1),
    });
    let error = ended.outcome.expect_err("two against one");
    assert!(matches!(error.failure, QueryFailure::Disagreement { need: 3, best: 2, values: 2 }), "{error}");
    assert!(ended.asked < 100, "{} requests", ended.asked);
    assert!(ended.after < Duration::from_secs(30), "{:?}", ended.after);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("peer 0 answered 666; peer 1 failed"), "{text}");
    assert!(text.contains("times: connection refused; peer 2 answered 1"), "{text}");
}

#[test]
fn an_even_split_ends() {
    let ended = run(4, threshold(4), AttemptsConfig::default(), |peer, _, _| says(u64::from(peer % 2)));
    assert!(matches!(ended.outcome.unwrap_err().failure, QueryFailure::Disagreement { .. }));
    assert!(ended.asked <= AttemptsConfig::default().most_attempts(4));
}

#[test]
fn two_that_hang_end_with_the_timeouts_of_their_attempts() {
    let config = AttemptsConfig::default().within(ms(2_000));
    let ended = run(4, threshold(4), config, |peer, _, _| if peer < 2 { Does::Hangs } else { says(1) });
    let error = ended.outcome.expect_err("two are not enough");
    assert_eq!(ended.after, ms(2_000));
    assert!(matches!(error.failure, QueryFailure::Deadline), "{error}");
    assert!(error.is_retryable());
}

#[test]
fn two_that_are_gone_for_good_end_it_at_once() {
    let unauthorized = || Does::Says(ms(2), Err(crate::RpcError::new(401, "no").into()));
    let ended = run(4, threshold(4), AttemptsConfig::default(), |peer, _, _| match peer {
        0 | 1 => unauthorized(),
        _ => Does::Hangs,
    });
    let error = ended.outcome.expect_err("out of reach");
    assert_eq!(ended.after, ms(2), "nobody waits for those that hang");
    assert!(matches!(error.failure, QueryFailure::TooFew { need: 3, have: 0 }), "{error}");
    assert!(!error.is_retryable(), "two will not change their minds");
}

#[test]
fn an_empty_federation_is_an_error_at_once() {
    let ended = run(0, threshold(4), AttemptsConfig::default(), |_, _, _| says(1));
    let error = ended.outcome.expect_err("nobody");
    assert_eq!(error.to_string(), "method: there are no peers (after 0 ms)");
}

#[test]
fn cancelling_stops_what_is_in_flight() {
    let mut query = Quorum::new(Mono::ZERO, "m", 0..2u16, threshold(2), AttemptsConfig::default(), 1);
    let mut outputs = Vec::new();
    while let Some(output) = query.poll_output() {
        outputs.push(output);
    }
    query.cancel(Mono::ZERO);
    let cancelled = std::iter::from_fn(|| query.poll_output()).map(|output| match output {
        QuorumOutput::Attempt(AttemptOutput::Cancel { .. }) => "cancel",
        QuorumOutput::Done(Err(QueryError { failure: QueryFailure::Cancelled, .. })) => "done",
        _ => "other",
    });
    assert_eq!(cancelled.collect::<Vec<_>>(), ["cancel", "cancel", "done"]);
}

#[test]
fn late_and_duplicate_answers_change_nothing() {
    let mut query = Quorum::new(Mono::ZERO, "m", 0..4u16, threshold(4), AttemptsConfig::default(), 1);
    let mut asked = Vec::new();
    while let Some(QuorumOutput::Attempt(AttemptOutput::Ask { attempt, .. })) = query.poll_output() {
        asked.push(attempt);
    }
    for _ in 0..5 {
        query.handle_answer(Mono::ZERO, asked[0], 9, Bytes::new());
    }
    assert_eq!((query.late(), query.poll_output().is_none()), (4, true));
}

/// What a faulty peer does with each request, drawn anew.
fn faulty(rng: &mut Rng) -> Does<u64> {
    match rng.u8(0..6) {
        0 => Does::Hangs,
        1 => breaks(),
        2 => refused(),
        3 => Does::Says(ms(rng.u64(0..20)), Err(crate::RpcError::new(500, "broken").into())),
        4 => Does::Says(ms(rng.u64(0..12_000)), Ok(rng.u64(0..3))),
        _ => Does::Says(ms(rng.u64(0..20)), Ok(666)),
    }
}

fn honest(rng: &mut Rng) -> Does<u64> {
    Does::Says(ms(rng.u64(1..50)), Ok(42))
}

proptest! {
    #[test]
    fn within_f_faults_the_value_is_right(n in 1u16..11, seed: u64) {
        let f = (n - 1) / 3;
        let mut rng = Rng::with_seed(seed);
        let ended = run(n, threshold(usize::from(n)), AttemptsConfig::default(), |peer, _, _| {
            if peer < f { faulty(&mut rng) } else { honest(&mut rng) }
        });
        prop_assert_eq!(ended.outcome.map_err(|error| TestCaseError::fail(error.to_string()))?, 42);
        prop_assert!(ended.after <= ms(500), "{:?}: no faulty one is waited for", ended.after);
    }

    #[test]
    fn beyond_f_faults_it_ends_and_is_right_or_says_so(n in 1u16..11, bad in 0u16..11, seed: u64) {
        let config = AttemptsConfig::default();
        let mut rng = Rng::with_seed(seed);
        let f = (n - 1) / 3;
        // More faulty peers than are borne, but fewer than could outvote the honest ones by themselves.
        let bad = bad.min(n).min(2 * f);
        let ended = run(n, threshold(usize::from(n)), config, |peer, _, _| {
            if peer < bad { faulty(&mut rng) } else { honest(&mut rng) }
        });
        prop_assert!(ended.asked <= config.most_attempts(usize::from(n)));
        prop_assert!(ended.after <= config.deadline, "{:?}", ended.after);
        if let Ok(value) = ended.outcome {
            prop_assert_eq!(value, 42, "{} of {} lie and it is never wrong silently", bad, n);
        }
    }

    #[test]
    fn an_agreement_tells_every_answer_or_the_value(n in 1u16..8, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let strategy = ThresholdAgreement::new(NumPeers::new(usize::from(n)).expect("not zero"));
        let ended = run(n, strategy, AttemptsConfig::default(), |_, _, _| {
            if rng.bool() { faulty(&mut rng) } else { honest(&mut rng) }
        });
        prop_assert!(ended.after <= AttemptsConfig::default().deadline);
        if let Ok(Err(told)) = ended.outcome {
            prop_assert!(told.len() > usize::from(n) * 2 / 3);
        }
    }
}
