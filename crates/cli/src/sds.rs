//! `quorate sds`: one SDS peer at one end of a TCP connection, to try an implementation of SDS against.
//!
//! The rule: it says what happened and decides nothing by guessing. A frame is a big-endian u32 and one SDS message of so many
//! bytes; ids of the other side are opaque, and its content is the application's bytes, not segments.

mod args;
mod link;
mod probe;
mod report;

pub(crate) use args::SdsArgs;

use crate::exit::Failure;
use crate::signal::interrupted;
use link::Links;
use probe::Probe;
use quorate::base::TokioClock;
use tokio::time::sleep_until;

/// Runs the probe to its end.
pub(crate) async fn run(args: SdsArgs) -> Result<(), Failure> {
    let plan = args.plan()?;
    let clock = TokioClock::new();
    let mut links = Links::open(&plan).await?;
    let mut probe = Probe::new(clock.now(), &plan)?;
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    while !probe.is_over(clock.now()) {
        for message in probe.poll(clock.now(), links.is_connected()) {
            let left = links.send(&message.frame);
            probe.handle_sent(clock.now(), &message, left);
        }
        let next = clock.instant(probe.poll_timeout(clock.now(), links.is_connected()));
        tokio::select! {
            heard = links.receive() => probe.handle_heard(clock.now(), heard),
            () = sleep_until(next) => probe.handle_timeout(clock.now()),
            () = &mut interrupted => return Err(probe.summary(clock.now(), &links, Some("interrupted"))),
        }
    }
    let failure = probe.failure();
    let told = probe.summary(clock.now(), &links, failure.as_deref());
    if failure.is_some() { Err(told) } else { Ok(()) }
}
