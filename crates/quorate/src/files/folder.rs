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
