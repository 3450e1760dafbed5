//! Reading back what was written, in slices, so that no call takes long however large a file is.

use crate::files::disk::DiskError;
use crate::files::manifest::ChunkPlace;
use crate::files::sink::{Sink, Stored};
use sha2::{Digest, Sha256};

/// How much one call reads at most, in bytes (a chunk that was begun is read to its end).
pub(super) const SLICE: u64 = 4 * 1024 * 1024;

/// The size of the buffer that is read into, in bytes.
const BUFFER: usize = 256 * 1024;

/// The SHA-256 of a file, as far as it was read.
#[derive(Debug)]
pub(super) struct Hashing {
    hasher: Sha256,
    offset: u64,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self { hasher: Sha256::new(), offset: 0 }
    }

    /// How far the file was read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads a slice; the hash when `size` bytes were read, or all that there were.
    pub(super) fn advance<S: Sink>(
        &mut self,
        sink: &mut S,
        what: Stored<'_>,
        size: u64,
    ) -> Result<Option<[u8; 32]>, DiskError> {
        let end = size.min(self.offset + SLICE);
        let whole = each_piece(sink, what, self.offset, end - self.offset, |piece| {
            self.hasher.update(piece);
        })?;
        self.offset = end;
        let done = end == size || !whole;
        Ok(done.then(|| std::mem::take(&mut self.hasher).finalize().into()))
    }
}

/// The CRC-32 of a chunk as it is stored; `None` when it is not there to its end.
pub(super) fn crc<S: Sink>(
    sink: &mut S,
    what: Stored<'_>,
    place: ChunkPlace,
) -> Result<Option<u32>, DiskError> {
    let mut hasher = crc32fast::Hasher::new();
    let whole = each_piece(sink, what, place.offset, u64::from(place.len), |piece| hasher.update(piece))?;
    Ok(whole.then(|| hasher.finalize()))
}

/// Hands `len` bytes from `offset` on to `take`; false when there are fewer.
fn each_piece<S: Sink>(
    sink: &mut S,
    what: Stored<'_>,
    offset: u64,
    len: u64,
    mut take: impl FnMut(&[u8]),
) -> Result<bool, DiskError> {
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(BUFFER).min(BUFFER)];
    let mut read = 0;
    while read < len {
        let want = usize::try_from(len - read).unwrap_or(BUFFER).min(buffer.len());
        let got = sink.read(what, offset + read, &mut buffer[..want])?;
        take(&buffer[..got]);
        read += got as u64;
        if got < want {
            return Ok(false);
        }
    }
    Ok(true)
}
