//! One claim of what a set is, and the pieces that were brought for it: when do they make a payload?
//!
//! The rule: any sufficient choice of pieces whose Keccak-256 is right is the payload, whatever else was brought. So a
//! forged piece stands beside the genuine one instead of in its place, and how many choices are tried is
//! bounded by how many pieces came.

use super::{Segment, parity};
use bytes::{Bytes, BytesMut};
use sha3::{Digest, Keccak256};

/// The most different pieces that are kept for one place.
pub(super) const MAX_RIVALS: usize = 3;
/// Choices that are tried for a claim in any case, and one more for every so many pieces that came.
const FREE_TRIALS: usize = 16;
const PIECES_PER_TRIAL: usize = 4;

/// What every segment of a set says alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    hash: [u8; 32],
    /// `None` in the older layout.
    length: Option<u64>,
    data: usize,
    parity: usize,
}

/// A shape, and every piece brought for it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) shape: Shape,
    /// By place: the data, then the parity. In a place, as they came.
    places: Vec<Vec<Bytes>>,
    filled: usize,
    contested: usize,
    pieces: usize,
    trials: usize,
    /// Whether all that was brought last for every data place was tried together, once each was contested.
    overturned: bool,
    pub(super) failure: Option<Failure>,
}

/// Why enough pieces made no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// They do not fit together.
    Malformed,
    /// They fit together to something else.
    HashMismatch,
}

/// A payload whose hash is right.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) payload: Bytes,
    pub(super) recovered: bool,
    pub(super) healed: bool,
}

/// Where a piece stands among those that were brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// The very same piece is there.
    Taken,
    /// Other pieces are there.
    Contested,
    /// As many others as are kept.
    Crowded,
}

impl Shape {
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            hash: segment.hash,
            length: segment.length,
            data: segment.data_count as usize,
            parity: segment.parity_count as usize,
        }
    }

    pub(super) const fn places(&self) -> usize {
        self.data + self.parity
    }
}

impl Claim {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            places: vec![Vec::new(); shape.places()],
            shape,
            filled: 0,
            contested: 0,
            pieces: 0,
            trials: 0,
            overturned: false,
            failure: None,
        }
    }

    /// Choices tried so far.
    #[cfg(test)]
    pub(super) const fn trials(&self) -> usize {
        self.trials
    }

    pub(super) fn place(&self, segment: &Segment) -> Place {
        match self.places.get(segment.place() as usize) {
            None => Place::Crowded,
            Some(pieces) if pieces.is_empty() => Place::Free,
            Some(pieces) if pieces.contains(&segment.payload) => Place::Taken,
            Some(pieces) if pieces.len() < MAX_RIVALS => Place::Contested,
            Some(_) => Place::Crowded,
        }
    }

    /// Keeps a piece, and tries what it makes possible.
    pub(super) fn insert(&mut self, segment: Segment) -> Option<Whole> {
        let at = segment.place() as usize;
        let pieces = self.places.get_mut(at)?;
        self.filled += usize::from(pieces.is_empty());
        self.contested += usize::from(pieces.len() == 1 && at < self.shape.data);
        pieces.push(segment.payload);
        self.pieces += 1;
        if self.filled < self.shape.data {
            return None;
        }
        self.choose(at)
    }

    /// Tries the choices that hold the piece which came last, at `fresh`: those without it were tried before.
    fn choose(&mut self, fresh: usize) -> Option<Whole> {
        // When every data place is contested, a whole forged set may stand beside the genuine one, now complete.
        let overturn = !self.overturned && self.contested == self.shape.data;
        self.overturned |= overturn;
        let spare = self.filled - self.shape.data;
        let others: Vec<usize> =
            (0..self.places.len()).filter(|at| *at != fresh && !self.places[*at].is_empty()).collect();
        let omissions = if spare == 0 { 1 } else { others.len() };
        let policies: &[bool] = if self.is_contested_beside(fresh) { &[true, false] } else { &[true] };
        for newest in policies {
            for omission in 0..omissions {
                let allowed = FREE_TRIALS + self.pieces / PIECES_PER_TRIAL;
                if self.trials >= allowed && !(overturn && *newest) {
                    return None;
                }
                self.trials += 1;
                let is_omitted = |index: usize| (index + others.len() - omission) % others.len() < spare;
                let kept = others.iter().enumerate().filter(|(index, _)| spare == 0 || !is_omitted(*index));
                let mut choice: Vec<Option<&Bytes>> = vec![None; self.places.len()];
                for at in kept.map(|(_, at)| *at) {
                    choice[at] = if *newest { self.places[at].last() } else { self.places[at].first() };
                }
                choice[fresh] = self.places[fresh].last();
                match self.shape.assemble(&choice) {
                    Ok(payload) => {
                        let recovered = choice[..self.shape.data].iter().any(Option::is_none);
                        return Some(Whole { payload, recovered, healed: self.failure.is_some() });
                    }
                    Err(failure) => self.failure = Some(failure),
                }
            }
        }
        None
    }

    fn is_contested_beside(&self, fresh: usize) -> bool {
        self.places.iter().enumerate().any(|(at, pieces)| at != fresh && pieces.len() > 1)
    }
}

impl Shape {
    /// The payload that `choice` makes: one piece for each of as many places as there are data segments.
    fn assemble(&self, choice: &[Option<&Bytes>]) -> Result<Bytes, Failure> {
        let (data, parity) = choice.split_at(self.data);
        if let [Some(only)] = data {
            return self.check((*only).clone());
        }
        let shard = parity.iter().flatten().next().map_or(0, |piece| piece.len());
        let lacks = data.iter().any(Option::is_none);
        if lacks && !self.fits(data, parity, shard) {
            return Err(Failure::Malformed);
        }
        let restored = if lacks {
            parity::recover(data, parity, shard).ok_or(Failure::Malformed)?
        } else {
            Default::default()
        };
        let len = data.iter().flatten().map(|piece| piece.len()).sum::<usize>() + restored.len() * shard;
        let mut whole = BytesMut::with_capacity(len);
        for (index, piece) in data.iter().enumerate() {
            let piece = piece.or_else(|| restored.get(&index));
            whole.extend_from_slice(piece.ok_or(Failure::Malformed)?);
        }
        let is_padded = matches!(data.last(), Some(None));
        match self.length {
            Some(length) if is_padded => {
                let length = usize::try_from(length).map_err(|_| Failure::Malformed)?;
                let padding = whole.len().checked_sub(length).ok_or(Failure::Malformed)?;
                if padding >= shard.max(1) && self.data > 1 || padding > shard {
                    return Err(Failure::Malformed);
                }
                whole.truncate(length);
                self.check(whole.freeze())
            }
            None if is_padded => self.strip(whole, shard),
            _ => self.check(whole.freeze()),
        }
    }

    /// Whether pieces can be shards of `shard` bytes: all but the last data segment are as long.
    fn fits(&self, data: &[Option<&Bytes>], parity: &[Option<&Bytes>], shard: usize) -> bool {
        let last = self.data - 1;
        let is_shard = |(index, piece): (usize, &Option<&Bytes>)| {
            piece.is_none_or(|piece| {
                piece.len() == shard || index == last && (1..shard).contains(&piece.len())
            })
        };
        shard > 0
            && data.iter().enumerate().all(is_shard)
            && parity.iter().flatten().all(|piece| piece.len() == shard)
    }

    fn check(&self, payload: Bytes) -> Result<Bytes, Failure> {
        if self.length.is_some_and(|length| length != payload.len() as u64) {
            return Err(Failure::Malformed);
        }
        let hash: [u8; 32] = Keccak256::digest(&payload).into();
        if hash == self.hash { Ok(payload) } else { Err(Failure::HashMismatch) }
    }

    /// The older layout does not say the payload's length: how many of the zeros at its end, at most a shard's, are padding
    /// is what the hash says. All that comes before them is hashed once.
    fn strip(&self, mut padded: BytesMut, shard: usize) -> Result<Bytes, Failure> {
        let zeros = padded.iter().rev().take_while(|byte| **byte == 0).count().min(shard);
        let least = (padded.len() - zeros).max(1);
        let mut hasher = Keccak256::new_with_prefix(padded.get(..least).unwrap_or_default());
        for length in least..=padded.len() {
            let hash: [u8; 32] = hasher.clone().finalize().into();
            if hash == self.hash {
                padded.truncate(length);
                return Ok(padded.freeze());
            }
            hasher.update([0]);
        }
        Err(Failure::HashMismatch)
    }
}
