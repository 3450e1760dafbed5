//! What is measured, and the other process.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Why a benchmark could not be run.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One measurement: so many messages of this size one way, then so many there and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Bytes of payload.
    pub(crate) size: usize,
    /// Messages one way.
    pub(crate) count: usize,
    /// Messages there and back, one after the other.
    pub(crate) pings: usize,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Messages a second, until the other side has said that it has all.
    pub(crate) per_second: f64,
    /// The middle of the round trips.
    pub(crate) round_trip: Duration,
}

impl Figures {
    /// Of `work` that took until `arrived`, and these round trips.
    pub(crate) fn of(work: Work, took: Duration, mut trips: Vec<Duration>) -> Self {
        trips.sort_unstable();
        let round_trip = trips.get(trips.len() / 2).copied().unwrap_or_default();
        Self { per_second: work.count as f64 / took.as_secs_f64(), round_trip }
    }
}

/// The median of each figure by itself.
pub(crate) fn median(rounds: &[Figures]) -> Figures {
    let mut rates: Vec<_> = rounds.iter().map(|round| round.per_second).collect();
    let mut trips: Vec<_> = rounds.iter().map(|round| round.round_trip).collect();
    rates.sort_by(f64::total_cmp);
    trips.sort_unstable();
    Figures { per_second: rates[rates.len() / 2], round_trip: trips[trips.len() / 2] }
}

/// How long each of `pings` round trips takes.
pub(crate) async fn round_trips(
    pings: usize,
    mut ping: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Vec<Duration>, Failure> {
    let mut trips = Vec::with_capacity(pings);
    for _ in 0..pings {
        let begin = Instant::now();
        ping().await?;
        trips.push(begin.elapsed());
    }
    Ok(trips)
}

/// The other process; it ends with this value.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where it is reached: the first line that it prints.
    pub(crate) address: String,
    _process: Child,
}

impl Peer {
    /// Starts this program again with `argument`.
    pub(crate) async fn start(argument: &str) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(argument)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let address = BufReader::new(output).lines().next_line().await?.ok_or("it said nothing")?;
        Ok(Self { address, _process: process })
    }
}
