//! Reed-Solomon parity, byte for byte that of Leopard.
//!
//! The rule: which code a set uses follows from its counts alone, as in Leopard. One data segment: a copy. One parity
//! segment: XOR. Otherwise, with `m` the next power of two of the parity count, GF(2^8) where the next power of two of
//! `m + data` is at most 256, and GF(2^16) beyond. The two crates do not overlap: `leopard-codec` knows the first field,
//! `reed-solomon-simd` the second.

use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// Shards have a multiple of this many bytes.
pub(super) const SHARD_UNIT: usize = 64;

/// How many parity segments `data` segments get at a rate of `permille` thousandths: rounded up as today's
/// nim-segmentation does, never more than there are data segments or than fit beside them.
pub(super) fn count(data: usize, permille: u16) -> usize {
    let wanted = (data * usize::from(permille)).div_ceil(1_000);
    wanted.min(data).min(super::MAX_SEGMENTS.saturating_sub(data))
}

/// The parity shards of `data`, whose pieces have `shard` bytes but the last, which may have fewer; `shard` is a
/// multiple of 64. `None` where the counts belong to no code.
pub(super) fn encode(data: &[Bytes], parity: usize, shard: usize) -> Option<Vec<Bytes>> {
    match Code::of(data.len(), parity)? {
        Code::Copy => Some(vec![padded(data.first()?, shard).into()]),
        Code::Xor => Some(vec![xor(data.iter(), shard).into()]),
        Code::Small => {
            let mut shards: Vec<Vec<u8>> = data.iter().map(|piece| padded(piece, shard)).collect();
            shards.resize_with(data.len() + parity, || vec![0; shard]);
            leopard_codec::encode(&mut shards, data.len()).ok()?;
            Some(shards.into_iter().skip(data.len()).map(Bytes::from).collect())
        }
        Code::Large => {
            let pieces = data.iter().map(|piece| padded(piece, shard));
            let shards = reed_solomon_simd::encode(data.len(), parity, pieces).ok()?;
            Some(shards.into_iter().map(Bytes::from).collect())
        }
    }
}

/// The missing data shards, by index, each of `shard` bytes, from at least as many shards as there are data
/// segments. `None` where these are too few or no code has such counts.
pub(super) fn recover(
    data: &[Option<&Bytes>],
    parity: &[Option<&Bytes>],
    shard: usize,
) -> Option<BTreeMap<usize, Bytes>> {
    let missing = || data.iter().enumerate().filter(|(_, piece)| piece.is_none()).map(|(index, _)| index);
    match missing().count() {
        0 => return Some(BTreeMap::new()),
        lost if lost > parity.iter().flatten().count() => return None,
        _ => {}
    }
    match Code::of(data.len(), parity.len())? {
        Code::Copy => {
            let copy = parity.first().copied().flatten()?;
            Some(missing().map(|index| (index, copy.clone())).collect())
        }
        Code::Xor => {
            let whole = xor(data.iter().chain(parity).copied().flatten(), shard);
            Some(missing().map(|index| (index, Bytes::from(whole.clone()))).collect())
        }
        Code::Small => {
            let all = data.iter().chain(parity);
            let mut shards: Vec<Vec<u8>> =
                all.map(|piece| piece.map(|piece| padded(piece, shard)).unwrap_or_default()).collect();
            leopard_codec::reconstruct(&mut shards, data.len()).ok()?;
            let take = |index: usize| Some((index, std::mem::take(shards.get_mut(index)?).into()));
            missing().map(take).collect()
        }
        Code::Large => {
            let present = |pieces: &[Option<&Bytes>]| -> Vec<(usize, Vec<u8>)> {
                let pieces = pieces.iter().enumerate();
                pieces.filter_map(|(index, piece)| Some((index, padded((*piece)?, shard)))).collect()
            };
            let (data_count, parity_count) = (data.len(), parity.len());
            let (data, parity) = (present(data), present(parity));
            let restored = reed_solomon_simd::decode(data_count, parity_count, data, parity).ok()?;
            Some(restored.into_iter().map(|(index, piece)| (index, piece.into())).collect())
        }
    }
}

/// Leopard's four ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Copy,
    Xor,
    /// GF(2^8).
    Small,
    /// GF(2^16).
    Large,
}

impl Code {
    fn of(data: usize, parity: usize) -> Option<Self> {
        if data == 0 || parity == 0 || parity > data {
            return None;
        }
        let shards = (parity.next_power_of_two() + data).next_power_of_two();
        Some(match (data, parity) {
            (1, _) => Self::Copy,
            (_, 1) => Self::Xor,
            _ if shards <= 256 => Self::Small,
            _ => Self::Large,
        })
    }
}

fn padded(piece: &Bytes, shard: usize) -> Vec<u8> {
    let mut padded = Vec::with_capacity(shard);
    padded.extend_from_slice(piece);
    padded.resize(shard, 0);
    padded
}

fn xor<'a>(pieces: impl Iterator<Item = &'a Bytes>, shard: usize) -> BytesMut {
    let mut sum = BytesMut::zeroed(shard);
    for piece in pieces {
        sum.iter_mut().zip(piece).for_each(|(to, from)| *to ^= from);
    }
    sum
}

#[cfg(test)]
mod tests;
