//! A disk that is full or broken: a clear refusal, nothing under a final name, and a transfer that
//! goes on when there is room again.

use crate::group::{content, names_in};
use quorate::files::message::{Chunk, RefusedReason};
use quorate::files::{
    DiskError, FileEntry, Folder, Home, Inbox, InboxConfig, InboxEvent, InboxOutput, Manifest, Message,
    PeerName, Placing, Sink, Stored, TransferId,
};
use quorate_base::{Mono, Now, Wall};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const CHUNK: usize = 65_536;

/// A [`Folder`] whose calls fail from a certain one on, after half of the data where it writes.
struct Failing {
    inner: Folder,
    calls: Rc<Cell<u32>>,
    fails_from: Rc<Cell<u32>>,
}

impl Failing {
    fn check(&self) -> Result<(), DiskError> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() > self.fails_from.get() {
            return Err(DiskError::Full { what: "testing", source: Error::from(ErrorKind::StorageFull) });
        }
        Ok(())
    }
}

impl Sink for Failing {
    fn journal(&mut self, transfer: TransferId, max: u64) -> Result<Option<Vec<u8>>, DiskError> {
        self.inner.journal(transfer, max)
    }
    fn begin(&mut self, transfer: TransferId) -> Result<(), DiskError> {
        self.check()?;
        self.inner.begin(transfer)
    }
    fn append(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError> {
        self.check().or_else(|error| {
            self.inner.append(transfer, &record[..record.len() / 2])?;
            Err(error)
        })?;
        self.inner.append(transfer, record)
    }
    fn cut(&mut self, transfer: TransferId, len: u64) -> Result<(), DiskError> {
        self.inner.cut(transfer, len)
    }
    fn write(&mut self, transfer: TransferId, file: u32, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.check().or_else(|error| {
            self.inner.write(transfer, file, offset, &data[..data.len() / 2])?;
            Err(error)
        })?;
        self.inner.write(transfer, file, offset, data)
    }
    fn read(&mut self, what: Stored<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.inner.read(what, offset, buffer)
    }
    fn seal(&mut self, transfer: TransferId, file: u32, size: u64) -> Result<(), DiskError> {
        self.check()?;
        self.inner.seal(transfer, file, size)
    }
    fn place(&mut self, transfer: TransferId, file: u32, name: &str) -> Result<Placing, DiskError> {
        self.check()?;
        self.inner.place(transfer, file, name)
    }
    fn size_of(&mut self, name: &str) -> Result<Option<u64>, DiskError> {
        self.inner.size_of(name)
    }
    fn is_taken(&mut self, name: &str) -> Result<bool, DiskError> {
        self.inner.is_taken(name)
    }
    fn discard(&mut self, transfer: TransferId, file: u32) -> Result<(), DiskError> {
        self.check()?;
        self.inner.discard(transfer, file)
    }
    fn end(&mut self, transfer: TransferId) -> Result<(), DiskError> {
        self.check()?;
        self.inner.end(transfer)
    }
    fn finished(&mut self, transfer: TransferId) -> Result<Option<Vec<u8>>, DiskError> {
        self.inner.finished(transfer)
    }
    fn set_finished(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError> {
        self.check()?;
        self.inner.set_finished(transfer, record)
    }
}

fn manifest(files: &[&[u8]]) -> Manifest {
    let entry = |content: &&[u8]| FileEntry {
        name: "f".to_owned(),
        size: content.len() as u64,
        sha256: Sha256::digest(content).into(),
    };
    Manifest::with_chunk_size(files.iter().map(entry).collect(), CHUNK as u32).unwrap()
}

/// Offers and sends everything; the events. Stops early at a refusal.
fn send<S: Sink>(inbox: &mut Inbox<S>, at: u64, manifest: &Manifest, files: &[&[u8]]) -> Vec<InboxEvent> {
    let now = Now::new(Mono::from_origin(Duration::from_secs(at)), Wall::default());
    let peer = PeerName::from("x");
    let mut events = Vec::new();
    let mut settle = |inbox: &mut Inbox<S>| {
        loop {
            while let Some(output) = inbox.poll_output() {
                if let InboxOutput::Event(event) = output {
                    events.push(event);
                }
            }
            if inbox.poll_timeout() != Some(Mono::ZERO) {
                break;
            }
            inbox.handle_timeout(now);
        }
    };
    inbox.handle_message(now, &peer, Message::Offer(manifest.clone())).unwrap();
    settle(inbox);
    for (file, content) in files.iter().enumerate() {
        for (chunk, data) in content.chunks(CHUNK).enumerate() {
            let data = data.to_vec().into();
            let chunk = Chunk { transfer: manifest.id(), file: file as u32, chunk: chunk as u32, data };
            inbox.handle_message(now, &peer, Message::Chunk(chunk)).unwrap();
            settle(inbox);
        }
    }
    events
}

fn refusals(events: &[InboxEvent]) -> Vec<RefusedReason> {
    let reason = |event: &InboxEvent| match event {
        InboxEvent::Refused { reason, .. } => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

fn is_completed(events: &[InboxEvent]) -> bool {
    events.iter().any(|event| matches!(event, InboxEvent::Completed { .. }))
}

fn folder(out: &Path) -> Folder {
    Folder::new(Home::open(out).unwrap()).unwrap()
}

#[test]
fn a_disk_that_fills_up_at_any_call_refuses_and_resumes_when_there_is_room() {
    let (first, second) = (content(1, 3 * CHUNK), content(2, 100));
    let files: [&[u8]; 3] = [&first, &[], &second];
    let manifest = manifest(&files);
    let mut most_calls = 0;
    for fails_from in 0.. {
        let temp = tempfile::tempdir().unwrap();
        let (calls, limit) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(fails_from)));
        let inner = folder(temp.path());
        let sink = Failing { inner, calls: calls.clone(), fails_from: limit.clone() };
        let mut inbox = Inbox::new(sink, 1, InboxConfig::default());
        let events = send(&mut inbox, 0, &manifest, &files);
        if is_completed(&events) {
            most_calls = fails_from;
            break;
        }
        assert_eq!(refusals(&events), [RefusedReason::Full], "call {fails_from}");
        for name in names_in(temp.path()) {
            let bytes = std::fs::read(temp.path().join(name)).unwrap();
            assert!(files.contains(&&bytes[..]), "a file under its final name is whole");
        }
        limit.set(u32::MAX);
        assert!(send(&mut inbox, 1, &manifest, &files).is_empty(), "it is not tried again at once");
        assert!(is_completed(&send(&mut inbox, 60, &manifest, &files)), "call {fails_from}");
        let names = names_in(temp.path());
        assert_eq!(names, ["f", "f (1)", "f (2)"], "call {fails_from}");
        assert_eq!(std::fs::read_dir(temp.path().join(".quorate/parts")).unwrap().count(), 0);
    }
    assert!(most_calls > 15, "the test reached every kind of call");
}

#[test]
fn a_real_file_system_that_is_full_refuses_and_resumes_when_there_is_room() {
    let temp = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::tmpfs(temp.path(), "400k") else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: no tmpfs can be mounted here");
        return;
    };
    std::fs::write(temp.path().join("ballast"), vec![0; 200_000]).unwrap();
    let content = content(3, 4 * CHUNK);
    let files: [&[u8]; 1] = [&content];
    let manifest = manifest(&files);
    let mut inbox = Inbox::new(folder(temp.path()), 1, InboxConfig::default());
    assert_eq!(refusals(&send(&mut inbox, 0, &manifest, &files)), [RefusedReason::Full]);
    assert_eq!(names_in(temp.path()), ["ballast"]);
    std::fs::remove_file(temp.path().join("ballast")).unwrap();
    assert!(is_completed(&send(&mut inbox, 60, &manifest, &files)));
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), content);
}

/// A small file system that goes when the value does.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(at: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut command = std::process::Command::new("mount");
        let command = command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        let status = command.stderr(std::process::Stdio::null()).status().ok()?;
        status.success().then_some(Self(at))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: the receiver's folder may still be open.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}
