//! `quorate demo`: a file through every layer, in one process, over a network that loses, repeats and
//! reorders.
//!
//! The rule: every figure shown comes from a counter of the endpoints that took part, and success means
//! that the SHA-256 of what every receiver wrote equals the source's.
//! The last act is a federation: see `federation`.

mod args;
mod bars;
mod faults;
mod federation;
mod group;
mod report;

pub(crate) use args::DemoArgs;

use crate::exit::{Failure, chain};
use args::Plan;
use bars::Bars;
use faults::Names;
use group::{Group, Outsider};
use quorate::files::{OutboxEvent, Source};
use quorate::transfer::{SendFilesError, SendReport, send_files};
use report::{Report, Timeline};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Runs the demo. When a delivery fails, the report names who lacks what.
pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let plan = args.plan()?;
    let place = plan.place()?;
    let bars = Bars::new(!args.json);
    let source = open(&plan, &bars).await?;
    let names = Arc::new(Names::new(plan.faults()));
    let group = Group::gather(&plan, &names, place.path()).await?;
    let outsider = if args.wrong_key { Some(Outsider::join(&plan, &names, &group).await?) } else { None };

    let (sent, timeline) = deliver(&plan, &group, source, &bars).await?;
    bars.finish();
    let report = Report::take(&plan, &group, outsider, sent, timeline).await;
    let report = report.with_last_act(federation::run().await?);
    // Standard output is the demo's result; there is nobody to tell when it is closed.
    let _ = if args.json { report.print_json() } else { report.print_table() };
    if report.is_complete() { Ok(()) } else { Err(Failure::failed(report.failure())) }
}

/// Reads and hashes the source.
async fn open(plan: &Plan, bars: &Bars) -> Result<Source, Failure> {
    let paths = [plan.file.clone()];
    let bar = bars.reading(Source::size_of(&paths).map_err(usage)?);
    let task = tokio::task::spawn_blocking(move || Source::open(&paths, |read| bar.add(read)));
    task.await.map_err(failed)?.map_err(usage)
}

/// Sends the source to every receiver, and notes when each had it.
async fn deliver(
    plan: &Plan,
    group: &Group,
    source: Source,
    bars: &Bars,
) -> Result<(SendReport, Timeline), Failure> {
    let total = source.manifest().total_bytes();
    for receiver in group.receiver_names() {
        bars.receiver(&receiver, total);
    }
    let started = Instant::now();
    let mut timeline = Timeline::default();
    let tell = |event: &OutboxEvent| match event {
        OutboxEvent::Progress { receiver, held, .. } => bars.progress(receiver.as_str(), *held),
        OutboxEvent::Completed { receiver } => {
            bars.done(receiver.as_str());
            timeline.completed(receiver.as_str(), started.elapsed());
        }
        _ => {}
    };
    let mut sender = group.sender_events().await;
    match send_files(group.sender_channel(), &mut sender, source, plan.send_config(), tell).await {
        Ok(report) => Ok((report, timeline)),
        Err(SendFilesError::NoProgress { report, .. }) => Ok((*report, timeline)),
        Err(error) => Err(failed(error)),
    }
}

/// The SHA-256 of a file, as lower-case hex; `None` where it cannot be read.
fn sha256_of(path: &Path) -> Option<String> {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).ok()?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).ok()? {
            0 => return Some(data_encoding::HEXLOWER.encode(&hasher.finalize())),
            read => hasher.update(buffer.get(..read)?),
        }
    }
}

/// A failure that the same words bring again.
fn usage(error: impl Error + 'static) -> Failure {
    Failure::usage(chain(&error))
}

/// A failure of this machine, or of a peer.
fn failed(error: impl Error + 'static) -> Failure {
    Failure::failed(chain(&error))
}
