//! Where an [`Inbox`](super::receive::Inbox) keeps what arrives: the seam between the receiving
//! machine and a disk.
//!
//! The rule: calls are few, small and in the order the machine makes them; what a call wrote is
//! what the next process reads, even when this one is killed between any two calls. The machine
//! takes care of the rest: it trusts nothing that it reads back without a checksum.

use super::disk::DiskError;
use super::manifest::TransferId;

/// The storage of a receiver. `Folder` is the one on disk.
///
/// Parts are addressed by transfer and file index, finished files by their final name, which is
/// always one that [`clean_name`](super::name::clean_name) made.
pub trait Sink {
    /// The journal of a transfer that was begun before, at most its first `max` bytes.
    fn journal(&mut self, transfer: TransferId, max: u64) -> Result<Option<Vec<u8>>, DiskError>;

    /// Begins a transfer with an empty journal.
    fn begin(&mut self, transfer: TransferId) -> Result<(), DiskError>;

    /// Appends to the journal. After an error any part of `record` may have been written.
    fn append(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError>;

    /// Cuts the journal to its first `len` bytes.
    fn cut(&mut self, transfer: TransferId, len: u64) -> Result<(), DiskError>;

    /// Writes into a part file. After an error any part of `data` may have been written.
    fn write(&mut self, transfer: TransferId, file: u32, offset: u64, data: &[u8]) -> Result<(), DiskError>;

    /// Reads from `what`; fewer bytes than `buffer` holds only at its end, 0 where it is missing.
    fn read(&mut self, what: Stored<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;

    /// Makes a part file exactly `size` bytes long (and makes it, where a file is empty) and durable.
    fn seal(&mut self, transfer: TransferId, file: u32, size: u64) -> Result<(), DiskError>;

    /// Gives a sealed part its final name, durably, unless something has that name already.
    ///
    /// The part may stay where it was beside the final name; [`discard`](Self::discard) removes it.
    fn place(&mut self, transfer: TransferId, file: u32, name: &str) -> Result<Placing, DiskError>;

    /// The size of the regular file with this final name; `None` where there is none.
    fn size_of(&mut self, name: &str) -> Result<Option<u64>, DiskError>;

    /// Whether anything at all has this final name.
    fn is_taken(&mut self, name: &str) -> Result<bool, DiskError>;

    /// Removes a part file; nothing there is fine.
    fn discard(&mut self, transfer: TransferId, file: u32) -> Result<(), DiskError>;

    /// Removes the journal and every part of a transfer.
    fn end(&mut self, transfer: TransferId) -> Result<(), DiskError>;

    /// The record of a finished transfer.
    fn finished(&mut self, transfer: TransferId) -> Result<Option<Vec<u8>>, DiskError>;

    /// Keeps the record of a finished transfer, durably. Old ones may be forgotten for it.
    fn set_finished(&mut self, transfer: TransferId, record: &[u8]) -> Result<(), DiskError>;
}

/// What is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// A part file.
    Part {
        /// Its transfer.
        transfer: TransferId,
        /// The file's index.
        file: u32,
    },
    /// A finished file, by its final name.
    Final {
        /// The name.
        name: &'a str,
    },
}

/// What came of giving a part its final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// The file stands under the name.
    Placed,
    /// Something else has the name; nothing was changed.
    Taken,
}
