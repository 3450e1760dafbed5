//! The storage of a receiver on disk: parts and journals below `.quorate`, finished files beside it.
//!
//! ```text
//! OUT/a.txt                       a finished file
//! OUT/.quorate/lock               held by the one receiver
//! OUT/.quorate/identity           who the receiver is
//! OUT/.quorate/parts/ID/journal   which chunks of transfer ID are whole
//! OUT/.quorate/parts/ID/0.part    what there is of its first file
//! OUT/.quorate/done/ID            where the files of a finished transfer went
//! ```
//!
//! The rule: a file appears under its final name in one step, when it is whole and on the medium,
//! and never in place of something else. Chunks are not synced one by one: after a power cut the
//! journal may name chunks whose data are lost, and the machine finds them by their checksum.

use super::disk::{self, DiskError};
use super::home::Home;
use super::manifest::TransferId;
use super::sink::{Placing, Sink, Stored};
use cap_std::fs::{Dir, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

/// How many unfinished transfers stay on disk; the one untouched for longest goes first.
pub const MAX_KEPT: usize = 64;
/// How many finished transfers are remembered; the oldest is forgotten first.
pub const MAX_FINISHED: usize = 1_024;
/// The longest record of a finished transfer that is read back, in bytes.
const MAX_RECORD: u64 = 64 * 1024;

const JOURNAL: &str = "journal";

/// A [`Sink`] in a [`Home`].
#[derive(Debug)]
pub struct Folder {
    home: Home,
    parts: Dir,
    done: Dir,
}

impl Folder {
    /// The storage in `home`.
    pub fn new(home: Home) -> Result<Self, DiskError> {
        let parts = disk::folder(home.own(), "parts")?;
        let done = disk::folder(home.own(), "done")?;
        Ok(Self { home, parts, done })
    }

    /// The folder it stands in, for instance for the receiver's identity.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The folder of a transfer that was begun.
    fn transfer(&self, transfer: TransferId) -> Result<Dir, DiskError> {
        let name = transfer.to_string();
        disk::existing_folder(&self.parts, &name)?
            .ok_or_else(|| DiskError::of("opening a transfer", ErrorKind::NotFound.into()))
    }

    fn make_room(&self) -> Result<(), DiskError> {
        let mut kept = names_by_age(&self.parts)?;
        while kept.len() >= MAX_KEPT {
            let oldest = kept.remove(0);
            remove_folder(&self.parts, &oldest)?;
        }
        Ok(())
    }
}

impl Sink for Folder {
    fn journal(&mut self, transfer: TransferId, max: u64) -> Result<Option<Vec<u8>>, DiskError> {
        match disk::existing_folder(&self.parts, &transfer.to_string())? {
            Some(folder) => disk::read(&folder, JOURNAL, max),
            None => Ok(None),
        }
    }

    fn begin(&mut self, transfer: TransferId) -> Result<(), DiskError> {
        let name = transfer.to_string();
        // What stands there without a journal was left by a process that was killed while it began.
        remove_folder(&self.parts, &name)?;
        self.make_room()?;
        let folder = disk::folder(&self.parts, &name)?;
        disk::open(&folder, JOURNAL, disk::options().write(true).create_new(true)).map(drop)
    }

    fn append(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError> {
        let folder = self.transfer(transfer)?;
        let mut file = disk::open(&folder, JOURNAL, disk::options().append(true))?;
        file.write_all(record).map_err(|error| DiskError::of("writing the journal", error))
    }

    fn cut(&mut self, transfer: TransferId, len: u64) -> Result<(), DiskError> {
        let folder = self.transfer(transfer)?;
        let file = disk::open(&folder, JOURNAL, disk::options().write(true))?;
        file.set_len(len).map_err(|error| DiskError::of("cutting the journal", error))
    }

    fn write(&mut self, transfer: TransferId, file: u32, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let folder = self.transfer(transfer)?;
        let mut part = disk::open(&folder, &part_name(file), disk::options().write(true).create(true))?;
        let sought = part.seek(SeekFrom::Start(offset));
        sought.and_then(|_| part.write_all(data)).map_err(|error| DiskError::of("writing a part", error))
    }

    fn read(&mut self, what: Stored<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let mut options = disk::options();
        options.read(true);
        let opened = match what {
            Stored::Part { transfer, file } => {
                disk::open(&self.transfer(transfer)?, &part_name(file), &options)
            }
            Stored::Final { name } => disk::open(self.home.out(), name, &options),
        };
        match opened {
            Ok(file) => read_at(file, offset, buffer).map_err(|error| DiskError::of("reading back", error)),
            Err(DiskError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn seal(&mut self, transfer: TransferId, file: u32, size: u64) -> Result<(), DiskError> {
        let folder = self.transfer(transfer)?;
        let part = disk::open(&folder, &part_name(file), disk::options().write(true).create(true))?;
        let sealed = part.set_len(size).and_then(|()| part.sync_all());
        sealed.map_err(|error| DiskError::of("syncing a part", error))
    }

    fn place(&mut self, transfer: TransferId, file: u32, name: &str) -> Result<Placing, DiskError> {
        let (folder, out) = (self.transfer(transfer)?, self.home.out());
        let part = part_name(file);
        match folder.hard_link(&part, out, name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Placing::Taken),
            // FAT and some network file systems have no hard links. Then look and rename: whoever
            // makes a file of this name between the two loses it, and no receiver does, by the lock.
            Err(_) if self.is_taken(name)? => return Ok(Placing::Taken),
            Err(_) => {
                let out = self.home.out();
                folder
                    .rename(&part, out, name)
                    .map_err(|error| DiskError::of("giving a file its name", error))?;
            }
        }
        // Whoever swapped the part for a link got the link placed: it is not what was verified.
        if self.size_of(name)?.is_none() {
            disk::remove(self.home.out(), name)?;
            return Err(DiskError::InTheWay { name: part, found: "no regular file" });
        }
        disk::sync(self.home.out())?;
        Ok(Placing::Placed)
    }

    fn size_of(&mut self, name: &str) -> Result<Option<u64>, DiskError> {
        match self.home.out().symlink_metadata(name) {
            Ok(meta) => Ok(meta.is_file().then(|| meta.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::of("looking at a file", error)),
        }
    }

    fn is_taken(&mut self, name: &str) -> Result<bool, DiskError> {
        match self.home.out().symlink_metadata(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(DiskError::of("looking at a file", error)),
        }
    }

    fn discard(&mut self, transfer: TransferId, file: u32) -> Result<(), DiskError> {
        disk::remove(&self.transfer(transfer)?, &part_name(file))
    }

    fn end(&mut self, transfer: TransferId) -> Result<(), DiskError> {
        remove_folder(&self.parts, &transfer.to_string())
    }

    fn finished(&mut self, transfer: TransferId) -> Result<Option<Vec<u8>>, DiskError> {
        disk::read(&self.done, &transfer.to_string(), MAX_RECORD)
    }

    fn set_finished(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError> {
        let mut known = names_by_age(&self.done)?;
        while known.len() >= MAX_FINISHED {
            disk::remove(&self.done, &known.remove(0))?;
        }
        disk::replace(&self.done, &transfer.to_string(), record)
    }
}

fn part_name(file: u32) -> String {
    format!("{file}.part")
}

fn read_at(mut file: File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Removes a transfer's folder and all in it; a link of that name is removed itself.
fn remove_folder(parts: &Dir, name: &str) -> Result<(), DiskError> {
    let gone = match parts.symlink_metadata(name) {
        Ok(meta) if meta.is_dir() => parts.remove_dir_all(name),
        Ok(_) => return disk::remove(parts, name),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(DiskError::of("removing a transfer's folder", error))
        }
        _ => Ok(()),
    }
}

/// The entries of `dir` whose names are transfer ids, the one untouched for longest first.
///
/// A folder counts as touched when a part in it was made or removed, or its journal written.
fn names_by_age(dir: &Dir) -> Result<Vec<String>, DiskError> {
    let failed = |error| DiskError::of("listing a folder", error);
    let mut aged = Vec::new();
    for entry in dir.entries().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.parse::<TransferId>().is_ok() {
            aged.push((touched(dir, &name), name));
        }
    }
    aged.sort();
    Ok(aged.into_iter().map(|(_, name)| name).collect())
}

fn touched(dir: &Dir, name: &str) -> SystemTime {
    let journal = disk::existing_folder(dir, name).ok().flatten();
    let own = dir.symlink_metadata(name);
    let meta = journal.and_then(|folder| folder.symlink_metadata(JOURNAL).ok()).or(own.ok());
    let modified = meta.and_then(|meta| meta.modified().ok());
    modified.map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn id(n: u16) -> TransferId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        TransferId::from_bytes(bytes)
    }

    fn folder(out: &Path) -> Folder {
        Folder::new(Home::open(out).unwrap()).unwrap()
    }

    fn touch(path: &Path, age: u64) {
        let time = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn the_unfinished_transfer_untouched_for_longest_makes_way() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = folder(temp.path());
        let parts = temp.path().join(".quorate/parts");
        for n in 0..MAX_KEPT as u16 {
            folder.begin(id(n)).unwrap();
            let age = if n == 7 { 1_000 } else { 100 };
            touch(&parts.join(id(n).to_string()).join(JOURNAL), age);
        }
        std::fs::create_dir(parts.join("not a transfer")).unwrap();
        folder.begin(id(999)).unwrap();
        assert_eq!(folder.journal(id(7), 10).unwrap(), None);
        assert_eq!(parts.read_dir().unwrap().count(), MAX_KEPT + 1);
        assert!(parts.join("not a transfer").exists());
    }

    #[test]
    fn the_oldest_finished_transfer_is_forgotten_first() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = folder(temp.path());
        let done = temp.path().join(".quorate/done");
        for n in 0..MAX_FINISHED as u16 {
            std::fs::write(done.join(id(n).to_string()), "record").unwrap();
            touch(&done.join(id(n).to_string()), if n == 9 { 1_000 } else { 100 });
        }
        folder.set_finished(id(5_000), b"new").unwrap();
        assert_eq!(folder.finished(id(9)).unwrap(), None);
        assert_eq!(folder.finished(id(8)).unwrap().as_deref(), Some(&b"record"[..]));
        assert_eq!(folder.finished(id(5_000)).unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(done.read_dir().unwrap().count(), MAX_FINISHED);
    }

    #[test]
    fn a_name_is_given_once_and_nothing_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = folder(temp.path());
        folder.begin(id(1)).unwrap();
        for (file, data) in [(0, b"first"), (1, b"other")] {
            folder.write(id(1), file, 0, data).unwrap();
            folder.seal(id(1), file, 5).unwrap();
        }
        assert_eq!(folder.place(id(1), 0, "f").unwrap(), Placing::Placed);
        assert_eq!(folder.place(id(1), 1, "f").unwrap(), Placing::Taken);
        assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), b"first");
        assert!(folder.place(id(1), 2, "g").is_err(), "there is no third part");
        assert!(!folder.is_taken("g").unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_part_that_became_a_link_is_not_placed() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = folder(&temp.path().join("out"));
        std::fs::write(temp.path().join("secret"), "secret").unwrap();
        folder.begin(id(1)).unwrap();
        let part = temp.path().join("out/.quorate/parts").join(id(1).to_string()).join("0.part");
        std::os::unix::fs::symlink(temp.path().join("secret"), &part).unwrap();
        assert!(matches!(folder.place(id(1), 0, "f"), Err(DiskError::InTheWay { .. })));
        assert!(!folder.is_taken("f").unwrap());
        let mut buffer = [0; 6];
        let stored = Stored::Part { transfer: id(1), file: 0 };
        assert!(matches!(folder.read(stored, 0, &mut buffer), Err(DiskError::InTheWay { .. })));
        assert!(matches!(folder.seal(id(1), 0, 0), Err(DiskError::InTheWay { .. })));
        assert_eq!(std::fs::read(temp.path().join("secret")).unwrap(), b"secret");
    }
}
