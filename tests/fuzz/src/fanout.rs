//! A query under any sequence of answers, failures, silence and time: it ends, once, within its bounds.

use quorate_base::Mono;
use quorate_query::strategy::{
    CurrentConsensus, EventuallyConsistent, ThresholdAgreement, ThresholdConsensus,
};
use quorate_query::{
    AttemptId, AttemptOutput, AttemptsConfig, Fanout, NumPeers, PeerError, QueryStrategy, Quorum,
    QuorumOutput, RpcError,
};
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The first bytes choose strategy and federation, the rest are operations of two bytes each.
pub fn fanout(input: &[u8]) {
    let [strategy, peers, hedge, operations @ ..] = input else { return };
    let Some(count) = NumPeers::new(usize::from(peers % 12)) else { return };
    let fanout = match NonZeroUsize::new(usize::from(*hedge % 8)) {
        Some(first) => Fanout::Hedged { first, after: Duration::from_millis(u64::from(*hedge)) },
        None => Fanout::All,
    };
    let config = AttemptsConfig { fanout, ..AttemptsConfig::default() };
    match strategy % 4 {
        0 => drive(ThresholdConsensus::overcome_evil(count), count, config, operations),
        1 => drive(ThresholdAgreement::new(count), count, config, operations),
        2 => drive(CurrentConsensus::new(count.one_honest()), count, config, operations),
        _ => drive(EventuallyConsistent::new(count.one_honest()), count, config, operations),
    }
}

fn drive<S>(strategy: S, count: NumPeers, config: AttemptsConfig, operations: &[u8])
where
    S: QueryStrategy<u16, u8>,
    S::Output: Debug,
{
    let peers = 0..u16::try_from(count.total()).expect("at most eleven");
    let mut query = Quorum::new(Mono::ZERO, "fuzz", peers, strategy, config, 7);
    let mut now = Mono::ZERO;
    let mut known: Vec<AttemptId> = Vec::new();
    let mut done = 0;
    for operation in operations.chunks_exact(2) {
        drain(&mut query, &mut known, &mut done);
        let [what, which] = *operation else { return };
        // Any attempt that was ever made, so that late and repeated answers come too.
        let attempt = known.get(usize::from(which) % known.len().max(1)).copied();
        match (what % 5, attempt) {
            (0, Some(attempt)) => query.handle_answer(now, attempt, what / 5 % 3, "answer".into()),
            (1, Some(attempt)) => query.handle_failure(now, attempt, PeerError::Closed),
            (2, Some(attempt)) if what / 5 % 2 == 1 => {
                let retry_after = Some(Duration::from_secs(u64::from(which)));
                query.handle_failure(now, attempt, PeerError::Http { status: 429, retry_after });
            }
            (2, Some(attempt)) => query.handle_failure(now, attempt, RpcError::new(401, "no").into()),
            (3, _) => now = now + Duration::from_millis(u64::from(which)),
            _ => now = query.poll_timeout().unwrap_or(now).max(now),
        }
        query.handle_timeout(now);
    }
    // Left alone, it ends by its deadline.
    for _ in 0..10_000 {
        drain(&mut query, &mut known, &mut done);
        let Some(at) = query.poll_timeout() else { break };
        now = at.max(now);
        query.handle_timeout(now);
    }
    drain(&mut query, &mut known, &mut done);
    assert_eq!(done, 1, "a query ends once");
    assert!(now.elapsed() <= config.deadline || operations.len() > 2, "{now:?}");
    assert!(query.total_asked() <= config.most_attempts(count.total()), "{} requests", query.total_asked());
    assert!(!format!("{:?}", query.report(now)).is_empty());
}

fn drain<S>(query: &mut Quorum<u16, u8, S>, known: &mut Vec<AttemptId>, done: &mut u32)
where
    S: QueryStrategy<u16, u8>,
    S::Output: Debug,
{
    while let Some(output) = query.poll_output() {
        match output {
            QuorumOutput::Attempt(AttemptOutput::Ask { attempt, .. }) => known.push(attempt),
            QuorumOutput::Attempt(AttemptOutput::Cancel { attempt, .. }) => assert!(known.contains(&attempt)),
            QuorumOutput::Done(outcome) => {
                *done += 1;
                if let Err(error) = outcome {
                    assert!(error.to_string().starts_with("fuzz: "), "{error}");
                }
            }
        }
    }
}
