//! A group in virtual time: one sender, some receivers with folders of their own, and a channel
//! between them that may lose, double and reorder, and may even lie about it.

use quorate::files::manifest::MIN_CHUNK_SIZE;
use quorate::files::{
    Folder, Home, Inbox, InboxConfig, InboxEvent, InboxOutput, Message, Outbox, OutboxConfig, OutboxEvent,
    OutboxOutput, PeerName, SendToken, Source,
};
use quorate_base::{Mono, Now, Wall};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The time that the fastest message takes.
const LATENCY: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(2 * 3_600);

/// What the channel does to each message, per receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// The share that never arrives, although it is reported as delivered.
    pub(crate) lost: f64,
    /// The share that is reported as failed.
    pub(crate) failed: f64,
    /// The share that arrives twice.
    pub(crate) doubled: f64,
    /// The longest delay.
    pub(crate) delay: Duration,
}

pub(crate) struct Group {
    pub(crate) now: Now,
    pub(crate) outbox: Outbox,
    pub(crate) source: Source,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) sent: Vec<OutboxEvent>,
    faults: Faults,
    random: fastrand::Rng,
    travelling: Vec<Travelling>,
    temp: TempDir,
}

pub(crate) struct Receiver {
    pub(crate) name: PeerName,
    pub(crate) folder: PathBuf,
    pub(crate) inbox: Option<Inbox<Folder>>,
    pub(crate) events: Vec<InboxEvent>,
}

struct Travelling {
    due: Mono,
    what: What,
}

enum What {
    ToSender { from: PeerName, message: Message },
    ToReceiver { index: usize, message: Message },
    Delivered(SendToken),
    Failed(SendToken),
}

impl Group {
    /// A sender of files with these names and contents, and `receivers` receivers.
    pub(crate) fn new(seed: u64, files: &[(&str, Vec<u8>)], receivers: usize, faults: Faults) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            files.iter().map(|(name, _)| temp.path().join("source").join(name)).collect();
        std::fs::create_dir(temp.path().join("source")).unwrap();
        for (path, (_, content)) in paths.iter().zip(files) {
            std::fs::write(path, content).unwrap();
        }
        let source = Source::open_in_chunks(&paths, MIN_CHUNK_SIZE, |_| {}).unwrap();
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1));
        let config = config(receivers);
        let outbox = Outbox::new(now, source.manifest().clone(), config);
        let receivers = (0..receivers)
            .map(|index| Receiver {
                name: PeerName::from(format!("receiver-{index}").as_str()),
                folder: temp.path().join(format!("out-{index}")),
                inbox: None,
                events: Vec::new(),
            })
            .collect::<Vec<_>>();
        let random = fastrand::Rng::with_seed(seed);
        let mut group =
            Self { now, outbox, source, receivers, sent: vec![], faults, random, travelling: vec![], temp };
        (0..group.receivers.len()).for_each(|index| group.start(index));
        group
    }

    /// Starts a receiver on whatever its folder holds.
    pub(crate) fn start(&mut self, index: usize) {
        let incarnation = self.random.u64(..);
        let receiver = &mut self.receivers[index];
        let folder = Folder::new(Home::open(&receiver.folder).unwrap()).unwrap();
        receiver.inbox = Some(Inbox::new(folder, incarnation, InboxConfig::default()));
    }

    /// Ends a receiver's process: what was on its way to it is lost.
    pub(crate) fn kill(&mut self, index: usize) {
        self.receivers[index].inbox = None;
        self.travelling.retain(
            |travelling| !matches!(travelling.what, What::ToReceiver { index: to, .. } if to == index),
        );
    }

    /// Ends the sender's process and starts it anew with the same words.
    pub(crate) fn restart_sender(&mut self) {
        self.travelling.clear();
        let config = config(self.receivers.len());
        self.outbox = Outbox::new(self.now, self.source.manifest().clone(), config);
    }

    /// Runs until `done`, which is asked after every single step, for at most two virtual hours.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now.mono + LONGEST;
        while self.now.mono < end {
            self.step();
            if done(self) {
                return;
            }
        }
        panic!("two virtual hours were not enough: {:?}", self.outbox.receivers().collect::<Vec<_>>());
    }

    /// Runs until every receiver has every file; then checks them against the sources.
    pub(crate) fn run_to_completion(&mut self) {
        self.run_until(|group| group.outbox.is_settled());
        self.drain_sender();
        for receiver in &self.receivers {
            for (index, entry) in self.source.manifest().files().iter().enumerate() {
                let source = std::fs::read(self.temp.path().join("source").join(&entry.name)).unwrap();
                let name = receiver.name_of(index as u32);
                let received = std::fs::read(receiver.folder.join(&name)).unwrap();
                assert!(received == source, "{name} differs at {}", receiver.name);
            }
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        self.drain_sender();
        (0..self.receivers.len()).for_each(|index| self.drain_receiver(index));
        let next = (0..self.travelling.len()).min_by_key(|index| self.travelling[*index].due);
        let arrival = next.map_or(Mono::MAX, |index| self.travelling[index].due);
        let timer = self.timers().min().unwrap_or(Mono::MAX);
        self.now.mono = arrival.min(timer).max(self.now.mono);
        if let Some(index) = next
            && arrival <= timer
        {
            let travelling = self.travelling.remove(index);
            return self.arrive(travelling.what);
        }
        self.outbox.handle_timeout(self.now);
        for inbox in self.receivers.iter_mut().filter_map(|receiver| receiver.inbox.as_mut()) {
            inbox.handle_timeout(self.now);
        }
    }

    fn timers(&self) -> impl Iterator<Item = Mono> {
        let inboxes = self.receivers.iter().filter_map(|receiver| receiver.inbox.as_ref());
        inboxes.filter_map(Inbox::poll_timeout).chain(self.outbox.poll_timeout())
    }

    fn arrive(&mut self, what: What) {
        let coded = |message: Message| Message::decode(message.encode()).unwrap();
        match what {
            What::ToSender { from, message } => {
                self.outbox.handle_message(self.now, &from, &coded(message));
            }
            What::ToReceiver { index, message } => {
                if let Some(inbox) = &mut self.receivers[index].inbox {
                    inbox.handle_message(self.now, &PeerName::from("sender"), coded(message)).unwrap();
                }
            }
            What::Delivered(token) => self.outbox.handle_delivered(self.now, token),
            What::Failed(token) => self.outbox.handle_failed(self.now, token),
        }
    }

    fn drain_sender(&mut self) {
        while let Some(output) = self.outbox.poll_output() {
            match output {
                OutboxOutput::Send { token, message } => self.broadcast(token, &message),
                OutboxOutput::SendChunk { token, file, chunk } => {
                    let chunk = self.source.chunk(file, chunk).unwrap();
                    self.broadcast(token, &Message::Chunk(chunk));
                }
                OutboxOutput::Event(event) => self.sent.push(event),
                _ => {}
            }
        }
    }

    fn broadcast(&mut self, token: SendToken, message: &Message) {
        for index in 0..self.receivers.len() {
            let copies = if self.random.f64() < self.faults.lost {
                0
            } else if self.random.f64() < self.faults.doubled {
                2
            } else {
                1
            };
            for _ in 0..copies {
                self.travel(What::ToReceiver { index, message: message.clone() });
            }
        }
        let failed = self.random.f64() < self.faults.failed;
        self.travel(if failed { What::Failed(token) } else { What::Delivered(token) });
    }

    fn drain_receiver(&mut self, index: usize) {
        let receiver = &mut self.receivers[index];
        let (from, mut messages) = (receiver.name.clone(), Vec::new());
        while let Some(output) = receiver.inbox.as_mut().and_then(Inbox::poll_output) {
            match output {
                InboxOutput::Send(message) => messages.push(message),
                InboxOutput::Event(event) => receiver.events.push(event),
                _ => {}
            }
        }
        for message in messages {
            self.travel(What::ToSender { from: from.clone(), message });
        }
    }

    fn travel(&mut self, what: What) {
        let due = self.now.mono + LATENCY + self.faults.delay.mul_f64(self.random.f64());
        self.travelling.push(Travelling { due, what });
    }
}

fn config(expected: usize) -> OutboxConfig {
    OutboxConfig { window: 4 * u64::from(MIN_CHUNK_SIZE), expected, ..OutboxConfig::default() }
}

impl Receiver {
    /// The name under which a file arrived.
    pub(crate) fn name_of(&self, file: u32) -> String {
        let placed = self.events.iter().find_map(|event| match event {
            InboxEvent::Placed { file: placed, name, .. } if *placed == file => Some(name.clone()),
            _ => None,
        });
        placed.unwrap_or_else(|| panic!("file {file} was not placed: {:?}", self.events))
    }

    /// The folder's entries but for the receiver's own state, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        names_in(&self.folder)
    }
}

/// The names in a folder but for `.quorate`, in order.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".quorate")
        .collect();
    names.sort();
    names
}

/// Bytes that do not repeat at chunk borders.
pub(crate) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}
