//! What senders and receivers of files say to one another: six messages, each in one payload.
//!
//! The rule: a [`Message`] that exists keeps the bounds of its kind, and its encoding is at most
//! [`MAX_MESSAGE`] bytes. The byte tables stand in `docs/specs/files.md`, the protobuf text in
//! `docs/specs/files.proto`.

mod proto;
#[cfg(test)]
mod tests;

use super::chunks::ChunkSet;
use super::manifest::{FileEntry, MAX_FILES, Manifest, ManifestError, TransferId};
use bytes::{BufMut, Bytes, BytesMut};

/// The first byte of every file message: no UTF-8 text and no protobuf message starts with it.
pub const MARKER: u8 = 0xf5;
/// The format version that this code writes and reads.
pub const VERSION: u8 = 1;
/// The longest message, in bytes: 4 MiB.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// The longest message of any kind but [`Message::Chunk`], in bytes: 512 KiB.
pub const MAX_CONTROL: usize = 512 * 1024;
/// The most run lengths in one [`Have`], all files together.
pub const MAX_RUNS: usize = 65_536;
/// The longest text of a [`Refused`], in bytes.
pub const MAX_TEXT: usize = 512;

/// A message between a sender of files and its receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The sender has these files.
    Offer(Manifest),
    /// A piece of a file.
    Chunk(Chunk),
    /// What a receiver has of a transfer.
    Have(Have),
    /// A receiver has all files under their final names, each verified.
    Complete(Complete),
    /// A receiver cannot take the transfer, or not all of it.
    Refused(Refused),
    /// A receiver is there and wants to be offered what there is.
    Hello(Hello),
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The transfer it belongs to.
    pub transfer: TransferId,
    /// The file's index in the manifest.
    pub file: u32,
    /// The chunk's index in its file: its offset is this times the chunk size.
    pub chunk: u32,
    /// The bytes, a slice of the message they came in.
    pub data: Bytes,
}

/// What a receiver has of a transfer.
///
/// A report replaces the one before it from the same receiver, and claims the less where in doubt:
/// a chunk that it leaves out is sent again, which costs only bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// The transfer.
    pub transfer: TransferId,
    /// A random number drawn when the receiver's process started. A new one says: what was on its
    /// way to me may be lost.
    pub incarnation: u64,
    /// The receiver is reading back what it has; do not send what is missing here yet.
    pub busy: bool,
    /// Bytes read back so far, over all files: the progress while `busy`.
    pub checked: u64,
    /// The files of which it has something; the others it lacks wholly.
    pub files: Vec<FileHave>,
}

/// What a receiver has of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHave {
    /// The file's index in the manifest.
    pub file: u32,
    /// The file is verified and stands under its final name; `runs` is empty then.
    pub complete: bool,
    /// Lengths of runs of chunks: lacking, held, lacking, held… in turn ([`ChunkSet::runs`]).
    pub runs: Vec<u32>,
}

/// A receiver has all files, each verified, under their final names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// The transfer.
    pub transfer: TransferId,
    /// The SHA-256 of each file as the receiver read it back, in the manifest's order.
    pub sha256: Vec<[u8; 32]>,
}

/// A receiver cannot take the transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The transfer.
    pub transfer: TransferId,
    /// Why.
    pub reason: RefusedReason,
    /// The same for people, at most [`MAX_TEXT`] bytes without control characters.
    pub text: String,
}

/// Why a receiver refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedReason {
    /// Its disk is full, or its quota used up (1).
    Full,
    /// It cannot write for another reason (2).
    CannotWrite,
    /// A file's name cannot be used (3).
    UnacceptableName,
    /// It has as many transfers open as it takes (4).
    TooManyTransfers,
    /// The content does not have the hash of the manifest, after several attempts (5).
    Corrupt,
    /// A reason that this version does not know.
    Other(u32),
}

/// A receiver is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The transfer it saw a chunk of without an offer; `None` when it just started.
    pub transfer: Option<TransferId>,
}

/// Why bytes are no message. The peer that sent them is at fault, unless it is newer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not start with [`MARKER`]: this is another protocol's message.
    #[error("this is not a file message")]
    NotAFileMessage,
    /// They are in a version that this code does not read.
    #[error("the file message has format version {found}, this side reads {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// They are of a kind that this code does not know.
    #[error("file messages of kind {found} are unknown here")]
    Kind {
        /// The kind found.
        found: u8,
    },
    /// They are longer than their kind may be.
    #[error("the message is {found} bytes long, {max} is the most for its kind")]
    TooLong {
        /// The length found, in bytes.
        found: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// They are cut off, or no protobuf.
    #[error("the message is cut off or no protobuf")]
    Malformed,
    /// A transfer id or a hash has a wrong length.
    #[error("{what} has a wrong length")]
    Length {
        /// Which field.
        what: &'static str,
    },
    /// An offer whose files make no manifest.
    #[error("the offer makes no manifest")]
    Manifest(#[from] ManifestError),
    /// An offer whose id is not the hash of its manifest.
    #[error("the offer's id is not the hash of its content")]
    WrongId,
    /// More files, runs or text than the kind may hold.
    #[error("the message has more {what} than its kind may")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
}

impl Message {
    /// The transfer that it is about; `None` for a [`Hello`] to all.
    pub fn transfer(&self) -> Option<TransferId> {
        match self {
            Self::Offer(manifest) => Some(manifest.id()),
            Self::Chunk(chunk) => Some(chunk.transfer),
            Self::Have(have) => Some(have.transfer),
            Self::Complete(complete) => Some(complete.transfer),
            Self::Refused(refused) => Some(refused.transfer),
            Self::Hello(hello) => hello.transfer,
        }
    }

    /// Its bytes: the marker, the version, the kind, and the kind's protobuf message.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Offer(manifest) => framed(proto::OFFER, &proto::Offer::from(manifest)),
            Self::Chunk(chunk) => framed(proto::CHUNK, &proto::Chunk::from(chunk)),
            Self::Have(have) => framed(proto::HAVE, &proto::Have::from(have)),
            Self::Complete(complete) => framed(proto::COMPLETE, &proto::Complete::from(complete)),
            Self::Refused(refused) => framed(proto::REFUSED, &proto::Refused::from(refused)),
            Self::Hello(hello) => framed(proto::HELLO, &proto::Hello::from(hello)),
        }
    }

    /// Reads a message. A chunk's data are a slice of `bytes`.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let (kind, body) = match bytes.first_chunk::<3>() {
            Some(&[MARKER, VERSION, kind]) => (kind, bytes.slice(3..)),
            Some(&[MARKER, found, _]) => return Err(DecodeError::Version { found }),
            Some(_) => return Err(DecodeError::NotAFileMessage),
            None if bytes.first() == Some(&MARKER) => return Err(DecodeError::Malformed),
            None => return Err(DecodeError::NotAFileMessage),
        };
        let max = if kind == proto::CHUNK { MAX_MESSAGE } else { MAX_CONTROL };
        if bytes.len() > max {
            return Err(DecodeError::TooLong { found: bytes.len(), max });
        }
        match kind {
            proto::OFFER => parse::<proto::Offer>(body)?.try_into().map(Self::Offer),
            proto::CHUNK => parse::<proto::Chunk>(body)?.try_into().map(Self::Chunk),
            proto::HAVE => parse::<proto::Have>(body)?.try_into().map(Self::Have),
            proto::COMPLETE => parse::<proto::Complete>(body)?.try_into().map(Self::Complete),
            proto::REFUSED => parse::<proto::Refused>(body)?.try_into().map(Self::Refused),
            proto::HELLO => parse::<proto::Hello>(body)?.try_into().map(Self::Hello),
            found => Err(DecodeError::Kind { found }),
        }
    }
}

impl Have {
    /// A report of `held`, with the files in `complete` (by index) verified and in place.
    ///
    /// Where the runs do not fit into one message, the later ones are left out.
    pub fn of(manifest: &Manifest, held: &ChunkSet, complete: impl Fn(u32) -> bool) -> Vec<FileHave> {
        let (mut files, mut left) = (Vec::new(), MAX_RUNS);
        for file in 0..manifest.file_count() {
            if complete(file) {
                files.push(FileHave { file, complete: true, runs: Vec::new() });
                continue;
            }
            let runs = held.runs(manifest.chunks_of(file), left);
            left -= runs.len();
            if !runs.is_empty() {
                files.push(FileHave { file, complete: false, runs });
            }
        }
        files
    }

    /// The chunks it reports, and the files it reports as in place.
    ///
    /// `None` when it names files or chunks that `manifest` does not have.
    pub fn resolve(&self, manifest: &Manifest) -> Option<(ChunkSet, Vec<bool>)> {
        let mut held = ChunkSet::new(manifest.total_chunks());
        let mut complete = vec![false; manifest.files().len()];
        for report in &self.files {
            let done = complete.get_mut(report.file as usize)?;
            let chunks = manifest.chunks_of(report.file);
            if report.complete {
                *done = true;
                held.insert_runs(chunks.clone(), &[0, chunks.end - chunks.start]);
            } else if !held.insert_runs(chunks, &report.runs) {
                return None;
            }
        }
        Some((held, complete))
    }
}

impl Refused {
    /// A refusal; `text` is cut and cleaned to what the message may hold.
    pub fn new(transfer: TransferId, reason: RefusedReason, text: &str) -> Self {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self { transfer, reason, text }
    }
}

impl RefusedReason {
    /// Its number in the message.
    pub fn code(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::CannotWrite => 2,
            Self::UnacceptableName => 3,
            Self::TooManyTransfers => 4,
            Self::Corrupt => 5,
            Self::Other(code) => code,
        }
    }

    /// The reason with this number.
    pub fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Full,
            2 => Self::CannotWrite,
            3 => Self::UnacceptableName,
            4 => Self::TooManyTransfers,
            5 => Self::Corrupt,
            code => Self::Other(code),
        }
    }
}

fn framed(kind: u8, body: &impl prost::Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(3 + body.encoded_len());
    bytes.put_slice(&[MARKER, VERSION, kind]);
    body.encode_raw(&mut bytes);
    bytes.freeze()
}

fn parse<M: prost::Message + Default>(body: Bytes) -> Result<M, DecodeError> {
    M::decode(body).map_err(|_| DecodeError::Malformed)
}

/// The manifest of an offer, once its id is known to be the hash of it.
fn checked_manifest(files: Vec<FileEntry>, chunk_size: u32, id: TransferId) -> Result<Manifest, DecodeError> {
    if files.len() > MAX_FILES {
        return Err(ManifestError::TooManyFiles.into());
    }
    let manifest = Manifest::with_chunk_size(files, chunk_size)?;
    if manifest.id() == id { Ok(manifest) } else { Err(DecodeError::WrongId) }
}
