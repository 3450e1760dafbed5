//! Scripted peers in virtual time, for the tests of machine and strategies.

use crate::attempts::{AttemptId, AttemptOutput, AttemptsConfig};
use crate::error::PeerError;
use crate::quorum::{Quorum, QuorumOutput};
use crate::report::{QueryError, QueryReport};
use crate::strategy::QueryStrategy;
use quorate_base::Mono;
use std::fmt::Debug;
use std::time::Duration;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a peer does with a request.
pub(crate) enum Does<A> {
    /// Answers or fails, after a while.
    Says(Duration, Result<A, PeerError>),
    /// Nothing, ever.
    Hangs,
}

/// An answer after 1 ms.
pub(crate) fn says<A>(answer: A) -> Does<A> {
    Does::Says(ms(1), Ok(answer))
}

/// A connection that breaks after 1 ms.
pub(crate) fn breaks<A>() -> Does<A> {
    Does::Says(ms(1), Err(PeerError::Closed))
}

/// How a query ended.
#[derive(Debug)]
pub(crate) struct Ended<R> {
    pub(crate) outcome: Result<R, QueryError<u16>>,
    pub(crate) report: QueryReport<u16>,
    pub(crate) after: Duration,
    pub(crate) asked: u64,
}

/// Runs a query of `n` peers; `peer` says what a peer does the k-th time it is asked (from 1), and when.
pub(crate) fn run<A: Debug, S: QueryStrategy<u16, A>>(
    n: u16,
    strategy: S,
    config: AttemptsConfig,
    mut peer: impl FnMut(u16, u32, Duration) -> Does<A>,
) -> Ended<S::Output> {
    let mut query = Quorum::new(Mono::ZERO, "method", 0..n, strategy, config, 7);
    let mut now = Mono::ZERO;
    let mut asked = vec![0u32; usize::from(n)];
    let mut due: Vec<(Mono, AttemptId, Result<A, PeerError>)> = Vec::new();
    for _ in 0..10_000 {
        while let Some(output) = query.poll_output() {
            match output {
                QuorumOutput::Attempt(AttemptOutput::Ask { attempt, peer: name, timeout }) => {
                    assert!(timeout <= config.attempt_timeout);
                    let count = &mut asked[usize::from(name)];
                    *count += 1;
                    if let Does::Says(after, answer) = peer(name, *count, now.elapsed()) {
                        due.push((now + after, attempt, answer));
                    }
                }
                QuorumOutput::Attempt(AttemptOutput::Cancel { attempt, .. }) => {
                    due.retain(|(_, other, _)| *other != attempt);
                }
                QuorumOutput::Done(outcome) => {
                    assert!(query.poll_timeout().is_none() && query.poll_output().is_none());
                    let report = query.report(now);
                    return Ended { outcome, report, after: now.elapsed(), asked: query.total_asked() };
                }
            }
        }
        let arrival = due.iter().map(|(at, _, _)| *at).min();
        let wake = query.poll_timeout().expect("an open query has a deadline");
        assert!(wake >= now, "a timer never lies in the past");
        now = arrival.map_or(wake, |arrival| arrival.min(wake)).max(now);
        match due.iter().position(|(at, _, _)| *at <= now) {
            Some(index) => {
                let (_, attempt, answer) = due.remove(index);
                match answer {
                    Ok(answer) => {
                        let shown = format!("{answer:?}").into();
                        query.handle_answer(now, attempt, answer, shown);
                    }
                    Err(error) => query.handle_failure(now, attempt, error),
                }
            }
            None => query.handle_timeout(now),
        }
    }
    panic!("the query runs hot");
}
