//! What both sides of the crash test agree on: payloads with numbers, and the application's own log.

use bytes::Bytes;
use quorate_base::Backoff;
use quorate_channel::{
    AckPolicy, ChannelConfig, ChannelEvent, EventSeq, Identity, ParticipantId, RateLimitConfig,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// The participant that is killed.
pub const KILLED: &str = "alice";
/// The one that stays.
pub const STAYS: &str = "bob";
/// Envelopes that the killed one may let out in each second.
pub const PER_SECOND: u32 = 400;

/// Who `name` is.
pub fn identity(name: &str) -> Identity {
    Identity { channel: "crash".into(), topic: "/quorate/1/crash/proto".into(), participant: name.into() }
}

/// A configuration in which nothing is given up while a test runs.
pub fn config(other: &str, per_epoch: Option<u32>) -> ChannelConfig {
    const LONG: Duration = Duration::from_secs(3_600);
    ChannelConfig {
        acks: AckPolicy::All([ParticipantId::from(other)].into()),
        retransmit: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
        dispatch_timeout: LONG,
        delivery_timeout: LONG,
        lost_after: LONG,
        segment_bytes: 16 << 10,
        rate_limit: RateLimitConfig {
            per_epoch,
            epoch: Duration::from_secs(1),
            ..RateLimitConfig::default()
        },
        ..ChannelConfig::default()
    }
}

/// A payload that says its number; some have several segments.
pub fn payload(number: u32) -> Bytes {
    let len = if number.is_multiple_of(10) { 60_000 } else { 64 };
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(len, (number % 251) as u8);
    bytes.into()
}

/// The number of a payload; `None` where it is not the one that was made.
pub fn number(bytes: &Bytes) -> Option<u32> {
    let number = u32::from_be_bytes(*bytes.first_chunk()?);
    (payload(number) == *bytes).then_some(number)
}

/// What the killed application keeps: the numbers that were accepted, and every event that it was told.
#[derive(Debug)]
pub struct AppLog {
    file: File,
    /// Numbers that were tried: killed before it was answered, nobody knows whether one was accepted.
    pub tried: Vec<u32>,
    /// Numbers that were accepted.
    pub accepted: Vec<u32>,
    /// Events, with the number of the payload where it is one.
    pub events: Vec<(EventSeq, Option<u32>)>,
}

impl AppLog {
    /// Opens the log; a line that was not finished is cut off.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (log, whole) = Self::parse(path, file)?;
        log.file.set_len(whole as u64)?;
        Ok(log)
    }

    /// Reads the log, which may be written meanwhile.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(path, File::open(path)?)?.0)
    }

    fn parse(path: &Path, file: File) -> io::Result<(Self, usize)> {
        let text = std::fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut log = Self { file, tried: Vec::new(), accepted: Vec::new(), events: Vec::new() };
        for line in text[..whole].lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next().and_then(|word| word.parse::<u64>().ok())) {
                (Some("t"), Some(number)) => log.tried.push(number as u32),
                (Some("s"), Some(number)) => log.accepted.push(number as u32),
                (Some("e"), Some(seq)) => {
                    let number = words.next().and_then(|word| word.parse().ok());
                    log.events.push((EventSeq(seq), number));
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok((log, whole))
    }

    /// The last event that was dealt with.
    pub fn cursor(&self) -> EventSeq {
        self.events.last().map_or(EventSeq::START, |(seq, _)| *seq)
    }

    /// Keeps a number that is about to be sent.
    pub fn try_send(&mut self, number: u32) -> io::Result<()> {
        self.tried.push(number);
        self.file.write_all(format!("t {number}\n").as_bytes())
    }

    /// Keeps a number that was accepted.
    pub fn accept(&mut self, number: u32) -> io::Result<()> {
        self.accepted.push(number);
        self.file.write_all(format!("s {number}\n").as_bytes())
    }

    /// Keeps an event.
    pub fn event(&mut self, seq: EventSeq, event: &ChannelEvent) -> io::Result<()> {
        let number = match event {
            // 0 stands for a payload that nobody sent.
            ChannelEvent::Received { payload, .. } => Some(number(payload).unwrap_or(0)),
            _ => None,
        };
        self.events.push((seq, number));
        let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        self.file.write_all(format!("e {} {number}\n", seq.0).as_bytes())
    }
}
