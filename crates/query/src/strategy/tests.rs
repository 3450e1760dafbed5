//! Every strategy's meaning, the published ones' with their faults.

use super::*;
use crate::error::{PeerError, RpcError};
use crate::report::PeerState;
use crate::sim::{Does, breaks, ms, run, says};
use crate::{AttemptsConfig, NumPeers};
use quorate_versioning::{ApiVersion, SupportedApiVersionsSummary, SupportedCoreApiVersions};
use std::num::NonZeroU32;
use std::time::Duration;

fn four() -> NumPeers {
    NumPeers::new(4).expect("not zero")
}

fn single() -> AttemptsConfig {
    AttemptsConfig::default().single()
}

fn refuses<A>() -> Does<A> {
    Does::Says(ms(1), Err(RpcError::new(401, "Invalid authorization").into()))
}

/// The answers of the peers in order, the first time and every later time.
fn table<A: Clone>(first: [A; 4], later: [A; 4]) -> impl FnMut(u16, u32, Duration) -> Does<A> {
    move |peer, count, _| {
        let index = usize::from(peer);
        // One after the other, so that the order is known.
        let value = if count == 1 { first[index].clone() } else { later[index].clone() };
        Does::Says(ms(1 + u64::from(peer)), Ok(value))
    }
}

#[test]
fn a_quorum_of_equal_answers_wins_with_one_liar() {
    let ended =
        run(4, ThresholdConsensus::overcome_evil(four()), single(), table([9, 5, 5, 5], [9, 5, 5, 5]));
    // The liar is heard first, then three honest ones: no second round was due before the fourth.
    assert_eq!(ended.outcome.expect("agreed"), 5);
}

#[test]
fn a_value_in_the_middle_of_a_change_is_asked_for_again() {
    let ended =
        run(4, ThresholdConsensus::overcome_evil(four()), single(), |peer, count, _| match (peer, count) {
            (3, _) => Does::Hangs,
            (2, 1) => says(6),
            (_, 1) => says(5),
            _ => says(6),
        });
    assert_eq!(ended.outcome.expect("agreed"), 6);
    assert_eq!(ended.asked, 7, "the three that had answered, not the one that hangs");
    assert!(ended.after < ms(200), "{:?}", ended.after);
}

#[test]
fn with_one_dead_a_change_may_be_met_more_than_once() {
    let ended =
        run(4, ThresholdConsensus::overcome_evil(four()), single(), |peer, count, _| match (peer, count) {
            (3, _) => refuses(),
            (2, 1..=3) => says(6),
            (_, 1..=3) => says(5),
            _ => says(6),
        });
    assert_eq!(ended.outcome.expect("in the fourth round"), 6);
}

#[test]
fn only_the_latest_answer_of_a_peer_counts() {
    let values = [[1, 1, 2, 3], [2, 4, 2, 1]];
    let ended = run(4, ThresholdConsensus::overcome_evil(four()), single(), table(values[0], values[1]));
    ended.outcome.expect_err("1, 1 and the later 1 are not three votes for 1");
}

#[test]
fn full_participation_needs_everybody() {
    let agreed = run(4, ThresholdConsensus::full_participation(four()), single(), |_, _, _| says(5));
    assert_eq!(agreed.outcome.expect("all four"), 5);
    let one_gone = |peer, _, _| if peer == 1 { refuses() } else { says(5) };
    let ended = run(4, ThresholdConsensus::full_participation(four()), single(), one_gone);
    let error = ended.outcome.expect_err("one refuses");
    assert!(matches!(error.failure, QueryFailure::TooFew { need: 4, .. }), "{error}");
}

#[test]
fn current_consensus_takes_k_votes_ever() {
    let ended = run(4, CurrentConsensus::new(2), single(), table([1, 2, 1, 2], [1, 2, 1, 2]));
    assert_eq!(ended.outcome.expect("two of four"), 1, "the first that has two; the other had two as well");
    let ended = run(
        4,
        CurrentConsensus::new(2),
        single(),
        |peer, _, _| if peer < 2 { refuses() } else { says(peer) },
    );
    assert!(matches!(ended.outcome.unwrap_err().failure, QueryFailure::TooManyErrors { count: 2, limit: 2 }));
}

#[test]
fn eventually_consistent_asks_again_and_adds_up_votes_of_different_times() {
    let mut strategy = EventuallyConsistent::new(2);
    let at = Mono::ZERO;
    assert!(matches!(strategy.process(at, &0u16, Ok(1)), QueryStep::Continue));
    let again = strategy.process(at, &1, Ok(2));
    assert!(matches!(again, QueryStep::RetryMembers(peers) if peers == BTreeSet::from([0, 1])));
    assert!(matches!(strategy.process(at, &0, Ok(3)), QueryStep::Continue));
    // Peer 0 said 1 once, and says 3 now; peer 1 says 1: the published meaning counts both.
    assert!(matches!(strategy.process(at, &1, Ok(1)), QueryStep::Success(1)));

    let mut safe = ThresholdConsensus::overcome_evil(NumPeers::new(2).expect("two"));
    for (peer, value) in [(0u16, 1), (1, 2), (0, 3)] {
        assert!(!matches!(safe.process(at, &peer, Ok(value)), QueryStep::Success(_)));
    }
    assert!(!matches!(safe.process(at, &1, Ok(1)), QueryStep::Success(_)));
}

#[test]
fn threshold_agreement_asks_once_and_tells_all() {
    let split = |peer, _, _| if peer < 2 { says(1) } else { says(2) };
    let ended = run(4, ThresholdAgreement::new(four()), AttemptsConfig::default(), split);
    let told = ended.outcome.expect("an answer in any case").expect_err("they differ");
    assert_eq!((told, ended.asked), (BTreeMap::from([(0, 1), (1, 1), (2, 2), (3, 2)]), 4));

    let agreed = run(4, ThresholdAgreement::new(four()), single(), |_, _, _| says(1));
    assert_eq!(agreed.outcome.expect("agreed"), Ok(1));
    let with_one_gone = |peer, _, _| if peer == 0 { breaks() } else { says(peer) };
    let ended = run(4, ThresholdAgreement::new(four()), single(), with_one_gone);
    assert_eq!(ended.outcome.expect("not held up").expect_err("they differ").len(), 3);
    let with_two_gone = |peer, _, _| if peer < 2 { breaks() } else { says(1) };
    let ended = run(4, ThresholdAgreement::new(four()), single(), with_two_gone);
    assert!(matches!(ended.outcome.unwrap_err().failure, QueryFailure::TooFew { need: 3, have: 2 }));
}

#[derive(Debug, thiserror::Error)]
#[error("odd")]
struct Odd;

fn even(value: u16) -> Result<u16, Odd> {
    if value.is_multiple_of(2) { Ok(value / 2) } else { Err(Odd) }
}

#[test]
fn a_filter_takes_the_first_that_passes_and_blames_the_rest() {
    let ended = run(4, FilterMap::new(even), single(), table([1, 3, 8, 4], [0; 4]));
    assert_eq!(ended.outcome.expect("the third"), 4);
    let ended = run(4, FilterMap::new(even), single(), table([1, 3, 5, 7], [0; 4]));
    let error = ended.outcome.expect_err("none passes");
    let blamed = error
        .report
        .peers
        .iter()
        .filter(|peer| matches!(&peer.state, PeerState::Failed { error: PeerError::Invalid(_), .. }));
    assert_eq!(blamed.count(), 4);
    assert!(error.to_string().contains("peer 2 failed: the answer is not valid: odd"), "{error}");
}

#[test]
fn whoever_answers_first_is_trusted_where_all_are() {
    let ended = run(4, TrustAllPeers, single(), |peer, _, _| if peer == 0 { breaks() } else { says(peer) });
    assert_eq!(ended.outcome.expect("the first answer"), 1);
    run(4, TrustAllPeers, single(), |_, _, _| breaks::<u16>()).outcome.expect_err("nobody answers");
}

#[test]
fn a_verified_answer_wins_over_any_number_of_others() {
    let verify = |value: &i32| *value == 7;
    let ended = run(4, VerifiableResponse::new(4, false, verify), single(), table([1, 1, 1, 7], [0; 4]));
    assert_eq!(ended.outcome.expect("the fourth"), 7);
    let ended = run(4, VerifiableResponse::new(2, false, verify), single(), table([1, 1, 7, 7], [0; 4]));
    assert!(matches!(ended.outcome.unwrap_err().failure, QueryFailure::TooManyErrors { limit: 2, .. }));
    let ended = run(4, VerifiableResponse::new(2, true, verify), single(), table([1, 1, 7, 7], [0; 4]));
    assert_eq!(ended.outcome.expect("the unsafe fallback"), 1);
}

#[test]
fn unions_join_what_k_peers_say() {
    let lists = |peer, _, _| Does::Says(ms(u64::from(peer) + 1), Ok(vec![peer % 2, 7]));
    assert_eq!(run(4, UnionResponses::new(3), single(), lists).outcome.expect("three"), [0, 7, 1]);
    let one = |peer: u16, _, _| Does::Says(ms(u64::from(peer) + 1), Ok(peer % 2));
    assert_eq!(run(4, UnionResponsesSingle::new(3), single(), one).outcome.expect("three"), [0, 1]);
    let two_gone = |peer, _, _| if peer < 2 { refuses() } else { says(peer) };
    let error = run(4, UnionResponsesSingle::new(3), single(), two_gone).outcome.expect_err("two of three");
    assert!(matches!(error.failure, QueryFailure::TooFew { need: 3, .. }), "{error}");
}

#[test]
fn a_map_of_a_quorum_has_each_peers_own() {
    let half = |_: &u16, value: u16| even(value);
    let ended = run(4, FilterMapThreshold::new(four(), half), single(), table([2, 3, 4, 6], [0; 4]));
    assert_eq!(ended.outcome.expect("three pass"), BTreeMap::from([(0, 1), (2, 2), (3, 3)]));
}

#[test]
fn all_or_what_there_is_at_the_deadline() {
    let all = run(4, AllOrDeadline::new(4, ms(500)), single(), |peer, _, _| says(peer));
    assert_eq!((all.outcome.expect("all").len(), all.after), (4, ms(1)));
    let one_hangs = |peer, count, _| match (peer, count) {
        (0, _) => Does::Hangs,
        (1, 1) => breaks(),
        _ => says(peer),
    };
    let ended = run(4, AllOrDeadline::new(4, ms(500)), single(), one_hangs);
    assert_eq!((ended.outcome.expect("what there is").len(), ended.after), (3, ms(500)));
    let ended = run(4, AllOrDeadline::new(4, ms(500)), single(), |_, _, _| Does::<u16>::Hangs);
    assert_eq!((ended.outcome.expect("nothing").len(), ended.after), (0, ms(500)));
}

fn summary(api: &[(u32, u32)]) -> SupportedApiVersionsSummary {
    SupportedApiVersionsSummary::new(SupportedCoreApiVersions::try_from_raw((2, 0), api).expect("distinct"))
}

#[test]
fn the_published_discovery_waits_for_its_deadline_and_believes_one_peer() {
    let one_alone = |peer, _, _| if peer == 2 { says(summary(&[(0, 9)])) } else { Does::Hangs };
    let strategy = DiscoverApiVersionSet::new(4, ms(500), summary(&[(0, 3)]));
    let ended = run(4, strategy, single(), one_alone);
    assert_eq!(ended.outcome.expect("one is enough").core, ApiVersion::new(0, 3));
    assert_eq!(ended.after, ms(500));
    let strategy = DiscoverApiVersionSet::new(4, ms(500), summary(&[(1, 0)]));
    let error = run(4, strategy, single(), |_, _, _| says(summary(&[(0, 9)]))).outcome.expect_err("no core");
    assert!(matches!(error.failure, QueryFailure::Strategy(_)), "{error}");
}

#[test]
fn a_negotiation_ends_with_the_answer_that_decides_it() {
    let one_dead = |peer, _, _| match peer {
        0 => Does::Hangs,
        _ => Does::Says(ms(u64::from(peer) * 10), Ok(summary(&[(0, 9)]))),
    };
    let strategy = || NegotiateVersions::new(summary(&[(0, 3)]), four(), 0..4);
    let ended = run(4, strategy(), single(), one_dead);
    let set = ended.outcome.expect("a quorum").api_version_set().expect("a core");
    assert_eq!((set.core, ended.after), (ApiVersion::new(0, 9), ms(30)), "the time of the third answer");

    let two_old = |peer: u16, _, _| says(summary(if peer < 2 { &[(0, 1)] } else { &[(0, 9)] }));
    let ended = run(4, strategy(), single(), two_old);
    assert!(ended.outcome.expect("it is decided").is_incompatible());
    let two_gone = |peer: u16, _, _| if peer < 2 { refuses() } else { says(summary(&[(0, 9)])) };
    let error = run(4, strategy(), single(), two_gone).outcome.expect_err("two answers of three");
    assert!(matches!(error.failure, QueryFailure::TooFew { need: 3, .. }), "{error}");
}

#[test]
fn what_does_not_decode_is_its_peers_failure() {
    let verified = Decoded::new(VerifiableResponse::new(3, false, |value: &u16| *value == 4), even);
    let ended = run(4, verified, single(), table([1, 2, 8, 8], [0; 4]));
    assert_eq!(ended.outcome.expect("the third"), 4);
    let verified = Decoded::new(VerifiableResponse::new(2, false, |value: &u16| *value == 4), even);
    let error =
        run(4, verified, single(), table([1, 2, 8, 8], [0; 4])).outcome.expect_err("two of two failed");
    assert!(error.to_string().contains("peer 0 failed: the answer is not valid: odd"), "{error}");
    assert!(
        error.to_string().contains("peer 1 failed: the answer is not valid: invalid signature"),
        "{error}"
    );
}

#[test]
fn a_failure_that_may_pass_is_repeated_before_a_strategy_hears_of_it() {
    let two = AttemptsConfig { attempts: NonZeroU32::new(2).expect("two"), ..AttemptsConfig::default() };
    let at_second = |_, count, _| if count == 1 { breaks() } else { says(3) };
    let ended = run(4, CurrentConsensus::new(2), two, at_second);
    assert_eq!(ended.outcome.expect("at the second attempt"), 3);
}
