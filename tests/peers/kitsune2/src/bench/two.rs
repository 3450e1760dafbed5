//! Two processes over iroh on loopback: Kitsune2's transport, ours under the same protocol through the same relay, ours
//! direct, and a bare stream. They take turns within each round.
//!
//! A message begins with a byte that says whether it wants an answer. Messages are sent one after the other, each
//! awaited; the clock stops when the answer to the last has come, so that all of them have arrived.

use super::measure::{median, process_cpu};
use super::{bare::Bare, echo};
use crate::node::{Events, Node};
use bytes::Bytes;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Rounds of each measurement.
const ROUNDS: usize = 5;
/// Ping-pongs in a round.
const PINGS: usize = 300;
/// Nothing takes longer.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kitsune2's node.
    Theirs,
    /// Ours as a Kitsune2 node, through the relay.
    Ours,
    /// Ours under our own protocol, direct.
    Direct,
    /// One QUIC stream of iroh, and nothing above it.
    Bare,
}

impl Kind {
    /// In the order of the columns.
    pub const ALL: [Self; 4] = [Self::Theirs, Self::Ours, Self::Direct, Self::Bare];

    /// As an argument of the child process.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Theirs => "theirs",
            Self::Ours => "ours",
            Self::Direct => "direct",
            Self::Bare => "bare",
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The medians of one payload size, by kind.
#[derive(Debug)]
pub struct Row {
    /// Messages per second.
    pub messages: [f64; 4],
    /// CPU microseconds of the sending process per message.
    pub cpu_us: [f64; 4],
    /// Microseconds of a round trip.
    pub round_trip_us: [f64; 4],
}

/// The child process: answers until its standard input ends.
pub async fn serve(kind: &str, relay: &str) -> Result<(), Failure> {
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or("no such kind")?;
    let (answers, mut wanted) = mpsc::unbounded_channel();
    let node: Box<dyn Node> = match kind {
        Kind::Bare => return Bare::serve().await,
        Kind::Theirs => Box::new(echo::theirs(relay, answers).await?),
        Kind::Ours => Box::new(echo::ours(Some(relay), answers).await?),
        Kind::Direct => Box::new(echo::ours(None, answers).await?),
    };
    announce(&node.url());
    let mut ended = std::pin::pin!(stdin_ends());
    loop {
        tokio::select! {
            Some((peer, data)) = wanted.recv() => drop(node.module(&peer, echo::answer(&data)).await?),
            () = &mut ended => return Ok(()),
        }
    }
}

/// Says where the child is reached.
pub fn announce(url: &str) {
    println!("{url}");
}

/// Returns when the parent has gone.
pub async fn stdin_ends() {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // However it ends, it has ended.
    let _ = tokio::task::spawn_blocking(read).await;
}

/// Measures one payload size.
pub async fn measure(relay: &str, payload: usize, messages: usize) -> Result<Row, Failure> {
    let mut pairs = Vec::new();
    for kind in Kind::ALL {
        pairs.push(Link::open(kind, relay).await?);
    }
    let mut rounds: [Vec<(f64, f64, f64)>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (link, rounds) in pairs.iter_mut().zip(&mut rounds) {
            rounds.push(link.round(payload, messages).await?);
        }
    }
    let column = |of: fn(&(f64, f64, f64)) -> f64| rounds.each_ref().map(|all| median(all.iter().map(of)));
    Ok(Row {
        messages: column(|round| round.0),
        cpu_us: column(|round| round.1),
        round_trip_us: column(|round| round.2),
    })
}

/// A node here and its peer in a process of its own.
struct Link {
    end: End,
    _child: Guard,
}

enum End {
    Node { node: Arc<dyn Node>, peer: String, answers: mpsc::UnboundedReceiver<(String, Bytes)> },
    Bare(Bare),
}

/// Ends the child with its parent.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It ends by itself when its standard input is closed; whether it was quicker does not matter.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Link {
    async fn open(kind: Kind, relay: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind.name(), relay])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let child = Guard(child);
        let url = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line.trim().to_owned())
        });
        let url = tokio::time::timeout(TOO_LONG, url).await???;
        let (sender, answers) = mpsc::unbounded_channel();
        let node: Arc<dyn Node> = match kind {
            Kind::Bare => return Ok(Self { end: End::Bare(Bare::connect(&url).await?), _child: child }),
            Kind::Theirs => Arc::new(echo::theirs(relay, sender).await?),
            Kind::Ours => Arc::new(echo::ours(Some(relay), sender).await?),
            Kind::Direct => Arc::new(echo::ours(None, sender).await?),
        };
        let mut link = Self { end: End::Node { node, peer: url, answers }, _child: child };
        // The handshake, and the search for a direct path, are not what is measured.
        for _ in 0..500 {
            link.ask(32).await?;
        }
        Ok(link)
    }

    /// Messages per second, CPU microseconds per message, median microseconds of a round trip.
    async fn round(&mut self, payload: usize, messages: usize) -> Result<(f64, f64, f64), Failure> {
        let (start, cpu) = (Instant::now(), process_cpu());
        let data = echo::message(payload, false);
        for _ in 0..messages {
            match &mut self.end {
                End::Node { node, peer, .. } => drop(node.module(peer, data.clone()).await?),
                End::Bare(bare) => bare.send(data.clone()).await?,
            }
        }
        self.ask(payload).await?;
        let (took, cpu) = (start.elapsed().as_secs_f64(), process_cpu().saturating_sub(cpu).as_secs_f64());
        let mut trips = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let start = Instant::now();
            self.ask(payload).await?;
            trips.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let messages = messages as f64;
        Ok((messages / took, cpu * 1e6 / messages, median(trips.into_iter())))
    }

    /// Sends a message that wants an answer, and waits for it.
    async fn ask(&mut self, payload: usize) -> Result<(), Failure> {
        let question = echo::message(payload, true);
        let answer = async {
            match &mut self.end {
                End::Node { node, peer, answers } => {
                    node.module(peer, question).await?;
                    answers.recv().await.ok_or("the node has ended")?;
                    Ok(())
                }
                End::Bare(bare) => bare.ask(question).await,
            }
        };
        tokio::time::timeout(TOO_LONG, answer).await?
    }
}

/// Handlers are told nothing of interest here.
pub fn no_events() -> Events {
    Events::new("")
}

impl Drop for Link {
    fn drop(&mut self) {
        if let End::Node { node, .. } = &self.end {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.close().await });
        }
    }
}
