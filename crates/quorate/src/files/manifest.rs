//! What a transfer consists of: files with their names, sizes and content hashes, cut into chunks.
//!
//! The rule: a [`Manifest`] that exists keeps every bound of this file, whoever wrote it, and its
//! [`TransferId`] is a hash over all of it. So two offers with one id are the same offer, whoever
//! sends them and however often, and a transfer is resumed by its id alone.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// The most files in one transfer.
pub const MAX_FILES: usize = 1_000;
/// The most chunks in one transfer, all files together: 4 TiB in chunks of 1 MiB.
pub const MAX_CHUNKS: u32 = 1 << 22;
/// The longest name in a manifest, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;
/// The smallest chunk size, in bytes: 64 KiB.
pub const MIN_CHUNK_SIZE: u32 = 64 * 1024;
/// The size of a chunk unless the files are too large for it, in bytes: 1 MiB.
pub const DEFAULT_CHUNK_SIZE: u32 = 1024 * 1024;
/// The largest chunk size, in bytes: 4 MiB less 1 KiB for what surrounds the data in its message.
pub const MAX_CHUNK_SIZE: u32 = 4 * 1024 * 1024 - 1024;

/// What the hash of a manifest starts with, so that it is no hash of anything else.
const DOMAIN: &[u8] = b"quorate/files/manifest/1\0";

/// The name of a transfer: the first 16 bytes of the SHA-256 over its manifest in canonical form
/// (`docs/specs/files.md`). Its text form is 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId([u8; 16]);

impl TransferId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransferId({self})")
    }
}

impl FromStr for TransferId {
    type Err = NotATransferId;

    fn from_str(text: &str) -> Result<Self, NotATransferId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotATransferId)?;
        Ok(Self(bytes.try_into().map_err(|_| NotATransferId)?))
    }
}

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transfer id is 32 lower-case hexadecimal digits")]
pub struct NotATransferId;

/// One file of a transfer, as its sender describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// The sender's name for it: 1 to [`MAX_NAME`] bytes, and hostile until
    /// [`clean_name`](super::name::clean_name) has seen it.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// The files of a transfer and how they are cut. Cloning copies a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    id: TransferId,
    chunk_size: u32,
    files: Arc<[FileEntry]>,
    /// The number of the first chunk of each file, counted through the transfer, and their total.
    starts: Arc<[u32]>,
}

impl Manifest {
    /// A manifest of `files` in the smallest chunk size from [`DEFAULT_CHUNK_SIZE`] up that keeps
    /// the transfer within [`MAX_CHUNKS`].
    pub fn new(files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        let mut chunk_size = DEFAULT_CHUNK_SIZE;
        loop {
            match Self::with_chunk_size(files.clone(), chunk_size) {
                Err(ManifestError::TooManyChunks) if chunk_size < MAX_CHUNK_SIZE => {
                    chunk_size = chunk_size.saturating_mul(2).min(MAX_CHUNK_SIZE);
                }
                outcome => return outcome,
            }
        }
    }

    /// A manifest of `files` in chunks of `chunk_size` bytes.
    pub fn with_chunk_size(files: Vec<FileEntry>, chunk_size: u32) -> Result<Self, ManifestError> {
        if files.is_empty() {
            return Err(ManifestError::NoFiles);
        }
        if files.len() > MAX_FILES {
            return Err(ManifestError::TooManyFiles);
        }
        if !(MIN_CHUNK_SIZE..=MAX_CHUNK_SIZE).contains(&chunk_size) {
            return Err(ManifestError::ChunkSize { found: chunk_size });
        }
        let mut starts = Vec::with_capacity(files.len() + 1);
        let mut chunks = 0u32;
        for (index, file) in files.iter().enumerate() {
            if file.name.is_empty() || file.name.len() > MAX_NAME {
                return Err(ManifestError::NameLength { file: index as u32 });
            }
            starts.push(chunks);
            chunks = u32::try_from(file.size.div_ceil(u64::from(chunk_size)))
                .ok()
                .and_then(|more| chunks.checked_add(more))
                .filter(|&sum| sum <= MAX_CHUNKS)
                .ok_or(ManifestError::TooManyChunks)?;
        }
        starts.push(chunks);
        let id = hash(&files, chunk_size);
        Ok(Self { id, chunk_size, files: files.into(), starts: starts.into() })
    }

    /// The transfer's id.
    pub fn id(&self) -> TransferId {
        self.id
    }

    /// The files, at least one.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The size of every chunk but the last of a file, in bytes.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// The bytes of all files. At most [`MAX_CHUNKS`] times [`MAX_CHUNK_SIZE`].
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// How many chunks the whole transfer has.
    pub fn total_chunks(&self) -> u32 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The number of files.
    pub fn file_count(&self) -> u32 {
        self.files.len() as u32
    }

    /// The file with this index, if there is one.
    pub fn file(&self, file: u32) -> Option<&FileEntry> {
        self.files.get(file as usize)
    }

    /// The chunks of `file`, numbered through the whole transfer; empty for an empty or unknown file.
    pub fn chunks_of(&self, file: u32) -> Range<u32> {
        let at = file as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(&start), Some(&end)) => start..end,
            _ => 0..0,
        }
    }

    /// The number, counted through the transfer, of chunk `chunk` of file `file`.
    pub fn number(&self, file: u32, chunk: u32) -> Option<u32> {
        let chunks = self.chunks_of(file);
        (chunk < chunks.end - chunks.start).then(|| chunks.start + chunk)
    }

    /// The file that chunk number `number` belongs to, and its index within that file.
    pub fn locate(&self, number: u32) -> Option<(u32, u32)> {
        if number >= self.total_chunks() {
            return None;
        }
        // Empty files share their start with the next one: the last file that starts here has it.
        let file = self.starts.partition_point(|&start| start <= number) - 1;
        Some((file as u32, number - self.starts[file]))
    }

    /// Where chunk number `number` lies in its file: file, offset and length in bytes.
    pub fn place_of(&self, number: u32) -> Option<ChunkPlace> {
        let (file, chunk) = self.locate(number)?;
        let offset = u64::from(chunk) * u64::from(self.chunk_size);
        let rest = self.file(file)?.size - offset;
        let len = rest.min(u64::from(self.chunk_size)) as u32;
        Some(ChunkPlace { file, offset, len })
    }
}

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The file's index in the manifest.
    pub file: u32,
    /// The chunk's first byte in the file.
    pub offset: u64,
    /// Its length in bytes, at least 1.
    pub len: u32,
}

/// Why a list of files makes no manifest. Whoever wrote the list is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is no file in it.
    #[error("the transfer has no file")]
    NoFiles,
    /// There are more than [`MAX_FILES`] files in it.
    #[error("the transfer has more than {MAX_FILES} files")]
    TooManyFiles,
    /// A name is empty or longer than [`MAX_NAME`] bytes.
    #[error("the name of file {file} is empty or longer than {MAX_NAME} bytes")]
    NameLength {
        /// The file's index.
        file: u32,
    },
    /// The chunk size is outside [`MIN_CHUNK_SIZE`]`..=`[`MAX_CHUNK_SIZE`].
    #[error("a chunk size of {found} bytes is outside {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE}")]
    ChunkSize {
        /// The size found.
        found: u32,
    },
    /// The files make more than [`MAX_CHUNKS`] chunks.
    #[error("the files are too large: they make more than {MAX_CHUNKS} chunks")]
    TooManyChunks,
}

/// The id of a manifest: every field, each text with its length before it, numbers big-endian.
fn hash(files: &[FileEntry], chunk_size: u32) -> TransferId {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(chunk_size.to_be_bytes());
    hasher.update((files.len() as u32).to_be_bytes());
    for file in files {
        hasher.update((file.name.len() as u32).to_be_bytes());
        hasher.update(file.name.as_bytes());
        hasher.update(file.size.to_be_bytes());
        hasher.update(file.sha256);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize()[..16]);
    TransferId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size: u64) -> FileEntry {
        FileEntry { name: name.to_owned(), size, sha256: [7; 32] }
    }

    #[test]
    fn chunks_are_numbered_through_the_files_and_skip_empty_ones() {
        let size = u64::from(MIN_CHUNK_SIZE);
        let files = vec![file("none", 0), file("two", size + 1), file("nothing", 0), file("one", 1)];
        let manifest = Manifest::with_chunk_size(files, MIN_CHUNK_SIZE).unwrap();
        assert_eq!(manifest.total_chunks(), 3);
        assert_eq!(
            (0..4).map(|n| manifest.locate(n)).collect::<Vec<_>>(),
            [Some((1, 0)), Some((1, 1)), Some((3, 0)), None]
        );
        assert_eq!(manifest.number(1, 1), Some(1));
        assert_eq!((manifest.number(1, 2), manifest.number(0, 0), manifest.number(9, 0)), (None, None, None));
        assert_eq!(manifest.place_of(1), Some(ChunkPlace { file: 1, offset: size, len: 1 }));
        assert_eq!(manifest.total_bytes(), size + 2);
    }

    #[test]
    fn the_chunk_size_grows_with_the_files_until_they_fit() {
        let small = Manifest::new(vec![file("small", 1)]).unwrap();
        assert_eq!(small.chunk_size(), DEFAULT_CHUNK_SIZE);
        let large = Manifest::new(vec![file("large", 9 << 40)]).unwrap();
        assert_eq!(large.chunk_size(), MAX_CHUNK_SIZE);
        assert!(large.total_chunks() <= MAX_CHUNKS);
        assert_eq!(Manifest::new(vec![file("huge", u64::MAX)]), Err(ManifestError::TooManyChunks));
    }

    #[test]
    fn every_field_changes_the_id() {
        let base = Manifest::new(vec![file("a", 1), file("b", 2)]).unwrap();
        let mut hashed = file("a", 1);
        hashed.sha256[31] ^= 1;
        for files in [
            vec![file("a", 1)],
            vec![file("b", 2), file("a", 1)],
            vec![file("a", 1), file("b", 3)],
            vec![file("ab", 1), file("", 2)],
            vec![hashed, file("b", 2)],
        ] {
            assert_ne!(Manifest::new(files).map(|m| m.id()), Ok(base.id()));
        }
        let cut = Manifest::with_chunk_size(base.files().to_vec(), MIN_CHUNK_SIZE).unwrap();
        assert_ne!(cut.id(), base.id());
    }

    #[test]
    fn a_list_beyond_a_bound_is_refused_by_name() {
        assert_eq!(Manifest::new(vec![]), Err(ManifestError::NoFiles));
        assert_eq!(Manifest::new(vec![file("x", 0); MAX_FILES + 1]), Err(ManifestError::TooManyFiles));
        assert_eq!(Manifest::new(vec![file("", 0)]), Err(ManifestError::NameLength { file: 0 }));
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!(Manifest::new(vec![file(&long, 0)]), Err(ManifestError::NameLength { file: 0 }));
        for found in [0, MIN_CHUNK_SIZE - 1, MAX_CHUNK_SIZE + 1] {
            let outcome = Manifest::with_chunk_size(vec![file("x", 0)], found);
            assert_eq!(outcome, Err(ManifestError::ChunkSize { found }));
        }
    }

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = Manifest::new(vec![file("a", 1)]).unwrap().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "00", "0123456789abcdef0123456789ABCDEF", "../.."] {
            assert_eq!(bad.parse::<TransferId>(), Err(NotATransferId));
        }
    }
}
