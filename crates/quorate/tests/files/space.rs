//! A disk that is full from any call on: a clear refusal, nothing but whole files under a final
//! name, and a transfer that goes on when there is room again.

use crate::drive::{CHUNK, folder, is_completed, manifest, refusals, send};
use crate::group::{content, names_in};
use quorate::files::message::RefusedReason;
use quorate::files::{DiskError, Folder, Inbox, InboxConfig, Placing, Sink, Stored, TransferId};
use std::cell::Cell;
use std::io::{Error, ErrorKind};
use std::rc::Rc;

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
