//! The peer itself: the SDS machine, what it is to send, and what it waits for.

use super::args::Plan;
use super::link::{Heard, Links};
use super::report::{Log, Tally};
use crate::exit::Failure;
use bytes::Bytes;
use quorate::base::{Mono, Now};
use quorate::channel::sds::{Content, Dialect, Due, Prepared, Sds, SdsError, SdsEvent, SdsMessage};
use quorate::channel::{MessageId, RequestId, StructuredId};
use quorate_testkit::network::Link;
use std::collections::BTreeMap;
use std::time::Duration;

/// The distance of own messages.
const PACE: Duration = Duration::from_millis(10);

/// One participant.
pub(super) struct Probe {
    plan: Plan,
    sds: Sds,
    log: Log,
    tally: Tally,
    /// Own messages by number.
    ids: BTreeMap<u64, MessageId>,
    sent: u64,
    next_send: Mono,
    first: Vec<Due>,
    began: Mono,
    done: Option<Mono>,
    citations: Citations,
}

/// How the peers acknowledge, by what came from them: why acknowledgements stay away can be seen by it.
#[derive(Debug, Default)]
struct Citations {
    /// Messages without acknowledgement vectors.
    bare: u64,
    /// The most messages that one of them cites.
    longest: usize,
}

/// A frame that is to leave, unless it is to be lost.
pub(super) struct Frame {
    pub(super) frame: Bytes,
    due: Due,
}

impl Probe {
    pub(super) fn new(now: Now, plan: &Plan) -> Result<Self, Failure> {
        let entropy = getrandom::u64().map_err(|error| Failure::usage(format!("no randomness: {error}")))?;
        let (channel, id) = (plan.channel.as_str().into(), plan.id.as_str().into());
        let sds = Sds::open(now, channel, id, Content::Whole, plan.config.clone(), entropy)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self {
            plan: plan.clone(),
            sds,
            log: Log::new(plan.json),
            tally: Tally::default(),
            ids: BTreeMap::new(),
            sent: 0,
            next_send: now.mono,
            first: Vec::new(),
            began: now.mono,
            done: None,
            citations: Citations::default(),
        })
    }

    /// What is to leave now. Frames that are lost by the plan count as sent.
    pub(super) fn poll(&mut self, now: Now, connected: bool) -> Vec<Frame> {
        if !connected {
            // What is due waits: nobody would hear it.
            return Vec::new();
        }
        if self.sent < self.plan.send && self.next_send <= now.mono {
            self.send(now);
        }
        let mut due = std::mem::take(&mut self.first);
        due.extend(std::iter::from_fn(|| self.sds.poll_due(now)));
        let mut frames = Vec::new();
        for due in due {
            let Some(message) = self.sds.prepare(now, due.clone()) else { continue };
            if let Due::Message(sequence) = due {
                self.ids.entry(sequence).or_insert_with(|| message.id.clone());
            }
            self.tally.made += 1;
            if self.is_lost(&message) {
                self.tally.count(&message.bytes);
                self.tally.dropped += 1;
                self.attempted(now, &due, true);
            } else {
                frames.push(Frame { frame: message.bytes, due });
            }
        }
        frames
    }

    /// A frame was handed over, or there was nobody.
    pub(super) fn handle_sent(&mut self, now: Now, frame: &Frame, left: bool) {
        if left {
            self.tally.count(&frame.frame);
        }
        self.attempted(now, &frame.due, left);
    }

    /// Something came from a peer; nothing did where one only connected.
    pub(super) fn handle_heard(&mut self, now: Now, heard: Option<Heard>) {
        match heard {
            None => {}
            Some(Heard::Frame(frame)) => self.frame(now, frame),
            Some(Heard::TooLong(length)) => {
                self.log.refused(
                    "frame_length",
                    &format!("{length} bytes were announced; the connection is ended"),
                );
            }
            Some(Heard::Cut) => self.log.refused("cut_off", "a connection ended within a frame"),
        }
    }

    fn frame(&mut self, now: Now, frame: Bytes) {
        self.tally.received += 1;
        self.citations.look_at(self.plan.config.dialect, &frame);
        if let Err(error) = self.sds.handle_message(now, frame, None) {
            self.log.refused(cause(&error), &error.to_string());
        }
        self.listen(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.sds.handle_timeout(now);
        self.listen(now);
    }

    /// When there is something to do, at the latest.
    pub(super) fn poll_timeout(&self, _now: Now, connected: bool) -> Mono {
        let end = self.done.map_or(self.began + self.plan.timeout, |done| done + self.plan.linger);
        if !connected {
            return end;
        }
        let send = (self.sent < self.plan.send).then_some(self.next_send);
        [Some(end), send, self.sds.poll_timeout()].into_iter().flatten().min().unwrap_or(end)
    }

    /// Whether it is done and has lingered, or gave up.
    pub(super) fn is_over(&mut self, now: Now) -> bool {
        if self.done.is_none() && self.lacks().is_none() {
            self.done = Some(now.mono);
        }
        match self.done {
            Some(done) => now.mono >= done + self.plan.linger,
            None => now.mono >= self.began + self.plan.timeout,
        }
    }

    /// Why it was not all done.
    pub(super) fn failure(&self) -> Option<String> {
        let lacks = self.lacks().filter(|_| self.done.is_none())?;
        Some(match lacks {
            Lack::Acknowledgements => format!(
                "not all that was sent was acknowledged: {} of {}{}",
                self.tally.acknowledged,
                self.plan.send,
                self.citations.why(&self.plan)
            ),
            Lack::Deliveries => {
                let gaps = match self.sds.stats().gaps {
                    0 => String::new(),
                    gaps => format!("; {gaps} gaps, see above"),
                };
                format!(
                    "not all that was expected was delivered: {} of {}{gaps}",
                    self.log.len(),
                    self.plan.expect
                )
            }
        })
    }

    /// Says how it went; the failure, should it be one.
    pub(super) fn summary(&self, now: Now, links: &Links, failure: Option<&str>) -> Failure {
        let took = now.mono.since(self.began);
        let tally = Tally { overflowed: links.overflowed, ..self.tally };
        let sent = self.ids.values().cloned();
        let summary = self.log.summary(&self.plan, &tally, self.sds.stats(), sent, took, failure);
        Failure::failed(failure.unwrap_or("done").to_owned()).with_details(summary)
    }

    fn send(&mut self, now: Now) {
        let mut content = format!("{} {} ", self.plan.id, self.sent).into_bytes();
        content.resize(self.plan.size.max(content.len()), b'.');
        let request = RequestId(self.sent + 1);
        match self.sds.handle_send(now, request, content.into()) {
            Ok(sequence) => self.first.push(Due::Message(sequence)),
            Err(error) => self.log.complain(&error.to_string()),
        }
        self.sent += 1;
        self.next_send = now.mono + PACE;
    }

    fn attempted(&mut self, now: Now, due: &Due, left: bool) {
        if let Due::Message(sequence) = due {
            self.sds.handle_attempted(now, *sequence, left);
        }
    }

    /// A function of seed, message and attempt. Ids differ from run to run by their tag, which says nothing here.
    fn is_lost(&self, message: &Prepared) -> bool {
        let name = match (message.request, StructuredId::parse(message.id.as_str())) {
            (Some(_), Some(id)) => format!("{} {:?}", id.sequence, id.content),
            _ => format!("other {}", self.tally.made),
        };
        let link = Link { from: &self.plan.id, to: "peer" };
        self.plan.faults.fate(link, &name, message.attempt).delays().is_empty()
    }

    fn listen(&mut self, _now: Now) {
        while let Some(event) = self.sds.poll_event() {
            match event {
                SdsEvent::Delivered(delivery) => self.log.delivered(&delivery),
                SdsEvent::Acknowledged { sequence, by, satisfied, .. } => {
                    self.tally.acknowledged += u64::from(satisfied);
                    if let Some(id) = self.ids.get(&sequence) {
                        self.log.acknowledged(id, &by);
                    }
                }
                SdsEvent::Ephemeral { sender, id, .. } => self.log.ephemeral(&sender, &id),
                SdsEvent::Gap(missing) => missing.iter().for_each(|missing| self.log.gap(missing)),
                _ => {}
            }
        }
    }

    fn lacks(&self) -> Option<Lack> {
        if self.tally.acknowledged < self.plan.send {
            Some(Lack::Acknowledgements)
        } else if self.log.len() < self.plan.expect {
            Some(Lack::Deliveries)
        } else {
            None
        }
    }
}

/// What is waited for still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    Acknowledgements,
    Deliveries,
}

impl Citations {
    fn look_at(&mut self, dialect: Dialect, frame: &Bytes) {
        let Ok(message) = SdsMessage::decode(dialect, frame.clone()) else { return };
        if message.acks.is_empty() && message.oldest.is_none() {
            self.bare += 1;
            self.longest = self.longest.max(message.history.len());
        }
    }

    /// What keeps a peer that acknowledges by citing alone from acknowledging all.
    fn why(&self, plan: &Plan) -> String {
        match (self.bare, plan.is_interop()) {
            (0, _) => String::new(),
            (_, false) => format!(
                "; the peer acknowledges by what it cites alone, at most {} messages at a time, and `--profile compact` cites few of ours: \
                 try `--profile interop`",
                self.longest
            ),
            (_, true) => format!(
                "; the peer acknowledges by what it cites alone, at most {} messages at a time",
                self.longest
            ),
        }
    }
}

/// What the summary calls the reason for which a frame was refused.
const fn cause(error: &SdsError) -> &'static str {
    match error {
        SdsError::Decode(_) => "undecodable",
        SdsError::OtherChannel => "other_channel",
        SdsError::FromTheFuture { .. } => "from_the_future",
        SdsError::Contradiction => "contradiction",
        SdsError::Full => "full",
        _ => "other",
    }
}
