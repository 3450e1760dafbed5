//! `quorate recv`: prints a ticket and receives files for whoever sends to it.
//!
//! The rule: the same words yield the same receiver. Its key, its port and its channel are kept in the
//! folder, so a ticket stays good for as long as the folder does.

mod acquaintances;
mod identity;
mod refusals;
mod report;

pub(crate) use report::reason_name;

use crate::exit::{Failure, chain};
use crate::group::{Group, Member, Role, random};
use crate::output;
use crate::progress::Progress;
use crate::signal::interrupted;
use quorate::channel::{Channel, ChannelEvents};
use quorate::files::state::Identity;
use quorate::files::{Acquaintances, Folder, Home, Inbox, InboxConfig};
use quorate::ticket::{MAX_ADDRESSES, Ticket};
use quorate::transfer::{ReceiveError, receive_files};
use report::Reporter;
use serde_json::json;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

/// How long a receiver that is done stays at most, for a sender that has not left yet.
const FAREWELL: Duration = Duration::from_secs(5);

/// Receive files into a folder
///
/// Prints a ticket: one line that `quorate send` needs to find this receiver and to encrypt for it.
/// Whoever has the ticket can send here and read what is sent: hand it over in private. The same
/// folder yields the same ticket when the command is started again.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the files go; made where there is no such folder
    #[arg(long, value_name = "OUT")]
    dir: PathBuf,
    /// Where to listen [default: 127.0.0.1 and the port of the last time, at first a free one]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Join the group of another receiver: what is sent to one of you goes to all
    #[arg(long)]
    ticket: Option<String>,
    /// End after the first transfer that is complete
    #[arg(long)]
    once: bool,
    /// Write JSON to standard output: one object per event, one event per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Receives until it is interrupted.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let invitation = arguments.ticket.as_deref().map(str::parse::<Ticket>).transpose();
    let invitation = invitation.map_err(|error| Failure::usage(chain(&error)))?;
    let dir = arguments.dir.display();
    let home = Home::open(&arguments.dir)
        .map_err(|error| Failure::usage(format!("cannot receive into {dir}: {}", chain(&error))))?;
    let mut identity = identity::of(&home, invitation.as_ref())?;
    let group =
        Group { space: identity.space, channel: identity.channel.clone(), key: identity.channel_key.clone() };
    let listen = identity::listen_at(&identity, arguments.listen);
    let member = Member::enter(Role::Receiver, &group, &identity.secret_key, listen).await?;
    let refusals = member.refusals();
    identity::keep_port(&home, &mut identity, member.url())?;

    let others = invitation.as_ref().map(Ticket::addresses).unwrap_or_default();
    let others = others.iter().filter(|other| other.peer_id() != member.url().peer_id());
    let addresses: Vec<_> =
        std::iter::once(member.url()).chain(others).take(MAX_ADDRESSES).cloned().collect();
    let acquaintances = Acquaintances::load(&home)
        .map_err(|error| Failure::usage(format!("cannot receive into {dir}: {}", chain(&error))))?;
    let folder = Folder::new(home)
        .map_err(|error| Failure::usage(format!("cannot receive into {dir}: {}", chain(&error))))?;
    let inbox = Inbox::new(folder, u64::from_ne_bytes(random()?), InboxConfig::default());
    let (channel, events) = member.open(&group)?;
    for other in addresses.iter().skip(1) {
        member.space().meet(other.clone()).await;
    }

    for former in acquaintances.list() {
        member.space().seek(former.clone()).await;
    }

    let ticket = Ticket::new(addresses, group.space, &group.channel, group.key.clone())
        .map_err(|error| Failure::failed(chain(&error)))?;
    announce(&arguments, &member, &ticket);
    let progress = Progress::on_terminal();
    let reporter = Reporter::new(&arguments.dir, progress.clone(), arguments.json);
    let outcome = tokio::select! {
        outcome = receive(&arguments, &member, &channel, events, inbox, reporter) => outcome,
        never = acquaintances::keep(acquaintances, &member) => match never {},
        never = refusals::tell(refusals, &progress, arguments.json) => match never {},
    };
    let stats = channel.stats().await.unwrap_or_default();
    if arguments.json {
        let (all, payloads) = (stats.envelope_bytes_received, stats.bytes_received);
        output::json(&json!({ "event": "ended", "received_bytes": all, "payload_bytes": payloads }));
    }
    member.part().await;
    outcome
}

fn announce(arguments: &Arguments, member: &Member, ticket: &Ticket) {
    if arguments.json {
        output::json(&json!({
            "event": "ticket",
            "ticket": ticket.to_string(),
            "name": member.name().as_str(),
            "address": member.url().as_str(),
        }));
    } else {
        output::line(&ticket.to_string());
        output::say(&format!("waiting at {} for files into {}", member.url(), arguments.dir.display()));
    }
}

/// Receives until it is interrupted, or until what was to be received once is there.
async fn receive(
    arguments: &Arguments,
    member: &Member,
    channel: &Channel,
    mut events: ChannelEvents,
    inbox: Inbox<Folder>,
    mut reporter: Reporter,
) -> Result<(), Failure> {
    let mut tell = |event: &_| match reporter.tell(event) {
        true if arguments.once => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let inbox = tokio::select! {
        received = receive_files(channel, &mut events, inbox, &mut tell) => received.map_err(broken)?,
        () = interrupted() => return Ok(()),
    };
    // The sender learns of it, and answers are given, until it leaves.
    let stay = receive_files(channel, &mut events, inbox, |_| ControlFlow::Continue(()));
    tokio::select! {
        ended = stay => ended.map(drop).map_err(broken),
        () = senders_gone(member) => Ok(()),
        () = tokio::time::sleep(FAREWELL) => Ok(()),
        () = interrupted() => Ok(()),
    }
}

async fn senders_gone(member: &Member) {
    let mut members = member.space().members();
    loop {
        members.borrow_and_update();
        if member.present(Role::Sender).is_empty() {
            return;
        }
        if members.changed().await.is_err() {
            return;
        }
    }
}

fn broken(error: ReceiveError) -> Failure {
    Failure::failed(chain(&error))
}

/// The identity as one group: what `--ticket` has to agree with.
fn is_of(identity: &Identity, ticket: &Ticket) -> bool {
    identity.space == *ticket.space()
        && identity.channel == ticket.channel()
        && identity.channel_key == *ticket.key()
}
