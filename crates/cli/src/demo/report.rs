//! What the demo ends with: a table for people, one JSON object for programs.
//!
//! The rule: each figure is read from a counter of the peer it belongs to.

use super::args::Plan;
use super::federation::Federated;
use super::group::{Group, Outsider, Peer};
use super::sha256_of;
use comfy_table::{CellAlignment, Table, presets};
use quorate::LinkStats;
use quorate::channel::ChannelStats;
use quorate::files::send::ReceiverState;
use quorate::transfer::SendReport;
use quorate::transport::TransportTotals;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// When each receiver had the file.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    completed: BTreeMap<String, Duration>,
}

impl Timeline {
    pub(crate) fn completed(&mut self, name: &str, after: Duration) {
        self.completed.entry(name.to_owned()).or_insert(after);
    }
}

/// Everything the demo says at its end.
pub(crate) struct Report {
    file: String,
    bytes: u64,
    sha256: Option<String>,
    loss: f64,
    seed: u64,
    elapsed: Duration,
    peers: Vec<PeerReport>,
    outsider: Option<OutsiderReport>,
    lacking: Vec<String>,
    federated: Option<Federated>,
}

struct PeerReport {
    name: String,
    channel: ChannelStats,
    wire: TransportTotals,
    links: LinkStats,
    completed: Option<Duration>,
    /// Whether what it wrote is the source; `None` for the sender.
    intact: Option<bool>,
}

struct OutsiderReport {
    channel: ChannelStats,
    was_sent: u64,
}

impl Report {
    /// Reads every counter, and the files that were written.
    pub(crate) async fn take(
        plan: &Plan,
        group: &Group,
        outsider: Option<Outsider>,
        sent: SendReport,
        timeline: Timeline,
    ) -> Self {
        let mut channels = Vec::new();
        for peer in &group.peers {
            channels.push(peer.stats().await);
        }
        group.quiet().await;
        let outsider = match outsider {
            Some(outsider) => Some(outsider_report(group, outsider).await),
            None => None,
        };
        let sha256 = sha256_of(&plan.file);
        let peers = group.peers.iter().zip(channels);
        let peers = peers.map(|(peer, channel)| PeerReport {
            completed: timeline.completed.get(&peer.name).copied(),
            intact: peer.folder.as_deref().map(|folder| is_intact(plan, folder, sha256.as_deref())),
            ..peer_report(peer, channel)
        });
        let peers: Vec<_> = peers.collect();
        for peer in &group.peers {
            peer.node.shutdown().await;
        }
        Self {
            file: plan.file.display().to_string(),
            bytes: sent.total,
            sha256,
            loss: plan.loss,
            seed: plan.seed,
            elapsed: sent.elapsed,
            lacking: lacking(&sent, &peers),
            peers,
            outsider,
            federated: None,
        }
    }

    /// The same with the demo's last act.
    #[must_use]
    pub(crate) fn with_last_act(self, federated: Federated) -> Self {
        Self { federated: Some(federated), ..self }
    }

    /// Whether everything came out as it must.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_delivered() && self.federated.as_ref().is_none_or(Federated::is_right)
    }

    /// Whether every receiver with the key wrote the source, and nobody without it read anything.
    fn is_delivered(&self) -> bool {
        let intact = self.peers.iter().all(|peer| peer.intact != Some(false));
        let sealed = self.outsider.as_ref().is_none_or(|outsider| {
            outsider.channel.messages_received == 0 && outsider.channel.decrypt_failed == outsider.was_sent
        });
        self.lacking.is_empty() && intact && sealed && self.sha256.is_some()
    }

    /// Why it is not complete, in one line.
    pub(crate) fn failure(&self) -> String {
        if !self.lacking.is_empty() {
            return self.lacking.join("; ");
        }
        if self.federated.as_ref().is_some_and(|federated| !federated.is_right()) {
            return "the guardians' answers did not come out as they must".to_owned();
        }
        "the peer with the other key did not fail to open exactly what it was sent".to_owned()
    }

    pub(crate) fn print_json(&self) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{:#}", self.to_json())
    }

    pub(crate) fn print_table(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}: {} bytes, SHA-256 {}",
            self.file,
            self.bytes,
            self.sha256.as_deref().unwrap_or("unknown")
        )?;
        writeln!(out, "{}", self.traffic())?;
        writeln!(out, "{}", self.deliveries())?;
        if let Some(outsider) = &self.outsider {
            writeln!(
                out,
                "outsider with another key: {} envelopes sent to it, {} did not open, {} messages read",
                outsider.was_sent, outsider.channel.decrypt_failed, outsider.channel.messages_received
            )?;
        }
        writeln!(
            out,
            "{:.2} s, {:.1} MB/s to each receiver, {:.0} % overhead on the wire (loss {}, seed {})",
            self.elapsed.as_secs_f64(),
            self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9),
            self.overhead() * 100.0,
            self.loss,
            self.seed
        )?;
        writeln!(
            out,
            "{}",
            if self.is_delivered() { "every receiver has the file" } else { "the delivery failed" }
        )?;
        match &self.federated {
            Some(federated) => writeln!(out, "{}", federated.table()),
            None => Ok(()),
        }
    }

    /// What each peer sent and received.
    fn traffic(&self) -> Table {
        let mut table = table(&[
            "peer",
            "messages",
            "segments",
            "envelopes",
            "again",
            "syncs",
            "lost",
            "doubled",
            "dropped",
            "frames out",
            "frames in",
            "wire out",
            "wire in",
            "received",
            "duplicates",
        ]);
        for peer in &self.peers {
            let (channel, wire, links) = (&peer.channel, &peer.wire, &peer.links);
            let figures = [
                channel.messages_sent,
                channel.segments_sent,
                channel.envelopes_dispatched,
                channel.retransmissions,
                channel.syncs_sent,
                links.lost,
                links.repeated,
                links.dropped,
                wire.send_message_count,
                wire.recv_message_count,
                wire.send_bytes,
                wire.recv_bytes,
                channel.segments_received,
                channel.duplicates,
            ];
            table.add_row(std::iter::once(peer.name.clone()).chain(figures.map(|figure| figure.to_string())));
        }
        align(table)
    }

    /// What each receiver acknowledged, wrote, and when.
    fn deliveries(&self) -> Table {
        let mut table = table(&["receiver", "segments acknowledged", "bytes", "seconds", "SHA-256"]);
        let acknowledged = self.acknowledged();
        for peer in self.peers.iter().filter(|peer| peer.intact.is_some()) {
            table.add_row([
                peer.name.clone(),
                acknowledged.get(&peer.name).copied().unwrap_or(0).to_string(),
                peer.channel.bytes_received.to_string(),
                peer.completed
                    .map_or_else(|| "never".to_owned(), |after| format!("{:.2}", after.as_secs_f64())),
                if peer.intact == Some(true) { "equal" } else { "DIFFERENT" }.to_owned(),
            ]);
        }
        align(table)
    }

    fn acknowledged(&self) -> BTreeMap<String, u64> {
        let by = self.peers.first().map(|sender| sender.channel.acknowledged_by.clone()).unwrap_or_default();
        by.into_iter().map(|(name, count)| (name.to_string(), count)).collect()
    }

    /// How much more went over the wire than the file's bytes, once for each receiver.
    fn overhead(&self) -> f64 {
        let receivers = self.peers.iter().filter(|peer| peer.intact.is_some()).count() as f64;
        let wire: u64 = self.peers.iter().map(|peer| peer.wire.send_bytes).sum();
        let payload = self.bytes as f64 * receivers;
        if payload > 0.0 { wire as f64 / payload - 1.0 } else { 0.0 }
    }

    fn to_json(&self) -> Value {
        json!({
            "ok": self.is_complete(),
            "file": self.file,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "loss": self.loss,
            "seed": self.seed,
            "seconds": self.elapsed.as_secs_f64(),
            "overhead": self.overhead(),
            "acknowledged_by": self.acknowledged(),
            "peers": self.peers.iter().map(PeerReport::to_json).collect::<Vec<_>>(),
            "outsider": self.outsider.as_ref().map(|outsider| json!({
                "envelopes_sent_to_it": outsider.was_sent,
                "decrypt_failed": outsider.channel.decrypt_failed,
                "messages_received": outsider.channel.messages_received,
            })),
            "lacking": self.lacking,
            "federation": self.federated.as_ref().map(Federated::to_json),
        })
    }
}

impl PeerReport {
    fn to_json(&self) -> Value {
        let (channel, wire, links) = (&self.channel, &self.wire, &self.links);
        json!({
            "name": self.name,
            "messages_sent": channel.messages_sent,
            "bytes_sent": channel.bytes_sent,
            "segments_sent": channel.segments_sent,
            "envelopes_dispatched": channel.envelopes_dispatched,
            "retransmissions": channel.retransmissions,
            "syncs_sent": channel.syncs_sent,
            "messages_received": channel.messages_received,
            "bytes_received": channel.bytes_received,
            "segments_received": channel.segments_received,
            "duplicates": channel.duplicates,
            "decrypt_failed": channel.decrypt_failed,
            "gaps": channel.gaps,
            "envelopes_lost": links.lost,
            "envelopes_repeated": links.repeated,
            "envelopes_dropped": links.dropped,
            "frames_sent": wire.send_message_count,
            "frames_received": wire.recv_message_count,
            "wire_bytes_sent": wire.send_bytes,
            "wire_bytes_received": wire.recv_bytes,
            "seconds_to_deliver": self.completed.map(|after| after.as_secs_f64()),
            "intact": self.intact,
        })
    }
}

fn peer_report(peer: &Peer, channel: ChannelStats) -> PeerReport {
    let (wire, links) = (peer.node.stats().totals, peer.links());
    PeerReport { name: peer.name.clone(), channel, wire, links, completed: None, intact: None }
}

/// The outsider's counters, once what is on its way to it has arrived.
async fn outsider_report(group: &Group, outsider: Outsider) -> OutsiderReport {
    const ARRIVING: Duration = Duration::from_secs(5);
    let deadline = tokio::time::Instant::now() + ARRIVING;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        let report =
            OutsiderReport { channel: outsider.peer.stats().await, was_sent: outsider.was_sent(group) };
        if report.channel.decrypt_failed == report.was_sent || tokio::time::Instant::now() >= deadline {
            outsider.peer.node.shutdown().await;
            return report;
        }
    }
}

/// Whether `folder` holds the source under its name, or a name with a number.
fn is_intact(plan: &Plan, folder: &Path, expected: Option<&str>) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let stem = plan.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    files
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&stem))
        .any(|entry| expected.is_some() && sha256_of(&entry.path()).as_deref() == expected)
}

/// Who lacks what, in words.
fn lacking(sent: &SendReport, peers: &[PeerReport]) -> Vec<String> {
    let mut lines: Vec<String> =
        sent.silent.iter().map(|name| format!("{} never answered", name.as_str())).collect();
    for receiver in &sent.receivers {
        match &receiver.state {
            ReceiverState::Complete => {}
            ReceiverState::Refused(refused) => {
                lines.push(format!("{} refused the file: {}", receiver.name.as_str(), refused.text));
            }
            _ => lines.push(format!(
                "{} lacks {} of {} bytes",
                receiver.name.as_str(),
                sent.total - receiver.held.min(sent.total),
                sent.total
            )),
        }
    }
    let different = peers.iter().filter(|peer| peer.intact == Some(false));
    lines.extend(different.map(|peer| format!("what {} wrote is not the source", peer.name)));
    lines
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header.to_vec());
    table
}

/// Names to the left, figures to the right.
fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
