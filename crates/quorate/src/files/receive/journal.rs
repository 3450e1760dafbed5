//! The journal of a transfer: what is whole on disk, as records of 17 bytes that a torn write
//! cannot forge.
//!
//! The rule: a record is appended after what it says is true, except [`Record::Placing`], which is
//! appended before. Reading stops at the first record that does not hold, and everything from there
//! on is cut off. A record of a chunk carries the checksum of its data, because the data may be
//! lost where the record is not (a power cut, a file that somebody changed).

use crate::files::manifest::{Manifest, TransferId};
use std::collections::{BTreeMap, HashMap};

/// The size of every record, in bytes: kind, two numbers, a checksum of data, one of the record.
pub(super) const RECORD_LEN: usize = 17;

/// Something that happened to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// Chunk `number` is written; `crc` is the CRC-32 of its data.
    Chunk { number: u32, crc: u32 },
    /// The file's content did not have its hash: none of its chunks counts any more.
    Reset { file: u32 },
    /// The file is about to get its final name, in its `number`th form.
    Placing { file: u32, number: u32 },
    /// The file has its final name, in its `number`th form.
    Placed { file: u32, number: u32 },
}

/// What a journal says, taken together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Chunks that were written, with the CRC-32 of their data, in ascending order.
    pub(super) chunks: BTreeMap<u32, u32>,
    /// Files that may have their final name, in which form.
    pub(super) placing: HashMap<u32, u32>,
    /// Files that have their final name, in which form.
    pub(super) placed: HashMap<u32, u32>,
    /// How much of the journal holds, in bytes.
    pub(super) len: u64,
}

impl Record {
    /// Its bytes, as the record that begins at byte `at` of the journal of `transfer`.
    pub(super) fn encode(self, transfer: TransferId, at: u64) -> [u8; RECORD_LEN] {
        let (kind, a, b, crc) = match self {
            Self::Chunk { number, crc } => (1, number, 0, crc),
            Self::Reset { file } => (2, file, 0, 0),
            Self::Placing { file, number } => (3, file, number, 0),
            Self::Placed { file, number } => (4, file, number, 0),
        };
        let mut bytes = [0; RECORD_LEN];
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&u32::to_le_bytes(a));
        bytes[5..9].copy_from_slice(&u32::to_le_bytes(b));
        bytes[9..13].copy_from_slice(&u32::to_le_bytes(crc));
        let check = check(transfer, at, &bytes[..13]);
        bytes[13..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD_LEN], transfer: TransferId, at: u64) -> Option<Self> {
        let word = |from: usize| bytes[from..].first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word));
        if word(13) != check(transfer, at, &bytes[..13]) {
            return None;
        }
        match bytes[0] {
            1 => Some(Self::Chunk { number: word(1), crc: word(9) }),
            2 => Some(Self::Reset { file: word(1) }),
            3 => Some(Self::Placing { file: word(1), number: word(5) }),
            4 => Some(Self::Placed { file: word(1), number: word(5) }),
            _ => None,
        }
    }
}

/// The longest journal that is read back for `manifest`, in bytes.
///
/// Every chunk several times over: more was not written by anything that goes forward.
pub(super) fn max_len(manifest: &Manifest) -> u64 {
    let records = 8 * u64::from(manifest.total_chunks()) + 64 * manifest.files().len() as u64;
    records * RECORD_LEN as u64
}

/// Reads a journal up to the first record that does not hold.
pub(super) fn replay(bytes: &[u8], manifest: &Manifest) -> Replayed {
    let mut replayed = Replayed::default();
    let (records, _torn) = bytes.as_chunks::<RECORD_LEN>();
    for record in records {
        let Some(record) = Record::decode(record, manifest.id(), replayed.len) else { break };
        let exists = match record {
            Record::Chunk { number, .. } => number < manifest.total_chunks(),
            Record::Reset { file } | Record::Placing { file, .. } | Record::Placed { file, .. } => {
                file < manifest.file_count()
            }
        };
        if !exists {
            break;
        }
        replayed.apply(record, manifest);
        replayed.len += RECORD_LEN as u64;
    }
    replayed
}

impl Replayed {
    fn apply(&mut self, record: Record, manifest: &Manifest) {
        match record {
            Record::Chunk { number, crc } => {
                self.chunks.insert(number, crc);
            }
            Record::Reset { file } => {
                let chunks = manifest.chunks_of(file);
                self.chunks.retain(|number, _| !chunks.contains(number));
                self.placing.remove(&file);
            }
            Record::Placing { file, number } => {
                self.placing.insert(file, number);
            }
            Record::Placed { file, number } => {
                self.placing.remove(&file);
                self.placed.insert(file, number);
            }
        }
    }
}

fn check(transfer: TransferId, at: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(transfer.as_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// The record of a finished transfer: a version, in which form each file's name was used, a check.
pub(super) fn encode_finished(transfer: TransferId, numbers: &[u32]) -> Vec<u8> {
    let mut bytes = vec![1];
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(check(transfer, 0, &bytes).to_le_bytes());
    bytes
}

/// Reads what [`encode_finished`] wrote for a transfer of `files` files; `None` when it does not hold.
pub(super) fn decode_finished(bytes: &[u8], transfer: TransferId, files: usize) -> Option<Vec<u32>> {
    let (body, end) = bytes.split_last_chunk::<4>()?;
    let (&version, numbers) = body.split_first()?;
    let (numbers, rest) = numbers.as_chunks::<4>();
    let holds = u32::from_le_bytes(*end) == check(transfer, 0, body);
    let shaped = version == 1 && rest.is_empty() && numbers.len() == files;
    (holds && shaped).then(|| numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::manifest::{FileEntry, MIN_CHUNK_SIZE};

    fn manifest() -> Manifest {
        let file = FileEntry { name: "f".into(), size: 4 * u64::from(MIN_CHUNK_SIZE), sha256: [1; 32] };
        Manifest::with_chunk_size(vec![file.clone(), file], MIN_CHUNK_SIZE).unwrap()
    }

    fn journal(manifest: &Manifest, records: &[Record]) -> Vec<u8> {
        records.iter().fold(Vec::new(), |mut bytes, record| {
            bytes.extend(record.encode(manifest.id(), bytes.len() as u64));
            bytes
        })
    }

    const RECORDS: [Record; 7] = [
        Record::Chunk { number: 1, crc: 11 },
        Record::Chunk { number: 5, crc: 55 },
        Record::Chunk { number: 6, crc: 66 },
        Record::Reset { file: 1 },
        Record::Chunk { number: 5, crc: 56 },
        Record::Placing { file: 0, number: 2 },
        Record::Placed { file: 0, number: 2 },
    ];

    #[test]
    fn a_journal_reads_back_as_what_it_adds_up_to() {
        let manifest = manifest();
        let bytes = journal(&manifest, &RECORDS);
        let whole = replay(&bytes, &manifest);
        assert_eq!(whole.chunks, BTreeMap::from([(1, 11), (5, 56)]));
        assert_eq!((whole.placing.len(), whole.placed.get(&0)), (0, Some(&2)));
        assert_eq!(whole.len, bytes.len() as u64);
        let before = replay(&bytes[..6 * RECORD_LEN], &manifest);
        assert_eq!((before.placing.get(&0), before.placed.len()), (Some(&2), 0));
    }

    #[test]
    fn a_torn_or_changed_record_ends_the_journal_before_it() {
        let manifest = manifest();
        let bytes = journal(&manifest, &RECORDS);
        for at in 0..bytes.len() {
            assert_eq!(replay(&bytes[..at], &manifest).len as usize, at / RECORD_LEN * RECORD_LEN);
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert_eq!(replay(&changed, &manifest).len as usize, at / RECORD_LEN * RECORD_LEN);
        }
    }

    #[test]
    fn records_of_another_place_or_transfer_do_not_hold() {
        let manifest = manifest();
        let record = Record::Chunk { number: 1, crc: 11 };
        let moved = record.encode(manifest.id(), RECORD_LEN as u64);
        assert_eq!(replay(&moved, &manifest), Replayed::default());
        let foreign = record.encode(TransferId::from_bytes([3; 16]), 0);
        assert_eq!(replay(&foreign, &manifest), Replayed::default());
        let outside = Record::Chunk { number: 8, crc: 0 }.encode(manifest.id(), 0);
        assert_eq!(replay(&outside, &manifest), Replayed::default());
    }

    #[test]
    fn the_record_of_a_finished_transfer_holds_for_that_transfer_alone() {
        let id = manifest().id();
        let bytes = encode_finished(id, &[0, 7]);
        assert_eq!(decode_finished(&bytes, id, 2), Some(vec![0, 7]));
        assert_eq!(decode_finished(&bytes, id, 3), None);
        assert_eq!(decode_finished(&bytes, TransferId::from_bytes([0; 16]), 2), None);
        for at in 0..bytes.len() {
            assert_eq!(decode_finished(&bytes[..at], id, 2), None);
        }
    }
}
