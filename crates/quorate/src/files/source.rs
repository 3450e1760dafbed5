//! The files that a sender sends, on its own disk.
//!
//! The rule: a receiver never gets a chunk that does not belong to the manifest. Size, time of
//! change and a checksum per chunk are compared whenever a chunk is read, so a file that somebody
//! changes meanwhile stops the transfer and is named.

use super::manifest::{FileEntry, Manifest, ManifestError};
use super::message::Chunk;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files, hashed and ready to be read chunk by chunk.
///
/// Opening reads every file once; both calls block. A file is open only while it is read.
#[derive(Debug)]
pub struct Source {
    manifest: Manifest,
    files: Vec<SourceFile>,
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    modified: Option<SystemTime>,
    /// The CRC-32 of each chunk.
    crcs: Vec<u32>,
}

/// Why files cannot be sent, or not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The path has no last component, or one that is not UTF-8.
    #[error("{} has no file name that can be sent", .path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// It is a folder, a device or a pipe.
    #[error("{} is not a regular file", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no longer what the manifest says: the transfer cannot go on, a new one can begin.
    #[error("{} was changed while it was being sent", .path.display())]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// There are too many files, or they are too large.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest has no such chunk.
    #[error("there is no chunk {chunk} of file {file}")]
    NoSuchChunk {
        /// The file's index.
        file: u32,
        /// The chunk's index.
        chunk: u32,
    },
}

impl Source {
    /// Reads and hashes the files at `paths`, in this order, telling `read` after each piece how
    /// many bytes that was.
    pub fn open(paths: &[PathBuf], read: impl FnMut(u64)) -> Result<Self, SourceError> {
        Self::digested(paths, &Manifest::new(Self::entries(paths)?)?, read)
    }

    /// The same in chunks of `chunk_size` bytes.
    pub fn open_in_chunks(
        paths: &[PathBuf],
        chunk_size: u32,
        read: impl FnMut(u64),
    ) -> Result<Self, SourceError> {
        Self::digested(paths, &Manifest::with_chunk_size(Self::entries(paths)?, chunk_size)?, read)
    }

    /// Hashes the files of `plan`, whose hashes are not known yet.
    fn digested(paths: &[PathBuf], plan: &Manifest, mut read: impl FnMut(u64)) -> Result<Self, SourceError> {
        let (mut entries, mut files) = (Vec::new(), Vec::new());
        for (path, entry) in paths.iter().zip(plan.files()) {
            let failed = |source| SourceError::Io { path: path.clone(), source };
            let file = File::open(path).map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            let (sha256, crcs, size) = digest(file, plan.chunk_size(), &mut read).map_err(failed)?;
            if size != entry.size || meta.len() != size {
                return Err(SourceError::Changed { path: path.clone() });
            }
            entries.push(FileEntry { sha256, ..entry.clone() });
            files.push(SourceFile { path: path.clone(), modified: meta.modified().ok(), crcs });
        }
        let manifest = Manifest::with_chunk_size(entries, plan.chunk_size())?;
        Ok(Self { manifest, files })
    }

    /// What is sent.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of all the files at `paths`, without reading them.
    pub fn size_of(paths: &[PathBuf]) -> Result<u64, SourceError> {
        Self::entries(paths).map(|entries| entries.iter().map(|entry| entry.size).sum())
    }

    /// Reads a chunk.
    ///
    /// # Errors
    ///
    /// [`SourceError::Changed`] when the file's size, time of change or content is not what it was.
    pub fn chunk(&mut self, file: u32, chunk: u32) -> Result<Chunk, SourceError> {
        let missing = SourceError::NoSuchChunk { file, chunk };
        let place = self.manifest.number(file, chunk).and_then(|number| self.manifest.place_of(number));
        let (Some(place), Some(source)) = (place, self.files.get(file as usize)) else { return Err(missing) };
        let failed = |error| SourceError::Io { path: source.path.clone(), source: error };
        let changed = || SourceError::Changed { path: source.path.clone() };

        let mut opened = File::open(&source.path).map_err(failed)?;
        let meta = opened.metadata().map_err(failed)?;
        let entry = self.manifest.file(file).ok_or(missing)?;
        if !meta.is_file() || meta.len() != entry.size || meta.modified().ok() != source.modified {
            return Err(changed());
        }
        let mut data = vec![0; place.len as usize];
        let read = opened.seek(SeekFrom::Start(place.offset)).and_then(|_| opened.read_exact(&mut data));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
            outcome => outcome.map_err(failed)?,
        }
        if source.crcs.get(chunk as usize) != Some(&crc32fast::hash(&data)) {
            return Err(changed());
        }
        Ok(Chunk { transfer: self.manifest.id(), file, chunk, data: Bytes::from(data) })
    }

    /// Names and sizes of the files.
    fn entries(paths: &[PathBuf]) -> Result<Vec<FileEntry>, SourceError> {
        let entry = |path: &PathBuf| {
            let size = regular(path)?.len();
            Ok(FileEntry { name: name_of(path)?, size, sha256: [0; 32] })
        };
        paths.iter().map(entry).collect()
    }
}

fn regular(path: &Path) -> Result<Metadata, SourceError> {
    let meta = std::fs::metadata(path).map_err(|source| SourceError::Io { path: path.to_owned(), source })?;
    if meta.is_file() { Ok(meta) } else { Err(SourceError::NotAFile { path: path.to_owned() }) }
}

/// The last component of a path, cut to what a manifest may hold.
fn name_of(path: &Path) -> Result<String, SourceError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| SourceError::Name { path: path.to_owned() })?;
    Ok(super::name::cut(name))
}

/// The SHA-256 of a file, the CRC-32 of each of its chunks, and its size.
fn digest(
    mut file: File,
    chunk_size: u32,
    read: &mut impl FnMut(u64),
) -> io::Result<([u8; 32], Vec<u32>, u64)> {
    let (mut sha256, mut crcs, mut size) = (Sha256::new(), Vec::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let (mut crc, mut left) = (crc32fast::Hasher::new(), chunk_size as usize);
        while left > 0 {
            let want = left.min(buffer.len());
            let got = match file.read(&mut buffer[..want]) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            sha256.update(&buffer[..got]);
            crc.update(&buffer[..got]);
            left -= got;
            size += got as u64;
            read(got as u64);
        }
        if left < chunk_size as usize {
            crcs.push(crc.finalize());
        }
        if left > 0 {
            return Ok((sha256.finalize().into(), crcs, size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::manifest::DEFAULT_CHUNK_SIZE;

    fn source(content: &[u8]) -> (tempfile::TempDir, PathBuf, Source) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.bin");
        std::fs::write(&path, content).unwrap();
        let source = Source::open(std::slice::from_ref(&path), |_| {}).unwrap();
        (folder, path, source)
    }

    #[test]
    fn chunks_put_together_are_the_file() {
        let content: Vec<u8> = (0..DEFAULT_CHUNK_SIZE * 2 + 5).map(|n| (n % 251) as u8).collect();
        let (_folder, path, mut source) = source(&content);
        let joined: Vec<u8> = (0..3).flat_map(|n| source.chunk(0, n).unwrap().data.to_vec()).collect();
        assert_eq!(joined, content);
        let hash: [u8; 32] = Sha256::digest(&content).into();
        assert_eq!(source.manifest().files()[0].sha256, hash);
        assert!(matches!(source.chunk(0, 3), Err(SourceError::NoSuchChunk { file: 0, chunk: 3 })));
        let mut read = 0;
        Source::open(&[path], |more| read += more).unwrap();
        assert_eq!(read, content.len() as u64);
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_named() {
        let (_folder, path, mut source) = source(&[1; 1000]);
        let modified = path.metadata().unwrap().modified().unwrap();
        let is_changed = |source: &mut Source| matches!(source.chunk(0, 0), Err(SourceError::Changed { path: found }) if found == path);
        assert!(!is_changed(&mut source));
        // The same size and time of change: only the content tells.
        std::fs::write(&path, [2; 1000]).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert!(is_changed(&mut source));
        std::fs::write(&path, [1; 999]).unwrap();
        assert!(is_changed(&mut source));
        std::fs::write(&path, [1; 1000]).unwrap();
        let later = modified + std::time::Duration::from_secs(9);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(is_changed(&mut source));
    }

    #[test]
    fn what_is_no_readable_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: PathBuf| Source::open(&[path], |_| {}).unwrap_err();
        assert!(matches!(open(folder.path().to_owned()), SourceError::NotAFile { .. }));
        assert!(matches!(open(folder.path().join("none")), SourceError::Io { .. }));
        assert!(matches!(open(PathBuf::new()), SourceError::Io { .. }));
        assert!(matches!(Source::open(&[], |_| {}), Err(SourceError::Manifest(ManifestError::NoFiles))));
    }
}
