//! Two processes over QUIC on loopback: ours beside a bare stream of iroh, in turns, in one run.
//!
//! Run: `cargo bench -p quorate-iroh --bench two_processes` (`-- --quick` for a tenth of it). The program starts itself a second time
//! as the other side. What is measured stands in `two_processes/`, for other programs to include.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "two_processes/bare.rs"]
mod bare;
#[path = "two_processes/measure.rs"]
mod measure;
#[path = "two_processes/ours.rs"]
mod ours;

use measure::{Failure, Figures, Peer, Work, median};

/// Rounds; the median of each figure is printed.
const ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.first().map(String::as_str) {
        Some("serve-bare") => runtime.block_on(bare::serve()),
        Some("serve-ours") => runtime.block_on(ours::serve()),
        _ => runtime.block_on(compare(arguments.iter().any(|argument| argument == "--quick"))),
    }
}

async fn compare(quick: bool) -> Result<(), Failure> {
    let share = if quick { 10 } else { 1 };
    println!("                 messages/s        MB/s   round trip p50");
    for (size, count) in [(32, 300_000), (1 << 10, 100_000), (64 << 10, 6_000)] {
        let work = Work { size, count: count / share, pings: 500 / share };
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(bare::run(&Peer::start("serve-bare").await?, work).await?);
            ours.push(ours::run(&Peer::start("serve-ours").await?, work).await?);
        }
        let (ours, bare) = (median(&ours), median(&bare));
        print(size, "bare stream", &bare);
        print(size, "ours", &ours);
        println!(
            "{size:>6} B ratio     {:>9.2}            {:>18.2}",
            ours.per_second / bare.per_second,
            ours.round_trip.as_secs_f64() / bare.round_trip.as_secs_f64()
        );
    }
    Ok(())
}

fn print(size: usize, who: &str, figures: &Figures) {
    let bytes = figures.per_second * size as f64 / 1e6;
    let trip = figures.round_trip.as_secs_f64() * 1e6;
    println!("{size:>6} B {who:<11} {:>9.0}  {bytes:>10.1}  {trip:>10.1} µs", figures.per_second);
}
