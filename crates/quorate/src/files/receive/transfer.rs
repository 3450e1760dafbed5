//! One transfer on its way in: which chunks are whole, what is still to be read back, which files
//! have their final name.
//!
//! The rule: memory never runs ahead of the disk. A chunk counts when its data and its record are
//! written, a file when its name is; after any error the transfer is dropped and opened again from
//! what the disk holds.

use super::journal::{self, Record, Replayed};
use super::readback::{self, Hashing};
use crate::files::chunks::ChunkSet;
use crate::files::disk::DiskError;
use crate::files::manifest::{Manifest, TransferId};
use crate::files::message::{Chunk, Complete, Have, RefusedReason};
use crate::files::name::{NameError, clean_name, numbered};
use crate::files::sink::{Placing, Sink, Stored};
use std::collections::{HashMap, VecDeque};

/// How often a file's content may miss its hash before the transfer is given up.
pub(super) const MAX_ATTEMPTS: u32 = 3;
/// How many numbered forms of a name are tried.
const MAX_NUMBER: u32 = 9_999;

/// An open transfer.
#[derive(Debug)]
pub(super) struct Transfer {
    manifest: Manifest,
    names: Vec<String>,
    held: ChunkSet,
    held_bytes: u64,
    files: Vec<FileState>,
    journal_len: u64,
    jobs: VecDeque<Job>,
    /// Bytes read back so far.
    checked: u64,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    /// Chunks are missing; the content missed its hash `attempts` times.
    Open { attempts: u32 },
    /// All chunks are there and are being hashed.
    Hashing { attempts: u32 },
    /// It has its final name, in this form.
    Placed { number: u32 },
}

/// Something to read back, a slice at a time.
#[derive(Debug)]
enum Job {
    /// The journal says the file was about to get this name: does the file there have the hash?
    Recheck { file: u32, number: u32, hashing: Hashing },
    /// Chunks that the journal names, with their CRC-32: do the data match?
    Claims(std::collections::btree_map::IntoIter<u32, u32>),
    /// All chunks of the file are there: does it have the hash?
    Hash { file: u32, hashing: Hashing },
}

/// What opening a transfer found.
#[derive(Debug)]
pub(super) enum Opened {
    /// All its files are in place from an earlier time.
    Finished,
    /// It is open.
    Begun(Transfer),
}

/// What came of a slice of work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There was nothing to do, or there is more.
    Quiet,
    /// The file has its final name.
    Placed { file: u32, name: String, number: u32 },
    /// The file's content did not have its hash; its chunks are wanted again.
    Rejected { file: u32, attempt: u32 },
}

/// What a chunk of this transfer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is on disk now.
    Fresh,
    /// It was there already.
    Duplicate,
}

/// A peer broke the protocol; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A chunk that the manifest does not have.
    #[error("transfer {transfer} has no chunk {chunk} of file {file}")]
    NoSuchChunk {
        /// The transfer.
        transfer: TransferId,
        /// The file's index that the chunk named.
        file: u32,
        /// The chunk's index that it named.
        chunk: u32,
    },
    /// A chunk with more or less data than the manifest says.
    #[error("a chunk of transfer {transfer} has {found} bytes and should have {expected}")]
    WrongLength {
        /// The transfer.
        transfer: TransferId,
        /// The length found, in bytes.
        found: usize,
        /// The length that the manifest says, in bytes.
        expected: u32,
    },
}

/// Why a transfer cannot go on here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the name of file {file} cannot be used: {error}")]
    Name { file: u32, error: NameError },
    #[error("{name} exists in {MAX_NUMBER} numbered forms already")]
    NoNameLeft { name: String },
    #[error("the content of {name} does not have the hash that its sender announced")]
    Corrupt { name: String },
}

impl Trouble {
    pub(super) fn reason(&self) -> RefusedReason {
        match self {
            Self::Disk(DiskError::Full { .. }) => RefusedReason::Full,
            Self::Disk(_) | Self::NoNameLeft { .. } => RefusedReason::CannotWrite,
            Self::Name { .. } => RefusedReason::UnacceptableName,
            Self::Corrupt { .. } => RefusedReason::Corrupt,
        }
    }
}

impl Transfer {
    /// Opens a transfer: a new one, or what the disk holds of it.
    pub(super) fn open<S: Sink>(sink: &mut S, manifest: Manifest) -> Result<Opened, Trouble> {
        let names = cleaned(&manifest)?;
        let id = manifest.id();
        let replayed = match sink.journal(id, journal::max_len(&manifest))? {
            Some(bytes) => {
                let replayed = journal::replay(&bytes, &manifest);
                sink.cut(id, replayed.len)?;
                replayed
            }
            None => {
                let placed = still_there(sink, &manifest, &names)?;
                if placed.len() == names.len() {
                    return Ok(Opened::Finished);
                }
                sink.begin(id)?;
                Replayed { placed, ..Replayed::default() }
            }
        };
        let files = vec![FileState::Open { attempts: 0 }; names.len()];
        let held = ChunkSet::new(manifest.total_chunks());
        let journal_len = replayed.len;
        let jobs = VecDeque::new();
        let mut transfer =
            Self { manifest, names, held, held_bytes: 0, files, journal_len, jobs, checked: 0 };
        transfer.resume(sink, replayed)?;
        Ok(Opened::Begun(transfer))
    }

    /// Takes over what the journal says, as far as it need not be read back first.
    fn resume<S: Sink>(&mut self, sink: &mut S, replayed: Replayed) -> Result<(), Trouble> {
        let from_record = replayed.len == 0;
        for (file, number) in replayed.placed {
            let name = numbered(&self.names[file as usize], number);
            // Somebody may have moved the file away since: then it is wanted again.
            if sink.size_of(&name)? == Some(self.manifest.files()[file as usize].size) {
                if from_record {
                    self.record(sink, Record::Placed { file, number })?;
                }
                self.set_placed(file, number);
            }
        }
        for (file, number) in replayed.placing {
            self.jobs.push_back(Job::Recheck { file, number, hashing: Hashing::new() });
        }
        if !replayed.chunks.is_empty() {
            self.jobs.push_back(Job::Claims(replayed.chunks.into_iter()));
        }
        (0..self.manifest.file_count()).for_each(|file| self.hash_if_whole(file));
        Ok(())
    }

    /// Writes a chunk that came in.
    pub(super) fn handle_chunk<S: Sink>(
        &mut self,
        sink: &mut S,
        chunk: &Chunk,
    ) -> Result<Result<Taken, Violation>, Trouble> {
        let Chunk { transfer, file, chunk: index, ref data } = *chunk;
        let place = self.manifest.number(file, index);
        let Some((number, place)) = place.and_then(|n| Some((n, self.manifest.place_of(n)?))) else {
            return Ok(Err(Violation::NoSuchChunk { transfer, file, chunk: index }));
        };
        if data.len() != place.len as usize {
            let (found, expected) = (data.len(), place.len);
            return Ok(Err(Violation::WrongLength { transfer, found, expected }));
        }
        if self.held.contains(number) {
            return Ok(Ok(Taken::Duplicate));
        }
        sink.write(transfer, file, place.offset, data)?;
        self.record(sink, Record::Chunk { number, crc: crc32fast::hash(data) })?;
        self.hold(number, place.len);
        self.hash_if_whole(file);
        Ok(Ok(Taken::Fresh))
    }

    /// Does one slice of what is to be read back: at most [`readback::SLICE`] bytes.
    pub(super) fn work<S: Sink>(&mut self, sink: &mut S) -> Result<Step, Trouble> {
        match self.jobs.pop_front() {
            None => Ok(Step::Quiet),
            Some(Job::Claims(claims)) => self.check_claims(sink, claims),
            Some(Job::Recheck { file, number, hashing }) => self.recheck(sink, file, number, hashing),
            Some(Job::Hash { file, hashing }) => self.hash(sink, file, hashing),
        }
    }

    fn check_claims<S: Sink>(
        &mut self,
        sink: &mut S,
        mut claims: std::collections::btree_map::IntoIter<u32, u32>,
    ) -> Result<Step, Trouble> {
        let mut read = 0;
        while read < readback::SLICE {
            let Some((number, crc)) = claims.next() else { return Ok(Step::Quiet) };
            // A chunk that came again meanwhile, or whose file turned out to be in place, is known.
            let Some(place) = self.manifest.place_of(number).filter(|_| !self.held.contains(number)) else {
                continue;
            };
            read += u64::from(place.len);
            self.checked += u64::from(place.len);
            let stored = Stored::Part { transfer: self.manifest.id(), file: place.file };
            if readback::crc(sink, stored, place)? == Some(crc) {
                self.hold(number, place.len);
                self.hash_if_whole(place.file);
            }
        }
        self.jobs.push_front(Job::Claims(claims));
        Ok(Step::Quiet)
    }

    fn recheck<S: Sink>(
        &mut self,
        sink: &mut S,
        file: u32,
        number: u32,
        mut hashing: Hashing,
    ) -> Result<Step, Trouble> {
        let name = numbered(&self.names[file as usize], number);
        let entry = &self.manifest.files()[file as usize];
        if sink.size_of(&name)? != Some(entry.size) {
            return Ok(Step::Quiet);
        }
        let before = hashing.offset();
        let hash = hashing.advance(sink, Stored::Final { name: &name }, entry.size)?;
        self.checked += hashing.offset() - before;
        match hash {
            None => self.jobs.push_front(Job::Recheck { file, number, hashing }),
            Some(hash) if hash == entry.sha256 => return self.placed(sink, file, number, name),
            Some(_) => {}
        }
        Ok(Step::Quiet)
    }

    fn hash<S: Sink>(&mut self, sink: &mut S, file: u32, mut hashing: Hashing) -> Result<Step, Trouble> {
        let FileState::Hashing { attempts } = self.files[file as usize] else {
            return Ok(Step::Quiet); // a recheck found it in place
        };
        let (transfer, entry) = (self.manifest.id(), &self.manifest.files()[file as usize]);
        if hashing.offset() == 0 {
            sink.seal(transfer, file, entry.size)?;
        }
        let before = hashing.offset();
        let hash = hashing.advance(sink, Stored::Part { transfer, file }, entry.size)?;
        self.checked += hashing.offset() - before;
        match hash {
            None => {
                self.jobs.push_front(Job::Hash { file, hashing });
                Ok(Step::Quiet)
            }
            Some(hash) if hash == entry.sha256 => self.place(sink, file),
            Some(_) => self.reject(sink, file, attempts + 1),
        }
    }

    /// Gives a verified file the first form of its name that is free.
    fn place<S: Sink>(&mut self, sink: &mut S, file: u32) -> Result<Step, Trouble> {
        for number in 0..=MAX_NUMBER {
            let name = numbered(&self.names[file as usize], number);
            if sink.is_taken(&name)? {
                continue;
            }
            self.record(sink, Record::Placing { file, number })?;
            if sink.place(self.manifest.id(), file, &name)? == Placing::Placed {
                return self.placed(sink, file, number, name);
            }
        }
        Err(Trouble::NoNameLeft { name: self.names[file as usize].clone() })
    }

    fn placed<S: Sink>(
        &mut self,
        sink: &mut S,
        file: u32,
        number: u32,
        name: String,
    ) -> Result<Step, Trouble> {
        self.record(sink, Record::Placed { file, number })?;
        sink.discard(self.manifest.id(), file)?;
        self.set_placed(file, number);
        Ok(Step::Placed { file, name, number })
    }

    fn reject<S: Sink>(&mut self, sink: &mut S, file: u32, attempt: u32) -> Result<Step, Trouble> {
        self.record(sink, Record::Reset { file })?;
        sink.discard(self.manifest.id(), file)?;
        let chunks = self.manifest.chunks_of(file);
        if attempt >= MAX_ATTEMPTS || chunks.is_empty() {
            return Err(Trouble::Corrupt { name: self.names[file as usize].clone() });
        }
        for number in chunks {
            self.held.remove(number);
        }
        self.held_bytes -= self.manifest.files()[file as usize].size;
        self.files[file as usize] = FileState::Open { attempts: attempt };
        Ok(Step::Rejected { file, attempt })
    }

    /// Writes down that all files are in place, and removes what was kept for resuming.
    pub(super) fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<Complete, Trouble> {
        let numbers: Vec<u32> = self.files.iter().filter_map(|file| file.number()).collect();
        let id = self.manifest.id();
        sink.set_finished(id, &journal::encode_finished(id, &numbers))?;
        sink.end(id)?;
        Ok(completed(&self.manifest))
    }

    /// Whether all files are in place.
    pub(super) fn is_complete(&self) -> bool {
        self.files.iter().all(|file| file.number().is_some())
    }

    /// Whether there is something to read back.
    pub(super) fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Bytes on disk, including what is in place.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What there is, for the sender.
    pub(super) fn report(&self, incarnation: u64) -> Have {
        let resuming = |job: &Job| !matches!(job, Job::Hash { .. });
        let complete = |file: u32| self.files[file as usize].number().is_some();
        Have {
            transfer: self.manifest.id(),
            incarnation,
            busy: self.jobs.iter().any(resuming),
            checked: self.checked,
            files: Have::of(&self.manifest, &self.held, complete),
        }
    }

    fn record<S: Sink>(&mut self, sink: &mut S, record: Record) -> Result<(), Trouble> {
        let id = self.manifest.id();
        let bytes = record.encode(id, self.journal_len);
        sink.append(id, &bytes)?;
        self.journal_len += bytes.len() as u64;
        Ok(())
    }

    fn hold(&mut self, number: u32, len: u32) {
        if self.held.insert(number) {
            self.held_bytes += u64::from(len);
        }
    }

    fn set_placed(&mut self, file: u32, number: u32) {
        for chunk in self.manifest.chunks_of(file) {
            let len = self.manifest.place_of(chunk).map_or(0, |place| place.len);
            self.hold(chunk, len);
        }
        self.files[file as usize] = FileState::Placed { number };
    }

    fn hash_if_whole(&mut self, file: u32) {
        let chunks = self.manifest.chunks_of(file);
        let whole = self.held.count_in(chunks.clone()) == chunks.end - chunks.start;
        if let FileState::Open { attempts } = self.files[file as usize]
            && whole
        {
            self.files[file as usize] = FileState::Hashing { attempts };
            self.jobs.push_back(Job::Hash { file, hashing: Hashing::new() });
        }
    }
}

impl FileState {
    fn number(self) -> Option<u32> {
        match self {
            Self::Placed { number } => Some(number),
            Self::Open { .. } | Self::Hashing { .. } => None,
        }
    }
}

/// The message that all files of `manifest` were verified.
pub(super) fn completed(manifest: &Manifest) -> Complete {
    let sha256 = manifest.files().iter().map(|file| file.sha256).collect();
    Complete { transfer: manifest.id(), sha256 }
}

fn cleaned(manifest: &Manifest) -> Result<Vec<String>, Trouble> {
    let clean = |(file, entry): (usize, &crate::files::manifest::FileEntry)| {
        clean_name(&entry.name).map_err(|error| Trouble::Name { file: file as u32, error })
    };
    manifest.files().iter().enumerate().map(clean).collect()
}

/// The files of a transfer that was finished before and that nobody moved since.
fn still_there<S: Sink>(
    sink: &mut S,
    manifest: &Manifest,
    names: &[String],
) -> Result<HashMap<u32, u32>, Trouble> {
    let record = sink.finished(manifest.id())?;
    let numbers = record.and_then(|bytes| journal::decode_finished(&bytes, manifest.id(), names.len()));
    let mut placed = HashMap::new();
    for (file, number) in numbers.unwrap_or_default().into_iter().enumerate() {
        if sink.size_of(&numbered(&names[file], number))? == Some(manifest.files()[file].size) {
            placed.insert(file as u32, number);
        }
    }
    Ok(placed)
}
