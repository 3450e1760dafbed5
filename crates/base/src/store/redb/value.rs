//! How a value lies in the file: a CRC-32 (little-endian) of key length, key and value, then the value.

use super::StoreError;
use bytes::Bytes;
use crc32fast::Hasher;

const HEAD: usize = 4;

/// How long `value` is in the file.
pub(super) fn sealed_len(value: &[u8]) -> usize {
    HEAD + value.len()
}

/// How long the value in `sealed` is.
pub(super) fn len(sealed: &[u8]) -> usize {
    sealed.len().saturating_sub(HEAD)
}

/// Writes `value` into `room`, which is as long as [`sealed_len`] says.
pub(super) fn seal(key: &[u8], value: &[u8], room: &mut [u8]) {
    let (head, body) = room.split_at_mut(HEAD);
    head.copy_from_slice(&checksum(key, value).to_le_bytes());
    body.copy_from_slice(value);
}

/// The value in `sealed`, if it is what was written at `key`.
pub(super) fn open(key: &[u8], sealed: &[u8]) -> Result<Bytes, StoreError> {
    match sealed.split_first_chunk::<HEAD>() {
        Some((head, value)) if u32::from_le_bytes(*head) == checksum(key, value) => {
            Ok(Bytes::copy_from_slice(value))
        }
        _ => Err(StoreError::Damaged {
            what: format!("the value at key {} does not match its checksum", hex(key)),
        }),
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&(key.len() as u32).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn hex(key: &[u8]) -> String {
    key.iter().take(64).map(|byte| format!("{byte:02x}")).collect()
}
