//! Measuring two or three things against each other on a machine that others use, too.
//!
//! The rule: what is compared runs in turn, in short rounds, and a ratio is the median over rounds of the
//! ratio within a round. Time is the CPU time of the thread (or process): the wall clock would count the neighbours.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Rounds of each measurement.
const ROUNDS: usize = 15;
/// How long a round of one side should take.
const ROUND: Duration = Duration::from_millis(12);

/// CPU time that this thread has used.
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time that this process has used.
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Nanoseconds of CPU time per call: theirs, ours, and how many times ours goes into theirs.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The median of theirs.
    pub theirs: f64,
    /// The median of ours.
    pub ours: f64,
    /// The median of the ratios within one round.
    pub ratio: f64,
}

/// Runs both in turn; each is told how many times to do it.
pub fn compare(mut theirs: impl FnMut(u64), mut ours: impl FnMut(u64)) -> Pair {
    let (their_calls, our_calls) = (calibrated(&mut theirs), calibrated(&mut ours));
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push((per_call(&mut theirs, their_calls), per_call(&mut ours, our_calls)));
    }
    Pair {
        theirs: median(rounds.iter().map(|round| round.0)),
        ours: median(rounds.iter().map(|round| round.1)),
        ratio: median(rounds.iter().map(|round| round.0 / round.1)),
    }
}

/// How many calls fill a round.
fn calibrated(work: &mut impl FnMut(u64)) -> u64 {
    let mut calls = 64;
    loop {
        let took = timed(work, calls);
        if took >= ROUND / 2 {
            return calls;
        }
        calls *= 2;
    }
}

fn per_call(work: &mut impl FnMut(u64), calls: u64) -> f64 {
    timed(work, calls).as_nanos() as f64 / calls as f64
}

fn timed(work: &mut impl FnMut(u64), calls: u64) -> Duration {
    let start = thread_cpu();
    work(calls);
    thread_cpu().saturating_sub(start)
}

/// The middle value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
