//! Fedimint's consensus encoding: the bytes that federations hash, sign and put into invite codes.
//!
//! The rule: one value has one encoding. Integers are BigSize in their shortest form, maps ascend
//! strictly, a whole decode leaves no byte over; and what the types of this crate promise (sorted,
//! distinct majors) holds in both directions, where Fedimint's own derived decoder lets it pass.
//!
//! Integers of 16 bits and more are BigSize: below `0xfd` one byte, else `fd`, `fe` or `ff` and 2, 4
//! or 8 bytes big-endian. `u8` is plain, a `bool` one byte, a string or byte string its length and
//! its bytes, an array raw, an `Option` a 0 or a 1 and the value, a list or map its count and its
//! items. A struct is its fields in order and nothing else.

mod error;
mod reader;
mod versions;

pub use error::{DecodeError, DecodeFault, EncodeError};
pub use reader::Reader;

use std::collections::BTreeMap;

/// The longest input that [`ConsensusEncoding::from_consensus_bytes`] takes: 16,000,000 bytes, as
/// Fedimint's.
pub const MAX_ENCODED_BYTES: usize = 16_000_000;

/// A value with a consensus encoding.
pub trait ConsensusEncoding: Sized {
    /// Appends the encoding to `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a reader would refuse the bytes. `out` then ends in the middle of it.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads one value and leaves `reader` behind it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], with the offset at which the bytes stop making sense.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The encoding.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a reader would refuse the bytes.
    fn to_consensus_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.write(&mut out)?;
        Ok(out)
    }

    /// Reads a value that is all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; bytes that are left over are one.
    fn from_consensus_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes)?;
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Appends `value` as BigSize.
pub fn write_big_size(value: u64, out: &mut Vec<u8>) {
    // Each arm's range fits the width that it writes.
    let bytes = value.to_be_bytes();
    let (tag, width) = match value {
        0..=0xfc => (None, 1),
        0xfd..=0xffff => (Some(0xfd), 2),
        0x1_0000..=0xffff_ffff => (Some(0xfe), 4),
        _ => (Some(0xff), 8),
    };
    out.extend(tag);
    out.extend_from_slice(bytes.get(8 - width..).unwrap_or(&bytes));
}

/// Appends a byte string: its length and its bytes.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_big_size(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

impl ConsensusEncoding for u8 {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(*self);
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [byte] = reader.array()?;
        Ok(byte)
    }
}

macro_rules! big_size {
    ($($integer:ty),*) => {$(
        impl ConsensusEncoding for $integer {
            fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                write_big_size(u64::from(*self), out);
                Ok(())
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let at = reader.position();
                let max = u64::from(<$integer>::MAX);
                Self::try_from(reader.big_size()?)
                    .map_err(|_| DecodeError { at, fault: DecodeFault::OutOfRange { max } })
            }
        }
    )*};
}

big_size!(u16, u32, u64);

impl ConsensusEncoding for bool {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        u8::from(*self).write(out)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        match u8::read(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeError { at, fault: DecodeFault::Tag { found } }),
        }
    }
}

impl ConsensusEncoding for String {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_bytes(self.as_bytes(), out);
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        let text = std::str::from_utf8(reader.bytes()?);
        text.map(Self::from).map_err(|_| DecodeError { at, fault: DecodeFault::NotUtf8 })
    }
}

impl<const N: usize> ConsensusEncoding for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

impl<T: ConsensusEncoding> ConsensusEncoding for Option<T> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.is_some().write(out)?;
        self.as_ref().map_or(Ok(()), |value| value.write(out))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::read(reader)?.then(|| T::read(reader)).transpose()
    }
}

impl<K: ConsensusEncoding + Ord, V: ConsensusEncoding> ConsensusEncoding for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_big_size(self.len() as u64, out);
        self.iter().try_for_each(|(key, value)| {
            key.write(out)?;
            value.write(out)
        })
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = Self::new();
        for _ in 0..reader.big_size()? {
            let at = reader.position();
            let key = K::read(reader)?;
            if map.last_key_value().is_some_and(|(last, _)| key <= *last) {
                return Err(DecodeError { at, fault: DecodeFault::KeysDoNotAscend });
            }
            map.insert(key, V::read(reader)?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests;
