//! What a sender shows: a bar per receiver, and in the end who has what.
//!
//! The rule: whoever lacks something is named, with how much it has and why.

use crate::exit::Failure;
use crate::group::Member;
use crate::output;
use crate::progress::{Bar, Progress};
use crate::recv::reason_name;
use indicatif::DecimalBytes;
use quorate::files::send::ReceiverState;
use quorate::files::{Manifest, OutboxEvent, PeerName};
use quorate::transfer::{ReceiverReport, SendReport};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Why receivers that are not here are not.
pub(super) type Absent = BTreeMap<PeerName, String>;

/// Shows what happens.
pub(super) struct Reporter {
    manifest: Manifest,
    progress: Progress,
    json: bool,
    started: Instant,
    receivers: HashMap<PeerName, Shown>,
}

struct Shown {
    bar: Bar,
    took: Option<Duration>,
}

impl Reporter {
    pub(super) fn new(manifest: Manifest, progress: Progress, json: bool) -> Self {
        Self { manifest, progress, json, started: Instant::now(), receivers: HashMap::new() }
    }

    /// Shows what is about to be sent, and by whom.
    pub(super) fn begin(&mut self, member: &Member) {
        self.started = Instant::now();
        if !self.json {
            return;
        }
        let files = self.manifest.files();
        let files: Vec<_> =
            files.iter().map(|file| json!({ "name": file.name, "bytes": file.size })).collect();
        output::json(&json!({
            "event": "sending",
            "transfer": self.manifest.id().to_string(),
            "name": member.name().as_str(),
            "address": member.url().as_str(),
            "files": files,
            "bytes": self.manifest.total_bytes(),
        }));
    }

    /// Shows an event.
    pub(super) fn tell(&mut self, event: &OutboxEvent) {
        if self.json
            && let Some(object) = to_json(event)
        {
            output::json(&object);
        }
        match event {
            OutboxEvent::Joined { receiver } => drop(self.shown(receiver)),
            OutboxEvent::Progress { receiver, held, .. } => self.shown(receiver).bar.set(*held),
            OutboxEvent::Completed { receiver } => {
                let took = self.started.elapsed();
                let shown = self.shown(receiver);
                shown.took = Some(took);
                shown.bar.finish("complete");
            }
            OutboxEvent::Refused { receiver, .. } => self.shown(receiver).bar.abandon("refused"),
            _ => {}
        }
    }

    /// Shows that the transfer is over, for which so many bytes were handed to the network; fails when somebody does not have
    /// everything.
    pub(super) fn end(&self, report: &SendReport, absent: &Absent, sent: u64) -> Result<(), Failure> {
        if !report.is_complete() {
            return Err(self.failure("not everything was delivered", report, absent));
        }
        if self.json {
            output::json(&json!({
                "event": "delivered",
                "bytes": report.total,
                "sent_bytes": sent,
                "seconds": report.elapsed.as_secs_f64(),
                "receivers": self.receivers_json(report),
            }));
            return Ok(());
        }
        for receiver in &report.receivers {
            let took = self.took(receiver).unwrap_or(report.elapsed);
            let (bytes, speed) = (DecimalBytes(report.total), speed(report.total, took));
            let name = output::tame(receiver.name.as_str());
            self.progress.line(&format!(
                "{name} has everything: {bytes} in {:.2} s ({speed:.1} MB/s)",
                took.as_secs_f64()
            ));
        }
        Ok(())
    }

    /// The failure that names everybody who lacks something.
    pub(super) fn failure(&self, why: &str, report: &SendReport, absent: &Absent) -> Failure {
        let mut text = why.to_owned();
        let total = report.total;
        let gone =
            |name| absent.get(name).map(|reason| format!("; it is not there: {reason}")).unwrap_or_default();
        for receiver in &report.receivers {
            let name = &receiver.name;
            let state = match &receiver.state {
                ReceiverState::Complete => "has everything".to_owned(),
                ReceiverState::Refused(refused) => format!("refused: {}", refused.text),
                _ => format!("has {} of {}{}", DecimalBytes(receiver.held), DecimalBytes(total), gone(name)),
            };
            text.push_str(&format!("\n  {name} {state}"));
        }
        for name in &report.silent {
            text.push_str(&format!("\n  {name} has not answered{}", gone(name)));
        }
        if report.receivers.is_empty() && report.silent.is_empty() {
            text.push_str("\n  every receiver has left");
        }
        let silent: Vec<_> = report.silent.iter().map(PeerName::as_str).collect();
        Failure::failed(text).with_details(json!({
            "bytes": total,
            "receivers": self.receivers_json(report),
            "silent": silent,
        }))
    }

    fn receivers_json(&self, report: &SendReport) -> Vec<Value> {
        let receiver = |receiver: &ReceiverReport| {
            let mut object = json!({
                "receiver": receiver.name.as_str(),
                "state": state_name(&receiver.state),
                "held": receiver.held,
                "total": report.total,
            });
            if let Some(took) = self.took(receiver) {
                object["seconds"] = took.as_secs_f64().into();
                object["megabytes_per_second"] = speed(report.total, took).into();
            }
            if let ReceiverState::Refused(refused) = &receiver.state {
                object["reason"] = reason_name(refused.reason).into();
                object["text"] = refused.text.as_str().into();
            }
            object
        };
        report.receivers.iter().map(receiver).collect()
    }

    fn took(&self, receiver: &ReceiverReport) -> Option<Duration> {
        self.receivers.get(&receiver.name).and_then(|shown| shown.took)
    }

    fn shown(&mut self, receiver: &PeerName) -> &mut Shown {
        let total = self.manifest.total_bytes();
        let progress = &self.progress;
        let new = || Shown { bar: progress.bar(receiver.as_str(), total), took: None };
        self.receivers.entry(receiver.clone()).or_insert_with(new)
    }
}

fn to_json(event: &OutboxEvent) -> Option<Value> {
    Some(match event {
        OutboxEvent::Joined { receiver } => json!({ "event": "joined", "receiver": receiver.as_str() }),
        OutboxEvent::Progress { receiver, held, total, .. } => json!({
            "event": "progress",
            "receiver": receiver.as_str(),
            "held": held,
            "total": total,
        }),
        OutboxEvent::Completed { receiver } => {
            json!({ "event": "completed", "receiver": receiver.as_str() })
        }
        OutboxEvent::Refused { receiver, refused } => json!({
            "event": "refused",
            "receiver": receiver.as_str(),
            "reason": reason_name(refused.reason),
            "text": refused.text,
        }),
        _ => return None,
    })
}

const fn state_name(state: &ReceiverState) -> &'static str {
    match state {
        ReceiverState::Complete => "complete",
        ReceiverState::Refused(_) => "refused",
        ReceiverState::Silent => "silent",
        _ => "receiving",
    }
}

/// Megabytes (10^6 bytes) per second.
fn speed(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-6)
}
