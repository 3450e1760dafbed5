//! `quorate send`: delivers files to every receiver that a ticket leads to.
//!
//! The rule: it ends well only when every receiver that was there has said that it has everything.

mod meet;
mod report;

use crate::exit::{Failure, chain};
use crate::group::{Group, Member, Role, random};
use crate::progress::Progress;
use crate::signal::interrupted;
use quorate::files::{Source, SourceError};
use quorate::secret::Secret;
use quorate::ticket::Ticket;
use quorate::transfer::{SendConfig, SendFilesError, send_files};
use report::Reporter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How long to stay when all is done: another receiver may be about to join, and the last
/// acknowledgements are on their way.
const SETTLE: Duration = Duration::from_secs(1);

/// Send files to all receivers that a ticket leads to
///
/// Ends when every receiver that is there has every file, whole. Sending the same files again goes on
/// where it ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What `quorate recv` printed
    ticket: String,
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Give up after so many seconds without progress
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Where to listen [default: the address that the receiver is reached from, a free port]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Write JSON to standard output: one object per event, one event per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Sends until all have all, or nothing moves any more.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let ticket: Ticket = arguments.ticket.parse().map_err(|error| Failure::usage(chain(&error)))?;
    let progress = Progress::on_terminal();
    let source = tokio::select! {
        source = read(arguments.files.clone(), progress.clone()) => source?,
        () = interrupted() => return Err(Failure::failed("interrupted: nothing was sent")),
    };
    let group =
        Group { space: *ticket.space(), channel: ticket.channel().to_owned(), key: ticket.key().clone() };
    let listen = arguments.listen.unwrap_or_else(|| route_to(&ticket));
    let member = Member::enter(Role::Sender, &group, &Secret::from_bytes(random()?), listen).await?;
    let outcome = tokio::select! {
        outcome = deliver(&arguments, &ticket, &group, &member, source, progress) => outcome,
        () = interrupted() => Err(Failure::failed("interrupted: sending the same files again goes on from here")),
    };
    member.part().await;
    outcome
}

async fn deliver(
    arguments: &Arguments,
    ticket: &Ticket,
    group: &Group,
    member: &Member,
    source: Source,
    progress: Progress,
) -> Result<(), Failure> {
    let patience = Duration::from_secs(arguments.timeout);
    let mut reporter = Reporter::new(source.manifest().clone(), progress, arguments.json);
    reporter.begin(member);
    meet::receivers(member, ticket.addresses(), patience).await?;

    let (channel, mut events) = member.open(group)?;
    let (expected, watched) = watch::channel(member.expected());
    let config = SendConfig { present: Some(watched), settle: SETTLE, patience, ..SendConfig::default() };
    let outcome = tokio::select! {
        outcome = send_files(&channel, &mut events, source, config, |event| reporter.tell(event)) => outcome,
        () = member.watch_expected(&expected) => return Err(Failure::failed("the space was closed")),
    };
    let absent = missing(member);
    match outcome {
        Ok(report) => {
            let stats = channel.stats().await.unwrap_or_default();
            reporter.end(&report, &absent, stats.envelope_bytes_dispatched)
        }
        Err(SendFilesError::NoProgress { report, patience }) => {
            let why = format!("nothing moved for {} s", patience.as_secs());
            Err(reporter.failure(&why, &report, &absent))
        }
        Err(error) => Err(Failure::failed(chain(&error))),
    }
}

/// Reads and hashes the files, with a bar.
async fn read(files: Vec<PathBuf>, progress: Progress) -> Result<Source, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        let bar = progress.bar("reading", Source::size_of(&files)?);
        let mut done = 0;
        let source = Source::open(&files, |bytes| {
            done += bytes;
            bar.set(done);
        })?;
        bar.finish("");
        Ok(source)
    });
    match reading.await {
        Ok(source) => source.map_err(|error: SourceError| Failure::usage(chain(&error))),
        Err(_) => Err(Failure::failed("reading the files was cut short")),
    }
}

/// The local address from which the receiver is reached. Asking the system for it sends nothing.
fn route_to(ticket: &Ticket) -> SocketAddr {
    let first = ticket.addresses().first().and_then(quorate::wire::PeerUrl::socket_addr);
    let local = first.and_then(|to| {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    SocketAddr::new(local.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0)
}

/// Why members that are not here are not, for those that are missed.
fn missing(member: &Member) -> report::Absent {
    let present = member.present(Role::Receiver);
    let members = member.space().members();
    let absent = &members.borrow().absent;
    let reasons = absent.iter().map(|(url, absence)| (crate::group::name_of(url), absence.reason.clone()));
    reasons.filter(|(name, _)| !present.contains(name)).collect()
}
