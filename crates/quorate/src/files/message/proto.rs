//! The protobuf structs of the six kinds, annotated by hand after `docs/specs/files.proto`.
//!
//! The rule: nothing outside this file sees them. They hold whatever the bytes said; the bounds
//! are checked on the way to the public types.

use super::{DecodeError, FileHave, MAX_RUNS, MAX_TEXT, RefusedReason, TransferId, checked_manifest};
use crate::files::manifest::{FileEntry, MAX_FILES, Manifest};
use bytes::Bytes;

pub(super) const OFFER: u8 = 1;
pub(super) const CHUNK: u8 = 2;
pub(super) const HAVE: u8 = 3;
pub(super) const COMPLETE: u8 = 4;
pub(super) const REFUSED: u8 = 5;
pub(super) const HELLO: u8 = 6;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Offer {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
    #[prost(uint32, tag = "2")]
    pub(super) chunk_size: u32,
    #[prost(message, repeated, tag = "3")]
    pub(super) files: Vec<OfferedFile>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OfferedFile {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint64, tag = "2")]
    pub(super) size: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) sha256: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Chunk {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
    #[prost(uint32, tag = "2")]
    pub(super) file: u32,
    #[prost(uint32, tag = "3")]
    pub(super) chunk: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Have {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
    #[prost(fixed64, tag = "2")]
    pub(super) incarnation: u64,
    #[prost(bool, tag = "3")]
    pub(super) busy: bool,
    #[prost(uint64, tag = "4")]
    pub(super) checked: u64,
    #[prost(message, repeated, tag = "5")]
    pub(super) files: Vec<HeldFile>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeldFile {
    #[prost(uint32, tag = "1")]
    pub(super) file: u32,
    #[prost(bool, tag = "2")]
    pub(super) complete: bool,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) runs: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Complete {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) sha256: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Refused {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
    #[prost(uint32, tag = "2")]
    pub(super) reason: u32,
    #[prost(string, tag = "3")]
    pub(super) text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Hello {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) transfer: Bytes,
}

impl From<&Manifest> for Offer {
    fn from(manifest: &Manifest) -> Self {
        let files = manifest.files().iter().map(|file| OfferedFile {
            name: file.name.clone(),
            size: file.size,
            sha256: Bytes::copy_from_slice(&file.sha256),
        });
        Self { transfer: raw(manifest.id()), chunk_size: manifest.chunk_size(), files: files.collect() }
    }
}

impl TryFrom<Offer> for Manifest {
    type Error = DecodeError;

    fn try_from(offer: Offer) -> Result<Self, DecodeError> {
        let id = transfer(&offer.transfer)?;
        let files = offer
            .files
            .into_iter()
            .map(|file| Ok(FileEntry { name: file.name, size: file.size, sha256: hash(&file.sha256)? }))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        checked_manifest(files, offer.chunk_size, id)
    }
}

impl From<&super::Chunk> for Chunk {
    fn from(chunk: &super::Chunk) -> Self {
        let super::Chunk { transfer, file, chunk, data } = chunk;
        Self { transfer: raw(*transfer), file: *file, chunk: *chunk, data: data.clone() }
    }
}

impl TryFrom<Chunk> for super::Chunk {
    type Error = DecodeError;

    fn try_from(chunk: Chunk) -> Result<Self, DecodeError> {
        let Chunk { transfer: id, file, chunk, data } = chunk;
        Ok(Self { transfer: transfer(&id)?, file, chunk, data })
    }
}

impl From<&super::Have> for Have {
    fn from(have: &super::Have) -> Self {
        let files = have.files.iter().map(|held| HeldFile {
            file: held.file,
            complete: held.complete,
            runs: held.runs.clone(),
        });
        Self {
            transfer: raw(have.transfer),
            incarnation: have.incarnation,
            busy: have.busy,
            checked: have.checked,
            files: files.collect(),
        }
    }
}

impl TryFrom<Have> for super::Have {
    type Error = DecodeError;

    fn try_from(have: Have) -> Result<Self, DecodeError> {
        if have.files.len() > MAX_FILES {
            return Err(DecodeError::TooMany { what: "files" });
        }
        if have.files.iter().map(|held| held.runs.len()).sum::<usize>() > MAX_RUNS {
            return Err(DecodeError::TooMany { what: "runs" });
        }
        let files = have.files.into_iter().map(|held| FileHave {
            file: held.file,
            complete: held.complete,
            runs: held.runs,
        });
        Ok(Self {
            transfer: transfer(&have.transfer)?,
            incarnation: have.incarnation,
            busy: have.busy,
            checked: have.checked,
            files: files.collect(),
        })
    }
}

impl From<&super::Complete> for Complete {
    fn from(complete: &super::Complete) -> Self {
        let sha256 = complete.sha256.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
        Self { transfer: raw(complete.transfer), sha256 }
    }
}

impl TryFrom<Complete> for super::Complete {
    type Error = DecodeError;

    fn try_from(complete: Complete) -> Result<Self, DecodeError> {
        if complete.sha256.len() > MAX_FILES {
            return Err(DecodeError::TooMany { what: "files" });
        }
        let sha256 = complete.sha256.iter().map(hash).collect::<Result<_, _>>()?;
        Ok(Self { transfer: transfer(&complete.transfer)?, sha256 })
    }
}

impl From<&super::Refused> for Refused {
    fn from(refused: &super::Refused) -> Self {
        let super::Refused { transfer, reason, text } = refused;
        Self { transfer: raw(*transfer), reason: reason.code(), text: text.clone() }
    }
}

impl TryFrom<Refused> for super::Refused {
    type Error = DecodeError;

    fn try_from(refused: Refused) -> Result<Self, DecodeError> {
        if refused.text.len() > MAX_TEXT {
            return Err(DecodeError::TooMany { what: "text" });
        }
        let reason = RefusedReason::from_code(refused.reason);
        Ok(Self::new(transfer(&refused.transfer)?, reason, &refused.text))
    }
}

impl From<&super::Hello> for Hello {
    fn from(hello: &super::Hello) -> Self {
        Self { transfer: hello.transfer.map(raw).unwrap_or_default() }
    }
}

impl TryFrom<Hello> for super::Hello {
    type Error = DecodeError;

    fn try_from(hello: Hello) -> Result<Self, DecodeError> {
        let transfer = if hello.transfer.is_empty() { None } else { Some(transfer(&hello.transfer)?) };
        Ok(Self { transfer })
    }
}

fn raw(id: TransferId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn transfer(bytes: &Bytes) -> Result<TransferId, DecodeError> {
    let bytes = bytes[..].try_into().map_err(|_| DecodeError::Length { what: "a transfer id" })?;
    Ok(TransferId::from_bytes(bytes))
}

fn hash(bytes: &Bytes) -> Result<[u8; 32], DecodeError> {
    bytes[..].try_into().map_err(|_| DecodeError::Length { what: "a SHA-256" })
}
