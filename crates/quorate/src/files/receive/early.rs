//! Chunks that came before the offer that says what they belong to.
//!
//! The rule: as much is kept as a sender has under way by default, the newest, whatever transfers they claim to be of. A receiver
//! that was killed and started again is sent first what was under way to its former self; kept, that need not cross again.

use crate::files::manifest::TransferId;
use crate::files::message::Chunk;
use std::collections::VecDeque;

/// Bytes that are kept.
const MAX_BYTES: usize = 8 << 20;
/// What a chunk costs beside its data.
const COST: usize = 256;

/// The newest of them, in order.
#[derive(Debug, Default)]
pub(super) struct Early {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

impl Early {
    /// Keeps a chunk; the oldest make room.
    pub(super) fn keep(&mut self, chunk: Chunk) {
        self.bytes += COST + chunk.data.len();
        self.chunks.push_back(chunk);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.bytes -= COST + oldest.data.len();
        }
    }

    /// Those of a transfer that is known now.
    pub(super) fn take(&mut self, id: TransferId) -> Vec<Chunk> {
        let (of_it, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.chunks).into_iter().partition(|chunk| chunk.transfer == id);
        self.bytes = others.iter().map(|chunk| COST + chunk.data.len()).sum();
        self.chunks = others.into();
        of_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(transfer: u8, number: u32, len: usize) -> Chunk {
        let transfer = TransferId::from_bytes([transfer; 16]);
        Chunk { transfer, file: 0, chunk: number, data: vec![0; len].into() }
    }

    #[test]
    fn the_newest_are_kept_within_their_bytes_and_yielded_once() {
        let mut early = Early::default();
        (0..20).for_each(|number| early.keep(chunk((number % 2) as u8, number, (1 << 20) - COST)));
        assert_eq!(early.bytes, MAX_BYTES);
        let numbers = |chunks: Vec<Chunk>| chunks.iter().map(|chunk| chunk.chunk).collect::<Vec<_>>();
        assert_eq!(numbers(early.take(TransferId::from_bytes([0; 16]))), [12, 14, 16, 18]);
        assert_eq!(numbers(early.take(TransferId::from_bytes([0; 16]))), [0; 0]);
        assert_eq!((early.bytes, early.chunks.len()), (MAX_BYTES / 2, 4));
        early.keep(chunk(3, 0, MAX_BYTES + 1));
        assert_eq!((early.bytes, early.chunks.len()), (0, 0), "one that is too long alone is not kept");
    }
}
